//! `status`: what came of the last turn, told from the state, and what a watcher tells of itself.
//! Nobody else is asked, but `/proc`, and a master whose processes are not seen there.

mod found;
mod page;
mod words;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use serde::Serialize;

use self::found::{Installed, Old, Process, is_at_work, reload_context};
use super::lock::places;
use super::{access, block_on, drain, print};
use crate::admin::{self, Asked, Facts, Silence, Unused};
use crate::apply::{Holder, Installation, good_sets, reload, watcher};
use crate::config::Config;
use crate::cycle::Meant;
use crate::disk::{self, OsDisk};
use crate::state::{
    Applied, Drained, Folder, LastTurn, Paused, Pending, Quarantined, State, Time, TurnOutcome,
    Unsaved,
};

/// A turn of a watcher hardly takes longer, also where Marathon answers late and HAProxy is slow.
const LONGEST_TURN: Duration = Duration::from_secs(300);

/// A watcher that is at work on one thing for longer follows nothing meanwhile, and somebody should know.
const LONG_WORK: Duration = Duration::from_secs(60);

/// So long `haproxy -c` may look at what is wanted, which is not installed before it ends.
const LONG_CHECK: Duration = Duration::from_secs(60);

fn is_long_check(since: Option<Time>, now: Time) -> bool {
    since.is_some_and(|since| now.since(since) > LONG_CHECK)
}

/// Exit 0 where all is well, 1 where something is not, or nothing is known.
pub(super) fn status(config: &Config) -> Result<ExitCode> {
    let watcher = Watcher::of(config)?;
    let (text, is_ok) = told(config, &watcher, Reading::All, |status, now| {
        let text = if config.html {
            page::html(
                config,
                (status.for_people(&watcher, now), now),
                status,
                None,
            )?
        } else if config.json {
            super::json(status)?
        } else {
            status.for_people(&watcher, now).to_string()
        };
        Ok((text, status.ok))
    })?;
    print(&text)?;
    Ok(ExitCode::from(u8::from(!is_ok)))
}

/// The verdict alone, and whether all is well.
///
/// # Errors
/// When what is remembered may not be read.
pub(super) fn verdict(config: &Config) -> Result<(String, bool)> {
    let watcher = Watcher::of(config)?;
    told(config, &watcher, Reading::All, |status, now| {
        let words = status.for_people(&watcher, now);
        Ok((words.first_line(), status.ok))
    })
}

/// What a watcher tells of itself, as JSON.
pub(super) fn json(config: &Config, facts: Facts) -> Result<String> {
    let watcher = Watcher::Tells(Box::new(facts));
    told(config, &watcher, Reading::Little, |status, _| {
        super::json(status)
    })
}

/// The same as a page for a browser.
pub(super) fn html(config: &Config, facts: Facts, asked: &Asked) -> Result<String> {
    let watcher = Watcher::Tells(Box::new(facts));
    told(config, &watcher, Reading::All, |status, now| {
        page::html(
            config,
            (status.for_people(&watcher, now), now),
            status,
            Some(asked),
        )
    })
}

/// What is read of the installed files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    All,
    /// What costs a watcher the reading of all that it serves is left out: machines ask it perhaps each
    /// second.
    Little,
}

/// Who keeps the files in step.
enum Watcher {
    None,
    Tells(Box<Facts>),
    Silent(Silent),
}

/// A watcher that does not answer.
struct Silent {
    holder: Holder,
    reason: String,
    /// It should, and does not come to it.
    is_stuck: bool,
}

impl Watcher {
    fn of(config: &Config) -> Result<Self> {
        let folder = Folder::of(&config.state.dir, &config.haproxy.config);
        access::may_read(&folder)?;
        match watcher(&places(config, &folder)) {
            None => Ok(Self::None),
            Some(holder) => ask(config, holder),
        }
    }
}

/// A watcher whose socket is turned off is not asked, and does its work as well.
fn ask(config: &Config, holder: Holder) -> Result<Watcher> {
    let Some(socket) = &config.watch.admin_socket else {
        return Ok(Watcher::Silent(Silent {
            holder,
            reason: "--admin-socket is none".to_owned(),
            is_stuck: false,
        }));
    };
    let answer = block_on(async { Ok(admin::ask(socket, holder.pid).await) })?;
    Ok(match answer {
        Ok(facts) => Watcher::Tells(Box::new(facts)),
        Err(Silence { why, is_stuck }) => Watcher::Silent(Silent {
            holder,
            reason: format!("it does not answer at `{}`: {why}", socket.display()),
            is_stuck,
        }),
    })
}

