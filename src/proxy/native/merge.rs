//! Several apps as one service, split by weight: a canary beside what is stable.
//!
//! Those that name one `MERGE` are merged: hosts and paths of all of them, and the service port of
//! the first by app id, lead to the servers of all. The service ports of the others still lead to
//! these alone.
//!
//! Only apps of one folder are merged, since whoever may change one of them may change all; what an
//! app elsewhere says changes nothing for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::Owner;
use super::super::marathon_lb::{Server, Service};
use super::super::server_id::ServerIds;
use super::label;
use super::share::{Given, Miss, Wanted, missed, percent, split};
use crate::cluster::Warning;

/// Who serves instead of whom.
pub(super) type Leaders = BTreeMap<Owner, Arc<Service>>;

/// Gives the first of each group, in the order of `services`, the servers of all. Whoever is
/// protected in another way than the first is served on its own.
pub(super) fn merge(services: &mut [Arc<Service>], warnings: &mut Vec<Warning>) -> Leaders {
    let mut names: BTreeMap<&str, BTreeMap<&str, Vec<&Arc<Service>>>> = BTreeMap::new();
    for service in &*services {
        if let Some(name) = service.options.merge() {
            let folders = names.entry(name).or_default();
            let group = folders.entry(service.owner.app.folder()).or_default();
            group.push(service);
        }
    }
    let mut leaders = Leaders::new();
    for (name, folders) in &names {
        for group in folders.values() {
            let group = alike(name, group, warnings);
            if group.len() > 1 {
                let first = Arc::new(Service {
                    servers: servers(&group, warnings),
                    ..Service::clone(group[0])
                });
                let owners = group.iter().map(|service| service.owner.clone());
                leaders.extend(owners.map(|owner| (owner, Arc::clone(&first))));
            }
        }
    }
    for service in services {
        if let Some(first) = leaders.get(&service.owner)
            && first.owner == service.owner
        {
            *service = Arc::clone(first);
        }
    }
    leaders
}

/// The first, and those who are protected as it is.
fn alike<'s>(
    name: &str,
    group: &[&'s Arc<Service>],
    warnings: &mut Vec<Warning>,
) -> Vec<&'s Arc<Service>> {
    let first = group[0];
    let mut alike = group.to_vec();
    alike.retain(|service| {
        let Some(differs) = difference(service, first) else {
            return true;
        };
        let Owner { app, service_port } = &first.owner;
        let found = format!(
            "another {differs} than app `{app}`, service port {service_port}, the first of `{}`",
            name.escape_debug()
        );
        let own = service.owner.service_port;
        let effect = format!("not merged: service port {own} is served on its own");
        warnings.push(label(service, "MERGE", &found, "the same", &effect));
        false
    });
    alike
}

/// What requests to the one would find otherwise than requests to the first.
fn difference(service: &Service, first: &Service) -> Option<&'static str> {
    let (one, other) = (&service.options, &first.options);
    let differs = [
        ("MODE", service.mode != first.mode),
        ("AUTH", one.auth != other.auth),
        (
            "BACKEND_NETWORK_ALLOWED_ACL",
            one.networks_allowed != other.networks_allowed,
        ),
        (
            "REDIRECT_TO_HTTPS",
            one.redirect_to_https != other.redirect_to_https,
        ),
        ("USE_HSTS", one.use_hsts != other.use_hsts),
    ];
    let mut differs = differs.into_iter().filter(|(_, differs)| *differs);
    differs.next().map(|(name, _)| name)
}

/// Of all of the group. The share of an app is what its label says, however many tasks it has.
fn servers(group: &[&Arc<Service>], warnings: &mut Vec<Warning>) -> Vec<Server> {
    let mut seen = BTreeSet::new();
    // A place that two apps have would be one server twice, of which HAProxy may complain.
    let own: Vec<Vec<&Server>> = group
        .iter()
        .map(|service| {
            let servers = service.servers.iter();
            servers.filter(|s| seen.insert(&s.name)).collect()
        })
        .collect();
    let wanted: Vec<Wanted> = group
        .iter()
        .zip(&own)
        .map(|(service, servers)| Wanted {
            weight: super::tuning::weight(service),
            servers: servers.iter().filter(|s| !s.draining).count() as u64,
        })
        .collect();
    let given = split(&wanted);
    warnings.extend(of_shares(group, &wanted, &given));
    let mut all: Vec<Server> = Vec::new();
    for (servers, given) in own.iter().zip(given) {
        let mut left = given.servers;
        for server in servers {
            let takes_part = server.draining || left > 0;
            if !server.draining {
                left = left.saturating_sub(1);
            }
            all.push(Server {
                weight: Some(if takes_part { given.weight } else { 0 }),
                ..Server::clone(server)
            });
        }
    }
    let mut ids = ServerIds::with_capacity(all.len());
    for server in &mut all {
        server.id = ids.assign(&server.name);
    }
    all
}

/// Who gets another share than its label says.
fn of_shares(group: &[&Arc<Service>], wanted: &[Wanted], given: &[Given]) -> Vec<Warning> {
    let first = group[0];
    let Owner { app, service_port } = &first.owner;
    let is_served = wanted.iter().any(|wanted| wanted.servers > 0);
    if is_served && given.iter().all(|given| given.weight == 0) {
        let found = "0, as of all apps that it is merged with and that have tasks";
        let effect = "none of their tasks gets requests as one of them";
        let expected = "a share above 0 of one of them";
        return vec![label(first, "WEIGHT", found, expected, effect)];
    }
    let misses = group.iter().zip(missed(wanted, given));
    let told = misses.filter_map(|(service, miss)| {
        let Miss { wanted, real } = miss?;
        let found = format!(
            "a share of {} of the requests to app `{app}`, service port {service_port}",
            percent(wanted)
        );
        let expected = "one that weights from 0 to 256 of each server can give";
        let effect = format!("it gets {}", percent(real));
        Some(label(service, "WEIGHT", &found, expected, &effect))
    });
    told.collect()
}

#[cfg(test)]
mod tests;
