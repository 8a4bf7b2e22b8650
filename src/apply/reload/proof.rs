//! Proof that a new process of HAProxy serves, for methods whose own answer proves nothing.
//!
//! In comes what ran before; out goes the process that runs now and did not then. What a process
//! says on the stats socket counts most; where none is known, `/proc` has to do.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::loading::Loading;
use super::{Context, Method, ReloadError};
use crate::haproxy::socket::show_info;
use crate::haproxy::{Info, Process, Role};

/// For one question to a socket; a busy HAProxy answers within milliseconds.
pub(super) const ASK: Duration = Duration::from_secs(2);

/// For the last question, when no time is left.
const LAST_ASK: Duration = Duration::from_millis(200);

/// How long a new process that cannot be asked must stay alive to count: one that fails to start
/// is gone by then.
const SETTLES: Duration = Duration::from_millis(300);

/// Pauses between two looks, growing: most reloads take less than a tenth of a second.
#[derive(Debug)]
pub(super) struct Looks {
    deadline: Instant,
    pause: Duration,
}

impl Looks {
    pub(super) fn until(deadline: Instant) -> Self {
        Self {
            deadline,
            pause: Duration::from_millis(10),
        }
    }

    /// Waits for the next look; `false` when there is no time left for one.
    pub(super) async fn next(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(Duration::from_millis(250));
        true
    }

    /// For one question: the time that is left, with enough for an answer to the last one.
    pub(super) fn ask_limit(&self) -> Duration {
        self.deadline
            .saturating_duration_since(Instant::now())
            .clamp(LAST_ASK, ASK)
    }
}

/// What ran before a reload.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) processes: Vec<Process>,
    info: Option<Info>,
}

impl Before {
    /// Looks at the processes that have to do with `context`, and with the service whose main
    /// process is `main`.
    pub(super) async fn look(context: &Context, main: Option<u32>) -> Self {
        let info = match &context.stats_socket {
            Some(socket) => show_info(socket, ASK.min(context.limit)).await.ok(),
            None => None,
        };
        Self {
            processes: related(context, main),
            info,
        }
    }

    /// Whether anything was there that a reload replaces.
    pub(super) fn is_empty(&self) -> bool {
        self.processes.is_empty() && self.info.is_none()
    }

    pub(super) fn had(&self, process: &Process) -> bool {
        self.processes
            .iter()
            .any(|old| (old.pid, old.started) == (process.pid, process.started))
    }
}

/// The processes of the pid file, those that were started with our file, and their workers.
fn related(context: &Context, main: Option<u32>) -> Vec<Process> {
    let named: Vec<u32> = context
        .proc
        .of_pid_file(&context.pid_file)
        .iter()
        .map(|process| process.pid)
        .collect();
    let own = |process: &Process| {
        main == Some(process.pid)
            || main == Some(process.parent)
            || named.contains(&process.pid)
            || named.contains(&process.parent)
            || process.uses(&context.config)
    };
    context.proc.haproxies().into_iter().filter(own).collect()
}

/// Waits until a process serves that was not there `before`, and returns its pid. `main` tells the
/// main process of the service, which may change meanwhile. It ends early where a master is `loading` in
/// vain.
pub(super) async fn new_process(
    context: &Context,
    how: &Method,
    before: &Before,
    (main, loading): (Option<u32>, &mut Loading<'_>),
    deadline: Instant,
) -> Result<u32, ReloadError> {
    let mut looks = Looks::until(deadline);
    let mut young: Option<(Process, Instant)> = None;
    let mut seen = "the processes are those of before".to_owned();
    loop {
        if let Some(socket) = &context.stats_socket {
            match show_info(socket, looks.ask_limit()).await {
                Ok(info) if is_new(&info, before) => {
                    check_description(context, &info)?;
                    return Ok(info.pid);
                }
                Ok(info) => seen = format!("process {} still answers", info.pid),
                Err(error) => seen = error.to_string(),
            }
        }
        if before.info.is_none() {
            young = young
                .filter(|(process, _)| context.proc.still_runs(process))
                .or_else(|| {
                    let new = related(context, main).into_iter().find(|process| {
                        !before.had(process) && context.proc.role(process) != Role::Master
                    });
                    new.map(|process| (process, Instant::now()))
                });
            if let Some((process, since)) = &young
                && since.elapsed() >= SETTLES
            {
                return Ok(process.pid);
            }
        }
        if loading.has_failed() {
            return Err(loading.failure(how).await);
        }
        let has_time = tokio::select! {
            has_time = looks.next() => has_time,
            never = loading.watch() => match never {},
        };
        if !has_time {
            return Err(ReloadError::NotProven {
                how: how.clone(),
                waited: context.limit,
                seen,
            });
        }
    }
}

fn is_new(info: &Info, before: &Before) -> bool {
    let old = before.info.as_ref().is_some_and(|old| old.pid == info.pid)
        || before.processes.iter().any(|old| old.pid == info.pid);
    !old && !info.stopping
}

/// Whether a new process shows the description that was installed.
pub(super) fn check_description(context: &Context, info: &Info) -> Result<(), ReloadError> {
    match &context.description {
        Some(expected) if info.description.as_ref() != Some(expected) => {
            let process = context.proc.process(info.pid);
            Err(ReloadError::OtherDescription {
                pid: info.pid,
                runs: process.map_or_else(Vec::new, |process| process.arguments.configs),
                found: info.description.clone(),
                file: context.config.clone(),
                expected: expected.clone(),
            })
        }
        _ => Ok(()),
    }
}
