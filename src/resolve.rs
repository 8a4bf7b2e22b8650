//! Host names to addresses: the only place that asks DNS.
//!
//! A name that no longer resolves keeps its last known address, since a DNS fault is no reason to
//! take a working server out. A name that never resolved is left out: HAProxy would refuse the
//! whole file for it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::cluster::{AppId, Host, ServicePort, Warning};
use crate::config::Names;

/// For all names of one turn together.
const LIMIT: Duration = Duration::from_secs(5);

/// Each lookup holds a thread.
const AT_ONCE: usize = 64;

/// So many names are told one by one. More of them are one fault, that of DNS.
const MOST_TOLD: usize = 10;

/// Asks for the addresses of a name.
pub trait Lookup {
    /// All addresses of `name`, in any order.
    fn lookup(&self, name: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static;
}

/// The resolver of this host.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Lookup for System {
    fn lookup(&self, name: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static {
        let name = name.to_owned();
        async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        }
    }
}

/// Names and what is known of them.
#[derive(Debug)]
pub struct Resolver<L> {
    lookup: L,
    known: BTreeMap<Box<str>, IpAddr>,
    /// Names that the last service ports had no more, and what is served still has: a removal that is
    /// held brings them back, and so does a turn that comes to nothing.
    dropped: BTreeMap<Box<str>, IpAddr>,
    /// Names that are known from earlier and no longer resolve.
    stale: BTreeSet<Box<str>>,
    /// Whether the last service ports had names at all.
    uses_names: bool,
}

impl<L: Lookup> Resolver<L> {
    /// Starts from what an earlier run has learnt.
    pub fn new(lookup: L, known: BTreeMap<Box<str>, IpAddr>) -> Self {
        Self {
            lookup,
            known,
            dropped: BTreeMap::new(),
            stale: BTreeSet::new(),
            uses_names: false,
        }
    }

    /// Names in use and their addresses, to be remembered.
    pub fn known(&self) -> &BTreeMap<Box<str>, IpAddr> {
        &self.known
    }

    /// Goes on remembering names that the last service ports had no more: what they stood for is
    /// still served.
    pub fn keep_dropped(&mut self) {
        for (name, address) in std::mem::take(&mut self.dropped) {
            self.known.entry(name).or_insert(address);
        }
    }

    /// The last service ports are what is served.
    pub fn forget_dropped(&mut self) {
        self.dropped.clear();
    }

    /// Whether the last service ports had names, known or not: then the same answer of Marathon may
    /// lead to other servers.
    pub fn uses_names(&self) -> bool {
        self.uses_names
    }

    /// Resolves the names in `ports` and takes out the endpoints whose names never did.
    pub async fn resolve(&mut self, ports: &mut [ServicePort], names: Names) -> Vec<Warning> {
        let asked: BTreeSet<Box<str>> = hosts(ports)
            .filter_map(|(_, host)| match host {
                Host::Name(name) => Some(name.clone()),
                Host::Ip(_) | Host::Resolved { .. } => None,
            })
            .collect();
        let mut all = std::mem::take(&mut self.dropped);
        all.append(&mut self.known);
        for (name, address) in all {
            let names = if asked.contains(&name) {
                &mut self.known
            } else {
                &mut self.dropped
            };
            names.insert(name, address);
        }
        self.uses_names = !asked.is_empty();
        self.stale.clear();
        let (mut stale_ones, mut unknown_ones) = (Vec::new(), Vec::new());
        for (name, error) in self.ask(asked).await {
            match self.known.get(&name) {
                Some(address) => {
                    stale_ones.push(stale(&name, &error, *address));
                    self.stale.insert(name);
                }
                None => unknown_ones.push(unknown(&name, &error, &users(ports, &name))),
            }
        }
        let mut warnings = in_short(stale_ones, "their last known addresses stay in use");
        warnings.extend(in_short(unknown_ones, "their servers left out"));
        for port in ports {
            port.endpoints.retain_mut(|endpoint| {
                let Host::Name(name) = &endpoint.host else {
                    return true;
                };
                let host = self.host(name, names);
                let is_known = host.is_some();
                endpoint.host = host.unwrap_or_else(|| endpoint.host.clone());
                is_known
            });
        }
        warnings
    }

    /// What stands in the file for a name, as far as it is known without asking.
    #[must_use]
    pub fn host(&self, name: &str, names: Names) -> Option<Host> {
        let address = *self.known.get(name)?;
        Some(match names {
            Names::Keep => Host::Name(name.into()),
            Names::Numeric => Host::Ip(address),
            Names::Beside => Host::Resolved {
                name: name.into(),
                address,
            },
        })
    }

