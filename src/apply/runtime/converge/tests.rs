mod generated;
mod slots;

use super::super::wanted::backends;
use super::*;
use crate::haproxy::servers::{Admin, Check, Dials};

const V2_6: Version = Version::new(2, 6);
const V3_1: Version = Version::new(3, 1);

/// A section with these lines.
fn backend(lines: &[&str]) -> Backend {
    let text = format!("backend b\n{}\n", lines.join("\n"));
    backends(&text).remove("b").unwrap()
}

/// A server that serves at `10.0.0.N:80` with the id N.
fn up(name: &str, n: u8) -> ServerState {
    ServerState {
        backend: "b".to_owned(),
        name: name.to_owned(),
        id: n.into(),
        address: Some(IpAddr::from([10, 0, 0, n])),
        port: 80,
        admin: Admin(0),
        op: Op::Running,
        weight: 1,
        check: Check::default(),
    }
}

fn checked(mut state: ServerState) -> ServerState {
    state.check.is_configured = true;
    state.check.is_enabled = true;
    state
}

fn with_admin(mut state: ServerState, admin: u32) -> ServerState {
    state.admin = Admin(admin);
    if admin & (1 | 8) != 0 {
        state.op = Op::Stopped;
    }
    state
}

/// Steps as lines.
fn steps(wanted: &Backend, present: &[ServerState]) -> Result<Vec<String>, String> {
    between(wanted, None, present, V2_6)
}

fn between(
    wanted: &Backend,
    before: Option<&Backend>,
    present: &[ServerState],
    version: Version,
) -> Result<Vec<String>, String> {
    let compared = Compared {
        wanted,
        before,
        present,
    };
    let steps = converge(&[compared], version).map_err(|refusal| refusal.to_string())?;
    let steps = [steps.coming, steps.going].concat();
    let line = |step: &Step| match step {
        Step::AwaitIdle(targets, patience) => {
            let names: Vec<&str> = targets.iter().map(Target::name).collect();
            let word = match patience {
                Patience::Brief => "idle",
                Patience::Long => "ended",
            };
            format!("{word} {}", names.join(" "))
        }
        Step::AwaitAddress(target, address, port) => format!("see {target} {address}:{port}"),
        step => step.command().unwrap(),
    };
    Ok(steps.iter().map(line).collect())
}

#[test]
fn who_comes_does_so_before_maps_lead_there_and_who_goes_does_after() {
    let wanted = backend(&[
        A,
        "server b 10.0.0.2:80 id 2 disabled",
        "server d 10.0.0.4:80 id 4",
    ]);
    let present = [up("a", 1), up("b", 2), up("c", 3)];
    let compared = Compared {
        wanted: &wanted,
        before: None,
        present: &present,
    };
    let steps = converge(&[compared], V2_6).unwrap();
    let commands =
        |steps: &[Step]| -> Vec<String> { steps.iter().filter_map(Step::command).collect() };
    let coming = commands(&steps.coming);
    assert!(coming[0].starts_with("add server b/d "), "{coming:?}");
    assert_eq!(coming[1..], ["set server b/d state ready"]);
    assert_eq!(
        commands(&steps.going),
        [
            "set server b/b state maint",
            "set server b/c state drain",
            "set server b/c state maint",
            "del server b/c"
        ]
    );
}

const A: &str = "server a 10.0.0.1:80 id 1";
const B: &str = "server b 10.0.0.2:80 id 2";
const A_CHECKED: &str = "server a 10.0.0.1:80 id 1 check";
const B_CHECKED: &str = "server b 10.0.0.2:80 id 2 check";

#[test]
fn what_is_as_the_file_says_needs_nothing() {
    let wanted = backend(&[A, B]);
    assert_eq!(steps(&wanted, &[up("a", 1), up("b", 2)]), Ok(vec![]));
    // Declared `disabled` once, and ready since.
    let once = with_admin(up("b", 2), 4);
    assert_eq!(steps(&wanted, &[up("a", 1), once]), Ok(vec![]));
    // Down by its checks: HAProxy's own matter.
    let mut down = checked(up("b", 2));
    (down.op, down.check.has_failed) = (Op::Stopped, true);
    let wanted = backend(&[A_CHECKED, B_CHECKED]);
    assert_eq!(steps(&wanted, &[checked(up("a", 1)), down]), Ok(vec![]));
}

#[test]
fn who_comes_is_added_and_made_ready() {
    let got = steps(&backend(&[A, B]), &[up("a", 1)]);
    let want = [
        "add server b/b 10.0.0.2:80 id 2 pool-purge-delay 5s pool-max-conn 100",
        "set server b/b state ready",
    ];
    assert_eq!(got.unwrap(), want);
}

