//! What `haproxy -c` accepts and HAProxy does not start with: only then it tries to listen.
//!
//! Whose sections it names is led back to them as what a check refuses, and the others are served in the
//! same turn. Each further start costs the old listeners a moment in which they refuse connections, so
//! that few are tried, and what was refused is remembered also where none of them comes up.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use tracing::warn;

use super::Stages;
use super::plan::Plan;
use super::source::Source;
use super::wanted::Cause;
use crate::apply::validate::Severity;
use crate::apply::{Balancer, CheckMessage, Host};
use crate::cluster::{AppId, Warning};
use crate::haproxy::listen;
use crate::proxy::Owner;
use crate::resolve::Lookup;
use crate::state::State;

/// So many starts may fail in one turn.
pub(super) const MOST_STARTS: u32 = 3;

/// How HAProxy says that there are too many sockets, whosever they are.
const OF_LIMITS: [&str; 2] = ["Cannot raise FD limit", "Too many open files"];

impl<S: Source, L: Lookup> Stages<S, L> {
    /// The plan without what keeps HAProxy from starting, by its own words; `None` where these are about
    /// nobody, or cannot be heard.
    pub(super) fn without_unstartable<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        plan: &Plan,
        messages: &[CheckMessage],
        installed: Option<&str>,
        memory: &mut State,
    ) -> Result<Option<Plan>> {
        // Nothing is remembered of service ports without labels, and each turn would try them again.
        if plan.keeps_all || !self.takes_out_what_is_refused || !self.recipe.is_labelled() {
            return Ok(None);
        }
        let culprits = plan.unstartable(messages, installed);
        let served = self.served_and_wanted(plan, installed)?;
        if culprits.is_empty() || self.blames_the_edit(&culprits, &served) {
            return Ok(None);
        }
        let left = self.draw_instead(plan.clone(), culprits, Cause::Start, installed)?;
        let left = self.as_the_host_allows(host, left, installed)?;
        if left.is_loss(&served) && !self.allow_removal {
            return Ok(None);
        }
        warn!(
            "HAProxy did not start from `{}`, and is started again without what it names",
            host.at.cfg.display()
        );
        left.remember_unstartable(memory);
        Ok(Some(left))
    }
}

impl Plan {
    /// Those whom HAProxy names when it cannot listen, with its words; nobody where others are named too,
    /// without whom there is no start.
    fn unstartable(
        &self,
        messages: &[CheckMessage],
        installed: Option<&str>,
    ) -> Vec<(Owner, Warning)> {
        let alerts = messages.iter().filter(|m| m.severity == Severity::Alert);
        let of_limits = |m: &&CheckMessage| OF_LIMITS.iter().any(|says| m.text.contains(says));
        if let Some(alert) = alerts.clone().find(of_limits) {
            return self.most_demanding(&alert.lasting(), installed);
        }
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

    /// The app that asks for the most ports that are new: HAProxy names nobody, or whoever comes last.
    fn most_demanding(&self, words: &str, installed: Option<&str>) -> Vec<(Owner, Warning)> {
        let before = listen::ports(installed.unwrap_or_default());
        let mut asked: BTreeMap<&AppId, (usize, BTreeSet<&Owner>)> = BTreeMap::new();
        for (owner, own) in self.owned_binds() {
            if !before.contains(&own.at.port()) && !self.refused.contains(owner) {
                let (number, owners) = asked.entry(&owner.app).or_default();
                *number += 1;
                owners.insert(owner);
            }
        }
        let most = asked.into_values().max_by_key(|(number, _)| *number);
        let (number, owners) = most.unwrap_or_default();
        let warned = |owner: &Owner| {
            let warning = Warning {
                expected: format!("fewer than the {number} ports that this app adds"),
                ..unstartable(owner, words)
            };
            (owner.clone(), warning)
        };
        owners.into_iter().map(warned).collect()
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
