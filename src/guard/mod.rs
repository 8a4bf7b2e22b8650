//! What is held back, until when, and why.
//!
//! An answer that would take away most of what is served is more often a Marathon that has lost its
//! memory than a cluster that was emptied. So such removals wait until several fetches agree on
//! them, or until somebody allows them; all other changes of the same answer go through.

mod installed;
mod losses;
mod lost;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

pub use installed::{Proxy, proxies, served};
pub use lost::with_lost_apps;

use self::losses::{Key, Losses, OwnedLoss, addresses, distinct, key};
use crate::cluster::{Endpoint, Host, ServicePort};
use crate::state::{Fetch, GuardMemory, Time};

/// Losing fewer service ports or servers than this is an everyday thing, whatever the share.
const FEW: usize = 3;

/// That many fetches have to agree on a removal.
pub const AGREEING_FETCHES: usize = 3;

/// Fetches that follow closer than this count as one.
pub const APART: Duration = Duration::from_secs(10);

/// A removal that is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Service ports that the answer lacks, and how many are served.
    pub service_ports: Share,
    /// Servers that the answer lacks, and how many are served.
    pub servers: Share,
    /// Fetches that agree so far, this one included.
    pub agreeing: usize,
    /// Apps of which something is held, as sections carry their names.
    pub apps: BTreeSet<String>,
}

/// A part of a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How many are lost.
    pub lost: usize,
    /// How many there were.
    pub of: usize,
}

/// Whether the loss of so many servers is one that is held.
#[must_use]
pub fn holds(lost: usize, of: usize) -> bool {
    Share { lost, of }.is_most()
}

impl Share {
    fn is_most(self) -> bool {
        self.lost >= FEW && self.lost * 2 > self.of
    }
}

impl Held {
    fn of(losses: &Losses<'_>, served: &[ServicePort], agreeing: usize) -> Self {
        Self {
            service_ports: service_ports(losses, served),
            servers: servers(losses, served),
            agreeing,
            apps: losses.apps(),
        }
    }
}

impl Held {
    /// The same where what is lacking cannot be put back beside the rest.
    #[must_use]
    pub fn keeping_all(&self) -> String {
        format!(
            "{}, which cannot be served beside what is new, for their apps have other ports there or \
             the answer of which the installed file was made is not kept: nothing at all is applied, \
             tasks of other apps included, {}",
            self.lacking(),
            self.until()
        )
    }

    fn lacking(&self) -> String {
        let Self {
            service_ports,
            servers,
            ..
        } = self;
        format!(
            "the answer lacks {} of {} service ports and {} of {} servers in service",
            service_ports.lost, service_ports.of, servers.lost, servers.of,
        )
    }

    fn until(&self) -> String {
        format!(
            "until {AGREEING_FETCHES} fetches at least {} s apart agree ({} so far) or \
             --allow-removal is given",
            APART.as_secs(),
            self.agreeing,
        )
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, which stay {}", self.lacking(), self.until())
    }
}

/// Puts back into `fresh` what it lacks of `served`, when that is most of it and too few fetches
/// agree; `memory` counts them. It goes on to know them when enough agree, for as long as what they
/// lack is served: what is let go may fail to be applied.
#[must_use]
pub fn hold(
    served: &[ServicePort],
    fresh: Vec<ServicePort>,
    memory: &mut GuardMemory,
    now: Time,
) -> (Vec<ServicePort>, Option<Held>) {
    let losses = Losses::of(served, &fresh);
    if !is_most(&losses, served) {
        *memory = GuardMemory::default();
        return (fresh, None);
    }
    count(&mut memory.fetches, &losses, served, now);
    let agreeing = memory.fetches.len();
    if agreeing < AGREEING_FETCHES {
        let held = Held::of(&losses, served, agreeing);
        return (put_back(fresh, losses.owned()), Some(held));
    }
    // What all of them lack goes. What only the last of them lack is judged beside what is left.
    let agreed = losses.agreed_by_all(&memory.fetches);
    let left = losses::without(served, &agreed.lacking());
    let rest = Losses::of(&left, &fresh);
    if !is_most(&rest, &left) {
        return (fresh, None);
    }
    let held = Held::of(&rest, &left, agreeing_on(&memory.fetches, &rest, &left));
    (put_back(fresh, rest.owned()), Some(held))
}

/// The service ports, each server in one of them only: one that serves several, as the apps of a
/// canary do for the first of them, counts for the smallest.
#[must_use]
pub fn once(mut ports: Vec<ServicePort>) -> Vec<ServicePort> {
    let mut smallest: BTreeMap<(Host, u16), (usize, Key)> = BTreeMap::new();
    for port in &ports {
        let claim = (port.endpoints.len(), key(port));
        for (host, number) in addresses(port) {
            let holder = smallest.entry((host.clone(), number));
            let holder = holder.or_insert_with(|| claim.clone());
            if claim < *holder {
                holder.clone_from(&claim);
            }
        }
    }
    for port in &mut ports {
        let own = key(port);
        port.endpoints.retain(|endpoint| {
            let holder = smallest.get(&(endpoint.host.clone(), endpoint.port));
            holder.is_none_or(|(_, holder)| *holder == own)
        });
    }
    ports
}

