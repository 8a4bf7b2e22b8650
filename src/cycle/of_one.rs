//! One app alone, for a turn in which nothing but servers changed: what it has is worked out as if
//! there were no other.

use std::sync::Arc;

use super::drained::drain;
use super::fallback::Fallback;
use super::labelled::Labelled;
use super::recipe::At;
use super::servers::Doubt;
use super::wanted::Wanted;
use crate::cluster::{App, Host as Address, ServicePort, Warning, needs_auto_ports};
use crate::config::Names;
use crate::proxy::marathon_lb::Service;
use crate::resolve::{Lookup, Resolver};
use crate::state::{Drained, ReadinessMemory, Time};

/// What one app has, as if there were no other.
pub(super) struct OfOne {
    pub(super) services: Vec<Service>,
    pub(super) warnings: Vec<Warning>,
}

impl Labelled {
    /// What becomes of an app has to be told by it alone.
    pub(super) fn stands_alone(&self, app: &App) -> Result<(), Doubt> {
        if app.labels.contains_key("HAPROXY_DEPLOYMENT_GROUP") {
            return Err(Doubt("the app is a part of a deployment"));
        }
        if self.selection.auto_ports.is_some() && needs_auto_ports(app) {
            return Err(Doubt("service ports are given in the order of all apps"));
        }
        Ok(())
    }

    /// The service ports of an app that are asked for.
    pub(super) fn services_of<L: Lookup>(
        &mut self,
        app: &Arc<App>,
        fallback: &mut Fallback,
        resolver: Option<&(Resolver<L>, Names)>,
        (now, drained): (Time, &[Drained]),
    ) -> Result<OfOne, Doubt> {
        let mut warnings = Vec::new();
        // Nothing was said of the readiness of its tasks, and what was of others is to stay.
        let at = &mut At {
            now,
            readiness: &mut ReadinessMemory::default(),
            drained,
        };
        let mut wanted = self.select(std::slice::from_ref(app), at, fallback, &mut warnings);
        if !fallback.is_empty() {
            return Err(Doubt("the app is served as it was before"));
        }
        if let Some((resolver, names)) = resolver {
            resolved(&mut wanted.ports, resolver, *names)?;
            drain(&mut wanted.ports, drained);
        }
        let Wanted { ports, said, .. } = &wanted;
        let service = |port: &ServicePort| {
            let is_idle = port.endpoints.is_empty();
            self.service(port, said.as_ref()?).filter(|_| !is_idle)
        };
        let services: Option<Vec<Service>> = ports.iter().map(service).collect();
        Ok(OfOne {
            services: services.ok_or(Doubt("a service has, or had, no servers"))?,
            warnings,
        })
    }
}

/// Addresses in the place of names.
fn resolved<L: Lookup>(
    ports: &mut [ServicePort],
    resolver: &Resolver<L>,
    names: Names,
) -> Result<(), Doubt> {
    for endpoint in ports.iter_mut().flat_map(|port| &mut port.endpoints) {
        let Address::Name(name) = &endpoint.host else {
            continue;
        };
        if names == Names::Keep {
            return Err(Doubt("names stand in the file"));
        }
        let host = resolver.host(name, names);
        endpoint.host = host.ok_or(Doubt("a name of an agent is new"))?;
    }
    Ok(())
}
