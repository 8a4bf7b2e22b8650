//! Certificates of labels that bear names of other folders' hosts.
//!
//! Their names stand in files, which nobody reads but here: what the files hold decides together with
//! who has which host.

use anyhow::Result;

use super::Stages;
use super::plan::Plan;
use super::source::Source;
use crate::apply::{Balancer, Host};
use crate::haproxy::files::bases;
use crate::proxy::native::{CertificateNames, usurping};
use crate::resolve::Lookup;

impl<S: Source, L: Lookup> Stages<S, L> {
    /// The plan in which port 443 shows no such certificate.
    pub(super) fn without_usurpers<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        mut plan: Plan,
        installed: Option<&str>,
    ) -> Result<Plan> {
        let mut names = CertificateNames::new();
        // Each round takes one away, so that there is an end.
        while installed != Some(&*plan.files.cfg) {
            let Some(native) = &plan.proxies.native else {
                break;
            };
            // Only who is new can usurp anything, and files are read for nothing else.
            let before = &plan.draft.incumbents.certificates;
            let mut labelled = native.certificates_in_order.iter();
            if !native.opens_https() || labelled.all(|path| before.contains(path)) {
                break;
            }
            let bases = bases(&plan.files.cfg);
            let unread = native.certificates.iter();
            let unread = unread.filter(|path| !names.contains_key(&***path)).cloned();
            let unread: Vec<Box<str>> = unread.collect();
            names.extend(host.balancer.certificate_names(&unread, &bases));
            let given = self.recipe.given_certificates();
            let usurping = usurping(native, given, &names, &plan.draft.incumbents);
            if usurping.is_empty() {
                break;
            }
            plan = self.draw_without_certificates(plan, usurping, installed)?;
        }
        Ok(plan)
    }
}
