//! Servers that come and go while a reload has to wait: since one failed, or came only just before, or
//! since its files are still looked at.

use anyhow::Result;
use tracing::{debug, info};

use super::proved::is_run;
use super::wish::Wish;
use super::{Balancer, CheckMessage, FileSet, Host, Outcome};
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
        let apart = self.balancer.reloads_apart();
        if apart.is_zero() || !wish.is_told || self.listener(memory).is_none() {
            return None;
        }
        let before = before.filter(|before| is_run(before, memory))?;
        let change = diff::compare(Some(&before.cfg), &wish.files.cfg);
        // Where HAProxy could be told of backends, nothing would have to wait.
        has_more_than_servers(&change)
            .then(|| wish.is_too_soon(memory, apart))
            .flatten()
    }

    /// Brings HAProxy to servers alone while `haproxy -c` goes on to look at what is wanted; unless these
    /// are all that it looks at.
    pub(super) async fn while_checking(
        &self,
        wish: &Wish<'_>,
        before: Option<&FileSet>,
        memory: &mut State,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Outcome> {
        let change = before.map(|before| diff::compare(Some(&before.cfg), &wish.files.cfg));
        if !change.as_ref().is_some_and(has_more_than_servers) {
            return Ok(Outcome::Checking);
        }
        let alone = self.meanwhile(wish, before, memory, remember).await?;
        Ok(alone.unwrap_or(Outcome::Checking))
    }

    /// Brings HAProxy to as much of what is wanted as it can be told of; `Some` where that was all.
    pub(super) async fn meanwhile(
        &self,
        wish: &Wish<'_>,
        before: Option<&FileSet>,
        memory: &mut State,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Option<Outcome>> {
        let runs = before.filter(|before| is_run(before, memory));
        let Some(before) = runs.filter(|_| wish.is_told) else {
            return Ok(None);
        };
        let cfg = diff::with_servers_of(&before.cfg, &wish.files.cfg);
        if cfg == before.cfg {
            is_over();
            return Ok(None);
        }
        let known = memory.applied.iter().flat_map(|a| a.map_hashes.keys());
        let maps = known.filter_map(|name| before.maps.get_key_value(name));
        let maps = maps.map(|(name, text)| (name.clone(), text.clone()));
        let files = FileSet {
            cfg,
            maps: maps.collect(),
        };
        let hash = Digest::of(files.cfg.as_bytes());
        // There is nothing less of it to try, and its pause is not over.
        if memory.pending.as_ref().is_some_and(|p| is_tried(p, hash)) {
            return Ok(None);
        }
        // What failed is no reason to leave servers as they are.
        let failed = memory.pending.take();
        let brought = Box::pin(self.bring_to(&files, memory, wish.now, remember)).await;
        if files == *wish.files
            && let Ok(outcome) = &brought
            && outcome.is_settled()
        {
            return brought.map(Some);
        }
        if let Some(mut failed) = failed {
            let alone = memory.pending.take();
            failed.refused &= alone.as_ref().is_none_or(|alone| alone.refused);
            // What could not even be tried is tried again.
            let is_in_vain = alone.is_some() || matches!(brought, Ok(Outcome::Rejected { .. }));
            if brought.is_ok() && is_in_vain {
                failed.alone_hash = Some(hash);
            }
            memory.pending = Some(failed);
        }
        tell(brought?);
        Ok(None)
    }
}

/// Says what it came to for servers alone.
fn tell(outcome: Outcome) {
    let why = match outcome {
        Outcome::Applied { how, .. } => {
            info!("servers alone, while a reload has to wait: {how}");
            None
        }
        Outcome::Rejected { messages } => {
            let messages: Vec<String> = messages.iter().map(CheckMessage::lasting).collect();
            Some(format!(
                "`haproxy -c` refuses them: {}",
                messages.join("; ")
            ))
        }
        Outcome::ReloadFailed { error, .. } => Some(error),
        outcome => {
            debug!("servers alone, while a reload has to wait: {outcome:?}");
            return;
        }
    };
    let sentence = why
        .map(|why| format!("servers that came or went have to wait with the reload, too: {why}"));
    lasting(ALONE, sentence.as_deref());
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
