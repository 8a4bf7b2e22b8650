//! Files that HAProxy could not be brought to are put back, at once where the reload failed, else where a
//! full disk kept that from being done.
//!
//! Until the next attempt they are nothing that a restart of HAProxy should read, whatever the turn
//! waits for meanwhile.

use anyhow::{Context as _, Result};
use tracing::warn;

use super::proved::is_run;
use super::validate::CheckMessage;
use super::wish::{Wish, pause};
use super::{Balancer, FileSet, Host, Outcome, good_sets, install, installed, load_last_good};
use crate::disk::Digest;
use crate::logging::lasting;
use crate::state::{Applied, Pending, State};

impl<B: Balancer> Host<'_, B> {
    /// Puts the files that HAProxy runs in the place of those that it could not be brought to. What
    /// somebody wrote over those is his, and stays.
    pub fn put_back(&self, memory: &State) {
        let trouble = self.left_behind(memory).and_then(|applied| {
            let file = self.at.cfg.display();
            match self.replace_by(applied) {
                Ok(()) => {
                    warn!(
                        "`{file}` was still one that HAProxy could not be brought to; the one that \
                         it runs is installed again"
                    );
                    None
                }
                Err(why) => Some(format!(
                    "`{file}` is still one that HAProxy could not be brought to, and would be read \
                     by a restart; the one that it runs cannot be installed again: {why}"
                )),
            }
        });
        lasting("files left behind", trouble.as_deref());
    }

    /// What should lie in the place of files that HAProxy could not be brought to.
    fn left_behind<'m>(&self, memory: &'m State) -> Option<&'m Applied> {
        let (applied, pending) = (memory.applied.as_ref()?, memory.pending.as_ref()?);
        // What was never tried may well be what HAProxy runs next.
        if pending.attempts == 0 || pending.cfg_hash == applied.cfg_hash {
            return None;
        }
        let there = installed(self.disk, self.at, []).ok()??;
        if Digest::of(there.cfg.as_bytes()) != pending.cfg_hash {
            return None;
        }
        // Another process may have read just these: they could be started after all.
        let running = self.balancer.running(self.at);
        let is_other = running.is_some() && running != applied.haproxy_pid;
        (!is_other).then_some(applied)
    }

    fn replace_by(&self, applied: &Applied) -> Result<(), String> {
        let sets = good_sets(self.disk, self.at).map_err(|error| error.to_string())?;
        let set = sets.iter().find(|set| set.is_that(applied));
        let set = set.ok_or("no copy of it is kept")?;
        let files = set.load(self.disk, self.at);
        let files = files.map_err(|error| format!("its copy cannot be used: {error}"))?;
        // Maps that it does not name hurt nobody.
        let done = install(self.disk, self.at, &files, &[]).map_err(|error| error.to_string())?;
        for warning in done.warnings {
            warn!("{warning}");
        }
        Ok(())
    }

    /// HAProxy goes on with what it runs; the files on the disk become that again, so that a
    /// restart does not read what could not be started.
    pub(super) fn fall_back(
        &self,
        wish: &Wish<'_>,
        before: Option<&FileSet>,
        mut pending: Pending,
        messages: Vec<CheckMessage>,
        memory: &mut State,
    ) -> Result<Outcome> {
        pending.attempts += 1;
        pending.next_try_at = pending.next_try_at.after(pause(pending.attempts));
        let error = pending.last_error.clone();
        let failed = Outcome::ReloadFailed {
            error: error.clone(),
            attempts: pending.attempts,
            next_try_at: pending.next_try_at,
            messages,
        };
        memory.pending = Some(pending);
        let before = before.filter(|before| *before != wish.files);
        // Where the disk was full, the files that are kept are older than those that are proved.
        let proved = before.filter(|before| is_run(before, memory));
        let kept = match proved {
            Some(_) => None,
            // What is wrong with them was told when the turn began.
            None => load_last_good(self.disk, self.at).unwrap_or_else(|_| {
                warn!(
                    "what HAProxy runs cannot be installed again, since its copies are damaged; \
                     what was installed before is"
                );
                None
            }),
        };
        if let Some(files) = proved.or(kept.as_ref()).or(before) {
            let failed = wish.files.maps.keys();
            let obsolete = failed.filter(|name| !files.maps.contains_key(*name));
            let obsolete: Vec<String> = obsolete.cloned().collect();
            install(self.disk, self.at, files, &obsolete).with_context(|| {
                format!(
                    "the reload failed: {error}; and the files of before cannot be installed again"
                )
            })?;
        }
        Ok(failed)
    }
}
