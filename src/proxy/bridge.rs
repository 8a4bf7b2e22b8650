//! Sections as the bash `haproxy-marathon-bridge` wrote them: one TCP `listen` per app and service
//! port, servers numbered downwards.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::{Bind, Listen, Owner, Proxies, Server, clash, is_host_name, is_proxy_name, precedence};
use crate::cluster::{AppId, Endpoint, Host, ServicePort, Warning};

/// The section of one service port; `None` where nothing of it can be served.
///
/// Servers are sorted bytewise by their `host:port` text, since Marathon before 1.5 shuffled them
/// and every shuffle cost a reload.
#[must_use]
pub fn listen(port: &ServicePort) -> (Option<Listen>, Vec<Warning>) {
    let number = u16::try_from(port.service_port).ok();
    let Some(number) = number.filter(|&number| number != 0) else {
        let warning = fault(
            port,
            port.service_port.to_string(),
            "a port number from 1 to 65535",
            "service port left out",
        );
        return (None, vec![warning]);
    };
    let section = port.app.safe_path();
    let name = format!("{section}-{}", port.service_port);
    if !is_proxy_name(&name) {
        let warning = fault(
            port,
            format!("`{}`", name.escape_default()),
            "a name of letters, digits and `-_.:`, since HAProxy takes no other",
            "service port left out",
        );
        return (None, vec![warning]);
    }
    let mut warnings = Vec::new();
    let mut endpoints = Vec::with_capacity(port.endpoints.len());
    for endpoint in &port.endpoints {
        match fault_of(endpoint) {
            None => endpoints.push((format!("{}:{}", endpoint.host, endpoint.port), endpoint)),
            Some((found, expected)) => {
                warnings.push(fault(port, found, expected, "server left out"));
            }
        }
    }
    endpoints.sort();
    let count = endpoints.len();
    let servers = endpoints
        .into_iter()
        .enumerate()
        .map(|(position, (_, endpoint))| Server {
            name: format!("{section}-{}", count - position),
            host: endpoint.host.clone(),
            port: endpoint.port,
        })
        .collect();
    let listen = Listen {
        owner: Owner {
            app: port.app.clone(),
            service_port: port.service_port,
        },
        name,
        bind: Bind {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: number,
        },
        servers,
        last_config_change_at: port.last_config_change_at.clone(),
    };
    (Some(listen), warnings)
}

/// Why an endpoint cannot stand in a `server` line: what was found and what was expected.
fn fault_of(endpoint: &Endpoint) -> Option<(String, &'static str)> {
    if endpoint.port == 0 {
        return Some((
            format!("address `{}:0`", endpoint.host.to_string().escape_default()),
            "a port number from 1 to 65535",
        ));
    }
    match &endpoint.host {
        Host::Name(name) if !is_host_name(name) => Some((
            format!("address `{}`", name.escape_default()),
            "a numeric address or a host name of letters, digits and `-_.`",
        )),
        _ => None,
    }
}

fn fault(port: &ServicePort, found: String, expected: &str, effect: &str) -> Warning {
    Warning {
        app: Some(port.app.clone()),
        subject: format!("service port {} (index {})", port.service_port, port.index),
        found,
        expected: expected.to_owned(),
        effect: effect.to_owned(),
    }
}

/// Puts the sections of all apps into the order of the file and settles who holds a port that
/// several claim.
///
/// HAProxy itself accepts two sections on one port and hands connections to either at random. The
/// one in `incumbents` stays; where there is none, the app whose definition is oldest wins, and
/// among equals the first by id.
#[must_use]
pub fn arrange(
    listens: impl IntoIterator<Item = Arc<Listen>>,
    incumbents: &BTreeMap<u32, AppId>,
) -> (Proxies, Vec<Warning>) {
    let mut by_port: BTreeMap<u32, Arc<Listen>> = BTreeMap::new();
    let mut losers = Vec::new();
    for listen in listens {
        let port = listen.owner.service_port;
        let Some(other) = by_port.remove(&port) else {
            by_port.insert(port, listen);
            continue;
        };
        let incumbent = incumbents.get(&port);
        let (winner, loser) = if rank(&listen, incumbent) < rank(&other, incumbent) {
            (listen, other)
        } else {
            (other, listen)
        };
        losers.push(loser);
        by_port.insert(port, winner);
    }
    let warnings = losers
        .iter()
        .map(|loser| clash(&loser.owner, &by_port[&loser.owner.service_port].owner))
        .collect();
    let mut listens: Vec<_> = by_port.into_values().collect();
    listens.sort_by_cached_key(|listen| (listen.owner.app.safe_path(), listen.owner.service_port));
    let proxies = Proxies {
        listens,
        ..Proxies::default()
    };
    (proxies, warnings)
}