/// Whether `left` lacks most of the `served` service ports or servers.
#[must_use]
pub fn loses_most(served: &[ServicePort], left: &[ServicePort]) -> bool {
    is_most(&Losses::of(served, left), served)
}

fn is_most(losses: &Losses<'_>, served: &[ServicePort]) -> bool {
    service_ports(losses, served).is_most() || servers(losses, served).is_most()
}

fn service_ports(losses: &Losses<'_>, served: &[ServicePort]) -> Share {
    Share {
        lost: losses.service_ports(),
        of: served.len(),
    }
}

fn servers(losses: &Losses<'_>, served: &[ServicePort]) -> Share {
    Share {
        lost: losses.servers(),
        of: served.iter().map(|port| distinct(&port.endpoints)).sum(),
    }
}

/// What is served where HAProxy may still run a file `behind` the installed one: all of either,
/// with those of the installed file last. Of a section that both have, the one with more servers.
#[must_use]
pub fn with_those_behind(
    mut installed: Vec<ServicePort>,
    behind: Option<Vec<ServicePort>>,
) -> Vec<ServicePort> {
    let positions: BTreeMap<Key, usize> = installed.iter().map(key).zip(0..).collect();
    let mut served = Vec::new();
    for port in behind.into_iter().flatten() {
        match positions.get(&key(&port)) {
            None => served.push(port),
            Some(&at) if installed[at].endpoints.len() < port.endpoints.len() => {
                installed[at] = port;
            }
            Some(_) => (),
        }
    }
    served.append(&mut installed);
    served
}

/// Adds a fetch to those that agree, and forgets those that do not. They agree on what all of them
/// lack, where that is most of what is served: a cluster goes on changing while a removal is held,
/// and what else comes and goes meanwhile says nothing against it.
fn count(fetches: &mut Vec<Fetch>, losses: &Losses<'_>, served: &[ServicePort], now: Time) {
    match fetches.last_mut() {
        Some(last) if last.at <= now && now.since(last.at) < APART => {
            last.lacking = losses.agreed(&last.lacking).lacking();
        }
        last => {
            // A clock that was set back counts from here; to wait for it could take for ever.
            let is_back = last.is_some_and(|last| now < last.at);
            if is_back {
                fetches.pop();
            }
            fetches.push(Fetch {
                at: now,
                lacking: losses.lacking(),
            });
        }
    }
    let agreeing = agreeing_on(fetches, losses, served).min(AGREEING_FETCHES);
    fetches.drain(..fetches.len() - agreeing);
    if fetches.is_empty() {
        fetches.push(Fetch {
            at: now,
            lacking: losses.lacking(),
        });
    }
}

/// How many of the latest fetches agree on most of the losses.
fn agreeing_on(fetches: &[Fetch], losses: &Losses<'_>, served: &[ServicePort]) -> usize {
    let mut agreed = losses.clone();
    let latest = fetches.iter().rev();
    latest
        .take_while(|fetch| {
            agreed = agreed.agreed(&fetch.lacking);
            is_most(&agreed, served)
        })
        .count()
}

/// An address that a task of another app has by now is not put back: it would send the clients of
/// one app to the other.
fn put_back(mut fresh: Vec<ServicePort>, lost: Vec<(Key, OwnedLoss)>) -> Vec<ServicePort> {
    let mut holders: BTreeMap<(Host, u16), String> = BTreeMap::new();
    for port in &fresh {
        for (host, number) in addresses(port) {
            holders.insert((host.clone(), number), port.app.safe_path());
        }
    }
    let is_free = |(section, _): &Key, endpoint: &Endpoint| {
        let holder = holders.get(&(endpoint.host.clone(), endpoint.port));
        holder.is_none_or(|holder| holder == section)
    };
    let positions: BTreeMap<Key, usize> = fresh.iter().map(key).zip(0..).collect();
    for (key, loss) in lost {
        match loss {
            OwnedLoss::Whole(mut port) => {
                port.endpoints.retain(|endpoint| is_free(&key, endpoint));
                fresh.push(port);
            }
            OwnedLoss::Servers(gone) => {
                let free = gone.into_iter().filter(|endpoint| is_free(&key, endpoint));
                fresh[positions[&key]].endpoints.extend(free);
            }
        }
    }
    fresh
}

#[cfg(test)]
mod tests;
