//! Lines of servers that are there before anybody needs them: HAProxy is told who serves in them, where
//! it cannot be told of servers that come and go.
//!
//! In come the servers of a section, and who was in which slot before; out go the same servers under
//! the names of slots. Who stays keeps its slot, whatever else happens; one that is free has an address
//! at which nobody answers, and rests.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::marathon_lb::{Flavour, Server, Service, mode_and_check};
use super::super::server_id::cookie;
use super::tuning::{own_slots, slots_said};
use crate::cluster::App;
use crate::labels::ServiceOptions;

/// Begins the name of each.
const NAME: &str = "slot_";

/// Where nobody serves: connections are refused at once.
pub const NOWHERE: (&str, u16) = ("127.0.0.1", 1);

/// More than that no section has.
const MOST: u32 = 10_000;

/// So many free ones may be written for one app, in all of its sections together: they cost HAProxy up
/// to 14 MB. `--server-slots` gives all of them to a single section at most.
pub const MOST_SLOTS_OF_AN_APP: u32 = 1000;

/// Which sections have slots, and how many that are free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotRule {
    /// So many are free when lines are written anew; with 0 no section has slots but by its label.
    pub spare: u32,
    /// Also where servers can be added.
    pub everywhere: bool,
}

/// Where a server serves: address and port.
pub type Seat = (Box<str>, u16);

/// Who is in which slot; `None` where it is free.
pub type Slots = BTreeMap<u32, Option<Seat>>;

/// Those of all sections, by their names.
pub type AllSlots = BTreeMap<Box<str>, Slots>;

/// Whether a server of this name is a slot.
#[must_use]
pub fn is_slot(name: &str) -> bool {
    number_of(name).is_some()
}

fn number_of(name: &str) -> Option<u32> {
    let number = name.strip_prefix(NAME)?.parse().ok()?;
    (1..=MOST).contains(&number).then_some(number)
}

/// Reads a `server` line: the number of its slot, and who is in it. `None` for any other server.
#[must_use]
pub fn slot_of(line: &str) -> Option<(u32, Option<Seat>)> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let number = number_of(words.next()?)?;
    let (address, port) = words.next()?.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let is_free = (address, port) == NOWHERE;
    Some((number, (!is_free).then(|| (address.into(), port))))
}

/// Who is in the slots of a section that has them.
#[must_use]
pub fn slots_of(service: &Service) -> Slots {
    let taken = service.servers.iter();
    let taken = taken.map(|server| {
        (
            server.id,
            Some((server.address.as_str().into(), server.port)),
        )
    });
    let free = service.free_slots.iter().map(|&number| (number, None));
    taken.chain(free).collect()
}

/// The servers of a section in the order of its lines, with slots that are free, which are marked.
#[must_use]
pub fn lines_of(service: &Service) -> Vec<(Cow<'_, Server>, bool)> {
    let taken = service.servers.iter();
    let mut lines: Vec<_> = taken.map(|server| (Cow::Borrowed(server), false)).collect();
    if !service.free_slots.is_empty() {
        let free = service.free_slots.iter();
        lines.extend(free.map(|&number| (Cow::Owned(free_slot(service, number)), true)));
        lines.sort_by_key(|(server, _)| server.id);
    }
    lines
}

/// A slot that is free, as a server of `service`.
fn free_slot(service: &Service, number: u32) -> Server {
    let (address, port) = NOWHERE;
    let mut server = Server {
        name: String::new(),
        host: address.into(),
        address: address.to_owned(),
        port,
        id: 0,
        cookie: String::new(),
        check_port: None,
        draining: true,
        weight: None,
    };
    put(&mut server, &service.name, number);
    server
}

/// Puts the servers of services into slots, where these are to have some.
pub(super) fn put_into_slots(services: &mut [Arc<Service>], rule: SlotRule, before: &AllSlots) {
    for service in services {
        if let Some(spare) = spare(service, rule) {
            let before = before.get(service.name.as_str());
            fill(Arc::make_mut(service), spare, before);
        }
    }
}

/// The same for one service.
#[must_use]
pub fn in_slots(mut service: Service, rule: SlotRule, before: &Slots) -> Service {
    if let Some(spare) = spare(&service, rule) {
        fill(&mut service, spare, Some(before));
    }
    service
}

