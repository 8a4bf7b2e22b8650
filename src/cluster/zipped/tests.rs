mod native;

use proptest::prelude::*;

use super::*;
use crate::cluster::fixtures::{self, task};
use crate::cluster::{
    CheckTarget, DiscoveryPort, HealthResult, PortDefinition, PortMapping, Protocol,
};

fn app(network: Network) -> App {
    App {
        tasks: vec![task("t", &[])],
        ..fixtures::app("/a", network)
    }
}

fn mapping(service_port: Option<u32>, container_port: u16) -> PortMapping {
    PortMapping {
        service_port,
        container_port: Some(container_port),
        host_port: None,
        protocol: Protocol::Udp,
        name: None,
        labels: BTreeMap::new(),
        network_names: Vec::new(),
    }
}

fn definitions(ports: &[u32]) -> Vec<PortDefinition> {
    let definition = |&port: &u32| PortDefinition {
        port: Some(port),
        protocol: Protocol::Tcp,
        name: None,
        labels: BTreeMap::new(),
    };
    ports.iter().map(definition).collect()
}

fn discovery(numbers: &[u16]) -> Vec<DiscoveryPort> {
    let port = |&number: &u16| DiscoveryPort {
        number,
        protocol: Protocol::Tcp,
        name: None,
    };
    numbers.iter().map(port).collect()
}

/// Half a minute after the tasks of the fixtures started.
fn now() -> Timestamp {
    "2026-01-01T00:00:30Z".parse().unwrap()
}

fn selection(health_check: bool) -> Selection {
    Selection {
        health_check,
        knows_deployments: false,
        auto_ports: Some(10050..=10100),
    }
}

fn select(app: App, selection: &Selection) -> (String, Vec<Warning>) {
    let mut memory = HealthMemory::new(9);
    let (ports, warnings) = zipped_service_ports(&[Arc::new(app)], selection, &mut memory, now());
    let word = |port: &ServicePort| {
        let addresses: Vec<String> = port
            .endpoints
            .iter()
            .map(|e| format!("{}:{}", e.host, e.port))
            .collect();
        format!(
            "{}:{}={}",
            port.index,
            port.service_port,
            addresses.join(",")
        )
    };
    let words: Vec<String> = ports.iter().map(word).collect();
    (words.join(" "), warnings)
}

/// `index:service port=addresses`, one word for each service port.
fn served(app: App) -> String {
    select(app, &selection(false)).0
}

#[test]
fn agent_ports_are_paired_by_position_up_to_the_shorter_list() {
    for (service_ports, task_ports, want) in [
        (
            &[80, 81][..],
            &[31000, 31001][..],
            "0:80=agent:31000 1:81=agent:31001",
        ),
        (&[80, 81], &[31000], "0:80=agent:31000 1:81="),
        (&[80], &[31000, 31001], "0:80=agent:31000"),
        (
            &[80, 70_000],
            &[31000, 31001],
            "0:80=agent:31000 1:70000=agent:31001",
        ),
    ] {
        let mut app = app(Network::Host);
        app.port_definitions = Some(definitions(service_ports));
        app.tasks = vec![task("t", task_ports)];
        assert_eq!(served(app), want);
    }
}

#[test]
fn a_mapping_without_a_service_port_shifts_those_behind_it() {
    let mut app = app(Network::Bridge);
    app.port_mappings = vec![mapping(None, 80), mapping(Some(10001), 81)];
    app.tasks = vec![task("t", &[31080, 31081])];
    assert_eq!(served(app), "0:10001=agent:31080");
}

#[test]
fn mappings_without_any_service_port_give_way_to_definitions() {
    let mut app = app(Network::Bridge);
    app.port_mappings = vec![mapping(None, 80)];
    app.port_definitions = Some(definitions(&[10005]));
    app.tasks = vec![task("t", &[31080])];
    assert_eq!(served(app), "0:10005=agent:31080");
}

#[test]
fn two_positions_with_one_number_are_one_service_with_both_servers() {
    let mut app = app(Network::Host);
    app.port_definitions = Some(definitions(&[80, 80]));
    app.tasks = vec![task("t", &[31000, 31001])];
    assert_eq!(served(app), "1:80=agent:31000,agent:31001");
}

#[test]
fn a_container_is_dialled_on_its_first_address_and_keeps_the_name_of_its_agent() {
    let mut app = app(Network::Container);
    app.port_mappings = vec![mapping(Some(10001), 8080)];
    app.tasks[0].ip_addresses = vec!["fd00::1".parse().unwrap(), "10.0.0.1".parse().unwrap()];
    let (ports, _) = zipped_service_ports(
        &[Arc::new(app.clone())],
        &selection(false),
        &mut HealthMemory::new(1),
        now(),
    );
    assert_eq!(ports[0].endpoints[0].host.name(), Some("agent"));
    assert_eq!(served(app.clone()), "0:10001=[fd00::1]:8080");
    app.discovery_ports = discovery(&[9090]);
    assert_eq!(served(app), "0:10001=[fd00::1]:9090");
}

#[test]
fn containers_without_service_ports_are_given_some() {
    let mut app = app(Network::Container);
    app.discovery_ports = discovery(&[80]);
    app.tasks[0].ip_addresses = vec!["10.0.0.1".parse().unwrap()];
    assert_eq!(served(app.clone()), "0:10065=10.0.0.1:80");
    let without = Selection {
        health_check: false,
        knows_deployments: false,
        auto_ports: None,
    };
    assert_eq!(select(app.clone(), &without).0, "");
    let few = Selection {
        health_check: false,
        knows_deployments: false,
        auto_ports: Some(10..=10),
    };
    app.discovery_ports = discovery(&[80, 81]);
    let (served, warnings) = select(app, &few);
    assert_eq!(served, "0:10=10.0.0.1:80");
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].to_string().contains("container port 81"),
        "{}",
        warnings[0]
    );
}

