//! Brings the running HAProxy to the files that are installed.
//!
//! In come a method and where HAProxy's files and sockets are; out goes proof that a new process
//! serves, or why there is none. The files were accepted by `haproxy -c` before; what only a start
//! can find, such as a port that is taken, comes out here in HAProxy's own words.

mod choose;
mod health;
mod loading;
mod old;
mod proof;
mod runtime_file;
mod service;
mod takeover;
mod tries;
mod workers;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;

use super::validate::{CheckMessage, Shortage, parse, telling};
use crate::config::{redact, redact_value};
use crate::haproxy::child::RunError;
use crate::haproxy::program::search_path;
use crate::haproxy::{AskError, Proc, Process};
use crate::logging::shown;

pub use choose::{Choice, Facts, Probe, SERVICE, choose};
pub(super) use health::Health;
pub use old::old_processes;
pub use runtime_file::{RuntimeFile, SocketPathTooLong, runtime_file};
pub(super) use tries::Tries;

/// How HAProxy is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// A new process takes over from the old one; without an old one it is simply started.
    Sf,
    /// The master is told on its socket.
    #[expect(missing_docs, reason = "the name says it")]
    Master { socket: PathBuf },
    /// The master gets SIGUSR2.
    #[expect(missing_docs, reason = "the name says it")]
    MasterSignal { pid: u32 },
    /// `systemctl reload UNIT`.
    #[expect(missing_docs, reason = "the name says it")]
    Systemd { unit: String },
    /// `sh -c COMMAND`.
    Command(String),
    /// A program with its arguments, at least one word, without a shell.
    Program(Vec<String>),
    /// `SCRIPT reload`.
    InitScript(PathBuf),
    /// `reload JOB`, on hosts with Upstart.
    Upstart(String),
    /// Nobody is told.
    None,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sf => f.write_str("`haproxy -sf`"),
            Self::Master { socket } => write!(f, "`reload` on `{}`", socket.display()),
            Self::MasterSignal { pid } => write!(f, "SIGUSR2 to the master {pid}"),
            Self::Systemd { unit } => write!(f, "`systemctl reload {unit}`"),
            Self::Command(command) => write!(f, "`{}`", redact(command)),
            Self::Program(words) => {
                let words: Vec<_> = words.iter().map(|word| redact_value(word)).collect();
                write!(f, "`{}`", redact(&words.join(" ")))
            }
            Self::InitScript(script) => write!(f, "`{} reload`", script.display()),
            Self::Upstart(job) => write!(f, "`reload {job}`"),
            Self::None => f.write_str("no reload"),
        }
    }
}

/// Where HAProxy's files and sockets are, and how long a reload may take.
#[derive(Clone, Debug)]
pub struct Context {
    /// The program, as `haproxy::program::find` found it.
    pub program: PathBuf,
    /// The installed `haproxy.cfg`.
    pub config: PathBuf,
    /// Other files that the program is started with, after `config`: the runtime file.
    pub extra: Vec<PathBuf>,
    /// Where a process that we start writes its pid.
    pub pid_file: PathBuf,
    /// Where the new process will answer, and the old one may: in `Sf`, also where the listening
    /// sockets are handed over.
    pub stats_socket: Option<PathBuf>,
    /// The `description` that the new process must show.
    pub description: Option<String>,
    /// Until a reload without proof counts as failed.
    pub limit: Duration,
    /// The processes of this host.
    pub proc: Proc,
    /// `PATH` for commands; with the `sbin` folders, which cron leaves out.
    pub path: OsString,
}

impl Context {
    /// For `program` and `config`, with the host's own processes and search path, no socket and no
    /// expected description.
    #[must_use]
    pub fn new(program: &Path, config: &Path, pid_file: &Path, limit: Duration) -> Self {
        Self {
            program: program.to_owned(),
            config: config.to_owned(),
            extra: Vec::new(),
            pid_file: pid_file.to_owned(),
            stats_socket: None,
            description: None,
            limit,
            proc: Proc::default().with_program(program),
            path: search_path(),
        }
    }

    /// Whether the process `pid` is a HAProxy that runs our file, as far as can be told.
    #[must_use]
    pub fn serves(&self, pid: u32) -> bool {
        let process = self.proc.process(pid);
        process.is_some_and(|process| process.is_haproxy() && process.may_use(&self.config))
    }

