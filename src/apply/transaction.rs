//! From a set of files that the cluster asks for to a HAProxy that runs it, or to the last set that
//! it ran.
//!
//! What HAProxy was proved to run is remembered apart from what lies on the disk, so that a reload
//! that failed, or that a kill kept from happening, is made up for by the next turn.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, bail};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::last_good::{Marks, is_kept, keep_marked};
use super::proved::{
    installed, is_applied, is_checked, is_down, is_proved, is_proved_as, is_silent, text,
    was_started_by_us,
};
use super::reload::{ReloadError, Reloaded};
use super::standing::{Standing, lay_down};
use super::validate::{CheckError, CheckMessage, Verdict};
use super::wish::{Wish, described};
use super::{
    Balancer, FileSet, Installation, Outcome, Recovered, good_sets, install, load_last_good, maps,
    mark, recover,
};
use crate::disk::{Digest, Disk, folder_of};
use crate::haproxy::listen::{self, Listener};
use crate::logging::lasting;
use crate::state::{RefusedStarts, State, Time};

/// Everything that a transaction works on.
#[derive(Debug)]
pub struct Host<'a, B> {
    /// Where files lie.
    pub disk: &'a dyn Disk,
    /// HAProxy.
    pub balancer: &'a B,
    /// Which files.
    pub at: &'a Installation,
}

/// Files that HAProxy accepted a moment ago, and what it said of them: it is not asked again.
pub type Accepted = (FileSet, Vec<CheckMessage>);

/// What came before a reload.
#[derive(Clone, Copy)]
pub(super) struct Done {
    /// The files were installed only now.
    pub(super) installed: bool,
    /// As in [`Outcome::Applied`].
    pub(super) again: bool,
    /// As in [`Pending`].
    pub(super) was_refused: bool,
}

