//! Which service ports an app has and where each task serves them, by the rules of Marathon's own
//! port discovery (`mesosphere/mesos/PortDiscovery.scala`, `EndpointsHelper.scala`).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::{
    App, AppId, DiscoveryPort, Network, PortDefinition, PortMapping, Protocol, Task, TaskState,
    Warning,
};

/// What a server is dialled by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A numeric address.
    Ip(IpAddr),
    /// A name that somebody has to resolve.
    Name(Box<str>),
    /// A name, and the address that it has now.
    Resolved {
        /// As Marathon has it.
        name: Box<str>,
        /// What servers are dialled by.
        address: IpAddr,
    },
}

impl Host {
    /// Reads an address where the text is one, and takes it for a name otherwise.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let bare = text
            .strip_prefix('[')
            .and_then(|t| t.strip_suffix(']'))
            .unwrap_or(text);
        bare.parse()
            .map_or_else(|_| Self::Name(text.into()), Self::Ip)
    }

    /// The numeric address, where it is known.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) | Self::Resolved { address, .. } => Some(*address),
            Self::Name(_) => None,
        }
    }

    /// The name, where there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) | Self::Resolved { name, .. } => Some(name),
            Self::Ip(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(address))
            | Self::Resolved {
                address: IpAddr::V6(address),
                ..
            } => write_v6(f, address),
            Self::Ip(IpAddr::V4(address))
            | Self::Resolved {
                address: IpAddr::V4(address),
                ..
            } => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Brackets keep the port apart from the address.
fn write_v6(f: &mut fmt::Formatter<'_>, address: &Ipv6Addr) -> fmt::Result {
    write!(f, "[{address}]")
}

/// One place where a service port is served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Agent or container.
    pub host: Host,
    /// 1 to 65535.
    pub port: u16,
    /// The task behind it; empty where the source does not tell.
    pub task: Box<str>,
    /// It gets no new clients: a deployment is about to end it.
    pub draining: bool,
}

/// A port that clients dial, and who serves it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServicePort {
    /// Whose it is.
    pub app: AppId,
    /// Position in the app's ports, the `{n}` of labels.
    pub index: usize,
    /// What clients dial. Not yet known to be a port number: what is none is for `proxy` to refuse.
    pub service_port: u32,
    /// When the app was last changed, for the question who was first.
    pub last_config_change_at: Option<Box<str>>,
    /// In the order of the tasks.
    pub endpoints: Vec<Endpoint>,
}

/// Which tasks count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServingTasks {
    /// Only `TASK_RUNNING`, as in Marathon's text form.
    Running,
    /// Also tasks that Mesos lost sight of and that may well serve: `TASK_LOST`,
    /// `TASK_UNREACHABLE`, and words unheard of; HAProxy's own check decides about them.
    RunningOrOutOfSight,
}

impl ServingTasks {
    /// Before Marathon 1.1.2 there was no state, and a start time meant "runs".
    #[must_use]
    pub fn counts(self, task: &Task) -> bool {
        match task.state {
            None => task.started_at.is_some(),
            Some(TaskState::Running) => true,
            Some(TaskState::Lost | TaskState::Unreachable | TaskState::Unheard) => {
                self == Self::RunningOrOutOfSight
            }
            Some(_) => false,
        }
    }
}

/// The service ports of an app that HAProxy can serve, with the addresses of the tasks that count.
///
/// Ports without a number to dial and pure UDP ports are no service ports.
#[must_use]
pub fn service_ports(app: &App, serving: ServingTasks) -> (Vec<ServicePort>, Vec<Warning>) {
    let mut warnings = Vec::new();
    let slots = slots(app);
    let tasks: Vec<&Task> = app
        .tasks
        .iter()
        .filter(|task| serving.counts(task))
        .collect();
    let mut ports = Vec::new();
    for (index, slot) in slots.iter().enumerate() {
        let Some(service_port) = slot.service_port.filter(|_| slot.protocol.has_tcp()) else {
            continue;
        };
        if service_port == 0 {
            warnings.push(port_zero(app, index));
            continue;
        }
        let mut endpoints = Vec::with_capacity(tasks.len());
        for task in &tasks {
            match endpoint(app, &slots, index, task) {
                Ok(endpoint) => endpoints.push(endpoint),
                // A task of an older version of the app may have fewer ports; that is no fault.
                Err(Missing::Port) if task.version != app.version => (),
                Err(missing) => warnings.push(missing.warning(app, task, service_port)),
            }
        }
        ports.push(ServicePort {
            app: app.id.clone(),
            index,
            service_port,
            last_config_change_at: app.last_config_change_at.clone(),
            endpoints,
        });
    }
    (ports, warnings)
}

/// What an app says of one of its ports, whichever of Marathon's forms it used.
struct Slot<'a> {
    service_port: Option<u32>,
    protocol: Protocol,
    /// Whether a port of the agent was asked for.
    on_agent: bool,
    /// The port on an address of the task's own; 0 means "the same as on the agent". `None` where
    /// there is no such address, or one that only the agent itself can reach.
    own_port: Option<u16>,
    /// The networks that carry it; empty means all.
    networks: &'a [Box<str>],
}

