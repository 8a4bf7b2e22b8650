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
use super::lock::lock_alone;
use super::pause::{open, paused, save};
use super::refresh::version;
use crate::apply::{
    FileSet, GoodSet, Host, Installation, LocalHaproxy, Outcome, forget_good, good_sets, installed,
    recover,
};
use crate::cli::PROGRAM;
use crate::config::Config;
use crate::diff;
use crate::disk::{Digest, OsDisk};
use crate::haproxy::program;
use crate::state::{Folder, LastTurn, State, Time, TurnOutcome};

/// Why turns are paused after a rollback, unless the operator says more.
const REASON: &str = "rolled back";

pub(super) async fn rollback(config: &Config) -> Result<ExitCode> {
    let program = program::find(&config.haproxy.program)?;
    let version = version(config, &program).await?;
    let folder = Folder::of(&config.state.dir, &config.haproxy.config);
    access::may_write(&folder)?;
    let _lock = lock_alone(config, &folder).await?;
    let (mut store, mut memory) = open(folder)?;
    let mut at = Installation::new(&config.haproxy.config, store.path());
    at.in_place = config.in_place;
    at.archive_versions = config.state.archive_versions;
    recover(&OsDisk, &at).context("an earlier installation cannot be finished")?;
    let way = Way::find(&at, &memory)?;

    let local = LocalHaproxy::new(program, version, config, &OsDisk);
    let host = Host {
        disk: &OsDisk,
        balancer: &local,
        at: &at,
    };
    let now = Time::at(SystemTime::now());
    let before = memory.clone();
    if let Some(pending) = &mut memory.pending {
        // A pause after a failed reload is not for an operator who asks for another attempt.
        pending.next_try_at = now;
    }
    if !config.no_pause && memory.paused.is_none() {
        let reason = config.reason.clone().unwrap_or_else(|| REASON.to_owned());
        memory.paused = Some(paused(Some(reason)));
        // Else the next turn would undo it.
        save(&mut store, &memory)?;
    }
    // The answer that is kept belongs to what is gone back from.
    memory.snapshot = None;
    let mut remember = |memory: &State| {
        if let Some(warning) = store.save(&OsDisk, memory) {
            warn!("{warning}");
        }
    };
    let result = host
        .bring_to(&way.files, &mut memory, now, &mut remember)
        .await;
    let how = match &result {
        Ok(Outcome::Applied { how }) => Some(how.clone()),
        Ok(Outcome::NotRunning { .. }) => {
            Some("HAProxy does not run and was not started".to_owned())
        }
        _ => None,
    };
    match &how {
        Some(how) => {
            if let Err(error) = forget_good(&OsDisk, &at, &way.left) {
                warn!("{error}; the files that were gone back from still count as good");
            }
            memory.last_turn = Some(way.told(now, how, memory.last_turn.take()));
        }
        None => {
            memory.paused = before.paused;
            memory.snapshot = before.snapshot;
            if result.is_ok() {
                // The files of before are installed, and nobody waits for those that were refused.
                memory.pending = before.pending;
            }
        }
    }
    remember(&memory);
    let outcome = result?;
    Ok(tell(&way, how.as_deref(), &outcome, &memory, config))
}

/// From what is installed to what will be.
struct Way {
    files: FileSet,
    /// When HAProxy was brought to them last.
    proved_at: Time,
    /// What differs, in a sentence.
    change: String,
    /// Good sets that are newer than the one gone back to.
    left: Vec<GoodSet>,
}

impl Way {
    fn find(at: &Installation, memory: &State) -> Result<Self> {
        let sets = good_sets(&OsDisk, at)?;
        let maps: Vec<&str> = sets.iter().flat_map(GoodSet::maps).collect();
        let present = installed(&OsDisk, at, maps)?;
        let place = step_back(&sets, present.as_ref(), memory);
        let Some(target) = sets.get(place) else {
            bail!(
                "no good files are kept besides those of `{}`; nothing was done",
                at.cfg.display()
            );
        };
        let files = target
            .load(&OsDisk, at)
            .context("the good files cannot be used; nothing was done")?;
        let cfg = present.as_ref().map(|files| files.cfg.as_str());
        Ok(Self {
            change: diff::compare(cfg, &files.cfg).to_string(),
            files,
            proved_at: target.proved_at(),
            left: sets[..place].to_vec(),
        })
    }

    fn told(&self, now: Time, how: &str, last: Option<LastTurn>) -> LastTurn {
        let last_marathon = last.as_ref().and_then(|last| last.marathon.clone());
        LastTurn {
            at: now,
            outcome: TurnOutcome::RolledBack,
            detail: Some(format!("to the files of {}; {how}", self.proved_at)),
            warnings: last.map(|last| last.warnings).unwrap_or_default(),
            haproxy_warnings: Vec::new(),
            marathon: last_marathon,
            change: Some(self.change.clone()),
            held: None,
        }
    }
}

/// Where among `sets`, the newest first, the one stands that comes before what is installed. Files
/// that are none of them are newer than all. A rollback that a kill kept from its reload is not
/// done yet, and the next goes no further.
fn step_back(sets: &[GoodSet], installed: Option<&FileSet>, memory: &State) -> usize {
    let Some(files) = installed else { return 0 };
    let Some(place) = sets.iter().position(|set| holds(set, files)) else {
        return 0;
    };
    let hash = Digest::of(files.cfg.as_bytes());
    let is_pending = memory.pending.as_ref().is_some_and(|p| p.cfg_hash == hash);
    if is_pending { place } else { place + 1 }
}

/// Maps of other sets may lie there too.
fn holds(set: &GoodSet, installed: &FileSet) -> bool {
    let mut files = installed.clone();
    files
        .maps
        .retain(|name, _| set.maps().any(|map| map == name));
    set.is(&files)
}

fn tell(
    way: &Way,
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
        | Outcome::Applied { .. }
        | Outcome::NotRunning { .. } => (),
    }
    error!("`{file}` stays as it is");
    ExitCode::FAILURE
}
