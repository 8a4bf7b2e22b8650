//! Those who had to give way to others on a port, and get it back where these fall out themselves.
//!
//! Who holds a port is settled before HAProxy is asked. A label that opens port 443 and then turns out to
//! be one that HAProxy refuses would otherwise have cost the app that wanted the port a turn.

use super::fallback::Place;
use super::plan::Draft;
use super::wanted::{Spoken, effect};
use crate::cluster::{ServicePort, Warning};
use crate::proxy::{Owner, is_incumbent};
use crate::state::Quarantined;

/// A service port of theirs.
#[derive(Clone, Debug)]
struct Before {
    place: Place,
    service_port: u32,
    spoken: Option<Spoken>,
    entry: Option<Quarantined>,
}

/// One of them, and what it was before.
#[derive(Clone, Debug)]
pub(super) struct Displaced {
    owner: Owner,
    ports: Vec<Before>,
    /// What was told of its app.
    told: Vec<Warning>,
}

impl Draft {
    /// As they are now, before they give way.
    pub(super) fn before_displacing(&self, owners: &[(Owner, Warning)]) -> Vec<Displaced> {
        let said = self.wanted.said.as_ref();
        let before = |(owner, _): &(Owner, Warning)| {
            let own = self.wanted.ports.iter().filter(|port| owner.owns(port));
            let ports = own.map(|port| {
                let place = (port.app.clone(), port.index);
                let spoken = said.and_then(|said| said.options.get(&place)).cloned();
                let entry = self.fallback.entry(&place).cloned();
                Before {
                    place,
                    service_port: port.service_port,
                    spoken,
                    entry,
                }
            });
            Displaced {
                owner: owner.clone(),
                ports: ports.collect(),
                told: self.told_of(owner).cloned().collect(),
            }
        };
        owners.iter().map(before).collect()
    }

    /// What was told of what becomes of a service port.
    fn told_of(&self, owner: &Owner) -> impl Iterator<Item = &Warning> {
        self.warnings.iter().filter(|warning| is_of(warning, owner))
    }

    /// Whether that is a service port of somebody who gave way. An installed file tells of apps by the
    /// names of sections.
    pub(super) fn gave_way(&self, served: &ServicePort) -> bool {
        let mut displaced = self.displaced.iter();
        displaced.any(|own| is_incumbent(&own.owner.app, Some(&served.app)))
    }

    /// Has those who gave way ask once more, since somebody falls out. Who is among the `culprits` was
    /// refused for something else too.
    pub(super) fn give_back(&mut self, culprits: &[Owner], refused: &mut Vec<Owner>) {
        self.displaced.retain(|own| !culprits.contains(&own.owner));
        // One can have given way twice; what it first was counts.
        let displaced = std::mem::take(&mut self.displaced).into_iter().rev();
        for Displaced { owner, ports, told } in displaced {
            for before in ports {
                let Before {
                    place,
                    service_port,
                    spoken,
                    entry,
                } = before;
                let mut all = self.wanted.ports.iter_mut();
                if let Some(port) = all.find(|port| (&port.app, port.index) == (&place.0, place.1))
                {
                    port.service_port = service_port;
                }
                self.fallback.put_back(&place, entry);
                if let Some((said, spoken)) = self.wanted.said.as_mut().zip(spoken) {
                    said.options.insert(place, spoken);
                }
            }
            refused.retain(|own| *own != owner);
            self.warnings.retain(|warning| !is_of(warning, &owner));
            self.warnings.extend(told);
        }
    }
}

/// Whether it says what becomes of that service port.
fn is_of(warning: &Warning, owner: &Owner) -> bool {
    let says = |is_kept| warning.effect == effect(owner.service_port, is_kept);
    warning.app.as_ref() == Some(&owner.app) && (says(true) || says(false))
}
