//! The private place in which the demo happens: a folder, and the HAProxy processes that run with
//! the file in it.
//!
//! In comes the configuration of the command line; it leaves with every path of its own inside the
//! folder, so that nothing of this host is touched. When the stage goes, by whatever way, the
//! processes and the folder go with it.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::config::{Config, ReloadMethod, TemplateSet};
use crate::haproxy::{Proc, Process};

/// A template of the set of which the demo's differs: it stays away from what is shared on a host.
struct Moved {
    /// A file of this name in `--template-dir` replaces it.
    file: &'static str,
    text: &'static str,
    /// Where it listens, which may be taken on this host.
    bind: &'static str,
}

/// The first is the one with the page of statistics.
const MOVED: [Moved; 3] = [
    Moved {
        file: "fragments/head.cfg.tera",
        text: include_str!("../../../templates/native/fragments/head.cfg.tera"),
        bind: "127.0.0.1:9090",
    },
    Moved {
        file: "http_in.cfg.tera",
        text: include_str!("../../../templates/native/http_in.cfg.tera"),
        bind: "*:80",
    },
    Moved {
        file: "appid_in.cfg.tera",
        text: include_str!("../../../templates/native/appid_in.cfg.tera"),
        bind: "*:9091",
    },
];

/// Where the head has the sockets of HAProxy.
const SOCKETS: &str = "/run/haproxy/";

/// Bytes of the path of the folder for temporary files that leave room for a socket inside ours:
/// HAProxy takes 97 in all.
const LONGEST_PARENT: usize = 30;

/// A killed process needs no longer to be gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks at processes that are about to end.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The place. Dropping it ends the processes and removes the folder.
pub struct Stage {
    folder: Option<TempDir>,
    root: PathBuf,
    cfg: PathBuf,
    pid_file: PathBuf,
    program: PathBuf,
    /// Files of `--template-dir`.
    brought: BTreeSet<PathBuf>,
    proc: Proc,
}

impl Stage {
    /// Makes the folder and turns `config` towards it and towards the Marathon at `marathon`.
    /// What else `config` says counts: program, version, templates.
    ///
    /// # Errors
    /// When the folder cannot be made, or the templates that were named cannot be read.
    pub fn set(config: &mut Config, marathon: &str) -> Result<Self> {
        let folder = private_folder()?;
        let root = fs::canonicalize(folder.path()).context("the private folder has gone")?;
        let templates = root.join("templates");
        fs::create_dir(&templates).with_context(|| cannot_write(&templates))?;
        let brought = match &config.templates.dir {
            Some(dir) => copy_templates(dir, &templates)?,
            None => BTreeSet::new(),
        };
        let stage = Self {
            folder: Some(folder),
            cfg: root.join("haproxy.cfg"),
            pid_file: root.join("haproxy.pid"),
            program: fs::canonicalize(&config.haproxy.program)
                .unwrap_or_else(|_| config.haproxy.program.clone()),
            brought,
            proc: Proc::default(),
            root,
        };
        stage.turn_towards(config, marathon, templates);
        Ok(stage)
    }

    fn turn_towards(&self, config: &mut Config, marathon: &str, templates: PathBuf) {
        config.marathon.urls = vec![marathon.to_owned()];
        config.marathon.ca_cert = None;
        config.marathon.proxy_from_environment = false;
        config.groups = vec!["*".to_owned()];
        config.haproxy.config.clone_from(&self.cfg);
        config.haproxy.pid_file.clone_from(&self.pid_file);
        config.haproxy.stats_socket = None;
        config.haproxy.master_socket = None;
        config.templates.set = TemplateSet::Native;
        config.templates.dir = Some(templates);
        config.reload.method = ReloadMethod::Sf;
        config.reload.command = None;
        config.state.dir = self.root.join("state");
        config.state.lock_file = None;
        // Where ports are taken, everybody moves to others.
        config.allow_removal = true;
    }

