//! What an operator wants to get no new requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::slice;

use serde::Serialize;

use super::fallback::apps_of;
use crate::cluster::{Endpoint, Host, ServicePort};
use crate::disk::Digest;
use crate::guard;
use crate::state::Drained;

/// Marks the servers concerned as those are that a deployment is about to end. Names of agents count
/// before they are resolved, and their addresses after that.
pub(super) fn drain(ports: &mut [ServicePort], drained: &[Drained]) {
    if drained.is_empty() {
        return;
    }
    for endpoint in ports.iter_mut().flat_map(|port| &mut port.endpoints) {
        endpoint.draining |= drained.iter().any(|entry| is_about(entry, endpoint));
    }
}

/// Takes out of `wanted` what rests, for lines that know no such servers; and out of what is `served`
/// too: it goes because an operator wants it, and is nothing that an answer lacks.
pub(super) fn take_out(
    wanted: &mut [ServicePort],
    served: &mut [ServicePort],
    drained: &[Drained],
) {
    let wanted_endpoints = wanted.iter().flat_map(|port| &port.endpoints);
    // Files do not tell which task a server is.
    let resting: BTreeSet<(Host, u16)> = wanted_endpoints
        .filter(|endpoint| endpoint.draining)
        .map(|endpoint| (endpoint.host.clone(), endpoint.port))
        .collect();
    drain(served, drained);
    let is_at_work = |endpoint: &Endpoint| {
        !endpoint.draining && !resting.contains(&(endpoint.host.clone(), endpoint.port))
    };
    for port in wanted.iter_mut().chain(served) {
        port.endpoints.retain(is_at_work);
    }
}

fn is_about(entry: &Drained, endpoint: &Endpoint) -> bool {
    let what = entry.what.as_str();
    let host = &endpoint.host;
    // Whichever of them is written in the file and in statistics.
    let is_host = |text: &str| {
        host.name()
            .is_some_and(|own| own.eq_ignore_ascii_case(text))
            || host.address().is_some_and(|own| text.parse() == Ok(own))
            || text == host.to_string()
    };
    let server = || {
        let (host, port) = what.rsplit_once(':')?;
        Some(port.parse() == Ok(endpoint.port) && is_host(host))
    };
    what == &*endpoint.task || is_host(what) || server().unwrap_or(false)
}

/// Of which servers that are known entries are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Meant {
    /// How many.
    pub servers: usize,
    /// Of which service ports.
    pub service_ports: BTreeSet<u32>,
    /// Those of them that no other server is left for, all entries taken together.
    pub without_any: BTreeSet<u32>,
}

impl Meant {
    /// By all of `drained` together, of the servers in `cfg`, an installed file.
    #[must_use]
    pub fn by(drained: &[Drained], cfg: &str, known: &Known) -> Self {
        Self::among(drained, &guard::served(cfg, ""), known)
    }

    /// The same of each of them by itself, but for what all of them leave.
    #[must_use]
    pub fn by_each(drained: &[Drained], cfg: &str, known: &Known) -> Vec<Self> {
        let served = guard::served(cfg, "");
        let without_any = Self::among(drained, &served, known).without_any;
        let entries = drained.iter().map(slice::from_ref);
        let meant = entries.map(|entry| Self::among(entry, &served, known));
        let together = meant.map(|meant| Self {
            without_any: meant
                .service_ports
                .intersection(&without_any)
                .copied()
                .collect(),
            ..meant
        });
        together.collect()
    }

    fn among(drained: &[Drained], served: &[ServicePort], known: &Known) -> Self {
        let mut meant = Self::default();
        for port in served {
            let is_meant = |endpoint: &&Endpoint| {
                let mut entries = drained.iter();
                entries.any(|entry| known.forms(endpoint).any(|form| is_about(entry, &form)))
            };
            let servers = port.endpoints.iter().filter(is_meant).count();
            if servers > 0 {
                meant.servers += servers;
                meant.service_ports.insert(port.service_port);
            }
            if servers > 0 && servers == port.endpoints.len() {
                meant.without_any.insert(port.service_port);
            }
        }
        meant
    }
}

/// How many of what.
impl fmt::Display for Meant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.servers {
            0 => return f.write_str("no server"),
            1 => f.write_str("1 server"),
            many => write!(f, "{many} servers"),
        }?;
        write!(f, " of {}", named(&self.service_ports))
    }
}

/// `service port 80`, `service ports 80, 81`.
#[must_use]
pub fn named(service_ports: &BTreeSet<u32>) -> String {
    const MOST: usize = 5;
    let mut all: Vec<String> = service_ports.iter().map(u32::to_string).collect();
    let more = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    let plural = if service_ports.len() == 1 { "" } else { "s" };
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("service port{plural} {}{more}", all.join(", "))
}

