//! `rollback`: back to the good files before those that are installed.
//!
//! That HAProxy runs a set proves that it can be started, not that it is what anybody wants. What
//! was gone back from is forgotten as a good set, so that each further call goes one step further
//! back, and turns are paused, since the next would install the same again.

use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use tracing::{error, info, warn};

use super::access;
use super::lock::{installation, lock_for_operator};
use super::pause::{open, paused};
use super::turn::version;
use crate::apply::{Host, LocalHaproxy, Outcome, WayBack, recover};
use crate::cli::PROGRAM;
use crate::config::Config;
use crate::disk::OsDisk;
use crate::haproxy::program;
use crate::state::{Folder, LastTurn, State, Time, TurnOutcome};

/// Why turns are paused after a rollback, unless the operator says more.
const REASON: &str = "rolled back";

pub(super) async fn rollback(config: &Config) -> Result<ExitCode> {
    let program = program::find(&config.haproxy.program)?;
    let version = version(config, &program).await?;
    let folder = Folder::of(&config.state.dir, &config.haproxy.config);
    access::may_write(&folder)?;
    let held = lock_for_operator(config, &folder).await?;
    if let Some(watcher) = held.watcher()
        && !held.is_alone()
    {
        bail!(
            "a turn of the watcher (pid {}) that keeps `{}` in step did not end in time; nothing was \
             done: call this again",
            watcher.pid,
            config.haproxy.config.display()
        );
    }
    let (mut store, mut memory) = open(folder)?;
    let at = installation(config, store.path(), held.is_alone());
    recover(&OsDisk, &at).context("an earlier installation cannot be finished")?;
    let way = WayBack::find(&OsDisk, &at, &memory)?;

    let local = LocalHaproxy::new(program, version, config, &OsDisk);
    let host = Host {
        disk: &OsDisk,
        balancer: &local,
        at: &at,
    };
    let now = Time::at(SystemTime::now());
    let pauses = !config.no_pause && memory.paused.is_none();
    if pauses {
        let reason = config.reason.clone().unwrap_or_else(|| REASON.to_owned());
        let pause = paused(Some(reason));
        // Else the next turn would undo it.
        store.pause(&OsDisk, &pause).context(
            "turns cannot be paused; nothing was done: have the state folder take a file, or \
                 stop what calls refresh and give --no-pause",
        )?;
        memory.paused = Some(pause);
    }
    let mut remember = |memory: &State| {
        if let Some(warning) = store.save(&OsDisk, memory) {
            warn!("{warning}");
        }
    };
    let result = host.go_back(&way, &mut memory, now, &mut remember).await;
    let how = match &result {
        Ok(Outcome::Applied { how, .. }) => Some(how.clone()),
        Ok(Outcome::NotRunning { .. }) => {
            Some("HAProxy does not run and was not started".to_owned())
        }
        _ => None,
    };
    if let Some(how) = &how {
        memory.as_of = Some(way.proved_at);
        memory.last_turn = Some(told(&way, now, how, memory.last_turn.take()));
    }
    remember(&memory);
    if how.is_none() && pauses {
        memory.paused = None;
        store
            .resume(&OsDisk)
            .context("nothing was gone back to, and turns stay paused")?;
    }
    let outcome = result?;
    Ok(tell(&way, how.as_deref(), &outcome, &memory, config))
}

fn told(way: &WayBack, now: Time, how: &str, last: Option<LastTurn>) -> LastTurn {
    let wait_for_files = last.as_ref().map_or(0, |last| last.wait_for_files);
    let last_marathon = last.as_ref().and_then(|last| last.marathon.clone());
    LastTurn {
        at: now,
        outcome: TurnOutcome::RolledBack,
        detail: Some(format!("to the files of {}; {how}", way.proved_at)),
        warnings: last.map(|last| last.warnings).unwrap_or_default(),
        wait_for_files,
        haproxy_warnings: Vec::new(),
        marathon: last_marathon,
        change: Some(way.change.clone()),
        held: None,
    }
}

fn tell(
    way: &WayBack,
    how: Option<&str>,
    outcome: &Outcome,
    memory: &State,
    config: &Config,
) -> ExitCode {
    let file = config.haproxy.config.display();
    if let Some(how) = how {
        let then = match &memory.paused {
            Some(paused) => {
                format!("{paused}: `{PROGRAM} resume` lets refresh apply again what it finds")
            }
            None => "the next refresh applies what it finds".to_owned(),
        };
        info!(
            "`{file}` is again the one of {} ({}); {how}",
            way.proved_at, way.change
        );
        info!("{then}");
        return ExitCode::SUCCESS;
    }
    match outcome {
        Outcome::Rejected { messages } => {
            for message in messages {
                error!(
                    "`haproxy -c` refuses the files of {}: {message}",
                    way.proved_at
                );
            }
        }
        Outcome::ReloadFailed { error, .. } | Outcome::Waiting { error, .. } => {
            error!("the reload failed: {error}; the files of before are installed again");
        }
        // It differs from what is installed, and is brought there whether turns are paused or not.
        Outcome::Unchanged
        | Outcome::Paused
        | Outcome::Postponed { .. }
        | Outcome::Checking
        | Outcome::Applied { .. }
        | Outcome::NotRunning { .. } => (),
    }
    error!("`{file}` stays as it is");
    ExitCode::FAILURE
}
