//! Which service ports an app has and who serves them, by the rules of marathon-lb 1.15 ("Apps →
//! services → backends"): service ports and task ports are paired position by position.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use jiff::Timestamp;

use super::auto_ports::AutoPorts;
use super::{App, Endpoint, Host, Network, ServicePort, Task, TaskState, Warning};

/// What of a cluster counts.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Tasks count only while Marathon reports them alive, in apps that have health checks.
    pub health_check: bool,
    /// Where a leader has no word of the health of a task because it has just been elected, it
    /// counts as alive; and tasks of an older definition are dialled where they are.
    pub knows_deployments: bool,
    /// Service ports for apps that name none, whose tasks have addresses of their own.
    pub auto_ports: Option<RangeInclusive<u16>>,
}

/// What was last known of the health of tasks: a fresh leader has no results for a while.
#[derive(Debug)]
pub struct HealthMemory {
    capacity: usize,
    known: HashMap<Arc<str>, Known>,
    /// Tasks by the age of what is known of them, the longest unasked first.
    by_age: BTreeMap<u64, Arc<str>>,
    /// How often anything was learnt or asked.
    now: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    alive: bool,
    age: u64,
}

impl HealthMemory {
    /// Of `capacity` tasks at most; those of which nothing was heard or asked for longest are
    /// forgotten, so that tasks that stay outlive those that are gone.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            known: HashMap::new(),
            by_age: BTreeMap::new(),
            now: 0,
        }
    }

    fn learn(&mut self, task: &str, alive: bool) {
        if let Some(known) = self.renewed(task) {
            known.alive = alive;
            return;
        }
        let (task, age) = (Arc::<str>::from(task), self.now);
        self.known.insert(Arc::clone(&task), Known { alive, age });
        self.by_age.insert(age, task);
        while self.known.len() > self.capacity {
            let Some((_, oldest)) = self.by_age.pop_first() else {
                return;
            };
            self.known.remove(&oldest);
        }
    }

    /// `None` where nothing is known.
    fn was_alive(&mut self, task: &str) -> Option<bool> {
        self.renewed(task).map(|known| known.alive)
    }

    /// What is known of a task, which is the youngest from now on.
    fn renewed(&mut self, task: &str) -> Option<&mut Known> {
        self.now += 1;
        let known = self.known.get_mut(task)?;
        if let Some(task) = self.by_age.remove(&known.age) {
            self.by_age.insert(self.now, task);
        }
        known.age = self.now;
        Some(known)
    }
}

/// The service ports of all apps, in Marathon's order, with whoever serves them `now`, which may be
/// nobody. Of two positions with one number, the later gives its labels, and both their servers.
#[must_use]
pub fn zipped_service_ports(
    apps: &[Arc<App>],
    selection: &Selection,
    memory: &mut HealthMemory,
    now: Timestamp,
) -> (Vec<ServicePort>, Vec<Warning>) {
    let mut auto_ports = selection.auto_ports.clone().map(AutoPorts::new);
    let mut all = Vec::with_capacity(apps.len());
    let mut warnings = Vec::new();
    for app in apps {
        let numbers = numbers(app, auto_ports.as_mut(), &mut warnings);
        let mut ports = service_ports(app, &numbers);
        for task in &app.tasks {
            if !counts(app, task, selection, memory, now) {
                continue;
            }
            let has_moved = selection.knows_deployments && app.has_outgrown(task);
            let reached = if has_moved {
                reach_older(app, task)
            } else {
                reach(app, task)
            };
            match reached {
                Ok((host, task_ports)) => {
                    for (number, task_port) in numbers.iter().zip(task_ports) {
                        let port = ports
                            .iter_mut()
                            .find(|port| Some(port.service_port) == *number);
                        let Some(port) = port else { continue };
                        // HAProxy takes that for the port that its client dialled, its own at worst.
                        if task_port == 0 && selection.knows_deployments {
                            warnings.push(no_port(app, task, port.service_port));
                            continue;
                        }
                        port.endpoints.push(Endpoint {
                            host: host.clone(),
                            port: task_port,
                            task: task.id.clone(),
                            draining: task.draining,
                        });
                    }
                }
                // An app without service ports misses nothing, and what an older definition lacked is no
                // fault of this one.
                Err(_) if ports.is_empty() || has_moved => (),
                Err(missing) => warnings.push(unreachable_task(app, task, missing)),
            }
        }
        all.append(&mut ports);
    }
    (all, warnings)
}

