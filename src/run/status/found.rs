//! What is found on this host beside what is remembered: the installed files and the processes.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::{LONGEST_TURN, is_ahead};
use crate::apply::reload;
use crate::config::Config;
use crate::disk::{Digest, Disk as _, OsDisk};
use crate::haproxy::{OldProcess, program, structure_hash};
use crate::state::{Applied, State, Time, TurnOutcome};

/// The installed files, beside those that HAProxy was last proved to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Installed {
    Missing,
    AsApplied,
    /// But for servers, of which HAProxy was told; the watcher has the whole checked soon, or the next
    /// turn does.
    ToBeProved,
    /// By hand, or by a run that was killed.
    Changed,
    /// Nothing was applied yet.
    Unknown,
}

impl Installed {
    pub(super) fn beside(cfg: &Path, state: &State, is_watched: bool) -> Result<Self> {
        let Some(content) = OsDisk.read(cfg)? else {
            return Ok(Self::Missing);
        };
        let Some(applied) = &state.applied else {
            return Ok(Self::Unknown);
        };
        let hash = Digest::of(&content);
        let mut is_same = applied.cfg_hash == hash;
        // A watcher says what it told when it ends.
        let is_told = || {
            let structure = std::str::from_utf8(&content).map(structure_hash).ok();
            is_watched && structure.is_some() && structure == applied.structure_hash
        };
        let is_to_be_proved = !is_same && (state.told == Some(hash) || is_told());
        is_same |= is_to_be_proved;
        for (name, hash) in &applied.map_hashes {
            let map = OsDisk.read(&cfg.with_file_name(name))?;
            is_same &= map.is_some_and(|map| Digest::of(&map) == *hash);
        }
        Ok(if is_same && is_to_be_proved {
            Self::ToBeProved
        } else if is_same {
            Self::AsApplied
        } else {
            Self::Changed
        })
    }
}

/// The process that was last known to run the files, beside those that run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "found")]
pub(super) enum Process {
    AsKnown {
        pid: u32,
    },
    /// Somebody else reloaded or restarted HAProxy since the last turn.
    Other {
        pid: u32,
    },
    Gone {
        pid: u32,
    },
}

/// Where the processes of this host are looked for.
pub(super) fn reload_context(config: &Config) -> reload::Context {
    let haproxy = &config.haproxy;
    let program = program::find(&haproxy.program).unwrap_or_else(|_| haproxy.program.clone());
    let (cfg, pid_file) = (&haproxy.config, &haproxy.pid_file);
    reload::Context::new(&program, cfg, pid_file, config.reload.timeout)
}

/// A process that finishes what it has.
#[derive(Debug, Serialize)]
pub(super) struct Old {
    pid: u32,
    /// When another one took over.
    pub(super) since: Option<Time>,
    /// Null where it hides them.
    connections: Option<OldConnections>,
    #[serde(skip)]
    pub(super) found: OldProcess,
}

#[derive(Debug, Serialize)]
pub(super) struct OldConnections {
    clients: BTreeMap<String, usize>,
    others: usize,
}

impl Old {
    pub(super) fn of(found: OldProcess) -> Self {
        Self {
            pid: found.pid,
            since: found.since.map(Time::at),
            connections: found.holds.as_ref().map(|holds| OldConnections {
                clients: holds.clients.clone(),
                others: holds.others,
            }),
            found,
        }
    }
}

impl Process {
    pub(super) fn beside(applied: &Applied, host: &reload::Context) -> Option<Self> {
        let known = applied.haproxy_pid?;
        Some(if host.serves(known) {
            Self::AsKnown { pid: known }
        } else if let Some(pid) = host.serving() {
            Self::Other { pid }
        } else {
            Self::Gone { pid: known }
        })
    }
}

/// Whether a turn that has not ended yet, and not yet for too long, has installed files for which a
/// reload was not proved so far.
pub(super) fn is_at_work(state: &State, now: Time) -> bool {
    let pending = state.pending.as_ref().filter(|p| p.attempts == 0);
    pending.is_some_and(|pending| {
        // When it began.
        let at = pending.next_try_at;
        // Times are whole seconds: the turn before may have been in the same.
        let has_ended = state.last_turn.as_ref().is_some_and(|last| {
            at < last.at || at == last.at && last.outcome == TurnOutcome::Failed
        });
        !has_ended && !is_ahead(at, now) && now.since(at) < LONGEST_TURN
    })
}
