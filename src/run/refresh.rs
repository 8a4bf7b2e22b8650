//! `refresh`, and the bash bridge's `refresh_system_haproxy`: one turn.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::{self, ManuallyDrop};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use nix::unistd::{AccessFlags, access};
use tracing::{debug, error, info, warn};

use super::blame::Blamed;
use super::lock::{installation, lock};
use super::stages::stages;
use crate::apply::validate::{Severity, remove_leftovers};
use crate::apply::{Host, Installation, LocalHaproxy, Outcome, trust_installed};
use crate::cluster::Warning;
use crate::config::Config;
use crate::cycle::{GoodAnswer, Report};
use crate::diff::Change;
use crate::disk::OsDisk;
use crate::haproxy::{Version, program};
use crate::logging;
use crate::resolve::{Resolver, System};
use crate::state::{Folder, LastTurn, Paused, State, Time, TurnOutcome, Writable};

/// For `haproxy -v`.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// So many warnings of HAProxy are told and remembered: one line of a template can give one for each
/// section.
const MOST_COMPLAINTS: usize = 50;

pub(super) async fn refresh(config: &Config) -> Result<ExitCode> {
    let Some(turn) = one_turn(config).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    tell_warnings(&turn.report, turn.last.as_ref());
    tell_complaints(&turn.report, turn.last.as_ref());
    tell_held(&turn);
    let exit = tell(&turn.report, turn.paused.as_ref(), config);
    // The process ends: to give everything back piece by piece costs a fifth of a large run.
    mem::forget(turn);
    Ok(exit)
}

/// A turn, and how the one before it ended.
pub(super) struct Turn {
    pub(super) report: Report,
    last: Option<LastTurn>,
    paused: Option<Paused>,
    folder: Folder,
    /// Why the next turn will not know of this one.
    forgotten: Option<String>,
}

/// Everything that a turn needs, the turn, and what is to be remembered of it. `None` where a
/// watcher does the work.
pub(super) async fn one_turn(config: &Config) -> Result<Option<Turn>> {
    let haproxy = haproxy(config).await;
    let folder = Folder::of(&config.state.dir, &config.haproxy.config);
    if haproxy.is_err() && !folder.path().exists() {
        // Nothing is written where there was never a HAProxy.
        return haproxy.map(|_| None);
    }
    let lock = match lock(config, &folder).await? {
        Ok(lock) => lock,
        Err(watcher) => {
            info!(
                "`{}` is kept in step by a watcher (pid {}): nothing to do",
                config.haproxy.config.display(),
                watcher.pid
            );
            return Ok(None);
        }
    };
    let (mut store, mut memory, warning) = Writable::open(&OsDisk, folder);
    if let Some(warning) = warning {
        warn!("{warning}");
    }
    if let Some(folder) = store.path() {
        remove_leftovers(folder);
    }

    let now = Time::at(SystemTime::now());
    let result = match haproxy {
        Ok((program, version)) => {
            let local = LocalHaproxy::new(program, version, config, &OsDisk);
            let at = installation(config, store.path(), &lock);
            turn(config, &local, &at, &mut store, &mut memory, now).await
        }
        Err(error) => Err(error),
    };
    let last = memory.last_turn.take();
    memory.last_turn = Some(summary(&result, now, last.as_ref()));
    if let Some(warning) = store.save(&OsDisk, &memory) {
        warn!("{warning}");
    }
    let mut report = result?;
    if let Some(GoodAnswer { text, kept }) = report.good_answer.take()
        && let Some(warning) = store.keep_answer(&OsDisk, &mut memory, text.as_bytes(), kept)
    {
        warn!("{warning}");
    }
    Ok(Some(Turn {
        report,
        last,
        paused: memory.paused,
        folder: store.folder().clone(),
        forgotten: store.unsaved().map(str::to_owned),
    }))
}

