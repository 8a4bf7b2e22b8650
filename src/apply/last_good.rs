//! Copies of the files that HAProxy was proved to run, to go back to: those of now, and a few
//! earlier ones for an operator who finds that files can be proved and bad all the same.
//!
//! The copies are named by their content and listed in one file that is replaced at the end, so
//! that the sets change as a whole and unchanged files are not copied again. Nothing depends on them
//! but the way back: what is damaged is told, and mended or dropped when files are kept next.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{FileSet, Installation};
use crate::disk::{self, Digest, Disk, DiskError, Step};
use crate::haproxy::structure_hash;
use crate::state::{Applied, Time};

const FORMAT: u32 = 2;
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// The list, `last-good/files.json`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct List {
    format: u32,
    /// The newest first: it is the one that HAProxy runs.
    sets: Vec<GoodSet>,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// A set of files that HAProxy was proved to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodSet {
    proved_at: Time,
    /// As `haproxy::structure_hash` has it.
    structure: String,
    cfg: Kept,
    maps: BTreeMap<String, Kept>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// File name in the same folder: `haproxy.cfg-1a2b3c4d5e6f7081`.
    file: String,
    digest: Digest,
}

/// What stands for the contents of a set; of large files it is made once.
#[derive(Debug)]
pub(super) struct Marks {
    pub(super) cfg: Digest,
    pub(super) maps: BTreeMap<String, Digest>,
    /// As `haproxy::structure_hash` has it.
    pub(super) structure: String,
}

impl Marks {
    pub(super) fn of(files: &FileSet) -> Self {
        let maps = files.maps.iter();
        Self {
            cfg: Digest::of(files.cfg.as_bytes()),
            maps: maps
                .map(|(name, text)| (name.clone(), Digest::of(text.as_bytes())))
                .collect(),
            structure: structure_hash(&files.cfg),
        }
    }
}

impl Kept {
    fn of(name: &str, digest: Digest) -> Self {
        Self {
            file: format!("{name}-{}", digest.short(16)),
            digest,
        }
    }

    fn text(&self, disk: &dyn Disk, folder: &Path) -> Result<String, DiskError> {
        let path = folder.join(&self.file);
        let failed = |kind, reason| DiskError::new(Step::Read, &path, io::Error::new(kind, reason));
        let content = disk
            .read(&path)?
            .ok_or_else(|| failed(ErrorKind::NotFound, "it is listed, but not there"))?;
        if Digest::of(&content) != self.digest {
            return Err(failed(ErrorKind::InvalidData, "it is not what was kept"));
        }
        String::from_utf8(content).map_err(|_| failed(ErrorKind::InvalidData, "it is not UTF-8"))
    }
}

impl GoodSet {
    fn of(at: &Installation, marks: &Marks, proved_at: Time) -> Self {
        let cfg = at.cfg.file_name().unwrap_or_default().to_string_lossy();
        let maps = marks.maps.iter();
        Self {
            proved_at,
            structure: marks.structure.clone(),
            cfg: Kept::of(&cfg, marks.cfg),
            maps: maps
                .map(|(name, &digest)| (name.clone(), Kept::of(name, digest)))
                .collect(),
        }
    }

    /// When HAProxy was brought to it last.
    #[must_use]
    pub fn proved_at(&self) -> Time {
        self.proved_at
    }

    /// The file names of its maps.
    pub fn maps(&self) -> impl Iterator<Item = &str> {
        self.maps.keys().map(String::as_str)
    }

    /// Whether it consists of these files.
    #[must_use]
    pub fn is(&self, files: &FileSet) -> bool {
        let same = |kept: &Kept, text: &str| kept.digest == Digest::of(text.as_bytes());
        same(&self.cfg, &files.cfg)
            && self.maps.len() == files.maps.len()
            && self
                .maps
                .iter()
                .zip(&files.maps)
                .all(|((name, kept), (other, text))| name == other && same(kept, text))
    }

    /// Whether its `haproxy.cfg` has this digest.
    pub(super) fn has_cfg(&self, hash: Digest) -> bool {
        self.cfg.digest == hash
    }

    /// Whether it is the set that was applied.
    pub(super) fn is_that(&self, applied: &Applied) -> bool {
        let maps = self.maps.iter().map(|(name, kept)| (name, &kept.digest));
        self.cfg.digest == applied.cfg_hash && maps.eq(&applied.map_hashes)
    }

    /// Its files.
    ///
    /// # Errors
    ///
    /// Where they cannot be read, or are not what was kept.
    pub fn load(&self, disk: &dyn Disk, at: &Installation) -> Result<FileSet, DiskError> {
        let folder = folder(at).unwrap_or_default();
        let mut files = FileSet {
            cfg: self.cfg.text(disk, &folder)?,
            maps: BTreeMap::new(),
        };
        for (name, copy) in &self.maps {
            files.maps.insert(name.clone(), copy.text(disk, &folder)?);
        }
        Ok(files)
    }

