use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::Field;

/// The path of an app in Marathon, always with its leading slash: `/product/frontend`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(Arc<str>);

impl AppId {
    /// Marathon before 0.7 wrote ids without the leading slash; both spellings are one app.
    #[must_use]
    pub fn new(id: &str) -> Self {
        if id.starts_with('/') {
            Self(id.into())
        } else {
            Self(format!("/{id}").into())
        }
    }

    /// The id with its leading slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The group of Marathon that it lies in: `/product` of `/product/frontend`, `/` of `/frontend`.
    /// Marathon grants rights by these.
    #[must_use]
    pub fn folder(&self) -> &str {
        match self.0.rsplit_once('/') {
            Some((folder, _)) if !folder.is_empty() => folder,
            _ => "/",
        }
    }

    /// Marathon's "safe path": no leading slash, `_` for every other one. Ids hold no `_`, so two
    /// apps never share one.
    #[must_use]
    pub fn safe_path(&self) -> String {
        self.0[1..].replace('/', "_")
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for AppId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// How the tasks of an app are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// On ports of the agent itself.
    Host,
    /// Through ports of the agent that are mapped into the container.
    Bridge,
    /// On addresses of their own, where an agent port need not exist.
    Container,
}

/// The transport of a port. Marathon writes `tcp`, `udp` or `udp,tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Also where nothing was said.
    Tcp,
    /// Nothing that HAProxy could balance.
    Udp,
    /// Both on one number.
    Both,
}

impl Protocol {
    /// Whether HAProxy can serve it.
    #[must_use]
    pub fn has_tcp(self) -> bool {
        self != Self::Udp
    }
}

/// A port of a container and what stands for it outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortMapping {
    /// What clients dial; absent where Marathon assigned none. Not yet known to be a port number.
    pub service_port: Option<u32>,
    /// On the container's own address; 0 means "the same as the host port".
    pub container_port: Option<u16>,
    /// As asked for, 0 for "any"; absent where no port of the agent is wanted.
    pub host_port: Option<u16>,
    /// Transport.
    pub protocol: Protocol,
    /// Marathon's name of the port.
    pub name: Option<Box<str>>,
    /// Labels of the port, for Minuteman and its like.
    pub labels: BTreeMap<Box<str>, Box<str>>,
    /// The networks that carry it; empty means all.
    pub network_names: Vec<Box<str>>,
}

/// A port of an app in host networking (`portDefinitions`, or the older `ports`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortDefinition {
    /// The service port; absent where Marathon wrote none. Not yet known to be a port number.
    pub port: Option<u32>,
    /// Transport.
    pub protocol: Protocol,
    /// Marathon's name of the port.
    pub name: Option<Box<str>>,
    /// Labels of the port.
    pub labels: BTreeMap<Box<str>, Box<str>>,
}

/// A port of an app with an address per task (`ipAddress.discovery.ports`, Marathon 0.14 to 1.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryPort {
    /// The port on the task's own address.
    pub number: u16,
    /// Transport.
    pub protocol: Protocol,
    /// Marathon's name of the port.
    pub name: Option<Box<str>>,
}

/// What a health check speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckProtocol {
    /// `HTTP`, run by Marathon.
    Http,
    /// `HTTPS`, run by Marathon.
    Https,
    /// `TCP`, run by Marathon.
    Tcp,
    /// `COMMAND`, run on the agent.
    Command,
    /// `MESOS_HTTP`, run on the agent.
    MesosHttp,
    /// `MESOS_HTTPS`, run on the agent.
    MesosHttps,
    /// `MESOS_TCP`, run on the agent.
    MesosTcp,
}

/// The port that a health check dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckTarget {
    /// A fixed port, the same for every task.
    Port(u16),
    /// The app's port at this position.
    Index(usize),
    /// Nothing was said: the first port, or none for commands.
    Unsaid,
}

/// A health check of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What it speaks.
    pub protocol: CheckProtocol,
    /// Path of an HTTP check; Marathon's own default is `/`.
    pub path: Option<Box<str>>,
    /// What it dials.
    pub target: CheckTarget,
    /// Seconds after the start in which failures do not count.
    pub grace_period_seconds: u64,
    /// Seconds between two checks.
    pub interval_seconds: u64,
    /// Seconds until a check without an answer has failed.
    pub timeout_seconds: u64,
    /// Failures in a row until Marathon kills the task; 0 means never.
    pub max_consecutive_failures: u64,
    /// All of it as its owner wrote it, for templates that look into it.
    pub fields: Arc<Field>,
}

/// What Marathon last saw of one health check of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthResult {
    /// Whether the last check succeeded.
    pub alive: bool,
    /// Failures in a row up to now.
    pub consecutive_failures: u64,
}

/// What Marathon says of the readiness of tasks: it asks those that a deployment starts until they
/// are ready for clients, and forgets what it heard when the step of that deployment ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Seconds until a check without an answer has failed; of several checks the longest.
    pub timeout_seconds: u64,
    /// Whether a deployment of the app runs.
    pub deploying: bool,
    /// `None` where they were not asked for, or Marathon knows none (before 1.1).
    pub results: Option<Vec<ReadinessResult>>,
}