#[test]
fn who_comes_and_is_checked_gets_nothing_before_a_check_succeeds() {
    let got = steps(&backend(&[A_CHECKED, B_CHECKED]), &[checked(up("a", 1))]);
    let want = [
        "add server b/b 10.0.0.2:80 id 2 check pool-purge-delay 5s pool-max-conn 100",
        "enable health b/b",
        "set server b/b state drain",
        "set server b/b health down",
        "set server b/b state ready",
    ];
    assert_eq!(got.unwrap(), want);
}

#[test]
fn from_3_1_on_who_comes_is_down_at_first() {
    let wanted = backend(&[A_CHECKED, B_CHECKED]);
    let told = |present: &[ServerState]| between(&wanted, None, present, V3_1).unwrap();
    let added = [
        "add server b/b 10.0.0.2:80 id 2 check pool-purge-delay 5s pool-max-conn 100 init-state \
         fully-down",
        "enable health b/b",
        "set server b/b state ready",
    ];
    assert_eq!(told(&[checked(up("a", 1))]), added);
    // One that serves at once is not.
    let alone = told(&[checked(up("x", 9))]);
    assert!(
        !alone.iter().any(|step| step.contains("init-state")),
        "{alone:?}"
    );
    // And whoever was added so is down each time that it leaves maintenance.
    let rests = with_admin(checked(up("b", 2)), 1);
    let [.., ready, up_again] = &told(&[with_admin(checked(up("a", 1)), 1), rests])[..] else {
        panic!()
    };
    assert_eq!(ready, "set server b/b state ready");
    assert_eq!(up_again, "set server b/b health up");
    // Without checks nobody waits.
    let got = between(&backend(&[A, B]), None, &[up("a", 1)], V3_1).unwrap();
    assert!(got[0].ends_with("pool-max-conn 100"), "{got:?}");
}

/// It counts in 2.6 that HAProxy makes them only at its start and when it is told of the key.
#[test]
fn who_comes_gets_a_dynamic_cookie_before_anybody_gets_there() {
    let lines = ["cookie C insert dynamic", "dynamic-cookie-key k", A, B];
    let wanted = backend(&lines);
    let want = [
        "add server b/b 10.0.0.2:80 id 2 pool-purge-delay 5s pool-max-conn 100",
        "set dynamic-cookie-key backend b k",
        "set server b/b state ready",
    ];
    assert_eq!(steps(&wanted, &[up("a", 1)]).unwrap(), want);
    // Whoever was added, and then not told of its cookie.
    let rests = with_admin(up("b", 2), 1);
    assert_eq!(steps(&wanted, &[up("a", 1), rests]).unwrap(), want[1..]);
    // HAProxy does it by itself.
    let got = between(&wanted, None, &[up("a", 1)], Version::new(3, 0));
    assert_eq!(got.unwrap(), [want[0], want[2]]);
    // A key that would say more than itself is none.
    let odd = backend(&[lines[0], "dynamic-cookie-key 'k;show info'", A, B]);
    let refusal = steps(&odd, &[up("a", 1)]).unwrap_err();
    assert!(refusal.contains("dynamic-cookie-key"), "{refusal}");
}

/// A reload would have it serve at once, too.
#[test]
fn nobody_waits_for_checks_where_too_few_would_serve_meanwhile() {
    let wanted = backend(&[A_CHECKED, B_CHECKED]);
    for present in [vec![], vec![checked(up("x", 9))]] {
        let got = steps(&wanted, &present).unwrap();
        assert!(
            !got.iter().any(|step| step.contains("health down")),
            "{got:?}"
        );
        assert!(
            got.contains(&"set server b/b state ready".to_owned()),
            "{got:?}"
        );
    }
    // One that was let wait, when the last of the others goes.
    let mut waits = checked(up("b", 2));
    waits.op = Op::Stopped;
    let wanted = backend(&[B_CHECKED]);
    let got = steps(&wanted, &[checked(up("a", 1)), waits.clone()]).unwrap();
    assert_eq!(got[0], "set server b/b health up");
    assert_eq!(got[1], "set server b/a state drain");
    // But not one whose check failed.
    waits.check.has_failed = true;
    let got = steps(&wanted, &[checked(up("a", 1)), waits]).unwrap();
    assert_eq!(got[0], "set server b/a state drain");
}

