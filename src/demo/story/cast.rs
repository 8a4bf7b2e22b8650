//! Who plays: apps of the built-in Marathon with a real backend for each task, and the clients that
//! send requests all along.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::talk::list;
use crate::demo::backend::{Backend, Instance};
use crate::demo::client::{Client, Report, Requests};
use crate::demo::marathon::{App, Marathon, Task};

/// An app with its instances. Dropping it ends them.
pub(super) struct DemoApp {
    id: &'static str,
    service_port: u16,
    kind: Kind,
    backends: Vec<Backend>,
    /// Also those that have ended: no name comes twice.
    started: usize,
}

/// What its instances speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Http,
    Tcp,
}

impl DemoApp {
    /// Instances that serve, of which Marathon does not know yet.
    pub(super) fn start(id: &'static str, kind: Kind, count: usize) -> Result<Self> {
        let mut app = Self {
            id,
            service_port: 0,
            kind,
            backends: Vec::new(),
            started: 0,
        };
        app.start_more(count)?;
        Ok(app)
    }

    fn start_more(&mut self, count: usize) -> Result<()> {
        let short = self.id.rsplit('/').next().unwrap_or_default();
        for _ in 0..count {
            self.started += 1;
            let name = format!("{short}-{}", self.started);
            let instance = match self.kind {
                Kind::Http => Instance::http(&name),
                Kind::Tcp => Instance::tcp(&name),
            };
            let backend = instance.start().context("a backend cannot be started")?;
            self.backends.push(backend);
        }
        Ok(())
    }

    /// Has Marathon run the app, with the present instances as its tasks, behind `service_port`. An
    /// app that ran already begins anew.
    pub(super) fn deploy(&mut self, marathon: &Marathon, service_port: u16) {
        // There is nothing to remove the first time.
        let _ = marathon.remove_app(self.id);
        self.service_port = service_port;
        let mode = match self.kind {
            Kind::Http => "http",
            Kind::Tcp => "tcp",
        };
        let mut app = App::new(self.id)
            .service_port(service_port)
            .label("HAPROXY_0_BIND_ADDR", "127.0.0.1")
            .label("HAPROXY_0_MODE", mode);
        for backend in &self.backends {
            app = app.task(Task::local(backend.port()));
        }
        marathon.deploy(app);
    }

    /// Has Marathon run `count` more tasks. Returns the names of their instances.
    pub(super) fn scale_up(&mut self, marathon: &Marathon, count: usize) -> Result<Vec<String>> {
        let before = self.backends.len();
        self.start_more(count)?;
        let new = &self.backends[before..];
        let tasks = new.iter().map(|backend| Task::local(backend.port()));
        marathon.scale_up(self.id, tasks)?;
        Ok(new.iter().map(|b| b.name().to_owned()).collect())
    }

    /// The task behind the instance at `position`: Marathon lists tasks in the order of their
    /// start.
    pub(super) fn task(&self, marathon: &Marathon, position: usize) -> Result<String> {
        let app = marathon.app(self.id).context("the app has gone")?;
        let task = app.tasks().get(position).context("the task has gone")?;
        Ok(task.id().to_owned())
    }

    /// The instance at `position`.
    pub(super) fn backend(&mut self, position: usize) -> &mut Backend {
        &mut self.backends[position]
    }

    /// Ends the instance at `position`.
    pub(super) fn stop(&mut self, position: usize) {
        self.backends.remove(position).stop();
    }

    /// Its instances, first started first.
    pub(super) fn names(&self) -> Vec<String> {
        self.backends.iter().map(|b| b.name().to_owned()).collect()
    }

    /// Where those of these names answer: "web-1 on 31001 and web-2 on 31002".
    pub(super) fn addresses(&self, names: &[String]) -> String {
        let told: Vec<String> = self
            .backends
            .iter()
            .filter(|backend| names.iter().any(|name| name == backend.name()))
            .map(|backend| format!("{} on {}", backend.name(), backend.port()))
            .collect();
        list(&told)
    }

    pub(super) fn id(&self) -> &'static str {
        self.id
    }

    pub(super) fn speaks_http(&self) -> bool {
        self.kind == Kind::Http
    }

    /// Where clients dial it.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.service_port))
    }
}

/// A client under way.
pub(super) struct Traffic {
    pub(super) label: &'static str,
    pub(super) client: Client,
}

impl Traffic {
    /// Two HTTP requests at a time, each on a connection of its own.
    pub(super) fn http(label: &'static str, target: SocketAddr) -> Result<Self> {
        let requests = Requests::http(target)
            .workers(2)
            .pause(Duration::from_millis(10));
        Self::start(label, requests)
    }

    /// Six HTTP connections that are kept for as long as the other side does.
    pub(super) fn kept(label: &'static str, target: SocketAddr) -> Result<Self> {
        let requests = Requests::http(target)
            .keep_alive()
            .workers(6)
            .pause(Duration::from_millis(40));
        Self::start(label, requests)
    }

    /// Lines over TCP, each on a connection of its own.
    pub(super) fn tcp(label: &'static str, target: SocketAddr) -> Result<Self> {
        let requests = Requests::tcp(target)
            .workers(2)
            .pause(Duration::from_millis(20));
        Self::start(label, requests)
    }

    fn start(label: &'static str, requests: Requests) -> Result<Self> {
        let client = requests.start().context("a client cannot be started")?;
        Ok(Self { label, client })
    }
}

/// What became of the requests of one client in the end.
pub(super) struct Tally {
    pub(super) label: &'static str,
    pub(super) report: Report,
}