#[test]
fn only_tasks_that_may_serve_count() {
    use TaskState::{
        Dropped, Error, Failed, Finished, Gone, GoneByOperator, Killed, Killing, Lost, Running,
        Staging, Starting, Unheard, Unknown, Unreachable,
    };
    let may_serve = [
        None,
        Some(Running),
        Some(Lost),
        Some(Unreachable),
        Some(Unheard),
    ];
    let others = [
        Staging,
        Starting,
        Killing,
        Finished,
        Failed,
        Killed,
        Error,
        Dropped,
        Gone,
        GoneByOperator,
        Unknown,
    ];
    let states = may_serve.map(|state| (state, true)).into_iter();
    for (state, want) in states.chain(others.map(|state| (Some(state), false))) {
        let mut app = app(Network::Host);
        app.port_definitions = Some(definitions(&[80]));
        app.tasks = vec![Task {
            state,
            ..task("t", &[31000])
        }];
        assert_eq!(served(app) == "0:80=agent:31000", want, "{state:?}");
    }
}

#[test]
fn what_cannot_be_reached_is_left_out_and_named() {
    let lame = [
        (
            Network::Host,
            Task {
                host: None,
                ..task("t", &[1])
            },
            "no host",
        ),
        (Network::Container, task("t", &[1]), "no address of its own"),
    ];
    for (network, task, found) in lame {
        let mut app = app(network);
        app.port_mappings = vec![mapping(Some(80), 80)];
        app.port_definitions = Some(definitions(&[80]));
        app.tasks = vec![task];
        let (served, warnings) = select(app, &selection(false));
        assert_eq!(served, "0:80=");
        assert!(warnings[0].to_string().contains(found), "{}", warnings[0]);
    }
}

fn checked(health: Option<&[bool]>) -> App {
    let mut app = app(Network::Host);
    app.port_definitions = Some(definitions(&[80]));
    app.health_checks = vec![fixtures::check(CheckTarget::Index(0))];
    let results = |alive: &[bool]| {
        let result = |&alive: &bool| HealthResult {
            alive,
            consecutive_failures: u64::from(!alive),
        };
        alive.iter().map(result).collect()
    };
    app.tasks = vec![Task {
        health: health.map(results),
        ..task("t", &[31000])
    }];
    app
}

#[test]
fn one_good_check_is_enough_where_health_counts() {
    for (health, want) in [
        (Some(&[true][..]), true),
        (Some(&[false, true]), true),
        (Some(&[false]), false),
        (Some(&[]), false),
        (None, false),
    ] {
        let is_served = |wanted| select(checked(health), &selection(wanted)).0 != "0:80=";
        assert_eq!(is_served(true), want, "{health:?}");
        assert!(is_served(false), "health does not count");
    }
    let mut unchecked = checked(None);
    unchecked.health_checks.clear();
    assert_ne!(select(unchecked, &selection(true)).0, "0:80=");
}

#[test]
fn what_a_fresh_leader_does_not_know_is_remembered() {
    let mut memory = HealthMemory::new(1);
    let mut serves = |health, id: &str| {
        let mut app = checked(health);
        app.tasks[0].id = id.into();
        let (ports, _) =
            zipped_service_ports(&[Arc::new(app)], &selection(true), &mut memory, now());
        !ports[0].endpoints.is_empty()
    };
    assert!(serves(Some(&[true]), "one"));
    assert!(serves(None, "one"));
    assert!(!serves(Some(&[false]), "one"));
    assert!(!serves(None, "one"));
    assert!(serves(Some(&[true]), "two"));
    assert!(serves(None, "two"));
    assert!(serves(Some(&[true]), "three"));
    assert!(!serves(None, "two"), "of one task only");
}

#[test]
fn the_health_of_tasks_that_are_gone_is_forgotten_before_that_of_those_that_stay() {
    let mut memory = HealthMemory::new(2);
    let mut serves = |health, ids: &[&str]| -> Vec<bool> {
        let apps: Vec<_> = ids
            .iter()
            .map(|id| {
                let mut app = checked(health);
                app.tasks[0].id = (*id).into();
                Arc::new(app)
            })
            .collect();
        let (ports, _) = zipped_service_ports(&apps, &selection(true), &mut memory, now());
        ports
            .iter()
            .map(|port| !port.endpoints.is_empty())
            .collect()
    };
    serves(Some(&[true]), &["stays", "ends"]);
    serves(Some(&[true]), &["stays", "comes"]);
    assert_eq!(serves(None, &["stays", "comes"]), [true, true]);
    // To be asked for counts as a sign of life too: the leader may know nothing for long.
    serves(None, &["stays"]);
    serves(Some(&[true]), &["next"]);
    assert_eq!(serves(None, &["stays", "comes"]), [true, false]);
}

proptest! {
    #[test]
    fn no_more_tasks_are_remembered_than_fit(
        capacity in 0_usize..5,
        ids in prop::collection::vec(0_u8..9, 0..200),
    ) {
        let mut memory = HealthMemory::new(capacity);
        let mut model: Vec<u8> = Vec::new();
        for id in ids {
            memory.learn(&id.to_string(), true);
            model.retain(|known| *known != id);
            model.push(id);
            model.drain(..model.len().saturating_sub(capacity));
        }
        prop_assert_eq!(memory.known.len(), model.len());
        prop_assert_eq!(memory.by_age.len(), model.len());
        for id in 0_u8..9 {
            prop_assert_eq!(memory.was_alive(&id.to_string()), model.contains(&id).then_some(true));
        }
    }
}
