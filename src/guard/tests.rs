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
        assert_eq!(memory.fetches.len(), usize::from(held), "{why}");
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

/// It was counted as one beside a loss of half, which alone is not most.
#[test]
fn an_address_that_is_served_twice_is_no_loss() {
    let mut served = cluster("a3 b4");
    served[1].endpoints[0] = served[1].endpoints[1].clone();
    let fresh = vec![served[1].clone()];
    let (out, held) = hold(&served, fresh, &mut GuardMemory::default(), at(0));
    assert_eq!((shape(&out).as_str(), held), ("b4", None));
    let mut twice = port("a", 1..3);
    twice.endpoints.extend(port("a", 1..3).endpoints);
    let (_, held) = hold(&[twice], vec![], &mut GuardMemory::default(), at(0));
    assert_eq!(held, None, "two servers are few");
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
    let why = "what could not be applied is let go again, and at once";
    assert_eq!(held("b", 41), ("b2".to_owned(), None), "{why}");
    assert_eq!(held("b", 60), ("b2".to_owned(), None), "{why}");
    assert_eq!(
        held("a", 70),
        (all, Some(1)),
        "another removal is another count"
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

/// Letters are apps of two servers each; with a digit, of so many.
fn cluster(text: &str) -> Vec<ServicePort> {
    let words = text.split_whitespace();
    words
        .map(|word| {
            let (app, servers) = word.split_at(1);
            port(app, 1..1 + servers.parse().unwrap_or(2))
        })
        .collect()
}

/// What comes of fetches ten seconds apart, none of which changes what is served.
fn fetches(served: &str, fetches: &[&str]) -> Vec<String> {
    let served = cluster(served);
    let mut memory = GuardMemory::default();
    let results = (0..).step_by(10).zip(fetches).map(|(seconds, fresh)| {
        let (out, held) = hold(&served, cluster(fresh), &mut memory, at(seconds));
        match held {
            Some(held) => format!("{}: {}", held.agreeing, shape(&out)),
            None => shape(&out),
        }
    });
    results.collect()
}

#[test]
fn what_else_comes_and_goes_meanwhile_does_not_start_the_count_anew() {
    let all = "a2 b2 c2 d2 e4 f2";
    assert_eq!(
        fetches("a b c d e4 f", &["e4 f", "e3 f", "e4"]),
        [format!("1: {all}"), format!("2: {all}"), "e4".to_owned()],
        "the last loss is an everyday one beside what is left"
    );
    assert_eq!(
        fetches("a b c d e4 f", &["e f", "e4 f", "e3 f1 x"]),
        [
            format!("1: {all}"),
            format!("2: {all}"),
            "e3 f1 x2".to_owned()
        ],
        "servers that came back need not be agreed on"
    );
}

#[test]
fn fetches_that_agree_on_too_little_start_the_count_anew() {
    let all = "a2 b2 c2 d2 e2 f2";
    assert_eq!(
        fetches("a b c d e f", &["a b", "e f", "c d", "c d", "c d"]),
        [
            format!("1: {all}"),
            format!("1: {all}"),
            format!("1: {all}"),
            format!("2: {all}"),
            "c2 d2".to_owned()
        ]
    );
}

#[test]
fn of_an_app_that_was_lacking_whole_and_in_part_the_part_is_agreed_on() {
    let all = "a9 b2";
    let whole = [format!("1: {all}"), format!("2: {all}")];
    let after = |third: &str, out: &str| {
        let got = fetches("a9 b", &["b", "a1 b", third]);
        assert_eq!(got[..2], whole);
        assert_eq!(got[2], out);
    };
    after("a1 b", "a1 b2");
    // The one server that is left is another matter.
    after("b", "b2");
}

#[test]
fn most_of_what_is_left_waits_for_fetches_of_its_own() {
    let all = "a2 b2 c2 d2 e2 f2 g2";
    let held = |agreeing: usize| format!("{agreeing}: {all}");
    let (one, two) = (held(1), held(2));
    for (fetched, third, fourth, fifth) in [
        (
            ["e f g", "e f g", "", "", ""],
            "1: e2 f2 g2",
            "2: e2 f2 g2",
            "",
        ),
        (["e f g", "", "", "", ""], "2: e2 f2 g2", "", ""),
    ] {
        // What may go is never installed here, as if HAProxy refused it: it may go all the same.
        let want = [one.as_str(), &two, third, fourth, fifth];
        assert_eq!(fetches("a b c d e f g", &fetched), want, "{fetched:?}");
    }
}

/// Once, a loss that came later was never counted, since the first was never installed.
#[test]
fn a_file_that_is_refused_meanwhile_keeps_no_removal_for_ever() {
    let mut memory = GuardMemory::default();
    let served = cluster("a b c d e f g h i");
    let mut released = Vec::new();
    for turn in 0..12 {
        let fresh = cluster(if turn < 4 { "f g h i" } else { "" });
        let (out, held) = hold(&served, fresh, &mut memory, at(turn * 60));
        if held.is_none() {
            released.push((turn, shape(&out)));
        }
    }
    let first = (2, "f2 g2 h2 i2".to_owned());
    let again = (3, first.1.clone());
    // Turns 4 and 5 let the first part go alone, and turn 6 the rest.
    let all = (6..12).map(|turn| (turn, String::new()));
    assert_eq!(
        released,
        [first, again].into_iter().chain(all).collect::<Vec<_>>()
    );
}

#[test]
fn apps_that_are_held_are_named_and_not_those_that_may_go() {
    let mut memory = GuardMemory::default();
    let served = cluster("a b c d e f g");
    let mut turn = |fresh: &str, seconds| hold(&served, cluster(fresh), &mut memory, at(seconds)).1;
    let held = |held: Option<Held>| Vec::from_iter(held.unwrap().apps).join(" ");
    for seconds in [0, 10] {
        assert_eq!(held(turn("e f g", seconds)), "a b c d");
    }
    assert_eq!(held(turn("", 20)), "e f g");
}

/// The first app of a canary has the servers of all.
#[test]
fn a_server_of_several_service_ports_counts_once() {
    let ports = once(cluster("a b"));
    assert_eq!(shape(&ports), shape(&cluster("a b")));
    let mut whole = cluster("a b");
    let of_b = whole[1].endpoints.clone();
    whole[0].endpoints.extend(of_b);
    assert_eq!(shape(&once(whole)), shape(&cluster("a b")));
}
