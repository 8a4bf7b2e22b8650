//! How an era writes apps and tasks: the JSON of the REST API, and the text of `/v2/tasks`.
//!
//! Pure: the model and the era come in, values and text go out.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::era::Era;
use super::model::{App, Check, Health, Networking, Port, Task, TaskState};

/// Which answer a task is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the `tasks` of its app.
    InApp,
    /// In `/v2/tasks`, which tells the service ports too.
    InTasks,
}

/// What is embedded in an app.
#[derive(Clone, Copy, Debug)]
pub(super) struct Embeds {
    pub(super) tasks: bool,
    pub(super) readiness: bool,
}

/// An app with its counts, and with what is embedded.
pub(super) fn app(era: Era, app: &App, embeds: Embeds) -> Value {
    let mut json = definition(era, app);
    let in_state = |state| app.tasks.iter().filter(|t| t.state == state).count();
    let in_health = |alive: bool| {
        let matches = |health| match health {
            Health::Unchecked => false,
            Health::Alive => alive,
            Health::Failing(_) => !alive,
        };
        app.tasks.iter().filter(|t| matches(t.health)).count()
    };
    json.insert("tasksStaged".into(), json!(in_state(TaskState::Staging)));
    json.insert("tasksRunning".into(), json!(in_state(TaskState::Running)));
    json.insert("tasksHealthy".into(), json!(in_health(true)));
    json.insert("tasksUnhealthy".into(), json!(in_health(false)));
    let deployments = app.rollout.iter();
    let deployments: Vec<_> = deployments
        .map(|rollout| json!({"id": rollout.id}))
        .collect();
    json.insert("deployments".into(), deployments.into());
    if embeds.readiness && era.has_readiness() {
        let results = readiness_results(app);
        json.insert("readinessCheckResults".into(), results.into());
    }
    if embeds.tasks {
        json.insert("tasks".into(), tasks(era, app, Place::InApp).into());
    }
    json.extend(app.extra.clone());
    json.into()
}

/// An app as events and plans carry it.
pub(super) fn definition(era: Era, app: &App) -> Map<String, Value> {
    let mut json = object(json!({
        "id": app.id,
        "cmd": null,
        "cpus": 0.1,
        "mem": 32.0,
        "instances": app.instances,
        "env": app.env,
        "healthChecks": app.checks.iter().map(check).collect::<Vec<_>>(),
        "upgradeStrategy": {"minimumHealthCapacity": 1.0, "maximumOverCapacity": 1.0},
        "constraints": [],
        "version": app.version,
    }));
    if era.has_labels_and_events() {
        json.insert("labels".into(), json!(app.labels));
        let info = json!({
            "lastConfigChangeAt": app.last_config_change_at,
            "lastScalingAt": app.last_scaling_at,
        });
        json.insert("versionInfo".into(), info);
    }
    if era.has_readiness() {
        let checks: &[_] = if app.has_readiness_check {
            &[READINESS_CHECK]
        } else {
            &[]
        };
        let checks: Vec<_> = checks.iter().map(|name| readiness_check(name)).collect();
        json.insert("readinessChecks".into(), checks.into());
    }
    if era >= Era::V1_10 {
        json.insert("role".into(), json!("*"));
    }
    if era.has_networks() {
        insert_networks(&mut json, app);
        json.retain(|_, value| !is_empty(value));
    } else {
        insert_ports(era, &mut json, app);
    }
    json
}

/// 1.5 and later.
fn insert_networks(json: &mut Map<String, Value>, app: &App) {
    let network = match &app.networking {
        Networking::Host => {
            let ports: Vec<_> = app.ports.iter().map(port_definition).collect();
            json.insert("portDefinitions".into(), ports.into());
            json!({"mode": "host"})
        }
        Networking::Bridge => json!({"mode": "container/bridge"}),
        Networking::Container(name) => json!({"mode": "container", "name": name}),
    };
    json.insert("networks".into(), json!([network]));
    if app.networking != Networking::Host {
        let container = json!({
            "type": "DOCKER",
            "docker": {"image": "example/app"},
            "portMappings": mappings(app),
        });
        json.insert("container".into(), container);
    }
}

