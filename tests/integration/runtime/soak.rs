//! Tasks that come and go, and reloads, while clients send requests: none may be lost.
//!
//! Instances go the way of real ones: they are not ready when they come, and end only once nothing is
//! sent to them any more. HAProxy tries nothing again. A short form runs with all tests, for as long as
//! `HMB_SOAK_SECONDS` says with `make soak`.

use std::collections::VecDeque;
use std::process::Command;
use std::time::{Duration, Instant};

use haproxy_marathon_bridge::demo::backend::{Backend, HEALTH_PATH, Instance};
use haproxy_marathon_bridge::demo::client::{Client, Report, Requests};
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task, TaskState};
use haproxy_marathon_bridge::haproxy::Version;
use haproxy_marathon_bridge::haproxy::socket::show_info;
use serde_json::json;

use super::LONG;
use super::cluster::{Scene, TOLD, Watcher, without_retries};
use crate::host::{block_on, wait_until};
use crate::support::{Done, haproxy, haproxy_version};

/// A reload follows so many changes of servers.
const RELOAD_EVERY: usize = 20;

/// A run with fewer proves nothing; the slowest hosts reach many times as much.
const FEWEST_REQUESTS_PER_SECOND: f64 = 20.0;

/// Where HAProxy checks the servers, a change takes seconds.
const LONGEST_CHANGE: Duration = Duration::from_secs(10);

/// Instances of an app.
const FEWEST: usize = 3;

/// One way to churn.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
struct Variant {
    name: &'static str,
    keeps_connections: bool,
    /// HAProxy checks the servers, and each comes before it is ready.
    is_checked: bool,
    has_master: bool,
    /// HAProxy is told of changes of servers; else it is reloaded for each.
    is_told: bool,
    /// Of who is in which slot, in place of servers that come and go.
    has_slots: bool,
}

const CLOSE: Variant = Variant {
    name: "close, sf",
    keeps_connections: false,
    is_checked: false,
    has_master: false,
    is_told: true,
    has_slots: false,
};

const VARIANTS: [Variant; 8] = [
    CLOSE,
    Variant {
        name: "keep-alive, sf",
        keeps_connections: true,
        ..CLOSE
    },
    Variant {
        name: "keep-alive, master",
        keeps_connections: true,
        has_master: true,
        ..CLOSE
    },
    Variant {
        name: "keep-alive, sf, checks",
        keeps_connections: true,
        is_checked: true,
        ..CLOSE
    },
    Variant {
        name: "slots, sf",
        has_slots: true,
        ..CLOSE
    },
    Variant {
        name: "slots, sf, checks",
        is_checked: true,
        has_slots: true,
        ..CLOSE
    },
    Variant {
        name: "reloads, sf",
        is_told: false,
        ..CLOSE
    },
    Variant {
        name: "reloads, master",
        has_master: true,
        is_told: false,
        ..CLOSE
    },
];

/// How long it goes on.
#[derive(Clone, Copy)]
struct Length {
    changes: usize,
    reload_every: usize,
    seconds: Duration,
    /// Requests under way at once.
    workers: usize,
    pause: Duration,
}

impl Length {
    fn is_over(&self, changes: usize, began: Instant) -> bool {
        self.changes <= changes && self.seconds <= began.elapsed()
    }
}

#[test]
fn churn_and_reloads_lose_no_request() {
    let seconds = std::env::var("HMB_SOAK_SECONDS").ok();
    let seconds: Option<u32> = seconds.map(|seconds| seconds.parse().unwrap());
    let version = haproxy_version();
    println!("HAProxy {version}\n{}", Row::HEAD);
    for variant in VARIANTS {
        let adds = version >= Version::new(2, 6);
        if variant.is_told && !variant.has_slots && !adds {
            // It has no `add server`.
            continue;
        }
        let length = match seconds {
            None => Length {
                changes: if variant.is_checked { 4 } else { 12 },
                reload_every: 5,
                seconds: Duration::ZERO,
                workers: 4,
                pause: Duration::from_millis(2),
            },
            Some(seconds) => Length {
                changes: RELOAD_EVERY,
                reload_every: RELOAD_EVERY,
                seconds: Duration::from_secs(1) * seconds / 8,
                workers: 8,
                pause: Duration::ZERO,
            },
        };
        let row = Course::of(variant, length).run(length);
        println!("{row}");
        assert_eq!(row.report.failed(), 0, "{:#?}", row.report.incidents);
        assert_eq!(
            row.report.stale, 0,
            "connections were closed that were idle"
        );
        row.is_no_idle_run(length);
    }
}

