//! A real HAProxy that is told of its servers while clients send requests, and is never reloaded.

mod audits;
mod backends;
mod certificates;
mod churn;
mod cluster;
mod drains;
mod ended;
mod followed;
mod health;
mod leftovers;
mod light;
mod maps;
mod old;
mod page;
mod refuses;
mod retried;
mod slow_checks;
mod slots;
mod soak;
mod spares;
mod sticky;
mod tells;
mod tunnel;
mod turns;
mod waits;

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use haproxy_marathon_bridge::apply::runtime::{Fallback, Limits, Serving, Text, Told, tell};
use haproxy_marathon_bridge::demo::backend::{Backend, Instance};
use haproxy_marathon_bridge::demo::client::{Client, Requests};
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::haproxy::servers::{ServerState, states};
use haproxy_marathon_bridge::haproxy::socket::{ask, show_info};
use haproxy_marathon_bridge::haproxy::structure_hash;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::{Done, haproxy};

/// Long enough for a host with much else to do.
const LONG: Duration = Duration::from_secs(20);

/// A HAProxy with one section `b`, and what it is to have.
struct Scene {
    folder: TempDir,
    port: u16,
    mode: &'static str,
    /// Whether a request that fails is tried again.
    retries: u32,
    before: Option<String>,
    pid: u32,
    limits: Limits,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.path("pid")).unwrap_or_default();
        for pid in pid.lines().filter_map(|line| line.parse().ok()) {
            // It may have ended.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Scene {
    /// HAProxy with these servers in a section that speaks HTTP.
    fn start(servers: &[String]) -> Self {
        Self::speaking("http", servers)
    }

    fn speaking(mode: &'static str, servers: &[String]) -> Self {
        let mut scene = Self {
            folder: TempDir::new().unwrap(),
            port: free_ports(1).unwrap()[0],
            mode,
            retries: 0,
            before: None,
            pid: 0,
            limits: Limits {
                command: LONG,
                whole: 3 * LONG,
                ..Limits::default()
            },
        };
        let text = scene.text(servers);
        scene.install(&text);
        let mut start = Command::new(haproxy());
        start.arg("-D").arg("-f").arg(scene.path("haproxy.cfg"));
        start.arg("-p").arg(scene.path("pid"));
        Done::of(start).expect(0);
        let pid = fs::read_to_string(scene.path("pid")).unwrap();
        scene.pid = pid.trim().parse().unwrap();
        scene.before = Some(text);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn socket(&self) -> PathBuf {
        self.path("a.sock")
    }

    fn front(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The file with these lines.
    fn text(&self, servers: &[String]) -> String {
        let Self {
            port,
            mode,
            retries,
            ..
        } = self;
        let socket = self.socket();
        let body = format!(
            "  stats socket {} mode 600 level admin expose-fd listeners\n\
             \x20 stats timeout 2m\n\
             defaults\n\
             \x20 mode {mode}\n\
             \x20 retries {retries}\n\
             \x20 timeout connect 3s\n\
             \x20 timeout client 60s\n\
             \x20 timeout server 60s\n\
             frontend f\n\
             \x20 bind 127.0.0.1:{port}\n\
             \x20 default_backend b\n\
             backend b\n\
             \x20 balance roundrobin\n{}\n",
            socket.display(),
            servers.join("\n"),
        );
        let hash = structure_hash(&format!("global\n{body}"));
        format!("global\n  description {hash}\n{body}")
    }

    fn install(&self, text: &str) {
        fs::write(self.path("haproxy.cfg"), text).unwrap();
    }

    /// Installs the file with these lines, and tells HAProxy of them.
    async fn bring(&mut self, servers: &[String]) -> Result<Told, Fallback> {
        let text = self.text(servers);
        self.install(&text);
        let sections = BTreeSet::from(["b".to_owned()]);
        let told = self.told(&text, Some(&sections)).await;
        if told.is_ok() {
            self.before = Some(text);
        }
        told
    }

    /// Compares all, as after a while of which nothing is known.
    async fn audit(&self) -> Result<Told, Fallback> {
        let text = self.before.clone().unwrap();
        self.told(&text, None).await
    }

    async fn told(
        &self,
        text: &str,
        sections: Option<&BTreeSet<String>>,
    ) -> Result<Told, Fallback> {
        let socket = self.socket();
        let serving = Serving {
            socket: &socket,
            pid: self.pid,
            master: None,
            limits: self.limits,
        };
        let text = Text {
            cfg: text,
            structure: None,
            before: self.before.as_deref(),
            sections,
            maps: &[],
            certificates: &[],
        };
        tell(serving, text).await
    }

    /// Says something to HAProxy behind our back.
    async fn say(&self, command: &str) -> String {
        ask(&self.socket(), command, LONG).await.unwrap()
    }

    async fn states(&self) -> Vec<ServerState> {
        states(&self.say("show servers state b").await).unwrap()
    }

    async fn state(&self, name: &str) -> ServerState {
        let states = self.states().await;
        let found = states.iter().find(|state| state.name == name);
        found
            .unwrap_or_else(|| panic!("{name}: {states:?}"))
            .clone()
    }

    /// Asserts that nobody reloaded or restarted it.
    async fn is_the_same_process(&self) {
        let info = show_info(&self.socket(), LONG).await.unwrap();
        assert_eq!(info.pid, self.pid);
    }

    /// One request after the other, from several at once.
    fn client(&self) -> Client {
        let requests = match self.mode {
            "http" => Requests::http(self.front()).keep_alive(),
            _ => Requests::tcp(self.front()),
        };
        let pause = Duration::from_millis(1);
        requests
            .workers(4)
            .pause(pause)
            .timeout(LONG)
            .start()
            .unwrap()
    }
}

fn instance(name: &str) -> Backend {
    Instance::http(name).start().unwrap()
}

/// As our own sets write it.
fn line(backend: &Backend, id: usize) -> String {
    let (name, port) = (backend.name(), backend.port());
    format!("  server {name} 127.0.0.1:{port} id {id}")
}

/// The same, checked often.
fn checked(backend: &Backend, id: usize) -> String {
    format!("{} check inter 20ms rise 2 fall 3", line(backend, id))
}

fn names(
    targets: impl IntoIterator<
        Item = impl std::borrow::Borrow<haproxy_marathon_bridge::apply::runtime::Target>,
    >,
) -> Vec<String> {
    let names = targets.into_iter();
    names
        .map(|target| target.borrow().name().to_owned())
        .collect()
}
