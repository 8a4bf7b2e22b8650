//! Lines that stay, whoever is in them.

use super::*;

const V2_2: Version = Version::new(2, 2);
const FREE: &str = "server slot_2 127.0.0.1:1 id 2 check disabled";
const TAKEN: &str = "server slot_2 10.0.0.7:81 id 2 check";
const OTHER: &str = "server slot_1 10.0.0.1:80 id 1 check";

fn free() -> ServerState {
    ServerState {
        address: Some("127.0.0.1".parse().unwrap()),
        port: 1,
        ..with_admin(checked(up("slot_2", 2)), 1 | 4)
    }
}

fn taken() -> ServerState {
    ServerState {
        address: Some("10.0.0.7".parse().unwrap()),
        port: 81,
        ..checked(up("slot_2", 2))
    }
}

fn other() -> ServerState {
    checked(up("slot_1", 1))
}

fn told(line: &str, state: ServerState, version: Version) -> Vec<String> {
    let wanted = backend(&["balance static-rr", OTHER, line]);
    between(&wanted, None, &[other(), state], version).unwrap()
}

#[test]
fn a_free_slot_is_filled_at_rest_and_gets_nothing_before_a_check_succeeds() {
    let want = [
        "ended slot_2",
        "set server b/slot_2 addr 10.0.0.7 port 81",
        "see b/slot_2 10.0.0.7:81",
        "set server b/slot_2 state drain",
        "set server b/slot_2 health down",
        "set server b/slot_2 state ready",
    ];
    for version in [V2_2, V2_6] {
        assert_eq!(told(TAKEN, free(), version), want);
    }
    // Declared `disabled` in the file it reads, and taken now.
    let once = with_admin(taken(), 4);
    assert_eq!(told(TAKEN, once, V2_2), [""; 0]);
    assert_eq!(told(FREE, free(), V2_2), [""; 0]);
}

#[test]
fn all_addresses_are_told_before_the_first_is_waited_for() {
    let lines = |address: &str| -> Vec<String> {
        let line = |n: u8| format!("server slot_{n} {address}{n}:80 id {n}");
        (2..4).map(line).collect()
    };
    let wanted = lines("10.0.0.");
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let rests = |n: u8| ServerState {
        port: 1,
        ..with_admin(up(&format!("slot_{n}"), n), 5)
    };
    let got = between(&backend(&wanted), None, &[rests(2), rests(3)], V2_2).unwrap();
    assert_eq!(
        got,
        [
            "ended slot_2 slot_3",
            "set server b/slot_2 addr 10.0.0.2 port 80",
            "set server b/slot_3 addr 10.0.0.3 port 80",
            "see b/slot_2 10.0.0.2:80",
            "see b/slot_3 10.0.0.3:80",
            "set server b/slot_2 state ready",
            "set server b/slot_3 state ready",
        ]
    );
}

#[test]
fn who_leaves_a_slot_has_ended_its_requests_before_the_address_changes() {
    let left = told(FREE, taken(), V2_2);
    let before_that = [
        "set server b/slot_2 state drain",
        "idle slot_2",
        "set server b/slot_2 state maint",
    ];
    assert_eq!(left[..3], before_that);
    let nobody = [
        "set server b/slot_2 addr 127.0.0.1 port 1",
        "see b/slot_2 127.0.0.1:1",
    ];
    assert_eq!(left[3..], nobody);
    // A connection of his would be used again for who follows at once.
    let next = "server slot_2 10.0.0.8:82 id 2 check";
    let left = told(next, taken(), V2_2);
    let before_that = [
        "set server b/slot_2 state drain",
        "idle slot_2",
        "ended slot_2",
        "set server b/slot_2 state maint",
        "ended slot_2",
    ];
    assert_eq!(left[..5], before_that);
    assert_eq!(left[5], "set server b/slot_2 addr 10.0.0.8 port 82");
    assert_eq!(left.last().unwrap(), "set server b/slot_2 state ready");
}

