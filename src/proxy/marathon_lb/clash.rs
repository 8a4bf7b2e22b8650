//! Of two services that claim one port, one is served: HAProxy accepts both and hands connections
//! to either at random.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::Service;
use crate::cluster::{AppId, Warning};
use crate::proxy::{WITHOUT_TASKS, clash, is_incumbent, precedence};

/// Who holds a port.
pub type Incumbents = BTreeMap<u32, AppId>;

/// Takes out the weaker of services that cannot both be in the file. Those that are absent keep
/// what they had from others, and get nothing new; they are among what is returned.
pub(in crate::proxy) fn settle(
    services: Vec<Arc<Service>>,
    incumbents: &Incumbents,
) -> (Vec<Arc<Service>>, Vec<Warning>) {
    let mut by_port: BTreeMap<u32, Vec<Arc<Service>>> = BTreeMap::new();
    for service in services {
        by_port
            .entry(service.owner.service_port)
            .or_default()
            .push(service);
    }
    let mut kept = Vec::new();
    let mut warnings = Vec::new();
    for (port, mut claims) in by_port {
        let incumbent = incumbents.get(&port);
        claims.retain(|claim| !claim.is_absent || is_incumbent(&claim.owner.app, incumbent));
        claims.sort_by(|one, other| rank(one, incumbent).cmp(&rank(other, incumbent)));
        let mut winners: Vec<Arc<Service>> = Vec::new();
        for claim in claims {
            match winners.iter().find(|winner| collide(winner, &claim)) {
                Some(_) if claim.is_absent => (),
                Some(winner) => warnings.push(lost(&claim, winner)),
                None => winners.push(claim),
            }
        }
        kept.append(&mut winners);
    }
    (kept, warnings)
}

fn rank<'a>(claim: &'a Service, incumbent: Option<&AppId>) -> impl Ord + use<'a> {
    let app = &claim.owner.app;
    let date = claim.last_config_change_at.as_deref();
    // By names alone two can be one incumbent; who is there goes before who is not.
    (
        !is_incumbent(app, incumbent),
        claim.is_absent,
        precedence(app, date, incumbent),
    )
}

fn lost(loser: &Service, winner: &Service) -> Warning {
    let mut warning = clash(&loser.owner, &winner.owner);
    warning.subject = loser.subject_of_port();
    if winner.is_absent {
        warning.found.push_str(WITHOUT_TASKS);
    }
    warning
}

/// On addresses that differ, one port can be held by several.
fn collide(one: &Service, other: &Service) -> bool {
    one.name == other.name || share_an_address(one.bind_addr(), other.bind_addr())
}

/// Whether a connection to one address can be meant for the other, however both are spelt.
#[must_use]
pub fn share_an_address(one: &str, other: &str) -> bool {
    match (place(one), place(other)) {
        (Place::Any, _) | (_, Place::Any) => true,
        (one, other) => one == other,
    }
}

#[derive(PartialEq, Eq)]
enum Place<'t> {
    Any,
    At(IpAddr),
    /// A name, or a socket that is none of IP.
    Other(&'t str),
}

/// What HAProxy takes before an address of TCP.
const OF_TCP: [&str; 9] = [
    "ip@", "ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@", "mptcp@", "mptcp4@", "mptcp6@",
];

/// An address of IPv6 that stands for one of IPv4 (`::ffff:127.0.0.1`) listens at that one.
fn place(text: &str) -> Place<'_> {
    let bare = text.strip_prefix("stream+").unwrap_or(text);
    let bare = OF_TCP
        .iter()
        .find_map(|family| bare.strip_prefix(family))
        .unwrap_or(bare);
    let bare = bare.strip_prefix('[').unwrap_or(bare);
    let bare = bare.strip_suffix(']').unwrap_or(bare);
    if matches!(bare, "" | "*") {
        return Place::Any;
    }
    if bare == "localhost" {
        return Place::At(Ipv4Addr::LOCALHOST.into());
    }
    match bare.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(ip) if ip.is_unspecified() => Place::Any,
        Ok(ip) => Place::At(ip),
        Err(_) => Place::Other(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_many_spellings() {
        for (one, other, want) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("127.0.0.1", "[::ffff:7f00:1]", true),
            ("127.0.0.1", "ipv4@127.0.0.1", true),
            ("127.0.0.1", "tcp4@127.0.0.1", true),
            ("127.0.0.1", "stream+ipv4@*", true),
            ("::1", "tcp6@::1", true),
            ("127.0.0.1", "localhost", true),
            ("::1", "[0:0::1]", true),
            ("ipv6@::1", "::1", true),
            ("10.0.0.1", "*", true),
            ("", "10.0.0.1", true),
            ("10.0.0.1", "::ffff:0.0.0.0", true),
            ("10.0.0.1", "[::]", true),
            ("ipv4@", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("127.0.0.1", "::1", false),
            ("abns@a", "abns@b", false),
            ("abns@a", "abns@a", true),
            ("a.test", "b.test", false),
        ] {
            assert_eq!(share_an_address(one, other), want, "{one} {other}");
            assert_eq!(share_an_address(other, one), want, "{other} {one}");
        }
    }
}