    /// The process that serves our file: the one of the pid file, else the latest.
    #[must_use]
    pub fn serving(&self) -> Option<u32> {
        let mut named = self.proc.of_pid_file(&self.pid_file);
        named.retain(|process| process.may_use(&self.config));
        let latest = |processes: Vec<Process>| processes.into_iter().max_by_key(|p| p.started);
        let process = latest(named).or_else(|| latest(self.proc.using(&self.config)));
        process.map(|process| process.pid)
    }

    /// Our processes: those of the pid file, the old ones that still finish their connections, and
    /// whoever else was started with our file. What the pid file names may have hidden its
    /// arguments from us, and is taken at its word then.
    #[must_use]
    pub fn our_processes(&self) -> Vec<Process> {
        let mut ours = self.proc.of_pid_file(&self.pid_file);
        ours.retain(|process| process.may_use(&self.config));
        for process in self.proc.using(&self.config) {
            if !ours.iter().any(|known| known.pid == process.pid) {
                ours.push(process);
            }
        }
        ours
    }
}

/// What became of a reload that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// HAProxy runs the new files.
    Done(Verified),
    /// No HAProxy ran, so one was started.
    #[expect(missing_docs, reason = "the name says it")]
    Started { pid: u32 },
    /// A process that we started ourselves took over from the one before.
    #[expect(missing_docs, reason = "the name says it")]
    TookOver { pid: u32 },
    /// No HAProxy runs, and the method starts none: the files wait for it.
    NotRunning,
    /// The method is none.
    NotAsked,
}

/// What a reload is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// A process that was not there before serves.
    #[expect(missing_docs, reason = "the name says it")]
    NewProcess { pid: u32 },
    /// The command ended well; no process was known that could have been watched.
    ExitStatus,
}

/// Why HAProxy does not run the new files, as far as we know.
#[derive(Debug)]
pub enum ReloadError {
    /// HAProxy, or the command that should have told it, said no. The old process serves on. The
    /// message holds the telling lines of the output; `said` is HAProxy's own part of it, where that
    /// could be had.
    #[expect(missing_docs, reason = "the message says it")]
    Refused {
        how: Method,
        output: String,
        said: String,
    },
    /// What failed left the old process without listeners that it had.
    #[expect(missing_docs, reason = "the message says it")]
    Silenced {
        cause: Box<Self>,
        pid: u32,
        ports: BTreeSet<u16>,
    },
    /// Nobody said no, but no new process showed up in time.
    #[expect(missing_docs, reason = "the message says it")]
    NotProven {
        how: Method,
        waited: Duration,
        seen: String,
    },
    /// The new process ended at once.
    #[expect(missing_docs, reason = "the message says it")]
    Died { pids: Vec<u32> },
    /// The new process runs other files than those we installed.
    #[expect(missing_docs, reason = "the message says it")]
    OtherDescription {
        pid: u32,
        runs: Vec<PathBuf>,
        found: Option<String>,
        file: PathBuf,
        expected: String,
    },
    /// `-sf` would take the workers from a master, which starts them again.
    #[expect(missing_docs, reason = "the message says it")]
    HasMaster { pid: u32 },
    /// The pid file, which a new process would write over, is that of a HAProxy that runs another
    /// file. It is none of ours.
    #[expect(missing_docs, reason = "the message says it")]
    ForeignPid {
        pid: u32,
        pid_file: PathBuf,
        runs: Vec<PathBuf>,
        expected: PathBuf,
    },
    /// A master gave no answer.
    Ask(AskError),
    /// A command could not be run, or did not end.
    Run(RunError),
    /// The signal could not be sent.
    #[expect(missing_docs, reason = "the message says it")]
    Signal { pid: u32, source: Errno },
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { how, output, .. } if output.is_empty() => {
                write!(f, "{how} was refused, and nothing was printed")
            }
            // A command may well print what it was given.
            Self::Refused { how, output, said } => {
                write!(f, "{how} was refused: {}", redact(&telling(output)))?;
                match Shortage::of(&parse(said, &[])) {
                    Some(shortage) => write!(f, "; {shortage}"),
                    None => Ok(()),
                }
            }
            Self::Silenced { cause, pid, ports } => {
                let several: Vec<_> = ports.iter().take(3).map(u16::to_string).collect();
                let more = match ports.len().saturating_sub(several.len()) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let ports = several.join(", ");
                write!(
                    f,
                    "{cause}; the old HAProxy {pid} does not listen any more on {ports}{more}, \
                     although it was told to go on"
                )
            }
            Self::NotProven { how, waited, seen } => write!(
                f,
                "{how}: no new process of HAProxy serves after {}; {seen}",
                shown(*waited)
            ),
            Self::Died { pids } => {
                write!(f, "the new HAProxy ended at once; its pid was {pids:?}")
            }
            Self::OtherDescription {
                pid,
                runs,
                found,
                file,
                expected,
            } => {
                let runs = match runs.as_slice() {
                    [] => "another file".to_owned(),
                    some => quoted(some),
                };
                let found = match found {
                    Some(found) => format!("whose description is `{found}`"),
                    None => "which has no description".to_owned(),
                };
                write!(
                    f,
                    "the new HAProxy {pid} runs {runs}, {found}; expected `{}`, whose description is \
                     `{expected}`",
                    file.display()
                )
            }
            Self::HasMaster { pid } => write!(
                f,
                "HAProxy runs with a master ({pid}), expected a single process for -sf; \
                 use --reload master"
            ),
            Self::ForeignPid {
                pid,
                pid_file,
                runs,
                expected,
            } => {
                write!(
                    f,
                    "the pid file `{}` names HAProxy {pid}, which runs {}, expected one that runs \
                     `{}`; give this one a --pid-file of its own",
                    pid_file.display(),
                    quoted(runs),
                    expected.display()
                )
            }
            Self::Ask(error) => error.fmt(f),
            Self::Run(error) => f.write_str(&redact(&error.to_string())),
            Self::Signal { pid, source } => {
                write!(f, "SIGUSR2 could not be sent to the master {pid}: {source}")
            }
        }
    }
}

