//! The apps that ask for more open files than what is installed has, by age, and for whom there is room.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::super::plan::Plan;
use crate::cluster::{AppId, ServicePort, Warning};
use crate::haproxy::listen::{self, Listener};
use crate::haproxy::open_files::Reading;
use crate::proxy::Owner;

/// What of one app is not installed.
#[derive(Debug)]
pub(super) struct Asking<'p> {
    pub(super) app: &'p AppId,
    /// Its service ports.
    pub(super) owners: BTreeSet<&'p Owner>,
    /// How many files HAProxy opens for them.
    pub(super) files: usize,
}

impl Asking<'_> {
    pub(super) fn subject(&self) -> String {
        let mut numbers = self.owners.iter().map(|owner| owner.service_port);
        let first = numbers.next().expect("one that asks has a service port");
        match numbers.len() {
            0 => format!("service port {first}"),
            more => format!("service port {first} and {more} more"),
        }
    }

    pub(super) fn extent(&self) -> &'static str {
        if self.owners.len() == 1 {
            "service port"
        } else {
            "all of these"
        }
    }

    /// For one that comes once what goes is closed.
    pub(super) fn is_next(&self, most: usize) -> Warning {
        Warning {
            app: Some(self.app.clone()),
            subject: self.subject(),
            found: format!(
                "HAProxy may open {most} files, too few for the listeners that go and those that come at \
                 once"
            ),
            expected: "a higher limit, or one reload after the other".to_owned(),
            effect: format!("{} left out until the next reload", self.extent()),
        }
    }
}

/// Of apps that ask for so many files each, in the order in which they are let in: those for whom there
/// is no room.
pub(super) fn without_room(sizes: impl Iterator<Item = usize>, mut room: usize) -> Vec<usize> {
    let mut waiting = Vec::new();
    for (at, files) in sizes.enumerate() {
        match room.checked_sub(files) {
            Some(left) => room = left,
            None => waiting.push(at),
        }
    }
    waiting
}

impl Plan {
    /// Who asks for more than is installed, in the order in which they are let in.
    /// Who is `served` by the installed file goes on to be: one who gives up service ports has others in
    /// their place.
    pub(super) fn asking(
        &self,
        installed: Option<&str>,
        served_ports: &[ServicePort],
    ) -> Vec<Asking<'_>> {
        let installed = installed.unwrap_or_default();
        let before = listen::ports(installed);
        let lines: HashSet<&str> = installed.lines().collect();
        let mut held = Held::by(served_ports);
        let mut reading = Reading::default();
        let mut new: BTreeMap<&AppId, Asking<'_>> = BTreeMap::new();
        let mut served = BTreeSet::new();
        let mut sizes: BTreeMap<&Owner, usize> = BTreeMap::new();
        for chunk in self.rendered.chunks() {
            let files = reading.read(&chunk.text).files();
            let Some(owner) = &chunk.owner else { continue };
            let size = sizes.entry(owner).or_default();
            *size = size.saturating_add(files);
            let is_served = held.is_served(owner);
            if is_served.unwrap_or_else(|| is_of(&lines, &before, &chunk.text)) {
                served.insert(owner);
            }
        }
        for owner in &served {
            held.keep(owner);
        }
        for owner in sizes.keys() {
            if !served.contains(owner) && held.exchange(owner) {
                served.insert(owner);
            }
        }
        let served_apps: BTreeSet<&AppId> = served.iter().map(|owner| &owner.app).collect();
        for (owner, files) in sizes {
            if files > 0 && !served.contains(owner) {
                ask(&mut new, owner, files);
            }
        }
        self.in_order(new, &served_apps)
    }

    /// The same by listeners alone, beside those of `old`. Whoever has one of these keeps it.
    pub(super) fn asking_beside(&self, old: &BTreeSet<Listener>) -> Vec<Asking<'_>> {
        let before: BTreeSet<u16> = old.iter().map(|own| own.at.port()).collect();
        let binds = || self.owned_binds();
        let served = binds().filter(|(_, own)| before.contains(&own.at.port()));
        let served: BTreeSet<&Owner> = served.map(|(owner, _)| owner).collect();
        let served_apps = served.iter().map(|owner| &owner.app).collect();
        let mut new: BTreeMap<&AppId, Asking<'_>> = BTreeMap::new();
        for (owner, _) in binds().filter(|(owner, _)| !served.contains(owner)) {
            ask(&mut new, owner, 1);
        }
        self.in_order(new, &served_apps)
    }

    /// Whoever is served in part, then by age: as for who was first on a port, an app without a date
    /// counts as the last to come.
    fn in_order<'p>(
        &'p self,
        asking: BTreeMap<&'p AppId, Asking<'p>>,
        served: &BTreeSet<&AppId>,
    ) -> Vec<Asking<'p>> {
        let ports = self.draft.wanted.ports.iter();
        let changed: BTreeMap<&AppId, &str> = ports
            .filter_map(|port| Some((&port.app, port.last_config_change_at.as_deref()?)))
            .collect();
        let mut asking: Vec<_> = asking.into_values().collect();
        asking.sort_by_key(|own| {
            let changed = changed.get(own.app).copied();
            (
                !served.contains(own.app),
                changed.is_none(),
                changed,
                own.app,
            )
        });
        asking
    }
}

