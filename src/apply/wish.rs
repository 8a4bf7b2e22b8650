//! What is wanted now, beside what is remembered of the files before.

use std::collections::BTreeSet;
use std::time::Duration;

use super::last_good::Marks;
use super::mark::Ran;
use super::reload::{Reloaded, Verified};
use super::stand_ins::StandIns;
use super::{FileSet, Outcome, meanwhile};
use crate::haproxy::global::Global;
use crate::haproxy::{addable, is_spare};
use crate::state::{Applied, Down, Pending, State, Time};

/// The first pause after a failed reload; it doubles with every further one. A cron job that runs
/// every minute thus tries at once again.
const FIRST_PAUSE: Duration = Duration::from_secs(15);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What is wanted now, beside what is remembered.
pub(super) struct Wish<'a> {
    pub(super) files: &'a FileSet,
    pub(super) marks: Marks,
    pub(super) now: Time,
    /// HAProxy is told of servers while a reload has to wait, so that these alone are no reason to try
    /// again.
    pub(super) is_told: bool,
}

impl<'a> Wish<'a> {
    pub(super) fn new(files: &'a FileSet, now: Time) -> Self {
        Self {
            files,
            marks: Marks::of(files),
            now,
            is_told: false,
        }
    }

    /// Whether the file carries the hash of its structure, by which the process that runs it is known.
    pub(super) fn is_marked(&self) -> bool {
        Global::read(&self.files.cfg).description.as_ref() == Some(&self.marks.structure)
    }

    /// Maps that HAProxy was brought to before and that are no longer wanted.
    pub(super) fn obsolete_maps(&self, memory: &State) -> Vec<String> {
        let before = memory
            .applied
            .iter()
            .flat_map(|applied| applied.map_hashes.keys());
        before
            .filter(|name| !self.files.maps.contains_key(*name))
            .cloned()
            .collect()
    }

    /// Whether it is this file that was tried.
    fn is_of(&self, pending: &Pending) -> bool {
        let structure = pending.structure_hash.as_ref().filter(|_| self.is_told);
        pending.cfg_hash == self.marks.cfg || structure == Some(&self.marks.structure)
    }

    pub(super) fn attempts(&self, memory: &State) -> u32 {
        let same = memory.pending.as_ref().filter(|p| self.is_of(p));
        same.map_or(0, |pending| pending.attempts)
    }

    /// A pause that lies further ahead than any we make means that the clock was set back.
    pub(super) fn waits(&self, memory: &State) -> Option<Outcome> {
        let pending = memory.pending.as_ref().filter(|p| self.is_of(p))?;
        let too_soon =
            self.now < pending.next_try_at && pending.next_try_at <= self.now.after(LONGEST_PAUSE);
        too_soon.then(|| Outcome::Waiting {
            error: pending.last_error.clone(),
            attempts: pending.attempts,
            next_try_at: pending.next_try_at,
        })
    }

    /// Until when a reload has to wait, so that they do not follow each other too closely.
    pub(super) fn is_too_soon(&self, memory: &State, apart: Duration) -> Option<Time> {
        let after_one = memory.reloaded_at.map(|last| (last, last.after(apart)));
        // Of the same turn, the others are served at once.
        let refused = memory
            .refused_starts
            .filter(|refused| refused.at != self.now);
        let after_refused = refused.map(|refused| (refused.at, refused.until()));
        let pauses = after_one.into_iter().chain(after_refused);
        // One in the future means that the clock was set back.
        let open = pauses.filter(|(last, until)| *last <= self.now && self.now < *until);
        open.map(|(_, until)| until).max()
    }

    pub(super) fn pending(&self, memory: &State, error: &str, pause: Duration) -> Pending {
        Pending {
            cfg_hash: self.marks.cfg,
            attempts: self.attempts(memory),
            last_error: error.to_owned(),
            next_try_at: self.now.after(pause),
            structure_hash: Some(self.marks.structure.clone()),
            alone_hash: None,
            refused: false,
            none_ran: false,
        }
    }