#[test]
fn who_goes_is_drained_before_it_is_taken_away_and_after_others_came() {
    let got = steps(&backend(&[B]), &[up("a", 1), up("x", 9)]);
    let want = [
        "add server b/b 10.0.0.2:80 id 2 pool-purge-delay 5s pool-max-conn 100",
        "set server b/b state ready",
        "set server b/a state drain",
        "set server b/x state drain",
        "idle a x",
        "set server b/a state maint",
        "set server b/x state maint",
        "del server b/a",
        "del server b/x",
    ];
    assert_eq!(got.unwrap(), want);
}

/// In maintenance nobody's requests are cut, unless somebody asked for that.
#[test]
fn who_would_have_its_requests_cut_rests_only_once_they_had_their_time() {
    let cut = "server a 10.0.0.1:80 id 1 on-marked-down shutdown-sessions";
    let want = [
        "set server b/a state drain",
        "idle a",
        "ended a",
        "set server b/a state maint",
        "del server b/a",
    ];
    let default = "default-server on-marked-down shutdown-sessions";
    for (wanted, before) in [([B].as_slice(), [cut, B]), (&[default, B], [A, B])] {
        let (wanted, before) = (backend(wanted), backend(&before));
        let got = between(&wanted, Some(&before), &[up("a", 1), up("b", 2)], V2_6);
        assert_eq!(got.unwrap(), want);
    }
}

#[test]
fn what_is_left_in_maintenance_is_only_taken_away() {
    let got = steps(&backend(&[A]), &[up("a", 1), with_admin(up("x", 9), 1)]);
    assert_eq!(got.unwrap(), ["del server b/x"]);
    // Also where none can be added.
    let fixed = backend(&["balance source", A]);
    let got = steps(&fixed, &[up("a", 1), with_admin(up("x", 9), 1)]);
    assert_eq!(got.unwrap(), ["del server b/x"]);
}

#[test]
fn what_others_did_is_undone() {
    let wanted = backend(&[A, B]);
    let mut heavy = up("b", 2);
    heavy.weight = 7;
    for (state, want) in [
        (heavy, vec!["set server b/b weight 1"]),
        (
            with_admin(up("b", 2), 1),
            vec!["set server b/b state ready"],
        ),
        (
            with_admin(up("b", 2), 5),
            vec!["set server b/b state ready"],
        ),
        (
            with_admin(up("b", 2), 8),
            vec!["set server b/b state ready"],
        ),
    ] {
        assert_eq!(steps(&wanted, &[up("a", 1), state]).unwrap(), want);
    }
    let checked_only = backend(&[A_CHECKED, B_CHECKED]);
    let mut unchecked = checked(up("b", 2));
    unchecked.check.is_enabled = false;
    assert_eq!(
        steps(&checked_only, &[checked(up("a", 1)), unchecked]).unwrap(),
        ["enable health b/b"]
    );
    let rests = with_admin(checked(up("b", 2)), 1);
    assert_eq!(
        steps(&checked_only, &[checked(up("a", 1)), rests]).unwrap(),
        [
            "set server b/b state drain",
            "set server b/b health down",
            "set server b/b state ready"
        ]
    );
}

#[test]
fn weight_and_disabled_are_told() {
    let present = [up("a", 1), up("b", 2)];
    let heavy = backend(&[A, "server b 10.0.0.2:80 id 2 weight 9"]);
    let got = steps(&heavy, &present);
    assert_eq!(got.unwrap(), ["set server b/b weight 9"]);
    // Who rests has no share.
    let rests = backend(&[A, "server b 10.0.0.2:80 id 2 weight 9 disabled"]);
    let got = steps(&rests, &[up("a", 1), with_admin(up("b", 2), 1)]);
    assert_eq!(got, Ok(vec![]));
    let disabled = backend(&[A, "server b 10.0.0.2:80 id 2 disabled"]);
    let got = steps(&disabled, &present);
    assert_eq!(got.unwrap(), ["set server b/b state maint"]);
    let got = steps(&disabled, &[up("a", 1), with_admin(up("b", 2), 1)]);
    assert_eq!(got, Ok(vec![]));
    // It comes, and is about to go.
    let got = steps(&disabled, &[up("a", 1)]).unwrap();
    assert_eq!(got.len(), 1, "{got:?}");
}

#[test]
fn an_address_changes_only_in_maintenance_and_is_seen_before_anybody_gets_there() {
    let wanted = backend(&[A, "server b 10.0.0.7:81 id 2"]);
    let want = [
        "set server b/b state drain",
        "idle b",
        "ended b",
        "set server b/b state maint",
        "ended b",
        "set server b/b addr 10.0.0.7 port 81",
        "see b/b 10.0.0.7:81",
        "set server b/b state ready",
    ];
    assert_eq!(steps(&wanted, &[up("a", 1), up("b", 2)]).unwrap(), want);
}

