//! What surrounds a turn, whoever takes it: what is remembered of the one before, and of this one.

use std::collections::BTreeMap;
use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use nix::unistd::{AccessFlags, access};
use tracing::warn;

use super::blame::Blamed;
use crate::apply::validate::remove_leftovers;
use crate::apply::{FileSet, Host, Installation, LocalHaproxy, Outcome, trust_installed};
use crate::config::Config;
use crate::cycle::{GoodAnswer, Marathon, Report, Stages};
use crate::diff::Change;
use crate::disk::OsDisk;
use crate::haproxy::{Version, program};
use crate::logging;
use crate::resolve::System;
use crate::state::{Folder, LastTurn, Paused, State, Time, TurnOutcome, Unsaved, Writable};

/// For `haproxy -v`.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// So many warnings of HAProxy are told and remembered: one line of a template can give one for each
/// section.
const MOST_COMPLAINTS: usize = 50;

/// The kind of trouble that it cannot be saved.
const STATE: &str = "the state";

/// All that a turn works on.
pub(super) fn host<'h, 'l>(
    local: &'h LocalHaproxy<'l>,
    at: &'h Installation,
) -> Host<'h, LocalHaproxy<'l>> {
    Host {
        disk: &OsDisk,
        balancer: local,
        at,
    }
}

/// A turn, and how the one before it ended.
pub(super) struct Turn {
    pub(super) report: Report,
    pub(super) last: Option<LastTurn>,
    pub(super) paused: Option<Paused>,
    pub(super) folder: Folder,
    /// Why the next turn will not know of this one.
    pub(super) forgotten: Option<String>,
}

/// What turns remember, and where. Only who holds the lock may have it.
pub(super) struct Memory {
    pub(super) store: Writable,
    pub(super) state: State,
}

impl Memory {
    /// What the run before left.
    pub(super) fn open(folder: Folder) -> Self {
        let (store, state, warning) = Writable::open(&OsDisk, folder);
        match warning {
            Some(warning) if store.path().is_none() => logging::lasting(STATE, Some(&warning)),
            Some(warning) => warn!("{warning}"),
            None => (),
        }
        if let Some(folder) = store.path() {
            remove_leftovers(folder);
        }
        Self { store, state }
    }

    /// What an operator did beside a watcher, between two of its turns: he may have gone back to other
    /// files, or wants turns to apply nothing, or servers to get no new requests.
    pub(super) fn heed_operator(&mut self) {
        if self.store.is_lost(&OsDisk) {
            let folder = self.store.folder().path().display();
            warn!(
                "the state folder `{folder}` was emptied or taken away; what is known is saved anew"
            );
            self.state.answer = None;
        }
        let drained = mem::take(&mut self.state.drained);
        let leftovers = mem::take(&mut self.state.leftovers);
        if let Some(state) = self.store.reread(&OsDisk) {
            self.state = state;
        }
        self.state.leftovers = leftovers;
        self.state.paused = self.store.folder().paused(&OsDisk);
        let (drained, unread) = match self.store.folder().drained(&OsDisk) {
            Ok(drained) => (drained, None),
            Err(why) => (drained, Some(format!("{why}; what was drained still is"))),
        };
        self.state.drained = drained;
        logging::lasting("what is drained", unread.as_deref());
    }

    /// Takes the installed files for proved where nothing can be written down, as on a file system
    /// that the kernel has set to read-only after a fault.
    ///
    /// # Errors
    /// When an installed file cannot be read.
    pub(super) fn trust_if_read_only(&mut self, at: &Installation) -> Result<()> {
        let is_read_only = |folder: &Path| access(folder, AccessFlags::W_OK).is_err();
        if self.store.path().is_some_and(is_read_only) {
            trust_installed(&OsDisk, at, &mut self.state)?;
        }
        Ok(())
    }

    /// Takes a turn.
    pub(super) async fn turn(
        &mut self,
        stages: &mut Stages<Marathon, System>,
        local: &LocalHaproxy<'_>,
        at: &Installation,
        now: Time,
    ) -> Result<Report> {
        let host = host(local, at);
        let Self { store, state } = self;
        let mut remember = |state: &State| save(store, state);
        // It is large, and part of everything that waits for it.
        let result = Box::pin(stages.turn(&host, state, now, &mut remember)).await;
        if let Some((resolver, _)) = &stages.resolver {
            state.addresses.clone_from(resolver.known());
        }
        result
    }