    fn copies(&self) -> impl Iterator<Item = &Kept> {
        [&self.cfg].into_iter().chain(self.maps.values())
    }

    /// Whether the copies hold these files. To compare costs less than to digest.
    fn has_copies_of(&self, files: &FileSet, disk: &dyn Disk, folder: &Path) -> bool {
        let mut copies = self.copies().zip(texts(files));
        copies.all(|(copy, text)| {
            let content = disk.read(&folder.join(&copy.file)).ok().flatten();
            content.is_some_and(|content| content == text.as_bytes())
        })
    }

    fn has_files_of(&self, other: &Self) -> bool {
        self.cfg == other.cfg && self.maps == other.maps
    }

    fn has_structure_of(&self, other: &Self) -> bool {
        self.structure == other.structure && self.maps == other.maps
    }
}

impl List {
    fn path(folder: &Path) -> PathBuf {
        folder.join("files.json")
    }

    fn text(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("text, and maps with text as keys")
    }

    /// Empty where there is none, or one of another format.
    fn read(disk: &dyn Disk, folder: &Path) -> Result<Vec<GoodSet>, DiskError> {
        let path = Self::path(folder);
        let Some(content) = disk.read(&path)? else {
            return Ok(Vec::new());
        };
        let read = serde_json::from_slice(&content).and_then(|Format { format }| match format {
            FORMAT => serde_json::from_slice::<Self>(&content).map(|list| list.sets),
            _ => Ok(Vec::new()),
        });
        read.map_err(|error| {
            let reason = format!("it is not what was written: {error}");
            DiskError::new(
                Step::Read,
                &path,
                io::Error::new(ErrorKind::InvalidData, reason),
            )
        })
    }

    /// The same, to be replaced: what is no list of ours is told in `faults`, and names nothing.
    fn read_to_replace(
        disk: &dyn Disk,
        folder: &Path,
        faults: &mut Vec<String>,
    ) -> Result<Vec<GoodSet>, DiskError> {
        let read = Self::read(disk, folder);
        match read {
            // The latter: something that is no regular file.
            Err(error)
                if !error.is_killed()
                    && matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::Other) =>
            {
                faults.push(format!("{error}; good files of before are kept no longer"));
                Ok(Vec::new())
            }
            read => read,
        }
    }

    /// Puts the list of `sets` in place and removes copies that are in none of them.
    fn write(disk: &dyn Disk, folder: &Path, sets: Vec<GoodSet>) -> Result<(), DiskError> {
        let format = FORMAT;
        let list = Self { format, sets };
        disk::replace(disk, &Self::path(folder), &list.text(), FILE_MODE)?;
        remove_others(disk, folder, &list.sets)
    }
}

/// Removes copies that are in none of `sets`, and what a run that was killed left behind.
fn remove_others(disk: &dyn Disk, folder: &Path, sets: &[GoodSet]) -> Result<(), DiskError> {
    for name in Names::of(disk, folder, sets)?.others {
        disk.remove(&folder.join(name))?;
    }
    Ok(())
}

/// What lies in the folder, beside what should.
struct Names {
    others: Vec<OsString>,
    any_missing: bool,
}

impl Names {
    fn of(disk: &dyn Disk, folder: &Path, sets: &[GoodSet]) -> Result<Self, DiskError> {
        let copies = sets.iter().flat_map(GoodSet::copies);
        let mut wanted: BTreeSet<&str> = copies.map(|copy| &*copy.file).collect();
        wanted.insert("files.json");
        let mut others = disk.list(folder)?;
        others.retain(|name| name.to_str().is_none_or(|name| !wanted.remove(name)));
        Ok(Self {
            others,
            any_missing: !wanted.is_empty(),
        })
    }
}

/// Whether [`keep_last_good`] has nothing to do for `files`, not even to mend or to tidy up. Never
/// without a state folder.
///
/// # Errors
///
/// Where the list or the folder cannot be read.
pub(super) fn is_kept(
    disk: &dyn Disk,
    at: &Installation,
    files: &FileSet,
) -> Result<bool, DiskError> {
    let Some(folder) = folder(at) else {
        return Ok(false);
    };
    let sets = List::read(disk, &folder)?;
    let Some(newest) = sets.first().filter(|last| last.is(files)) else {
        return Ok(false);
    };
    let names = Names::of(disk, &folder, &sets)?;
    let are_right = names.others.is_empty() && !names.any_missing;
    Ok(are_right && newest.has_copies_of(files, disk, &folder))
}

/// Keeps `files` as the ones that were last proved to run. Without a state folder, nothing.
///
/// # Errors
///
/// The step that failed; the sets that were kept before are then still there.
pub fn keep_last_good(
    disk: &dyn Disk,
    at: &Installation,
    files: &FileSet,
    now: Time,
) -> Result<(), DiskError> {
    keep_marked(disk, at, files, &Marks::of(files), now).map(drop)
}

