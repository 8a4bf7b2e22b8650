//! Who serves where several apps are one service, while only servers can be changed.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::in_service::InService;
use crate::proxy::Owner;
use crate::proxy::marathon_lb::{Server, Service};

/// The servers of a service that stands for its group in what is in service; `None` where it does not, or
/// nobody of its group is wanted. The plan has arranged the group as it is now, with its weights; who left
/// it is still led to here.
pub(super) fn of_group(
    in_service: &InService,
    service: &Service,
    wanted: &[Arc<Service>],
) -> Option<Vec<Server>> {
    let name = service.options.merge()?;
    let folder = service.owner.app.folder();
    let is_member = |other: &&Arc<Service>| {
        other.options.merge() == Some(name) && other.owner.app.folder() == folder
    };
    let served = in_service.services.values().filter(is_member);
    let served: BTreeSet<&Owner> = served.map(|member| &member.owner).collect();
    if served.len() < 2 || served.first() != Some(&&service.owner) {
        return None;
    }
    let first = wanted.iter().filter(is_member).min_by_key(|s| &s.owner);
    let left = wanted
        .iter()
        .filter(|other| served.contains(&other.owner) && !is_member(other));
    let weights = service.servers.iter().filter_map(|server| server.weight);
    let most = weights.max();
    let of_left = left.flat_map(|other| &other.servers).map(|server| {
        let mut known = service.servers.iter();
        let known = known.find(|known| known.name == server.name);
        Server {
            weight: known.map_or(most, |known| known.weight),
            ..server.clone()
        }
    });
    let own = first.into_iter().flat_map(|first| &first.servers).cloned();
    let mut names = HashSet::new();
    let all = own.chain(of_left);
    let all: Vec<Server> = all
        .filter(|server| names.insert(server.name.clone()))
        .collect();
    (!all.is_empty()).then_some(all)
}
