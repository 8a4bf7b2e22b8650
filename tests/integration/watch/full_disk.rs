//! A file system that is full, with `haproxy.cfg` and the state on it: what is wrong is said once, and
//! once when it is over, and the program catches up by itself.
//!
//! It is a small one in a mount namespace of the watcher's own, so that nobody else runs out of room.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::disk::Digest;
use nix::sys::signal::Signal;
use nix::unistd::Uid;

use super::{Watcher, fetches};
use crate::host::{Host, SOON, Web, block_on, wait_until};
use crate::support::Done;

/// What the kernel gives nobody else a look at. Only root needs no user namespace for that.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if !Uid::effective().is_root() {
        command.arg("-r");
    }
    command.arg("-m");
    command
}

/// The same program, elsewhere.
fn within(mut outer: Command, inner: &Command) -> Command {
    outer.arg(inner.get_program()).args(inner.get_args());
    outer.env_clear();
    let variables = inner.get_envs();
    outer.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = inner.get_current_dir() {
        outer.current_dir(folder);
    }
    outer
}

pub(super) struct Scene {
    pub(super) host: Host,
    pub(super) web: Web,
    pub(super) watcher: Watcher,
    said: Vec<String>,
}

impl Scene {
    /// A watcher that serves, whose files and memory lie on a small disk; `None` where no disk can be
    /// mounted, which only a run of all tests takes for a failure.
    pub(super) fn new(host: Host, more: &[&str]) -> Option<Self> {
        let tried = unshare().arg("true").output();
        let tried = tried.expect("`unshare` is part of util-linux, which this test needs");
        if !tried.status.success() {
            let why = String::from_utf8_lossy(&tried.stderr);
            let why = format!("no disk can be mounted, as root or where users may: {why}");
            assert!(env::var_os("HMB_TEST_ALL").is_none(), "{why}");
            eprintln!("not tested: {why}");
            return None;
        }
        let web = Web::start();
        let disk = host.path("etc");
        let state = disk.join("state").display().to_string();
        let program = host.watch_command(
            &web.url(),
            &[&["--state-dir", &state, "--resync", "1h"], more].concat(),
        );
        let mut outer = unshare();
        outer.args([
            "sh",
            "-c",
            "mount -t tmpfs -o size=2m,mode=755 full \"$0\" && exec \"$@\"",
        ]);
        outer.arg(&disk);
        let watcher = Watcher::start(within(outer, &program));
        watcher.says("installed `");
        block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
        let scene = Self {
            host,
            web,
            watcher,
            said: Vec::new(),
        };
        wait_until("the state", || scene.on_disk("state").exists());
        Some(scene)
    }

    /// A place on the disk, as it is seen from here.
    fn on_disk(&self, name: &str) -> PathBuf {
        let disk = self.host.path("etc");
        let disk = disk.strip_prefix("/").unwrap();
        let root = Path::new("/proc").join(self.watcher.id().to_string());
        root.join("root").join(disk).join(name)
    }

    pub(super) fn fill(&self) {
        let mut file = File::create(self.on_disk("ballast")).unwrap();
        for size in [65_536, 4_096, 1] {
            while file.write(&vec![0; size]).is_ok_and(|written| written > 0) {}
        }
    }

    pub(super) fn free(&self) {
        fs::remove_file(self.on_disk("ballast")).unwrap();
    }

    fn status(&self) -> Done {
        let mut program = self.host.status_command();
        let state = self.host.path("etc/state").display().to_string();
        program.args(["--state-dir", &state]);
        let mut outer = Command::new("nsenter");
        outer.args(["-t", &self.watcher.id().to_string(), "-m"]);
        if !Uid::effective().is_root() {
            outer.args(["-U", "--preserve-credentials"]);
        }
        Done::of(within(outer, &program))
    }

    fn installed(&self) -> String {
        fs::read_to_string(self.on_disk("haproxy.cfg")).unwrap()
    }

    /// Takes that many turns, whatever comes of them.
    fn take_turns(&self, turns: u64) {
        for _ in 0..turns {
            let before = fetches(&self.web);
            self.watcher.send(Signal::SIGHUP);
            wait_until("another turn", || fetches(&self.web) > before);
        }
    }

    fn listen(&mut self) {
        self.said.extend(self.watcher.said());
    }

    /// A task comes that nobody has room for, whatever turns are taken.
    #[track_caller]
    fn is_hindered(&mut self) {
        self.fill();
        self.web.scale_up();
        self.said
            .extend(self.watcher.says("No space left on device"));
        self.take_turns(4);
        self.listen();
    }

    /// There is room again.
    #[track_caller]
    fn makes_up_for_it(&mut self) {
        self.free();
        self.said
            .extend(self.watcher.says_within("installed `", SOON * 2));
        assert!(self.installed().contains(&self.web.newest_address()));
        wait_until("a good status", || self.status().status.success());
        self.each_trouble_was_told_twice();
    }