/// What a task last answered to one readiness check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadinessResult {
    /// Whose it is.
    pub task: Box<str>,
    /// Whether it may have clients.
    pub ready: bool,
}

/// The state of a task in Mesos' own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the Mesos manual")]
pub enum TaskState {
    Staging,
    Starting,
    Running,
    Killing,
    Finished,
    Failed,
    Killed,
    Error,
    Lost,
    Unreachable,
    Gone,
    GoneByOperator,
    Dropped,
    Unknown,
    /// A word that no Marathon up to 1.11 writes.
    Unheard,
}

/// One running copy of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Marathon's id of the task.
    pub id: Box<str>,
    /// The agent's name or address; absent until Mesos placed the task.
    pub host: Option<Box<str>>,
    /// Agent ports in the order of the app's ports; only those that were allocated.
    pub ports: Vec<u16>,
    /// Addresses of the task itself, in the order of its networks.
    pub ip_addresses: Vec<IpAddr>,
    /// Absent before Marathon 1.1.2.
    pub state: Option<TaskState>,
    /// When it began to run, RFC 3339 in UTC; before 1.1.2 the only sign that it does.
    pub started_at: Option<Box<str>>,
    /// The version of the app that it runs.
    pub version: Option<Box<str>>,
    /// `None` where Marathon wrote no list at all, as a fresh leader does.
    pub health: Option<Vec<HealthResult>>,
    /// Marked by the merge of a deployment: it gets no new clients. Nothing that Marathon writes.
    pub draining: bool,
}

/// An app and its tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Path in Marathon.
    pub id: AppId,
    /// Labels, where owners write what they want of the balancer.
    pub labels: BTreeMap<Box<str>, Box<str>>,
    /// Environment without references to secrets; `servicerouter.py` read its settings here.
    pub env: BTreeMap<Box<str>, Box<str>>,
    /// How tasks are reached.
    pub network: Network,
    /// Names of the container networks, in the order of a task's addresses.
    pub network_names: Vec<Box<str>>,
    /// `container.portMappings` or `container.docker.portMappings`.
    pub port_mappings: Vec<PortMapping>,
    /// `portDefinitions`, or `ports` in the same shape; `None` where neither was written.
    pub port_definitions: Option<Vec<PortDefinition>>,
    /// `ports` as written. Marathon up to 1.4 has here the assigned service ports of mappings too.
    pub ports: Option<Vec<u32>>,
    /// `ipAddress.discovery.ports`.
    pub discovery_ports: Vec<DiscoveryPort>,
    /// Checks in Marathon's order.
    pub health_checks: Vec<HealthCheck>,
    /// `None` where the app has no readiness checks.
    pub readiness: Option<Readiness>,
    /// How many tasks are wanted.
    pub instances: u64,
    /// The app's version.
    pub version: Option<Box<str>>,
    /// `versionInfo.lastConfigChangeAt`, RFC 3339 in UTC: compares as text.
    pub last_config_change_at: Option<Box<str>>,
    /// `versionInfo.lastScalingAt`, RFC 3339 in UTC.
    pub last_scaling_at: Option<Box<str>>,
    /// Tasks in Marathon's order.
    pub tasks: Vec<Task>,
}

impl App {
    /// Whether the app was changed after this task was started, in more than the number of its tasks.
    #[must_use]
    pub fn has_outgrown(&self, task: &Task) -> bool {
        match (&task.version, &self.last_config_change_at) {
            (Some(version), Some(changed_at)) => version < changed_at,
            _ => false,
        }
    }

    /// Whether it differs from `other` in nothing but its tasks, and what scaling alone changes.
    #[must_use]
    pub fn is_same_but_tasks(&self, other: &Self) -> bool {
        let without_tasks = |app: &Self| Self {
            instances: 0,
            version: None,
            last_scaling_at: None,
            tasks: Vec::new(),
            ..app.clone()
        };
        without_tasks(self) == without_tasks(other)
    }

    /// The field in which a service port of this number stands, where one does.
    #[must_use]
    pub fn field_of_port(&self, number: u32) -> Option<&'static str> {
        let mut mapped = self.port_mappings.iter();
        let mut defined = self.port_definitions.iter().flatten();
        let is_mapped = mapped.any(|mapping| mapping.service_port == Some(number));
        let is_defined = defined.any(|definition| definition.port == Some(number));
        match (is_mapped, is_defined, &self.ports) {
            (true, ..) => Some("portMappings"),
            (_, true, None) => Some("portDefinitions"),
            (_, true, Some(_)) => Some("ports"),
            _ => None,
        }
    }

    /// The service port that stands at this position, where one is written there at all.
    #[must_use]
    pub fn written_port(&self, index: usize) -> Option<u32> {
        let mapped = self.port_mappings.get(index);
        let mapped = mapped.and_then(|mapping| mapping.service_port);
        let defined = self
            .port_definitions
            .as_ref()
            .and_then(|all| all.get(index));
        let defined = defined.and_then(|definition| definition.port);
        let listed = self.ports.as_ref().and_then(|all| all.get(index)).copied();
        mapped.or(defined).or(listed)
    }
}
