//! Which HAProxy processes run on this host, told by `/proc` and by pid files.
//!
//! In come pids and the path of a configuration file; out go processes with what tells them apart
//! from a later owner of the same number. The root of `/proc` can be another folder, for tests.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::disk::{LARGEST, read_text};

/// A folder of processes, `/proc`.
#[derive(Clone, Debug)]
pub struct Proc {
    root: PathBuf,
    /// What counts as HAProxy whatever its name is, as it really lies.
    program: Option<PathBuf>,
}

/// One live process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number, which another process gets some day.
    pub pid: u32,
    /// When it started, in clock ticks since the host did: with the pid, nobody else's.
    pub started: u64,
    /// The number of the process that it answers to.
    pub parent: u32,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Its program, where we may know it.
    pub program: Option<PathBuf>,
    /// What it was started with, after the program's own name.
    pub arguments: Arguments,
    /// Its program is the one that is known to be HAProxy.
    is_ours: bool,
}

/// What one HAProxy process is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It serves by itself: a new process may take over from it with `-sf`.
    Single,
    /// It keeps workers, and starts new ones when told to.
    Master,
    /// It serves for a master.
    #[expect(missing_docs, reason = "the name says it")]
    Worker { master: u32 },
}

impl Default for Proc {
    fn default() -> Self {
        Self::at("/proc")
    }
}

impl Proc {
    /// The processes below `root`.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            program: None,
        }
    }

    /// The same, where the file `program` is HAProxy whatever its name is.
    #[must_use]
    pub fn with_program(mut self, program: &Path) -> Self {
        self.program = fs::canonicalize(program).ok();
        self
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The process `pid`, if it is alive: one that ended and was not yet waited for is not.
    #[must_use]
    pub fn process(&self, pid: u32) -> Option<Process> {
        let folder = self.root.join(pid.to_string());
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        // The name stands in brackets and may itself hold spaces and brackets.
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let (state, parent, started) = (fields.first()?, fields.get(1)?, fields.get(19)?);
        if matches!(*state, "Z" | "X") {
            return None;
        }
        let words = fs::read(folder.join("cmdline")).unwrap_or_default();
        let words: Vec<&OsStr> = words
            .split(|byte| *byte == 0)
            .skip(1)
            .map(OsStr::from_bytes)
            .collect();
        let working_folder = fs::read_link(folder.join("cwd")).unwrap_or_else(|_| "/".into());
        let program = fs::read_link(folder.join("exe")).ok();
        Some(Process {
            pid,
            is_ours: self.program.is_some() && program.as_deref().map(undeleted) == self.program,
            started: started.parse().ok()?,
            parent: parent.parse().ok()?,
            name: name.to_owned(),
            program,
            arguments: Arguments::parse(&words, &working_folder),
        })
    }

    /// Whether `process` still runs, and not another one under its number.
    #[must_use]
    pub fn still_runs(&self, process: &Process) -> bool {
        self.process(process.pid)
            .is_some_and(|now| now.started == process.started)
    }

    /// All HAProxy processes of this host (of our own pid namespace: a container's have other
    /// files behind the same paths), by pid. A run of `haproxy -c` is none of them.
    #[must_use]
    pub fn haproxies(&self) -> Vec<Process> {
        let Ok(entries) = fs::read_dir(&self.root) else {
            return Vec::new();
        };
        let pids: BTreeSet<u32> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        let ours = self.namespace("self");
        pids.into_iter()
            .filter_map(|pid| self.process(pid))
            .filter(|process| process.is_haproxy() && !process.arguments.checks_only)
            .filter(|process| {
                let theirs = self.namespace(&process.pid.to_string());
                theirs.is_none() || ours.is_none() || theirs == ours
            })
            .collect()
    }

    fn namespace(&self, process: &str) -> Option<PathBuf> {
        fs::read_link(self.root.join(process).join("ns/pid")).ok()
    }

    /// Whether `process` has a handler for this signal; `None` where that cannot be told.
    #[must_use]
    pub fn catches(&self, process: &Process, signal: Signal) -> Option<bool> {
        let status = self.root.join(process.pid.to_string()).join("status");
        let status = fs::read_to_string(status).ok()?;
        let caught = u64::from_str_radix(row(&status, "SigCgt")?, 16).ok()?;
        Some(caught & (1 << (signal as u32 - 1)) != 0)
    }

    /// What `process`, a HAProxy, is to the other processes.
    #[must_use]
    pub fn role(&self, process: &Process) -> Role {
        let keeps = |parent: &Process| parent.is_haproxy() && parent.arguments.may_keep_workers();
        if let Some(parent) = self.process(process.parent).filter(keeps) {
            return Role::Worker { master: parent.pid };
        }
        // `master-worker` may also stand in the file: then only the worker gives it away.
        let keeps_workers = || {
            process.arguments.may_keep_workers()
                && self
                    .haproxies()
                    .iter()
                    .any(|other| other.parent == process.pid)
        };
        if process.arguments.master_worker || keeps_workers() {
            return Role::Master;
        }
        Role::Single
    }

    /// The live HAProxy processes that `pid_file` names. A stale file names none: its numbers
    /// belong to nobody or to somebody else.
    #[must_use]
    pub fn of_pid_file(&self, pid_file: &Path) -> Vec<Process> {
        let text = read_text(pid_file, LARGEST).unwrap_or_default();
        pids(&text)
            .into_iter()
            .filter_map(|pid| self.process(pid))
            .filter(Process::is_haproxy)
            .collect()
    }

    /// The HAProxy processes that were started with `config`.
    #[must_use]
    pub fn using(&self, config: &Path) -> Vec<Process> {
        self.haproxies()
            .into_iter()
            .filter(|process| process.uses(config))
            .collect()
    }
}