/// Four servers each, which HAProxy checks.
fn deploy_others(scene: &Scene, apps: usize) {
    for (n, port) in free_ports(apps).unwrap().into_iter().enumerate() {
        let app = App::new(&format!("/other-{n}"))
            .service_port(port)
            .label("HAPROXY_0_VHOST", &format!("other-{n}.test"))
            .label("HAPROXY_0_BIND_ADDR", "127.0.0.1")
            .http_check(HEALTH_PATH);
        let task = |task: usize| {
            let host = format!("127.0.{}.{}", 1 + n / 250, 1 + n % 250);
            Task::new(&host).port(u16::try_from(31_000 + task).unwrap())
        };
        let app = (0..4).fold(app, |app, number| app.task(task(number)));
        scene.marathon.deploy(app);
    }
}

#[test]
fn an_event_among_many_apps_costs_less_than_a_reload() {
    let is_long = std::env::var_os("HMB_SOAK_SECONDS").is_some();
    let (apps, changes) = if is_long { (3_000, 60) } else { (100, 6) };
    let mut scene = Scene::new(&[]);
    deploy_others(&scene, apps);
    let watcher = Watcher::start(&scene, &["--resync", "1h", "--reloads-apart", "0s"]);
    let all = scene.host.installed().matches("\n  server ").count();
    assert_eq!(all, 4 * apps + 1);
    let used = watcher.used();
    let mut took = Vec::new();
    let mut guest = None;
    for _ in 0..changes {
        let began = match guest.take() {
            None => {
                let (backend, task) = scene.come();
                let began = Instant::now();
                guest = Some(scene.marathon.scale_up("/web", [task]).unwrap().remove(0));
                scene.backends.push(backend);
                began
            }
            Some(id) => {
                let began = Instant::now();
                scene.marathon.fail_task(&id).unwrap();
                began
            }
        };
        watcher.says(TOLD);
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let used = watcher.used().saturating_sub(used) / changes;
    let began = Instant::now();
    let least = |app: App| app.label("HAPROXY_0_BALANCE", "leastconn");
    scene.marathon.change_app("/web", least).unwrap();
    watcher.says("took over");
    let reload = began.elapsed();
    let (half, most) = (quantile(&took, 0.5), quantile(&took, 0.95));
    println!(
        "{apps} apps with 4 servers each: event to HAProxy p50 {} / p95 {}, {} of processor time; \
         with a reload {}",
        shown(half),
        shown(most),
        shown(used),
        shown(reload),
    );
    if is_long {
        let second = Duration::from_secs(1);
        // The turn of the reload goes on for a moment.
        wait_until("rest", || {
            let used = watcher.used();
            std::thread::sleep(second);
            watcher.used() == used
        });
        let used = watcher.used();
        std::thread::sleep(60 * second);
        let used = watcher.used().saturating_sub(used);
        println!(
            "and where nothing changes, in 60 s: {} of processor time",
            shown(used)
        );
    }
    assert!(half < reload, "{half:?}, {reload:?}");
}

/// A task and what answers for it.
struct Member {
    id: String,
    backend: Backend,
}

struct Course {
    variant: Variant,
    scene: Scene,
    watcher: Watcher,
    client: Client,
    members: VecDeque<Member>,
    came: usize,
    pid: u32,
    reloads: usize,
    took: Vec<Duration>,
}

impl Course {
    fn of(variant: Variant, length: Length) -> Self {
        let mut scene = Scene::of(|app| {
            if !variant.is_checked {
                return app;
            }
            let check = json!({
                "path": HEALTH_PATH, "protocol": "HTTP", "portIndex": 0, "intervalSeconds": 1,
                "gracePeriodSeconds": 5, "timeoutSeconds": 1, "maxConsecutiveFailures": 3,
            });
            app.http_check(HEALTH_PATH)
                .field("healthChecks", json!([check]))
        });
        without_retries(&scene.host.path("templates/fragments/head.cfg.tera"));
        let mut flags = vec!["--resync", "1h", "--reloads-apart", "0s"];
        let master = scene.host.path("run/master.sock").display().to_string();
        if !variant.is_told {
            flags.extend(["--runtime-api", "off"]);
        }
        if variant.has_slots {
            flags.extend(["--server-slots", "5", "--slots-everywhere"]);
        }
        if variant.has_master {
            scene.refresh(&["--reload", "none"]).expect(0);
            let mut start = Command::new(haproxy());
            start.arg("-W").arg("-D").arg("-S").arg(&master);
            start.arg("-f").arg(scene.host.cfg());
            start.arg("-p").arg(scene.host.path("run/pid"));
            Done::of(start).expect(0);
            flags.extend(["--reload", "master", "--master-socket", &master]);
        }
        let watcher = Watcher::start(&scene, &flags);
        let socket = scene.host.path("run/admin.sock");
        let pid = block_on(show_info(&socket, LONG)).unwrap().pid;
        let requests = Requests::http(([127, 0, 0, 1], scene.http).into()).host("web.test");
        let requests = if variant.keeps_connections {
            requests.keep_alive()
        } else {
            requests
        };
        let requests = requests.workers(length.workers).pause(length.pause);
        let client = requests.timeout(LONG).start().unwrap();
        let first = scene.backends.remove(0);
        let id = scene.marathon.app("/web").unwrap().tasks()[0]
            .id()
            .to_owned();
        Self {
            variant,
            scene,
            watcher,
            client,
            members: VecDeque::from([Member { id, backend: first }]),
            came: 1,
            pid,
            reloads: 0,
            took: Vec::new(),
        }
    }

    fn run(mut self, length: Length) -> Row {
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
        }
        let elapsed = began.elapsed();
        let live: Vec<&str> = self.members.iter().map(|m| m.backend.name()).collect();
        block_on(self.client.answered_by_each(&live, LONG)).unwrap();
        let report = block_on(self.client.stop());
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
        self.is_told(began);
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
        self.is_told(began);
        // It ends as soon as nothing is under way there.
        block_on(backend.drain(Duration::ZERO, LONG)).unwrap();
        backend.stop();
        let marathon = &self.scene.marathon;
        marathon.end_task(&id, TaskState::Killed).unwrap();
    }

    fn is_told(&mut self, began: Instant) {
        if !self.variant.is_told {
            self.is_reloaded();
            self.took.push(began.elapsed());
            return;
        }
        let said = self.watcher.says(TOLD);
        self.took.push(began.elapsed());
        assert!(
            !said.iter().any(|line| line.contains("reload")),
            "{said:#?}"
        );
        self.is_served_by_the_same();
    }

    /// For a moment after a reload the old process may answer.
    fn is_served_by_the_same(&self) {
        let socket = self.scene.host.path("run/admin.sock");
        wait_until("the same process", || {
            block_on(show_info(&socket, LONG)).is_ok_and(|info| info.pid == self.pid)
        });
    }

    fn reload(&mut self) {
        let balance = if self.reloads.is_multiple_of(2) {
            "leastconn"
        } else {
            "roundrobin"
        };
        let change = |app: App| app.label("HAPROXY_0_BALANCE", balance);
        self.scene.marathon.change_app("/web", change).unwrap();
        self.is_reloaded();
    }

    fn is_reloaded(&mut self) {
        self.reloads += 1;
        let said = self.watcher.says("took over");
        let (_, pid) = said.last().unwrap().rsplit_once("pid ").unwrap();
        let before = std::mem::replace(&mut self.pid, pid.trim_end_matches(')').parse().unwrap());
        assert_ne!(self.pid, before);
        self.is_served_by_the_same();
    }
}

