//! Of two services that claim one port, one is served: HAProxy accepts both and hands connections
//! to either at random.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::Service;
use crate::cluster::{AppId, Warning};
use crate::haproxy::listen::{bare, is_of_tcp};
use crate::haproxy::short_address;
use crate::proxy::{WITHOUT_TASKS, clash, is_incumbent, precedence};

/// Who holds a port.
pub type Incumbents = BTreeMap<u32, AppId>;

/// Takes out the weaker of services that cannot both be in the file. Those that are absent keep
/// what they had from others, and get nothing new; they are among what is returned. With
/// `leads_by_name` nothing listens for those that have a name, and nobody takes a port from them.
pub(in crate::proxy) fn settle(
    services: Vec<Arc<Service>>,
    incumbents: &Incumbents,
    leads_by_name: bool,
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
            match winners
                .iter()
                .find(|winner| collide(winner, &claim, leads_by_name))
            {
                Some(_) if claim.is_absent => (),
                Some(winner) => warnings.push(lost(&claim, winner, leads_by_name)),
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

fn lost(loser: &Service, winner: &Service, leads_by_name: bool) -> Warning {
    let mut warning = clash(&loser.owner, &winner.owner);
    if leads_by_name && loser.has_name() {
        "a backend of its own, which has the name of the other one"
            .clone_into(&mut warning.expected);
        "service port left out, and its hosts and paths with it: nothing leads to it any more"
            .clone_into(&mut warning.effect);
    }
    warning.subject = loser.subject_of_port();
    if winner.is_absent {
        warning.found.push_str(WITHOUT_TASKS);
    }
    warning
}

/// On addresses that differ, one port can be held by several, and by any number of those for whom nothing
/// listens there.
fn collide(one: &Service, other: &Service, leads_by_name: bool) -> bool {
    let listens = |service: &Service| !(leads_by_name && service.has_name());
    let listen = listens(one) && listens(other);
    one.name == other.name || listen && share_an_address(one.bind_addr(), other.bind_addr())
}

/// The same of what an owner writes beside the port that is its own: there can be several, of which all
/// but the last name a port, and of a name nobody knows here which address that is.
#[must_use]
pub fn may_share_an_address(one: &str, other: &str) -> bool {
    let mut pairs = places(one).flat_map(|one| places(other).map(move |other| (one, other)));
    pairs.any(|pair| match pair {
        (Place::Any, _)
        | (_, Place::Any)
        | (Place::Name(_), Place::At(_) | Place::Name(_))
        | (Place::At(_), Place::Name(_)) => true,
        (one, other) => one == other,
    })
}

/// Whether it is known at which address of IP this is.
#[must_use]
pub fn is_sure(address: &str) -> bool {
    !matches!(place(address), Place::Name(_))
}

fn places(list: &str) -> impl Iterator<Item = Place<'_>> {
    let (before, bare) = list.rsplit_once(',').unwrap_or(("", list));
    let before = before.split(',').filter(|place| !place.is_empty());
    let before = before.map(|place| place.rsplit_once(':').map_or(place, |(at, _)| at));
    before.chain([bare]).map(place)
}

/// Whether a connection to one address can be meant for the other, however both are spelt.
#[must_use]
pub fn share_an_address(one: &str, other: &str) -> bool {
    match (place(one), place(other)) {
        (Place::Any, _) | (_, Place::Any) => true,
        (one, other) => one == other,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place<'t> {
    Any,
    At(IpAddr),
    /// Which the resolver knows.
    Name(&'t str),
    /// A socket that is none of TCP.
    Other(&'t str),
}

/// An address of IPv6 that stands for one of IPv4 (`::ffff:127.0.0.1`) listens at that one.
fn place(text: &str) -> Place<'_> {
    let bare = bare(text);
    if matches!(bare, "" | "*") {
        return Place::Any;
    }
    if bare == "localhost" {
        return Place::At(Ipv4Addr::LOCALHOST.into());
    }
    match bare.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(ip) => place_of(ip),
        Err(_) if !is_of_tcp(text) => Place::Other(text),
        Err(_) => short_address(bare).map_or(Place::Name(text), |ip| place_of(ip.into())),
    }
}

fn place_of(ip: IpAddr) -> Place<'static> {
    if ip.is_unspecified() {
        Place::Any
    } else {
        Place::At(ip)
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
            ("127.0.0.1", "127.1", true),
            ("127.0.0.1", "2130706433", true),
            ("127.0.0.1", "0x7f.1", true),
            ("127.0.0.1", "0177.0.0.01", true),
            ("10.0.0.1", "0", true),
            ("127.0.0.1", "127.2", false),
            ("127.0.0.1", "127.0.0.0.1", false),
            ("127.0.0.1", "256.1", false),
        ] {
            assert_eq!(share_an_address(one, other), want, "{one} {other}");
            assert_eq!(share_an_address(other, one), want, "{other} {one}");
        }
    }

    #[test]
    fn of_what_owners_write_names_and_lists_may_be_any_address_of_theirs() {
        for (one, other, want) in [
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "a.test", true),
            ("a.test", "b.test", true),
            ("10.0.0.1:1,10.0.0.2", "10.0.0.1", true),
            ("10.0.0.1:1,10.0.0.2", "10.0.0.2", true),
            ("10.0.0.1:1,10.0.0.2", "10.0.0.3", false),
            ("*:1,10.0.0.2", "10.0.0.3", true),
            ("/run/a", "10.0.0.1", false),
            ("/run/a", "a.test", false),
        ] {
            assert_eq!(may_share_an_address(one, other), want, "{one} {other}");
            assert_eq!(may_share_an_address(other, one), want, "{other} {one}");
        }
    }
}