/// What is made of how things stand.
fn told<T>(
    config: &Config,
    watcher: &Watcher,
    reading: Reading,
    make: impl FnOnce(&Status<'_>, Time) -> Result<T>,
) -> Result<T> {
    let folder = Folder::of(&config.state.dir, &config.haproxy.config);
    let (mut state, unread) = folder.load(&OsDisk);
    let unsaved = unsaved(&folder, watcher, &state);
    if let Some(unsaved) = &unsaved {
        put_before(&mut state, unsaved);
    }
    let at = Installation::new(&config.haproxy.config, Some(folder.path()));
    let good = Good::of(&at);
    let is_watched = !matches!(watcher, Watcher::None);
    let installed = Installed::beside(&at.cfg, &state, is_watched)?;
    let host = reload_context(config);
    let process = state
        .applied
        .as_ref()
        .and_then(|applied| Process::beside(applied, &host));
    let master = config.haproxy.master_socket.clone();
    let old_processes = block_on(async { Ok(reload::old_processes(host, master).await) })?;
    let old_processes = old_processes.into_iter().map(Old::of).collect();
    let now = Time::at(SystemTime::now());
    let last = state.last_turn.as_ref();
    let most = oldest(config, watcher);
    let is_old = last
        .zip(most)
        .is_some_and(|(last, most)| now.since(last.at) > most || is_ahead(last.at, now));
    let is_at_work = is_watched && is_at_work(&state, now);
    let (facts, silent) = match watcher {
        Watcher::None => (None, None),
        Watcher::Tells(facts) => (Some(facts.as_ref()), None),
        Watcher::Silent(silent) => (None, Some(silent)),
    };
    let stuck = silent.filter(|silent| silent.is_stuck);
    let stuck = stuck.map(|silent| silent.reason.as_str());
    let turn_since = facts.and_then(|facts| facts.turn_since);
    let stuck_since = turn_since.filter(|since| now.since(*since) > LONG_WORK);
    let checking_since = facts.and_then(|facts| facts.checking_since);
    let unused = facts.map_or(&[][..], |facts| facts.unused.as_slice());
    let status = Status {
        ok: unread.is_none()
            && unsaved.is_none()
            && unused.is_empty()
            && stuck.is_none()
            && !is_old
            && stuck_since.is_none()
            && !is_long_check(checking_since, now)
            && is_well(&state, process, installed, is_at_work)
            && good.unusable.is_empty(),
        is_old,
        stuck_since,
        checking_since,
        is_at_work,
        stuck,
        unread: unread.as_deref(),
        config: &at.cfg,
        state_folder: folder.path(),
        last_turn: state.last_turn.as_ref(),
        last_marathon: state.last_good_marathon.as_deref(),
        as_of: state.as_of,
        unsaved: unsaved.as_ref().map(|unsaved| unsaved.why.as_str()),
        unused,
        applied: state.applied.as_ref(),
        haproxy_process: process,
        old_processes,
        installed,
        pending: state.pending.as_ref(),
        paused: state.paused.as_ref(),
        drained: &state.drained,
        drained_servers: (reading == Reading::All)
            .then(|| drained_servers(config, &state, &folder)),
        quarantined: &state.quarantined,
        good_sets: good.sets,
        good_sets_unusable: good.unusable,
        watcher: facts,
    };
    make(&status, now)
}

fn drained_servers(config: &Config, state: &State, folder: &Folder) -> Vec<Meant> {
    if state.drained.is_empty() {
        return Vec::new();
    }
    let cfg = disk::read_text(&config.haproxy.config, disk::LARGEST_MADE).unwrap_or_default();
    Meant::by_each(&state.drained, &cfg, &drain::known(state, folder))
}

/// The last turn, where the state does not know of it.
fn unsaved(folder: &Folder, watcher: &Watcher, state: &State) -> Option<Unsaved> {
    if let Watcher::Tells(facts) = watcher {
        return facts.unsaved.clone();
    }
    let saved = state.last_turn.as_ref().map(|last| last.at);
    let noted = folder.unsaved(&OsDisk);
    noted.filter(|unsaved| saved.is_none_or(|saved| saved <= unsaved.at))
}

fn put_before(state: &mut State, unsaved: &Unsaved) {
    let saved = state.last_turn.take();
    let (warnings, wait_for_files, haproxy_warnings) = saved
        .map(|saved| (saved.warnings, saved.wait_for_files, saved.haproxy_warnings))
        .unwrap_or_default();
    state.last_turn = Some(LastTurn {
        at: unsaved.at,
        outcome: unsaved.outcome,
        detail: unsaved.detail.clone(),
        warnings,
        wait_for_files,
        haproxy_warnings,
        marathon: None,
        change: None,
        held: None,
    });
}

/// How long ago the last turn may have been; `None` where it may have been at any time. A watcher takes
/// one when something happens, else every `--resync`; one that answers is at work, and not all of its
/// turns are saved.
fn oldest(config: &Config, watcher: &Watcher) -> Option<Duration> {
    match watcher {
        Watcher::None => Some(config.max_age).filter(|age| *age > Duration::ZERO),
        Watcher::Silent(..) => Some(config.watch.resync + LONGEST_TURN),
        Watcher::Tells(_) => None,
    }
}

/// The keys of `--json`; people read the same.
#[derive(Debug, Serialize)]
struct Status<'a> {
    ok: bool,
    /// What cannot be read of the state, and why.
    unread: Option<&'a str>,
    /// Whether the last turn is older than it may be, or lies in the future.
    is_old: bool,
    /// Since when a watcher is at work on one turn, where that is for too long.
    stuck_since: Option<Time>,
    /// Since when `haproxy -c` looks at what is wanted, beside the turns of a watcher.
    checking_since: Option<Time>,
    /// Whether HAProxy is being brought to other files by a watcher: what differs meanwhile is no fault.
    is_at_work: bool,
    /// Why a watcher that listens does not answer: nothing is known of what it does.
    stuck: Option<&'a str>,
    config: &'a Path,
    state_folder: &'a Path,
    last_turn: Option<&'a LastTurn>,
    /// The one that answered last, perhaps in an earlier turn.
    last_marathon: Option<&'a str>,
    /// When Marathon last asked for what is served.
    as_of: Option<Time>,
    /// Why the last turn could not be saved, where it could not.
    unsaved: Option<&'a str>,
    /// What was edited and a watcher does not put to use.
    unused: &'a [Unused],
    applied: Option<&'a Applied>,
    /// Null where no process is known.
    haproxy_process: Option<Process>,
    /// From which others took over, and which still finish their connections.
    old_processes: Vec<Old>,
    installed: Installed,
    pending: Option<&'a Pending>,
    paused: Option<&'a Paused>,
    /// What gets no new requests, as operators want it.
    drained: &'a [Drained],
    /// Of each of these, which servers of the installed file it is about; null where a watcher tells of
    /// itself, who has better things to do than to read all of it.
    drained_servers: Option<Vec<Meant>>,
    /// Service ports that are out, or served as they were before.
    quarantined: &'a [Quarantined],
    /// When HAProxy was brought to each set of good files, the newest first; `rollback` steps through them.
    good_sets: Vec<Time>,
    /// What keeps others from being used.
    good_sets_unusable: Vec<String>,
    /// What the watcher tells of itself; null where there is none, or it does not answer.
    watcher: Option<&'a Facts>,
}

