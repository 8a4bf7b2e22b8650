//! A host on which one file is replaced by another, over and over from the same start.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use haproxy_marathon_bridge::demo::backend::{Backend, Instance};
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::haproxy::listen::is_taken;
use serde_json::Value;

use super::strace::{self, Fault, SCRATCH, Step};
use crate::host::{Host, ask_once, wait_until};
use crate::support::{Done, haproxy};

/// From where a run starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Nothing is installed, nothing runs.
    Nothing,
    /// A few files came and went, the last of them is installed and runs.
    Serving,
}

/// Two states of one cluster, each served by an instance of its own, and the runs between them.
pub(super) struct Scene {
    host: Host,
    start: Start,
    reload: &'static str,
    port: u16,
    instances: [Backend; 2],
    /// For each state: what lies on the disk once it is applied, and the text of its file.
    homes: [Home; 2],
    texts: [String; 2],
    steps: [Vec<Step>; 2],
    /// The state that was applied last.
    now: usize,
}

/// Regular files: path, content, mode.
type Home = Vec<(PathBuf, Vec<u8>, u32)>;

impl Scene {
    pub(super) fn new(start: Start, reload: &'static str) -> Self {
        let mut scene = Self {
            host: Host::new(),
            start,
            reload,
            port: free_ports(1).unwrap()[0],
            instances: ["zero", "one"].map(|name| Instance::tcp(name).start().unwrap()),
            homes: [Vec::new(), Vec::new()],
            texts: [String::new(), String::new()],
            steps: [Vec::new(), Vec::new()],
            now: 0,
        };
        fs::create_dir(scene.host.path("tmp")).unwrap();
        // As many as it takes until old copies are removed.
        let others = free_ports(3).unwrap();
        for state in [0, 1] {
            scene.restore(&[]);
            for port in others.iter().chain([&scene.instances[state].port()]) {
                scene.tell(*port);
                scene.refresh().expect(0);
            }
            scene.texts[state] = scene.host.installed();
            if start == Start::Serving {
                scene.homes[state] = scene.home();
            }
        }
        scene.now = 1;
        for state in [0, 1] {
            scene.set_out(state);
            scene.steps[state] = strace::survey(&scene.command(), scene.root());
            scene.arrived(state);
        }
        assert_eq!(scene.steps[0].len(), scene.steps[1].len());
        scene
    }

