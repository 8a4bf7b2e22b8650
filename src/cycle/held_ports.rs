//! Service ports on which another program of this host listens, or at addresses that it has not.
//!
//! `haproxy -c` does not try to listen, and a reload that fails for it costs the old listeners a
//! moment in which they refuse connections. So what is new is tried before, and stays out for as
//! long as it is held.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use anyhow::Result;

use super::Stages;
use super::plan::Plan;
use super::source::Source;
use crate::apply::{Balancer, Host};
use crate::cluster::Warning;
use crate::haproxy::listen;
use crate::proxy::Owner;
use crate::resolve::Lookup;

impl<S: Source, L: Lookup> Stages<S, L> {
    /// The plan without the service ports that somebody else holds.
    pub(super) fn without_held_ports<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        mut plan: Plan,
        installed: Option<&str>,
    ) -> Result<Plan> {
        // Each round leaves out somebody, so that there is an end.
        while installed != Some(&*plan.files.cfg) {
            let addresses: BTreeSet<SocketAddr> = plan.owned_binds().map(|(_, at)| at).collect();
            let named = addresses.iter().map(SocketAddr::ip);
            let named = named.filter(|ip| !ip.is_unspecified() && !ip.is_loopback());
            let foreign = host.balancer.foreign(&named.collect(), host.at);
            let mut claims = plan.strays(&foreign);
            if claims.is_empty() {
                claims = plan.claims(&host.held_ports(addresses, installed));
            }
            if claims.is_empty() {
                break;
            }
            plan = self.draw_without(plan, claims, installed)?;
        }
        Ok(plan)
    }
}

impl Plan {
    /// Where sections of apps listen. The frame of the file is not theirs to answer for.
    fn owned_binds(&self) -> impl Iterator<Item = (&Owner, SocketAddr)> {
        let chunks = self.rendered.chunks().iter();
        let owned = chunks.filter_map(|chunk| Some((chunk.owner.as_ref()?, &chunk.text)));
        owned.flat_map(|(owner, text)| listen::addresses(text).map(move |at| (owner, at)))
    }

    /// Everybody who wants to listen at an address that this host does not have.
    fn strays(&self, foreign: &BTreeSet<IpAddr>) -> Vec<(Owner, Warning)> {
        let mut known = BTreeSet::new();
        let binds = self.owned_binds();
        let strays = binds.filter(|(owner, at)| {
            foreign.contains(&at.ip()) && !self.refused.contains(owner) && known.insert(*owner)
        });
        let warned = |(owner, at): (&Owner, SocketAddr)| {
            let warning = Warning {
                app: Some(owner.app.clone()),
                subject: format!("service port {}", owner.service_port),
                found: format!("`{}` is no address of this host", at.ip()),
                expected: "one at which HAProxy can listen".to_owned(),
                effect: "service port left out until it is".to_owned(),
            };
            (owner.clone(), warning)
        };
        strays.map(warned).collect()
    }

    /// Everybody who wants a port of `held`, also those who would only get it when another is out.
    fn claims(&self, held: &BTreeSet<u16>) -> Vec<(Owner, Warning)> {
        let binds = self
            .owned_binds()
            .filter(|(_, at)| held.contains(&at.port()));
        let mut claims: Vec<(Owner, u16)> = binds
            .map(|(owner, at)| (owner.clone(), at.port()))
            .collect();
        for port in &self.draft.wanted.ports {
            let number = u16::try_from(port.service_port).ok();
            if let Some(number) = number.filter(|number| held.contains(number)) {
                let owner = Owner {
                    app: port.app.clone(),
                    service_port: port.service_port,
                };
                claims.push((owner, number));
            }
        }
        let mut known = BTreeSet::new();
        claims.retain(|(owner, _)| !self.refused.contains(owner) && known.insert(owner.clone()));
        let warned = |(owner, number): (Owner, u16)| {
            let warning = warning(&owner, number);
            (owner, warning)
        };
        claims.into_iter().map(warned).collect()
    }
}

fn warning(owner: &Owner, number: u16) -> Warning {
    Warning {
        app: Some(owner.app.clone()),
        subject: format!("service port {}", owner.service_port),
        found: format!("port {number} is held by another process"),
        expected: "a port on which nobody listens".to_owned(),
        effect: "service port left out until it is free".to_owned(),
    }
}
