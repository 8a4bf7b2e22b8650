//! HAProxy is brought to as many servers as it can be told of, and who cannot be told keeps nobody else
//! waiting.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use anyhow::Result;

use super::in_service::{InService, Put, Resupply, Supplied, Texts};
use crate::apply::{Balancer, Host, Untold, tell_servers_alone};
use crate::cluster::Warning;
use crate::diff;
use crate::state::State;

/// A section whose servers have to wait, and why.
pub(super) struct Left {
    pub(super) section: String,
    pub(super) why: String,
}

impl InService {
    /// Brings HAProxy to the servers that were supplied, but for those that have to wait, which are given.
    /// `None` where it can be told of nobody: then it is as it was.
    pub(super) async fn bring<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        mut supplied: Supplied,
        listener: Option<u32>,
        memory: &mut State,
    ) -> Result<Option<Vec<Left>>> {
        let told_before = memory.told;
        let mut left = Vec::new();
        let mut resting = HashSet::new();
        while !supplied.all.is_empty() {
            let (untold, mut others) = match self.put(host, supplied, listener, memory).await? {
                Put::Done(how) => {
                    tell_servers_alone(&how);
                    break;
                }
                Put::Elsewhere => return Ok(None),
                Put::Untold(untold, others) => (untold, others),
            };
            let Some((Resupply { before, .. }, texts)) = others.take(&untold) else {
                return Ok(None);
            };
            // Its text is no longer what would be written of the service.
            self.inexact.insert(before.owner.clone());
            if resting.insert(before.name.clone()) {
                left.push(Left {
                    section: before.name.clone(),
                    why: untold.why,
                });
                let (was, wanted) = texts;
                // Who lacks a slot waits, and not whoever gets one that is left.
                let fewer = diff::within_slots(&was, &wanted);
                let rests = || diff::resting_but_those_of(&was, &wanted);
                let told: Arc<str> = fewer.unwrap_or_else(rests).into();
                // Of a part it may have been told already.
                if told != was || !untold.is_at_once {
                    let same = Resupply {
                        after: Arc::clone(&before),
                        before,
                    };
                    others.all.push((same, (was, told)));
                }
            }
            for (resupply, texts) in &others.all {
                self.swap(resupply, texts);
            }
            supplied = others;
        }
        if self.is_told {
            return Ok(Some(left));
        }
        let Some(pid) = listener else {
            return Ok(Some(left));
        };
        // Of the file it was told by sections alone, and what it has of the others is yet to be found out.
        memory.told = told_before;
        let mut but = BTreeSet::new();
        loop {
            let told = host.tell_all_but(pid, &self.files.cfg, &but, memory).await;
            let Err(Untold { section, why, .. }) = told else {
                self.is_told = true;
                return Ok(Some(left));
            };
            let Some(section) = section.filter(|name| but.insert(name.clone())) else {
                return Ok(None);
            };
            if !left.iter().any(|left| left.section == section) {
                left.push(Left { section, why });
            }
        }
    }

    /// In words.
    pub(super) fn warning(&self, Left { section, why }: Left) -> Warning {
        let mut services = self.services.values();
        let owner = services.find(|service| service.name == section);
        let owner = owner.map(|service| &service.owner);
        Warning {
            app: owner.map(|owner| owner.app.clone()),
            subject: owner.map_or_else(
                || format!("backend `{section}`"),
                |owner| format!("service port {}", owner.service_port),
            ),
            found: format!("servers of which HAProxy cannot be told: {why}"),
            expected: "what can be told while the rest of the file has to wait".to_owned(),
            effect: "those that came wait with the rest, and those that went get no requests"
                .to_owned(),
        }
    }
}

impl Supplied {
    /// Takes out the one that is in the way.
    fn take(&mut self, untold: &Untold) -> Option<(Resupply, Texts)> {
        let name = untold.section.as_ref()?;
        let mut all = self.all.iter();
        let place = all.position(|(resupply, _)| resupply.before.name == *name)?;
        Some(self.all.remove(place))
    }
}
