//! Who waits where HAProxy may not open as many files as all would need.
//!
//! A limit of the host is nobody's fault. Whoever is served goes on to be, and of those who are new the
//! last to come wait, as few as make room for the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::super::plan::Plan;
use crate::apply::validate::Shortage;
use crate::cluster::{AppId, Warning};
use crate::haproxy::listen;
use crate::proxy::Owner;

/// Beside its listeners HAProxy opens files of its own, and two for each connection: one that could just
/// listen would serve nobody.
const ROOM: usize = 100;

/// What one app adds to the installed file.
#[derive(Default)]
struct Added<'p> {
    listeners: usize,
    owners: BTreeSet<&'p Owner>,
}

impl Plan {
    /// Those without whom HAProxy has files enough; nobody where it lacks more than all that is new.
    pub(super) fn added_last(
        &self,
        shortage: &Shortage,
        installed: Option<&str>,
    ) -> Vec<(Owner, Warning)> {
        let added = self.added(installed);
        let all = added.values().map(|app| app.listeners).sum::<usize>();
        if all < shortage.lacking {
            return Vec::new();
        }
        let room = if shortage.is_of_sockets { ROOM } else { 0 };
        let apps: Vec<_> = added.iter().map(|(id, app)| (*id, app.listeners)).collect();
        let waiting = waiting(
            &self.youngest_first(apps),
            (shortage.lacking + room).min(all),
        );
        let of_app = |app: &AppId| {
            let added = &added[app];
            let warned = |owner: &&Owner| ((*owner).clone(), warning(owner, added, shortage));
            added.owners.iter().map(warned).collect::<Vec<_>>()
        };
        waiting.into_iter().flat_map(of_app).collect()
    }

    fn added(&self, installed: Option<&str>) -> BTreeMap<&AppId, Added<'_>> {
        let before = listen::ports(installed.unwrap_or_default());
        let mut added: BTreeMap<&AppId, Added<'_>> = BTreeMap::new();
        for (owner, own) in self.owned_binds() {
            if !before.contains(&own.at.port()) && !self.refused.contains(owner) {
                let app = added.entry(&owner.app).or_default();
                app.listeners += 1;
                app.owners.insert(owner);
            }
        }
        added
    }

    /// As for who was first on a port: without a date an app counts as the last to come.
    fn youngest_first<'p>(&self, mut apps: Vec<(&'p AppId, usize)>) -> Vec<(&'p AppId, usize)> {
        let ports = self.draft.wanted.ports.iter();
        let changed: BTreeMap<&AppId, &str> = ports
            .filter_map(|port| Some((&port.app, port.last_config_change_at.as_deref()?)))
            .collect();
        apps.sort_by_key(|(app, _)| {
            let changed = changed.get(app);
            Reverse((changed.is_none(), changed.copied(), *app))
        });
        apps
    }
}

/// Of `apps` the first, until they make up `needed`; without those that the others make up for.
fn waiting<'p>(apps: &[(&'p AppId, usize)], needed: usize) -> Vec<&'p AppId> {
    let mut sum = 0;
    let mut waiting = Vec::new();
    for (app, listeners) in apps {
        if needed <= sum {
            break;
        }
        sum += listeners;
        waiting.push((*app, *listeners));
    }
    // The last to come is the last to be let in.
    for index in (0..waiting.len()).rev() {
        if needed <= sum - waiting[index].1 {
            sum -= waiting.remove(index).1;
        }
    }
    waiting.into_iter().map(|(app, _)| app).collect()
}

fn warning(owner: &Owner, added: &Added<'_>, shortage: &Shortage) -> Warning {
    Warning {
        app: Some(owner.app.clone()),
        subject: format!("service port {}", owner.service_port),
        found: format!("what HAProxy does not start with: {}", shortage.words),
        expected: format!(
            "fewer than the {} listeners that this app, one of the last to come, adds, or a higher \
             limit of open files",
            added.listeners
        ),
        effect: "service port left out".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_to_come_wait_and_nobody_for_whom_there_is_room() {
        let ids: Vec<AppId> = ["/a", "/b", "/c", "/d"].map(AppId::new).into();
        for (listeners, needed, want) in [
            // Youngest first.
            (vec![10, 10, 10, 10], 15, vec!["/a", "/b"]),
            (vec![1, 300, 10, 10], 200, vec!["/b"]),
            (vec![1, 1, 300, 10], 2, vec!["/a", "/b"]),
            (vec![1, 50, 300, 10], 340, vec!["/b", "/c"]),
            (vec![10, 1, 20, 10], 30, vec!["/a", "/c"]),
            (vec![10, 10, 10, 10], 40, vec!["/a", "/b", "/c", "/d"]),
            (vec![5], 1, vec!["/a"]),
        ] {
            let apps: Vec<_> = ids.iter().zip(listeners.iter().copied()).collect();
            let found = waiting(&apps, needed);
            let found: Vec<&str> = found.into_iter().map(AppId::as_str).collect();
            assert_eq!(found, want, "{listeners:?} {needed}");
        }
    }
}
