//! `logged CALL...`: a call with its output in syslog, each line of standard output as `user.info`,
//! of standard error as `user.notice`.
//!
//! The call is a process of its own, so that even its last words get there; signals are passed on to
//! it, and its exit status is ours. Where there is no syslog, the lines go to standard error, from
//! where cron mails them.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{block_on, failed};
use crate::config::option::{Definition, named};
use crate::config::{self, CommandLine, Layer, Policy, Request, System};
use crate::logging::{LOGGED, Priority, Syslog};

/// A program that the call started may keep its output open for ever; what it says later is lost.
const AFTERWORD: Duration = Duration::from_secs(1);

/// A line that is longer is passed on in parts.
const LONGEST_LINE: usize = 1 << 20;

/// `words` is the whole command line, from the name of the program on; the second one is `logged`.
pub(super) fn logged(words: &[OsString]) -> ExitCode {
    match block_on(pass_on(words)) {
        Ok(exit) => exit,
        Err(error) => failed(&error),
    }
}

async fn pass_on(words: &[OsString]) -> Result<ExitCode> {
    let syslog = Arc::new(Syslog::at(&socket()).context("there can be no socket for syslog")?);
    let program = std::env::current_exe().context("this program cannot be found")?;
    let mut command = Command::new(&program);
    command
        .args(words.iter().skip(2))
        .env(LOGGED, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(name) = words.first() {
        command.arg0(name);
    }
    // From here on a signal means the call, even one that comes before there is a call.
    let signals = Signals::catch()?;
    let mut child = command
        .spawn()
        .with_context(|| format!("`{}` cannot be started", program.display()))?;
    let (ended, over) = watch::channel(false);
    let pumps = [
        child
            .stdout
            .take()
            .map(|out| tokio::spawn(pump(out, Priority::USER_INFO, syslog.clone(), over.clone()))),
        child
            .stderr
            .take()
            .map(|out| tokio::spawn(pump(out, Priority::USER_NOTICE, syslog.clone(), over))),
    ];
    let status = signals.wait(&mut child).await?;
    ended.send_replace(true);
    for pump in pumps.into_iter().flatten() {
        pump.await.context("the lines were not passed on")?;
    }
    Ok(exit(status))
}

/// Where syslog listens. Whatever else is wrong with the options is told by the call itself.
fn socket() -> PathBuf {
    let request = Request {
        policy: Policy::of(CommandLine::Bridge),
        needs_marathon: false,
        flags: Layer::default(),
    };
    let mut host = System::host();
    let counts = ["syslog-socket", "config"].map(|name| named(name).map(Definition::variable));
    host.environment.retain(|name, _| {
        counts
            .iter()
            .flatten()
            .any(|counts| name == counts.as_str())
    });
    let built = config::build(&request, &host);
    built.map_or_else(|_| usual_socket(), |built| built.config.log.syslog_socket)
}

fn usual_socket() -> PathBuf {
    let option = named("syslog-socket").expect("the table has it");
    option.default_text().unwrap_or_default().into()
}

struct Signals {
    caught: [(Signal, tokio::signal::unix::Signal); 3],
}

impl Signals {
    fn catch() -> Result<Self> {
        let catch = |kind| signal(kind).context("signals cannot be caught");
        Ok(Self {
            caught: [
                (Signal::SIGHUP, catch(SignalKind::hangup())?),
                (Signal::SIGINT, catch(SignalKind::interrupt())?),
                (Signal::SIGTERM, catch(SignalKind::terminate())?),
            ],
        })
    }

    /// Passes them on until the call ends.
    async fn wait(self, child: &mut Child) -> Result<ExitStatus> {
        let [(hup, mut hups), (int, mut ints), (term, mut terms)] = self.caught;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        loop {
            let signal = tokio::select! {
                status = child.wait() => return status.context("the call cannot be waited for"),
                _ = hups.recv() => hup,
                _ = ints.recv() => int,
                _ = terms.recv() => term,
            };
            if let Some(pid) = pid {
                // It may have ended meanwhile.
                let _ = kill(Pid::from_raw(pid), signal);
            }
        }
    }
}

/// Passes lines on until `out` ends, or the call did and nothing more comes.
async fn pump(
    mut out: impl AsyncRead + Unpin,
    priority: Priority,
    syslog: Arc<Syslog>,
    mut over: watch::Receiver<bool>,
) {
    let afterword = async {
        // An error means that nobody can say any more that it ended.
        let _ = over.wait_for(|over| *over).await;
        sleep(AFTERWORD).await;
    };
    tokio::pin!(afterword);
    let mut line = Vec::new();
    loop {
        let read = tokio::select! {
            read = out.read_buf(&mut line) => read,
            () = &mut afterword => break,
        };
        if read.map_or(true, |length| length == 0) {
            break;
        }
        let whole = line.iter().rposition(|byte| *byte == b'\n');
        let length = match whole {
            Some(end) => end + 1,
            None if line.len() >= LONGEST_LINE => line.len(),
            None => 0,
        };
        syslog.say(priority, &line[..length]);
        line.drain(..length);
    }
    syslog.say(priority, &line);
}

/// As a shell has it.
fn exit(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from)
}
