//! What is held back, until when, and why.
//!
//! An answer that would take away most of what is served is more often a Marathon that has lost its
//! memory than a cluster that was emptied. So such removals wait until several fetches agree on
//! them, or until somebody allows them; all other changes of the same answer go through.

mod installed;
mod lost;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

pub use installed::served;
pub use lost::with_lost_apps;

use crate::cluster::{Endpoint, Host, ServicePort};
use crate::disk::Digest;
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

/// The app's name as sections carry it, and its service port: an installed file does not tell `/`
/// from `_`.
type Key = (String, u32);
type Address<'a> = (&'a Host, u16);

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

/// What `fresh` lacks, by service port.
struct Losses<'a>(BTreeMap<Key, Loss<'a>>);

enum Loss<'a> {
    /// The whole service port.
    Whole(&'a ServicePort),
    /// It has fewer servers than before, and these are not among them. A server that another took
    /// the place of is not lost.
    Servers { net: usize, gone: Vec<&'a Endpoint> },
}

impl<'a> Losses<'a> {
    fn of(served: &'a [ServicePort], fresh: &[ServicePort]) -> Self {
        let mut now: BTreeMap<Key, BTreeSet<Address<'_>>> = BTreeMap::new();
        for port in fresh {
            now.entry(key(port)).or_default().extend(addresses(port));
        }
        let mut losses = BTreeMap::new();
        for port in served {
            let key = key(port);
            let Some(present) = now.get(&key) else {
                losses.insert(key, Loss::Whole(port));
                continue;
            };
            let net = port.endpoints.len().saturating_sub(present.len());
            if net == 0 {
                continue;
            }
            let gone = port
                .endpoints
                .iter()
                .filter(|e| !present.contains(&(&e.host, e.port)));
            losses.insert(
                key,
                Loss::Servers {
                    net,
                    gone: gone.collect(),
                },
            );
        }
        Self(losses)
    }

    fn service_ports(&self) -> usize {
        self.0
            .values()
            .filter(|loss| matches!(loss, Loss::Whole(_)))
            .count()
    }

    fn servers(&self) -> usize {
        let lost = |loss: &Loss<'_>| match loss {
            Loss::Whole(port) => port.endpoints.len(),
            Loss::Servers { net, .. } => *net,
        };
        self.0.values().map(lost).sum()
    }

    /// Equal for fetches that lack the same.
    fn fingerprint(&self) -> String {
        let mut parts = Vec::new();
        for ((name, service_port), loss) in &self.0 {
            parts.push(format!("{name}:{service_port}"));
            if let Loss::Servers { gone, .. } = loss {
                parts.extend(
                    gone.iter()
                        .map(|endpoint| format!("{}:{}", endpoint.host, endpoint.port)),
                );
            }
        }
        Digest::of(parts.join(" ").as_bytes()).short(16)
    }

    fn owned(self) -> Vec<(Key, OwnedLoss)> {
        let owned = |(key, loss): (Key, Loss<'_>)| {
            let loss = match loss {
                Loss::Whole(port) => OwnedLoss::Whole(port.clone()),
                Loss::Servers { gone, .. } => {
                    OwnedLoss::Servers(gone.into_iter().cloned().collect())
                }
            };
            (key, loss)
        };
        self.0.into_iter().map(owned).collect()
    }
}

enum OwnedLoss {
    Whole(ServicePort),
    Servers(Vec<Endpoint>),
}

fn key(port: &ServicePort) -> Key {
    (port.app.safe_path(), port.service_port)
}