/// The same for files whose `marks` are known. Tells what was found damaged, and what became of it.
pub(super) fn keep_marked(
    disk: &dyn Disk,
    at: &Installation,
    files: &FileSet,
    marks: &Marks,
    now: Time,
) -> Result<Vec<String>, DiskError> {
    let mut faults = Vec::new();
    let Some(folder) = folder(at) else {
        return Ok(faults);
    };
    let mut new = GoodSet::of(at, marks, now);
    let mut kept = List::read_to_replace(disk, &folder, &mut faults)?;
    let listed: Vec<Kept> = kept.iter().flat_map(GoodSet::copies).cloned().collect();
    if kept.first().is_some_and(|last| last.has_files_of(&new)) {
        let is_whole = kept[0].has_copies_of(files, disk, &folder);
        if is_whole && !Names::of(disk, &folder, &kept)?.any_missing {
            remove_others(disk, &folder, &kept)?;
            return Ok(faults);
        }
        new = kept.remove(0);
    }
    disk.make_folder(&folder, FOLDER_MODE)?;
    disk.sync_folder(disk::folder_of(&folder))?;
    for (copy, text) in new.copies().zip(texts(files)) {
        if listed.contains(copy) {
            match copy.text(disk, &folder) {
                Ok(_) => continue,
                Err(error) if error.is_killed() => return Err(error),
                Err(error) => faults.push(format!("{error}; it is written anew")),
            }
        }
        disk::stage(disk, &folder.join(&copy.file), text.as_bytes(), FILE_MODE)?;
    }
    drop_damaged(disk, &folder, &new, &mut kept, &mut faults)?;
    // A list that outlived a power cut without what it lists would be worth nothing.
    disk.sync_folder(&folder)?;
    List::write(disk, &folder, chosen(new, kept, at.archive_versions))?;
    Ok(faults)
}

/// Those of `kept` go that nobody could go back to. The copies of `new` are known to be right.
fn drop_damaged(
    disk: &dyn Disk,
    folder: &Path,
    new: &GoodSet,
    kept: &mut Vec<GoodSet>,
    faults: &mut Vec<String>,
) -> Result<(), DiskError> {
    let mut right: Vec<Kept> = new.copies().cloned().collect();
    for set in std::mem::take(kept) {
        let damaged = set
            .copies()
            .filter(|copy| !right.contains(copy))
            .find_map(|copy| copy.text(disk, folder).err());
        match damaged {
            None => {
                right.extend(set.copies().cloned());
                kept.push(set);
            }
            Some(error) if error.is_killed() => return Err(error),
            Some(error) => faults.push(format!(
                "{error}; the good files of {} are kept no longer",
                set.proved_at
            )),
        }
    }
    Ok(())
}

fn texts(files: &FileSet) -> impl Iterator<Item = &String> {
    [&files.cfg].into_iter().chain(files.maps.values())
}

/// The newest set and the one before it, and of those further back the last of each structure: so
/// that a history of a few sets is not filled by an hour in which tasks came and went. At most
/// `most`, and at least the newest.
fn chosen(new: GoodSet, before: Vec<GoodSet>, most: usize) -> Vec<GoodSet> {
    let mut sets = vec![new];
    for set in before {
        let again = set.has_files_of(&sets[0]);
        let is_crowded = sets.len() >= 2 && sets.last().is_some_and(|s| s.has_structure_of(&set));
        if !again && !is_crowded {
            sets.push(set);
        }
    }
    sets.truncate(most.max(1));
    sets
}

/// What is kept, the newest first; nothing without a state folder.
///
/// # Errors
///
/// Where the list cannot be read.
pub fn good_sets(disk: &dyn Disk, at: &Installation) -> Result<Vec<GoodSet>, DiskError> {
    match folder(at) {
        Some(folder) => List::read(disk, &folder),
        None => Ok(Vec::new()),
    }
}

/// Keeps `sets` no longer: an operator found them bad.
///
/// # Errors
///
/// The step that failed.
pub fn forget_good(disk: &dyn Disk, at: &Installation, sets: &[GoodSet]) -> Result<(), DiskError> {
    let Some(folder) = folder(at) else {
        return Ok(());
    };
    let mut kept = List::read(disk, &folder)?;
    let before = kept.len();
    kept.retain(|set| !sets.iter().any(|bad| bad.has_files_of(set)));
    if kept.len() == before {
        return Ok(());
    }
    List::write(disk, &folder, kept)
}

/// The files that were last proved to run; `None` where none are kept.
///
/// # Errors
///
/// Where they cannot be read, or are not what was kept.
pub fn load_last_good(disk: &dyn Disk, at: &Installation) -> Result<Option<FileSet>, DiskError> {
    match good_sets(disk, at)?.first() {
        Some(last) => last.load(disk, at).map(Some),
        None => Ok(None),
    }
}

fn folder(at: &Installation) -> Option<PathBuf> {
    at.state.as_ref().map(|state| state.join("last-good"))
}

#[cfg(test)]
mod tests;
