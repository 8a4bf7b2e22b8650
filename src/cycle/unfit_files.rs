//! Files that owners name and that `haproxy -c` could not read to their end.
//!
//! A certificate that is a pipe or a device has it wait for ever, and it names nobody. So such files are
//! looked at before, and never opened; nor may one lie beside a certificate or stand in a list of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, bail};

use super::Stages;
use super::plan::Plan;
use super::source::Source;
use super::wanted::Cause;
use crate::apply::{Balancer, Host};
use crate::cluster::Warning;
use crate::haproxy::files::{NamedFile, bases, named};
use crate::proxy::Owner;
use crate::proxy::marathon_lb::Service;
use crate::proxy::native::is_crt_list;
use crate::resolve::Lookup;

const EXPECTED: &str = "a file of at most 64 MiB, a folder of such, or a list of at most 10000 \
                        lines and 4 MiB";

/// By file: who names it, and in which label where that is known.
type Named = BTreeMap<NamedFile, Vec<(Owner, String)>>;

impl<S: Source, L: Lookup> Stages<S, L> {
    /// The plan in which nobody names such a file.
    pub(super) fn without_unfit_files<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        mut plan: Plan,
        installed: Option<&str>,
    ) -> Result<Plan> {
        let mut first: Option<(Plan, (NamedFile, String))> = None;
        // Each round takes what somebody says away, so that there is an end.
        while installed != Some(&*plan.files.cfg) {
            let named = plan.named_files();
            if named.is_empty() {
                break;
            }
            let bases = bases(&plan.files.cfg);
            let files: BTreeSet<&NamedFile> = named.keys().collect();
            let mut unfit = host.balancer.unfit(&files, &bases);
            unfit.extend(files.into_iter().filter_map(of_the_program));
            let culprits = culprits(&named, &unfit, &plan.refused);
            if culprits.is_empty() {
                break;
            }
            if first.is_none() {
                first = unfit.into_iter().next().map(|fault| (plan.clone(), fault));
            }
            plan = self.draw_instead(plan, culprits, Cause::Own, installed)?;
        }
        // As of what HAProxy refuses: a file that several apps name cannot be the fault of each.
        if let Some((wanted, (file, found))) = first
            && !self.allow_removal
            && plan.is_loss(&self.served_and_wanted(&wanted, installed)?)
        {
            bail!(
                "most of what is served names `{}`, {found}, expected {EXPECTED}: everything stays \
                 as it is",
                file.path
            );
        }
        Ok(plan)
    }
}

impl Plan {
    /// What sections of apps, and what they say of frontends that they share, have HAProxy read.
    fn named_files(&self) -> Named {
        let mut all = Named::new();
        let services = self.proxies.services();
        for service in services {
            for (label, file) in said(service) {
                let subject = format!("label `HAPROXY_{}_{label}`", service.index);
                let owners = all.entry(file).or_default();
                owners.push((service.owner.clone(), subject));
            }
        }
        for chunk in self.rendered.chunks() {
            let Some(owner) = &chunk.owner else { continue };
            for file in named(&chunk.text) {
                let owners = all.entry(file).or_default();
                if !owners.iter().any(|(known, _)| known == owner) {
                    let subject = format!("service port {}", owner.service_port);
                    owners.push((owner.clone(), subject));
                }
            }
        }
        all
    }
}

/// Files of values, by their labels. A frontend that is shared is nobody's.
fn said(service: &Service) -> Vec<(&'static str, NamedFile)> {
    let options = &service.options;
    let certificates = options
        .ssl_cert
        .as_deref()
        .map(|text| format!("crt {text}"));
    let texts = [
        ("SSL_CERT", certificates.as_deref()),
        ("BIND_OPTIONS", options.bind_options.as_deref()),
    ];
    let files = |(label, text): (&'static str, Option<&str>)| {
        let files: Vec<NamedFile> = named(text.unwrap_or_default()).collect();
        files.into_iter().map(move |file| (label, file))
    };
    texts.into_iter().flat_map(files).collect()
}

/// A list of ours goes with the line that names it, and would be missing to others who name it.
fn of_the_program(file: &NamedFile) -> Option<(NamedFile, String)> {
    let name = Path::new(&file.path).file_name()?.to_str()?;
    let found = "a list that this program writes and takes away".to_owned();
    is_crt_list(name).then(|| (file.clone(), found))
}

fn culprits(
    named: &Named,
    unfit: &BTreeMap<NamedFile, String>,
    refused: &[Owner],
) -> Vec<(Owner, Warning)> {
    let mut culprits: Vec<(Owner, Warning)> = Vec::new();
    for (file, found) in unfit {
        for (owner, subject) in named.get(file).into_iter().flatten() {
            if refused.contains(owner) || culprits.iter().any(|(known, _)| known == owner) {
                continue;
            }
            let warning = Warning {
                app: Some(owner.app.clone()),
                subject: subject.clone(),
                found: format!("`{}`, {found}", file.path),
                expected: EXPECTED.to_owned(),
                effect: String::new(),
            };
            culprits.push((owner.clone(), warning));
        }
    }
    culprits
}
