//! Back to the good files before those that are installed.
//!
//! That HAProxy runs a set proves that it can be started, not that it is what anybody wants. What was
//! gone back from is forgotten as a good set, so that each further step goes one set further back.

use anyhow::{Context as _, Result, bail};
use tracing::warn;

use super::{
    Balancer, FileSet, GoodSet, Host, Installation, Outcome, forget_good, good_sets, installed,
};
use crate::diff;
use crate::disk::{Digest, Disk};
use crate::state::{Pending, State, Time};

/// From what is installed to what was before.
#[derive(Debug)]
pub struct WayBack {
    files: FileSet,
    /// When HAProxy was brought to them last.
    pub proved_at: Time,
    /// What differs, in a sentence.
    pub change: String,
    /// Good sets that are newer than the one gone back to.
    left: Vec<GoodSet>,
}

impl WayBack {
    /// One step from what is installed.
    ///
    /// # Errors
    /// When there is no good set before it, or a file cannot be read.
    pub fn find(disk: &dyn Disk, at: &Installation, memory: &State) -> Result<Self> {
        let sets = good_sets(disk, at)
            .context("the good files that were kept cannot be used; nothing was done")?;
        let maps: Vec<&str> = sets.iter().flat_map(GoodSet::maps).collect();
        let present = installed(disk, at, maps)?;
        let first = step_back(&sets, present.as_ref(), memory);
        let mut usable = (first..sets.len()).filter_map(|place| {
            let load = sets[place].load(disk, at);
            let told = load.inspect_err(|error| {
                let of = sets[place].proved_at();
                warn!("the good files of {of} are passed over: {error}");
            });
            Some((place, told.ok()?))
        });
        let Some((place, files)) = usable.next() else {
            bail!(
                "no good files are kept besides those of `{}`; nothing was done",
                at.cfg.display()
            );
        };
        let cfg = present.as_ref().map(|files| files.cfg.as_str());
        Ok(Self {
            change: diff::compare(cfg, &files.cfg).to_string(),
            files,
            proved_at: sets[place].proved_at(),
            left: sets[..place].to_vec(),
        })
    }
}

impl<B: Balancer> Host<'_, B> {
    /// Brings HAProxy there. Unless that succeeds, `memory` is as it was, but for the reload that
    /// may be due.
    ///
    /// # Errors
    /// As [`Host::bring_to`].
    pub async fn go_back(
        &self,
        way: &WayBack,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Outcome> {
        let pending = memory.pending.clone();
        if let Some(pending) = &mut memory.pending {
            // A pause after a failed reload is not for an operator who asks for another attempt.
            pending.next_try_at = now;
        }
        let result = self.bring_to(&way.files, memory, now, remember).await;
        match &result {
            Ok(Outcome::Applied { .. } | Outcome::NotRunning { .. }) => {
                if let Err(error) = forget_good(self.disk, self.at, &way.left) {
                    warn!("{error}; the files that were gone back from still count as good");
                }
            }
            Ok(Outcome::ReloadFailed { .. }) => {
                let was_refused = memory.pending.as_ref().is_some_and(|p| p.refused);
                // HAProxy may run them although nobody could prove it, and has to be brought back.
                let due = memory.pending.take().map(|failed| Pending {
                    cfg_hash: match &memory.applied {
                        Some(applied) => applied.cfg_hash,
                        None => failed.cfg_hash,
                    },
                    next_try_at: now,
                    structure_hash: None,
                    ..failed
                });
                memory.pending = pending.or(due);
                if let Some(pending) = &mut memory.pending {
                    pending.refused &= was_refused;
                }
            }
            Ok(_) => {
                // The files of before are installed, and nobody waits for those that were refused.
                memory.pending = pending;
            }
            Err(_) => (),
        }
        result
    }
}

/// Where among `sets`, the newest first, the one stands that comes before what is installed. Files
/// that are none of them are newer than all. A step back that a kill kept from its reload is not
/// done yet, and the next goes no further.
fn step_back(sets: &[GoodSet], installed: Option<&FileSet>, memory: &State) -> usize {
    let Some(files) = installed else { return 0 };
    let Some(place) = sets.iter().position(|set| holds(set, files)) else {
        return 0;
    };
    let hash = Digest::of(files.cfg.as_bytes());
    let is_pending = memory.pending.as_ref().is_some_and(|p| p.cfg_hash == hash);
    let is_applied = memory.applied.as_ref().is_some_and(|a| a.cfg_hash == hash);
    if is_pending && !is_applied {
        place
    } else {
        place + 1
    }
}

/// Maps of other sets may lie there too.
fn holds(set: &GoodSet, installed: &FileSet) -> bool {
    let mut files = installed.clone();
    files
        .maps
        .retain(|name, _| set.maps().any(|map| map == name));
    set.is(&files)
}