/// Up to 1.4.
fn insert_ports(era: Era, json: &mut Map<String, Value>, app: &App) {
    let docker = |network: &str| {
        let docker = json!({
            "image": "example/app",
            "network": network,
            "portMappings": mappings(app),
        });
        json!({"type": "DOCKER", "volumes": [], "docker": docker})
    };
    match &app.networking {
        Networking::Host => (),
        Networking::Bridge => {
            json.insert("container".into(), docker("BRIDGE"));
        }
        Networking::Container(name) if era.has_instances() => {
            let address = json!({"groups": [], "labels": {}, "networkName": name});
            json.insert("ipAddress".into(), address);
            json.insert("container".into(), docker("USER"));
        }
        Networking::Container(_) => {
            let discovery: Vec<_> = app.ports.iter().map(discovery_port).collect();
            let discovery = json!({"ports": discovery});
            let address = json!({"groups": [], "labels": {}, "discovery": discovery});
            json.insert("ipAddress".into(), address);
        }
    }
    let ports = dialled_ports(era, app);
    let numbers: Vec<_> = ports.iter().map(|port| port.service_port).collect();
    json.insert("ports".into(), json!(numbers));
    json.insert("requirePorts".into(), json!(false));
    if era.has_task_states() {
        let definitions: Vec<_> = ports.iter().map(port_definition).collect();
        json.insert("portDefinitions".into(), definitions.into());
    }
}

/// Ports that have a service port: those of `ipAddress.discovery` have none.
fn dialled_ports(era: Era, app: &App) -> &[Port] {
    match app.networking {
        Networking::Container(_) if !era.has_instances() => &[],
        _ => &app.ports,
    }
}

fn port_definition(port: &Port) -> Value {
    let mut json = object(json!({
        "port": port.service_port,
        "protocol": port.protocol,
        "labels": {},
    }));
    insert_name(&mut json, port);
    json.into()
}

fn discovery_port(port: &Port) -> Value {
    json!({
        "number": port.container_port,
        "name": port.name.as_deref().unwrap_or("http"),
        "protocol": port.protocol,
    })
}

fn mappings(app: &App) -> Vec<Value> {
    app.ports
        .iter()
        .map(|port| {
            let mut json = object(json!({
                "containerPort": port.container_port,
                "hostPort": port.host_port,
                "servicePort": port.service_port,
                "protocol": port.protocol,
                "labels": {},
            }));
            insert_name(&mut json, port);
            json.into()
        })
        .collect()
}

fn insert_name(json: &mut Map<String, Value>, port: &Port) {
    if let Some(name) = &port.name {
        json.insert("name".into(), json!(name));
    }
}

fn check(check: &Check) -> Value {
    let mut json = object(json!({
        "protocol": check.protocol,
        "portIndex": 0,
        "gracePeriodSeconds": 300,
        "intervalSeconds": 60,
        "timeoutSeconds": 20,
        "maxConsecutiveFailures": 3,
    }));
    if let Some(path) = &check.path {
        json.insert("path".into(), json!(path));
    }
    json.into()
}

const READINESS_CHECK: &str = "readinessCheck";

fn readiness_check(name: &str) -> Value {
    json!({
        "name": name,
        "protocol": "HTTP",
        "path": "/",
        "portName": "http-api",
        "intervalSeconds": 30,
        "timeoutSeconds": 10,
        "httpStatusCodesForReady": [200],
        "preserveLastResponse": false,
    })
}

/// What the tasks of a deployment said while it goes on.
fn readiness_results(app: &App) -> Vec<Value> {
    let result = |task: &Task| {
        let ready = task.is_ready?;
        Some(json!({"name": READINESS_CHECK, "taskId": task.id, "ready": ready}))
    };
    app.tasks.iter().filter_map(result).collect()
}

/// The tasks of an app.
pub(super) fn tasks(era: Era, app: &App, place: Place) -> Vec<Value> {
    app.tasks
        .iter()
        .map(|of_app| task(era, app, of_app, place))
        .collect()
}