/// The good files, as far as they can be gone back to.
struct Good {
    sets: Vec<Time>,
    unusable: Vec<String>,
}

impl Good {
    fn of(at: &Installation) -> Self {
        let (mut sets, mut unusable) = (Vec::new(), Vec::new());
        match good_sets(&OsDisk, at) {
            Err(error) => unusable.push(error.to_string()),
            Ok(all) => {
                for set in all {
                    match set.load(&OsDisk, at) {
                        Ok(_) => sets.push(set.proved_at()),
                        Err(error) => unusable.push(format!("of {}: {error}", set.proved_at())),
                    }
                }
            }
        }
        Self { sets, unusable }
    }
}

fn is_well(
    state: &State,
    process: Option<Process>,
    installed: Installed,
    is_at_work: bool,
) -> bool {
    let Some(last) = &state.last_turn else {
        return false;
    };
    let went_well = match last.outcome {
        TurnOutcome::Unchanged
        | TurnOutcome::Applied
        | TurnOutcome::Paused
        | TurnOutcome::RolledBack => true,
        TurnOutcome::Rejected | TurnOutcome::ReloadFailed | TurnOutcome::Failed => false,
    };
    // A turn that could not save what it did left other files than those that are remembered; while
    // it is paused, somebody may well write his own.
    let is_known = match installed {
        Installed::AsApplied | Installed::ToBeProved | Installed::Unknown => true,
        Installed::Changed if is_at_work => true,
        Installed::Missing | Installed::Changed => state.paused.is_some(),
    };
    let applied = state.applied.as_ref();
    let is_gone = matches!(process, Some(Process::Gone { .. }))
        || applied.is_some_and(|applied| applied.has_ended() || applied.silent_since.is_some())
        || applied.is_none() && state.paused.is_none();
    // What an app says is for its owner to mend; who is only suspected may be out for no fault of his.
    let is_suspected = state.quarantined.iter().any(|entry| entry.unnamed > 0);
    let is_open = state.pending.is_some() && !is_at_work;
    went_well && is_known && last.held.is_none() && !is_open && !is_gone && !is_suspected
}

/// The clock was set back since; a few seconds are what clocks do.
fn is_ahead(moment: Time, now: Time) -> bool {
    moment.since(now) > Duration::from_secs(60)
}