/// Each number once, with its last position.
fn service_ports(app: &App, numbers: &[Option<u32>]) -> Vec<ServicePort> {
    let mut ports: Vec<ServicePort> = Vec::with_capacity(numbers.len());
    for (index, number) in numbers.iter().enumerate() {
        let Some(service_port) = *number else {
            continue;
        };
        match ports
            .iter_mut()
            .find(|port| port.service_port == service_port)
        {
            Some(port) => port.index = index,
            None => ports.push(ServicePort {
                app: app.id.clone(),
                index,
                service_port,
                last_config_change_at: app.last_config_change_at.clone(),
                endpoints: Vec::new(),
            }),
        }
    }
    ports
}

/// Whether its service ports are given to it by [`Selection::auto_ports`], beside those of all others.
#[must_use]
pub fn needs_auto_ports(app: &App) -> bool {
    let mapped = app.port_mappings.iter().any(|m| m.service_port.is_some());
    let mut defined = app.port_definitions.iter().flatten();
    app.network == Network::Container && !mapped && !defined.any(|d| d.port.is_some())
}

/// Service ports by position; `None` where none could be given.
fn numbers(
    app: &App,
    auto_ports: Option<&mut AutoPorts>,
    warnings: &mut Vec<Warning>,
) -> Vec<Option<u32>> {
    if app.network != Network::Host {
        let of_mappings: Vec<_> = app
            .port_mappings
            .iter()
            .filter_map(|mapping| mapping.service_port)
            .map(Some)
            .collect();
        if !of_mappings.is_empty() {
            return of_mappings;
        }
    }
    let defined: Vec<_> = app
        .port_definitions
        .iter()
        .flatten()
        .filter_map(|definition| definition.port)
        .map(Some)
        .collect();
    if !defined.is_empty() || app.network != Network::Container {
        return defined;
    }
    let (Some(auto_ports), Some(first)) = (auto_ports, app.tasks.first()) else {
        return Vec::new();
    };
    let mut assign = |task_port| {
        let port = auto_ports.assign(&app.id, task_port);
        if port.is_none() {
            warnings.push(no_port_left(app, task_port));
        }
        port.map(u32::from)
    };
    task_ports(app, first)
        .into_iter()
        .map(&mut assign)
        .collect()
}

/// The ports of a task, by position.
fn task_ports(app: &App, task: &Task) -> Vec<u16> {
    let of_mappings = || {
        let ports = app
            .port_mappings
            .iter()
            .filter_map(|mapping| mapping.container_port);
        ports.collect::<Vec<u16>>()
    };
    if app.network == Network::Container {
        let discovered: Vec<u16> = app.discovery_ports.iter().map(|port| port.number).collect();
        return if discovered.is_empty() {
            of_mappings()
        } else {
            discovered
        };
    }
    if !task.ports.is_empty() {
        return task.ports.clone();
    }
    let definitions = app.port_definitions.iter().flatten();
    let defined: Vec<u16> = definitions
        .filter_map(|definition| u16::try_from(definition.port?).ok())
        .collect();
    if defined.is_empty() && app.network == Network::Bridge {
        return of_mappings();
    }
    defined
}

/// What a task lacks.
#[derive(Clone, Copy)]
enum Missing {
    Host,
    Address,
    Ports,
}

/// Where a task is dialled, and on which ports. The agent's name stands beside a container's own
/// address, since it is a part of the server's name.
fn reach(app: &App, task: &Task) -> Result<(Host, Vec<u16>), Missing> {
    let agent = task
        .host
        .as_deref()
        .filter(|host| !host.is_empty())
        .ok_or(Missing::Host)?;
    let host = if app.network == Network::Container {
        let address = *task.ip_addresses.first().ok_or(Missing::Address)?;
        Host::Resolved {
            name: agent.into(),
            address,
        }
    } else {
        Host::new(agent)
    };
    let ports = task_ports(app, task);
    if ports.is_empty() {
        return Err(Missing::Ports);
    }
    Ok((host, ports))
}

/// The same for a task of an older definition, which may have had another network. What it was given
/// tells: only those in a network of their own have no ports of their agent.
fn reach_older(app: &App, task: &Task) -> Result<(Host, Vec<u16>), Missing> {
    let asks_for_agent_ports = match app.network {
        Network::Host | Network::Bridge => true,
        Network::Container => (app.port_mappings.iter()).any(|mapping| mapping.host_port.is_some()),
    };
    let agent = task.host.as_deref().ok_or(Missing::Host)?;
    match (asks_for_agent_ports, task.ports.is_empty()) {
        (false, false) => Ok((Host::new(agent), task.ports.clone())),
        (true, true) => {
            let address = *task.ip_addresses.first().ok_or(Missing::Address)?;
            let mappings = app.port_mappings.iter();
            let ports: Vec<u16> = mappings
                .filter_map(|mapping| mapping.container_port)
                .collect();
            if ports.is_empty() {
                return Err(Missing::Ports);
            }
            let name = agent.into();
            Ok((Host::Resolved { name, address }, ports))
        }
        _ => reach(app, task),
    }
}

