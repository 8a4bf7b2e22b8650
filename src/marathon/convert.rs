//! An app as Marathon wrote it becomes the app that the rest of the program knows.
//!
//! In comes the wire form, whose types are already right; out goes `cluster::App`, or the warning
//! that says why the app is left out. Lesser faults cost a task, an address or a check, and are
//! added to the warnings.

use std::fmt;
use std::sync::Arc;

use serde::de::IgnoredAny;

use super::{is_app_path, is_host, wire};
use crate::cluster::{
    App, AppId, CheckProtocol, CheckTarget, DiscoveryPort, Field, HealthCheck, HealthResult,
    Network, PortDefinition, PortMapping, Protocol, Readiness, ReadinessResult, Task, TaskState,
    Warning, cut,
};

/// Converts an app, or says why it cannot be one. `place` names it where it has no id.
pub(super) fn app(
    wire: wire::App,
    place: &str,
    warnings: &mut Vec<Warning>,
) -> Result<App, Warning> {
    let id = app_id(wire.id.as_deref(), place)?;
    let network = network(&wire, &id)?;
    let network_names = network_names(&wire);
    let faults = &mut Faults { app: &id, warnings };
    let port_mappings = listed(wire.container.map(port_mappings), |mapping, index| {
        port_mapping(mapping, index, faults)
    });
    let port_definitions = wire
        .port_definitions
        .map(|list| {
            listed(Some(list), |definition, index| {
                port_definition(definition, index, faults)
            })
        })
        .or_else(|| wire.ports.as_deref().map(definitions));
    let discovery = wire.ip_address.and_then(|address| address.discovery);
    let discovery_ports = listed(discovery.and_then(|d| d.ports), |port, index| {
        discovery_port(port, index, faults)
    });
    let health_checks = wire.health_checks.into_iter().flatten().enumerate();
    let ports = [
        port_mappings.len(),
        port_definitions.as_ref().map_or(0, Vec::len),
        discovery_ports.len(),
        wire.ports.as_ref().map_or(0, Vec::len),
    ];
    let ports = ports.into_iter().max().unwrap_or_default();
    let health_checks = health_checks
        .filter_map(|(index, check)| health_check(check?, index, ports, faults))
        .collect();
    let readiness = readiness(
        wire.readiness_checks,
        wire.deployments,
        wire.readiness_check_results,
        faults,
    );
    let tasks = said(wire.tasks)
        .filter_map(|wire| task(wire, faults))
        .collect();
    let (last_config_change_at, last_scaling_at) = wire.version_info.map_or((None, None), |v| {
        (v.last_config_change_at, v.last_scaling_at)
    });
    Ok(App {
        id,
        labels: wire.labels,
        env: wire.env,
        network,
        network_names,
        port_mappings,
        port_definitions,
        ports: wire.ports,
        discovery_ports,
        health_checks,
        readiness,
        instances: wire.instances.unwrap_or(1),
        version: wire.version,
        last_config_change_at,
        last_scaling_at,
        tasks,
    })
}

/// What a fault costs that touches the whole app.
pub(super) const LEFT_OUT: &str = "app left out";

/// The lesser faults of one app.
struct Faults<'a> {
    app: &'a AppId,
    warnings: &'a mut Vec<Warning>,
}

impl Faults<'_> {
    /// `word` is foreign text and is shown escaped.
    fn add(&mut self, subject: String, word: &str, expected: &str, effect: &str) {
        self.say(subject, quoted(word), expected, effect);
    }

    fn say(&mut self, subject: String, found: String, expected: &str, effect: &str) {
        self.warnings.push(Warning {
            app: Some(self.app.clone()),
            subject,
            found,
            expected: expected.to_owned(),
            effect: effect.to_owned(),
        });
    }
}

/// Foreign text for a message: on one line, and not without end.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", cut(text, LONGEST_FOUND).escape_debug())
}

/// Characters of what others wrote.
pub(super) const LONGEST_FOUND: usize = 80;

/// JSON as it was written, for a message: it needs no escapes of ours, but one line.
fn quoted_json(raw: &str) -> String {
    let words: Vec<&str> = raw.split_ascii_whitespace().collect();
    let raw = words.join(" ");
    format!("`{}`", cut(&raw, LONGEST_FOUND))
}

