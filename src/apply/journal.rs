//! The record of an installation that is under way, so that the next start can finish it.
//!
//! It is written before anything else and removed last. It holds digests, never contents: what is
//! on the disk tells how far things went.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{Installation, KEPT_MODE};
use super::plan::Change;
use crate::disk::{self, Digest, Disk, DiskError, Step, folder_of};

const FORMAT: u32 = 1;
const FILE_MODE: u32 = 0o600;

/// The steps in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    format: u32,
    /// Content is copied over the files instead of renaming others to them.
    in_place: bool,
    /// Of files that are written in place and do not exist yet.
    new_file_mode: u32,
    pub(super) steps: Vec<Entry>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The file that changes.
    pub(super) path: PathBuf,
    /// Where the new content waits; `None` where the file goes.
    pub(super) staged: Option<PathBuf>,
    /// Of the file before this step.
    before: Option<Digest>,
    /// Of the file after it.
    after: Option<Digest>,
}

/// What was found in the place of a journal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// The steps begin after the journal is whole, so none was begun.
    NotWhole,
    Whole(Journal),
}

/// How far an installation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    NotBegun,
    /// So many steps are done; with `--in-place` the next may be half done.
    Done(usize),
    /// Somebody else has been here.
    Unknown,
}

impl Journal {
    pub(super) fn of(at: &Installation, changes: &[Change]) -> Self {
        let steps = changes
            .iter()
            .enumerate()
            .map(|(number, change)| Entry {
                staged: change
                    .after
                    .as_ref()
                    .map(|_| at.staged(&change.path, number)),
                path: change.path.clone(),
                before: change.before,
                after: change.after.as_deref().map(Digest::of),
            })
            .collect();
        Self {
            format: FORMAT,
            in_place: at.in_place,
            new_file_mode: at.new_file_mode & KEPT_MODE,
            steps,
        }
    }

    pub(super) fn path(state: &Path) -> PathBuf {
        state.join("journal")
    }

    pub(super) fn write(&self, disk: &dyn Disk, state: &Path) -> Result<(), DiskError> {
        let path = Self::path(state);
        let content = serde_json::to_vec_pretty(self)
            .map_err(|error| DiskError::new(Step::Write, &path, error.into()))?;
        disk::stage(disk, &path, &content, FILE_MODE)?;
        disk.sync_folder(state)
    }

    pub(super) fn read(disk: &dyn Disk, state: &Path) -> Result<Found, DiskError> {
        let path = Self::path(state);
        let content = match disk.read(&path) {
            Ok(Some(content)) => content,
            Err(error) if error.is_killed() => return Err(error),
            // In a folder that cannot be read, we wrote no journal.
            Ok(None) | Err(_) => return Ok(Found::Nothing),
        };
        Ok(match serde_json::from_slice::<Self>(&content) {
            Ok(journal) if journal.format == FORMAT => Found::Whole(journal),
            _ => Found::NotWhole,
        })
    }

    /// Compares what lies there with what would lie there after each step.
    pub(super) fn progress(&self, disk: &dyn Disk) -> Result<Progress, DiskError> {
        let mut present: BTreeMap<&Path, Option<Digest>> = BTreeMap::new();
        for entry in &self.steps {
            let content = disk.read(&entry.path)?;
            present.insert(&entry.path, content.as_deref().map(Digest::of));
        }
        let untouched = self.after_steps(0) == present;
        let done = (0..=self.steps.len()).rev().find(|&done| {
            let mut expected = self.after_steps(done);
            if let Some(next) = self.steps.get(done).filter(|_| self.in_place) {
                expected.insert(&next.path, present[&*next.path]);
            }
            expected == present
        });
        Ok(match done {
            _ if untouched => Progress::NotBegun,
            Some(done) => Progress::Done(done),
            None => Progress::Unknown,
        })
    }

    fn after_steps(&self, done: usize) -> BTreeMap<&Path, Option<Digest>> {
        let mut contents = BTreeMap::new();
        for entry in &self.steps {
            contents.entry(&*entry.path).or_insert(entry.before);
        }
        for entry in &self.steps[..done] {
            contents.insert(&entry.path, entry.after);
        }
        contents
    }

    /// Whether the content of every step from `done` on waits where it should.
    pub(super) fn is_staged_from(&self, disk: &dyn Disk, done: usize) -> Result<bool, DiskError> {
        for entry in &self.steps[done..] {
            let Some(staged) = &entry.staged else {
                continue;
            };
            if disk.read(staged)?.as_deref().map(Digest::of) != entry.after {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes the steps from `done` on. `content` of a step, where it is at hand, saves reading it.
    pub(super) fn take_steps(
        &self,
        disk: &dyn Disk,
        done: usize,
        content: impl Fn(usize) -> Option<Vec<u8>>,
    ) -> Result<(), DiskError> {
        for (number, entry) in self.steps.iter().enumerate().skip(done) {
            match &entry.staged {
                None => disk.remove(&entry.path)?,
                Some(staged) if self.in_place => {
                    let content = match content(number) {
                        Some(content) => content,
                        None => read_staged(disk, staged)?,
                    };
                    overwrite(disk, &entry.path, &content, self.new_file_mode)?;
                }
                Some(staged) => disk.rename(staged, &entry.path)?,
            }
            // A later step must not outlive a power cut that an earlier one does not.
            disk.sync_folder(folder_of(&entry.path))?;
        }
        Ok(())
    }
}

fn read_staged(disk: &dyn Disk, staged: &Path) -> Result<Vec<u8>, DiskError> {
    disk.read(staged)?.ok_or_else(|| {
        let gone = io::Error::from(io::ErrorKind::NotFound);
        DiskError::new(Step::Read, staged, gone)
    })
}

/// Not atomic: a reader may find a part. What fails leaves what was there, as far as the disk lets
/// us put it back.
fn overwrite(disk: &dyn Disk, path: &Path, content: &[u8], mode: u32) -> Result<(), DiskError> {
    let before = disk.read(path)?;
    if before.is_none() {
        disk.create(path, mode)?;
    }
    let put = |content: &[u8]| {
        disk.write(path, content)
            .and_then(|()| disk.sync_file(path))
    };
    let written = put(content);
    if written.as_ref().is_err_and(|error| !error.is_killed()) {
        // The first error is the one to tell.
        let _ = match &before {
            Some(before) => put(before),
            None => disk.remove(path),
        };
    }
    written
}