    /// Puts addresses in the place of names that were kept and no longer resolve, and says whether
    /// there were any. HAProxy refuses a file that holds such a name, and with it every change to
    /// the rest of the file; a file that runs already needs no other.
    pub fn replace_stale(&self, ports: &mut [ServicePort]) -> bool {
        let mut any = false;
        for port in ports {
            let mut replaced = false;
            for endpoint in &mut port.endpoints {
                if let Host::Name(name) = &endpoint.host
                    && self.stale.contains(name)
                    && let Some(&address) = self.known.get(name)
                {
                    endpoint.host = Host::Ip(address);
                    replaced = true;
                }
            }
            if replaced {
                // The removal guard may have put the same server back by its address.
                let mut seen = BTreeSet::new();
                port.endpoints
                    .retain(|e| seen.insert((e.host.clone(), e.port)));
                any = true;
            }
        }
        any
    }

    /// Learns the addresses of all `names` and gives back those without an answer, by name.
    async fn ask(&mut self, names: BTreeSet<Box<str>>) -> BTreeMap<Box<str>, io::Error> {
        let deadline = Instant::now() + LIMIT;
        let mut failed = BTreeMap::new();
        let mut running = JoinSet::new();
        let mut waiting = names.into_iter();
        loop {
            while running.len() < AT_ONCE
                && let Some(name) = waiting.next()
            {
                let answer = self.lookup.lookup(&name);
                running.spawn(async move {
                    let answer = match timeout_at(deadline, answer).await {
                        Ok(answer) => answer,
                        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
                    };
                    (name, answer)
                });
            }
            let Some(done) = running.join_next().await else {
                return failed;
            };
            let (name, answer) = done.expect("a lookup neither panics nor is cancelled");
            match answer.map(preferred) {
                Ok(Some(address)) => {
                    self.known.insert(name, address);
                }
                Ok(None) => {
                    failed.insert(name, io::Error::other("it has no address"));
                }
                Err(error) => {
                    failed.insert(name, error);
                }
            }
        }
    }
}

/// The same for every host and every order of answers: the smallest IPv4 address, else the
/// smallest IPv6 address.
fn preferred(addresses: Vec<IpAddr>) -> Option<IpAddr> {
    addresses.into_iter().min()
}

fn hosts(ports: &[ServicePort]) -> impl Iterator<Item = (&AppId, &Host)> {
    ports
        .iter()
        .flat_map(|port| port.endpoints.iter().map(|e| (&port.app, &e.host)))
}

fn users(ports: &[ServicePort], name: &str) -> Vec<AppId> {
    let matches = |host: &Host| matches!(host, Host::Name(own) if **own == *name);
    hosts(ports)
        .filter(|(_, host)| matches(host))
        .map(|(app, _)| app.clone())
        .collect()
}

fn stale(name: &str, error: &io::Error, address: IpAddr) -> Warning {
    warning(
        name,
        error,
        format!("its last known address {address} stays in use"),
    )
}

fn unknown(name: &str, error: &io::Error, users: &[AppId]) -> Warning {
    let apps: BTreeSet<_> = users.iter().map(|app| format!("`{app}`")).collect();
    let apps: Vec<_> = apps.into_iter().collect();
    let servers = if users.len() == 1 {
        "1 server".to_owned()
    } else {
        format!("{} servers", users.len())
    };
    warning(
        name,
        error,
        format!("{servers} of {} left out", apps.join(", ")),
    )
}

/// One in the place of many, in words that stay the same while another name comes or goes.
fn in_short(warnings: Vec<Warning>, effect: &str) -> Vec<Warning> {
    let Some(first) = warnings.first().filter(|_| MOST_TOLD < warnings.len()) else {
        return warnings;
    };
    for warning in &warnings {
        debug!("{warning}");
    }
    vec![Warning {
        app: None,
        subject: format!("{} and at least {MOST_TOLD} others", first.subject),
        found: first.found.clone(),
        expected: "names that resolve".to_owned(),
        effect: effect.to_owned(),
    }]
}

fn warning(name: &str, error: &io::Error, effect: String) -> Warning {
    Warning {
        app: None,
        subject: format!("host `{}`", name.escape_default()),
        found: format!("no address ({error})"),
        expected: "a name that resolves".to_owned(),
        effect,
    }
}

#[cfg(test)]
mod tests;
