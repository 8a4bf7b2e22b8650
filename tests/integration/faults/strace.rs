//! Steps of a run of the program that change the disk, and faults at them.
//!
//! In comes a command; out goes what it did, or what became of it when one step failed. Children,
//! HAProxy among them, are not traced.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Done;

/// All by which a program changes names, content, modes and owners, and what it waits for.
const SYSCALLS: &str = "?creat,openat,write,writev,pwrite64,ftruncate,fsync,fdatasync,?rename,\
                        renameat,renameat2,?link,linkat,symlinkat,?unlink,unlinkat,?rmdir,?mkdir,\
                        mkdirat,?chmod,fchmod,fchmodat,?chown,?lchown,fchown,fchownat";

/// In this folder in ours `haproxy -c` judges.
pub(super) const SCRATCH: &str = "/haproxy-marathon-bridge.check.";

/// A step, by how a run of the same program on the same files meets it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) syscall: String,
    /// What it changes; of a rename, the new name.
    pub(super) path: PathBuf,
    /// By what strace knows it; of a rename, the old name.
    handle: String,
    /// The how manieth such call on that.
    when: usize,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} `{}`",
            self.syscall,
            self.when,
            self.path.display()
        )
    }
}

impl Step {
    pub(super) fn is_in_scratch(&self) -> bool {
        self.path.to_string_lossy().contains(SCRATCH)
    }
}

/// What happens at a step, instead of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A SIGKILL: right after the step before.
    Killed,
    /// An error, by its name.
    Fails(&'static str),
}

/// Runs `command` and finds its steps below `root`.
pub(super) fn survey(command: &Command, root: &Path) -> Vec<Step> {
    let log = root.join("strace");
    let mut traced = under_strace(command, &log);
    traced.arg("-e").arg(format!("trace={SYSCALLS}"));
    Done::of(with_program(traced, command)).expect(0);
    steps(&fs::read_to_string(log).unwrap(), root)
}

/// Runs `command` with a fault at `step`.
pub(super) fn inject(command: &Command, root: &Path, step: &Step, fault: Fault) -> Done {
    let log = root.join("strace");
    let mut traced = under_strace(command, &log);
    let Step {
        syscall,
        handle,
        when,
        ..
    } = step;
    let what = match fault {
        Fault::Killed => "signal=KILL".to_owned(),
        Fault::Fails(error) => format!("error={error}"),
    };
    traced.arg("-e").arg(format!("trace={syscall}"));
    traced
        .arg("-e")
        .arg(format!("inject={syscall}:{what}:when={when}"));
    traced.arg("-P").arg(handle);
    let done = Done::of(with_program(traced, command));
    let log = fs::read_to_string(log).unwrap();
    let hit = log.lines().rfind(|line| match fault {
        Fault::Killed => line.ends_with("= ?"),
        Fault::Fails(_) => line.ends_with("(INJECTED)"),
    });
    assert!(
        hit.is_some_and(|line| line.contains(handle.as_str())),
        "{step}: {fault:?} did not meet it\n{log}\n{done:#?}"
    );
    done
}

fn under_strace(command: &Command, log: &Path) -> Command {
    let mut traced = Command::new("strace");
    traced.args(["-qq", "-y", "-o"]).arg(log);
    traced.env_clear();
    for (name, value) in command.get_envs() {
        traced.env(name, value.unwrap());
    }
    traced.current_dir(command.get_current_dir().unwrap());
    traced
}

fn with_program(mut traced: Command, command: &Command) -> Command {
    traced.arg(command.get_program()).args(command.get_args());
    traced
}

fn steps(log: &str, root: &Path) -> Vec<Step> {
    let root = format!("{}/", root.display());
    let mut seen: Vec<(&str, &str)> = Vec::new();
    let mut steps = Vec::new();
    for line in log.lines() {
        let Some((syscall, args)) = line.split_once('(') else {
            continue;
        };
        seen.push((syscall, args));
        let only_reads =
            syscall == "openat" && !["O_CREAT", "O_TRUNC"].iter().any(|f| args.contains(f));
        let named = |at| args[at..].split(['"', '>']).next().unwrap();
        let Some(at) = args.find(&root).filter(|_| !only_reads) else {
            continue;
        };
        let handle = named(at);
        let path = if syscall.starts_with("rename") {
            named(args.rfind(&root).unwrap())
        } else {
            handle
        };
        let is_meant = |args: &str| {
            args.contains(&format!("\"{handle}\"")) || args.contains(&format!("<{handle}>"))
        };
        let same = seen
            .iter()
            .filter(|(other, args)| *other == syscall && is_meant(args));
        steps.push(Step {
            syscall: syscall.to_owned(),
            path: PathBuf::from(path),
            handle: handle.to_owned(),
            when: same.count(),
        });
    }
    steps
}
