//! What is held back, until when, and why.
//!
//! An answer that would take away most of what is served is more often a Marathon that has lost its
//! memory than a cluster that was emptied. So such removals wait until several fetches agree on
//! them, or until somebody allows them; all other changes of the same answer go through.

mod installed;
mod losses;
mod lost;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use installed::served;
pub use lost::with_lost_apps;

use self::losses::{Key, Losses, OwnedLoss, addresses, key};
use crate::cluster::{Endpoint, Host, ServicePort};
use crate::state::{GuardMemory, Time};

/// Losing fewer service ports or servers than this is an everyday thing, whatever the share.
const FEW: usize = 3;

/// That many fetches have to agree on a removal.
pub const AGREEING_FETCHES: u32 = 3;

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
    pub agreeing: u32,
}

/// A part of a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How many are lost.
    pub lost: usize,
    /// How many there were.
    pub of: usize,
}

impl Share {
    fn is_most(self) -> bool {
        self.lost >= FEW && self.lost * 2 > self.of
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            service_ports,
            servers,
            agreeing,
        } = self;
        write!(
            f,
            "the answer lacks {} of {} service ports and {} of {} servers in service, which stay \
             until {AGREEING_FETCHES} fetches at least {} s apart agree ({agreeing} so far) or \
             --allow-removal is given",
            service_ports.lost,
            service_ports.of,
            servers.lost,
            servers.of,
            APART.as_secs(),
        )
    }
}

/// Puts back into `fresh` what it lacks of `served`, when that is most of it and too few fetches
/// agree; `memory` counts them.
#[must_use]
pub fn hold(
    served: &[ServicePort],
    fresh: Vec<ServicePort>,
    memory: &mut GuardMemory,
    now: Time,
) -> (Vec<ServicePort>, Option<Held>) {
    let losses = Losses::of(served, &fresh);
    let service_ports = Share {
        lost: losses.service_ports(),
        of: served.len(),
    };
    let servers = Share {
        lost: losses.servers(),
        of: served.iter().map(|port| port.endpoints.len()).sum(),
    };
    if !service_ports.is_most() && !servers.is_most() {
        *memory = GuardMemory::default();
        return (fresh, None);
    }
    let agreeing = count(memory, losses.fingerprint(), now);
    if agreeing >= AGREEING_FETCHES {
        *memory = GuardMemory::default();
        return (fresh, None);
    }
    let lost = losses.owned();
    (
        put_back(fresh, lost),
        Some(Held {
            service_ports,
            servers,
            agreeing,
        }),
    )
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

fn count(memory: &mut GuardMemory, fingerprint: String, now: Time) -> u32 {
    if memory.fingerprint.as_ref() != Some(&fingerprint) {
        *memory = GuardMemory {
            agreeing_fetches: 1,
            first_at: Some(now),
            last_at: Some(now),
            fingerprint: Some(fingerprint),
        };
    } else if memory.last_at.is_none_or(|last| now.since(last) >= APART) {
        memory.agreeing_fetches += 1;
        memory.last_at = Some(now);
    } else if memory.last_at.is_some_and(|last| now < last) {
        // The clock was set back; waiting for it to catch up could take for ever.
        memory.last_at = Some(now);
    }
    memory.agreeing_fetches
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
