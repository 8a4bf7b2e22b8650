//! Files that HAProxy could not be brought to, and that a full disk kept from being put back after
//! the reload had failed.
//!
//! Until the next attempt they are nothing that a restart of HAProxy should read, whatever the turn
//! waits for meanwhile.

use tracing::warn;

use super::{Balancer, Host, good_sets, install, installed};
use crate::disk::Digest;
use crate::state::{Applied, State};

impl<B: Balancer> Host<'_, B> {
    /// Puts the files that HAProxy runs in the place of those that it could not be brought to. What
    /// somebody wrote over those is his, and stays.
    pub fn put_back(&self, memory: &State) {
        let (Some(applied), Some(pending)) = (&memory.applied, &memory.pending) else {
            return;
        };
        // What was never tried may well be what HAProxy runs next.
        if pending.attempts == 0 || pending.cfg_hash == applied.cfg_hash {
            return;
        }
        let Ok(Some(there)) = installed(self.disk, self.at, []) else {
            return;
        };
        if Digest::of(there.cfg.as_bytes()) != pending.cfg_hash {
            return;
        }
        // Another process may have read just these: they could be started after all.
        let running = self.balancer.running(self.at);
        if running.is_some() && running != applied.haproxy_pid {
            return;
        }
        let file = self.at.cfg.display();
        match self.replace_by(applied) {
            Ok(()) => warn!(
                "`{file}` was still one that HAProxy could not be brought to; the one that it runs \
                 is installed again"
            ),
            Err(why) => warn!(
                "`{file}` is still one that HAProxy could not be brought to, and would be read by a \
                 restart; the one that it runs cannot be installed again: {why}"
            ),
        }
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
