//! Who kept HAProxy from an end is tried again beside all else.
//!
//! It takes a minute to find out that there still is none, and longer to find who it is. All others would
//! wait for it, each time anew.

use std::sync::Arc;

use anyhow::Result;

use super::Stages;
use super::plan::Plan;
use super::source::Source;
use super::wanted::Cause;
use crate::apply::{Balancer, Host, Retry};
use crate::cluster::AppId;
use crate::proxy::marathon_lb::Service;
use crate::resolve::Lookup;

/// So many are tried one by one. More of them are hardly to blame, and all are tried at once, as part of
/// what is wanted.
const MOST: usize = 5;

impl<S: Source, L: Lookup> Stages<S, L> {
    /// The plan without those who are due to be tried again, and the files with which each of them is; the
    /// plan itself where nothing goes on beside it.
    pub(super) fn without_retried<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        plan: Plan,
        installed: Option<&str>,
    ) -> Result<(Plan, Vec<Retry>)> {
        if !host.balancer.can_retry() {
            return Ok((plan, Vec::new()));
        }
        let due = plan.draft.fallback.retried();
        // A label may name another service port than Marathon.
        let owner_of = |(app, index): &(AppId, usize)| {
            let mut services = plan.proxies.services().iter();
            let is_it = |s: &&Arc<Service>| s.owner.app == *app && s.index == *index;
            services.find(is_it).map(|service| service.owner.clone())
        };
        let owned = due
            .into_iter()
            .filter_map(|(place, why)| Some((owner_of(&place)?, (place, why))));
        let owned: Vec<_> = owned.collect();
        if owned.is_empty() || MOST < owned.len() {
            return Ok((plan, Vec::new()));
        }
        let (owners, places): (Vec<_>, Vec<_>) = owned
            .into_iter()
            .map(|(owner, (place, why))| ((owner, why), place))
            .unzip();
        let mut retries = Vec::with_capacity(places.len());
        for (position, (app, index)) in places.into_iter().enumerate() {
            let mut others = owners.clone();
            others.remove(position);
            let files = if others.is_empty() {
                plan.files.clone()
            } else {
                let with_it = self.draw_instead(plan.clone(), others, Cause::Unnamed, installed)?;
                with_it.files
            };
            retries.push(Retry { app, index, files });
        }
        let left = self.draw_instead(plan, owners, Cause::Unnamed, installed)?;
        let left = self.as_the_host_allows(host, left, installed)?;
        Ok((left, retries))
    }
}

/// Who was found just now, and nobody else: HAProxy may have come to no end with anything, as a host may
/// stand still for a minute.
pub(super) fn retry_of_blamed(before: Plan, left: &Plan) -> Option<Retry> {
    let known = before.draft.fallback.quarantined();
    let blamed = left.draft.fallback.quarantined().into_iter();
    let mut blamed = blamed.filter(|entry| {
        let is_known = known.iter().any(|known| known.is_about(entry));
        entry.unnamed > 0 && !is_known
    });
    let only = blamed.next().filter(|_| blamed.next().is_none())?;
    Some(Retry {
        app: AppId::new(&only.app),
        index: only.index,
        files: before.files,
    })
}
