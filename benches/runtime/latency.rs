//! From an event to HAProxy, in a large cluster.

use std::thread::sleep;
use std::time::{Duration, Instant};

use haproxy_marathon_bridge::demo::backend::{Backend, HEALTH_PATH, Instance};
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};
use serde_json::json;

use super::host::{Host, TOLD, milliseconds, quantile, told};

/// Servers of each app.
const SERVERS: usize = 4;

/// Tasks that come, and as many that go.
const EVENTS: usize = 100;

const RELOADS: usize = 5;

/// What follows the first word of Marathon is gathered for 100 ms, and whatever comes within 100 ms of
/// that belongs to it.
const APART: Duration = Duration::from_millis(250);

/// From event to HAProxy, for 95 of 100 tasks that come.
const PROMISE: Duration = Duration::from_millis(50);

/// So many apps take turns in the churn.
const CHURNED: usize = 20;

/// A cluster.
#[derive(Clone, Copy)]
struct Size {
    apps: usize,
    /// So many have servers that HAProxy checks: each needs a file descriptor, of which there are
    /// 20,000.
    checked: usize,
}

const SIZES: [Size; 2] = [
    Size {
        apps: 3_000,
        checked: 3_000,
    },
    Size {
        apps: 5_000,
        checked: CHURNED,
    },
];

/// Prints a row for each size; `false` when a promise is broken.
pub(crate) fn measure() -> bool {
    println!(
        "from event to HAProxy, {EVENTS} tasks that come and {EVENTS} that go, one every {} ms; \
         apps x {SERVERS} servers",
        APART.as_millis()
    );
    println!(
        "{:>6} {:>7} {:>8} {:>7} | {:>8} {:>8} {:>8} | {:>8} {:>8} | {:>9}",
        "apps",
        "servers",
        "checked",
        "cfg MB",
        "come p50",
        "p95 ms",
        "most ms",
        "go p50",
        "p95 ms",
        "reload ms"
    );
    let rows = SIZES.map(|size| {
        let row = Row::of(size);
        println!("{row}");
        row
    });
    let slowest = rows.iter().map(|row| quantile(&row.come, 0.95)).max();
    let is_kept = slowest.is_some_and(|slowest| slowest <= PROMISE);
    let kept = told(
        "p95 of 50 ms until HAProxy has a server that comes",
        is_kept,
    );
    println!();
    kept
}

struct Row {
    size: Size,
    /// That HAProxy has.
    servers: usize,
    cfg: u64,
    come: Vec<Duration>,
    go: Vec<Duration>,
    reload: Vec<Duration>,
}

impl Row {
    fn of(size: Size) -> Self {
        let mut backends: Vec<Backend> = Vec::new();
        for number in 0..=SERVERS {
            let instance = Instance::http(&format!("b{number}")).start();
            backends.push(instance.expect("an instance"));
        }
        let ports: Vec<u16> = backends.iter().map(Backend::port).collect();
        let (comes, stay) = ports.split_last().expect("there is one more");
        let own = free_ports(size.apps).expect("free ports");
        let apps = own.iter().enumerate().map(|(number, own)| {
            let app = app(number, *own, number < size.checked);
            let tasks = stay.iter().map(|port| Task::local(*port));
            tasks.fold(app, App::task)
        });
        let mut host = Host::start(apps, &[]);
        // Where a port was taken meanwhile, its app is left out.
        let servers = host.servers().len();
        assert!(
            servers * 100 >= size.apps * SERVERS * 99,
            "HAProxy has {servers} servers"
        );
        // The first ones warm up what is kept.
        for number in 0..CHURNED {
            churn(&host, number, *comes);
        }
        let before = host.info().pid;
        let (mut come, mut go) = (Vec::new(), Vec::new());
        for event in 0..EVENTS {
            let took = churn(&host, event % CHURNED, *comes);
            come.push(took.0);
            go.push(took.1);
        }
        assert_eq!(host.info().pid, before, "nothing was reloaded");
        let cfg = host.size();
        let mut reload: Vec<Duration> = Vec::new();
        for _ in 0..RELOADS {
            sleep(APART);
            reload.push(host.reload(&id(0)));
        }
        for times in [&mut come, &mut go, &mut reload] {
            times.sort_unstable();
        }
        Self {
            size,
            servers,
            cfg,
            come,
            go,
            reload,
        }
    }
}

fn id(number: usize) -> String {
    format!("/team-{}/app-{number}", number % 37)
}

fn app(number: usize, own: u16, is_checked: bool) -> App {
    let app = App::new(&id(number))
        .service_port(own)
        .label("HAPROXY_0_BIND_ADDR", "127.0.0.1")
        .label("HAPROXY_0_VHOST", &format!("app-{number}.example.org"));
    if !is_checked {
        return app;
    }
    let check = json!({
        "path": HEALTH_PATH, "protocol": "HTTP", "portIndex": 0, "intervalSeconds": 30,
        "gracePeriodSeconds": 5, "timeoutSeconds": 2, "maxConsecutiveFailures": 3,
    });
    app.http_check(HEALTH_PATH)
        .field("healthChecks", json!([check]))
}

/// A task comes to an app and goes; how long each took.
fn churn(host: &Host, number: usize, port: u16) -> (Duration, Duration) {
    sleep(APART);
    let count = || {
        let all = host.servers();
        all.iter().filter(|state| state.port == port).count()
    };
    let begun = Instant::now();
    let task = host.marathon.start_task(&id(number), Task::local(port));
    let task = task.expect("the app is there");
    let (at, _) = host.says(TOLD);
    let came = at - begun;
    assert_eq!(count(), 1, "HAProxy has it");
    sleep(APART);
    let begun = Instant::now();
    host.marathon.fail_task(&task).expect("the task is there");
    let (at, _) = host.says(TOLD);
    let went = at - begun;
    assert_eq!(count(), 0, "HAProxy has it no more");
    (came, went)
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = |times: &[Duration], part: f64| milliseconds(quantile(times, part));
        write!(
            f,
            "{:>6} {:>7} {:>8} {:>7.1} | {:>8.1} {:>8.1} {:>8.1} | {:>8.1} {:>8.1} | {:>9.0}",
            self.size.apps,
            self.servers,
            self.size.checked * SERVERS,
            self.cfg as f64 / 1e6,
            of(&self.come, 0.5),
            of(&self.come, 0.95),
            of(&self.come, 1.0),
            of(&self.go, 0.5),
            of(&self.go, 0.95),
            of(&self.reload, 0.5),
        )
    }
}