fn rank<'a>(
    listen: &'a Listen,
    incumbent: Option<&AppId>,
) -> (bool, bool, Option<&'a str>, &'a AppId) {
    let date = listen.last_config_change_at.as_deref();
    precedence(&listen.owner.app, date, incumbent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(app: &str, service_port: u32, addresses: &[&str]) -> ServicePort {
        ServicePort {
            app: AppId::new(app),
            index: 0,
            service_port,
            last_config_change_at: None,
            endpoints: addresses
                .iter()
                .map(|address| {
                    let (host, port) = address.rsplit_once(':').unwrap();
                    Endpoint {
                        host: Host::new(host),
                        port: port.parse().unwrap(),
                        task: "t".into(),
                        draining: false,
                    }
                })
                .collect(),
        }
    }

    fn built(port: &ServicePort) -> Listen {
        let (listen, warnings) = listen(port);
        assert_eq!(warnings, []);
        listen.unwrap()
    }

    #[test]
    fn servers_are_sorted_as_text_and_numbered_downwards() {
        let listen = built(&port("/a/b", 80, &["h2:31000", "h10:31000", "h10:4000"]));
        let got: Vec<_> = listen
            .servers
            .iter()
            .map(|server| format!("{} {}:{}", server.name, server.host, server.port))
            .collect();
        assert_eq!(got, ["a_b-3 h10:31000", "a_b-2 h10:4000", "a_b-1 h2:31000"]);
        assert_eq!(listen.name, "a_b-80");
    }

    #[test]
    fn ipv6_addresses_stand_in_brackets() {
        let listen = built(&port("/a", 80, &["[::1]:31000", "fe80::2:31000"]));
        let hosts: Vec<_> = listen.servers.iter().map(|s| s.host.to_string()).collect();
        assert_eq!(hosts, ["[::1]", "[fe80::2]"]);
    }

    #[test]
    fn what_haproxy_could_not_serve_is_left_out_and_named() {
        let cases: [(&str, u32, &[&str], bool, &str); 6] = [
            (
                "/a",
                0,
                &["h:1"],
                false,
                "app `/a`: service port 0 (index 0): found 0,",
            ),
            (
                "/a",
                70000,
                &["h:1"],
                false,
                "app `/a`: service port 70000 (index 0): found 70000,",
            ),
            (
                "/a b",
                80,
                &["h:1"],
                false,
                "found `a b-80`, expected a name of letters",
            ),
            (
                "/a",
                80,
                &["h:0"],
                true,
                "found address `h:0`, expected a port number",
            ),
            (
                "/a",
                80,
                &["h x:1"],
                true,
                "found address `h x`, expected a numeric address",
            ),
            (
                "/a",
                80,
                &["-f:1"],
                true,
                "found address `-f`, expected a numeric address",
            ),
        ];
        for (app, number, addresses, served, text) in cases {
            let (listen, warnings) = listen(&port(app, number, addresses));
            assert_eq!(listen.is_some(), served, "{app} {number}");
            assert_eq!(listen.map_or(0, |listen| listen.servers.len()), 0);
            assert_eq!(warnings.len(), 1);
            assert!(warnings[0].to_string().contains(text), "{}", warnings[0]);
        }
    }

    #[test]
    fn sections_stand_by_app_name_then_port_as_a_number() {
        let ports = [("/b", 9), ("/a/c", 1000), ("/a-b", 7), ("/a/c", 80)];
        let listens = ports.map(|(app, number)| Arc::new(built(&port(app, number, &[]))));
        let (proxies, warnings) = arrange(listens, &BTreeMap::new());
        let names: Vec<_> = proxies.listens.iter().map(|l| l.name.as_str()).collect();
        assert_eq!(names, ["a-b-7", "a_c-80", "a_c-1000", "b-9"]);
        assert_eq!(warnings, []);
    }

    #[test]
    fn a_port_that_two_apps_claim_goes_to_one_and_both_are_named() {
        let dated = |app: &str, date: Option<&str>| {
            let mut claim = port(app, 80, &[]);
            claim.last_config_change_at = date.map(Into::into);
            Arc::new(built(&claim))
        };
        let old = Some("2020-01-01T00:00:00.000Z");
        let new = Some("2021-01-01T00:00:00.000Z");
        let incumbent = |app| BTreeMap::from([(80, AppId::new(app))]);
        let nobody = BTreeMap::new();
        let cases = [
            (dated("/a", None), dated("/b", None), &nobody, "/a"),
            (dated("/a", new), dated("/b", old), &nobody, "/b"),
            (dated("/a", None), dated("/b", old), &nobody, "/b"),
            (dated("/a", old), dated("/b", new), &incumbent("/b"), "/b"),
            (
                dated("/a", old),
                dated("/b", new),
                &incumbent("/gone"),
                "/a",
            ),
        ];
        for (one, other, incumbents, want) in cases {
            for claims in [[one.clone(), other.clone()], [other.clone(), one.clone()]] {
                let (proxies, warnings) = arrange(claims, incumbents);
                let winner = &proxies.listens[0].owner.app;
                assert_eq!(winner.as_str(), want);
                assert_eq!(proxies.listens.len(), 1);
                assert_eq!(warnings.len(), 1);
                assert_ne!(warnings[0].app.as_ref(), Some(winner));
                assert!(warnings[0].found.contains(want), "{}", warnings[0]);
            }
        }
    }
}
