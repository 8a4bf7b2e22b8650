//! Apps as Marathon 1.11 would write them, for an answer that no Marathon gave as a whole.
//!
//! What [`super::apps`] reads of it are the same apps.

use std::sync::Arc;

use serde::ser::{SerializeMap as _, SerializeSeq as _, Serializer};
use serde::{Serialize, ser};

use super::wire::Texts;
use crate::cluster::{
    App, DiscoveryPort, Field, HealthResult, Network, PortDefinition, PortMapping, Protocol,
    ReadinessResult, Task, TaskState,
};

/// The answer to `GET /v2/apps?embed=apps.tasks`. Marks of a deployment are no part of it.
///
/// # Errors
/// When there is no text for it, which no app that was read from one leads to.
pub fn answer(apps: &[Arc<App>]) -> serde_json::Result<String> {
    let apps = apps.iter().map(|app| Written::of(app)).collect();
    serde_json::to_string(&Answer { apps })
}

#[derive(Serialize)]
struct Answer<'a> {
    apps: Vec<Written<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    id: &'a str,
    labels: &'a Texts,
    env: &'a Texts,
    networks: Vec<WrittenNetwork<'a>>,
    container: WrittenContainer<'a>,
    port_definitions: Option<Vec<WrittenDefinition<'a>>>,
    ports: &'a Option<Vec<u32>>,
    ip_address: WrittenAddress<'a>,
    health_checks: Vec<AsWritten<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readiness_checks: Option<[WrittenReadinessCheck; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readiness_check_results: Option<Vec<WrittenReadiness<'a>>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    deployments: &'static [WrittenDeployment],
    instances: u64,
    version: &'a Option<Box<str>>,
    version_info: WrittenDates<'a>,
    tasks: Vec<WrittenTask<'a>>,
}

#[derive(Serialize)]
struct WrittenNetwork<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenContainer<'a> {
    port_mappings: Vec<WrittenMapping<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMapping<'a> {
    service_port: Option<u32>,
    container_port: Option<u16>,
    host_port: Option<u16>,
    protocol: &'static str,
    name: &'a Option<Box<str>>,
    labels: &'a Texts,
    network_names: &'a [Box<str>],
}

#[derive(Serialize)]
struct WrittenDefinition<'a> {
    port: Option<u32>,
    protocol: &'static str,
    name: &'a Option<Box<str>>,
    labels: &'a Texts,
}

#[derive(Serialize)]
struct WrittenAddress<'a> {
    discovery: WrittenDiscovery<'a>,
}

#[derive(Serialize)]
struct WrittenDiscovery<'a> {
    ports: Vec<WrittenPort<'a>>,
}

#[derive(Serialize)]
struct WrittenPort<'a> {
    number: u16,
    protocol: &'static str,
    name: &'a Option<Box<str>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenReadinessCheck {
    timeout_seconds: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenReadiness<'a> {
    task_id: &'a str,
    ready: bool,
}

#[derive(Serialize)]
struct WrittenDeployment {
    id: &'static str,
}

/// Its id is not known any more, only that there was one.
const DEPLOYING: &[WrittenDeployment] = &[WrittenDeployment { id: "unknown" }];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenDates<'a> {
    last_config_change_at: &'a Option<Box<str>>,
    last_scaling_at: &'a Option<Box<str>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenTask<'a> {
    id: &'a str,
    host: &'a Option<Box<str>>,
    ports: &'a [u16],
    ip_addresses: Vec<WrittenIp>,
    state: Option<&'static str>,
    started_at: &'a Option<Box<str>>,
    version: &'a Option<Box<str>>,
    health_check_results: Option<Vec<WrittenResult>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenIp {
    ip_address: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenResult {
    alive: bool,
    consecutive_failures: u64,
}

impl<'a> Written<'a> {
    fn of(app: &'a App) -> Self {
        let definitions = app.port_definitions.as_deref();
        let readiness = app.readiness.as_ref();
        Self {
            id: app.id.as_str(),
            labels: &app.labels,
            env: &app.env,
            networks: networks(app),
            container: WrittenContainer {
                port_mappings: app.port_mappings.iter().map(port_mapping).collect(),
            },
            port_definitions: definitions.map(|all| all.iter().map(port_definition).collect()),
            ports: &app.ports,
            ip_address: WrittenAddress {
                discovery: WrittenDiscovery {
                    ports: app.discovery_ports.iter().map(discovery_port).collect(),
                },
            },
            health_checks: app
                .health_checks
                .iter()
                .map(|check| AsWritten(&check.fields))
                .collect(),
            readiness_checks: readiness.map(|readiness| {
                [WrittenReadinessCheck {
                    timeout_seconds: readiness.timeout_seconds,
                }]
            }),
            readiness_check_results: readiness
                .and_then(|readiness| readiness.results.as_ref())
                .map(|results| results.iter().map(readiness_result).collect()),
            deployments: match readiness {
                Some(readiness) if readiness.deploying => DEPLOYING,
                _ => &[],
            },
            instances: app.instances,
            version: &app.version,
            version_info: WrittenDates {
                last_config_change_at: &app.last_config_change_at,
                last_scaling_at: &app.last_scaling_at,
            },
            tasks: app.tasks.iter().map(task).collect(),
        }
    }
}

/// The last entry decides how tasks are reached, and those with a name name the networks.
fn networks(app: &App) -> Vec<WrittenNetwork<'_>> {
    let nameless = |mode| WrittenNetwork { mode, name: None };
    let named = app.network_names.iter().map(|name| WrittenNetwork {
        mode: "container",
        name: Some(name),
    });
    let last = match app.network {
        Network::Container if !app.network_names.is_empty() => None,
        Network::Container => Some(nameless("container")),
        Network::Bridge => Some(nameless("container/bridge")),
        Network::Host => Some(nameless("host")),
    };
    named.chain(last).collect()
}

fn port_mapping(mapping: &PortMapping) -> WrittenMapping<'_> {
    WrittenMapping {
        service_port: mapping.service_port,
        container_port: mapping.container_port,
        host_port: mapping.host_port,
        protocol: protocol(mapping.protocol),
        name: &mapping.name,
        labels: &mapping.labels,
        network_names: &mapping.network_names,
    }
}

