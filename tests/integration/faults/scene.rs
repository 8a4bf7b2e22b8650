//! A host on which one state of a cluster is replaced by another, over and over from the same start.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use haproxy_marathon_bridge::disk::Digest;
use haproxy_marathon_bridge::haproxy::listen::is_taken;
use serde_json::Value;

use super::cluster::{Cluster, NAMES};
use super::home::{Home, files, scratch_folders};
use super::installed::{Installed, is_accepted};
use super::strace::{self, Fault, Step};
use crate::host::{Host, wait_until};
use crate::support::Done;

/// From where a run starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Nothing is installed, nothing runs.
    Nothing,
    /// A few states came and went, the last of them is installed and runs.
    Serving,
}

/// Two states of one cluster, and the runs between them.
pub(super) struct Scene {
    cluster: Cluster,
    start: Start,
    reload: &'static str,
    /// What lies on the disk where each state was applied.
    homes: [Home; 2],
    ends: [End; 2],
    steps: [Vec<Step>; 2],
    /// The state that was applied last.
    now: usize,
}

/// What a complete run leads to.
#[derive(Default)]
struct End {
    installed: Installed,
    remembered: Remembered,
}

/// What is remembered of the installed files, and of the answer that they were made of.
#[derive(Debug, Default, PartialEq, Eq)]
struct Remembered {
    applied: Value,
    counts_on: Value,
    answer: Option<String>,
}

impl Remembered {
    fn of(host: &Host) -> Self {
        let state = host.state();
        Self {
            applied: state["applied"]["cfg_hash"].clone(),
            counts_on: state["answer"].clone(),
            answer: fs::read_to_string(host.state_folder().join("snapshot.json")).ok(),
        }
    }
}

impl Remembered {
    /// Whether that answer is of any use.
    fn counts(&self) -> bool {
        self.counts_on != Value::Null && self.counts_on["cfg_hash"] == self.applied
    }
}