    /// Takes a turn for the edit on trial alone, where that can be done before Marathon is asked.
    pub(super) async fn edited(
        &mut self,
        stages: &mut Stages<Marathon, System>,
        local: &LocalHaproxy<'_>,
        at: &Installation,
        now: Time,
    ) -> Option<Result<Turn>> {
        let host = host(local, at);
        let Self { store, state } = self;
        let mut remember = |state: &State| save(store, state);
        let result = Box::pin(stages.edited(&host, state, now, &mut remember)).await;
        result.transpose().map(|result| self.ended(result, now))
    }

    /// Takes a turn for servers alone, where that will do.
    pub(super) async fn servers_alone(
        &mut self,
        stages: &mut Stages<Marathon, System>,
        local: &LocalHaproxy<'_>,
        at: &Installation,
        now: Time,
    ) -> Result<Option<Turn>> {
        let host = host(local, at);
        let report = stages.servers_alone(&host, &mut self.state, now).await?;
        let Some(report) = report else {
            return Ok(None);
        };
        // Else it is saved once the file is proved: a kill before that costs a check.
        let is_refused = self.state.is_refused();
        let (last, result) = self.summed_up(Ok(report), now);
        if let Some(refused) = last.as_ref().filter(|_| is_refused) {
            self.state.last_turn = Some(LastTurn {
                at: now,
                ..refused.clone()
            });
        }
        if stages.leaves_proof() {
            // What HAProxy was told has to be known after a kill, too.
            self.save();
        } else {
            self.note_unsaved();
        }
        Ok(Some(self.told(result?, last)))
    }

    /// `haproxy -c` has accepted `files`, in which servers alone were new. Whether they are still
    /// what is installed.
    pub(super) fn proved(
        &mut self,
        stages: &mut Stages<Marathon, System>,
        local: &LocalHaproxy<'_>,
        at: &Installation,
        files: &FileSet,
        now: Time,
    ) -> bool {
        let host = host(local, at);
        let is_still = stages.proved(&host, files, &mut self.state, now);
        if is_still {
            self.save();
        }
        is_still
    }

    /// The last turn, where the state could not be saved.
    pub(super) fn unsaved(&self) -> Option<Unsaved> {
        let (last, why) = (self.state.last_turn.as_ref()?, self.store.unsaved()?);
        Some(Unsaved {
            at: last.at,
            outcome: last.outcome,
            detail: last.detail.clone(),
            why: why.to_owned(),
        })
    }

    /// Saves what is remembered, and notes where that fails, whoever asks and whenever.
    pub(super) fn save(&mut self) {
        save(&mut self.store, &self.state);
        self.note_unsaved();
    }

    fn note_unsaved(&mut self) {
        let unsaved = self.unsaved();
        self.store.note_unsaved(&OsDisk, unsaved.as_ref());
    }

    /// Remembers what came of a turn.
    pub(super) fn ended(&mut self, result: Result<Report>, now: Time) -> Result<Turn> {
        let (last, result) = self.summed_up(result, now);
        self.save();
        let mut report = result?;
        if let Some(GoodAnswer { text, kept }) = report.good_answer.take() {
            let Self { store, state } = &mut *self;
            let warning = store.keep_answer(&OsDisk, state, text.as_bytes(), kept);
            let kind = match store.unsaved() {
                Some(_) => STATE,
                None => "the answer that is kept",
            };
            logging::lasting(kind, warning.as_deref());
            self.note_unsaved();
        }
        Ok(self.told(report, last))
    }

    /// Something beside the turn that was taken could not be done: `status` tells of it.
    pub(super) fn falls_short(&mut self, error: &anyhow::Error) {
        let last = self.state.last_turn.as_mut();
        let went_well = |last: &&mut LastTurn| {
            matches!(last.outcome, TurnOutcome::Unchanged | TurnOutcome::Applied)
        };
        if let Some(last) = last.filter(went_well) {
            last.outcome = TurnOutcome::Failed;
            last.detail = Some(format!("{error:#}"));
            self.save();
        }
    }

    fn summed_up(
        &mut self,
        result: Result<Report>,
        now: Time,
    ) -> (Option<LastTurn>, Result<Report>) {
        let last = self.state.last_turn.take();
        self.state.last_turn = Some(summary(&result, now, last.as_ref()));
        (last, result)
    }

    fn told(&self, report: Report, last: Option<LastTurn>) -> Turn {
        Turn {
            report,
            last,
            paused: self.state.paused.clone(),
            folder: self.store.folder().clone(),
            forgotten: self.store.unsaved().map(str::to_owned),
        }
    }
}

/// Saves what is remembered. That it cannot be saved is told once, and once when it can again.
pub(super) fn save(store: &mut Writable, state: &State) {
    let warning = store.save(&OsDisk, state);
    logging::lasting(STATE, warning.as_deref());
}