/// How many slots are to be free, where there are any. Nobody to serve is said in another way.
fn spare(service: &Service, rule: SlotRule) -> Option<u32> {
    if service.servers.is_empty() {
        return None;
    }
    let adds_servers = || adds_servers(&service.options, service.check.is_some());
    let spare = rule.spare_of(own_slots(service), adds_servers);
    (spare > 0).then_some(spare)
}

/// How many free slots the section of a service port asks for, with servers.
#[must_use]
pub fn slots_wanted(app: &App, index: usize, options: &ServiceOptions, rule: SlotRule) -> u32 {
    let is_checked = || {
        mode_and_check(app, index, options, Flavour::Native)
            .1
            .is_some()
    };
    rule.spare_of(slots_said(options), || adds_servers(options, is_checked()))
}

impl SlotRule {
    /// For a section that asks for so many itself, or does not say.
    fn spare_of(self, own: Option<u32>, adds_servers: impl FnOnce() -> bool) -> u32 {
        match own {
            Some(own) => own,
            None if self.spare > 0 && (self.everywhere || !adds_servers()) => self.spare,
            None => 0,
        }
    }
}

/// Whether HAProxy, if it can add servers at all, can add them to such a section.
fn adds_servers(options: &ServiceOptions, has_check: bool) -> bool {
    let balance = options.balance.as_deref().unwrap_or("roundrobin");
    let name = balance.split(['(', ' ']).next();
    let is_dynamic = matches!(name, Some("roundrobin" | "leastconn" | "first" | "random"));
    // Checks of one that is added would not speak the PROXY protocol.
    let is_checked = has_check || options.sticky;
    is_dynamic && !(is_checked && options.own.contains_key("SEND_PROXY"))
}

fn fill(service: &mut Service, spare: u32, before: Option<&Slots>) {
    let none = Slots::new();
    let before = before.unwrap_or(&none);
    let mut taken: BTreeMap<(&str, u16), Vec<u32>> = BTreeMap::new();
    let mut free: BTreeSet<u32> = BTreeSet::new();
    for (&number, place) in before.iter().rev() {
        match place {
            Some((address, port)) => taken.entry((address, *port)).or_default().push(number),
            None => drop(free.insert(number)),
        }
    }
    let mut numbers: Vec<Option<u32>> = Vec::with_capacity(service.servers.len());
    for server in &service.servers {
        let own = taken.get_mut(&(server.address.as_str(), server.port));
        numbers.push(own.and_then(Vec::pop));
    }
    let new = numbers.iter().filter(|number| number.is_none()).count();
    // Of those who went.
    let mut left: BTreeSet<u32> = taken.into_values().flatten().collect();
    let at_work = service.servers.iter().zip(&numbers);
    let at_work = at_work.filter(|(server, _)| !server.draining);
    let (stay, all) = at_work.fold((0, 0), |(stay, all), (_, number)| {
        (stay + usize::from(number.is_some()), all + 1)
    });
    let mut usable: Vec<u32> = free.iter().copied().collect();
    // Such a slot is empty only once its connections have ended, and others have to serve meanwhile.
    if 2 * stay >= all {
        usable.extend(left.iter().copied());
    }
    let mut next = before.keys().next_back().map_or(1, |last| last + 1);
    let mut add = || {
        next += 1;
        next - 1
    };
    let lacks_any = new > usable.len();
    let mut usable = usable.into_iter();
    for number in numbers.iter_mut().filter(|number| number.is_none()) {
        let slot = usable.next().unwrap_or_else(&mut add);
        free.remove(&slot);
        left.remove(&slot);
        *number = Some(slot);
    }
    free.extend(left);
    if lacks_any {
        // Lines come by a reload, so that there are some for the next ones too.
        let spare = spare as usize;
        while free.len() < spare {
            free.insert(add());
        }
    }
    let name = &service.name;
    for (server, number) in service.servers.iter_mut().zip(numbers) {
        put(server, name, number.expect("each was given one"));
    }
    service.servers.sort_by_key(|server| server.id);
    service.free_slots = free.into_iter().collect();
}