    /// Has the page of statistics, hosts, and ids of apps listen on these ports of loopback; those of
    /// the set may be taken on this host. Returns false where the page is one of `--template-dir`.
    ///
    /// # Errors
    /// When a template cannot be written.
    pub fn place(&self, ports: [u16; 3]) -> Result<bool> {
        for (moved, port) in MOVED.iter().zip(ports) {
            if self.brought.contains(Path::new(moved.file)) {
                continue;
            }
            let path = self.root.join("templates").join(moved.file);
            let folder = path.parent().unwrap_or(&self.root);
            fs::create_dir_all(folder).with_context(|| cannot_write(folder))?;
            fs::write(&path, moved.to(port, &self.root)).with_context(|| cannot_write(&path))?;
        }
        Ok(!self.brought.contains(Path::new(MOVED[0].file)))
    }

    /// The private folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// The `haproxy.cfg` in it.
    #[must_use]
    pub fn cfg(&self) -> &Path {
        &self.cfg
    }

    /// What lies there now; empty where nothing does.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn installed(&self) -> Result<String> {
        match fs::read_to_string(&self.cfg) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => {
                Err(error).with_context(|| format!("`{}` cannot be read", self.cfg.display()))
            }
        }
    }

    /// The process that the pid file names, if it lives.
    #[must_use]
    pub fn serving(&self) -> Option<u32> {
        let named = self.proc.of_pid_file(&self.pid_file);
        named.first().map(|process| process.pid)
    }

    /// Every live process that was started with our file, also those that only finish what they
    /// began. The file is private, so all of them are ours; who else names it, like an editor, is
    /// another program.
    #[must_use]
    pub fn haproxies(&self) -> Vec<u32> {
        let ours = |process: &Process| {
            let is_program = process.program.as_ref() == Some(&self.program);
            (is_program || process.is_haproxy()) && process.uses(&self.cfg)
        };
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(|pid| self.proc.process(pid))
            .filter(ours)
            .map(|process| process.pid)
            .collect()
    }

    /// Ends the processes and removes the folder. Returns how many processes had to be ended.
    ///
    /// # Errors
    /// When one does not end, or the folder cannot be removed.
    pub fn clear(mut self) -> Result<usize> {
        self.clear_up()
    }

    fn clear_up(&mut self) -> Result<usize> {
        let Some(folder) = self.folder.take() else {
            return Ok(0);
        };
        let ended = self.end_haproxies();
        let path = folder.path().to_owned();
        folder
            .close()
            .with_context(|| format!("`{}` cannot be removed", path.display()))?;
        ended
    }

    /// One that is just starting another one shows up with it at the next look.
    fn end_haproxies(&self) -> Result<usize> {
        let began = Instant::now();
        let mut seen = BTreeSet::new();
        loop {
            let alive = self.haproxies();
            if alive.is_empty() {
                return Ok(seen.len());
            }
            if began.elapsed() > PATIENCE {
                bail!("the HAProxy processes {alive:?} of the demo do not end, even by SIGKILL");
            }
            for pid in alive {
                seen.insert(pid);
                let Ok(number) = i32::try_from(pid) else {
                    continue;
                };
                // Whoever has ended in this moment need not be killed.
                let _ = kill(Pid::from_raw(number), Signal::SIGKILL);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = self.clear_up() {
            tracing::error!("{error:#}");
        }
    }
}

fn private_folder() -> Result<TempDir> {
    let usual = std::env::temp_dir();
    let parent = if usual.as_os_str().len() <= LONGEST_PARENT {
        &usual
    } else {
        Path::new("/tmp")
    };
    tempfile::Builder::new()
        .prefix("hmb-demo-")
        .tempdir_in(parent)
        .with_context(|| format!("no private folder can be made in `{}`", parent.display()))
}

/// Returns what there was.
fn copy_templates(from: &Path, to: &Path) -> Result<BTreeSet<PathBuf>> {
    let unreadable = || format!("--template-dir `{}` cannot be read", from.display());
    let mut copied = BTreeSet::new();
    for folder in ["", "fragments"].map(Path::new) {
        let entries = match fs::read_dir(from.join(folder)) {
            Err(error) if error.kind() == ErrorKind::NotFound && folder != Path::new("") => {
                continue;
            }
            entries => entries.with_context(unreadable)?,
        };
        fs::create_dir_all(to.join(folder)).with_context(|| cannot_write(to))?;
        for entry in entries {
            let file = folder.join(entry.with_context(unreadable)?.file_name());
            if file.extension().is_some_and(|end| end == "tera") {
                fs::copy(from.join(&file), to.join(&file)).with_context(unreadable)?;
                copied.insert(file);
            }
        }
    }
    Ok(copied)
}

impl Moved {
    /// The set's own, with another port, with sockets in the folder `run`, and without the syslog of
    /// this host, which has no interest in the demo's requests.
    fn to(&self, port: u16, run: &Path) -> String {
        let sockets = format!("{}/", run.display());
        let bind = format!("bind 127.0.0.1:{port}");
        self.text
            .lines()
            .filter(|line| !line.trim_start().starts_with("log /dev/log"))
            .map(|line| line.replace(&format!("bind {}", self.bind), &bind))
            .map(|line| line.replace(SOCKETS, &sockets) + "\n")
            .collect()
    }
}

fn cannot_write(path: &Path) -> String {
    format!("`{}` cannot be written", path.display())
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::process::Command;

    use super::*;
    use crate::config::{CommandLine, Layer, Policy, Request, System, build};

    fn config() -> Config {
        let request = Request {
            policy: Policy::of(CommandLine::Native),
            needs_marathon: false,
            flags: Layer::default(),
        };
        let system = System {
            environment: [].into(),
            read: Box::new(|_| Err(std::io::ErrorKind::NotFound.into())),
            mode: Box::new(|_| None),
            default_file: "/nonexistent/config.toml".into(),
            marathons: "/nonexistent/marathons".into(),
        };
        build(&request, &system).unwrap().config
    }

    #[test]
    fn a_panic_leaves_neither_process_nor_folder() {
        let proc = Proc::default();
        let (left, folder) = {
            let mut left = None;
            let told = catch_unwind(AssertUnwindSafe(|| {
                let stage = Stage::set(&mut config(), "http://127.0.0.1:1").unwrap();
                let port = crate::demo::free_ports(1).unwrap()[0];
                let text = format!("listen a\n  bind 127.0.0.1:{port}\n  mode http\n");
                fs::write(stage.cfg(), text).unwrap();
                let started = Command::new("haproxy")
                    .args(["-D", "-p"])
                    .arg(&stage.pid_file)
                    .arg("-f")
                    .arg(stage.cfg())
                    .status();
                assert!(started.unwrap().success());
                let pid = stage.serving().unwrap();
                assert_eq!(stage.haproxies(), [pid]);
                left = Some((proc.process(pid).unwrap(), stage.folder().to_owned()));
                panic!("on purpose");
            }));
            assert!(told.is_err());
            left.unwrap()
        };
        assert!(!proc.still_runs(&left), "{left:?} still runs");
        assert!(!folder.exists(), "{} is still there", folder.display());
    }

    #[test]
    fn templates_are_those_of_the_set_but_for_their_places_and_syslog() {
        let differs = |moved: &Moved| -> Vec<String> {
            let ours = moved.to(4711, Path::new("/x"));
            assert!(ours.contains("bind 127.0.0.1:4711"), "{ours}");
            let lines = moved.text.lines();
            let lines = lines.filter(|line| !ours.lines().any(|own| own == *line));
            lines.map(|line| line.trim().to_owned()).collect()
        };
        assert_eq!(
            differs(&MOVED[0]),
            [
                "log /dev/log local0",
                "log /dev/log local1 notice",
                "stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners",
                "server-state-file /run/haproxy/server-state",
                "bind 127.0.0.1:9090"
            ]
        );
        for moved in &MOVED[1..] {
            assert_eq!(differs(moved).len(), 1, "{}", moved.file);
        }
    }

    #[test]
    fn templates_are_copied_and_remembered() {
        let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        fs::write(from.path().join("http_in.cfg.tera"), "x").unwrap();
        fs::write(from.path().join("README"), "x").unwrap();
        let copied = copy_templates(from.path(), to.path()).unwrap();
        assert!(
            copied.iter().eq([Path::new("http_in.cfg.tera")]),
            "{copied:?}"
        );
        assert!(!to.path().join("README").exists());
        fs::create_dir(from.path().join("fragments")).unwrap();
        fs::write(from.path().join(MOVED[0].file), "x").unwrap();
        let copied = copy_templates(from.path(), to.path()).unwrap();
        assert!(copied.contains(Path::new(MOVED[0].file)), "{copied:?}");
        assert!(to.path().join(MOVED[0].file).exists());
    }
}