fn app_id(id: Option<&str>, place: &str) -> Result<AppId, Warning> {
    let found = match id {
        Some(id) if is_app_path(id) => return Ok(AppId::new(id)),
        Some(id) => quoted(id),
        None => "no id".to_owned(),
    };
    Err(Warning {
        app: None,
        subject: format!("id of {place}"),
        found,
        expected: "a path of at most 1000 letters, digits, `-`, `.`, `_` and `/`".to_owned(),
        effect: LEFT_OUT.to_owned(),
    })
}

/// Each version's way to say it, the newest first: a list of networks overrules all else, and its
/// last entry decides, as in marathon-lb.
fn network(wire: &wire::App, id: &AppId) -> Result<Network, Warning> {
    if let Some(last) = wire.networks.as_ref().and_then(|list| list.last()) {
        let mode = last.as_ref().and_then(|network| network.mode.as_deref());
        return match mode {
            None | Some("container") => Ok(Network::Container),
            Some("container/bridge") => Ok(Network::Bridge),
            Some("host") => Ok(Network::Host),
            Some(word) => Err(Warning {
                app: Some(id.clone()),
                subject: "field `networks`".to_owned(),
                found: format!("mode {}", quoted(word)),
                expected: "host, container or container/bridge".to_owned(),
                effect: LEFT_OUT.to_owned(),
            }),
        };
    }
    let docker = wire.container.as_ref().and_then(|c| c.docker.as_ref());
    Ok(match docker.and_then(|docker| docker.network.as_deref()) {
        Some("USER") => Network::Container,
        Some("BRIDGE") => Network::Bridge,
        _ if wire.ip_address.as_ref().is_some_and(says_something) => Network::Container,
        _ => Network::Host,
    })
}

/// Marathon 0.14 to 1.4 wrote an object for an address per task, and an empty one means none.
fn says_something(address: &wire::IpAddress) -> bool {
    address.network_name.is_some()
        || address.discovery.is_some()
        || address.rest.values().any(Option::is_some)
}

fn network_names(wire: &wire::App) -> Vec<Box<str>> {
    match (&wire.networks, &wire.ip_address) {
        (Some(networks), _) => networks
            .iter()
            .flatten()
            .filter_map(|network| network.name.clone())
            .collect(),
        (None, Some(address)) => address.network_name.iter().cloned().collect(),
        (None, None) => Vec::new(),
    }
}

/// The newer place is empty or absent in the versions that used the older.
fn port_mappings(container: wire::Container) -> Vec<Option<wire::PortMapping>> {
    container
        .docker
        .and_then(|docker| docker.port_mappings)
        .filter(|mappings| !mappings.is_empty())
        .or(container.port_mappings)
        .unwrap_or_default()
}

/// Entries of a list whose positions mean nothing: null is no entry.
fn said<T>(list: Option<Vec<Option<T>>>) -> impl Iterator<Item = T> {
    list.into_iter().flatten().flatten()
}

/// Positions in lists of ports have a meaning, so that null keeps its place.
fn listed<W: Default, T>(
    list: Option<Vec<Option<W>>>,
    mut convert: impl FnMut(W, usize) -> T,
) -> Vec<T> {
    list.into_iter()
        .flatten()
        .enumerate()
        .map(|(index, entry)| convert(entry.unwrap_or_default(), index))
        .collect()
}

fn port_mapping(wire: wire::PortMapping, index: usize, faults: &mut Faults<'_>) -> PortMapping {
    PortMapping {
        // Some versions write 0 where none was assigned.
        service_port: wire.service_port.filter(|&port| port != 0),
        container_port: wire.container_port,
        host_port: wire.host_port,
        protocol: protocol(
            wire.protocol.as_deref(),
            format_args!("port mapping {index}"),
            faults,
        ),
        name: wire.name,
        labels: wire.labels,
        network_names: wire.network_names.unwrap_or_default(),
    }
}

fn port_definition(
    wire: wire::PortDefinition,
    index: usize,
    faults: &mut Faults<'_>,
) -> PortDefinition {
    PortDefinition {
        port: wire.port,
        protocol: protocol(
            wire.protocol.as_deref(),
            format_args!("port definition {index}"),
            faults,
        ),
        name: wire.name,
        labels: wire.labels,
    }
}