async fn turn(
    config: &Config,
    local: &LocalHaproxy<'_>,
    at: &Installation,
    store: &mut Writable,
    memory: &mut State,
    now: Time,
) -> Result<Report> {
    let host = Host {
        disk: &OsDisk,
        balancer: local,
        at,
    };
    let resolver = Resolver::new(System, memory.addresses.clone());
    // What it knows is given back by the end of the process, as in `refresh`.
    let mut stages =
        ManuallyDrop::new(stages(config, Some((resolver, config.policy.names))).await?);
    if let Some(address) = &memory.last_good_marathon {
        stages.source.client.prefer(address);
    }
    if store.path().is_some_and(is_read_only) {
        trust_installed(&OsDisk, at, memory)?;
    }
    if config.retry_now {
        if let Some(pending) = &mut memory.pending {
            pending.next_try_at = now;
        }
        for entry in &mut memory.quarantined {
            entry.asked_at = Time::at(SystemTime::UNIX_EPOCH);
        }
    }
    let mut remember = |memory: &State| {
        if let Some(warning) = store.save(&OsDisk, memory) {
            warn!("{warning}");
        }
    };
    let result = stages.turn(&host, memory, now, &mut remember).await;
    if let Some((resolver, _)) = &stages.resolver {
        memory.addresses.clone_from(resolver.known());
    }
    result
}

/// As a file system that the kernel has set to read-only after a fault, or a folder of others.
fn is_read_only(folder: &Path) -> bool {
    access(folder, AccessFlags::W_OK).is_err()
}

/// Its program and version. Where nothing is to be checked, a host without it is no fault: the file
/// may be for another.
async fn haproxy(config: &Config) -> Result<(PathBuf, Version)> {
    match program::find(&config.haproxy.program) {
        Err(_) if config.validation.skip => {
            let version = config
                .haproxy
                .version
                .map_or(Version::NEWEST, Version::from);
            Ok((config.haproxy.program.clone(), version))
        }
        found => {
            let program = found?;
            let version = version(config, &program).await?;
            Ok((program, version))
        }
    }
}

pub(super) async fn version(config: &Config, program: &Path) -> Result<Version> {
    match config.haproxy.version {
        Some((major, minor)) => Ok(Version::new(major, minor)),
        None => Ok(program::version(program, VERSION_LIMIT).await?),
    }
}

/// What was said in the turn before is not said again: a log that repeats itself every minute is
/// one that nobody reads.
fn tell_warnings(report: &Report, last: Option<&LastTurn>) {
    if report.as_before {
        return;
    }
    let known: BTreeSet<&str> = last
        .iter()
        .flat_map(|l| &l.warnings)
        .map(String::as_str)
        .collect();
    let now: BTreeMap<String, &Warning> = report
        .plan
        .warnings
        .iter()
        .map(|warning| (warning.to_string(), warning))
        .collect();
    for (sentence, warning) in &now {
        if known.contains(sentence.as_str()) {
            debug!("still: {sentence}");
        } else {
            logging::warning(warning);
        }
    }
    for warning in known {
        if !now.contains_key(warning) {
            info!("over: {warning}");
        }
    }
}

/// HAProxy's warnings about files that it accepts, each once.
fn tell_complaints(report: &Report, last: Option<&LastTurn>) {
    let Some(complaints) = complaints(report) else {
        return;
    };
    let known: BTreeSet<&str> = last
        .iter()
        .flat_map(|l| &l.haproxy_warnings)
        .map(String::as_str)
        .collect();
    for (lasting, blamed) in &complaints {
        if !known.contains(lasting.as_str()) {
            blamed.warned();
        }
    }
    for warning in known {
        if !complaints.contains_key(warning) {
            info!("over: `haproxy -c` warned: {warning}");
        }
    }
}

/// By what stays the same of them; of many, those that are remembered. `None` where HAProxy was not
/// asked.
fn complaints(report: &Report) -> Option<BTreeMap<String, Blamed<'_>>> {
    let messages = report.complaints.as_ref()?.iter();
    let blamed = messages.map(|message| Blamed::of(&report.plan, message));
    let all: BTreeMap<String, Blamed<'_>> = blamed.map(|b| (b.lasting(), b)).collect();
    Some(all.into_iter().take(MOST_COMPLAINTS).collect())
}

/// Who waits for fetches to agree must know when they cannot be counted.
fn tell_held(turn: &Turn) {
    let Some(held) = turn.report.plan.held_back() else {
        return;
    };
    match &turn.forgotten {
        None => warn!("{held}"),
        Some(why) => warn!(
            "{held}; but no fetch can be counted, since nothing is remembered in the state folder \
             `{}`: {why}; it has to be writable, or only --allow-removal ends this",
            turn.folder.path().display()
        ),
    }
}

