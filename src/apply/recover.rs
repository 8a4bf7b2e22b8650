//! Brings to an end what a run that was killed began.
//!
//! Every state that it can find serves; this makes it one that was asked for. It can be killed
//! itself and begun again.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::files::{InstallError, Installation, Staged};
use super::journal::{Found, Journal, Progress};
use crate::disk::{Disk, DiskError, folder_of};

/// No installation takes so long: a file of that age, where others may be at work, is nobody's.
const STALE: Duration = Duration::from_secs(60 * 60);

/// What was found at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// No traces.
    Nothing,
    /// Temporary files of an installation that had changed nothing yet, or everything.
    TidiedUp,
    /// An installation that had been begun was finished: the new set is in place.
    Finished,
    /// One that had been begun could not be finished, for this reason; the files serve as they are,
    /// and the next installation replaces them.
    Left(String),
}

/// What [`recover`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// What was found.
    pub recovered: Recovered,
    /// Traces that could not be removed.
    pub warnings: Vec<String>,
}

/// Finishes an installation that was broken off, if it had begun to change files, and removes its
/// temporary files. Whoever calls it holds the lock.
///
/// # Errors
///
/// Where files cannot be read, or temporary ones not removed.
pub fn recover(disk: &dyn Disk, at: &Installation) -> Result<Recovery, InstallError> {
    let mut warnings = Vec::new();
    let found = match &at.state {
        Some(state) => Journal::read(disk, state)?,
        None => Found::Nothing,
    };
    let recovered = match found {
        Found::Nothing => None,
        Found::NotWhole => {
            warnings.extend(remove_journal(disk, at)?);
            Some(Recovered::TidiedUp)
        }
        Found::Whole(journal) => {
            let recovered = finish(disk, &journal)?;
            warnings.extend(tidy_up(disk, at, &journal)?);
            Some(recovered)
        }
    };
    let target = disk.target(&at.cfg)?;
    let mut folders = BTreeSet::from([folder_of(&at.cfg), folder_of(&target)]);
    folders.extend(at.state.as_deref());
    let mut any = false;
    for folder in folders {
        let (removed, warning) = remove_leftovers(disk, at, folder)?;
        any |= removed;
        warnings.extend(warning);
    }
    let traces = if any {
        Recovered::TidiedUp
    } else {
        Recovered::Nothing
    };
    Ok(Recovery {
        recovered: recovered.unwrap_or(traces),
        warnings,
    })
}

fn finish(disk: &dyn Disk, journal: &Journal) -> Result<Recovered, InstallError> {
    let done = match journal.progress(disk)? {
        Progress::NotBegun => return Ok(Recovered::TidiedUp),
        Progress::Done(done) if done == journal.steps.len() => return Ok(Recovered::TidiedUp),
        Progress::Done(done) => done,
        Progress::Unknown => {
            let reason = "the files were changed by somebody else since";
            return Ok(Recovered::Left(reason.to_owned()));
        }
    };
    if !journal.is_staged_from(disk, done)? {
        let reason = "its temporary files are gone";
        return Ok(Recovered::Left(reason.to_owned()));
    }
    match journal.take_steps(disk, done, |_| None) {
        Ok(()) => Ok(Recovered::Finished),
        Err(error) if error.is_killed() => Err(error.into()),
        // Not an error of this run: a mount that refuses every rename must not keep
        // `--in-place`, given since, from its work.
        Err(error) => Ok(Recovered::Left(InstallError::from(error).to_string())),
    }
}

/// Removes the journal and what it staged, and says what would not go: the next run tries again,
/// and a journal that stays names digests that do not fit any more.
pub(super) fn tidy_up(
    disk: &dyn Disk,
    at: &Installation,
    journal: &Journal,
) -> Result<Vec<String>, DiskError> {
    let mut warnings = Vec::from_iter(remove_journal(disk, at)?);
    for staged in journal.steps.iter().filter_map(|step| step.staged.as_ref()) {
        warnings.extend(remove_if_there(disk, staged)?);
    }
    Ok(warnings)
}

fn remove_journal(disk: &dyn Disk, at: &Installation) -> Result<Option<String>, DiskError> {
    match &at.state {
        Some(state) => remove_if_there(disk, &Journal::path(state)),
        None => Ok(None),
    }
}

/// A file that cannot even be looked at was never written by us.
fn remove_if_there(disk: &dyn Disk, path: &Path) -> Result<Option<String>, DiskError> {
    match disk.look(path) {
        Ok(Some(_)) => warn_unless_killed(disk.remove(path)),
        Err(error) if error.is_killed() => Err(error),
        Ok(None) | Err(_) => Ok(None),
    }
}

/// Removes temporary files of ours, and of nobody else, from a folder. Says whether there were any,
/// and warns where that cannot be done.
pub(super) fn remove_leftovers(
    disk: &dyn Disk,
    at: &Installation,
    folder: &Path,
) -> Result<(bool, Option<String>), DiskError> {
    let names = match disk.list(folder) {
        Ok(names) => names,
        Err(error) => return Ok((false, warn_unless_killed(Err(error))?)),
    };
    let mut any = false;
    let mut warning = None;
    for name in names {
        let Some(staged) = name.to_str().and_then(|name| at.staged_by(name)) else {
            continue;
        };
        let path = folder.join(&name);
        let is_left = match staged {
            Staged::ByOneAlone => at.is_alone(),
            Staged::ByOneOfMany => is_stale(disk, &path)?,
        };
        if is_left {
            any = true;
            warning = warn_unless_killed(disk.remove(&path))?.or(warning);
        }
    }
    Ok((any, warning))
}

fn is_stale(disk: &dyn Disk, path: &Path) -> Result<bool, DiskError> {
    match disk.look(path) {
        Ok(facts) => Ok(facts.is_some_and(|facts| {
            let age = facts.modified.elapsed();
            age.is_ok_and(|age| age >= STALE)
        })),
        Err(error) if error.is_killed() => Err(error),
        Err(_) => Ok(false),
    }
}

fn warn_unless_killed(result: Result<(), DiskError>) -> Result<Option<String>, DiskError> {
    match result {
        Err(error) if error.is_killed() => Err(error),
        result => Ok(result.err().map(|error| error.to_string())),
    }
}
