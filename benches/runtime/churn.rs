//! Many tasks that come and go, and reloads, while clients send requests.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use haproxy_marathon_bridge::demo::backend::{Backend, Instance};
use haproxy_marathon_bridge::demo::client::{Client, Requests};
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task, TaskState};

use super::host::{Host, PATIENCE, RELOADED, TOLD, block_on, milliseconds, quantile, told};

/// Changes of servers.
const CHANGES: usize = 1_000;

/// A reload follows so many of them.
const RELOAD_EVERY: usize = 20;

/// Requests under way at once.
const WORKERS: usize = 16;

/// Between an answer and the next request: without it, clients would take all there is of the processor.
const PAUSE: Duration = Duration::from_millis(2);

const FEWEST_PER_SECOND: f64 = 2_000.0;

/// Instances of the app, at least.
const FEWEST: usize = 3;

const APP: &str = "/web";

/// A task and what answers for it.
struct Member {
    id: String,
    backend: Backend,
}

struct Course {
    host: Host,
    client: Client,
    members: VecDeque<Member>,
    came: usize,
    took: Vec<Duration>,
    /// Reloads for changes of servers alone.
    needless: usize,
}

/// Prints what was lost; `false` when a promise is broken.
pub(crate) fn measure() -> bool {
    println!(
        "{CHANGES} changes of servers, each after the one before, a reload after each {RELOAD_EVERY} \
         of them, {WORKERS} clients with kept connections, no retries"
    );
    let mut course = Course::start();
    let began = Instant::now();
    let mut reloads = Vec::new();
    let mut pid = course.host.info().pid;
    for change in 1..=CHANGES {
        if course.members.len() <= FEWEST {
            course.comes();
        } else {
            course.goes();
        }
        if change % RELOAD_EVERY == 0 {
            course.needless += usize::from(course.host.info().pid != pid);
            reloads.push(course.host.reload(APP));
            pid = course.settled(pid);
        }
    }
    let elapsed = began.elapsed();
    let live: Vec<&str> = course.members.iter().map(|m| m.backend.name()).collect();
    block_on(course.client.answered_by_each(&live, PATIENCE)).expect("each still serves");
    let report = block_on(course.client.stop());
    let mut took = course.took;
    took.sort_unstable();
    let all_reloads = reloads.len();
    reloads.sort_unstable();
    let per_second = report.answered as f64 / elapsed.as_secs_f64();
    println!(
        "{:>8} {:>8} {:>8} {:>9} {:>7} {:>5} {:>6} | {:>9} {:>7} | {:>9}",
        "seconds",
        "changes",
        "reloads",
        "requests",
        "per s",
        "lost",
        "stale",
        "event p50",
        "p95 ms",
        "reload ms"
    );
    println!(
        "{:>8.1} {:>8} {:>8} {:>9} {:>7.0} {:>5} {:>6} | {:>9.1} {:>7.1} | {:>9.0}",
        elapsed.as_secs_f64(),
        took.len(),
        all_reloads,
        report.answered,
        per_second,
        report.failed(),
        report.stale,
        milliseconds(quantile(&took, 0.5)),
        milliseconds(quantile(&took, 0.95)),
        milliseconds(quantile(&reloads, 0.5)),
    );
    for (failure, times) in &report.failures {
        println!("  {failure}: {times}");
    }
    let is_whole = report.failed() == 0 && report.stale == 0;
    let mut kept = told("no request lost", is_whole);
    kept &= told("no reload for servers alone", course.needless == 0);
    kept &= told("2,000 requests a second", per_second >= FEWEST_PER_SECOND);
    println!();
    kept
}

impl Course {
    fn start() -> Self {
        let first = Instance::http("t0").start().expect("an instance");
        let own = free_ports(1).expect("a free port")[0];
        let app = App::new(APP)
            .service_port(own)
            .label("HAPROXY_0_BIND_ADDR", "127.0.0.1")
            .label("HAPROXY_0_VHOST", "web.test")
            .task(Task::local(first.port()));
        let host = Host::start([app], &["--debounce", "5ms:50ms"]);
        let target = ([127, 0, 0, 1], host.http).into();
        let requests = Requests::http(target).host("web.test").keep_alive();
        let client = requests.workers(WORKERS).pause(PAUSE);
        let client = client.timeout(PATIENCE).start();
        let id = host.marathon.app(APP).expect("it is there").tasks()[0]
            .id()
            .to_owned();
        Self {
            host,
            client: client.expect("a client"),
            members: VecDeque::from([Member { id, backend: first }]),
            came: 1,
            took: Vec::new(),
            needless: 0,
        }
    }

    fn comes(&mut self) {
        let name = format!("t{}", self.came);
        self.came += 1;
        let backend = Instance::http(&name).start().expect("an instance");
        let began = Instant::now();
        let marathon = &self.host.marathon;
        let ids = marathon.scale_up(APP, [Task::local(backend.port())]);
        let id = ids.expect("the app is there").remove(0);
        self.is_told(began);
        block_on(self.client.answered_by_each(&[&name], PATIENCE)).expect("it serves");
        self.members.push_back(Member { id, backend });
    }

    fn goes(&mut self) {
        let first = self.members.pop_front();
        let Member { id, mut backend } = first.expect("there are more than the fewest");
        let began = Instant::now();
        let marathon = &self.host.marathon;
        marathon.begin_kill(&id).expect("the task is there");
        self.is_told(began);
        // It ends as soon as nothing is under way there.
        block_on(backend.drain(Duration::ZERO, PATIENCE)).expect("nothing comes any more");
        backend.stop();
        let marathon = &self.host.marathon;
        let ended = marathon.end_task(&id, TaskState::Killed);
        ended.expect("the task is there");
    }

    fn is_told(&mut self, began: Instant) {
        let (at, said) = self.host.says(TOLD);
        self.took.push(at - began);
        let is_reload = |line: &&String| line.contains(RELOADED);
        self.needless += said.iter().filter(is_reload).count();
    }

    /// For a moment after a reload the old process may answer.
    fn settled(&self, before: u32) -> u32 {
        let began = Instant::now();
        loop {
            let info = self.host.info();
            if info.pid != before && !info.stopping {
                return info.pid;
            }
            assert!(began.elapsed() < PATIENCE, "no other process answers");
        }
    }
}
