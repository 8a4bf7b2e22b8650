//! A watcher beside the built-in Marathon, and the HAProxy that it starts, in a folder of their own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Era, Marathon};
use haproxy_marathon_bridge::haproxy::Proc;
use haproxy_marathon_bridge::haproxy::servers::{ServerState, states};
use haproxy_marathon_bridge::haproxy::socket::{Info, ask, show_info};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// For whatever is awaited: the first turn of a large cluster takes longest.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What is said of a server that HAProxy was told of.
pub(crate) const TOLD: &str = "1 server changed at runtime";

/// What is said after a reload.
pub(crate) const RELOADED: &str = "took over";

const HEAD: &str = include_str!("../../templates/native/fragments/head.cfg.tera");
const HTTP: &str = include_str!("../../templates/native/http_in.cfg.tera");
const APP_ID: &str = include_str!("../../templates/native/appid_in.cfg.tera");

/// The program at work.
pub(crate) struct Host {
    pub(crate) marathon: Marathon,
    /// Where hosts are served.
    pub(crate) http: u16,
    watcher: Child,
    lines: Receiver<(Instant, String)>,
    folder: TempDir,
    reloads: usize,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
        for process in Proc::default().using(&self.path("haproxy.cfg")) {
            let _ = kill(Pid::from_raw(process.pid.cast_signed()), Signal::SIGKILL);
        }
    }
}

impl Host {
    /// Once HAProxy serves these apps. HAProxy tries no request again.
    pub(crate) fn start(apps: impl IntoIterator<Item = App>, more: &[&str]) -> Self {
        let marathon = Marathon::start(Era::V1_8).expect("a free port");
        for app in apps {
            marathon.deploy(app);
        }
        let folder = TempDir::new().expect("a temporary folder");
        let free = free_ports(3).expect("free ports");
        templates(&folder, &free);
        let place = |name: &str| folder.path().join(name);
        let mut watcher = Command::new(env!("CARGO_BIN_EXE_haproxy-marathon-bridge"))
            .args(["watch", "--reload", "sf", "--resync", "1h"])
            .args(["--reloads-apart", "0s", "--marathon"])
            .arg(marathon.url())
            .arg("--haproxy-config")
            .arg(place("haproxy.cfg"))
            .arg("--state-dir")
            .arg(place("state"))
            .arg("--pid-file")
            .arg(place("pid"))
            .arg("--template-dir")
            .arg(place("templates"))
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let said = BufReader::new(watcher.stderr.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        let host = Self {
            marathon,
            http: free[0],
            watcher,
            lines,
            folder,
            reloads: 0,
        };
        host.says("HAProxy was started");
        let begun = Instant::now();
        while host.marathon.event_streams() == 0 {
            assert!(begun.elapsed() < PATIENCE, "the stream did not come");
            thread::sleep(Duration::from_millis(10));
        }
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Bytes of the installed file.
    pub(crate) fn size(&self) -> u64 {
        fs::metadata(self.path("haproxy.cfg")).map_or(0, |facts| facts.len())
    }

    /// Waits until this is said; when it was, and all that was said up to it.
    pub(crate) fn says(&self, part: &str) -> (Instant, Vec<String>) {
        let until = Instant::now() + PATIENCE;
        let mut said = Vec::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok((at, line)) = self.lines.recv_timeout(left) else {
                panic!("`{part}` was not said: {said:#?}");
            };
            let is_it = line.contains(part);
            said.push(line);
            if is_it {
                return (at, said);
            }
        }
    }

    /// Has HAProxy reloaded by a change of one app that it cannot be told of; how long that took.
    pub(crate) fn reload(&mut self, app: &str) -> Duration {
        self.reloads += 1;
        let balance = ["roundrobin", "leastconn"][self.reloads % 2];
        let begun = Instant::now();
        let change = |app: App| app.label("HAPROXY_0_BALANCE", balance);
        self.marathon.change_app(app, change).expect("the app");
        let (at, _) = self.says(RELOADED);
        at - begun
    }

    /// What HAProxy says of itself.
    pub(crate) fn info(&self) -> Info {
        block_on(show_info(&self.path("admin.sock"), PATIENCE)).expect("HAProxy answers")
    }

    /// The servers that HAProxy has.
    pub(crate) fn servers(&self) -> Vec<ServerState> {
        let socket = self.path("admin.sock");
        let reply = block_on(ask(&socket, "show servers state", PATIENCE));
        states(&reply.expect("HAProxy answers")).expect("it can be read")
    }
}

/// The shipped ones, on loopback and in `folder`.
fn templates(folder: &TempDir, free: &[u16]) {
    let run = format!("{}/", folder.path().display());
    let here = |port: u16| format!("127.0.0.1:{port}");
    let head = HEAD
        .replace("/run/haproxy/", &run)
        .replace("127.0.0.1:9090", &here(free[1]))
        .replace("  retries 3\n", "  retries 0\n");
    let head = head.lines().filter(|line| !line.contains("retry-on"));
    let head: Vec<&str> = head.collect();
    let files = [
        ("fragments/head.cfg.tera", head.join("\n")),
        ("http_in.cfg.tera", HTTP.replace("*:80", &here(free[0]))),
        (
            "appid_in.cfg.tera",
            APP_ID.replace("*:9091", &here(free[2])),
        ),
    ];
    for (name, text) in files {
        let path = folder.path().join("templates").join(name);
        let parent = path.parent().expect("it lies in a folder");
        fs::create_dir_all(parent).expect("a folder");
        fs::write(path, text).expect("a template");
    }
}

/// Of times in their order.
pub(crate) fn quantile(took: &[Duration], part: f64) -> Duration {
    let last = took.len().saturating_sub(1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let at = (last * part).round() as usize;
    took.get(at).copied().unwrap_or_default()
}

pub(crate) fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// Prints what became of a promise.
pub(crate) fn told(what: &str, is_kept: bool) -> bool {
    println!("  {what}: {}", if is_kept { "kept" } else { "BROKEN" });
    is_kept
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}