fn quoted(files: &[PathBuf]) -> String {
    let files = files.iter().map(|file| format!("`{}`", file.display()));
    files.collect::<Vec<_>>().join(" and ")
}

/// Without a source: the message says it already.
impl std::error::Error for ReloadError {}

impl ReloadError {
    /// What HAProxy said when it did not start from `config`; nothing where it was not that, or where
    /// it said so in a log.
    #[must_use]
    pub fn messages(&self, config: &Path) -> Vec<CheckMessage> {
        match self {
            Self::Refused { said, .. } => parse(said, &[config]),
            Self::Silenced { cause, .. } => cause.messages(config),
            _ => Vec::new(),
        }
    }

    /// Whether nobody goes on with this reload: it was refused, or nobody could be told.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::HasMaster { .. }
            | Self::ForeignPid { .. }
            | Self::Run(RunError::Start { .. }) => true,
            Self::Silenced { .. }
            | Self::NotProven { .. }
            | Self::Died { .. }
            | Self::OtherDescription { .. }
            | Self::Ask(_)
            | Self::Run(RunError::TimedOut { .. })
            | Self::Signal { .. } => false,
        }
    }
}

/// Brings the running HAProxy to the installed files by `method`, and waits for proof.
///
/// # Errors
///
/// When there is no proof within `context.limit` that a new process serves, where such a process
/// could be known. The old one serves on, unless the error says otherwise.
pub async fn reload(method: &Method, context: &Context) -> Result<Reloaded, ReloadError> {
    match method {
        Method::Sf => takeover::take_over(context).await,
        Method::Master { socket } => workers::by_socket(context, socket).await,
        Method::MasterSignal { pid } => workers::by_signal(context, *pid).await,
        Method::Systemd { unit } => service::by_systemd(context, unit).await,
        Method::Command(command) => {
            let words = ["sh", "-c", command].map(OsStr::new);
            service::by_command(context, method, &words).await
        }
        Method::Program(words) => {
            let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
            service::by_command(context, method, &words).await
        }
        Method::InitScript(script) => {
            service::by_program(context, method, &[script.as_os_str(), "reload".as_ref()]).await
        }
        Method::Upstart(job) => {
            service::by_program(context, method, &["reload".as_ref(), job.as_ref()]).await
        }
        Method::None => Ok(Reloaded::NotAsked),
    }
}

#[cfg(test)]
mod tests;
