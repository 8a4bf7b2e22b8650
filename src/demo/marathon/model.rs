//! Apps and tasks of the built-in Marathon, as a test or the demo describes them.
//!
//! In come builder calls; `state` keeps and changes what was built, `shape` writes it down.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value};

/// How the tasks of an app are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Networking {
    Host,
    Bridge,
    Container(String),
}

/// A port of an app.
#[expect(
    clippy::struct_field_names,
    reason = "three kinds of port, never plain"
)]
#[must_use = "a port counts only once it is part of an app"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub(super) service_port: u16,
    pub(super) container_port: u16,
    pub(super) host_port: Option<u16>,
    pub(super) protocol: &'static str,
    pub(super) name: Option<String>,
}

impl Port {
    /// A TCP port that clients dial as `service_port`; the agent's port is any.
    pub fn new(service_port: u16) -> Self {
        Self {
            service_port,
            container_port: 8080,
            host_port: Some(0),
            protocol: "tcp",
            name: None,
        }
    }

    /// The port inside the container, 8080 otherwise. Not shown in host networking.
    pub fn container_port(mut self, port: u16) -> Self {
        self.container_port = port;
        self
    }

    /// No port of the agent stands for it: only the task's own address has it.
    pub fn without_host_port(mut self) -> Self {
        self.host_port = None;
        self
    }

    /// Over UDP instead.
    pub fn udp(mut self) -> Self {
        self.protocol = "udp";
        self
    }

    /// Over both, where the form of the era can say so (port mappings).
    pub fn tcp_and_udp(mut self) -> Self {
        self.protocol = "udp,tcp";
        self
    }

    /// With a name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) protocol: &'static str,
    pub(super) path: Option<String>,
}

/// A deployment that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rollout {
    pub(super) id: String,
    pub(super) action: &'static str,
}

/// An app, as `POST /v2/apps` would describe it, and the tasks that it starts with.
#[must_use = "an app counts only once it is deployed"]
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    pub(super) id: String,
    pub(super) networking: Networking,
    pub(super) ports: Vec<Port>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) checks: Vec<Check>,
    pub(super) has_readiness_check: bool,
    /// The deployment that runs.
    pub(super) rollout: Option<Rollout>,
    pub(super) instances: usize,
    pub(super) extra: Map<String, Value>,
    pub(super) tasks: Vec<Task>,
    pub(super) version: String,
    pub(super) last_config_change_at: String,
    pub(super) last_scaling_at: String,
}

impl App {
    /// An app in host networking without ports or tasks. `id` is a path: `/product/frontend`.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            networking: Networking::Host,
            ports: Vec::new(),
            labels: BTreeMap::new(),
            env: BTreeMap::new(),
            checks: Vec::new(),
            has_readiness_check: false,
            rollout: None,
            instances: 0,
            extra: Map::new(),
            tasks: Vec::new(),
            version: String::new(),
            last_config_change_at: String::new(),
            last_scaling_at: String::new(),
        }
    }

    /// Bridge networking: ports of the agent are mapped into the container.
    pub fn bridge(mut self) -> Self {
        self.networking = Networking::Bridge;
        self
    }

    /// Each task has an address of its own in the network `name`. There is no such thing before
    /// 0.15; up to 1.1 the ports are told by `ipAddress.discovery`, without service ports.
    pub fn container_network(mut self, name: &str) -> Self {
        self.networking = Networking::Container(name.to_owned());
        self
    }

    /// One more port, which clients dial as `service_port`.
    pub fn service_port(self, service_port: u16) -> Self {
        self.port(Port::new(service_port))
    }

    /// One more port.
    pub fn port(mut self, port: Port) -> Self {
        self.ports.push(port);
        self
    }

    /// A label; shown from 0.10.
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Takes a label away.
    pub fn without_label(mut self, name: &str) -> Self {
        self.labels.remove(name);
        self
    }

    /// A variable of the environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A check of the first port that Marathon runs over HTTP.
    pub fn http_check(self, path: &str) -> Self {
        self.check("HTTP", Some(path))
    }

    /// A check of the first port that Marathon runs over TCP.
    pub fn tcp_check(self) -> Self {
        self.check("TCP", None)
    }

    /// A check of the first port that the agent runs over HTTP.
    pub fn mesos_http_check(self, path: &str) -> Self {
        self.check("MESOS_HTTP", Some(path))
    }

    /// Marathon asks the tasks that a deployment starts whether they are ready; from 1.1.
    pub fn readiness_check(mut self) -> Self {
        self.has_readiness_check = true;
        self
    }

    /// How many tasks are wanted, where that differs from how many there are.
    pub fn instances(mut self, instances: usize) -> Self {
        self.instances = instances;
        self
    }

    /// A task that is started with the app.
    pub fn task(mut self, task: Task) -> Self {
        self.tasks.push(task);
        self
    }

    /// A field of the JSON form as it stands, in place of the one that would be written.
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }

    /// The path.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The version that the last deployment gave it; empty before the first.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Tasks in the order in which they were started.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// Marathon's "safe path", with which ids of tasks begin: `product_frontend`.
    pub(super) fn safe_path(&self) -> String {
        self.id.trim_start_matches('/').replace('/', "_")
    }

    fn check(mut self, protocol: &'static str, path: Option<&str>) -> Self {
        self.checks.push(Check {
            protocol,
            path: path.map(str::to_owned),
        });
        self
    }
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
}