fn discovery_port(
    wire: wire::DiscoveryPort,
    index: usize,
    faults: &mut Faults<'_>,
) -> DiscoveryPort {
    DiscoveryPort {
        // 0 is "the same as on the agent", the best guess where nothing was said.
        number: wire.number.unwrap_or_default(),
        protocol: protocol(
            wire.protocol.as_deref(),
            format_args!("discovery port {index}"),
            faults,
        ),
        name: wire.name,
    }
}

/// `ports` in the shape that replaced it in Marathon 1.0.
fn definitions(ports: &[u32]) -> Vec<PortDefinition> {
    ports
        .iter()
        .map(|&port| PortDefinition {
            port: Some(port),
            protocol: Protocol::Tcp,
            name: None,
            labels: wire::Texts::new(),
        })
        .collect()
}

/// An unheard transport is none that HAProxy could balance.
fn protocol(word: Option<&str>, place: fmt::Arguments<'_>, faults: &mut Faults<'_>) -> Protocol {
    let Some(word) = word.filter(|word| !word.is_empty()) else {
        return Protocol::Tcp;
    };
    let speaks = |name: &str| word.split(',').any(|w| w.trim().eq_ignore_ascii_case(name));
    match (speaks("tcp"), speaks("udp")) {
        (true, true) => Protocol::Both,
        (true, false) => Protocol::Tcp,
        (false, true) => Protocol::Udp,
        (false, false) => {
            let subject = format!("protocol of {place}");
            faults.add(subject, word, "tcp, udp or udp,tcp", "port not served");
            Protocol::Udp
        }
    }
}

/// Marathon's own defaults fill the gaps. The app has so many `ports`.
fn health_check(
    wire: wire::HealthCheck,
    index: usize,
    ports: usize,
    faults: &mut Faults<'_>,
) -> Option<HealthCheck> {
    for (name, raw) in &wire.wrong {
        let subject = format!("field `healthChecks[{index}].{name}`");
        let expected = "a whole number from 0";
        faults.say(subject, quoted_json(raw), expected, "its default counts");
    }
    let protocol = match wire.protocol.as_deref() {
        None | Some("HTTP") => CheckProtocol::Http,
        Some("HTTPS") => CheckProtocol::Https,
        Some("TCP") => CheckProtocol::Tcp,
        Some("COMMAND") => CheckProtocol::Command,
        Some("MESOS_HTTP") => CheckProtocol::MesosHttp,
        Some("MESOS_HTTPS") => CheckProtocol::MesosHttps,
        Some("MESOS_TCP") => CheckProtocol::MesosTcp,
        Some(word) => {
            faults.add(
                "protocol of a health check".to_owned(),
                word,
                "HTTP, HTTPS, TCP, COMMAND, MESOS_HTTP, MESOS_HTTPS or MESOS_TCP",
                "health check left out",
            );
            return None;
        }
    };
    // Of an app whose ports are found out by its tasks nobody knows how many it has.
    if let Some(own) = wire.port_index.filter(|own| 0 < ports && ports <= *own)
        && protocol != CheckProtocol::Command
    {
        faults.say(
            format!("field `healthChecks[{index}].portIndex`"),
            format!("`{own}`"),
            &format!(
                "the position of a port of the app, of which there are {ports}, counted from 0"
            ),
            "none of its ports is checked by it",
        );
    }
    Some(HealthCheck {
        protocol,
        path: wire.path,
        // 0 is no port.
        target: match (wire.port.filter(|&port| port != 0), wire.port_index) {
            (Some(port), _) => CheckTarget::Port(port),
            (None, Some(index)) => CheckTarget::Index(index),
            (None, None) => CheckTarget::Unsaid,
        },
        grace_period_seconds: wire.grace_period_seconds.unwrap_or(300),
        interval_seconds: wire.interval_seconds.unwrap_or(60),
        timeout_seconds: wire.timeout_seconds.unwrap_or(20),
        max_consecutive_failures: wire.max_consecutive_failures.unwrap_or(3),
        fields: Arc::new(Field::Object(wire.fields)),
    })
}

