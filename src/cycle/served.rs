//! What a plan serves, and who holds which port, host and path before it and after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Plan;
use crate::cluster::{AppId, Endpoint, Host, ServicePort};
use crate::diff::Outline;
use crate::proxy::marathon_lb::Service;
use crate::proxy::native::{AllSlots, Slots, slot_of};
use crate::proxy::{Holders, Incumbents, Owner, is_incumbent};
use crate::state::State;

/// Who holds a port is what the installed file says: a run that was killed had no time to remember
/// it. Ports that the file lacks are held by whom we remember.
///
/// In which slot somebody is, and that alone, is read from the installed `cfg`: where HAProxy does not
/// run that, it has to read the next one whoever is where.
pub(super) fn incumbents(memory: &State, served: &[ServicePort], cfg: Option<&str>) -> Incumbents {
    let mut service_ports = memory.incumbents.clone();
    let installed = served
        .iter()
        .map(|port| (port.service_port, port.app.clone()));
    service_ports.extend(installed);
    Incumbents {
        service_ports,
        places: memory.places.clone(),
        certificates: memory.certificates.clone(),
        slots: Arc::new(slots_in(cfg.unwrap_or_default())),
    }
}

/// Who is in which slot of a file.
fn slots_in(cfg: &str) -> AllSlots {
    let mut all = AllSlots::new();
    // Most files have none, and need not be read for it.
    if !cfg.contains("server slot_") {
        return all;
    }
    for section in Outline::of(cfg).sections() {
        let slots: Slots = section
            .servers
            .iter()
            .filter_map(|line| slot_of(line))
            .collect();
        if let Some(name) = section.backend()
            && !slots.is_empty()
        {
            all.insert(name.into(), slots);
        }
    }
    all
}

impl Plan {
    /// The service ports that it serves, as an installed file tells of them: by address alone.
    pub(super) fn dialled(&self) -> Vec<ServicePort> {
        let services = self.proxies.services().iter();
        let port = |service: &Arc<Service>| ServicePort {
            app: service.owner.app.clone(),
            index: service.index,
            service_port: service.owner.service_port,
            last_config_change_at: None,
            endpoints: service
                .servers
                .iter()
                .map(|server| Endpoint {
                    host: Host::new(&server.address),
                    port: server.port,
                    task: "".into(),
                    draining: server.draining,
                })
                .collect(),
        };
        services.map(port).collect()
    }

    /// Who has which service port, once this is installed; also where nobody serves it for the moment.
    pub(super) fn port_holders(&self) -> BTreeMap<u32, AppId> {
        // Those with a name may share their number with one that listens there, whose port it is.
        let services = self.proxies.services().iter();
        let named = services.filter(|service| service.has_name());
        let unnamed = self.proxies.unnamed();
        let own = named.map(|service| &service.owner).chain(unnamed);
        let mut holders: BTreeMap<u32, AppId> = own
            .map(|owner| (owner.service_port, owner.app.clone()))
            .collect();
        let before = &self.draft.incumbents.service_ports;
        for port in &self.draft.wanted.absent {
            if is_incumbent(&port.app, before.get(&port.service_port)) {
                let holder = holders.entry(port.service_port);
                holder.or_insert_with(|| port.app.clone());
            }
        }
        holders
    }

    /// Who has which host and path, once this is installed. One who is not served for the moment,
    /// though its app is to have tasks, has what it had `before`.
    pub(super) fn holders(&self, before: &Holders) -> Holders {
        let Some(native) = &self.proxies.native else {
            return Holders::new();
        };
        let mut holders = native.holders.clone();
        let mut served: BTreeSet<_> = self.proxies.owners().map(|owner| &owner.app).collect();
        // What these hold is known already.
        served.extend(self.draft.wanted.absent.iter().map(|port| &port.app));
        let apps = self.draft.wanted.apps.iter();
        let absent = apps.filter(|app| app.instances > 0 && !served.contains(&app.id));
        let absent: BTreeSet<_> = absent.map(|app| &app.id).collect();
        for (place, app) in before {
            if absent.contains(app) {
                holders.insert(place.clone(), app.clone());
            }
        }
        holders
    }

    /// Those of `served` that it goes on to serve: by number, whoever listens there now; where nobody
    /// does, the number is a name beside that of the app.
    pub(super) fn serves(&self, served: &[ServicePort]) -> Vec<ServicePort> {
        let (listening, led) = self.listening_and_led();
        let numbers: BTreeSet<u32> = listening.iter().map(|owner| owner.service_port).collect();
        let is_own =
            |port: &&ServicePort| numbers.contains(&port.service_port) || leads_to(&led, port);
        served.iter().filter(is_own).cloned().collect()
    }

    /// Those to whom names alone lead.
    pub(super) fn led(&self) -> BTreeSet<(String, u32)> {
        self.listening_and_led().1
    }

    /// Who listens, and to whom names alone lead, as an installed file tells of apps.
    fn listening_and_led(&self) -> (BTreeSet<&Owner>, BTreeSet<(String, u32)>) {
        let listening = self.listening().into_iter().map(|(owner, _)| owner);
        let listening: BTreeSet<&Owner> = listening.collect();
        let led = self.proxies.owners().filter(|own| !listening.contains(own));
        let led = led.map(|own| (own.app.safe_path(), own.service_port));
        let led = led.collect();
        (listening, led)
    }
}

/// Whether that is one of those to whom names alone lead.
pub(super) fn leads_to(led: &BTreeSet<(String, u32)>, port: &ServicePort) -> bool {
    led.contains(&(port.app.safe_path(), port.service_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_a_backend_are_found_whether_or_not_it_takes_all_from_a_profile() {
        let slot = "server slot_1 10.0.0.1:80 id 1";
        for title in ["backend a_1", "backend a_1 from profile-0f"] {
            let found = slots_in(&format!("{title}\n  {slot}\n"));
            assert!(found.contains_key("a_1"), "{title}: {found:?}");
        }
    }
}