fn port_definition(definition: &PortDefinition) -> WrittenDefinition<'_> {
    WrittenDefinition {
        port: definition.port,
        protocol: protocol(definition.protocol),
        name: &definition.name,
        labels: &definition.labels,
    }
}

fn discovery_port(port: &DiscoveryPort) -> WrittenPort<'_> {
    WrittenPort {
        number: port.number,
        protocol: protocol(port.protocol),
        name: &port.name,
    }
}

fn task(task: &Task) -> WrittenTask<'_> {
    let addresses = task.ip_addresses.iter();
    let results = task.health.as_deref();
    WrittenTask {
        id: &task.id,
        host: &task.host,
        ports: &task.ports,
        ip_addresses: addresses
            .map(|address| WrittenIp {
                ip_address: address.to_string(),
            })
            .collect(),
        state: task.state.map(state),
        started_at: &task.started_at,
        version: &task.version,
        health_check_results: results.map(|all| all.iter().map(health_result).collect()),
    }
}

fn readiness_result(result: &ReadinessResult) -> WrittenReadiness<'_> {
    WrittenReadiness {
        task_id: &result.task,
        ready: result.ready,
    }
}

fn health_result(result: &HealthResult) -> WrittenResult {
    WrittenResult {
        alive: result.alive,
        consecutive_failures: result.consecutive_failures,
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Both => "udp,tcp",
    }
}

fn state(state: TaskState) -> &'static str {
    match state {
        TaskState::Staging => "TASK_STAGING",
        TaskState::Starting => "TASK_STARTING",
        TaskState::Running => "TASK_RUNNING",
        TaskState::Killing => "TASK_KILLING",
        TaskState::Finished => "TASK_FINISHED",
        TaskState::Failed => "TASK_FAILED",
        TaskState::Killed => "TASK_KILLED",
        TaskState::Error => "TASK_ERROR",
        TaskState::Lost => "TASK_LOST",
        TaskState::Unreachable => "TASK_UNREACHABLE",
        TaskState::Gone => "TASK_GONE",
        TaskState::GoneByOperator => "TASK_GONE_BY_OPERATOR",
        TaskState::Dropped => "TASK_DROPPED",
        TaskState::Unknown => "TASK_UNKNOWN",
        TaskState::Unheard => "TASK_UNHEARD",
    }
}

/// Members stay in their order: owners see it where a template shows all of a check.
struct AsWritten<'a>(&'a Field);

impl Serialize for AsWritten<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Field::Null => serializer.serialize_unit(),
            Field::Bool(is) => serializer.serialize_bool(*is),
            Field::Int(number) => serializer.serialize_i64(*number),
            Field::Float(number) if !number.is_finite() => {
                Err(ser::Error::custom("a number that JSON has no form for"))
            }
            Field::Float(number) => serializer.serialize_f64(*number),
            Field::Text(text) => serializer.serialize_str(text),
            Field::List(fields) => {
                let mut list = serializer.serialize_seq(Some(fields.len()))?;
                for field in fields {
                    list.serialize_element(&AsWritten(field))?;
                }
                list.end()
            }
            Field::Object(members) => {
                let mut object = serializer.serialize_map(Some(members.len()))?;
                for (name, field) in members {
                    object.serialize_entry(name, &AsWritten(field))?;
                }
                object.end()
            }
        }
    }
}

#[cfg(test)]
mod tests;
