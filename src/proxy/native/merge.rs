//! Several apps as one service, split by weight: a canary beside what is stable.
//!
//! Those that name one `MERGE` are merged: hosts and paths of all of them, and the service port of
//! the first by app id, lead to the servers of all. The service ports of the others still lead to
//! these alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::Owner;
use super::super::marathon_lb::{Server, Service};
use super::super::server_id::ServerIds;
use crate::cluster::Warning;

/// HAProxy knows weights up to this.
const LARGEST: u64 = 256;

/// Who serves instead of whom.
pub(super) type Leaders = BTreeMap<Owner, Arc<Service>>;

/// Gives the first of each group, in the order of `services`, the servers of all. Whoever is
/// protected in another way than the first is not merged but refused.
pub(super) fn merge(
    services: &mut Vec<Arc<Service>>,
    refused: &mut Vec<(Owner, Warning)>,
) -> Leaders {
    let mut groups: BTreeMap<String, Vec<Arc<Service>>> = BTreeMap::new();
    services.retain(|service| {
        let Some(name) = name(service) else {
            return true;
        };
        let group = groups.entry(name.to_owned()).or_default();
        if let Some(first) = group.first()
            && let Some(fault) = fault(service, first)
        {
            refused.push((service.owner.clone(), fault));
            return false;
        }
        group.push(Arc::clone(service));
        true
    });
    let mut leaders = Leaders::new();
    for group in groups.into_values().filter(|group| group.len() > 1) {
        let first = Arc::new(Service {
            servers: servers(&group),
            ..Service::clone(&group[0])
        });
        for service in services.iter_mut() {
            if service.owner == first.owner {
                *service = Arc::clone(&first);
            }
        }
        leaders.extend(
            group
                .iter()
                .map(|service| (service.owner.clone(), Arc::clone(&first))),
        );
    }
    leaders
}

fn name(service: &Service) -> Option<&str> {
    let name = service.options.own.get("MERGE")?.trim();
    Some(name).filter(|name| !name.is_empty())
}

/// What requests to the one would find otherwise than requests to the first.
fn fault(service: &Service, first: &Service) -> Option<Warning> {
    let (one, other) = (&service.options, &first.options);
    let differs = if service.mode != first.mode {
        "MODE"
    } else if one.auth != other.auth {
        "AUTH"
    } else if one.networks_allowed != other.networks_allowed {
        "BACKEND_NETWORK_ALLOWED_ACL"
    } else if one.redirect_to_https != other.redirect_to_https {
        "REDIRECT_TO_HTTPS"
    } else {
        return None;
    };
    Some(Warning {
        app: Some(service.owner.app.clone()),
        subject: format!("label `HAPROXY_{}_MERGE`", service.index),
        found: format!(
            "another {differs} than app `{}`, service port {}, with which it is merged",
            first.owner.app, first.owner.service_port
        ),
        expected: "the same".to_owned(),
        effect: String::new(),
    })
}

/// The share of an app is what its label says, however many tasks it has.
fn servers(group: &[Arc<Service>]) -> Vec<Server> {
    struct Share {
        weight: u64,
        among: u64,
    }
    let share = |service: &Arc<Service>| Share {
        weight: super::tuning::weight(service),
        among: service
            .servers
            .iter()
            .filter(|s| !s.draining)
            .count()
            .max(1) as u64,
    };
    let shares: Vec<Share> = group.iter().map(share).collect();
    let compare =
        |one: &&Share, other: &&Share| (one.weight * other.among).cmp(&(other.weight * one.among));
    let most = shares.iter().max_by(compare);
    let scaled = |share: &Share| match most {
        Some(most) if share.weight > 0 => {
            let exact = share.weight * most.among * LARGEST;
            let whole = most.weight * share.among;
            ((exact + whole / 2) / whole).clamp(1, LARGEST)
        }
        _ => 0,
    };
    let mut all: Vec<Server> = Vec::new();
    for (service, share) in group.iter().zip(&shares) {
        let weight = u16::try_from(scaled(share)).unwrap_or(0);
        all.extend(service.servers.iter().map(|server| Server {
            weight: Some(weight),
            ..server.clone()
        }));
    }
    let mut ids = ServerIds::with_capacity(all.len());
    for server in &mut all {
        server.id = ids.assign(&server.name);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::native::fixtures::weighted;

    #[test]
    fn the_share_of_an_app_does_not_depend_on_the_number_of_its_tasks() {
        for (group, weights) in [
            (&[("1", 1), ("1", 1)][..], &[256, 256][..]),
            (&[("1", 1), ("1", 4)], &[256, 64, 64, 64, 64]),
            (&[("3", 1), ("1", 3)], &[256, 28, 28, 28]),
            (&[("1", 2), ("0", 1)], &[256, 256, 0]),
            (&[("0", 1), ("0", 1)], &[0, 0]),
            // Nobody with a share goes without.
            (&[("1000000", 1), ("1", 1)], &[256, 1]),
            (&[("7", 0), ("1", 1)], &[37]),
        ] {
            let group: Vec<_> = group
                .iter()
                .map(|(weight, tasks)| Arc::new(weighted(weight, *tasks)))
                .collect();
            let servers = servers(&group);
            let found: Vec<_> = servers.iter().filter_map(|server| server.weight).collect();
            assert_eq!(found, weights);
            let ids: std::collections::BTreeSet<u32> = servers.iter().map(|s| s.id).collect();
            assert_eq!(ids.len(), servers.len());
        }
    }
}