/// Whether clients may be sent to a task.
fn counts(
    app: &App,
    task: &Task,
    selection: &Selection,
    memory: &mut HealthMemory,
    now: Timestamp,
) -> bool {
    let may_serve = match task.state {
        None
        | Some(
            TaskState::Running | TaskState::Lost | TaskState::Unreachable | TaskState::Unheard,
        ) => true,
        Some(
            TaskState::Staging
            | TaskState::Starting
            | TaskState::Killing
            | TaskState::Finished
            | TaskState::Failed
            | TaskState::Killed
            | TaskState::Error
            | TaskState::Gone
            | TaskState::GoneByOperator
            | TaskState::Dropped
            | TaskState::Unknown,
        ) => false,
    };
    if !may_serve {
        return false;
    }
    if !selection.health_check || app.health_checks.is_empty() {
        return true;
    }
    if selection.knows_deployments {
        return is_alive(app, task, memory, now);
    }
    match &task.health {
        None => memory.was_alive(&task.id) == Some(true),
        Some(results) => {
            let alive = results.iter().any(|result| result.alive);
            memory.learn(&task.id, alive);
            alive
        }
    }
}

/// No word is not a bad one: a new leader has none of any task, then of some. But a task that starts
/// has none either, and failures in its grace period leave none.
fn is_alive(app: &App, task: &Task, memory: &mut HealthMemory, now: Timestamp) -> bool {
    let results = task.health.iter().flatten();
    // Until something was found, Marathon writes no result, or one of no failures.
    let words = results.filter(|result| result.alive || 0 < result.consecutive_failures);
    if let Some(alive) = words
        .map(|result| result.alive)
        .reduce(|one, other| one | other)
    {
        memory.learn(&task.id, alive);
        return alive;
    }
    if let Some(alive) = memory.was_alive(&task.id) {
        return alive;
    }
    let is_silent = |task: &Task| task.health.as_ref().is_none_or(Vec::is_empty);
    app.tasks.iter().all(is_silent) || is_past_grace(app, task, now)
}

/// Whether all checks of a task had the time to find something that counts.
fn is_past_grace(app: &App, task: &Task, now: Timestamp) -> bool {
    let started_at = task.started_at.as_deref();
    let Some(started_at) = started_at.and_then(|at| at.parse::<Timestamp>().ok()) else {
        return false;
    };
    let seconds = app.health_checks.iter().map(|check| {
        let first = check.interval_seconds.saturating_add(check.timeout_seconds);
        check.grace_period_seconds.saturating_add(first)
    });
    let seconds = i64::try_from(seconds.max().unwrap_or(0)).unwrap_or(i64::MAX);
    now.as_second().saturating_sub(started_at.as_second()) >= seconds
}

fn unreachable_task(app: &App, task: &Task, missing: Missing) -> Warning {
    let (found, expected) = match missing {
        Missing::Host => ("no host", "the name or address of its agent"),
        Missing::Address => (
            "no address of its own",
            "one, since the app is in a container network",
        ),
        Missing::Ports => ("no ports", "one for each service port of the app"),
    };
    Warning {
        app: Some(app.id.clone()),
        subject: format!("task `{}`", task.id),
        found: found.to_owned(),
        expected: expected.to_owned(),
        effect: "task left out".to_owned(),
    }
}

fn no_port(app: &App, task: &Task, service_port: u32) -> Warning {
    Warning {
        app: Some(app.id.clone()),
        subject: format!("task `{}`", task.id),
        found: format!("port 0 for service port {service_port}"),
        expected: "a port number from 1 to 65535".to_owned(),
        effect: "task left out of that service port".to_owned(),
    }
}

fn no_port_left(app: &App, task_port: u16) -> Warning {
    Warning {
        app: Some(app.id.clone()),
        subject: format!("container port {task_port}"),
        found: "no service port, and none is left to be given".to_owned(),
        expected: "a servicePort, or a larger range (--max-serv-port-ip-per-task)".to_owned(),
        effect: "port not served".to_owned(),
    }
}

#[cfg(test)]
mod tests;
