//! A host with a HAProxy of its own: a private folder, free ports, and nothing outside of loopback.

mod web;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::haproxy::Proc;
use haproxy_marathon_bridge::haproxy::process::pids;
use haproxy_marathon_bridge::state::Folder;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

pub(crate) use self::web::{Web, ask_once};
use crate::support::{Done, Test};

/// For what takes a moment, on a machine that is busy.
pub(crate) const SOON: Duration = Duration::from_secs(20);

const HEADER: &str = include_str!("../../templates/bridge/header.cfg.tera");
const LISTEN: &str = include_str!("../../templates/bridge/listen.cfg.tera");
/// The shipped texts whose ports are fixed.
pub(crate) const HTTP: &str =
    include_str!("../../templates/marathon-lb/fragments/http_frontend_head.cfg.tera");
pub(crate) const APP_ID: &str =
    include_str!("../../templates/marathon-lb/fragments/http_frontend_appid_head.cfg.tera");
const HEAD: &str = include_str!("../../templates/marathon-lb/fragments/head.cfg.tera");

const NATIVE_HEAD: &str = include_str!("../../templates/native/fragments/head.cfg.tera");
const NATIVE_HTTP: &str = include_str!("../../templates/native/http_in.cfg.tera");
const NATIVE_APP_ID: &str = include_str!("../../templates/native/appid_in.cfg.tera");

/// The host. Every HAProxy that runs its file ends with it, also when a test panics.
pub(crate) struct Host {
    test: Test,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.send_kill();
    }
}

impl Host {
    /// With the templates of the bridge, but for addresses: sections bind to loopback, and the
    /// statistics take a free port.
    pub(crate) fn new() -> Self {
        let stats = free_ports(1).unwrap()[0];
        let listen = moved(LISTEN, "{{ listen.bind.address }}", "127.0.0.1");
        let test = Test::bridge()
            .file("etc/.keep", "")
            .file(
                "templates/header.cfg.tera",
                on_port(HEADER, "127.0.0.1:9090", stats),
            )
            .file("templates/listen.cfg.tera", listen);
        Self {
            test: answering_at_home(test),
        }
    }

    /// With the templates of marathon-lb, but for addresses: hosts are served on this port of
    /// loopback, ids of apps and the statistics take free ones.
    pub(crate) fn labelled(http: u16) -> Self {
        let free = free_ports(2).unwrap();
        let test = Test::new().file("etc/.keep", "").file("run/.keep", "");
        let fragments = [
            ("head", here(HEAD, &test, free[0])),
            ("http_frontend_head", on_port(HTTP, "*:80", http)),
            (
                "http_frontend_appid_head",
                on_port(APP_ID, "*:9091", free[1]),
            ),
        ];
        let test = fragments.into_iter().fold(test, |test, (name, text)| {
            test.file(&format!("templates/fragments/{name}.cfg.tera"), text)
        });
        let test = test.env("HMB_TEMPLATE_SET", "marathon-lb");
        Self {
            test: answering_at_home(test),
        }
    }

    /// The same with the native set.
    pub(crate) fn native(http: u16) -> Self {
        let free = free_ports(2).unwrap();
        let test = Test::new().file("etc/.keep", "").file("run/.keep", "");
        let run = format!("{}/run/", test.path().display());
        let head = on_port(NATIVE_HEAD, "127.0.0.1:9090", free[0]);
        let test = test
            .file(
                "templates/fragments/head.cfg.tera",
                moved(&head, "/run/haproxy/", &run),
            )
            .file(
                "templates/http_in.cfg.tera",
                on_port(NATIVE_HTTP, "*:80", http),
            )
            .file(
                "templates/appid_in.cfg.tera",
                on_port(NATIVE_APP_ID, "*:9091", free[1]),
            );
        Self { test }
    }

    /// Its private folder.
    pub(crate) fn root(&self) -> &Path {
        self.test.path()
    }

