//! A cluster whose tasks come and go, and the clients that send requests meanwhile.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use haproxy_marathon_bridge::demo::backend::{Backend, HEALTH_PATH, Instance};
use haproxy_marathon_bridge::demo::client::{Client, Requests};
use haproxy_marathon_bridge::demo::marathon::{Task, TaskState};
use haproxy_marathon_bridge::haproxy::Proc;
use haproxy_marathon_bridge::haproxy::socket::show_info;
use serde_json::json;

use super::super::LONG;
use super::super::cluster::{Scene, TOLD, Watcher, without_retries};
use super::guests::{Systemd, Tunnels, Veil};
use super::row::Row;
use super::{Clients, Length, Method, Variant};
use crate::host::{block_on, wait_until};

/// Instances of an app.
const FEWEST: usize = 3;

/// Between two requests of an idle client, whose next one is answered by the process of before a reload.
const IDLE: Duration = Duration::from_millis(300);

/// A task and what answers for it.
struct Member {
    id: String,
    backend: Backend,
}

/// Clients that stay with their server as long as there is one.
struct Bound {
    client: Client,
    workers: u64,
    /// Servers that went.
    gone: u64,
}

pub(super) struct Course {
    variant: Variant,
    watcher: Watcher,
    client: Client,
    workers: usize,
    bound: Option<Bound>,
    tunnels: Option<Tunnels>,
    systemd: Option<Systemd>,
    _veil: Option<Veil>,
    members: VecDeque<Member>,
    came: usize,
    pid: u32,
    reloads: usize,
    took: Vec<Duration>,
    scene: Scene,
}

impl Course {
    pub(super) fn of(variant: Variant, length: Length) -> Self {
        let mut scene = scene(variant);
        let is = |clients: Clients| variant.clients == clients;
        // A process of before knows servers that have ended since, and tries another one, as it is
        // shipped.
        if !is(Clients::Idle) {
            without_retries(&scene.host.path("templates/fragments/head.cfg.tera"));
        }
        let tunnels = is(Clients::Tunnels).then(|| Tunnels::deploy(&scene));
        let veil = is(Clients::Tls).then(|| Veil::over(&scene));
        let mut flags = vec!["--resync", "1h", "--reloads-apart", "0s"];
        if let Some(veil) = &veil {
            flags.extend(["--ssl-certs", veil.certificate()]);
        }
        if !variant.is_told {
            flags.extend(["--runtime-api", "off"]);
        }
        if variant.has_slots {
            flags.extend(["--server-slots", "5", "--slots-everywhere"]);
        }
        let (mut systemd, master) = (None, scene.host.path("run/master.sock"));
        let master = master.display().to_string();
        match variant.method {
            Method::Sf => (),
            Method::Master => {
                scene.start_master(&["-S", &master]);
                flags.extend(["--reload", "master", "--master-socket", &master]);
            }
            Method::Signal => {
                scene.start_master(&[]);
                flags.extend(["--reload", "master"]);
            }
            Method::Systemd => {
                scene.start_master(&[]);
                systemd = Some(Systemd::stand_in(&scene.host));
                flags.extend(["--reload", "systemd"]);
            }
        }
        let path = systemd.as_ref().map(Systemd::search_path);
        let watcher = Watcher::start_with(&scene, &flags, path);
        systemd.iter_mut().for_each(Systemd::begin);
        let socket = scene.host.path("run/admin.sock");
        let pid = block_on(show_info(&socket, LONG)).unwrap().pid;
        let target = ([127, 0, 0, 1], scene.http).into();
        let target = veil.as_ref().map_or(target, Veil::address);
        let requests = Requests::http(target).host("web.test").timeout(LONG);
        let many = requests.clone().workers(length.workers).pause(length.pause);
        let kept = many.clone().keep_alive();
        let client = match variant.clients {
            Clients::Close => many,
            Clients::Kept | Clients::Tls | Clients::Tunnels => kept.clone(),
            Clients::Idle => kept.clone().workers(16).pause(IDLE),
            // They find whoever comes, where the others stay.
            Clients::Sticky => requests.keep_alive().pause(Duration::from_millis(2)),
        };
        let client = client.start().unwrap();
        let bound = is(Clients::Sticky).then(|| Bound {
            client: kept.keep_cookies().start().unwrap(),
            workers: length.workers.try_into().unwrap(),
            gone: 0,
        });
        let tunnels = tunnels.map(|tunnels| tunnels.opened(scene.http));
        let first = scene.backends.remove(0);
        let id = scene.marathon.app("/web").unwrap().tasks()[0]
            .id()
            .to_owned();
        Self {
            variant,
            watcher,
            client,
            workers: length.workers,
            bound,
            tunnels,
            systemd,
            _veil: veil,
            members: VecDeque::from([Member { id, backend: first }]),
            came: 1,
            pid,
            reloads: 0,
            took: Vec::new(),
            scene,
        }
    }

