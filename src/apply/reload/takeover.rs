//! `-sf`: a new process takes over from the old one, or is the first.
//!
//! In come the old processes, found by the pid file and by our file; out goes the new one, which answered for
//! itself. The listening sockets are handed over through the stats socket where that is possible,
//! so that no connection is refused; old processes stay until their connections end.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::Instant;

use super::super::validate::{Severity, parse};
use super::proof::{Looks, check_description};
use super::{Context, Method, ReloadError, Reloaded};
use crate::config::redact;
use crate::disk::{LARGEST, read_text};
use crate::haproxy::child::Child;
use crate::haproxy::process::pids;
use crate::haproxy::socket::show_info;
use crate::haproxy::{Process, Role};
use crate::logging::lasting;

/// How long a process may take to heed a signal, so that what it does is not seen before.
const HEEDED: Duration = Duration::from_millis(100);

/// How long an old process may take to listen again.
const GOES_ON: Duration = Duration::from_secs(2);

/// How long a start may take, however short the time that a reload is given: HAProxy tries for 2 s to
/// listen, and one that is killed meanwhile was perhaps about to take over.
const STARTS_WITHIN: Duration = Duration::from_secs(5);

/// How long one that started may then take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Bytes of output that are read: each listener without a socket is a line, and their number counts.
const MAX_OUTPUT: usize = 1 << 20;

/// What HAProxy says when the old process hands nothing over, in its two forms.
const NOT_HANDED_OVER: [&str; 2] = [
    "sockets from the old process",
    "connect to the old process socket",
];

pub(super) async fn take_over(context: &Context) -> Result<Reloaded, ReloadError> {
    let deadline = Instant::now() + context.limit;
    let old = old_processes(context)?;
    let giver = giver(context, &old, deadline).await;
    match start(context, &old, giver, deadline).await {
        // It was started from a file that did not let it; the next takeover can.
        Err(ReloadError::Refused { output, .. })
            if giver.is_some() && NOT_HANDED_OVER.iter().any(|text| output.contains(text)) =>
        {
            tracing::debug!("the old HAProxy does not hand over its listening sockets");
            start(context, &old, None, deadline).await?;
        }
        started => started?,
    }
    let deadline = deadline.max(Instant::now() + ANSWERS_WITHIN);
    let pid = new_process(context, &old, deadline).await?;
    if old.is_empty() {
        return Ok(Reloaded::Started { pid });
    }
    Ok(Reloaded::TookOver { pid })
}

/// The processes to take over from: all of ours, since a second HAProxy on the same ports would
/// take half of the connections. Those that finish already are merely told so again.
fn old_processes(context: &Context) -> Result<Vec<Process>, ReloadError> {
    let named = context.proc.of_pid_file(&context.pid_file);
    if let Some(foreign) = named
        .iter()
        .find(|process| !process.may_use(&context.config))
    {
        return Err(ReloadError::ForeignPid {
            pid: foreign.pid,
            pid_file: context.pid_file.clone(),
            runs: foreign.arguments.configs.clone(),
            expected: context.config.clone(),
        });
    }
    let old = context.our_processes();
    for process in &old {
        match context.proc.role(process) {
            Role::Single => (),
            Role::Master => return Err(ReloadError::HasMaster { pid: process.pid }),
            Role::Worker { master } => return Err(ReloadError::HasMaster { pid: master }),
        }
    }
    Ok(old)
}

/// The socket on which one of the old processes answers, and could hand over its listeners.
async fn giver<'a>(context: &'a Context, old: &[Process], deadline: Instant) -> Option<&'a Path> {
    let socket = context.stats_socket.as_deref()?;
    let info = show_info(socket, Looks::until(deadline).ask_limit())
        .await
        .ok()?;
    old.iter()
        .any(|process| process.pid == info.pid)
        .then_some(socket)
}

