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

    /// Whether that is a service port of somebody who gave way, as it asked for it or as it has it now. An
    /// installed file tells of apps by the names of sections.
    pub(super) fn gave_way(&self, served: &ServicePort) -> bool {
        let mut all = self.displaced.iter().flat_map(|own| &own.ports);
        all.any(
            |Before {
                 place,
                 service_port,
                 ..
             }| {
                let is_number = || {
                    let now = self.at(place).map(|port| port.service_port);
                    [Some(*service_port), now].contains(&Some(served.service_port))
                };
                is_incumbent(&place.0, Some(&served.app)) && is_number()
            },
        )
    }

    /// The service port at a place, as it is now.
    fn at(&self, place: &Place) -> Option<&ServicePort> {
        let mut all = self.wanted.ports.iter();
        all.find(|port| (&port.app, port.index) == (&place.0, place.1))
    }

    /// Has those who gave way ask once more, since somebody falls out. Who is among the `culprits` was
    /// refused for something else too.
    pub(super) fn give_back(&mut self, culprits: &[Owner], refused: &mut Vec<Owner>) {
        let mut displaced = std::mem::take(&mut self.displaced);
        // What serves them in the place of what they say can have another number.
        displaced.retain(|own| {
            let mut now = own.ports.iter().filter_map(|before| self.at(&before.place));
            !now.any(|port| culprits.iter().any(|culprit| culprit.owns(port)))
        });
        // One can have given way twice; what it first was counts.
        let displaced = displaced.into_iter().rev();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::AppId;

    fn port(index: usize, service_port: u32) -> ServicePort {
        ServicePort {
            app: AppId::new("/a"),
            index,
            service_port,
            last_config_change_at: None,
            endpoints: Vec::new(),
        }
    }

    fn owner(service_port: u32) -> Owner {
        Owner {
            app: AppId::new("/a"),
            service_port,
        }
    }

    /// Of an app with two, the first of which is served on another port since it gave way.
    fn displaced() -> Draft {
        let mut draft = Draft::default();
        draft.wanted.ports = vec![port(0, 443), port(1, 8080)];
        let why = Warning {
            app: None,
            subject: String::new(),
            found: String::new(),
            expected: String::new(),
            effect: String::new(),
        };
        draft.displaced = draft.before_displacing(&[(owner(443), why)]);
        draft.wanted.ports[0].service_port = 10_000;
        draft
    }

    #[test]
    fn who_gave_way_on_one_port_did_not_on_the_others() {
        let draft = displaced();
        let served = [443, 10_000, 8080].map(|number| draft.gave_way(&port(0, number)));
        assert_eq!(served, [true, true, false]);
    }

    #[test]
    fn who_is_refused_on_the_port_that_it_has_now_gets_none_back() {
        for (culprit, back) in [(10_000, 10_000), (8080, 443)] {
            let mut draft = displaced();
            draft.give_back(&[owner(culprit)], &mut Vec::new());
            assert_eq!(draft.wanted.ports[0].service_port, back, "{culprit}");
            assert!(draft.displaced.is_empty());
        }
    }
}
