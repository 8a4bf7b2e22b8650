//! From an event to the installed file.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use tempfile::TempDir;

use super::TASKS;
use super::cluster::{Watcher, task};

const EVENTS: usize = 100;

/// Marathon tells of one task more than once. What follows the first word is gathered for 100 ms, and
/// whatever comes within 100 ms of that belongs to it.
const APART: Duration = Duration::from_millis(250);

/// From event to file at the largest size, for 95 of 100.
const PROMISED_LATENCY: Duration = Duration::from_millis(50);

/// Processor per event at the largest size, as a multiple of that at the smallest.
const PROMISED_GROWTH: f64 = 3.0;

/// Bytes fetched per event, as a multiple of what Marathon says of the one app.
const PROMISED_BYTES: f64 = 2.0;

/// Kilobytes, at 5,000 apps.
const PROMISED_MEMORY: (usize, u64) = (5_000, 80_000);

/// Prints a row for every size; `false` when a promise is broken.
pub(crate) fn measure(sizes: &[usize]) -> bool {
    println!(
        "watch, {EVENTS} events, one every {} ms, apps x {TASKS} tasks",
        APART.as_millis()
    );
    println!(
        "{:>7} {:>7} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9} {:>7} {:>7} {:>7}",
        "apps",
        "cfg MB",
        "p50 ms",
        "p95 ms",
        "cpu ms/ev",
        "write ms",
        "w cpu ms",
        "own ms/ev",
        "bytes",
        "RSS MB",
        "HWM MB"
    );
    let mut kept = true;
    let mut smallest = None;
    for &apps in sizes {
        let row = Row::of(apps);
        println!("{row}");
        let first = *smallest.get_or_insert(row.own);
        if Some(&apps) == sizes.last() {
            kept &= told("p95", row.p95 <= PROMISED_LATENCY);
            kept &= told(
                "growth of cpu per event",
                row.own / first <= PROMISED_GROWTH,
            );
        }
        kept &= told("bytes per event", row.bytes <= PROMISED_BYTES);
        kept &= told(
            "memory",
            apps != PROMISED_MEMORY.0 || row.resident <= PROMISED_MEMORY.1,
        );
    }
    println!();
    kept
}

fn told(what: &str, is_kept: bool) -> bool {
    if !is_kept {
        println!("{what}: BROKEN");
    }
    is_kept
}

struct Row {
    apps: usize,
    size: u64,
    p50: Duration,
    p95: Duration,
    /// Milliseconds of the processor per event.
    cpu: f64,
    /// Milliseconds that a file of this size takes to be written, synced and renamed.
    write: f64,
    /// Milliseconds of the processor for that.
    write_cpu: f64,
    /// What is left of `cpu`.
    own: f64,
    /// Fetched per event, as a multiple of the app's own JSON.
    bytes: f64,
    resident: u64,
    most: u64,
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        write!(
            f,
            "{:>7} {:>7.1} {:>8.1} {:>8.1} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>7.2} {:>7.1} {:>7.1}",
            self.apps,
            megabytes(self.size),
            self.p50.as_secs_f64() * 1e3,
            self.p95.as_secs_f64() * 1e3,
            self.cpu,
            self.write,
            self.write_cpu,
            self.own,
            self.bytes,
            self.resident as f64 / 1e3,
            self.most as f64 / 1e3,
        )
    }
}

impl Row {
    fn of(apps: usize) -> Self {
        let watcher = Watcher::start(apps, TASKS);
        let id = |event: usize| {
            let number = event * 7 % apps;
            format!("/team-{}/app-{number}", number % 37)
        };
        // The first ones warm up what is kept.
        for event in 0..5 {
            follow(&watcher, &id(event), apps * TASKS + event);
        }
        let before = (watcher.cost(), bytes(&watcher, apps));
        let mut plain = Plain::of(&watcher.cfg());
        let mut took: Vec<Duration> = (5..5 + EVENTS)
            .map(|event| {
                let took = follow(&watcher, &id(event), apps * TASKS + event);
                plain.replace();
                took
            })
            .collect();
        let after = (watcher.cost(), bytes(&watcher, apps));
        took.sort_unstable();
        let per_event = |time: Duration| time.as_secs_f64() * 1e3 / EVENTS as f64;
        let (write, write_cpu) = (per_event(plain.took), per_event(plain.cpu));
        let cpu = per_event(after.0.all().saturating_sub(before.0.all()));
        let size = fs::metadata(watcher.cfg()).expect("the file").len();
        let path = format!("/v2/apps{}", id(5));
        let own = watcher.marathon.bytes(&path) / watcher.marathon.requests(&path);
        Self {
            apps,
            size,
            p50: took[EVENTS / 2],
            p95: took[EVENTS * 95 / 100],
            cpu,
            write,
            write_cpu,
            own: (cpu - write_cpu).max(0.01),
            bytes: (after.1 - before.1) as f64 / EVENTS as f64 / own as f64,
            resident: watcher.memory("VmRSS"),
            most: watcher.memory("VmHWM"),
        }
    }
}

/// Adds a task to an app or takes one away, and waits for the file; how long that took.
fn follow(watcher: &Watcher, id: &str, number: usize) -> Duration {
    sleep(APART);
    let inode = watcher.inode();
    let begun = Instant::now();
    watcher
        .marathon
        .start_task(id, task(number))
        .expect("the app is there");
    watcher.until_installed(inode);
    begun.elapsed()
}

/// Of single apps and of all together, so far.
fn bytes(watcher: &Watcher, apps: usize) -> u64 {
    let of_app = |number: usize| format!("/v2/apps/team-{}/app-{number}", number % 37);
    let single: u64 = (0..apps)
        .map(|number| watcher.marathon.bytes(&of_app(number)))
        .sum();
    single + watcher.marathon.bytes("/v2/apps")
}

/// A program that does nothing but put a file of the same size in the place of another, between the
/// events and on the same disk: what the kernel takes for that differs from minute to minute.
struct Plain {
    folder: TempDir,
    content: Vec<u8>,
    took: Duration,
    /// Of the processor.
    cpu: Duration,
}

impl Plain {
    fn of(cfg: &Path) -> Self {
        Self {
            folder: TempDir::new().expect("a temporary folder"),
            content: fs::read(cfg).expect("the file"),
            took: Duration::ZERO,
            cpu: Duration::ZERO,
        }
    }

    fn replace(&mut self) {
        let (begun, before) = (Instant::now(), cpu());
        let (beside, path) = (
            self.folder.path().join("new"),
            self.folder.path().join("file"),
        );
        let mut file = File::create(&beside).expect("a file");
        file.write_all(&self.content).expect("it is written");
        file.sync_all().expect("it is synced");
        fs::rename(&beside, &path).expect("it is put in place");
        self.took += begun.elapsed();
        self.cpu += cpu().saturating_sub(before);
    }
}

/// What this thread has cost so far.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("it can be asked");
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| {
            Duration::new(time.tv_sec().unsigned_abs(), 0)
                + Duration::from_micros(time.tv_usec().unsigned_abs())
        })
        .sum()
}
