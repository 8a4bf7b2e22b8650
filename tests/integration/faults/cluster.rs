//! What the cluster asks for in a scene, and who is then reached.

use std::net::SocketAddr;

use haproxy_marathon_bridge::demo::backend::{Backend, Instance};
use haproxy_marathon_bridge::demo::free_ports;
use serde_json::{Value, json};

use crate::host::{Host, ask_once};
use crate::serve::request::Ask;

/// Names of the two states, and of the instance that serves in each.
pub(super) const NAMES: [&str; 2] = ["zero", "one"];

/// As many as it takes until old copies are removed.
const EARLIER: [&str; 3] = ["two", "three", "four"];

/// Two states of one cluster, each served by an instance of its own, on a host of its own.
pub(super) struct Cluster {
    pub(super) host: Host,
    /// Options, by their variables.
    pub(super) options: &'static [(&'static str, &'static str)],
    /// What is installed beside `haproxy.cfg`.
    pub(super) maps: &'static [&'static str],
    /// What a good run leaves in the state folder, beside the copies of good files.
    pub(super) remembered: &'static [&'static str],
    /// What Marathon says in each state, and said before.
    pub(super) answers: [String; 2],
    pub(super) earlier: [String; 3],
    /// An answer that lacks most of either state, which is held back.
    pub(super) lacking: Option<String>,
    instances: [Backend; 2],
    target: SocketAddr,
    /// By which a shared frontend knows the app.
    vhost: Option<&'static str>,
}

impl Cluster {
    /// One app, with the templates of the bridge: one file, which tells what it was made of.
    pub(super) fn bridge() -> Self {
        let port = free_ports(1).unwrap()[0];
        let instances = NAMES.map(|name| Instance::tcp(name).start().unwrap());
        let answer = |task: u16| json!({"apps": [app("web", port, "127.0.0.1", task, &json!({}))]});
        Self {
            host: Host::new(),
            options: &[],
            maps: &[],
            remembered: &["state.json", "lock", "ran", "runtime.cfg", "unsaved"],
            answers: [0, 1].map(|state: usize| answer(instances[state].port()).to_string()),
            earlier: [31_000, 31_001, 31_002].map(|task| answer(task).to_string()),
            lacking: None,
            instances,
            target: ([127, 0, 0, 1], port).into(),
            vhost: None,
        }
    }

    /// Apps with labels and maps, which are no longer known from the files: the answer is kept, too.
    pub(super) fn labelled() -> Self {
        let http = free_ports(1).unwrap()[0];
        let ports = free_ports(EARLIER.len() + NAMES.len() + 6).unwrap();
        let instances = NAMES.map(|name| Instance::http(name).start().unwrap());
        let answer = |state: usize| {
            let task = instances.get(state).map_or(31_000, Backend::port);
            labelled_apps(state, &ports, task).to_string()
        };
        Self {
            host: Host::labelled(http),
            // Maps of a former set of files are soon removed, too.
            options: &[("HMB_GROUP", "external"), ("HMB_ARCHIVE_VERSIONS", "2")],
            maps: &["app2backend.map", "domain2backend.map"],
            remembered: &["state.json", "lock", "ran", "snapshot.json", "unsaved"],
            answers: [answer(0), answer(1)],
            earlier: [answer(2), answer(3), answer(4)],
            lacking: Some(json!({"apps": [steady(3, &ports, "a3.test")]}).to_string()),
            instances,
            target: ([127, 0, 0, 1], http).into(),
            vhost: Some("web.test"),
        }
    }

    /// Has the cluster say this.
    pub(super) fn tell(&self, answer: &str) {
        self.host.write("apps.json", answer);
    }

    /// Who serves.
    pub(super) fn ask(&self) -> Option<String> {
        match self.vhost {
            None => ask_once(self.target),
            Some(vhost) => {
                let answer = Ask::http(self.target).try_get(vhost, "/").ok()?;
                Some(answer.by().to_owned())
            }
        }
    }

    /// Who is to serve in this state.
    pub(super) fn expected(&self, state: usize) -> &str {
        self.instances[state].name()
    }

    pub(super) fn target(&self) -> SocketAddr {
        self.target
    }
}

/// From one state to the other, an app goes and another comes, one changes its host, one hands a host
/// over to another, and one moves its task; the others stay as they are.
fn labelled_apps(state: usize, ports: &[u16], task: u16) -> Value {
    let name = NAMES.iter().chain(&EARLIER).nth(state).unwrap();
    let with_one_more = |at: usize| {
        let more = if at == state % 2 { ",passed.test" } else { "" };
        format!("a{at}.test{more}")
    };
    let comes = labels(&format!("{name}.test"));
    json!({"apps": [
        steady(0, ports, &with_one_more(0)),
        steady(1, ports, &with_one_more(1)),
        steady(2, ports, &format!("a2-{name}.test")),
        steady(3, ports, "a3.test"),
        steady(4, ports, "a4.test"),
        app("web", ports[5], "127.0.0.1", task, &labels("web.test")),
        app(name, ports[6 + state], "127.0.1.1", 31_000, &comes),
    ]})
}

fn steady(number: usize, ports: &[u16], hosts: &str) -> Value {
    let agent = format!("127.0.2.{number}");
    let name = format!("a{number}");
    app(&name, ports[number], &agent, 31_000, &labels(hosts))
}

fn labels(hosts: &str) -> Value {
    json!({
        "HAPROXY_GROUP": "external",
        "HAPROXY_0_VHOST": hosts,
        "HAPROXY_0_BIND_ADDR": "127.0.0.1",
    })
}

/// With one task.
fn app(name: &str, service_port: u16, agent: &str, task: u16, labels: &Value) -> Value {
    json!({
        "id": format!("/{name}"),
        "instances": 1,
        "ports": [service_port],
        "labels": labels,
        "tasks": [{
            "id": format!("{name}.1"),
            "host": agent,
            "ports": [task],
            "state": "TASK_RUNNING",
        }],
    })
}