    /// Something in its private folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.test.path().join(name)
    }

    /// Writes a file there.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The file that is kept in step.
    pub(crate) fn cfg(&self) -> PathBuf {
        self.path("etc/haproxy.cfg")
    }

    pub(crate) fn installed(&self) -> String {
        fs::read_to_string(self.cfg()).unwrap()
    }

    /// `refresh` by `-sf`, unless `more` says otherwise.
    pub(crate) fn refresh<S: AsRef<str>>(&self, marathons: &[S], more: &[&str]) -> Done {
        Done::of(self.refresh_command(marathons, more))
    }

    /// The same, not started yet.
    pub(crate) fn refresh_command<S: AsRef<str>>(&self, marathons: &[S], more: &[&str]) -> Command {
        self.turning("refresh", marathons, more)
    }

    /// `watch` in the same way.
    pub(crate) fn watch_command<S: AsRef<str>>(&self, marathons: &[S], more: &[&str]) -> Command {
        self.turning("watch", marathons, more)
    }

    /// `marathon-lb` with these options, at the same place: its reload command writes a line and
    /// starts a HAProxy that takes over.
    pub(crate) fn marathon_lb_command<S: AsRef<str>>(
        &self,
        marathons: &[S],
        more: &[&str],
    ) -> Command {
        fs::create_dir_all(self.path("run")).unwrap();
        let (root, cfg) = (self.root().display(), self.cfg());
        let script = format!(
            "#!/bin/sh\necho reload >> {root}/reloads\n\
             exec haproxy -D -f {} -p {root}/run/pid -sf $(cat {root}/run/pid 2>/dev/null)\n",
            cfg.display()
        );
        let script = self.write("reload.sh", &script);
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = self.test.command();
        command
            .env("HMB_TEMPLATE_DIR", self.path("templates"))
            .env("HMB_PID_FILE", self.path("run/pid"))
            .arg("marathon-lb")
            .args(["--group=*", "--syslog-socket=/dev/null"])
            .arg("--dont-bind-http-https")
            .arg("--haproxy-config")
            .arg(cfg)
            .arg("--command")
            .arg(script)
            .args(more)
            .arg("--marathon");
        command.args(marathons.iter().map(AsRef::as_ref));
        command
    }

    /// `servicerouter` at the same place and with the same templates, called back at `url`.
    pub(crate) fn servicerouter_command<S: AsRef<str>>(
        &self,
        marathons: &[S],
        url: &str,
    ) -> Command {
        fs::create_dir_all(self.path("run")).unwrap();
        let mut command = self.test.command();
        command
            .env("HMB_RELOAD", "sf")
            .env("HMB_PID_FILE", self.path("run/pid"))
            .env("HMB_TEMPLATE_DIR", self.path("templates"))
            // It would listen on all addresses.
            .env("HMB_CALLBACK_LISTEN", url.strip_prefix("http://").unwrap())
            .arg("servicerouter")
            .args(["--group=*", "--syslog-socket=/dev/null"])
            .args(["--listening", url])
            .arg("--haproxy-config")
            .arg(self.cfg())
            .arg("--marathon");
        command.args(marathons.iter().map(AsRef::as_ref));
        command
    }

    /// How often its reload command was run.
    pub(crate) fn reloads(&self) -> usize {
        let lines = fs::read_to_string(self.path("reloads")).unwrap_or_default();
        lines.lines().count()
    }

    fn turning<S: AsRef<str>>(&self, word: &str, marathons: &[S], more: &[&str]) -> Command {
        let mut command = self.test.command();
        command.arg(word).args(["--reload", "sf"]);
        for marathon in marathons {
            command.args(["--marathon", marathon.as_ref()]);
        }
        command.arg("--haproxy-config").arg(self.cfg());
        command.arg("--pid-file").arg(self.path("run/pid"));
        command.arg("--template-dir").arg(self.path("templates"));
        command.args(more);
        fs::create_dir_all(self.path("run")).unwrap();
        command
    }

    /// `diff` or `check`.
    pub(crate) fn look<S: AsRef<str>>(&self, word: &str, marathons: &[S]) -> Done {
        let mut command = self.test.command();
        command.arg(word).arg("--haproxy-config").arg(self.cfg());
        command.arg("--template-dir").arg(self.path("templates"));
        for marathon in marathons {
            command.args(["--marathon", marathon.as_ref()]);
        }
        Done::of(command)
    }

    pub(crate) fn status(&self) -> Done {
        Done::of(self.status_command())
    }

    /// The same, not started yet.
    pub(crate) fn status_command(&self) -> Command {
        let mut command = self.test.command();
        command
            .arg("status")
            .arg("--haproxy-config")
            .arg(self.cfg());
        command.arg("--pid-file").arg(self.path("run/pid"));
        command
    }

    /// `pause`, `resume` or `rollback`.
    pub(crate) fn operate(&self, words: &[&str]) -> Done {
        let mut command = self.test.command();
        command
            .env("HMB_RELOAD", "sf")
            .env("HMB_HAPROXY_CONFIG", self.cfg())
            .env("HMB_PID_FILE", self.path("run/pid"))
            .args(words);
        Done::of(command)
    }

    /// `refresh_system_haproxy`, which takes its options from the environment.
    pub(crate) fn refresh_system_haproxy<S: AsRef<str>>(&self, marathons: &[S]) -> Done {
        fs::create_dir_all(self.path("run")).unwrap();
        let mut command = self.test.command();
        command
            .env("HMB_RELOAD", "sf")
            .env("HMB_HAPROXY_CONFIG", self.cfg())
            .env("HMB_PID_FILE", self.path("run/pid"))
            .env("HMB_TEMPLATE_DIR", self.path("templates"))
            .arg("refresh_system_haproxy")
            .args(marathons.iter().map(AsRef::as_ref));
        Done::of(command)
    }

    /// From now on HAProxy does not start from a new file, though `haproxy -c` accepts it, for as
    /// long as the listener lives: the frame of the file wants its port, which is not tried before.
    pub(crate) fn block_starts(&self) -> TcpListener {
        let blocker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = blocker.local_addr().unwrap().port();
        let mut header = fs::read_to_string(self.path("templates/header.cfg.tera")).unwrap();
        let section = format!("\nlisten frame\n  bind 127.0.0.1:{port}\n  mode tcp\n");
        header.push_str(&section);
        self.write("templates/header.cfg.tera", &header);
        blocker
    }

    /// The HAProxy that serves.
    #[track_caller]
    pub(crate) fn pid(&self) -> u32 {
        let text = fs::read_to_string(self.path("run/pid")).unwrap();
        let pid = pids(&text)[0];
        assert!(self.haproxies().contains(&pid), "HAProxy {pid} is dead");
        pid
    }

    /// All that run its file, also those that only finish their connections.
    pub(crate) fn haproxies(&self) -> Vec<u32> {
        let all = Proc::default().using(&self.cfg());
        all.iter().map(|process| process.pid).collect()
    }

    /// Kills them as the machine's memory killer would, and waits for their end.
    pub(crate) fn kill(&self) {
        self.send_kill();
        wait_until("the end of HAProxy", || self.haproxies().is_empty());
    }

    fn send_kill(&self) {
        for pid in self.haproxies() {
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
    }

    /// Every file below `folder`, with all that a needless write would change.
    pub(crate) fn footprint(&self, folder: &str) -> BTreeMap<PathBuf, Footprint> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                if metadata.is_dir() {
                    folders.push(path);
                    continue;
                }
                let footprint = Footprint {
                    content: fs::read(&path).unwrap_or_default(),
                    inode: metadata.ino(),
                    modified: (metadata.mtime(), metadata.mtime_nsec()),
                    mode: metadata.mode(),
                };
                found.insert(path, footprint);
            }
        }
        found
    }

    /// What the runs remember of its file.
    pub(crate) fn state_folder(&self) -> PathBuf {
        let folder = Folder::of(&self.path("state"), &self.cfg());
        folder.path().to_owned()
    }

    pub(crate) fn state(&self) -> Value {
        let text = fs::read_to_string(self.state_folder().join("state.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Lets time pass that nobody has to wait for.
    pub(crate) fn edit_state(&self, edit: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        edit(&mut state);
        fs::write(self.state_folder().join("state.json"), state.to_string()).unwrap();
    }

    /// Asserts that nothing installed changes, nor HAProxy's process, while `act` runs.
    #[track_caller]
    pub(crate) fn untouched<T>(&self, act: impl FnOnce() -> T) -> T {
        let before = (self.footprint("etc"), self.footprint("run"));
        let result = act();
        assert_eq!((self.footprint("etc"), self.footprint("run")), before);
        result
    }
}

/// A watcher in this folder answers there, and not where those of the host do.
fn answering_at_home(test: Test) -> Test {
    let socket = test.path().join("run/marathon-bridge.sock");
    test.env("HMB_ADMIN_SOCKET", socket.display().to_string())
}

/// What a write leaves behind.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Footprint {
    content: Vec<u8>,
    inode: u64,
    modified: (i64, i64),
    mode: u32,
}

impl std::fmt::Debug for Footprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            content,
            inode,
            modified,
            mode,
        } = self;
        let text = String::from_utf8_lossy(content);
        write!(f, "inode {inode} mode {mode:o} at {modified:?}: {text:?}")
    }
}

