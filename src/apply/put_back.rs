//! Files that HAProxy could not be brought to, and that a full disk kept from being put back after
//! the reload had failed.
//!
//! Until the next attempt they are nothing that a restart of HAProxy should read, whatever the turn
//! waits for meanwhile.

use tracing::warn;

use super::{Balancer, Host, good_sets, install, installed};
use crate::disk::Digest;
use crate::logging::lasting;
use crate::state::{Applied, State};

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
}
