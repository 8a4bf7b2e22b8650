//! One child process, run to its end in bounded time and with bounded output.
//!
//! In comes a program with its arguments; out goes how it ended and what it printed. A process
//! that it left in the background does not hold us up, even when that one keeps the output open.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use super::program::search_path;
use crate::config::option::secret_variables;
use crate::logging::shown;

/// How long output is still read once the process itself has ended.
const AFTER_EXIT: Duration = Duration::from_millis(200);

/// What the process sees of our environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// `PATH` and `LC_ALL=C` alone: the same answer on every host, and no token of ours in a
    /// foreign process.
    Clean,
    /// All of it, because a person wrote the command for it, but for our secrets: HAProxy puts
    /// variables into its configuration, where app owners may have named them. What systemd says to
    /// us alone is left out too.
    Inherited,
}

/// By these systemd says to a service where to tell of its state: a child that took them for its own
/// would speak in our name, and a HAProxy under a master does.
const OF_SYSTEMD: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// What to run.
#[derive(Clone, Debug)]
pub struct Child {
    /// Path, or a name that is searched in `path`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// What it sees.
    pub environment: Environment,
    /// Its `PATH`.
    pub path: OsString,
    /// Until it is killed, with all that it started in its process group.
    pub limit: Duration,
    /// Bytes kept of each of standard output and standard error; the rest is read and dropped.
    pub max_output: usize,
}

impl Child {
    /// `program`, with a clean environment, the usual search path and 64 KiB of output.
    pub fn new(program: impl Into<PathBuf>, limit: Duration) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            environment: Environment::Clean,
            path: search_path(),
            limit,
            max_output: 64 << 10,
        }
    }

    /// With another argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    ///
    /// When it could not be started or did not end within the limit; not when it failed, which
    /// `Finished` tells.
    pub async fn run(&self) -> Result<Finished, RunError> {
        let mut command = Command::new(&self.program);
        if self.environment == Environment::Clean {
            command.env_clear().env("LC_ALL", "C");
        }
        for variable in secret_variables() {
            command.env_remove(variable);
        }
        for variable in OF_SYSTEMD {
            command.env_remove(variable);
        }
        let mut child = command
            .args(&self.args)
            .env("PATH", &self.path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| RunError::Start {
                program: self.program.clone(),
                source,
            })?;
        let group = child.id();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let ended = {
            let (out, err) = (child.stdout.take(), child.stderr.take());
            let drain = async {
                tokio::join!(
                    keep(out, &mut stdout, self.max_output),
                    keep(err, &mut stderr, self.max_output)
                )
            };
            tokio::pin!(drain);
            let mut drained = false;
            let ended = timeout(self.limit, async {
                loop {
                    tokio::select! {
                        status = child.wait() => break status,
                        _ = &mut drain, if !drained => drained = true,
                    }
                }
            })
            .await;
            if ended.is_ok() && !drained {
                _ = timeout(AFTER_EXIT, &mut drain).await;
            }
            ended
        };
        let output = joined(&stdout, &stderr);
        match ended {
            Ok(Ok(status)) => Ok(Finished {
                status,
                stdout: text(&stdout),
                stderr: text(&stderr),
            }),
            Ok(Err(source)) => Err(RunError::Start {
                program: self.program.clone(),
                source,
            }),
            Err(_) => {
                if let Some(group) = group.and_then(|pid| i32::try_from(pid).ok()) {
                    // It may have ended in this moment: then there is nobody left to kill.
                    _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
                }
                _ = child.wait().await;
                Err(RunError::TimedOut {
                    program: self.program.clone(),
                    limit: self.limit,
                    output,
                })
            }
        }
    }
}

/// Reads to the end and keeps the first `max` bytes, so that a talkative process neither blocks
/// nor fills our memory.
async fn keep(source: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>, max: usize) {
    let Some(mut source) = source else { return };
    let mut buffer = vec![0; 8 << 10];
    // A read error is the end as well: what matters is how the process ended.
    while let Ok(read @ 1..) = source.read(&mut buffer).await {
        let room = max.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(&buffer[..room]);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn joined(stdout: &[u8], stderr: &[u8]) -> String {
    format!("{}{}", text(stderr), text(stdout))
        .trim()
        .to_owned()
}

/// With its name, where it has one.
#[must_use]
pub fn named_signal(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => format!("signal {number} ({signal})"),
        Err(_) => format!("signal {number}"),
    }
}

/// What it printed, for people.
#[must_use]
pub fn printed(output: &str) -> String {
    match output.trim() {
        "" => "it printed nothing".to_owned(),
        output => format!("it printed: {output}"),
    }
}

/// How a process ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// What it printed on standard output.
    pub stdout: String,
    /// What it printed on standard error.
    pub stderr: String,
}