impl Scene {
    pub(super) fn new(cluster: Cluster, start: Start, reload: &'static str) -> Self {
        let mut scene = Self {
            cluster,
            start,
            reload,
            homes: Default::default(),
            ends: Default::default(),
            steps: Default::default(),
            now: 0,
        };
        fs::create_dir(scene.host().path("tmp")).unwrap();
        for state in [0, 1] {
            Home::default().restore(scene.host());
            let answers = &scene.cluster.answers[state];
            for answer in scene.cluster.earlier.iter().chain([answers]) {
                scene.cluster.tell(answer);
                scene.refresh().expect(0);
            }
            let installed = scene.installed().unwrap();
            assert_eq!(installed.faults(), [""; 0]);
            scene.ends[state] = End {
                installed,
                remembered: Remembered::of(scene.host()),
            };
            if start == Start::Serving {
                scene.homes[state] = Home::of(scene.host());
            }
        }
        scene.now = 1;
        for state in [0, 1] {
            scene.set_out(state);
            scene.steps[state] = strace::survey(&scene.command(), scene.host().root());
            scene.arrived(state);
            scene.now = state;
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
        let new = 1 - self.now;
        let step = self.steps[new][number].clone();
        self.set_out(new);
        let done = strace::inject(&self.command(), self.host().root(), &step, fault);
        let what = format!("{fault:?} at {number}, {step}: {done:#?}");

        self.assert_sound(new, &what);
        self.assert_counts_on_an_end(&what);
        self.assert_served(&what);
        judge(&step, &done);
        self.assert_held(new, &what);
        if fault == Fault::Killed {
            self.assert_whole_in_a_pause(&what);
        }

        let next = self.refresh();
        let what = format!("{what}\nand then {next:#?}");
        assert_eq!(next.status.code(), Some(0), "{what}");
        let End {
            installed,
            remembered,
        } = &self.ends[new];
        assert_eq!(self.installed().as_ref(), Some(installed), "{what}");
        self.now = new;
        self.arrived(new);
        assert_eq!(self.leftovers(), BTreeSet::new(), "{what}");
        let idle = self.host().untouched(|| self.refresh());
        assert_eq!((idle.status.code(), &*idle.stderr), (Some(0), ""), "{what}");
        assert_eq!(&Remembered::of(self.host()), remembered, "{what}");
    }

    /// What lies there serves, and the state does not take it for something else.
    fn assert_sound(&self, new: usize, what: &str) {
        let ends = match self.start {
            Start::Nothing => &self.ends[new..=new],
            Start::Serving => &self.ends,
        };
        let Some(there) = self.installed() else {
            assert_eq!(self.start, Start::Nothing, "nothing is there\n{what}");
            return;
        };
        assert!(
            ends.iter().any(|end| end.installed.cfg == there.cfg),
            "neither the old file nor the new: {there:?}\n{what}"
        );
        assert!(is_accepted(&self.host().cfg()), "{there:?}\n{what}");
        let ends: Vec<&Installed> = ends.iter().map(|end| &end.installed).collect();
        assert_eq!(there.faults_between(&ends), [""; 0], "{there:?}\n{what}");
    }

    /// The state knows the answer beside it as one that the files before or after were made of.
    fn assert_counts_on_an_end(&self, what: &str) {
        if self.host().state_folder().join("state.json").exists() {
            let now = Remembered::of(self.host());
            let mut ends = self.ends.iter();
            assert!(
                !now.counts() || ends.any(|end| end.remembered == now),
                "the state counts on another answer: {now:?}\n{what}"
            );
        }
    }

    /// An answer that was made while a removal is held tells of all that is served.
    fn assert_tells_of_all(&self, what: &str) {
        let now = Remembered::of(self.host());
        let cfg = self.installed().unwrap().cfg;
        // It is of no use beside files that HAProxy is yet to be brought to.
        if !now.counts() || now.applied != Digest::of(cfg.as_bytes()).to_string() {
            return;
        }
        let answer: Value = serde_json::from_str(&now.answer.unwrap()).unwrap();
        let apps = answer["apps"].as_array().unwrap();
        let tasks = apps.iter().flat_map(|app| app["tasks"].as_array().unwrap());
        let places: BTreeSet<String> = tasks
            .map(|task| format!("{}:{}", task["host"].as_str().unwrap(), task["ports"][0]))
            .collect();
        let servers = cfg.lines().filter(|line| line.starts_with("  server "));
        let places_of = servers.filter_map(|line| line.split_whitespace().nth(2));
        // Our own socket is one, too.
        let served: Vec<&str> = places_of.filter(|place| !place.starts_with('/')).collect();
        assert!(!served.is_empty(), "{cfg}\n{what}");
        for place in served {
            assert!(
                places.contains(place),
                "{place} is not in {places:?}\n{what}"
            );
        }
    }

    fn assert_served(&self, what: &str) {
        if self.reload == "sf" && self.start == Start::Serving {
            let served = self.cluster.ask();
            let served = served.unwrap_or_else(|| panic!("nobody answers\n{what}"));
            assert!(NAMES.contains(&&*served), "{served}\n{what}");
        }
    }

    /// An answer that lacks most of what is installed takes nothing of it away. Afterwards all is as
    /// it was.
    fn assert_held(&self, new: usize, what: &str) {
        let (Some(lacking), Some(there)) = (&self.cluster.lacking, self.installed()) else {
            return;
        };
        let before = Home::of(self.host());
        self.cluster.tell(lacking);
        let held = self.refresh();
        let what = format!("{what}\nand then, held, {held:#?}");
        assert_eq!(held.status.code(), Some(1), "{what}");
        held.says(&["the answer lacks"]);
        let cfg = self.installed().map(|installed| installed.cfg);
        assert_eq!(cfg.as_ref(), Some(&there.cfg), "{what}");
        self.assert_sound(new, &what);
        self.assert_tells_of_all(&what);
        self.assert_served(&what);
        before.restore(self.host());
        self.cluster.tell(&self.cluster.answers[new]);
    }

    /// Who wants that nothing is changed does not get a state between two, which nobody asked for.
    /// Afterwards all is as it was.
    fn assert_whole_in_a_pause(&self, what: &str) {
        let is_whole = |there| self.ends.iter().any(|end| end.installed == there);
        if self.installed().is_none_or(is_whole) {
            return;
        }
        let before = Home::of(self.host());
        // Whatever lies there is a pause.
        fs::write(self.host().state_folder().join("paused.json"), "").unwrap();
        let paused = self.refresh();
        let what = format!("{what}\nand then, paused, {paused:#?}");
        assert_eq!(paused.status.code(), Some(0), "{what}");
        assert!(is_whole(self.installed().unwrap()), "{what}");
        before.restore(self.host());
    }

    fn host(&self) -> &Host {
        &self.cluster.host
    }

    fn installed(&self) -> Option<Installed> {
        Installed::read(&self.host().cfg(), self.cluster.maps)
    }

    fn command(&self) -> Command {
        let source = format!("file:{}", self.host().path("apps.json").display());
        let mut command = self
            .host()
            .refresh_command(&[source], &["--reload", self.reload]);
        command.envs(self.cluster.options.iter().copied());
        command.env("TMPDIR", self.host().path("tmp"));
        command
    }

    fn refresh(&self) -> Done {
        Done::of(self.command())
    }

    /// Back to where the other state was applied, with this one to come.
    fn set_out(&self, state: usize) {
        self.homes[1 - state].restore(self.host());
        if self.start == Start::Nothing {
            self.host().kill();
            // A process that ends loses its name before its sockets.
            wait_until("the end of HAProxy", || {
                self.host().haproxies().is_empty() && !is_taken(&self.cluster.target().into())
            });
        }
        self.cluster.tell(&self.cluster.answers[state]);
    }

    /// Waits until HAProxy serves the state: an old process may have the last word for a moment.
    fn arrived(&self, state: usize) {
        if self.reload == "sf" {
            let name = self.cluster.expected(state);
            wait_until(name, || self.cluster.ask().as_deref() == Some(name));
        }
    }

    /// Files and copies for `haproxy -c` that no run would leave if nothing had gone wrong.
    fn leftovers(&self) -> BTreeSet<PathBuf> {
        let state = self.host().state_folder();
        // There is no list where the first run could not make the folder.
        let list = fs::read(state.join("last-good/files.json")).unwrap_or_else(|_| b"{}".to_vec());
        let list: Value = serde_json::from_slice(&list).unwrap();
        let sets = list["sets"].as_array().into_iter().flatten();
        let copies = sets.flat_map(|set| {
            let maps = set["maps"].as_object().unwrap().values();
            maps.chain([&set["cfg"]])
        });
        let copy = |copy: &Value| state.join("last-good").join(copy["file"].as_str().unwrap());
        let mut expected: BTreeSet<PathBuf> = copies.map(copy).collect();
        let cfg = self.host().cfg();
        let installed = [".keep"].iter().chain(self.cluster.maps);
        expected.extend(installed.map(|name| cfg.with_file_name(name)));
        let remembered = ["last-good/files.json"].iter();
        let remembered = remembered.chain(self.cluster.remembered);
        expected.extend(remembered.map(|name| state.join(name)));
        expected.insert(cfg);
        let is_left = |path: &PathBuf| !expected.contains(path);
        let left = files(self.host()).into_iter().filter(is_left);
        left.chain(scratch_folders(self.host())).collect()
    }
}