/// The slot's own name, id and cookie: none of them can change with who is in it.
fn put(server: &mut Server, section: &str, number: u32) {
    server.name = format!("{NAME}{number}");
    server.id = number;
    // A client may have cookies of several sections under one name.
    server.cookie = cookie(&format!("{section} {}", server.name));
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::service;
    use super::*;

    const RULE: SlotRule = SlotRule {
        spare: 2,
        everywhere: true,
    };

    /// With servers at these ports; those of a negative number rest.
    fn with(ports: &[i32]) -> Service {
        let server = |port: &i32| Server {
            name: format!("s{port}"),
            host: "agent".into(),
            address: "10.0.0.1".to_owned(),
            port: u16::try_from(port.abs()).unwrap(),
            id: 77,
            cookie: "of its own".to_owned(),
            check_port: None,
            draining: *port < 0,
            weight: None,
        };
        Service {
            servers: ports.iter().map(server).collect(),
            ..service("web")
        }
    }

    /// Slots in their order, `-` for a free one.
    fn shown(service: &Service) -> String {
        let place = |slot: &Option<Seat>| match slot {
            Some((_, port)) => port.to_string(),
            None => "-".to_owned(),
        };
        let slots = slots_of(service);
        let last = slots.keys().next_back().copied().unwrap_or_default();
        assert_eq!(slots.len(), last as usize, "none is missing");
        slots.values().map(place).collect::<Vec<_>>().join(" ")
    }

    /// One after the other.
    fn story(turns: &[&[i32]]) -> Vec<String> {
        let mut slots = Slots::new();
        let turn = |ports: &&[i32]| {
            let service = in_slots(with(ports), RULE, &slots);
            slots = slots_of(&service);
            shown(&service)
        };
        turns.iter().map(turn).collect()
    }

    #[test]
    fn who_stays_keeps_its_slot_and_who_comes_takes_a_free_one() {
        let turns: [&[i32]; 6] = [
            &[1, 2, 3],
            &[1, 3],
            &[4, 1, 3],
            &[1, 3, 4, 5, 6],
            &[6],
            &[6, 7],
        ];
        assert_eq!(
            story(&turns),
            [
                "1 2 3 - -",
                "1 - 3 - -",
                "1 4 3 - -",
                "1 4 3 5 6",
                "- - - - 6",
                "7 - - - 6"
            ]
        );
    }

    #[test]
    fn slots_grow_only_where_there_is_none_left() {
        let turns: [&[i32]; 4] = [&[1], &[1, 2, 3], &[1, 2, 3, 4], &[1]];
        assert_eq!(
            story(&turns),
            ["1 - -", "1 2 3", "1 2 3 4 - -", "1 - - - - -"]
        );
    }

    #[test]
    fn a_slot_changes_hands_at_once_only_while_enough_others_serve() {
        // Nobody would serve until the old ones have ended.
        assert_eq!(
            story(&[&[1, 2], &[1, 2, 3, 4], &[5, 6, 7, 8]]),
            ["1 2 - -", "1 2 3 4", "- - - - 5 6 7 8"]
        );
        assert_eq!(
            story(&[&[1, 2], &[1, 2, 3, 4], &[1, 2, 5, 6]]),
            ["1 2 - -", "1 2 3 4", "1 2 5 6"]
        );
        // Who rests serves nobody.
        assert_eq!(
            story(&[&[1, 2], &[1, 2, 3, 4], &[1, -2, 5, 6]]),
            ["1 2 - -", "1 2 3 4", "1 2 - - 5 6"]
        );
    }

    #[test]
    fn two_servers_at_one_place_have_a_slot_each() {
        assert_eq!(
            story(&[&[1, 1, 2], &[1, 2], &[1, 1]]),
            ["1 1 2 - -", "1 - 2 - -", "1 1 - - -"]
        );
    }

    #[test]
    fn name_id_and_cookie_are_those_of_the_slot() {
        let service = in_slots(with(&[9]), RULE, &Slots::new());
        let server = &service.servers[0];
        assert_eq!((server.name.as_str(), server.id), ("slot_1", 1));
        assert_eq!((server.port, &*server.host), (9, "agent"));
        let free = free_slot(&service, 2);
        assert_eq!((free.name.as_str(), free.id), ("slot_2", 2));
        assert!(free.draining && free.cookie != server.cookie);
        let other = Service {
            name: "other".to_owned(),
            ..with(&[9])
        };
        let other = in_slots(other, RULE, &Slots::new());
        assert_ne!(other.servers[0].cookie, server.cookie);
    }

    #[test]
    fn lines_are_read_back() {
        for (line, want) in [
            (
                "server slot_3 10.0.0.1:80 id 3",
                Some((3, Some(("10.0.0.1", 80)))),
            ),
            (
                "server slot_3 fd00::1:80 id 3",
                Some((3, Some(("fd00::1", 80)))),
            ),
            ("server slot_4 127.0.0.1:1 id 4 disabled", Some((4, None))),
            ("server slot_0 10.0.0.1:80", None),
            ("server slot_x 10.0.0.1:80", None),
            ("server slot_99999 10.0.0.1:80", None),
            ("server 10_0_0_1_80 10.0.0.1:80", None),
            ("server slot_3", None),
            ("server", None),
        ] {
            let want = want.map(|(number, place): (u32, Option<(&str, u16)>)| {
                (number, place.map(|(address, port)| (address.into(), port)))
            });
            assert_eq!(slot_of(line), want, "{line}");
        }
    }

    #[test]
    fn sections_that_haproxy_adds_no_servers_to_have_slots_and_others_where_asked() {
        let has = |balance: &str, label: &str, rule: SlotRule| {
            let own = [("SERVER_SLOTS", label.into())];
            let own = own.into_iter().filter(|_| !label.is_empty());
            let options = ServiceOptions {
                balance: Some(balance.into()),
                own: own.collect(),
                ..ServiceOptions::default()
            };
            let service = Service {
                options: Arc::new(options),
                ..with(&[1])
            };
            in_slots(service, rule, &Slots::new()).free_slots.len()
        };
        let needed = SlotRule {
            everywhere: false,
            ..RULE
        };
        for (balance, label, rule, want) in [
            ("roundrobin", "", needed, 0),
            ("random(2)", "", needed, 0),
            ("leastconn", "", needed, 0),
            ("static-rr", "", needed, 2),
            ("source", "", needed, 2),
            ("uri whole", "", needed, 2),
            ("hdr(host) use_domain_only", "", needed, 2),
            ("roundrobin", "", RULE, 2),
            ("roundrobin", "5", needed, 5),
            ("static-rr", "0", RULE, 0),
            ("static-rr", "", SlotRule::default(), 0),
            ("roundrobin", "1", SlotRule::default(), 1),
        ] {
            assert_eq!(
                has(balance, label, rule),
                want,
                "{balance} {label} {rule:?}"
            );
        }
        let sends_proxy = |sticky: bool| {
            let service = Service {
                options: Arc::new(ServiceOptions {
                    sticky,
                    own: BTreeMap::from([("SEND_PROXY", "v2".into())]),
                    ..ServiceOptions::default()
                }),
                ..with(&[1])
            };
            in_slots(service, needed, &Slots::new()).free_slots.len()
        };
        assert_eq!((sends_proxy(true), sends_proxy(false)), (2, 0));
        let nobody = in_slots(with(&[]), RULE, &Slots::from([(1, None)]));
        assert!(nobody.free_slots.is_empty());
    }

    proptest::proptest! {
        /// Whatever came before: who was there stays where it was, nobody shares a slot, and no line
        /// goes.
        #[test]
        fn slots_hold_whatever_comes(
            turns in proptest::collection::vec(
                proptest::collection::btree_set(1i32..12, 1..8), 1..8),
        ) {
            let mut before = Slots::new();
            for ports in turns {
                let ports: Vec<i32> = ports.into_iter().collect();
                let service = in_slots(with(&ports), RULE, &before);
                proptest::prop_assert_eq!(&service, &in_slots(with(&ports), RULE, &before));
                let after = slots_of(&service);
                proptest::prop_assert_eq!(after.len(), service.servers.len() + service.free_slots.len());
                proptest::prop_assert_eq!(service.servers.len(), ports.len());
                for (number, place) in &before {
                    let now = after.get(number);
                    proptest::prop_assert!(now.is_some(), "slot {} is gone", number);
                    if let Some((_, port)) = place
                        && ports.contains(&i32::from(*port))
                    {
                        proptest::prop_assert_eq!(now.unwrap(), place);
                    }
                }
                before = after;
            }
        }
    }
}
