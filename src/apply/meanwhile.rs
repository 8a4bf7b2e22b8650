//! Servers that come and go while a reload has to wait: since one failed, or came only just before.

use anyhow::Result;
use tracing::debug;

use super::proved::is_run;
use super::wish::Wish;
use super::{Balancer, FileSet, Host};
use crate::diff;
use crate::state::{State, Time};

impl<B: Balancer> Host<'_, B> {
    /// Until when the reload that `wish` needs has to wait. Servers never do: whoever waited for them
    /// would send requests to those that are gone.
    pub(super) fn waits_for_the_next(
        &self,
        wish: &Wish<'_>,
        before: Option<&FileSet>,
        memory: &State,
    ) -> Option<Time> {
        let apart = self.balancer.reloads_apart();
        if apart.is_zero() || !wish.is_told || self.listener(memory).is_none() {
            return None;
        }
        let before = before.filter(|before| is_run(before, memory))?;
        let change = diff::compare(Some(&before.cfg), &wish.files.cfg);
        matches!(change, diff::Change::Structure(_))
            .then(|| wish.is_too_soon(memory, apart))
            .flatten()
    }

    /// Brings HAProxy to as much of what is wanted as it can be told of.
    pub(super) async fn meanwhile(
        &self,
        wish: &Wish<'_>,
        before: Option<&FileSet>,
        memory: &mut State,
        remember: &mut dyn FnMut(&State),
    ) -> Result<()> {
        let runs = before.filter(|before| is_run(before, memory));
        let Some(before) = runs.filter(|_| wish.is_told) else {
            return Ok(());
        };
        let cfg = diff::with_servers_of(&before.cfg, &wish.files.cfg);
        if cfg == before.cfg {
            return Ok(());
        }
        let known = memory.applied.iter().flat_map(|a| a.map_hashes.keys());
        let maps = known.filter_map(|name| before.maps.get_key_value(name));
        let maps = maps.map(|(name, text)| (name.clone(), text.clone()));
        let files = FileSet {
            cfg,
            maps: maps.collect(),
        };
        // What failed is no reason to leave servers as they are.
        let failed = memory.pending.take();
        let brought = Box::pin(self.bring_to(&files, memory, wish.now, remember)).await;
        if memory.pending.is_none() {
            memory.pending = failed;
        }
        debug!("while a reload has to wait, for servers alone: {brought:?}");
        brought.map(|_| ())
    }
}