/// Marathon's own default fills the gap. What is wrong counts as not said.
fn readiness(
    checks: Option<wire::Lesser<Vec<Option<wire::ReadinessCheck>>>>,
    deployments: Option<wire::Lesser<Vec<Option<IgnoredAny>>>>,
    results: Option<wire::Lesser<Vec<Option<wire::ReadinessResult>>>>,
    faults: &mut Faults<'_>,
) -> Option<Readiness> {
    let checks = lesser(checks, "readinessChecks", faults);
    let timeouts = said(checks).map(|check| check.timeout_seconds.unwrap_or(10));
    let timeout_seconds = timeouts.max()?;
    let result = |wire: wire::ReadinessResult| {
        Some(ReadinessResult {
            task: wire.task_id?,
            ready: wire.ready?,
        })
    };
    Some(Readiness {
        timeout_seconds,
        deploying: said(lesser(deployments, "deployments", faults))
            .next()
            .is_some(),
        results: lesser(results, "readinessCheckResults", faults)
            .map(|results| said(Some(results)).filter_map(result).collect()),
    })
}

fn lesser<T>(field: Option<wire::Lesser<T>>, name: &str, faults: &mut Faults<'_>) -> Option<T> {
    match field? {
        wire::Lesser::Right(value) => Some(value),
        wire::Lesser::Wrong(raw) => {
            let subject = format!("field `{name}`");
            let expected = "a list as Marathon writes it";
            faults.say(
                subject,
                quoted_json(&raw),
                expected,
                "readiness checks not heeded",
            );
            None
        }
    }
}

fn task(wire: wire::Task, faults: &mut Faults<'_>) -> Option<Task> {
    let id = wire.id.unwrap_or_default();
    let host = wire.host.filter(|host| !host.is_empty());
    if let Some(host) = host.as_deref().filter(|host| !is_host(host)) {
        let subject = format!("host of task {}", quoted(&id));
        let expected = "the name or address of its agent";
        faults.add(subject, host, expected, "task left out");
        return None;
    }
    let ip_addresses = said(wire.ip_addresses)
        .filter_map(|address| address.ip_address)
        .filter(|text| !text.is_empty())
        .filter_map(|text| {
            let address = text.parse().ok();
            if address.is_none() {
                let subject = format!("address of task {}", quoted(&id));
                faults.add(
                    subject,
                    &text,
                    "an IPv4 or IPv6 address",
                    "address left out",
                );
            }
            address
        })
        .collect();
    Some(Task {
        host,
        ports: wire.ports.unwrap_or_default(),
        ip_addresses,
        state: wire.state.as_deref().map(task_state),
        started_at: wire.started_at.filter(|at| !at.is_empty()),
        version: wire.version,
        health: wire
            .health_check_results
            .map(|results| said(Some(results)).filter_map(health_result).collect()),
        draining: false,
        id,
    })
}

/// A result that does not tell is no result.
fn health_result(wire: wire::HealthResult) -> Option<HealthResult> {
    Some(HealthResult {
        alive: wire.alive?,
        consecutive_failures: wire.consecutive_failures.unwrap_or_default(),
    })
}

fn task_state(word: &str) -> TaskState {
    match word {
        "TASK_STAGING" => TaskState::Staging,
        "TASK_STARTING" => TaskState::Starting,
        "TASK_RUNNING" => TaskState::Running,
        "TASK_KILLING" => TaskState::Killing,
        "TASK_FINISHED" => TaskState::Finished,
        "TASK_FAILED" => TaskState::Failed,
        "TASK_KILLED" => TaskState::Killed,
        "TASK_ERROR" => TaskState::Error,
        "TASK_LOST" => TaskState::Lost,
        "TASK_UNREACHABLE" => TaskState::Unreachable,
        "TASK_GONE" => TaskState::Gone,
        "TASK_GONE_BY_OPERATOR" => TaskState::GoneByOperator,
        "TASK_DROPPED" => TaskState::Dropped,
        "TASK_UNKNOWN" => TaskState::Unknown,
        _ => TaskState::Unheard,
    }
}

#[cfg(test)]
mod tests;