fn slots<'a>(app: &'a App) -> Vec<Slot<'a>> {
    let assigned = |index: usize| app.ports.as_deref()?.get(index).copied();
    let defined = |index: usize| app.port_definitions.as_deref()?.get(index)?.port;
    let in_container = app.network == Network::Container;
    if app.network != Network::Host && !app.port_mappings.is_empty() {
        let slot = |(index, mapping): (usize, &'a PortMapping)| Slot {
            service_port: mapping.service_port.or_else(|| assigned(index)),
            protocol: mapping.protocol,
            // In bridge mode Marathon takes a missing host port for 0, which is "any".
            on_agent: !in_container || mapping.host_port.is_some(),
            own_port: in_container.then_some(mapping.container_port.unwrap_or(0)),
            networks: &mapping.network_names,
        };
        return app.port_mappings.iter().enumerate().map(slot).collect();
    }
    if in_container && !app.discovery_ports.is_empty() {
        let slot = |(index, port): (usize, &DiscoveryPort)| Slot {
            service_port: assigned(index).or_else(|| defined(index)),
            protocol: port.protocol,
            on_agent: false,
            own_port: Some(port.number),
            networks: &[],
        };
        return app.discovery_ports.iter().enumerate().map(slot).collect();
    }
    let slot = |definition: &PortDefinition| Slot {
        service_port: definition.port,
        protocol: definition.protocol,
        on_agent: true,
        own_port: None,
        networks: &[],
    };
    app.port_definitions.iter().flatten().map(slot).collect()
}

/// Marathon puts a number in the place of 0 when it accepts an app; an answer that still has 0 is
/// an unfinished one.
fn port_zero(app: &App, index: usize) -> Warning {
    Warning {
        app: Some(app.id.clone()),
        subject: format!("service port at position {index}"),
        found: "0".to_owned(),
        expected: "a port from 1 to 65535".to_owned(),
        effect: "port not served".to_owned(),
    }
}

#[derive(Clone, Copy)]
enum Missing {
    Host,
    Port,
    Address,
}

impl Missing {
    fn warning(self, app: &App, task: &Task, service_port: u32) -> Warning {
        let (found, expected) = match self {
            Self::Host => ("no host", "the name or address of its agent".to_owned()),
            Self::Port => (
                "no port on its agent",
                format!("one for service port {service_port}"),
            ),
            Self::Address => (
                "neither an address of its own nor a port on its agent",
                format!("one of them for service port {service_port}"),
            ),
        };
        Warning {
            app: Some(app.id.clone()),
            subject: format!("task `{}`", task.id),
            found: found.to_owned(),
            expected,
            effect: format!("task left out of service port {service_port}"),
        }
    }
}

fn endpoint(app: &App, slots: &[Slot<'_>], index: usize, task: &Task) -> Result<Endpoint, Missing> {
    let slot = &slots[index];
    let agent_port = agent_port(slots, index, task);
    // A port of the agent is reachable from anywhere, a container's address only from inside its
    // network: where the owner asked for the former, it is the better one.
    let (host, port) = match agent_port.filter(|_| slot.on_agent) {
        Some(port) => (agent(task)?, port),
        None => {
            let own_port = slot.own_port.ok_or(Missing::Port)?;
            let port = Some(own_port)
                .filter(|&port| port != 0)
                .or(agent_port)
                .ok_or(Missing::Address)?;
            let address = own_address(app, slot.networks, task).ok_or(Missing::Address)?;
            (Host::Ip(address), port)
        }
    };
    Ok(Endpoint {
        host,
        port,
        task: task.id.clone(),
        draining: task.draining,
    })
}

fn agent(task: &Task) -> Result<Host, Missing> {
    match task.host.as_deref() {
        None | Some("") => Err(Missing::Host),
        Some(host) => Ok(Host::new(host)),
    }
}

/// A task lists only the ports that were allocated on its agent, so that mappings without a host
/// port shift those behind them, unless it lists as many as there are mappings.
fn agent_port(slots: &[Slot<'_>], index: usize, task: &Task) -> Option<u16> {
    let position = if task.ports.len() == slots.len() {
        index
    } else if slots[index].on_agent {
        slots[..index].iter().filter(|slot| slot.on_agent).count()
    } else {
        return None;
    };
    task.ports.get(position).copied().filter(|&port| port != 0)
}

/// With several networks, a mapping's network picks the address at the same position; otherwise
/// IPv4 goes first, since every HAProxy host has it.
fn own_address(app: &App, networks: &[Box<str>], task: &Task) -> Option<IpAddr> {
    if let Some(name) = networks.first()
        && app.network_names.len() == task.ip_addresses.len()
        && let Some(position) = app.network_names.iter().position(|n| n == name)
    {
        return Some(task.ip_addresses[position]);
    }
    let addresses = &task.ip_addresses;
    addresses
        .iter()
        .find(|a| a.is_ipv4())
        .or_else(|| addresses.first())
        .copied()
}

#[cfg(test)]
mod tests;