impl<B: Balancer> Host<'_, B> {
    /// The installed `haproxy.cfg`; `None` where there is none, or one that is no text.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn installed_cfg(&self) -> Result<Option<String>> {
        text(self.disk, &self.at.cfg)
    }

    /// The `haproxy.cfg` that HAProxy was last proved to run, where the installed one is neither
    /// that nor one that we were about to bring it to: somebody took it away or wrote over it.
    #[must_use]
    pub fn cfg_behind(&self, installed: Option<&str>, memory: &State) -> Option<String> {
        let applied = memory.applied.as_ref().map(|applied| applied.cfg_hash);
        let pending = memory.pending.as_ref().map(|pending| pending.cfg_hash);
        let hash = installed.map(|text| Digest::of(text.as_bytes()));
        // Nor is it one of which it was told, which need not have been proved yet.
        if hash.is_some() && [applied, pending, memory.told].contains(&hash) {
            return None;
        }
        // Damaged copies are as good as none: they are for bad times, and must not bring them.
        let good = load_last_good(self.disk, self.at).unwrap_or_else(|error| {
            warn!("the good files that were kept cannot be used: {error}");
            None
        });
        good.map(|files| files.cfg)
    }

    /// The ports of `addresses` that another process holds. What the installed or the last good file
    /// binds is our HAProxy's, and is not tried.
    #[must_use]
    pub fn held_ports(
        &self,
        mut addresses: BTreeSet<Listener>,
        installed: Option<&str>,
    ) -> BTreeSet<u16> {
        let mut pass_over = |text: &str| {
            let known = listen::ports(text);
            addresses.retain(|address| !known.contains(&address.at.port()));
            addresses.is_empty()
        };
        if pass_over(installed.unwrap_or_default()) {
            return BTreeSet::new();
        }
        match load_last_good(self.disk, self.at) {
            Ok(Some(good)) if pass_over(&good.cfg) => return BTreeSet::new(),
            Ok(_) => (),
            // Who keeps files next, or falls back on these, tells of it.
            Err(error) => debug!("our own ports are known by the installed file alone: {error}"),
        }
        self.balancer.taken(&addresses, self.at)
    }

    /// Whether the installed files are those that HAProxy was proved to run, and nothing is open.
    /// An installation that was broken off is brought to its end first.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn is_settled(&self, memory: &State) -> Result<bool> {
        let Some(applied) = memory.applied.as_ref().filter(|_| memory.pending.is_none()) else {
            return Ok(false);
        };
        if self.standing(memory) != Standing::AsBefore || self.is_to_be_told(memory) {
            return Ok(false);
        }
        self.recover()?;
        let maps = applied.map_hashes.keys().map(String::as_str);
        let Some(files) = installed(self.disk, self.at, maps)? else {
            return Ok(false);
        };
        // Files that could not be kept, on a full disk, are yet to be.
        let is_kept = is_kept(self.disk, self.at, &files).unwrap_or(false);
        Ok(is_kept && is_applied(&files, memory))
    }

    /// Brings an installation that was broken off to its end, and says whether files were changed
    /// by that.
    pub(super) fn recover(&self) -> Result<bool> {
        let recovery =
            recover(self.disk, self.at).context("an earlier installation cannot be finished")?;
        for warning in recovery.warnings {
            warn!("{warning}");
        }
        Ok(recovery.recovered == Recovered::Finished)
    }

    /// Brings HAProxy to `wanted`, as far as it can be done; `memory` learns what came of it, and
    /// `remember` puts it where a kill cannot reach it.
    ///
    /// # Errors
    /// When nothing could be decided: the check cannot be run, or the disk fails. The files that
    /// were installed before still are, and HAProxy runs what it ran.
    pub async fn bring_to(
        &self,
        wanted: &FileSet,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Outcome> {
        let mut complaints = None;
        self.bring_to_hearing(wanted, None, memory, now, remember, &mut complaints)
            .await
    }

    /// What these files come to without being tried, while they wait.
    #[must_use]
    pub fn waits(&self, wanted: &FileSet, memory: &State, now: Time) -> Option<Outcome> {
        self.wish(wanted, now).waits(memory)
    }

    /// What HAProxy complains of in files that it accepts; of others, what they come to.
    ///
    /// # Errors
    /// When they cannot be checked.
    pub async fn check(&self, wanted: &FileSet) -> Result<Result<Vec<CheckMessage>, Outcome>> {
        Ok(match self.balancer.check(wanted, self.at, None).await {
            Ok(Verdict::Accepted { warnings }) => Ok(warnings),
            Ok(Verdict::Rejected { messages, .. }) => Err(Outcome::Rejected { messages }),
            Err(CheckError::GoesOn) => Err(Outcome::Checking),
            Err(error) => {
                let error = Error::new(error);
                return Err(error.context("the new files cannot be checked, and stay out"));
            }
        })
    }

    /// The same, with what HAProxy complains of in files that it accepts; nothing is put into
    /// `complaints` where there was no reason to ask it.
    ///
    /// # Errors
    /// As [`Host::bring_to`].
    pub async fn bring_to_hearing(
        &self,
        wanted: &FileSet,
        accepted: Option<Accepted>,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
        complaints: &mut Option<Vec<CheckMessage>>,
    ) -> Result<Outcome> {
        // HAProxy was not told of what was only now finished, whatever is remembered.
        let finished = self.recover()?;
        let wish = self.wish(wanted, now);
        let obsolete = wish.obsolete_maps(memory);
        let maps = wanted.maps.keys().chain(&obsolete).map(String::as_str);
        let before = installed(self.disk, self.at, maps)?;
        let before = self.with_its_maps(before, memory)?;
        let same = before.as_ref() == Some(wanted);
        if same
            && !finished
            && is_proved_as(self.disk, self.at, wanted, &wish.marks, memory)
            && self.is_left_alone(wanted, &wish.marks, memory)
            && !self.is_to_be_told(memory)
        {
            // Nothing is kept here unless the disk was full when they were proved.
            self.keep(wanted, &wish.marks, now);
            match self.remain(&wish, memory, now) {
                Some(Outcome::Unchanged) => return self.audit(memory, now).await,
                Some(outcome) => return Ok(outcome),
                None => (),
            }
        }
        if let Some(waiting) = wish.waits(memory) {
            return Ok(waiting);
        }
        let was_refused = memory.pending.as_ref().is_none_or(|p| p.refused);
        let of_others = memory.pending.as_ref().map(|pending| pending.cfg_hash);
        let of_others = of_others.is_some_and(|hash| hash != wish.marks.cfg);
        let again = same && of_others && is_applied(wanted, memory);
        if !same || !is_checked(&wish.marks, memory) {
            // What was said of a try may have been said of other files: those just like it are known.
            let accepted =
                accepted.filter(|(files, _)| files == wanted && !self.balancer.has_put_off());
            let checked = match accepted {
                Some((_, warnings)) => Ok(warnings),
                None => self.check(wanted).await?,
            };
            match checked {
                Ok(warnings) => *complaints = Some(warnings),
                Err(outcome) => return Ok(outcome),
            }
        }
        let is_told = memory.told.is_some();
        let way = match before.as_ref().filter(|_| (!same || is_told) && !finished) {
            Some(before) => self.way_past_refusal(before, &wish, memory),
            None => None,
        };
        if way.is_none()
            && let Some(until) = self.waits_for_the_next(&wish, before.as_ref(), memory)
        {
            return Ok(Outcome::Postponed { until });
        }
        if !same {
            // What somebody else wrote here ran until now: `rollback` must find it.
            if let Some(before) = before.as_ref().filter(|_| memory.applied.is_none())
                && good_sets(self.disk, self.at).unwrap_or_default().is_empty()
            {
                self.keep(before, &Marks::of(before), now);
            }
            // A kill between the installation and the reload must not look like a success.
            memory.pending = Some(wish.pending(memory, "it was not tried yet", Duration::ZERO));
            remember(memory);
            mark::clear(self.disk, self.at);
            let installed = install(self.disk, self.at, wanted, &obsolete)
                .inspect_err(|_| {
                    // HAProxy was not told.
                    if let Some(pending) = &mut memory.pending {
                        pending.refused = was_refused;
                    }
                })
                .context("the new files cannot be installed")?;
            for warning in installed.warnings {
                warn!("{warning}");
            }
        }
        if let Some((before, way)) = before.as_ref().zip(way) {
            let untold = match self.at_runtime(&wish, before, way, memory).await? {
                Ok(applied) => return Ok(applied),
                Err(untold) => untold,
            };
            info!("a reload is needed, since {untold}");
            if let Some(until) = self.waits_untold(&wish, before, &untold, memory) {
                self.leave_for_later(before, memory, remember)?;
                return Ok(Outcome::Postponed { until });
            }
        }
        let done = Done {
            installed: !same,
            again,
            was_refused,
        };
        self.reload(&wish, before.as_ref(), done, memory).await
    }

    /// What is installed, with the maps that it names: of files that HAProxy was never brought to,
    /// nobody remembers them, and they may have to be put back together.
    fn with_its_maps(&self, found: Option<FileSet>, memory: &State) -> Result<Option<FileSet>> {
        let Some(files) = found else {
            return Ok(None);
        };
        let applied = memory.applied.as_ref().map(|applied| applied.cfg_hash);
        if applied == Some(Digest::of(files.cfg.as_bytes())) {
            return Ok(Some(files));
        }
        let mut maps = maps::named(&files.cfg, folder_of(&self.at.cfg));
        let known = files.maps.keys().map(String::as_str);
        if maps.iter().all(|name| files.maps.contains_key(*name)) {
            return Ok(Some(files));
        }
        maps.extend(known);
        installed(self.disk, self.at, maps)
    }

    /// Has HAProxy read what is installed now; `before` is what was.
    pub(super) async fn reload(
        &self,
        wish: &Wish<'_>,
        before: Option<&FileSet>,
        done: Done,
        memory: &mut State,
    ) -> Result<Outcome> {
        let wanted = wish.files;
        let may_start = was_started_by_us(memory);
        let none_ran = self.balancer.running(self.at).is_none();
        let began = Instant::now();
        match self.balancer.reload(wanted, self.at, may_start).await {
            Ok(Reloaded::NotRunning) => {
                wish.proved(memory, &Reloaded::NotRunning);
                self.keep(wanted, &wish.marks, wish.now);
                Ok(Outcome::NotRunning { installed: true })
            }
            Ok(reloaded) => {
                self.is_still_installed(wanted)?;
                wish.proved(memory, &reloaded);
                if none_ran {
                    // Nobody was served meanwhile, and whatever kept HAProxy from starting is over.
                    memory.refused_starts = None;
                }
                self.know_who_runs(memory);
                if let Some(ran) = mark::Ran::of(memory) {
                    mark::set(self.disk, self.at, &wish.marks, ran);
                }
                self.keep(wanted, &wish.marks, wish.now);
                // There was nothing that anybody would have been told of.
                if matches!(reloaded, Reloaded::NotAsked) && !done.installed && !done.again {
                    return Ok(Outcome::Unchanged);
                }
                let (how, _) = described(&reloaded);
                Ok(Outcome::Applied {
                    how,
                    installed: done.installed,
                    reloaded: reloaded != Reloaded::NotAsked,
                    again: done.again,
                })
            }
            Err(error) => {
                let mut failed = wish.pending(memory, &error.to_string(), began.elapsed());
                failed.refused = done.was_refused && error.is_refusal();
                failed.none_ran = none_ran;
                let messages = error.messages(&self.at.cfg);
                if !messages.is_empty() {
                    let before = memory.refused_starts;
                    memory.refused_starts = Some(RefusedStarts::and_one(before, wish.now));
                }
                let outcome = self.fall_back(wish, before, failed, messages, memory)?;
                if let ReloadError::Silenced { pid, .. } = error {
                    self.listen_again(pid, memory, wish.now).await;
                }
                Ok(outcome)
            }
        }
    }

    /// Where nobody told which process it is, as after a command, it is found, so that its end is noticed.
    fn know_who_runs(&self, memory: &mut State) {
        if let Some(applied) = &mut memory.applied
            && applied.haproxy_pid.is_none()
            && applied.down.is_none()
        {
            applied.haproxy_pid = self.balancer.running(self.at);
        }
    }

    /// The files that HAProxy was proved to run, for a turn that must not change them: those
    /// installed, with the maps that are known of them, else those named as in `wanted`; or the copies
    /// where `haproxy.cfg` is gone. `None` where something else lies there, which is then left alone too.
    ///
    /// # Errors
    /// When the installed files cannot be read.
    pub fn proved_files(&self, wanted: &FileSet, memory: &State) -> Result<Option<FileSet>> {
        if memory.pending.is_some() {
            return Ok(None);
        }
        let known = memory.applied.as_ref();
        let maps: Vec<&str> = match known.map(|applied| &applied.map_hashes) {
            Some(known) => known.keys().map(String::as_str).collect(),
            None => wanted.maps.keys().map(String::as_str).collect(),
        };
        let Some(present) = installed(self.disk, self.at, maps)? else {
            let good = load_last_good(self.disk, self.at).unwrap_or_default();
            return Ok(good.filter(|files| is_applied(files, memory)));
        };
        Ok(is_proved(self.disk, self.at, &present, memory).then_some(present))
    }

    /// What HAProxy was asked to show for a proof can be ours while the file that it read is not.
    pub(super) fn is_still_installed(&self, wanted: &FileSet) -> Result<()> {
        let maps = wanted.maps.keys().map(String::as_str);
        if installed(self.disk, self.at, maps)?.as_ref() != Some(wanted) {
            bail!(
                "somebody else changed `{}` or its maps while HAProxy was being brought to them, so \
                 that nobody knows what it runs; the next turn installs them again",
                self.at.cfg.display()
            );
        }
        Ok(())
    }

    /// Leaves everything as it is, while an operator wants it so; only an installation that was
    /// broken off is brought to its end, since what it left is a state that nobody asked for.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn leave(&self, wanted: &FileSet, memory: &mut State, now: Time) -> Result<Outcome> {
        let finished = self.recover()?;
        let is_gone = matches!(
            self.observe(memory, now),
            Standing::HasEnded | Standing::ToStart
        );
        if is_gone && !is_down(memory) {
            warn!("HAProxy does not run any more; while turns are paused, none is started");
            lay_down(memory);
        }
        let maps = wanted.maps.keys().map(String::as_str);
        let same = installed(self.disk, self.at, maps)?.as_ref() == Some(wanted);
        if same && !finished && is_proved(self.disk, self.at, wanted, memory) {
            return Ok(Outcome::Unchanged);
        }
        Ok(Outcome::Paused)
    }

    /// Whether no reload can have taken HAProxy away from the files applied, which are `installed`:
    /// of one that was refused, the process tells.
    pub(super) fn is_left_alone(&self, installed: &FileSet, marks: &Marks, memory: &State) -> bool {
        if is_silent(memory) {
            return false;
        }
        if memory.pending.is_none() || mark::get(self.disk, self.at, marks).is_some() {
            return true;
        }
        let applied = memory.applied.as_ref();
        let pid = applied.and_then(|applied| applied.haproxy_pid);
        pid.is_some_and(|pid| self.balancer.still_serves(pid, installed, self.at))
    }

    /// Keeps files that HAProxy runs, or will read when it starts.
    pub(super) fn keep(&self, good: &FileSet, marks: &Marks, now: Time) {
        let trouble = match keep_marked(self.disk, self.at, good, marks, now) {
            Ok(faults) => {
                if !faults.is_empty() {
                    let faults = faults.join("; ");
                    warn!("good files that were kept are damaged: {faults}");
                }
                None
            }
            Err(error) => Some(format!("the good files cannot be kept for later: {error}")),
        };
        lasting("good files", trouble.as_deref());
    }
}
