//! Whatever is wanted and present, the steps lead to what is wanted.

use super::*;

/// A process as the commands leave it.
fn obey(present: &mut Vec<ServerState>, step: &Step, wanted: &Backend) {
    let find = |present: &mut Vec<ServerState>, target: &Target| {
        present.iter().position(|state| state.name == target.name())
    };
    match step {
        Step::Add(target, _) => {
            let server = wanted.servers.iter().find(|s| s.name == target.name());
            let said = server.unwrap().said.clone().unwrap();
            assert!(find(present, target).is_none(), "{target} is there");
            present.push(ServerState {
                backend: "b".to_owned(),
                name: target.name().to_owned(),
                id: said.id.unwrap(),
                address: Some(said.address),
                port: said.port,
                admin: Admin(1),
                op: Op::Stopped,
                weight: said.weight,
                check: Check {
                    is_configured: said.is_checked,
                    dials: said.check_port.map_or(Dials::Server, Dials::Port),
                    ..Check::default()
                },
            });
        }
        Step::AwaitIdle(..) | Step::AwaitAddress(..) | Step::Cookies(..) => (),
        Step::Delete(target) => {
            let place = find(present, target).unwrap();
            assert!(present[place].admin.is_in_maintenance(), "{target}");
            present.remove(place);
        }
        Step::EnableHealth(target)
        | Step::State(target, _)
        | Step::HealthDown(target)
        | Step::HealthUp(target)
        | Step::Weight(target, _)
        | Step::CheckPort(target, _)
        | Step::Address(target, ..) => {
            let place = find(present, target).unwrap();
            let state = &mut present[place];
            match step {
                Step::EnableHealth(_) => state.check.is_enabled = true,
                Step::HealthDown(_) => state.op = Op::Stopped,
                Step::HealthUp(_) => state.op = Op::Running,
                Step::Weight(_, weight) => state.weight = *weight,
                Step::CheckPort(_, port) => {
                    assert!(state.admin.is_in_maintenance(), "{target}");
                    state.check.dials = port.map_or(Dials::Server, Dials::Port);
                }
                Step::Address(_, address, port) => {
                    assert!(state.admin.is_in_maintenance(), "{target}");
                    (state.address, state.port) = (Some(*address), *port);
                }
                Step::State(_, will) => {
                    if state.admin.is_in_maintenance() && *will != Will::Maint {
                        state.op = Op::Running;
                    }
                    state.admin = Admin(match will {
                        Will::Ready => 0,
                        Will::Drain => 8,
                        Will::Maint => 1,
                    });
                }
                _ => (),
            }
        }
    }
}

proptest::proptest! {
    /// Whatever is there: once the steps are obeyed, nothing is left to be done.
    #[test]
    fn the_steps_lead_to_what_the_file_says(
        wanted in proptest::collection::btree_map(1u8..9, (0u16..3, proptest::bool::ANY, proptest::bool::ANY), 0..8),
        there in proptest::collection::btree_map(1u8..9, (0u16..3, 0u32..16, 0u8..4, proptest::bool::ANY), 0..8),
        version in proptest::sample::select(vec![V2_6, V3_1]),
    ) {
        let line = |(n, (weight, is_checked, is_disabled)): (&u8, &(u16, bool, bool))| {
            let check = if *is_checked { " check" } else { "" };
            let disabled = if *is_disabled { " disabled" } else { "" };
            format!("server s{n} 10.0.0.{n}:80 id {n} weight {weight}{check}{disabled}")
        };
        let lines: Vec<String> = wanted.iter().map(line).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let file = backend(&lines);
        let mut present: Vec<ServerState> = there.iter().map(|(n, (weight, admin, at, runs))| {
            let mut state = up(&format!("s{n}"), *n);
            (state.weight, state.admin) = (*weight, Admin(*admin & !2));
            state.op = if *runs { Op::Running } else { Op::Stopped };
            if *at == 0 {
                state.address = Some(IpAddr::from([10, 9, 9, *n]));
            }
            // Whether one is checked cannot be told.
            if wanted.get(n).is_some_and(|(_, is_checked, _)| *is_checked) {
                state = checked(state);
            }
            state
        }).collect();
        let compare = |present: &[ServerState]| {
            let compared = Compared { wanted: &file, before: None, present };
            let steps = converge(&[compared], version).unwrap();
            [steps.coming, steps.going].concat()
        };
        let first = compare(&present);
        for step in &first {
            obey(&mut present, step, &file);
        }
        let again = compare(&present);
        proptest::prop_assert!(
            again.iter().all(|step| matches!(step, Step::HealthUp(_))),
            "{first:?}\nthen {again:?}"
        );
        proptest::prop_assert_eq!(present.len(), wanted.len());
    }
}
