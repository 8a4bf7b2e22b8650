//! Servers that come and go while the rest has to wait: since a reload failed, or came only just before,
//! or since `haproxy -c` refuses the files, or still looks at them.

use anyhow::{Context as _, Result};
use tracing::{debug, info, warn};

use super::at_runtime::Untold;
use super::last_good::Marks;
use super::proved::{has_run_but_for_servers, installed, is_applied, is_run};
use super::wish::Wish;
use super::{Balancer, CheckMessage, FileSet, Host, Outcome, install, leftovers, mark};
use crate::diff::{self, Change};
use crate::disk::Digest;
use crate::logging::lasting;
use crate::state::{Pending, State, Time};

/// The kind of trouble that not even servers can be brought.
const ALONE: &str = "servers alone";

/// Nothing waits any more, so that no servers wait with it.
pub(super) fn is_over() {
    lasting(ALONE, None);
}

impl<B: Balancer> Host<'_, B> {
    /// Until when the reload that `wish` needs has to wait. Servers never do: whoever waited for them
    /// would send requests to those that are gone.
    pub(super) fn waits_for_the_next(
        &self,
        wish: &Wish<'_>,
        before: Option<&FileSet>,
        memory: &State,
    ) -> Option<Time> {
        let applied = memory.applied.as_ref()?;
        if !wish.is_told || self.served_by(applied, memory).is_none() {
            return None;
        }
        let before = before.filter(|before| is_run(before, memory))?;
        let change = diff::compare(Some(&before.cfg), &wish.files.cfg);
        // Where HAProxy could be told of backends, nothing would have to wait.
        has_more_than_servers(&change)
            .then(|| self.is_too_soon(wish, memory))
            .flatten()
    }

    /// The same where HAProxy could be told of nothing of it, since it lacks backends or slots for those
    /// that come: all others are followed, and whoever goes leaves his slot.
    pub(super) fn waits_untold(
        &self,
        wish: &Wish<'_>,
        before: &FileSet,
        untold: &Untold,
        memory: &State,
    ) -> Option<Time> {
        let change = diff::compare(Some(&before.cfg), &wish.files.cfg);
        let lacks_room = has_more_than_servers(&change)
            || diff::within_slots(&before.cfg, &wish.files.cfg).is_some();
        (untold.is_at_once && lacks_room)
            .then(|| self.is_too_soon(wish, memory))
            .flatten()
    }

    fn is_too_soon(&self, wish: &Wish<'_>, memory: &State) -> Option<Time> {
        let apart = self.balancer.reloads_apart();
        (!apart.is_zero())
            .then(|| wish.is_too_soon(memory, apart))
            .flatten()
    }

    /// Puts back what HAProxy runs, which was told of nothing else.
    pub(super) fn leave_for_later(
        &self,
        before: &FileSet,
        memory: &mut State,
        remember: &mut dyn FnMut(&State),
    ) -> Result<()> {
        self.put(before)?;
        memory.pending = None;
        remember(memory);
        if let Some(ran) = mark::Ran::of(memory).filter(|_| is_applied(before, memory)) {
            mark::set(self.disk, self.at, &Marks::of(before), ran);
        }
        Ok(())
    }

    /// What is wanted now.
    pub(super) fn wish<'w>(&self, wanted: &'w FileSet, now: Time) -> Wish<'w> {
        let mut wish = Wish::new(wanted, now);
        wish.is_told = self.balancer.is_told_of_servers() && wish.is_marked();
        wish
    }

    /// The installed files, where HAProxy runs them but perhaps for servers, and can be told of those.
    ///
    /// # Errors
    /// When an installed file cannot be read.
    pub fn told_alone(&self, memory: &State, now: Time) -> Result<Option<FileSet>> {
        let maps = memory.applied.iter().flat_map(|a| a.map_hashes.keys());
        let before = installed(self.disk, self.at, maps.map(String::as_str))?;
        Ok(before.filter(|before| {
            (self.is_known_to_run(before, memory) || has_run_but_for_servers(before, memory))
                && self.wish(before, now).is_told
        }))
    }

    /// Whether HAProxy was proved to run them, or told of all servers in them.
    #[must_use]
    pub fn is_known_to_run(&self, files: &FileSet, memory: &State) -> bool {
        is_run(files, memory)
    }

    /// Brings HAProxy from `before`, which is installed, to `files`, in which nothing but servers is new,
    /// while the rest of what is wanted has to wait; `true` where it was. As in any turn for servers
    /// alone, the file is proved later.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn bring_alone(
        &self,
        before: &FileSet,
        files: &FileSet,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<bool> {
        if files == before && is_run(before, memory) {
            is_over();
            return Ok(false);
        }
        let hash = Digest::of(files.cfg.as_bytes());
        // There is nothing less of it to try, and its pause is not over.
        if memory.pending.as_ref().is_some_and(|p| is_tried(p, hash)) {
            return Ok(false);
        }
        // What failed is no reason to leave servers as they are.
        let failed = memory.pending.take();
        let mut is_told = self.tell_alone(before, files, memory, now).await;
        // Slots that are lacking come with the next reload; who is in the others does not wait for it.
        let fewer = if matches!(is_told, Ok(false))
            && self.is_too_soon(&self.wish(files, now), memory).is_some()
        {
            diff::within_slots(&before.cfg, &files.cfg)
        } else {
            None
        };
        let fewer = fewer.map(|cfg| FileSet {
            cfg,
            maps: files.maps.clone(),
        });
        if let Some(fewer) = &fewer {
            is_told = self.tell_alone(before, fewer, memory, now).await;
        }
        let brought = match is_told {
            Ok(true) => Ok(None),
            Ok(false) => Box::pin(self.bring_to(files, memory, now, remember))
                .await
                .map(Some),
            Err(error) => Err(error),
        };
        let alone = memory.pending.take();
        if let Some(mut failed) = failed {
            failed.refused &= alone.as_ref().is_none_or(|alone| alone.refused);
            // What could not even be tried is tried again.
            let is_in_vain =
                alone.is_some() || matches!(brought, Ok(Some(Outcome::Rejected { .. })));
            if is_in_vain && brought.is_ok() {
                failed.alone_hash = Some(hash);
            }
            memory.pending = Some(failed);
        } else {
            memory.pending = alone;
        }
        remember(memory);
        let outcome = brought?;
        let is_brought = outcome.as_ref().is_none_or(Outcome::is_settled);
        if let Some(outcome) = outcome {
            tell_outcome(outcome);
        }
        Ok(is_brought && fewer.is_none())
    }

    /// `false` where it cannot be told of these, so that they are not installed.
    async fn tell_alone(
        &self,
        before: &FileSet,
        files: &FileSet,
        memory: &mut State,
        now: Time,
    ) -> Result<bool> {
        let wish = self.wish(files, now);
        let Some(way) = self.way_from(before, &wish, memory) else {
            return Ok(false);
        };
        self.put(files)?;
        let told = match self.tell_all(before, files, &way).await {
            Ok(told) => told,
            Err(untold) => {
                debug!("servers alone cannot be told: {untold}");
                self.put(before)?;
                return Ok(false);
            }
        };
        leftovers::note(memory, &told);
        self.is_still_installed(files)?;
        let how = told.to_string();
        way.end(memory, wish.marks.cfg, &how);
        tell_servers_alone(&how);
        Ok(true)
    }

    fn put(&self, files: &FileSet) -> Result<()> {
        let installed = install(self.disk, self.at, files, &[]);
        let installed = installed.context("the servers alone cannot be installed")?;
        for warning in installed.warnings {
            warn!("{warning}");
        }
        Ok(())
    }
}