    pub(super) fn run(mut self, length: Length) -> Row {
        let began = Instant::now();
        while !length.is_over(self.took.len(), began) {
            if self.members.len() <= FEWEST {
                self.comes();
            } else {
                self.goes();
            }
            if self.variant.is_told && self.took.len().is_multiple_of(length.reload_every) {
                self.reload();
            }
            if let Some(tunnels) = &mut self.tunnels {
                tunnels.are_open();
                if self.took.len() == length.changes / 2 {
                    // What was begun there goes on.
                    tunnels.lose_a_server(&self.scene.marathon);
                    self.watcher.says(TOLD);
                    tunnels.are_open();
                }
            }
        }
        let elapsed = began.elapsed();
        // By `leastconn` nobody else is sent to those whom they keep busy.
        let stayed = self.bound.map(|bound| {
            let stayed = block_on(bound.client.stop());
            assert!(0 < stayed.moved, "nobody was bound: {stayed:?}");
            assert!(stayed.moved <= bound.workers * bound.gone, "{stayed:?}");
            stayed
        });
        let live: Vec<&str> = self.members.iter().map(|m| m.backend.name()).collect();
        block_on(self.client.answered_by_each(&live, LONG)).unwrap();
        let mut report = block_on(self.client.stop());
        if let Some(stayed) = stayed {
            report.absorb(&stayed);
        }
        if let Some(systemd) = self.systemd {
            assert_eq!(systemd.reloads(), self.reloads);
        }
        self.took.sort_unstable();
        Row {
            variant: self.variant.name,
            elapsed,
            reloads: self.reloads,
            took: self.took,
            report,
        }
    }

    fn comes(&mut self) {
        let name = format!("t{}", self.came);
        self.came += 1;
        let mut backend = Instance::http(&name).warm_up().unwrap();
        if !self.variant.is_checked {
            backend.serve().unwrap();
        }
        let task = Task::local(backend.port());
        let began = Instant::now();
        let id = self
            .scene
            .marathon
            .scale_up("/web", [task])
            .unwrap()
            .remove(0);
        self.is_told(began, (backend.port(), true));
        if self.variant.is_checked {
            // Whoever is sent there is lost.
            block_on(self.client.answered_more(20, LONG)).unwrap();
            backend.serve().unwrap();
        }
        block_on(self.client.answered_by_each(&[&name], LONG)).unwrap();
        self.members.push_back(Member { id, backend });
    }

    fn goes(&mut self) {
        let Member { id, mut backend } = self.members.pop_front().unwrap();
        let began = Instant::now();
        self.scene.marathon.begin_kill(&id).unwrap();
        self.is_told(began, (backend.port(), false));
        // It ends as soon as nothing is under way there.
        block_on(backend.drain(Duration::ZERO, LONG)).unwrap();
        backend.stop();
        let marathon = &self.scene.marathon;
        marathon.end_task(&id, TaskState::Killed).unwrap();
        if let Some(bound) = &mut self.bound {
            bound.gone += 1;
        }
    }

    /// HAProxy has the server at a port, or sends nothing there any more.
    fn is_told(&mut self, began: Instant, (port, comes): (u16, bool)) {
        if !self.variant.is_told {
            self.is_reloaded();
            self.took.push(began.elapsed());
            return;
        }
        loop {
            // One of before, whose connections have ended, may go with it.
            let said = self.watcher.says("changed at runtime");
            let took = began.elapsed();
            assert!(
                !said.iter().any(|line| line.contains("reload")),
                "{said:#?}"
            );
            self.is_served_by_the_same();
            if self.scene.serves_at(port) == comes {
                self.took.push(took);
                return;
            }
        }
    }

    /// For a moment after a reload the old process may answer.
    fn is_served_by_the_same(&self) {
        let socket = self.scene.host.path("run/admin.sock");
        wait_until("the same process", || {
            block_on(show_info(&socket, LONG)).is_ok_and(|info| info.pid == self.pid)
        });
    }

    fn reload(&mut self) {
        let before = self.bound.as_ref().map(Bound::moved);
        self.scene.change_structure();
        self.is_reloaded();
        // Whoever reads the file anew knows the same cookies.
        assert_eq!(self.bound.as_ref().map(Bound::moved), before);
    }

    fn is_reloaded(&mut self) {
        self.reloads += 1;
        let said = self.watcher.says("took over");
        let (_, pid) = said.last().unwrap().rsplit_once("pid ").unwrap();
        let before = std::mem::replace(&mut self.pid, pid.trim_end_matches(')').parse().unwrap());
        assert_ne!(self.pid, before);
        self.is_served_by_the_same();
        // Both hold the socket until the one of before has heard that it is to end: it would send
        // requests to whom it knows.
        wait_until("the last connection that the one of before takes", || {
            !Proc::default().listens(&[before], self.scene.http)
        });
        if self.variant.clients == Clients::Kept {
            // The next request of a connection that it keeps is its last.
            let all = 5 * u64::try_from(self.workers).unwrap();
            block_on(self.client.answered_more(all, LONG)).unwrap();
        }
    }
}

impl Bound {
    /// How often they had to, once each of them has asked again.
    fn moved(&self) -> u64 {
        block_on(self.client.answered_more(5 * self.workers, LONG)).unwrap();
        self.client.report().moved
    }
}

fn scene(variant: Variant) -> Scene {
    Scene::of(|mut app| {
        // Of a sticky service HAProxy checks the servers in any case.
        let is_sticky = variant.clients == Clients::Sticky;
        if is_sticky {
            app = app.label("HAPROXY_0_STICKY", "true");
        }
        if !variant.is_checked && !is_sticky {
            return app;
        }
        let check = json!({
            "path": HEALTH_PATH, "protocol": "HTTP", "portIndex": 0, "intervalSeconds": 1,
            "gracePeriodSeconds": 5, "timeoutSeconds": 1, "maxConsecutiveFailures": 3,
        });
        app.http_check(HEALTH_PATH)
            .field("healthChecks", json!([check]))
    })
}
