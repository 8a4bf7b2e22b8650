//! A cluster and the host that serves it, for `refresh` and `watch`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use haproxy_marathon_bridge::demo::backend::{Backend, Instance};
use haproxy_marathon_bridge::demo::client::{Client, Requests};
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Era, Marathon, Task};
use haproxy_marathon_bridge::haproxy::servers::{ServerState, states};
use haproxy_marathon_bridge::haproxy::socket::ask;
use nix::sys::signal::Signal;

use super::{LONG, instance};
use crate::host::{Host, SOON, block_on, wait_until};
use crate::running::start_by_hand;
use crate::support::{Done, haproxy};
use crate::watcher;

pub(super) const TOLD: &str = "1 server changed at runtime";

/// An app on a service port of its own.
pub(super) fn on_loopback(id: &str) -> App {
    let app = App::new(id).service_port(free_ports(1).unwrap()[0]);
    app.label("HAPROXY_0_BIND_ADDR", "127.0.0.1")
}

/// A cluster, and the host that serves it at `web.test`.
pub(super) struct Scene {
    pub(super) host: Host,
    pub(super) marathon: Marathon,
    pub(super) http: u16,
    pub(super) backends: Vec<Backend>,
    structures: usize,
}

impl Scene {
    /// Of one task.
    pub(super) fn new(labels: &[(&str, &str)]) -> Self {
        Self::of(|app| {
            let labelled = |app: App, (name, value): &(&str, &str)| app.label(name, value);
            labels.iter().fold(app, labelled)
        })
    }

    /// The same, with more said of the app.
    pub(super) fn of(more: impl FnOnce(App) -> App) -> Self {
        let free = free_ports(2).unwrap();
        let app = App::new("/web")
            .service_port(free[1])
            .label("HAPROXY_0_VHOST", "web.test")
            .label("HAPROXY_0_BIND_ADDR", "127.0.0.1");
        let app = more(app);
        let first = instance("t0");
        let marathon = Marathon::start(Era::V1_8).unwrap();
        marathon.deploy(app.task(Task::local(first.port())));
        Self {
            host: Host::native(free[0]),
            marathon,
            http: free[0],
            backends: vec![first],
            structures: 0,
        }
    }

    /// Whose servers HAProxy cannot be told to add: `default-server` says more of them than their
    /// lines do.
    pub(super) fn untold() -> Self {
        let scene = Self::new(&[]);
        let head = scene.host.path("templates/fragments/head.cfg.tera");
        let text = fs::read_to_string(&head).unwrap();
        let more = text.replace("  retries 3\n", "  retries 3\n  default-server inter 3s\n");
        assert_ne!(text, more);
        fs::write(head, more).unwrap();
        scene
    }

    /// Somebody to answer for one more task.
    pub(super) fn come(&self) -> (Backend, Task) {
        let name = format!("t{}", self.backends.len());
        let backend = Instance::http(&name).start().unwrap();
        let task = Task::local(backend.port());
        (backend, task)
    }

    /// One more task; its name and id.
    pub(super) fn scale_up(&mut self) -> (String, String) {
        let (backend, task) = self.come();
        let name = backend.name().to_owned();
        self.backends.push(backend);
        let id = self.marathon.scale_up("/web", [task]).unwrap().remove(0);
        (name, id)
    }

    pub(super) fn refresh(&self, more: &[&str]) -> Done {
        self.host.refresh(&[self.marathon.url()], more)
    }

    /// HAProxy with a master, and with these options.
    pub(super) fn start_master(&self, options: &[&str]) {
        self.refresh(&["--reload", "none"]).expect(0);
        let mut start = Command::new(haproxy());
        start.args(["-W", "-D"]).args(options);
        start.arg("-f").arg(self.host.cfg());
        start.arg("-p").arg(self.host.path("run/pid"));
        Done::of(start).expect(0);
    }

    /// Until Marathon sees that a watcher was killed: streams are counted.
    pub(super) fn is_left(&self) {
        wait_until("the end of its stream", || {
            self.marathon.event_streams() == 0
        });
    }

    /// Another process takes over, without our doing.
    pub(super) fn is_reloaded_by_others(&self) {
        let old = self.host.pid();
        start_by_hand(&self.host, &["-sf", &old.to_string()]);
        wait_until("the end of the old process", || {
            !self.host.haproxies().contains(&old)
        });
    }

    /// Changes what HAProxy has to read anew.
    pub(super) fn change_structure(&mut self) {
        self.structures += 1;
        let balance = ["roundrobin", "leastconn"][self.structures % 2];
        let change = |app: App| app.label("HAPROXY_0_BALANCE", balance);
        self.marathon.change_app("/web", change).unwrap();
    }

    pub(super) fn client(&self) -> Client {
        let target = ([127, 0, 0, 1], self.http).into();
        let requests = Requests::http(target).host("web.test").workers(4);
        let requests = requests.keep_alive().timeout(LONG);
        requests.pause(Duration::from_millis(2)).start().unwrap()
    }