fn tell(report: &Report, paused: Option<&Paused>, config: &Config) -> ExitCode {
    let file = config.haproxy.config.display();
    let change = match &report.plan.change {
        // Where something was installed.
        Change::Nothing => "maps changed".to_owned(),
        change => change.to_string(),
    };
    let held = report.plan.held.as_ref();
    match &report.outcome {
        Outcome::Unchanged => {
            debug!("`{file}` is as it should be");
            exit(held.is_none())
        }
        Outcome::Paused => {
            let paused = paused.map_or_else(|| "paused".to_owned(), ToString::to_string);
            info!("{paused}: `{file}` stays as it is; otherwise this would be applied: {change}");
            exit(held.is_none())
        }
        Outcome::Applied {
            how,
            installed: true,
            ..
        } => {
            info!("installed `{file}` ({change}); {how}");
            exit(held.is_none())
        }
        Outcome::Applied {
            how, again: true, ..
        } => {
            info!(
                "`{file}` is as it should be; a reload to another one had failed or was broken \
                 off, so HAProxy was brought to this one again; {how}"
            );
            exit(held.is_none())
        }
        Outcome::Applied { how, .. } => {
            info!("`{file}` was as it should be, but HAProxy was yet to be brought to it; {how}");
            exit(held.is_none())
        }
        Outcome::NotRunning { installed: false } => {
            warn!(
                "HAProxy does not run, and the way in which it is reloaded starts none; `{file}` waits \
                 for whoever does"
            );
            exit(held.is_none())
        }
        Outcome::NotRunning { installed: true } => {
            info!("installed `{file}` ({change}); HAProxy does not run and was not started");
            exit(held.is_none())
        }
        Outcome::Rejected { messages } => {
            for message in messages.iter().filter(|m| m.severity == Severity::Alert) {
                Blamed::of(&report.plan, message).refused();
            }
            error!("`{file}` stays as it is");
            exit(false)
        }
        Outcome::ReloadFailed {
            error,
            attempts,
            next_try_at,
        }
        | Outcome::Waiting {
            error,
            attempts,
            next_try_at,
        } => {
            let failed = match attempts {
                1 => "the reload failed".to_owned(),
                many => format!("{many} reloads failed, the last one so"),
            };
            error!(
                "{failed}: {error}; the files of before are in place, and attempt {} follows at \
                 {next_try_at} or later, or with --retry-now",
                attempts + 1
            );
            exit(false)
        }
    }
}

fn exit(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What `status` will tell.
fn summary(result: &Result<Report>, now: Time, last: Option<&LastTurn>) -> LastTurn {
    let report = match result {
        Ok(report) => report,
        // What was wrong before is not over because this turn did not come so far.
        Err(error) => {
            return LastTurn {
                at: now,
                outcome: TurnOutcome::Failed,
                detail: Some(format!("{error:#}")),
                warnings: last.map(|last| last.warnings.clone()).unwrap_or_default(),
                haproxy_warnings: last
                    .map(|last| last.haproxy_warnings.clone())
                    .unwrap_or_default(),
                marathon: None,
                change: None,
                held: None,
            };
        }
    };
    let (outcome, detail) = match &report.outcome {
        Outcome::Unchanged if report.plan.keeps_all => (
            TurnOutcome::Unchanged,
            Some("nothing may be applied while a removal is held back".to_owned()),
        ),
        Outcome::Unchanged => (TurnOutcome::Unchanged, None),
        Outcome::Paused => (TurnOutcome::Paused, None),
        Outcome::Applied { how, .. } => (TurnOutcome::Applied, Some(how.clone())),
        Outcome::NotRunning { .. } => (
            TurnOutcome::Applied,
            Some("installed for whoever starts HAProxy, which does not run".to_owned()),
        ),
        Outcome::Rejected { messages } => {
            let first = messages
                .first()
                .map(|message| Blamed::of(&report.plan, message).to_string());
            (TurnOutcome::Rejected, first)
        }
        Outcome::ReloadFailed { error, .. } | Outcome::Waiting { error, .. } => {
            (TurnOutcome::ReloadFailed, Some(error.clone()))
        }
    };
    LastTurn {
        at: now,
        outcome,
        detail,
        warnings: match last {
            Some(last) if report.as_before => last.warnings.clone(),
            _ => {
                let warnings = report.plan.warnings.iter();
                warnings.map(ToString::to_string).collect()
            }
        },
        haproxy_warnings: match complaints(report) {
            Some(complaints) => complaints.into_keys().collect(),
            None => last
                .map(|last| last.haproxy_warnings.clone())
                .unwrap_or_default(),
        },
        marathon: Some(report.plan.from.clone()),
        change: match &report.plan.change {
            Change::Nothing => None,
            change => Some(change.to_string()),
        },
        held: report.plan.held_back(),
    }
}