async fn start(
    context: &Context,
    old: &[Process],
    giver: Option<&Path>,
    deadline: Instant,
) -> Result<(), ReloadError> {
    let left = deadline.saturating_duration_since(Instant::now());
    let mut child = Child::new(&context.program, left.max(STARTS_WITHIN)).arg("-D");
    child.max_output = MAX_OUTPUT;
    child = child
        .arg("-p")
        .arg(&context.pid_file)
        .arg("-f")
        .arg(&context.config);
    for file in &context.extra {
        child = child.arg("-f").arg(file);
    }
    if let Some(socket) = giver {
        child = child.arg("-x").arg(socket);
    }
    // Looked at again, since HAProxy signals whoever has these numbers when it is ready.
    let alive: Vec<_> = old
        .iter()
        .filter(|process| context.proc.still_runs(process))
        .collect();
    if !alive.is_empty() {
        child = child.arg("-sf");
    }
    for process in alive {
        child = child.arg(process.pid.to_string());
    }
    let listened = context.proc.listening();
    let held = old
        .iter()
        .map(|old| context.proc.held_of(old.pid, &listened));
    let listened: Vec<_> = old.iter().zip(held).collect();
    let cause = match child.run().await {
        Ok(finished) if finished.status.success() => {
            tell_warnings(&finished.output());
            return Ok(());
        }
        Ok(finished) => {
            let said = finished.output();
            let mut output = said.clone();
            if let Some(signal) = finished.status.signal() {
                output = format!("killed by signal {signal}; {output}");
            }
            ReloadError::Refused {
                how: Method::Sf,
                output,
                said,
            }
        }
        Err(error) => ReloadError::Run(error),
    };
    Err(match silent(context, &listened).await {
        None => cause,
        Some((pid, ports)) => ReloadError::Silenced {
            cause: Box::new(cause),
            pid,
            ports,
        },
    })
}

/// Has the old processes listen again: a HAProxy that cannot have a port tells them to pause, and one
/// that is killed then does not tell them to go on. Which of them does not, and on which ports; of
/// several, the first.
async fn silent(
    context: &Context,
    listened: &[(&Process, BTreeMap<String, u16>)],
) -> Option<(u32, BTreeSet<u16>)> {
    let alive = || {
        let old = listened.iter();
        old.filter(|(old, _)| context.proc.still_runs(old))
    };
    for (process, _) in alive() {
        // It may end in this moment. A pid comes from the kernel, which has none that are too large.
        _ = kill(Pid::from_raw(process.pid.cast_signed()), Signal::SIGTTIN);
    }
    let told_at = Instant::now();
    let mut looks = Looks::until(told_at + GOES_ON);
    loop {
        let now = context.proc.listening();
        let mut left = alive().map(|(old, before)| {
            let gone = before
                .iter()
                .filter(|(socket, _)| !now.contains_key(*socket));
            (
                old.pid,
                gone.map(|(_, port)| *port).collect::<BTreeSet<u16>>(),
            )
        });
        let silent = left.find(|(_, ports)| !ports.is_empty());
        let is_settled = silent.is_none() && HEEDED <= told_at.elapsed();
        if is_settled || !looks.next().await {
            return silent;
        }
    }
}

/// Of an interface that is not there, for one, HAProxy only warns, and not before it starts.
fn tell_warnings(output: &str) {
    let warnings = parse(output, &[]).into_iter();
    let warnings = warnings.filter(|m| m.severity == Severity::Warning && m.is_of_a_start());
    let warnings: Vec<String> = warnings.map(|message| message.text).collect();
    let told = format!("HAProxy started, and warns: {}", warnings.join("; "));
    lasting(
        "what HAProxy warned of when it started",
        (!warnings.is_empty()).then_some(&*redact(&told)),
    );
}

/// The process that the pid file names now, once it answers for itself.
async fn new_process(
    context: &Context,
    old: &[Process],
    deadline: Instant,
) -> Result<u32, ReloadError> {
    let mut looks = Looks::until(deadline);
    loop {
        let text = read_text(&context.pid_file, LARGEST).unwrap_or_default();
        let named: Vec<u32> = pids(&text)
            .into_iter()
            .filter(|pid| {
                // An old process that still runs is no new one; a number that was given anew is.
                !old.iter()
                    .any(|old| old.pid == *pid && context.proc.still_runs(old))
            })
            .collect();
        let alive: Vec<Process> = named
            .iter()
            .filter_map(|pid| context.proc.process(*pid))
            .collect();
        let seen = match (&context.stats_socket, alive.first()) {
            (_, None) if named.is_empty() => {
                format!("`{}` names no new process", context.pid_file.display())
            }
            // HAProxy writes the file only when the process exists.
            (_, None) => return Err(ReloadError::Died { pids: named }),
            (None, Some(process)) => return Ok(process.pid),
            (Some(socket), Some(_)) => match show_info(socket, looks.ask_limit()).await {
                Ok(info) if !info.stopping && alive.iter().any(|new| new.pid == info.pid) => {
                    check_description(context, &info)?;
                    return Ok(info.pid);
                }
                Ok(info) => format!("process {} answers on `{}`", info.pid, socket.display()),
                Err(error) => error.to_string(),
            },
        };
        if !looks.next().await {
            return Err(ReloadError::NotProven {
                how: Method::Sf,
                waited: context.limit,
                seen,
            });
        }
    }
}