/// HAProxy was told of servers, though the rest of what is wanted has to wait.
pub fn tell_servers_alone(how: &str) {
    is_over();
    info!("servers alone, while the rest has to wait: {how}");
}

/// What it came to for servers alone where HAProxy could not be told of them.
fn tell_outcome(outcome: Outcome) {
    let why = match outcome {
        Outcome::Applied { how, .. } => return tell_servers_alone(&how),
        Outcome::Rejected { messages } => {
            let messages: Vec<String> = messages.iter().map(CheckMessage::lasting).collect();
            format!("`haproxy -c` refuses them: {}", messages.join("; "))
        }
        Outcome::ReloadFailed { error, .. } => error,
        outcome => {
            debug!("servers alone, while the rest has to wait: {outcome:?}");
            return;
        }
    };
    let sentence =
        format!("servers that came or went have to wait with all else that changed: {why}");
    lasting(ALONE, Some(&sentence));
}

fn has_more_than_servers(change: &Change) -> bool {
    match change {
        Change::Backends(_) | Change::Structure(_) => true,
        Change::Nothing | Change::Servers(_) => false,
    }
}

/// Whether it is just these servers that were tried in vain.
fn is_tried(pending: &Pending, cfg: Digest) -> bool {
    pending.cfg_hash == cfg || pending.alone_hash == Some(cfg)
}
