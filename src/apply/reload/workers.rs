//! A master that starts new workers, told on its socket or by SIGUSR2.
//!
//! In comes the socket or the pid of the master; out goes a worker that was not there before. A
//! master that cannot load its file keeps the old workers and counts a failure.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::Instant;

use super::loading::Loading;
use super::proof::{Before, Looks, check_description, new_process};
use super::{Context, Method, ReloadError, Reloaded, Verified};
use crate::haproxy::Role;
use crate::haproxy::master::{self, Processes, ReloadReply};
use crate::haproxy::socket::{AskError, show_info};

/// How long a socket may refuse before its master counts as gone: it does so for a moment while
/// the master executes itself anew.
pub(super) const EXECUTES_ANEW: Duration = Duration::from_secs(2);

/// What is known where a master does not say why.
pub(super) const NOT_LOADED: &str =
    "the master could not load the files, its log says why; the old workers serve on";

pub(super) async fn by_socket(context: &Context, socket: &Path) -> Result<Reloaded, ReloadError> {
    let how = Method::Master {
        socket: socket.to_owned(),
    };
    let deadline = Instant::now() + context.limit;
    let before = match answers(socket, Instant::now() + EXECUTES_ANEW.min(context.limit)).await {
        Ok(processes) => processes,
        Err(error) if error.nobody_listens() => return Ok(Reloaded::NotRunning),
        Err(error) => return Err(ReloadError::Ask(error)),
    };
    let left = deadline.saturating_duration_since(Instant::now());
    match master::reload(socket, left)
        .await
        .map_err(ReloadError::Ask)?
    {
        ReloadReply::Begun | ReloadReply::Succeeded => (),
        ReloadReply::Failed(output) | ReloadReply::Refused(output) => {
            let said = output.clone();
            return Err(ReloadError::Refused { how, output, said });
        }
    }
    let pid = new_worker(context, &how, socket, &before, deadline).await?;
    Ok(Reloaded::Done(Verified::NewProcess { pid }))
}

/// Asks until the master answers.
pub(super) async fn answers(socket: &Path, deadline: Instant) -> Result<Processes, AskError> {
    let mut looks = Looks::until(deadline);
    loop {
        let error = match master::show_proc(socket, looks.ask_limit()).await {
            Ok(processes) => return Ok(processes),
            Err(error) => error,
        };
        if !socket.exists() || !looks.next().await {
            return Err(error);
        }
    }
}

async fn new_worker(
    context: &Context,
    how: &Method,
    socket: &Path,
    before: &Processes,
    deadline: Instant,
) -> Result<u32, ReloadError> {
    let known = before.all_workers();
    let mut looks = Looks::until(deadline);
    loop {
        let seen = match master::show_proc(socket, looks.ask_limit()).await {
            Ok(now) if now.master.reloads <= before.master.reloads => {
                "the master has not begun".to_owned()
            }
            Ok(now) if now.master.failed.unwrap_or(0) > 0 => {
                return Err(ReloadError::Refused {
                    how: how.clone(),
                    output: NOT_LOADED.to_owned(),
                    said: String::new(),
                });
            }
            Ok(now) => match now
                .workers
                .iter()
                .find(|worker| !known.contains(&worker.pid))
            {
                Some(worker) => match answers_for_itself(context, worker.pid, &looks).await? {
                    None => return Ok(worker.pid),
                    Some(seen) => seen,
                },
                None => "the master has no new worker".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        if !looks.next().await {
            return Err(ReloadError::NotProven {
                how: how.clone(),
                waited: context.limit,
                seen,
            });
        }
    }
}

/// What speaks against the new worker `pid`, by its own words where the stats socket is known. A
/// socket that does not answer speaks against nobody: the master's word is proof already.
async fn answers_for_itself(
    context: &Context,
    pid: u32,
    looks: &Looks,
) -> Result<Option<String>, ReloadError> {
    let Some(socket) = &context.stats_socket else {
        return Ok(None);
    };
    match show_info(socket, looks.ask_limit()).await {
        Ok(info) if info.pid == pid => check_description(context, &info).map(|()| None),
        Ok(info) => Ok(Some(format!(
            "process {} answers on `{}`",
            info.pid,
            socket.display()
        ))),
        Err(error) => {
            tracing::debug!("{error}");
            Ok(None)
        }
    }
}

/// A signal that comes while the master executes itself anew, as it does after each reload, is
/// lost. So it is sent again where nothing happens; at worst the master reloads once too often.
const SIGNALS: u32 = 3;

pub(super) async fn by_signal(context: &Context, pid: u32) -> Result<Reloaded, ReloadError> {
    let begun = Instant::now();
    let is_master = || {
        context.proc.process(pid).is_some_and(|process| {
            process.is_haproxy() && context.proc.role(&process) == Role::Master
        })
    };
    let before = Before::look(context, Some(pid)).await;
    let how = Method::MasterSignal { pid };
    let mut loading = Loading::of(context, &before);
    let mut attempt = 1;
    loop {
        if !is_master() {
            return Ok(Reloaded::NotRunning);
        }
        // A pid comes from the kernel, which has none that are too large.
        let target = Pid::from_raw(pid.cast_signed());
        kill(target, Signal::SIGUSR2).map_err(|source| ReloadError::Signal { pid, source })?;
        let deadline = begun + context.limit * attempt / SIGNALS;
        let told = (Some(pid), &mut loading);
        match new_process(context, &how, &before, told, deadline).await {
            Err(ReloadError::NotProven { .. }) if attempt < SIGNALS => attempt += 1,
            worker => {
                return Ok(Reloaded::Done(Verified::NewProcess { pid: worker? }));
            }
        }
    }
}