/// What a file does not say of its servers: how Marathon names them.
#[derive(Debug, Default)]
pub struct Known {
    names: BTreeMap<IpAddr, Vec<Box<str>>>,
    tasks: BTreeMap<(IpAddr, u16), Named>,
    /// With addresses of their own; the ports are those of their containers.
    alone: BTreeMap<IpAddr, Named>,
}

/// A task, and its agent.
#[derive(Clone, Debug)]
struct Named {
    task: Box<str>,
    host: Option<Box<str>>,
}

impl Known {
    /// From the addresses of names, and an answer of Marathon that was kept, where there is one.
    #[must_use]
    pub fn of(addresses: &BTreeMap<Box<str>, IpAddr>, answer: Option<&[u8]>) -> Self {
        let mut known = Self::default();
        for (name, address) in addresses {
            let names = known.names.entry(*address).or_default();
            names.push(name.clone());
        }
        let apps = answer.and_then(apps_of).unwrap_or_default();
        for task in apps.iter().flat_map(|app| &app.tasks) {
            let named = Named {
                task: task.id.clone(),
                host: task.host.clone(),
            };
            for address in &task.ip_addresses {
                known.alone.insert(*address, named.clone());
            }
            let address = task.host.as_ref().and_then(|host| match Host::new(host) {
                Host::Ip(address) => Some(address),
                _ => addresses.get(host).copied(),
            });
            for port in &task.ports {
                let place = address.map(|address| (address, *port));
                known
                    .tasks
                    .extend(place.map(|place| (place, named.clone())));
            }
        }
        known
    }

    /// A server of a file in all forms in which somebody may name it. Of one whose task is not known, as
    /// one that came only now, whatever agent has the address may be its own.
    fn forms(&self, endpoint: &Endpoint) -> impl Iterator<Item = Endpoint> {
        let mut forms = vec![endpoint.clone()];
        let at = |name: Box<str>, address| Endpoint {
            host: Host::Resolved { name, address },
            ..endpoint.clone()
        };
        if let Some(address) = endpoint.host.address() {
            let named = self.tasks.get(&(address, endpoint.port));
            match named.or_else(|| self.alone.get(&address)) {
                Some(Named { task, host }) => {
                    let host = host.clone().unwrap_or_default();
                    forms.push(Endpoint {
                        task: task.clone(),
                        ..at(host, address)
                    });
                }
                None => {
                    let known_as = self.names.get(&address).into_iter().flatten();
                    forms.extend(known_as.map(|name| at(name.clone(), address)));
                }
            }
        }
        forms.into_iter()
    }
}