/// Waits until `come` is true, which nothing tells of but looking.
#[track_caller]
pub(crate) fn wait_until(what: &str, come: impl FnMut() -> bool) {
    wait_within(SOON, what, come);
}

/// The same for what takes its time.
#[track_caller]
pub(crate) fn wait_within(limit: Duration, what: &str, mut come: impl FnMut() -> bool) {
    let began = Instant::now();
    while !come() {
        assert!(began.elapsed() < limit, "{what} did not come in {limit:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A shipped text that names another place.
#[track_caller]
pub(crate) fn moved(text: &str, from: &str, to: &str) -> String {
    let moved = text.replace(from, to);
    assert_ne!(moved, text, "{from}");
    moved
}

/// One that listens on a port of loopback instead.
#[track_caller]
pub(crate) fn on_port(text: &str, from: &str, port: u16) -> String {
    moved(text, from, &format!("127.0.0.1:{port}"))
}

/// A HEAD of marathon-lb that lives in the private folder and on a free port.
#[track_caller]
pub(crate) fn here(head: &str, test: &Test, stats: u16) -> String {
    let run = format!("{}/run/", test.path().display());
    let moved = on_port(
        &moved(head, "/var/run/haproxy/", &run),
        "0.0.0.0:9090",
        stats,
    );
    assert!(!moved.contains("9090"), "{moved}");
    moved
}

/// Runs a future of the client or of a backend, which work on threads of their own.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