    /// How many steps a run takes.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps[0]
    }

    /// Runs from one state to the other with `fault` at the step of this number, has `judge` look
    /// at what came of it, and proves that nothing is broken and that the next run mends it all.
    pub(super) fn try_at(&mut self, number: usize, fault: Fault, judge: impl Fn(&Step, &Done)) {
        let (old, new) = (self.now, 1 - self.now);
        let step = self.steps[new][number].clone();
        self.set_out(new);
        let done = strace::inject(&self.command(), self.root(), &step, fault);
        let what = format!("{fault:?} at {number}, {step}: {done:#?}");

        let there = fs::read_to_string(self.host.cfg()).ok();
        let allowed = [
            Some(&self.texts[new]),
            (self.start == Start::Serving).then(|| &self.texts[old]),
        ];
        assert!(
            there.is_none() && self.start == Start::Nothing || allowed.contains(&there.as_ref()),
            "neither the old file nor the new: {there:?}\n{what}"
        );
        if there.is_some() {
            assert!(is_accepted(&self.host.cfg()), "{what}");
        }
        if self.reload == "sf" && self.start == Start::Serving {
            let served = self
                .ask()
                .unwrap_or_else(|| panic!("nobody answers\n{what}"));
            assert!(["zero", "one"].contains(&&*served), "{served}\n{what}");
        }
        judge(&step, &done);

        let next = self.refresh();
        assert_eq!(next.status.code(), Some(0), "{what}\nand then {next:#?}");
        assert_eq!(
            self.host.installed(),
            self.texts[new],
            "{what}\nand then {next:#?}"
        );
        self.arrived(new);
        assert_eq!(
            self.leftovers(),
            BTreeSet::new(),
            "{what}\nand then {next:#?}"
        );
        let idle = self.host.untouched(|| self.refresh());
        assert_eq!((idle.status.code(), &*idle.stderr), (Some(0), ""), "{what}");
    }

    fn root(&self) -> &Path {
        self.host.root()
    }

    fn command(&self) -> Command {
        let source = format!("file:{}", self.host.path("apps.json").display());
        let mut command = self
            .host
            .refresh_command(&[source], &["--reload", self.reload]);
        command.env("TMPDIR", self.host.path("tmp"));
        command
    }

    fn refresh(&self) -> Done {
        Done::of(self.command())
    }

    /// Has the cluster run its one task here.
    fn tell(&self, port: u16) {
        let apps = format!(
            r#"{{"apps": [{{"id": "/web", "instances": 1, "ports": [{}], "tasks": [
                {{"id": "web.1", "host": "127.0.0.1", "ports": [{port}], "state": "TASK_RUNNING"}}]}}]}}"#,
            self.port
        );
        self.host.write("apps.json", &apps);
    }

    /// Back to where the other state was applied, with this one to come.
    fn set_out(&self, state: usize) {
        self.restore(&self.homes[1 - state]);
        if self.start == Start::Nothing {
            self.host.kill();
            // A process that ends loses its name before its sockets.
            wait_until("the end of HAProxy", || {
                self.host.haproxies().is_empty() && !is_taken(self.address())
            });
        }
        self.tell(self.instances[state].port());
    }

    /// Waits until HAProxy serves the state: an old process may have the last word for a moment.
    fn arrived(&mut self, state: usize) {
        self.now = state;
        if self.reload == "sf" {
            let name = self.instances[state].name();
            wait_until(name, || self.ask().as_deref() == Some(name));
        }
    }

    fn ask(&self) -> Option<String> {
        ask_once(self.address())
    }

    fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    fn home(&self) -> Home {
        let mut home = Home::new();
        for path in ["etc", "state"]
            .iter()
            .flat_map(|f| files(&self.host.path(f)))
        {
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            home.push((path.clone(), fs::read(&path).unwrap(), mode));
        }
        home
    }

    /// Sockets stay: they are HAProxy's.
    fn restore(&self, home: &[(PathBuf, Vec<u8>, u32)]) {
        for path in ["etc", "state", "tmp"]
            .iter()
            .flat_map(|f| files(&self.host.path(f)))
        {
            fs::remove_file(path).unwrap();
        }
        for entry in fs::read_dir(self.host.path("tmp")).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
        if home.is_empty() {
            let _ = fs::remove_dir_all(self.host.path("state"));
        }
        for (path, content, mode) in home {
            fs::write(path, content).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
    }

    /// Files and copies for `haproxy -c` that no run would leave if nothing had gone wrong.
    fn leftovers(&self) -> BTreeSet<PathBuf> {
        let state = self.host.state_folder();
        // There is no list where the first run could not make the folder.
        let list = fs::read(state.join("last-good/files.json")).unwrap_or_else(|_| b"{}".to_vec());
        let list: Value = serde_json::from_slice(&list).unwrap();
        let kept = list["sets"].as_array().into_iter().flatten().map(|set| {
            let file = set["cfg"]["file"].as_str().unwrap();
            state.join("last-good").join(file)
        });
        let mut expected: BTreeSet<PathBuf> = kept.collect();
        expected.extend([self.host.cfg(), self.host.path("etc/.keep")]);
        expected.extend(
            [
                "state.json",
                "lock",
                "ran",
                "runtime.cfg",
                "last-good/files.json",
            ]
            .map(|name| state.join(name)),
        );
        let there = ["etc", "state"]
            .iter()
            .flat_map(|f| files(&self.host.path(f)));
        let copies = [state, self.host.path("tmp")];
        let copies = copies.iter().flat_map(|folder| folders(folder));
        let copies = copies.filter(|path| path.to_string_lossy().contains(SCRATCH));
        there
            .filter(|path| !expected.contains(path))
            .chain(copies)
            .collect()
    }
}

/// The folders in a folder.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_dir()).collect()
}

/// The regular files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

fn is_accepted(cfg: &Path) -> bool {
    let mut check = Command::new(haproxy());
    check.arg("-c").arg("-f").arg(cfg);
    Done::of(check).status.success()
}