/// Its program and version. Where nothing is to be checked, a host without it is no fault: the file
/// may be for another.
pub(super) async fn haproxy(config: &Config) -> Result<(PathBuf, Version)> {
    match program::find(&config.haproxy.program) {
        Err(_) if config.validation.skip => {
            let version = config
                .haproxy
                .version
                .map_or(Version::NEWEST, Version::from);
            Ok((config.haproxy.program.clone(), version))
        }
        found => {
            let program = found?;
            let version = version(config, &program).await?;
            Ok((program, version))
        }
    }
}

pub(super) async fn version(config: &Config, program: &Path) -> Result<Version> {
    match config.haproxy.version {
        Some((major, minor)) => Ok(Version::new(major, minor)),
        None => Ok(program::version(program, VERSION_LIMIT).await?),
    }
}

/// By what stays the same of them; of many, those that are remembered. `None` where HAProxy was not
/// asked.
pub(super) fn complaints(report: &Report) -> Option<BTreeMap<String, Blamed<'_>>> {
    let messages = report.complaints.as_ref()?.iter();
    let blamed = messages.map(|message| Blamed::of(&report.plan, message));
    let all: BTreeMap<String, Blamed<'_>> = blamed.map(|b| (b.lasting(), b)).collect();
    Some(all.into_iter().take(MOST_COMPLAINTS).collect())
}

/// What `status` will tell.
fn summary(result: &Result<Report>, now: Time, last: Option<&LastTurn>) -> LastTurn {
    let report = match result {
        Ok(report) => report,
        // What was wrong before is not over because this turn did not come so far.
        Err(error) => {
            return LastTurn {
                at: now,
                outcome: TurnOutcome::Failed,
                detail: Some(format!("{error:#}")),
                warnings: last.map(|last| last.warnings.clone()).unwrap_or_default(),
                wait_for_files: last.map_or(0, |last| last.wait_for_files),
                haproxy_warnings: last
                    .map(|last| last.haproxy_warnings.clone())
                    .unwrap_or_default(),
                marathon: None,
                change: None,
                held: None,
            };
        }
    };
    let (outcome, detail) = match &report.outcome {
        Outcome::Unchanged if report.plan.keeps_all => (
            TurnOutcome::Unchanged,
            Some("nothing may be applied while a removal is held back".to_owned()),
        ),
        Outcome::Unchanged => (TurnOutcome::Unchanged, None),
        Outcome::Paused => (TurnOutcome::Paused, None),
        Outcome::Applied { how, .. } => (TurnOutcome::Applied, Some(how.clone())),
        Outcome::NotRunning { .. } => (
            TurnOutcome::Applied,
            Some("installed for whoever starts HAProxy, which does not run".to_owned()),
        ),
        Outcome::Rejected { messages } => {
            let first = messages
                .first()
                .map(|message| Blamed::of(&report.plan, message).to_string());
            (TurnOutcome::Rejected, first)
        }
        Outcome::Checking => match last {
            // What was refused is looked at once more.
            Some(last) if last.outcome == TurnOutcome::Rejected => {
                (TurnOutcome::Rejected, last.detail.clone())
            }
            _ => (
                TurnOutcome::Unchanged,
                Some("`haproxy -c` goes on to look at the new file".to_owned()),
            ),
        },
        Outcome::Postponed { until } => (
            TurnOutcome::Unchanged,
            Some(format!(
                "a reload or a refused start was not long before, and the next follows at {until}"
            )),
        ),
        Outcome::ReloadFailed { error, .. } | Outcome::Waiting { error, .. } => {
            (TurnOutcome::ReloadFailed, Some(error.clone()))
        }
    };
    LastTurn {
        at: now,
        outcome,
        detail,
        warnings: match last {
            Some(last) if report.as_before => last.warnings.clone(),
            _ => {
                let warnings = report.plan.warnings.iter();
                warnings.map(ToString::to_string).collect()
            }
        },
        wait_for_files: match last {
            Some(last) if report.as_before => last.wait_for_files,
            _ => report.plan.wait_for_files(),
        },
        haproxy_warnings: match complaints(report) {
            Some(complaints) => complaints.into_keys().collect(),
            None => last
                .map(|last| last.haproxy_warnings.clone())
                .unwrap_or_default(),
        },
        marathon: Some(report.plan.from.clone()),
        change: match &report.plan.change {
            Change::Nothing => None,
            change => Some(change.to_string()),
        },
        held: report.plan.held_back(),
    }
}