/// Which service ports the installed file has.
struct Held {
    /// By the names that apps have in sections.
    of_apps: BTreeMap<String, BTreeSet<u32>>,
    numbers: BTreeSet<u32>,
}

impl Held {
    fn by(served: &[ServicePort]) -> Self {
        let mut of_apps: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        for port in served {
            let own = of_apps.entry(port.app.safe_path()).or_default();
            own.insert(port.service_port);
        }
        let numbers = served.iter().map(|port| port.service_port).collect();
        Self { of_apps, numbers }
    }

    /// Nothing where nobody is known to have the number.
    fn is_served(&self, owner: &Owner) -> Option<bool> {
        let own = self.of_apps.get(&owner.app.safe_path());
        let is_held = self.numbers.contains(&owner.service_port);
        is_held.then(|| own.is_some_and(|own| own.contains(&owner.service_port)))
    }

    /// What is kept is not given up.
    fn keep(&mut self, owner: &Owner) {
        if let Some(own) = self.of_apps.get_mut(&owner.app.safe_path()) {
            own.remove(&owner.service_port);
        }
    }

    /// Takes one that its app gives up for this.
    fn exchange(&mut self, owner: &Owner) -> bool {
        let own = self.of_apps.get_mut(&owner.app.safe_path());
        own.is_some_and(|own| own.pop_first().is_some())
    }
}

fn ask<'p>(asking: &mut BTreeMap<&'p AppId, Asking<'p>>, owner: &'p Owner, files: usize) {
    let own = asking.entry(&owner.app).or_insert_with(|| Asking {
        app: &owner.app,
        owners: BTreeSet::new(),
        files: 0,
    });
    own.files = own.files.saturating_add(files);
    own.owners.insert(owner);
}

/// Whether sections of one service are installed: one of its ports is, or its first line where it has
/// none.
fn is_of(installed: &HashSet<&str>, before: &BTreeSet<u16>, text: &str) -> bool {
    let own = listen::ports(text);
    if own.is_empty() {
        let first = text.lines().find(|line| !line.trim().is_empty());
        return first.is_some_and(|first| installed.contains(first));
    }
    !own.is_disjoint(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_to_come_wait_and_nobody_for_whom_there_is_room() {
        for (sizes, room, want) in [
            // Oldest first.
            (vec![10, 10, 10, 10], 25, vec![2, 3]),
            (vec![10, 300, 10, 1], 100, vec![1]),
            (vec![10, 10], 20, vec![]),
            (vec![10, 11, 10], 20, vec![1]),
            (vec![5], 0, vec![0]),
        ] {
            assert_eq!(
                without_room(sizes.iter().copied(), room),
                want,
                "{sizes:?} {room}"
            );
        }
    }
}