/// What is printed.
struct Row {
    variant: &'static str,
    elapsed: Duration,
    reloads: usize,
    took: Vec<Duration>,
    report: Report,
}

impl Row {
    const HEAD: &str = "variant                 seconds  changes  reloads  requests   per s  lost  \
                        event to HAProxy p50 / p95";

    /// Nothing is lost where nothing is done.
    fn is_no_idle_run(&self, length: Length) {
        let changes = self.took.len();
        assert!(length.changes <= changes, "{self}");
        let average = self.elapsed / u32::try_from(changes).unwrap();
        assert!(average <= LONGEST_CHANGE, "{self}");

        assert!(changes / length.reload_every <= self.reloads, "{self}");
        let per_second = self.report.answered as f64 / self.elapsed.as_secs_f64();
        assert!(FEWEST_REQUESTS_PER_SECOND <= per_second, "{self}");
    }
}

/// Of times in their order.
fn quantile(took: &[Duration], part: f64) -> Duration {
    let last = took.len().saturating_sub(1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let at = (last * part).round() as usize;
    took.get(at).copied().unwrap_or_default()
}

fn shown(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        write!(
            f,
            "{:<22} {:>8.1} {:>8} {:>8} {:>9} {:>7.0} {:>5}  {} / {}",
            self.variant,
            seconds,
            self.took.len(),
            self.reloads,
            self.report.answered,
            self.report.answered as f64 / seconds,
            self.report.failed(),
            shown(quantile(&self.took, 0.5)),
            shown(quantile(&self.took, 0.95)),
        )?;
        for (failure, times) in &self.report.failures {
            write!(f, "; {failure}: {times}")?;
        }
        Ok(())
    }
}