fn task(era: Era, app: &App, task: &Task, place: Place) -> Value {
    let started_at = task.state.has_started().then_some(&task.started_at);
    let ports = if era.has_networks() && !task.state.holds_ports() {
        [].as_slice()
    } else {
        &task.ports
    };
    let mut json = object(json!({
        "id": task.id,
        "host": task.host,
        "ports": ports,
        "stagedAt": task.staged_at,
        "startedAt": started_at,
        "version": task.version,
    }));
    if era >= Era::V0_10 || place == Place::InTasks {
        json.insert("appId".into(), json!(app.id));
    }
    if era.has_task_addresses() {
        json.insert("slaveId".into(), json!(AGENT));
        if !task.addresses.is_empty() {
            json.insert("ipAddresses".into(), addresses(task));
        }
    }
    if era.has_task_states() {
        json.insert("state".into(), json!(task.state.word()));
    }
    if era >= Era::V1_10 {
        json.insert("role".into(), json!("*"));
    }
    let results = health_results(era, app, task);
    if !results.is_empty() || !era.has_networks() {
        json.insert("healthCheckResults".into(), results.into());
    }
    if place == Place::InTasks {
        let ports = dialled_ports(era, app);
        let numbers: Vec<_> = ports.iter().map(|port| port.service_port).collect();
        json.insert("servicePorts".into(), json!(numbers));
    }
    if era.has_networks() && started_at.is_none() {
        json.remove("startedAt");
    }
    json.extend(task.extra.clone());
    json.into()
}

/// The only agent.
pub(super) const AGENT: &str = "20260101-000000-16777343-5050-1-S0";

/// The addresses of a task, each with its family.
pub(super) fn addresses(task: &Task) -> Value {
    task.addresses
        .iter()
        .map(|address| {
            let protocol = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            json!({"ipAddress": address.to_string(), "protocol": protocol})
        })
        .collect()
}

fn health_results(era: Era, app: &App, task: &Task) -> Vec<Value> {
    let (alive, failures) = match task.health {
        Health::Unchecked => return Vec::new(),
        Health::Alive => (true, 0),
        Health::Failing(failures) => (false, failures),
    };
    let (key, id) = if era.has_instances() {
        ("instanceId", task.instance_id())
    } else {
        ("taskId", task.id.clone())
    };
    app.checks
        .iter()
        .map(|_| json!({"alive": alive, "consecutiveFailures": failures, key: id}))
        .collect()
}

/// `/v2/tasks` as text: a line per app and service port, tabs between and after all columns, and
/// only running tasks.
pub(super) fn text(era: Era, apps: &[App]) -> String {
    let mut text = String::new();
    for app in apps {
        let own_addresses = matches!(app.networking, Networking::Container(_));
        if own_addresses && !era.has_networks() {
            continue;
        }
        let name = app.safe_path();
        if app.ports.is_empty() {
            // The hosts stand where a reader of columns expects the service port.
            let after_host = if era.has_networks() { '\t' } else { ' ' };
            let hosts = cells(era, app, |task| format!("{}{after_host}", host(task)));
            writeln!(text, "{name}\t \t{hosts}").expect("a String takes all text");
            continue;
        }
        for (index, port) in app.ports.iter().enumerate() {
            let servers = cells(era, app, |task| {
                // Mappings without a port of the agent shift the others or show as 0: up to 1.8
                // this form knows nothing better.
                let port = task.ports.get(index).unwrap_or(&0);
                format!("{}:{port}\t", host(task))
            });
            let service_port = port.service_port;
            writeln!(text, "{name}\t{service_port}\t{servers}").expect("a String takes all text");
        }
    }
    text
}

/// From 1.5 sorted; before, in an order that Scala's sets make up, here that of the tasks.
fn cells(era: Era, app: &App, write: impl Fn(&Task) -> String) -> String {
    let running = |task: &&Task| task.state == TaskState::Running;
    let mut cells: Vec<String> = app.tasks.iter().filter(running).map(write).collect();
    if era.has_networks() {
        cells.sort();
    }
    cells.concat()
}

fn host(task: &Task) -> &str {
    task.host.as_deref().unwrap_or_default()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
