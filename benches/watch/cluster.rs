//! A watcher beside the built-in Marathon.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use haproxy_marathon_bridge::demo::marathon::{App, Era, Marathon, Task};
use tempfile::TempDir;

/// For the first turn, with the check of a large file.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks at the file.
const LOOK: Duration = Duration::from_micros(200);

/// The program at work.
pub(crate) struct Watcher {
    pub(crate) marathon: Marathon,
    child: Child,
    folder: TempDir,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one process has cost so far.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    user: Duration,
    system: Duration,
}

impl Cost {
    /// Both together.
    pub(crate) fn all(self) -> Duration {
        self.user + self.system
    }
}

impl Watcher {
    /// With so many apps of `tasks` tasks each, once the file is installed.
    pub(crate) fn start(apps: usize, tasks: usize) -> Self {
        let marathon = Marathon::start(Era::V1_8).expect("a free port");
        for number in 0..apps {
            marathon.deploy(app(number, tasks));
        }
        let folder = TempDir::new().expect("a temporary folder");
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_haproxy-marathon-bridge"))
            .args(["watch", "--reload", "none", "--resync", "1h", "--marathon"])
            .arg(marathon.url())
            .arg("--haproxy-config")
            .arg(folder.path().join("haproxy.cfg"))
            .arg("--state-dir")
            .arg(folder.path().join("state"))
            .stderr(Stdio::from(log))
            .spawn()
            .expect("the program");
        let watcher = Self {
            marathon,
            child,
            folder,
        };
        watcher.wait("the first file", || watcher.inode() != 0);
        watcher.wait("the stream", || watcher.marathon.event_streams() == 1);
        watcher
    }

    pub(crate) fn cfg(&self) -> PathBuf {
        self.folder.path().join("haproxy.cfg")
    }

    /// 0 where there is no file.
    pub(crate) fn inode(&self) -> u64 {
        fs::metadata(self.cfg()).map_or(0, |facts| facts.ino())
    }

    /// Until the file is another one than `before`.
    pub(crate) fn until_installed(&self, before: u64) {
        self.wait("another file", || self.inode() != before);
    }

    fn wait(&self, what: &str, mut is_there: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_there() {
            assert!(
                begun.elapsed() < PATIENCE,
                "{what} did not come; the log says: {}",
                fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
            );
            sleep(LOOK);
        }
    }

    /// The process itself, without those that it ran.
    pub(crate) fn cost(&self) -> Cost {
        let stat = self.proc("stat");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        // proc(5): utime is field 14 and stime 15, counted from the pid; the first here is 3.
        let ticks = |at: usize| -> Duration {
            let ticks: u32 = fields[at - 3].parse().expect("a number of ticks");
            Duration::from_millis(10) * ticks
        };
        Cost {
            user: ticks(14),
            system: ticks(15),
        }
    }

    /// Kilobytes, of `VmRSS` or `VmHWM`.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with(name));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.and_then(|n| n.parse().ok()).expect("proc(5) has it")
    }

    fn proc(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.child.id());
        fs::read_to_string(path).expect("the program runs")
    }
}

/// As owners write them: a host each, a check, some more.
pub(crate) fn app(number: usize, tasks: usize) -> App {
    let port = u16::try_from(10_000 + number % 50_000).expect("a port");
    let app = App::new(&format!("/team-{}/app-{number}", number % 37))
        .bridge()
        .service_port(port)
        .label("HAPROXY_GROUP", "external")
        .label("HAPROXY_0_VHOST", &format!("app-{number}.example.org"))
        .label("owner", &format!("team-{}", number % 37))
        .http_check("/health");
    (0..tasks).fold(app, |app, task| app.task(self::task(number * tasks + task)))
}

/// One that nobody dials.
pub(crate) fn task(number: usize) -> Task {
    let agent = format!(
        "10.{}.{}.{}",
        number / 62_500,
        number / 250 % 250,
        1 + number % 250
    );
    let port = u16::try_from(31_000 + number % 1_000).expect("a port");
    Task::new(&agent).port(port)
}
