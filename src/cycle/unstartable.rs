//! What `haproxy -c` accepts and HAProxy does not start with: only then it tries to listen.
//!
//! Whose sections it names is led back to them as what a check refuses, and the others are served in the
//! same turn. Each further start costs the old listeners a moment in which they refuse connections, so
//! that few are tried, and what was refused is remembered also where none of them comes up; but for those
//! who were left out for a limit of open files, which is no fault of theirs.

use std::collections::BTreeSet;

use anyhow::Result;
use tracing::warn;

use super::Stages;
use super::plan::Plan;
use super::source::Source;
use super::wanted::Cause;
use crate::apply::validate::{Severity, Shortage};
use crate::apply::{Balancer, CheckMessage, Host, installed};
use crate::cluster::Warning;
use crate::proxy::Owner;
use crate::resolve::Lookup;
use crate::state::State;

/// So many starts may fail in one turn.
pub(super) const MOST_STARTS: u32 = 3;

impl<S: Source, L: Lookup> Stages<S, L> {
    /// The plan without what keeps HAProxy from starting, by its own words; `None` where these are about
    /// nobody, or cannot be heard.
    pub(super) fn without_unstartable<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        plan: &Plan,
        messages: &[CheckMessage],
        cfg: Option<&str>,
        memory: &mut State,
    ) -> Result<Option<Plan>> {
        // Nothing is remembered of service ports without labels, and each turn would try them again.
        if plan.keeps_all || !self.takes_out_what_is_refused || !self.recipe.is_labelled() {
            return Ok(None);
        }
        let shortage = Shortage::of(messages);
        let mut served = self.served_and_wanted(plan, cfg)?;
        // As of what a check refuses.
        served.retain(|port| !plan.draft.gave_way(port));
        let left = if let Some(shortage) = &shortage {
            let left = self.without_added_last(host, plan.clone(), shortage, cfg)?;
            if left.files == plan.files {
                return Ok(None);
            }
            left
        } else {
            let culprits = plan.unstartable(messages);
            if culprits.is_empty() || self.blames_the_edit(&culprits, &served) {
                return Ok(None);
            }
            self.draw_instead(plan.clone(), culprits, Cause::Start, cfg)?
        };
        let left = self.as_the_host_allows(host, left, cfg)?;
        let is_loss = match &shortage {
            // Who is served does not go for the limits that others meet.
            Some(_) => left.serves(&served).len() < served.len(),
            None => left.is_loss(&served) && !self.allow_removal,
        };
        if is_loss {
            return Ok(None);
        }
        let file = host.at.cfg.display();
        if shortage.is_some() && is_installed(host, &left)? {
            // Nobody else is served by that, and an operator is to hear of the limit.
            return Ok(None);
        }
        match &shortage {
            Some(shortage) => warn!(
                "HAProxy did not start from `{file}`, and is started again without what was added \
                 last; {shortage}"
            ),
            None => warn!(
                "HAProxy did not start from `{file}`, and is started again without what it names"
            ),
        }
        left.remember_unstartable(memory);
        Ok(Some(left))
    }
}

/// Whether nothing would be left to bring HAProxy to.
fn is_installed<B: Balancer>(host: &Host<'_, B>, plan: &Plan) -> Result<bool> {
    let maps = plan.files.maps.keys().map(String::as_str);
    Ok(installed(host.disk, host.at, maps)?.as_ref() == Some(&plan.files))
}

impl Plan {
    /// Those whom HAProxy names when it cannot listen, with its words; nobody where others are named too,
    /// without whom there is no start.
    fn unstartable(&self, messages: &[CheckMessage]) -> Vec<(Owner, Warning)> {
        let alerts = messages.iter().filter(|m| m.severity == Severity::Alert);
        let is_placed = |m: &&CheckMessage| m.line.is_some() || !m.proxies.is_empty();
        let mut known = BTreeSet::new();
        let mut culprits = Vec::new();
        for alert in alerts.filter(is_placed) {
            let owner = self.blamed(alert);
            let Some(owner) = owner.filter(|owner| !self.refused.contains(owner)) else {
                return Vec::new();
            };
            if known.insert(owner) {
                culprits.push((owner.clone(), unstartable(owner, &alert.lasting())));
            }
        }
        culprits
    }

    /// For turns that come after one that brings HAProxy to nothing: each would try the same again.
    fn remember_unstartable(&self, memory: &mut State) {
        let refused = self.draft.fallback.quarantined().into_iter();
        for entry in refused.filter(|entry| entry.starts > 0) {
            memory.quarantined.retain(|known| !known.is_about(&entry));
            memory.quarantined.push(entry);
        }
    }
}

fn unstartable(owner: &Owner, words: &str) -> Warning {
    Warning {
        app: Some(owner.app.clone()),
        subject: format!("service port {}", owner.service_port),
        found: format!("what HAProxy does not start with: {words}"),
        expected: "ports on which it can listen".to_owned(),
        effect: "service port left out".to_owned(),
    }
}