/// Stands for all of it; `None` for nothing.
pub(super) fn digest(drained: &[Drained]) -> Option<Digest> {
    let mut whats: Vec<&str> = drained.iter().map(|entry| entry.what.as_str()).collect();
    whats.sort_unstable();
    (!whats.is_empty()).then(|| Digest::of_value(&whats))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::cluster::AppId;
    use crate::guard;
    use crate::state::{GuardMemory, Time};

    fn said(what: &str) -> Drained {
        Drained {
            what: what.to_owned(),
            since: Time::at(SystemTime::UNIX_EPOCH),
            by: "me".to_owned(),
            reason: None,
        }
    }

    fn port(endpoints: Vec<Endpoint>) -> ServicePort {
        ServicePort {
            app: AppId::new("/web"),
            index: 0,
            service_port: 80,
            last_config_change_at: None,
            endpoints,
        }
    }

    fn endpoint(host: &str, port: u16, task: &str) -> Endpoint {
        Endpoint {
            host: Host::new(host),
            port,
            task: task.into(),
            draining: false,
        }
    }

    /// How many servers are left, and whether some are held back, where these tasks are in the file,
    /// and these in the answer.
    fn left(in_file: &[u16], in_answer: &[u16], whats: &[&str]) -> (usize, bool) {
        let task = |&number: &u16| {
            let host = format!("agent-{}", number / 10);
            endpoint(&host, 31000 + number, &format!("web.{number}"))
        };
        let drained: Vec<Drained> = whats.iter().map(|what| said(what)).collect();
        let mut wanted = vec![port(in_answer.iter().map(task).collect())];
        let mut served = vec![port(in_file.iter().map(task).collect())];
        for endpoint in served.iter_mut().flat_map(|port| &mut port.endpoints) {
            endpoint.task = "".into();
        }
        drain(&mut wanted, &drained);
        take_out(&mut wanted, &mut served, &drained);
        let now = Time::at(SystemTime::UNIX_EPOCH);
        let (ports, held) = guard::hold(&served, wanted, &mut GuardMemory::default(), now);
        (ports[0].endpoints.len(), held.is_some())
    }

    #[test]
    fn what_is_drained_is_nothing_that_an_answer_lacks_nor_in_the_place_of_it() {
        let all = [10, 11, 12, 13, 20];
        for whats in [
            &["agent-1"][..],
            &["web.10", "web.11", "web.12", "web.13"],
            &["agent-1:31010", "web.11", "web.12", "agent-1:31013"],
        ] {
            assert_eq!(left(&all, &all, whats), (1, false), "{whats:?}");
            assert_eq!(left(&[20], &all, whats), (1, false), "{whats:?}");
        }
        assert_eq!(left(&all, &[20], &[]), (5, true));
        // Those that rest serve nobody.
        let (at_work, resting) = ([20, 21, 22, 23], [10, 11, 12, 13]);
        assert_eq!(left(&at_work, &resting, &["agent-1"]), (4, true));
    }

    #[test]
    fn the_servers_of_a_file_are_counted_by_all_that_they_are_named_by() {
        let cfg = "frontend web_10000\n  bind *:10000\nfrontend api_10001\n  bind *:10001\n\
                   backend web_10000\n  server a 10.0.0.1:31000\n  server b 10.0.0.2:31000 disabled\n\
                   backend api_10001\n  server a 10.0.0.1:31001\n";
        let addresses = [("agent-1".into(), "10.0.0.1".parse().unwrap())].into();
        let answer = r#"{"apps": [{"id": "/web", "instances": 1, "tasks": [
            {"id": "web.1", "host": "agent-1", "ports": [31000]}]}]}"#;
        let known = Known::of(&addresses, Some(answer.as_bytes()));
        for (whats, servers, without_any) in [
            (&["AGENT-1"][..], 2, &[10001][..]),
            (&["10.0.0.1"], 2, &[10001]),
            (&["agent-1:31000"], 1, &[]),
            (&["web.1"], 1, &[]),
            (&["web.1", "10.0.0.2"], 2, &[10000]),
            (&["agent-3", "web.2", "10.0.0.1:1"], 0, &[]),
        ] {
            let drained: Vec<Drained> = whats.iter().map(|what| said(what)).collect();
            let meant = Meant::by(&drained, cfg, &known);
            assert_eq!(meant.servers, servers, "{whats:?}");
            let without_any = without_any.iter().copied().collect();
            assert_eq!(meant.without_any, without_any, "{whats:?}");
        }
        // Neither of them alone takes the last one.
        let both = Meant::by_each(&[said("web.1"), said("10.0.0.2")], cfg, &known);
        assert!(
            both.iter().all(|meant| meant.without_any == [10000].into()),
            "{both:?}"
        );
        let meant = Meant::by(&[said("agent-1")], cfg, &known);
        assert_eq!(meant.to_string(), "2 servers of service ports 10000, 10001");
        assert_eq!(Meant::default().to_string(), "no server");
    }

    #[test]
    fn a_host_a_task_or_a_server_is_drained_and_no_other() {
        let mut port = port(vec![
            endpoint("agent-1", 31000, "web.1"),
            endpoint("10.0.0.1", 31000, "web.2"),
            endpoint("10.0.0.1", 31001, "web.3"),
            endpoint("2001:db8::1", 31000, "web.4"),
        ]);
        let mut named = endpoint("Agent-2.test", 31000, "web.5");
        named.host = Host::Resolved {
            name: "Agent-2.test".into(),
            address: "10.0.0.2".parse().unwrap(),
        };
        port.endpoints.push(named);
        let cases: [(&[&str], &[&str]); 12] = [
            (&["agent-2.TEST"], &["web.5"]),
            (&["10.0.0.2"], &["web.5"]),
            (&["10.0.0.2:31000"], &["web.5"]),
            (&["agent-2.test:31001", "10.0.0.2:3100"], &[]),
            (&[], &[]),
            (&["agent-1"], &["web.1"]),
            (&["10.0.0.1"], &["web.2", "web.3"]),
            (&["10.0.0.1:31001"], &["web.3"]),
            (&["web.4"], &["web.4"]),
            (&["2001:db8::1"], &["web.4"]),
            (
                &["[2001:db8::1]:31000", "agent-1:31000"],
                &["web.1", "web.4"],
            ),
            (&["agent", "10.0.0.1:3100", "web", ""], &[]),
        ];
        for (whats, expected) in cases {
            let drained: Vec<Drained> = whats.iter().map(|what| said(what)).collect();
            let mut ports = [port.clone()];
            drain(&mut ports, &drained);
            let found = ports[0].endpoints.iter().filter(|e| e.draining);
            let found: Vec<&str> = found.map(|e| &*e.task).collect();
            assert_eq!(found, expected, "{whats:?}");
            assert_eq!(digest(&drained).is_none(), whats.is_empty());
        }
    }
}