    /// All that was said so far is told once, and what is wrong is over.
    #[track_caller]
    fn each_trouble_was_told_twice(&mut self) {
        let until = Instant::now() + SOON;
        loop {
            self.listen();
            let open = self.open_troubles();
            if open.is_empty() {
                break;
            }
            let said = &self.said;
            assert!(Instant::now() < until, "not over: {open:#?}\nof {said:#?}");
            thread::sleep(Duration::from_millis(5));
        }
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for line in &self.said {
            let (_, sentence) = line.split_once(' ').unwrap();
            *times.entry(sentence).or_default() += 1;
        }
        times.retain(|_, times| *times > 1);
        assert_eq!(times, BTreeMap::new(), "{:#?}", self.said);
    }

    fn open_troubles(&self) -> Vec<&str> {
        let trouble = |line: &'_ String| {
            let words = [" error: ", " warn: "].iter();
            words
                .clone()
                .find_map(|word| Some(line.find(word)? + word.len()))
        };
        let lines = self.said.iter();
        let troubles = lines.filter_map(|line| Some(&line[trouble(line)?..]));
        let is_over = |trouble: &str| {
            let mut overs = self.said.iter().filter(|line| line.contains(" over: "));
            overs.any(|over| over.contains(trouble))
        };
        troubles.filter(|trouble| !is_over(trouble)).collect()
    }
}

#[test]
fn what_a_full_disk_hinders_is_told_once_and_made_up_for() {
    let Some(mut scene) = Scene::new(Host::new(), &[]) else {
        return;
    };
    scene.status().expect(0);
    let before = scene.installed();
    scene.is_hindered();
    assert_eq!(scene.installed(), before);
    assert_eq!(scene.web.connect().ask(), "web-0");
    let told = scene.status().expect(1);
    told.prints(&["something is wrong", "No space left on device", "not saved"]);

    scene.makes_up_for_it();
}

/// Where servers come and go without a reload, the way there is another one.
#[test]
fn the_same_holds_for_servers_alone() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let Some(mut scene) = Scene::new(host, &["--reload", "none"]) else {
        return;
    };
    scene.web.scale_up();
    scene.watcher.says("installed `");
    let before = scene.installed();
    scene.is_hindered();
    assert_eq!(scene.installed(), before);
    scene.status().expect(1);
    scene.makes_up_for_it();
}

/// What was installed before is due to be checked while nothing more can be.
#[test]
fn it_is_made_up_for_where_servers_had_come_just_before() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let Some(mut scene) = Scene::new(host, &["--reload", "none"]) else {
        return;
    };
    scene.web.scale_up();
    scene.watcher.says("installed `");
    // So that the check is due before the first turn that is taken because one failed.
    thread::sleep(Duration::from_millis(400));
    scene.fill();
    scene.web.scale_up();
    scene.watcher.says("No space left on device");
    let before = fetches(&scene.web);
    wait_until("more turns", || before + 1 < fetches(&scene.web));
    scene.free();
    scene.watcher.says_within("installed `", SOON * 2);
    assert!(scene.installed().contains(&scene.web.newest_address()));
    wait_until("a good status", || scene.status().status.success());
}

/// Who asks where no watcher answers knows of it, too.
#[test]
fn a_status_without_a_watcher_to_ask_knows_of_a_turn_that_was_not_saved() {
    let Some(mut scene) = Scene::new(Host::new(), &["--admin-socket", "none"]) else {
        return;
    };
    scene.fill();
    scene.web.scale_up();
    scene.watcher.says("No space left on device");
    wait_until("a bad status", || !scene.status().status.success());
    let told = scene.status().stdout;
    assert!(
        told.contains("not saved") && told.contains("failed"),
        "{told}"
    );
    scene.free();
    scene.watcher.says_within("installed `", SOON * 2);
    wait_until("a good status", || scene.status().status.success());
}

#[test]
fn what_is_remembered_is_made_anew_where_it_was_taken_away() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, &["--resync", "1h"]);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let file = |name: &str| host.state_folder().join(name);
    wait_until("the answer", || file("snapshot.json").exists());
    fs::remove_dir_all(host.state_folder()).unwrap();
    watcher.send(Signal::SIGHUP);
    watcher.says("was emptied or taken away");
    for name in [
        "state.json",
        "snapshot.json",
        "lock",
        "last-good/files.json",
    ] {
        wait_until(name, || file(name).exists());
    }
    let kept = |hash: &str| host.state()[hash]["cfg_hash"].clone();
    wait_until("the answer", || kept("answer") == kept("applied"));
    let cfg = Digest::of(host.installed().as_bytes()).to_string();
    assert_eq!(kept("applied"), cfg.as_str());
    // Nobody else takes it for free.
    let refreshed = host.refresh(&web.url(), &[]).expect(0);
    refreshed.says(&["is kept in step by a watcher"]);
    web.scale_up();
    watcher.says("installed `");
}