#[test]
fn what_cannot_be_told_is_a_reason_to_reload() {
    let (a, b) = (up("a", 1), up("b", 2));
    let refused = |lines: &[&str], present: &[ServerState], why: &str| {
        let refusal = steps(&backend(lines), present).unwrap_err();
        assert!(refusal.contains(why), "{refusal}");
    };
    let only_a = std::slice::from_ref(&a);
    let both = [a.clone(), b.clone()];
    refused(&["balance source", A, B], only_a, "balance source");
    refused(&["balance static-rr", A], &both, "balance static-rr");
    refused(&["default-server inter 1s", A, B], only_a, "default-server");
    refused(&["cookie C insert dynamic", A, B], only_a, "dynamic cookie");
    refused(&[A, "server b 10.0.0.2:80"], only_a, "no `id`");
    refused(&[A, "server b h:80 id 2"], only_a, "`h:80` cannot be told");
    refused(&[A, "server b 10.0.0.2:80 id 2 ssl"], only_a, "`ssl`");
    refused(&[A, "server b 10.0.0.2:80 id 2 cookie c"], only_a, "cookie");
    refused(&[A, "server b 10.0.0.2:80 id 5"], &both, "its id is 2");
    refused(&[A, B_CHECKED], &both, "checked in another way");
    let elsewhere = "server b 10.0.0.2:80 id 2 check port 99";
    refused(
        &[A, elsewhere],
        &[a.clone(), checked(b.clone())],
        "checked in another way",
    );
    refused(&[A, A], only_a, "two servers");
    let odd = ServerState {
        name: "x;y".to_owned(),
        ..b.clone()
    };
    refused(&[A], &[a.clone(), odd], "no plain word");
}

#[test]
fn words_that_no_command_changes_are_a_reason_to_reload_only_when_they_changed() {
    let present = [up("a", 1), up("b", 2)];
    let before = backend(&[A, "server b 10.0.0.2:80 id 2 maxconn 3 ssl"]);
    assert_eq!(between(&before, Some(&before), &present, V2_6), Ok(vec![]));
    for line in [
        "server b 10.0.0.2:80 id 2 maxconn 4 ssl",
        "server b 10.0.0.2:80 id 2 maxconn 3",
        "server b 10.0.0.2:80 id 2 maxconn 3 ssl weight 4",
    ] {
        let refusal = between(&backend(&[A, line]), Some(&before), &present, V2_6);
        assert!(refusal.is_err(), "{line}");
    }
    let heavy = backend(&[A, "server b 10.0.0.2:80 id 2 weight 4"]);
    let got = between(&heavy, Some(&backend(&[A, B])), &present, V2_6);
    assert_eq!(got.unwrap(), ["set server b/b weight 4"]);
}

#[test]
fn a_literal_cookie_is_told_from_3_0_on() {
    let wanted = backend(&[A, "server b 10.0.0.2:80 id 2 cookie c"]);
    let got = between(&wanted, None, &[up("a", 1)], Version::new(3, 0)).unwrap();
    assert!(got[0].contains(" cookie c "), "{got:?}");
    // Whoever has one can go in all versions.
    let got = steps(&backend(&[A]), &[up("a", 1), up("b", 2)]).unwrap();
    assert_eq!(got.last().unwrap(), "del server b/b");
}

#[test]
fn too_much_to_tell_is_a_reason_to_reload() {
    let lines: Vec<String> = (0..600)
        .map(|n| {
            format!(
                "server s{n} 10.1.{}.{}:80 id {}",
                n / 250,
                n % 250 + 1,
                n + 1
            )
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert!(steps(&backend(&lines), &[up("a", 1)]).is_err());
    assert!(steps(&backend(&lines[..100]), &[up("a", 1)]).is_ok());
}

#[test]
fn what_default_server_says_is_not_overruled() {
    let wanted = backend(&[
        "default-server weight 5 disabled",
        "server a 10.0.0.1:80",
        "server b 10.0.0.2:80 weight 3 enabled",
    ]);
    let mut a = with_admin(up("a", 1), 1 | 4);
    let mut b = up("b", 2);
    (a.weight, b.weight) = (5, 3);
    assert_eq!(steps(&wanted, &[a, b]), Ok(Vec::new()));
}