impl TaskState {
    /// As in `"state": "TASK_RUNNING"`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Staging => "TASK_STAGING",
            Self::Starting => "TASK_STARTING",
            Self::Running => "TASK_RUNNING",
            Self::Killing => "TASK_KILLING",
            Self::Finished => "TASK_FINISHED",
            Self::Failed => "TASK_FAILED",
            Self::Killed => "TASK_KILLED",
            Self::Error => "TASK_ERROR",
            Self::Lost => "TASK_LOST",
            Self::Unreachable => "TASK_UNREACHABLE",
            Self::Gone => "TASK_GONE",
            Self::GoneByOperator => "TASK_GONE_BY_OPERATOR",
            Self::Dropped => "TASK_DROPPED",
            Self::Unknown => "TASK_UNKNOWN",
        }
    }

    /// As in the `condition` of an instance.
    pub(super) fn condition(self) -> &'static str {
        match self {
            Self::Staging => "Staging",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Killing => "Killing",
            Self::Finished => "Finished",
            Self::Failed => "Failed",
            Self::Killed => "Killed",
            Self::Error => "Error",
            Self::Lost => "Lost",
            Self::Unreachable => "Unreachable",
            Self::Gone | Self::GoneByOperator => "Gone",
            Self::Dropped => "Dropped",
            Self::Unknown => "Unknown",
        }
    }

    /// Whether it ever ran: `startedAt` is set from there on.
    pub(super) fn has_started(self) -> bool {
        !matches!(self, Self::Staging | Self::Starting)
    }

    /// Whether the task still holds ports of its agent.
    pub(super) fn holds_ports(self) -> bool {
        matches!(
            self,
            Self::Staging
                | Self::Starting
                | Self::Running
                | Self::Killing
                | Self::Lost
                | Self::Unreachable
        )
    }
}

/// What the health checks of a task found last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing yet, or a new leader forgot it.
    Unchecked,
    /// They pass.
    Alive,
    /// They failed this often in a row.
    Failing(u32),
}

/// A task of an app.
#[must_use = "a task counts only once it is started"]
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub(super) id: String,
    pub(super) host: Option<String>,
    pub(super) ports: Vec<u16>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) state: TaskState,
    pub(super) health: Health,
    pub(super) is_ready: Option<bool>,
    pub(super) version: String,
    pub(super) staged_at: String,
    pub(super) started_at: String,
    pub(super) extra: Map<String, Value>,
}

impl Task {
    /// A running task on the agent `host`, without ports.
    pub fn new(host: &str) -> Self {
        Self {
            id: String::new(),
            host: Some(host.to_owned()),
            ports: Vec::new(),
            addresses: Vec::new(),
            state: TaskState::Running,
            health: Health::Unchecked,
            is_ready: None,
            version: String::new(),
            staged_at: String::new(),
            started_at: String::new(),
            extra: Map::new(),
        }
    }

    /// A running task on 127.0.0.1 with this one port.
    pub fn local(port: u16) -> Self {
        Self::new("127.0.0.1").port(port)
    }

    /// A task of which Marathon does not know the agent (`"host": null`).
    pub fn without_host(mut self) -> Self {
        self.host = None;
        self
    }

    /// One more port of its agent.
    pub fn port(mut self, port: u16) -> Self {
        self.ports.push(port);
        self
    }

    /// One more address of its own; shown from 0.15.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// The id, where the one that Marathon would make does not serve.
    pub fn with_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.id);
        self
    }

    /// Not running but in another state.
    pub fn in_state(mut self, state: TaskState) -> Self {
        self.state = state;
        self
    }

    /// What its checks found; shown where the app has checks.
    pub fn in_health(mut self, health: Health) -> Self {
        self.health = health;
        self
    }

    /// The version of the app that it runs, where that is not the current one.
    pub fn of_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// A field of the JSON form as it stands, in place of the one that would be written.
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }

    /// Marathon's id of it; empty until it is started.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What Mesos last said of it.
    #[must_use]
    pub fn state(&self) -> TaskState {
        self.state
    }

    /// The instance that it belongs to, as Marathon from 1.4 names it.
    pub(super) fn instance_id(&self) -> String {
        match self.id.split_once("._app.") {
            Some((instance, _)) => instance.to_owned(),
            // Up to 1.7 the id of a task is `<app>.<uuid>`.
            None => match self.id.split_once('.') {
                Some((app, uuid)) => format!("{app}.marathon-{uuid}"),
                None => self.id.clone(),
            },
        }
    }
}
