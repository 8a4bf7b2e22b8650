//! Of two services that claim one port, one is served: HAProxy accepts both and hands connections
//! to either at random.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Service;
use crate::cluster::{AppId, Warning};
use crate::proxy::{clash, precedence};

/// Who holds a port.
pub type Incumbents = BTreeMap<u32, AppId>;

/// Takes out the weaker of services that cannot both be in the file.
pub(in crate::proxy) fn settle(
    services: Vec<Arc<Service>>,
    incumbents: &Incumbents,
) -> (Vec<Arc<Service>>, Vec<Warning>) {
    let mut by_port: BTreeMap<u32, Vec<Arc<Service>>> = BTreeMap::new();
    for service in services {
        by_port
            .entry(service.owner.service_port)
            .or_default()
            .push(service);
    }
    let mut kept = Vec::new();
    let mut warnings = Vec::new();
    for (port, mut claims) in by_port {
        let incumbent = incumbents.get(&port);
        claims.sort_by(|one, other| rank(one, incumbent).cmp(&rank(other, incumbent)));
        let mut winners: Vec<Arc<Service>> = Vec::new();
        for claim in claims {
            match winners.iter().find(|winner| collide(winner, &claim)) {
                Some(winner) => warnings.push(clash(&claim.owner, &winner.owner)),
                None => winners.push(claim),
            }
        }
        kept.append(&mut winners);
    }
    (kept, warnings)
}

fn rank<'a>(claim: &'a Service, incumbent: Option<&AppId>) -> impl Ord + use<'a> {
    let date = claim.last_config_change_at.as_deref();
    precedence(&claim.owner.app, date, incumbent)
}

/// On addresses that differ, one port can be held by several.
fn collide(one: &Service, other: &Service) -> bool {
    one.name == other.name || share_an_address(one.bind_addr(), other.bind_addr())
}

/// Whether a connection to one address can be meant for the other.
#[must_use]
pub fn share_an_address(one: &str, other: &str) -> bool {
    one == other || is_any(one) || is_any(other)
}

fn is_any(address: &str) -> bool {
    matches!(
        address,
        "*" | "" | "0.0.0.0" | "::" | "[::]" | "ipv4@" | "ipv6@"
    )
}
