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