#[test]
fn the_share_of_who_comes_is_told_before_it_serves() {
    let line = "server slot_2 10.0.0.7:81 id 2 check weight 9";
    let got = told(line, free(), V2_2);
    assert_eq!(got[3], "set server b/slot_2 weight 9");
    // It goes, and keeps its share until then.
    let heavy = ServerState {
        weight: 9,
        ..taken()
    };
    let got = told(FREE, heavy, V2_2);
    assert!(!got.iter().any(|step| step.contains("weight")), "{got:?}");
}

#[test]
fn the_port_of_checks_is_told_with_the_address() {
    let line = "server slot_2 10.0.0.7:81 id 2 check port 99";
    let got = told(line, free(), V2_6);
    let want = [
        "set server b/slot_2 addr 10.0.0.7 port 81",
        "set server b/slot_2 check-port 99",
        "see b/slot_2 10.0.0.7:81",
    ];
    assert_eq!(got[1..4], want);
    let mut at_99 = taken();
    at_99.check.dials = Dials::Port(99);
    assert_eq!(told(line, at_99.clone(), V2_6), [""; 0]);
    let left = told(FREE, at_99.clone(), V2_6);
    assert_eq!(left[4], "set server b/slot_2 check-port 0");
    // It is that of who is there.
    let wanted = backend(&[OTHER, TAKEN]);
    let refusal = between(&wanted, None, &[other(), at_99.clone()], V2_6);
    assert!(refusal.unwrap_err().contains("checked in another way"));
    // 2.2 does not say which it has.
    let mut untold = free();
    untold.check.dials = Dials::Untold;
    assert_eq!(told(line, untold, V2_2)[1..4], want);
    let mut untold = taken();
    untold.check.dials = Dials::Untold;
    let wanted = backend(&[OTHER, line]);
    let present = [other(), untold];
    for (before, is_told) in [(FREE, true), (line, true), (TAKEN, false)] {
        let before = backend(&[OTHER, before]);
        let got = between(&wanted, Some(&before), &present, V2_2);
        assert_eq!(got.is_ok(), is_told, "{got:?}");
    }
}

#[test]
fn slots_that_run_out_are_a_reason_to_reload_which_says_how_many() {
    let lines = [
        OTHER,
        TAKEN,
        "server slot_3 127.0.0.1:1 id 3 check disabled",
    ];
    let refusal = |lines: &[&str], version: Version| {
        between(&backend(lines), None, &[other()], version).unwrap_err()
    };
    assert_eq!(
        refusal(&lines, V2_2),
        "backend `b`: needs 2 more slots, and HAProxy 2.2 can neither add servers nor take them away"
    );
    let fixed = [&["balance source"], &lines[..2]].concat();
    assert_eq!(
        refusal(&fixed, V2_6),
        "backend `b`: needs 1 more slot, and `balance source` knows its servers from the start on"
    );
    // They come without one where that can be.
    let got = between(&backend(&lines), None, &[other()], V2_6).unwrap();
    assert!(
        got.iter()
            .any(|step| step.starts_with("add server b/slot_3 127.0.0.1:1 id 3"))
    );
    assert!(
        !got.iter()
            .any(|step| step == "set server b/slot_3 state ready")
    );
}

#[test]
fn a_version_that_adds_none_takes_none_away() {
    let refusal =
        |present: &[ServerState]| between(&backend(&[A]), None, present, V2_2).unwrap_err();
    for gone in [up("b", 2), with_admin(up("b", 2), 1)] {
        let why = refusal(&[up("a", 1), gone]);
        assert_eq!(
            why,
            "`b`: HAProxy 2.2 can neither add servers nor take them away"
        );
    }
    assert_eq!(
        refusal(&[]),
        "`b`: HAProxy 2.2 can neither add servers nor take them away"
    );
    // Who rests does so without a reload.
    let rests = backend(&["server a 10.0.0.1:80 id 1 disabled"]);
    let got = between(&rests, None, &[up("a", 1)], V2_2).unwrap();
    assert_eq!(got, ["set server b/a state maint"]);
}