    /// HAProxy was brought to it before, which is not remembered: `ran` is what was noted of that.
    /// Without a note it is the process `pid` that is taken for proved to run it.
    pub(super) fn known(&self, memory: &mut State, pid: Option<u32>, ran: Option<Ran>) {
        memory.pending = None;
        memory.told = None;
        let how = "in an earlier turn, which is not remembered".to_owned();
        memory.applied = Some(Applied {
            started_by_us: ran.is_some_and(|ran| ran.started_by_us),
            ..self.applied(how, pid)
        });
    }

    /// The process that ran the files before was told of what differs.
    pub(super) fn told(&self, memory: &mut State, how: String, pid: u32, stand_ins: StandIns) {
        meanwhile::is_over();
        let before = memory.applied.take();
        let started_by_us = before.as_ref().is_some_and(|a| a.started_by_us);
        let before = before.map(|a| (a.used_spares, a.spare_backends));
        let (mut used_spares, spare_backends) = before.unwrap_or_default();
        used_spares.extend(stand_ins.values().cloned());
        memory.pending = None;
        memory.told = None;
        memory.applied = Some(Applied {
            started_by_us,
            stand_ins,
            used_spares,
            spare_backends,
            ..self.applied(how, Some(pid))
        });
    }

    pub(super) fn proved(&self, memory: &mut State, reloaded: &Reloaded) {
        meanwhile::is_over();
        let (how, pid) = described(reloaded);
        let unproved = matches!(reloaded, Reloaded::NotRunning | Reloaded::NotAsked);
        if !unproved {
            memory.reloaded_at = Some(self.now);
        }
        memory.pending = None;
        memory.told = None;
        let is_down = matches!(reloaded, Reloaded::NotRunning);
        let before = memory.applied.as_ref();
        let has_run =
            before.is_some_and(|before| before.has_ended() || before.haproxy_pid.is_some());
        let down = if has_run {
            Down::HasEnded
        } else {
            Down::NeverRan
        };
        memory.applied = Some(Applied {
            unproved,
            started_by_us: matches!(
                reloaded,
                Reloaded::Started { .. } | Reloaded::TookOver { .. }
            ),
            down: is_down.then_some(down),
            ..self.applied(how, pid)
        });
    }

    /// HAProxy was brought to it now, and proved to run it.
    fn applied(&self, how: String, pid: Option<u32>) -> Applied {
        Applied {
            cfg_hash: self.marks.cfg,
            map_hashes: self.marks.maps.clone(),
            structure_hash: Some(self.marks.structure.clone()),
            at: self.now,
            how,
            unproved: false,
            started_by_us: false,
            down: None,
            haproxy_pid: pid,
            silent_since: None,
            stand_ins: StandIns::new(),
            used_spares: BTreeSet::new(),
            spare_backends: spare_backends(&self.files.cfg),
        }
    }
}

/// Those that a process finds which reads `cfg`.
fn spare_backends(cfg: &str) -> usize {
    let names = addable(cfg).into_keys();
    names.filter(|name| is_spare(name)).count()
}

/// In words, and the process that serves now where it is known.
pub(super) fn described(reloaded: &Reloaded) -> (String, Option<u32>) {
    match reloaded {
        Reloaded::TookOver { pid } | Reloaded::Done(Verified::NewProcess { pid }) => {
            (format!("a new process took over (pid {pid})"), Some(*pid))
        }
        Reloaded::Done(Verified::ExitStatus) => (
            "the reload ended well, and no process was known to watch".to_owned(),
            None,
        ),
        Reloaded::Started { pid } => (format!("HAProxy was started (pid {pid})"), Some(*pid)),
        Reloaded::NotRunning => ("HAProxy did not run".to_owned(), None),
        Reloaded::NotAsked => ("HAProxy was not told, as configured".to_owned(), None),
    }
}

pub(super) fn pause(attempts: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    doubled.min(LONGEST_PAUSE)
}