impl Process {
    /// Whether this is HAProxy. Where the program is hidden from us, its name has to do.
    #[must_use]
    pub fn is_haproxy(&self) -> bool {
        if self.is_ours {
            return true;
        }
        match self
            .program
            .as_deref()
            .and_then(Path::file_name)
            .and_then(OsStr::to_str)
        {
            Some(file) => is_haproxys_name(file.trim_end_matches(" (deleted)")),
            None => is_haproxys_name(&self.name),
        }
    }

    /// Whether it runs `config`, as far as can be told: its arguments may be hidden from us.
    #[must_use]
    pub fn may_use(&self, config: &Path) -> bool {
        self.arguments.configs.is_empty() || self.uses(config)
    }

    /// Whether it was started with `config`, given as a file or as the folder it lies in.
    #[must_use]
    pub fn uses(&self, config: &Path) -> bool {
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let wanted = real(config);
        let folder = wanted.parent();
        self.arguments.configs.iter().any(|given| {
            let given = real(given);
            given == wanted || folder == Some(&given)
        })
    }
}

/// Where a program lay that was replaced since, as an upgrade does.
fn undeleted(program: &Path) -> PathBuf {
    let text = program.as_os_str().as_bytes();
    let text = text.strip_suffix(b" (deleted)").unwrap_or(text);
    OsStr::from_bytes(text).into()
}

/// `haproxy`, `haproxy28`, `haproxy-2.8`; not `haproxy-systemd-wrapper`, nor ourselves.
fn is_haproxys_name(name: &str) -> bool {
    name.strip_prefix("haproxy").is_some_and(|rest| {
        rest.bytes()
            .all(|byte| byte.is_ascii_digit() || b".-_".contains(&byte))
    })
}

/// The pids in the text of a pid file, one or several, parted by any white space.
#[must_use]
pub fn pids(text: &str) -> Vec<u32> {
    text.split_ascii_whitespace()
        .filter_map(|word| word.parse().ok())
        .filter(|pid| *pid != 0)
        .collect()
}

/// What a HAProxy process was started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Arguments {
    /// `-f` and what follows `--`: files and folders, absolute.
    pub configs: Vec<PathBuf>,
    /// `-W` or `-Ws`.
    pub master_worker: bool,
    /// `-S`: where the master listens, absolute, without its options.
    pub master_socket: Option<PathBuf>,
    /// `-c`: it checks files and ends.
    pub checks_only: bool,
    /// `-Ds`, before 1.8: a parent that waits for its processes, but is no master.
    pub systemd_daemon: bool,
    /// `-D`: it forks, and the child serves; for a moment, or where it was stopped, both are there.
    pub daemon: bool,
}

impl Arguments {
    /// Reads the words after the program's own; paths are relative to `working_folder` or `-C`.
    #[must_use]
    pub fn parse(words: &[&OsStr], working_folder: &Path) -> Self {
        let mut folder = working_folder.to_owned();
        let mut arguments = Self::default();
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            match word.as_bytes() {
                b"-W" | b"-Ws" => arguments.master_worker = true,
                b"-Ds" => arguments.systemd_daemon = true,
                b"-D" => arguments.daemon = true,
                b"-c" => arguments.checks_only = true,
                b"-f" => arguments
                    .configs
                    .extend(words.next().map(|path| folder.join(path))),
                b"-C" => folder.extend(words.next()),
                b"-S" => {
                    let path = words
                        .next()
                        .and_then(|bind| bind.as_bytes().split(|b| *b == b',').next());
                    let path = path.map(|path| path.strip_prefix(b"unix@").unwrap_or(path));
                    arguments.master_socket = path.map(|path| folder.join(OsStr::from_bytes(path)));
                }
                b"--" => arguments
                    .configs
                    .extend(words.by_ref().map(|path| folder.join(path))),
                b"-L" | b"-N" | b"-m" | b"-n" | b"-p" | b"-x" => _ = words.next(),
                _ => (),
            }
        }
        arguments.configs.retain(|path| path.file_name().is_some());
        arguments
    }

    /// Whether children of such a process can be its workers. With `-D` they are what it forked to go on
    /// without it, unless a file makes it a master; one that cannot be read may.
    fn may_keep_workers(&self) -> bool {
        let is_forking = self.daemon && !self.master_worker;
        !self.systemd_daemon
            && (!is_forking || self.configs.iter().any(|file| may_have_master(file)))
    }
}

fn may_have_master(config: &Path) -> bool {
    let Ok(text) = read_text(config, LARGEST) else {
        return true;
    };
    let mut first = text
        .lines()
        .map(|line| line.split_ascii_whitespace().next());
    first.any(|word| word == Some("master-worker"))
}

/// What `/proc/PID/status` says of this.
pub(super) fn row<'s>(status: &'s str, name: &str) -> Option<&'s str> {
    let mut lines = status.lines();
    lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

#[cfg(test)]
mod tests;