    pub(super) fn is_answered_by(&self, names: &[&str]) {
        let client = self.client();
        block_on(client.answered_by_each(names, LONG)).unwrap();
        let report = block_on(client.stop());
        assert_eq!(report.failed(), 0, "{report}");
        let others = report
            .instances
            .keys()
            .filter(|name| !names.contains(&name.as_str()));
        assert_eq!(others.count(), 0, "{report:?}");
    }

    /// Where the app is served by itself.
    pub(super) fn service_port(&self) -> u16 {
        let states = self.states();
        let (_, port) = states[0].backend.rsplit_once('_').unwrap();
        port.parse().unwrap()
    }

    pub(super) fn servers(&self) -> usize {
        self.states().len()
    }

    /// Whether HAProxy sends requests to this port.
    pub(super) fn serves_at(&self, port: u16) -> bool {
        let states = self.states();
        let mut states = states.iter().filter(|state| state.port == port);
        states.any(|state| !state.admin.is_in_maintenance())
    }

    /// The same of the app `/other`.
    pub(super) fn serves_other_at(&self, port: u16) -> bool {
        let states = self.states_of("other_");
        states.iter().any(|state| state.port == port)
    }

    /// Ports of the servers of such backends, by their names.
    pub(super) fn ports_of(&self, app: &str) -> BTreeMap<String, Vec<u16>> {
        let mut ports: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        for state in self.states_of(app) {
            ports.entry(state.backend).or_default().push(state.port);
        }
        ports
    }

    fn states(&self) -> Vec<ServerState> {
        self.states_of("web_")
    }

    fn states_of(&self, app: &str) -> Vec<ServerState> {
        let socket = self.host.path("run/admin.sock");
        let reply = block_on(ask(&socket, "show servers state", LONG)).unwrap();
        let mut states = states(&reply).unwrap();
        states.retain(|state| state.backend.starts_with(app));
        states
    }
}

/// A watcher of a scene.
pub(super) struct Watcher(watcher::Watcher);

impl Watcher {
    /// Once it has taken its first turn and hears events.
    #[track_caller]
    pub(super) fn start(scene: &Scene, more: &[&str]) -> Self {
        Self::start_with(scene, more, None)
    }

    /// The same, where programs are looked for in this folder first.
    #[track_caller]
    pub(super) fn start_with(scene: &Scene, more: &[&str], programs: Option<&Path>) -> Self {
        Self::start_where(
            scene,
            more,
            programs,
            "haproxy.cfg` is as it should be|was yet to be brought|installed `|the reload failed",
        )
    }

    /// The same, where one of these words ends its first turn.
    #[track_caller]
    pub(super) fn start_where(
        scene: &Scene,
        more: &[&str],
        programs: Option<&Path>,
        first: &str,
    ) -> Self {
        let streams = scene.marathon.event_streams();
        let flags = [&["--debounce", "5ms:50ms", "--log-level", "debug"], more].concat();
        let mut command = scene.host.watch_command(&[scene.marathon.url()], &flags);
        if let Some(programs) = programs {
            let path = std::env::var("PATH").unwrap();
            command.env("PATH", format!("{}:{path}", programs.display()));
        }
        let watcher = Self(watcher::Watcher::start(command));
        watcher.says(first);
        block_on(scene.marathon.wait_event_streams(streams + 1, SOON)).unwrap();
        watcher
    }

    /// What it says up to a line with one of these `parts`, which `|` divides.
    #[track_caller]
    pub(super) fn says(&self, parts: &str) -> Vec<String> {
        let parts: Vec<&str> = parts.split('|').collect();
        self.0.says_one_of(&parts, SOON)
    }

    /// Processor time that it has used, without those that it ran.
    pub(super) fn used(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // proc(5): utime is field 14 and stime 15, counted from the pid; the first here is 3.
        let ticks = |at: usize| -> u32 { fields[at - 3].parse().unwrap() };
        Duration::from_millis(10) * (ticks(14) + ticks(15))
    }

    pub(super) fn send(&self, signal: Signal) {
        self.0.send(signal);
    }

    /// As the machine's memory killer would.
    pub(super) fn kill(&mut self) {
        self.send(Signal::SIGKILL);
        self.0.ended();
    }

    /// Asks it to end, and waits for that.
    pub(super) fn end(mut self) {
        self.send(Signal::SIGTERM);
        let (status, words) = self.0.ended();
        assert!(status.success(), "{words:#?}");
    }
}

/// `retries 0`, so that HAProxy does not make up for us.
pub(super) fn without_retries(template: &Path) {
    let text = fs::read_to_string(template).unwrap();
    assert!(text.contains("  retries 3\n") && text.contains("  retry-on "));
    let kept = text.lines().filter(|line| !line.contains("retry-on"));
    let text: Vec<&str> = kept.collect();
    let text = text.join("\n").replace("  retries 3", "  retries 0");
    fs::write(template, text).unwrap();
}