impl Finished {
    /// Both outputs for a person, complaints first.
    #[must_use]
    pub fn output(&self) -> String {
        joined(self.stdout.as_bytes(), self.stderr.as_bytes())
    }

    /// How it ended, where it did not end well: `exit status: 1`, `signal: 9 (SIGKILL)`.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        (!self.status.success()).then(|| self.status.to_string())
    }

    /// The signal that ended it.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

/// Why a process told nothing.
#[derive(Debug)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RunError {
    Start {
        program: PathBuf,
        source: io::Error,
    },
    TimedOut {
        program: PathBuf,
        limit: Duration,
        output: String,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { program, source } => {
                write!(f, "`{}` could not be run: {source}", program.display())
            }
            Self::TimedOut {
                program,
                limit,
                output,
            } => {
                write!(
                    f,
                    "`{}` did not end within {} and was killed; {}",
                    program.display(),
                    shown(*limit),
                    printed(output)
                )
            }
        }
    }
}

/// Without a source: the message says it already.
impl std::error::Error for RunError {}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn sh(script: &str) -> Child {
        Child::new("sh", Duration::from_secs(20))
            .arg("-c")
            .arg(script)
    }

    #[tokio::test]
    async fn exit_code_and_both_outputs_are_told() {
        let finished = sh("echo out; echo err >&2; exit 3").run().await.unwrap();
        assert_eq!(finished.status.code(), Some(3));
        assert_eq!(
            (finished.stdout.as_str(), finished.stderr.as_str()),
            ("out\n", "err\n")
        );
        assert_eq!(finished.output(), "err\nout");
    }

    #[tokio::test]
    async fn a_signal_is_told_apart_from_an_exit() {
        let finished = sh("kill -9 $$").run().await.unwrap();
        assert_eq!((finished.status.code(), finished.signal()), (None, Some(9)));
    }

    #[tokio::test]
    async fn a_hanging_process_is_killed_with_what_it_started() {
        let child = Child {
            limit: Duration::from_millis(100),
            ..sh("echo $$; sleep 1000 & wait")
        };
        let error = child.run().await.unwrap_err();
        let RunError::TimedOut { ref output, .. } = error else {
            panic!("{error}")
        };
        let group: i32 = output.parse().unwrap();
        assert!(
            error
                .to_string()
                .contains("did not end within 100ms and was killed"),
            "{error}"
        );
        let deadline = Instant::now() + Duration::from_secs(10);
        while killpg(Pid::from_raw(group), None).is_ok() {
            assert!(Instant::now() < deadline, "group {group} survives");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn output_past_the_bound_is_dropped_and_blocks_nobody() {
        let child = Child {
            max_output: 10,
            ..sh("head -c 1000000 /dev/zero | tr '\\0' x")
        };
        let finished = child.run().await.unwrap();
        assert_eq!(finished.stdout, "xxxxxxxxxx");
        assert!(finished.status.success());
    }

    #[tokio::test]
    async fn a_background_process_that_keeps_the_output_open_does_not_hold_us_up() {
        let begun = Instant::now();
        let finished = sh("sleep 1000 & echo $!").run().await.unwrap();
        let pid: i32 = finished.stdout.trim().parse().unwrap();
        nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn only_a_clean_environment_hides_ours() {
        let seen = |environment| async move {
            Child {
                environment,
                ..sh("echo ${CARGO_MANIFEST_DIR-none}")
            }
            .run()
            .await
        };
        assert_eq!(seen(Environment::Clean).await.unwrap().stdout, "none\n");
        assert_ne!(seen(Environment::Inherited).await.unwrap().stdout, "none\n");
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let error = Child::new("/nowhere/haproxy", Duration::from_secs(1))
            .run()
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`/nowhere/haproxy` could not be run"),
            "{error}"
        );
    }
}
