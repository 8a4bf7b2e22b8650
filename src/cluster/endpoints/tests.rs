use std::collections::BTreeMap;

use super::*;
use crate::cluster::{DiscoveryPort, PortDefinition, fixtures};

fn app(network: Network) -> App {
    App {
        tasks: vec![task(&[])],
        ..fixtures::app("/a", network)
    }
}

fn task(ports: &[u16]) -> Task {
    fixtures::task("t", ports)
}

/// Service port (0 is none), container port, host port.
fn mapping((service, container, host): (u32, u16, Option<u16>)) -> PortMapping {
    PortMapping {
        service_port: Some(service).filter(|&port| port != 0),
        container_port: Some(container),
        host_port: host,
        protocol: Protocol::Tcp,
        name: None,
        labels: BTreeMap::new(),
        network_names: Vec::new(),
    }
}

fn definition(port: u32) -> PortDefinition {
    PortDefinition {
        port: Some(port),
        protocol: Protocol::Tcp,
        name: None,
        labels: BTreeMap::new(),
    }
}

/// `index:service port=addresses`, one word for each service port.
fn served(app: &App) -> String {
    let (ports, _) = service_ports(app, ServingTasks::Running);
    let word = |port: &ServicePort| {
        let addresses: Vec<String> = port
            .endpoints
            .iter()
            .map(|endpoint| format!("{}:{}", endpoint.host, endpoint.port))
            .collect();
        format!(
            "{}:{}={}",
            port.index,
            port.service_port,
            addresses.join(",")
        )
    };
    ports.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn warnings(app: &App) -> Vec<String> {
    let (_, warnings) = service_ports(app, ServingTasks::Running);
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn host_networking_pairs_definitions_with_ports_of_the_agent() {
    let mut app = app(Network::Host);
    app.port_definitions = Some(vec![definition(10001), definition(10002)]);
    app.tasks = vec![task(&[31001, 31002]), task(&[31003, 31004])];
    assert_eq!(
        served(&app),
        "0:10001=agent:31001,agent:31003 1:10002=agent:31002,agent:31004"
    );
    assert_eq!(warnings(&app), [""; 0]);
}

#[test]
fn host_networking_ignores_mappings() {
    let mut app = app(Network::Host);
    app.port_definitions = Some(vec![definition(10001)]);
    app.port_mappings = vec![mapping((10009, 80, Some(0)))];
    app.tasks = vec![task(&[31001])];
    assert_eq!(served(&app), "0:10001=agent:31001");
}

#[test]
fn mappings_are_served_on_the_agent_or_on_the_tasks_own_address() {
    type Mapping = (u32, u16, Option<u16>);
    type Case<'a> = (&'a str, Network, &'a [Mapping], &'a [u16], &'a str);
    let bridge = Network::Bridge;
    let container = Network::Container;
    let cases: &[Case<'_>] = &[
        (
            "bridge",
            bridge,
            &[(10001, 80, Some(0))],
            &[31001],
            "0:10001=agent:31001",
        ),
        (
            "a missing host port is any port in bridge mode",
            bridge,
            &[(10001, 80, None), (10002, 81, Some(0)), (10003, 82, None)],
            &[31001, 31002],
            "0:10001=agent:31001 1:10002=agent:31002 2:10003=",
        ),
        (
            "a bridge address is reachable from nowhere else",
            bridge,
            &[(10001, 80, Some(0))],
            &[],
            "0:10001=",
        ),
        (
            "own address",
            container,
            &[(10001, 80, None)],
            &[],
            "0:10001=10.0.0.1:80",
        ),
        (
            "a wanted port of the agent goes first",
            container,
            &[(10001, 80, Some(0))],
            &[31001],
            "0:10001=agent:31001",
        ),
        (
            "only allocated ports are counted",
            container,
            &[
                (10001, 80, None),
                (10002, 81, Some(0)),
                (10003, 82, None),
                (10004, 83, Some(7)),
            ],
            &[31002, 31004],
            "0:10001=10.0.0.1:80 1:10002=agent:31002 2:10003=10.0.0.1:82 3:10004=agent:31004",
        ),
        (
            "as many ports as mappings are counted by position",
            container,
            &[(10001, 80, None), (10002, 81, Some(0))],
            &[31001, 31002],
            "0:10001=10.0.0.1:80 1:10002=agent:31002",
        ),
        (
            "an unallocated port falls back to the own address",
            container,
            &[(10001, 80, Some(0))],
            &[],
            "0:10001=10.0.0.1:80",
        ),
        (
            "container port 0 is the port of the agent",
            container,
            &[(10001, 0, None)],
            &[31001],
            "0:10001=10.0.0.1:31001",
        ),
        (
            "without a number to dial there is no service port, but its place counts",
            container,
            &[(0, 80, None), (10002, 81, None)],
            &[],
            "1:10002=10.0.0.1:81",
        ),
    ];
    for (why, network, mappings, ports, want) in cases {
        let mut app = app(*network);
        app.port_mappings = mappings.iter().copied().map(mapping).collect();
        app.tasks = vec![task(ports)];
        app.tasks[0].ip_addresses = vec!["10.0.0.1".parse().unwrap()];
        assert_eq!(served(&app), *want, "{why}");
    }
}

#[test]
fn ports_number_mappings_that_have_no_number_of_their_own() {
    let mut app = app(Network::Bridge);
    app.port_mappings = vec![mapping((0, 80, Some(0))), mapping((10009, 81, Some(0)))];
    app.ports = Some(vec![10001, 10002]);
    app.tasks = vec![task(&[31001, 31002])];
    assert_eq!(served(&app), "0:10001=agent:31001 1:10009=agent:31002");
}

#[test]
fn discovery_ports_are_served_on_the_tasks_own_address() {
    let discovery = |number| DiscoveryPort {
        number,
        protocol: Protocol::Tcp,
        name: None,
    };
    let mut app = app(Network::Container);
    app.discovery_ports = vec![discovery(80), discovery(81)];
    app.ports = Some(vec![10001]);
    app.port_definitions = Some(vec![definition(7), definition(10002)]);
    app.tasks[0].ip_addresses = vec!["10.0.0.1".parse().unwrap()];
    assert_eq!(served(&app), "0:10001=10.0.0.1:80 1:10002=10.0.0.1:81");

    app.ports = Some(Vec::new());
    app.port_definitions = None;
    assert_eq!(served(&app), "", "without a number to dial");
}

#[test]
fn the_network_of_a_mapping_picks_the_address() {
    let mut app = app(Network::Container);
    app.network_names = vec!["red".into(), "blue".into()];
    app.port_mappings = vec![mapping((10001, 80, None)), mapping((10002, 81, None))];
    app.port_mappings[1].network_names = vec!["blue".into()];
    app.tasks[0].ip_addresses = ["10.0.0.1", "10.9.0.1"]
        .map(|a| a.parse().unwrap())
        .to_vec();
    assert_eq!(served(&app), "0:10001=10.0.0.1:80 1:10002=10.9.0.1:81");

    // With fewer addresses than networks, positions prove nothing.
    app.tasks[0].ip_addresses.pop();
    assert_eq!(served(&app), "0:10001=10.0.0.1:80 1:10002=10.0.0.1:81");
}

#[test]
fn ipv4_goes_first_and_ipv6_gets_brackets() {
    let mut app = app(Network::Container);
    app.port_mappings = vec![mapping((10001, 80, None))];
    app.tasks = vec![task(&[]), task(&[])];
    app.tasks[0].ip_addresses = ["fd00::1", "10.0.0.1"].map(|a| a.parse().unwrap()).to_vec();
    app.tasks[1].ip_addresses = vec!["fd00::2".parse().unwrap()];
    assert_eq!(served(&app), "0:10001=10.0.0.1:80,[fd00::2]:80");
}

#[test]
fn hosts_are_read_as_addresses_where_they_are_some() {
    let ip = |text: &str| Host::Ip(text.parse().unwrap());
    for (text, host, shown) in [
        ("10.0.0.1", ip("10.0.0.1"), "10.0.0.1"),
        ("fd00::1", ip("fd00::1"), "[fd00::1]"),
        ("[fd00::1]", ip("fd00::1"), "[fd00::1]"),
        (
            "agent-1.example",
            Host::Name("agent-1.example".into()),
            "agent-1.example",
        ),
        ("10.0.0", Host::Name("10.0.0".into()), "10.0.0"),
    ] {
        assert_eq!(Host::new(text), host);
        assert_eq!(host.to_string(), shown);
    }
}

#[test]
fn only_ports_with_tcp_are_service_ports() {
    for (protocol, want) in [
        (Protocol::Tcp, "0:10001=agent:31001 1:10002=agent:31002"),
        (Protocol::Both, "0:10001=agent:31001 1:10002=agent:31002"),
        (Protocol::Udp, "1:10002=agent:31002"),
    ] {
        let mut app = app(Network::Host);
        app.port_definitions = Some(vec![definition(10001), definition(10002)]);
        app.port_definitions.as_mut().unwrap()[0].protocol = protocol;
        app.tasks = vec![task(&[31001, 31002])];
        assert_eq!(served(&app), want, "{protocol:?}");
    }
}

#[test]
fn service_port_zero_is_warned_of() {
    let mut app = app(Network::Host);
    app.port_definitions = Some(vec![definition(0), definition(10002)]);
    app.tasks = vec![task(&[31001, 31002])];
    assert_eq!(served(&app), "1:10002=agent:31002");
    assert_eq!(
        warnings(&app),
        [
            "app `/a`: service port at position 0: found 0, expected a port from 1 to 65535; \
          port not served"
        ]
    );
}

#[test]
fn tasks_count_by_their_state() {
    use TaskState::{
        Dropped, Error, Failed, Finished, Gone, GoneByOperator, Killed, Killing, Lost, Running,
        Staging, Starting, Unheard, Unknown, Unreachable,
    };
    for (state, running, out_of_sight) in [
        (None, true, true),
        (Some(Running), true, true),
        (Some(Lost), false, true),
        (Some(Unreachable), false, true),
        (Some(Unheard), false, true),
        (Some(Staging), false, false),
        (Some(Starting), false, false),
        (Some(Killing), false, false),
        (Some(Finished), false, false),
        (Some(Failed), false, false),
        (Some(Killed), false, false),
        (Some(Error), false, false),
        (Some(Gone), false, false),
        (Some(GoneByOperator), false, false),
        (Some(Dropped), false, false),
        (Some(Unknown), false, false),
    ] {
        let mut task = task(&[]);
        task.state = state;
        assert_eq!(ServingTasks::Running.counts(&task), running, "{state:?}");
        let counts = ServingTasks::RunningOrOutOfSight.counts(&task);
        assert_eq!(counts, out_of_sight, "{state:?}");
    }
}

#[test]
fn without_a_state_the_start_decides() {
    let mut task = task(&[]);
    task.state = None;
    task.started_at = None;
    assert!(!ServingTasks::RunningOrOutOfSight.counts(&task));
}

#[test]
fn a_service_port_without_tasks_stays() {
    let mut app = app(Network::Host);
    app.port_definitions = Some(vec![definition(10001)]);
    app.tasks.clear();
    assert_eq!(served(&app), "0:10001=");
}

#[test]
fn an_older_task_with_fewer_ports_is_left_out_without_a_word() {
    let mut app = app(Network::Host);
    app.version = Some("2".into());
    app.port_definitions = Some(vec![definition(10001), definition(10002)]);
    app.tasks = vec![task(&[31001]), task(&[31003, 31004])];
    app.tasks[0].version = Some("1".into());
    app.tasks[1].version = Some("2".into());
    assert_eq!(
        served(&app),
        "0:10001=agent:31001,agent:31003 1:10002=agent:31004"
    );
    assert_eq!(warnings(&app), [""; 0]);
}

#[test]
fn a_task_that_cannot_be_dialled_is_warned_of() {
    let hostless = |host: Option<&str>| {
        let mut task = task(&[31001]);
        task.host = host.map(Into::into);
        task
    };
    for (network, task, found) in [
        (Network::Host, hostless(None), "no host"),
        (Network::Host, hostless(Some("")), "no host"),
        (Network::Host, task(&[]), "no port on its agent"),
        (Network::Host, task(&[0]), "no port on its agent"),
        (Network::Bridge, task(&[]), "no port on its agent"),
        (
            Network::Container,
            task(&[]),
            "neither an address of its own nor a port on its agent",
        ),
    ] {
        let mut app = app(network);
        app.port_definitions = Some(vec![definition(10001)]);
        app.port_mappings = vec![mapping((10001, 80, None))];
        app.tasks = vec![task];
        assert_eq!(served(&app), "0:10001=", "{found}");
        let warnings = warnings(&app);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let start = format!("app `/a`: task `t`: found {found}, expected ");
        assert!(warnings[0].starts_with(&start), "{warnings:?}");
        let end = "; task left out of service port 10001";
        assert!(warnings[0].ends_with(end), "{warnings:?}");
    }
}
