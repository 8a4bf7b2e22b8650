//! What the native set knows of tasks beside marathon-lb.

use super::*;

/// As the native set sees it.
fn knowing(health_check: bool) -> Selection {
    Selection {
        knows_deployments: true,
        ..selection(health_check)
    }
}

#[test]
fn a_task_at_port_0_costs_itself_in_the_native_set_alone() {
    let app = || {
        let mut app = checked(Some(&[true]));
        app.tasks.push(task("u", &[0]));
        app
    };
    let (served, warnings) = select(app(), &knowing(false));
    assert!(
        !served.contains(":0") && served.contains(":3100"),
        "{served}"
    );
    let said: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("port 0 for service port 80"), "{said:?}");
    let (served, warnings) = select(app(), &selection(false));
    assert!(served.ends_with(":0") && warnings.is_empty(), "{served}");
}

/// Two tasks with these results, of an app whose checks leave none for the first minute.
fn two(one: Option<&[HealthResult]>, other: Option<&[HealthResult]>) -> App {
    let mut app = checked(None);
    app.health_checks[0].grace_period_seconds = 58;
    app.tasks.push(task("u", &[31001]));
    app.tasks[0].health = one.map(<[_]>::to_vec);
    app.tasks[1].health = other.map(<[_]>::to_vec);
    app
}

const ALIVE: HealthResult = HealthResult {
    alive: true,
    consecutive_failures: 0,
};
const FAILED: HealthResult = HealthResult {
    alive: false,
    consecutive_failures: 1,
};
/// Nothing was found yet, or a failure in the grace period.
const UNCHECKED: HealthResult = HealthResult {
    alive: false,
    consecutive_failures: 0,
};

/// One task without results beside others that have some has not been checked yet; one that had the
/// time for it has lost them.
#[test]
fn no_word_of_the_health_of_a_task_is_not_a_bad_one() {
    let none: Option<&[HealthResult]> = None;
    for (one, other, young, old) in [
        (none, none, "both", "both"),
        (Some(&[][..]), none, "both", "both"),
        (Some(&[]), Some(&[]), "both", "both"),
        (none, Some(&[ALIVE]), "other", "both"),
        (Some(&[]), Some(&[ALIVE]), "other", "both"),
        (Some(&[UNCHECKED]), Some(&[ALIVE]), "other", "both"),
        (Some(&[UNCHECKED]), none, "nobody", "both"),
        (Some(&[FAILED]), none, "nobody", "other"),
        (Some(&[FAILED]), Some(&[FAILED]), "nobody", "nobody"),
        (
            Some(&[FAILED, UNCHECKED]),
            Some(&[FAILED, ALIVE]),
            "other",
            "other",
        ),
    ] {
        for (started_at, want) in [
            ("2026-01-01T00:00:00Z", young),
            ("2025-12-31T23:59:30Z", old),
        ] {
            let mut app = two(one, other);
            for task in &mut app.tasks {
                task.started_at = Some(started_at.into());
            }
            let (served, _) = select(app, &knowing(true));
            let who = match (served.contains(":31000"), served.contains(":31001")) {
                (true, true) => "both",
                (true, false) => "one",
                (false, true) => "other",
                (false, false) => "nobody",
            };
            assert_eq!(who, want, "{one:?} {other:?} since {started_at}");
        }
    }
    assert_eq!(select(two(None, None), &selection(true)).0, "0:80=");
}

/// Results come back one after the other.
#[test]
fn a_new_leader_changes_nothing_for_tasks_whose_health_is_known() {
    let mut memory = HealthMemory::new(9);
    let mut serves = |one: Option<&[HealthResult]>, other: Option<&[HealthResult]>| {
        let apps = [Arc::new(two(one, other))];
        let (ports, _) = zipped_service_ports(&apps, &knowing(true), &mut memory, now());
        let ports = ports[0].endpoints.iter().map(|endpoint| endpoint.port);
        ports.collect::<Vec<u16>>()
    };
    assert_eq!(serves(Some(&[ALIVE]), Some(&[FAILED])), [31000]);
    assert_eq!(serves(None, None), [31000]);
    assert_eq!(serves(Some(&[]), Some(&[])), [31000]);
    assert_eq!(serves(Some(&[UNCHECKED]), Some(&[UNCHECKED])), [31000]);
    assert_eq!(serves(None, Some(&[ALIVE])), [31000, 31001]);
    assert_eq!(serves(Some(&[FAILED]), Some(&[ALIVE])), [31001]);
}

/// The app was changed since; what a task was given tells what it was before.
#[test]
fn a_task_of_an_older_definition_is_dialled_where_it_is() {
    let older = |network, ports: &[u16], addresses: &[&str]| {
        let mut app = app(network);
        app.last_config_change_at = Some("2026-01-02T00:00:00.000Z".into());
        app.tasks[0] = task("t", ports);
        app.tasks[0].version = Some("2026-01-01T00:00:00.000Z".into());
        app.tasks[0].ip_addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        app
    };
    let on_agent = |app: App| App {
        port_definitions: Some(definitions(&[80, 81])),
        ..app
    };
    let in_container = |app: App| App {
        port_mappings: vec![mapping(Some(80), 8080), mapping(Some(81), 8081)],
        ..app
    };
    for (app, want) in [
        // One more port, and one less.
        (
            on_agent(older(Network::Host, &[31000], &[])),
            "0:80=agent:31000 1:81=",
        ),
        (
            on_agent(older(Network::Host, &[31000, 31001, 31002], &[])),
            "0:80=agent:31000 1:81=agent:31001",
        ),
        // From ports of the agent to a network of its own, and back.
        (
            in_container(older(Network::Container, &[31000], &["172.17.0.2"])),
            "0:80=agent:31000 1:81=",
        ),
        (
            in_container(older(Network::Bridge, &[], &["10.0.0.1"])),
            "0:80=10.0.0.1:8080 1:81=10.0.0.1:8081",
        ),
        (
            on_agent(older(Network::Host, &[], &["10.0.0.1"])),
            "0:80= 1:81=",
        ),
        (on_agent(older(Network::Host, &[], &[])), "0:80= 1:81="),
        // What has not changed.
        (
            in_container(older(Network::Container, &[], &["10.0.0.1"])),
            "0:80=10.0.0.1:8080 1:81=10.0.0.1:8081",
        ),
    ] {
        let (served, warnings) = select(app.clone(), &knowing(false));
        assert_eq!(served, want, "{app:?}");
        assert_eq!(warnings, [], "it is no fault of the present definition");
    }
    // Of the present definition, that is a fault.
    let mut present = on_agent(older(Network::Container, &[31000], &[]));
    present.tasks[0].version = present.last_config_change_at.clone();
    assert_eq!(select(present, &knowing(false)).1.len(), 1);
}