fn addresses(port: &ServicePort) -> impl Iterator<Item = Address<'_>> {
    port.endpoints
        .iter()
        .map(|endpoint| (&endpoint.host, endpoint.port))
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
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::cluster::AppId;

    fn at(seconds: u64) -> Time {
        Time::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds))
    }

    /// On an agent of its own.
    fn port(app: &str, servers: std::ops::Range<u16>) -> ServicePort {
        port_on(&format!("agent-{app}"), app, servers)
    }

    fn port_on(host: &str, app: &str, servers: std::ops::Range<u16>) -> ServicePort {
        let endpoint = |number| Endpoint {
            host: Host::new(host),
            port: number,
            task: "".into(),
            draining: false,
        };
        ServicePort {
            app: AppId::new(app),
            index: 0,
            service_port: 80,
            last_config_change_at: None,
            endpoints: servers.map(endpoint).collect(),
        }
    }

    fn ports(names: &str) -> Vec<ServicePort> {
        names
            .chars()
            .map(|name| port(&name.to_string(), 1..3))
            .collect()
    }

    fn shape(ports: &[ServicePort]) -> String {
        let mut shape: Vec<_> = ports
            .iter()
            .map(|p| format!("{}{}", &p.app.as_str()[1..], p.endpoints.len()))
            .collect();
        shape.sort();
        shape.join(" ")
    }

    #[test]
    fn only_the_loss_of_most_is_held() {
        let cases = [
            ("abcdef", "def", false, "half is not most"),
            ("abcdef", "ef", true, "four of six"),
            ("abcdef", "", true, "an empty answer"),
            ("ab", "", true, "two service ports, but four servers"),
            ("a", "", false, "two servers are few"),
            ("abc", "xyz", true, "others in their place are no excuse"),
            ("", "abc", false, "nothing was served"),
        ];
        for (served, fresh, held, why) in cases {
            let mut memory = GuardMemory::default();
            let (out, got) = hold(&ports(served), ports(fresh), &mut memory, at(0));
            assert_eq!(got.is_some(), held, "{why}");
            assert_eq!(memory.agreeing_fetches, u32::from(held), "{why}");
            for port in ports(served) {
                assert!(!held || out.contains(&port), "{why}");
            }
            for port in ports(fresh) {
                assert!(out.contains(&port), "{why}: what is there goes through");
            }
        }
    }

    #[test]
    fn lost_servers_stay_beside_those_that_came() {
        let served = [port("a", 1..11), port("b", 1..3)];
        let fresh = vec![port("a", 9..12), port("b", 3..6)];
        let (out, held) = hold(&served, fresh, &mut GuardMemory::default(), at(0));
        let held = held.unwrap();
        assert_eq!((held.servers.lost, held.servers.of), (7, 12));
        assert_eq!(
            shape(&out),
            "a11 b3",
            "b grew, so that nothing of it is lost"
        );
    }

    #[test]
    fn a_rolling_replacement_is_no_loss() {
        let (out, held) = hold(
            &[port("a", 1..11)],
            vec![port("a", 21..31)],
            &mut GuardMemory::default(),
            at(0),
        );
        assert_eq!((shape(&out).as_str(), held), ("a10", None));
    }

    #[test]
    fn three_fetches_apart_that_agree_release() {
        let mut memory = GuardMemory::default();
        let served = ports("abcd");
        let mut held = |names, seconds| {
            let (out, held) = hold(&served, ports(names), &mut memory, at(seconds));
            (shape(&out), held.map(|held| held.agreeing))
        };
        let all = "a2 b2 c2 d2".to_owned();
        assert_eq!(held("a", 0), (all.clone(), Some(1)));
        assert_eq!(held("a", 9), (all.clone(), Some(1)), "too close to count");
        assert_eq!(held("a", 10), (all.clone(), Some(2)));
        assert_eq!(held("b", 20), (all.clone(), Some(1)), "they do not agree");
        assert_eq!(held("b", 30), (all.clone(), Some(2)));
        assert_eq!(held("b", 40), ("b2".to_owned(), None));
        assert_eq!(
            held("a", 50),
            (all, Some(1)),
            "nothing is left of the earlier count"
        );
    }

    #[test]
    fn an_address_that_another_app_has_by_now_is_not_put_back() {
        let port = |app, servers| port_on("agent", app, servers);
        let served = [port("a", 1..5), port("b", 11..15), port("c", 21..25)];
        let fresh = vec![port("c", 1..4)];
        let (out, held) = hold(&served, fresh, &mut GuardMemory::default(), at(0));
        assert!(held.is_some());
        assert_eq!(shape(&out), "a1 b4 c7");
        let mut addresses: Vec<_> = out.iter().flat_map(addresses).collect();
        let all = addresses.len();
        addresses.sort();
        addresses.dedup();
        assert_eq!(
            addresses.len(),
            all,
            "nobody's clients reach another's task"
        );
    }

    #[test]
    fn a_good_answer_between_starts_the_count_anew() {
        let mut memory = GuardMemory::default();
        let served = ports("abcd");
        for (names, seconds) in [("a", 0), ("a", 10), ("abcd", 20)] {
            let _ = hold(&served, ports(names), &mut memory, at(seconds));
        }
        assert_eq!(memory, GuardMemory::default());
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_hold_for_ever() {
        let mut memory = GuardMemory::default();
        let served = ports("abcd");
        let mut fetch = |seconds| hold(&served, vec![], &mut memory, at(seconds)).1.is_some();
        assert!(fetch(900_000));
        assert!(fetch(0));
        assert!(fetch(10));
        assert!(!fetch(20));
    }
}
