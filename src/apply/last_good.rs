//! Copies of the files that HAProxy was proved to run, to go back to: those of now, and a few
//! earlier ones for an operator who finds that files can be proved and bad all the same.
//!
//! The copies are named by their content and listed in one file that is replaced at the end, so
//! that the sets change as a whole and unchanged files are not copied again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::files::{FileSet, InstallError, Installation, Installed, install};
use crate::disk::{self, Digest, Disk, DiskError, Step};
use crate::haproxy::structure_hash;
use crate::state::Time;

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

    /// Its files.
    ///
    /// # Errors
    ///
    /// Where they cannot be read, or are not what was kept.
    pub fn load(&self, disk: &dyn Disk, at: &Installation) -> Result<FileSet, DiskError> {
        let folder = folder(at).unwrap_or_default();
        let mut files = FileSet {
            cfg: text(disk, &folder, &self.cfg)?,
            maps: BTreeMap::new(),
        };
        for (name, copy) in &self.maps {
            files.maps.insert(name.clone(), text(disk, &folder, copy)?);
        }
        Ok(files)
    }

    fn copies(&self) -> impl Iterator<Item = &Kept> {
        [&self.cfg].into_iter().chain(self.maps.values())
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

    /// Empty where there is none, one of another format, or one that is not for us: what another user
    /// remembered does not keep us from our work.
    fn read(disk: &dyn Disk, folder: &Path) -> Result<Vec<GoodSet>, DiskError> {
        let content = match disk.read(&Self::path(folder)) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                warn!("{error}; the run goes on as if no good files were kept");
                None
            }
            read => read?,
        };
        let list = content.and_then(|content| serde_json::from_slice::<Self>(&content).ok());
        let list = list.filter(|list| list.format == FORMAT);
        Ok(list.map(|list| list.sets).unwrap_or_default())
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
    for path in others(disk, folder, sets)? {
        disk.remove(&path)?;
    }
    Ok(())
}

fn others(disk: &dyn Disk, folder: &Path, sets: &[GoodSet]) -> Result<Vec<PathBuf>, DiskError> {
    let copies = sets.iter().flat_map(GoodSet::copies);
    let mut wanted: BTreeSet<&str> = copies.map(|copy| &*copy.file).collect();
    wanted.insert("files.json");
    let mut names = disk.list(folder)?;
    names.retain(|name| name.to_str().is_none_or(|name| !wanted.contains(name)));
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// Whether [`keep_last_good`] has nothing to do for `files`, not even to tidy up. Never without a
/// state folder.
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
    let is_newest = sets.first().is_some_and(|last| last.is(files));
    Ok(is_newest && others(disk, &folder, &sets)?.is_empty())
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
    keep_marked(disk, at, files, &Marks::of(files), now)
}

/// The same for files whose `marks` are known.
pub(super) fn keep_marked(
    disk: &dyn Disk,
    at: &Installation,
    files: &FileSet,
    marks: &Marks,
    now: Time,
) -> Result<(), DiskError> {
    let Some(folder) = folder(at) else {
        return Ok(());
    };
    let new = GoodSet::of(at, marks, now);
    let kept = List::read(disk, &folder)?;
    if kept.first().is_some_and(|last| last.has_files_of(&new)) {
        return remove_others(disk, &folder, &kept);
    }
    disk.make_folder(&folder, FOLDER_MODE)?;
    disk.sync_folder(disk::folder_of(&folder))?;
    let texts = [&files.cfg].into_iter().chain(files.maps.values());
    for (copy, text) in new.copies().zip(texts) {
        if !kept.iter().flat_map(GoodSet::copies).any(|old| old == copy) {
            disk::stage(disk, &folder.join(&copy.file), text.as_bytes(), FILE_MODE)?;
        }
    }
    // A list that outlived a power cut without what it lists would be worth nothing.
    disk.sync_folder(&folder)?;
    List::write(disk, &folder, chosen(new, kept, at.archive_versions))
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

/// Puts the files that were last proved to run in place again, and takes those of `failed_maps`
/// away that are not among them. `None` where none are kept.
///
/// # Errors
///
/// As [`load_last_good`] and [`install`].
pub fn restore_last_good(
    disk: &dyn Disk,
    at: &Installation,
    failed_maps: &[String],
) -> Result<Option<Installed>, InstallError> {
    let Some(files) = load_last_good(disk, at)? else {
        return Ok(None);
    };
    let obsolete: Vec<String> = failed_maps
        .iter()
        .filter(|name| !files.maps.contains_key(*name))
        .cloned()
        .collect();
    install(disk, at, &files, &obsolete).map(Some)
}

fn folder(at: &Installation) -> Option<PathBuf> {
    at.state.as_ref().map(|state| state.join("last-good"))
}

fn text(disk: &dyn Disk, folder: &Path, copy: &Kept) -> Result<String, DiskError> {
    let path = folder.join(&copy.file);
    let failed = |kind, reason| DiskError::new(Step::Read, &path, io::Error::new(kind, reason));
    let content = disk
        .read(&path)?
        .ok_or_else(|| failed(io::ErrorKind::NotFound, "it is listed, but not there"))?;
    if Digest::of(&content) != copy.digest {
        return Err(failed(
            io::ErrorKind::InvalidData,
            "it is not what was kept",
        ));
    }
    String::from_utf8(content).map_err(|_| failed(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn at(minute: u64) -> Time {
        Time::at(SystemTime::UNIX_EPOCH + Duration::from_secs(60 * minute))
    }

    fn set(structure: &str, servers: u64) -> GoodSet {
        let cfg = format!("listen {structure}\n  server s h:{servers}\n");
        let files = FileSet {
            cfg,
            maps: BTreeMap::new(),
        };
        let marks = Marks::of(&files);
        GoodSet::of(&Installation::new(Path::new("/c"), None), &marks, at(0))
    }

    /// Sets kept one after the other, as structure and servers.
    fn history(kept: &[(&str, u64)], most: usize) -> Vec<(String, u64)> {
        let sets = kept.iter().fold(Vec::new(), |sets, &(structure, servers)| {
            chosen(set(structure, servers), sets, most)
        });
        let name = |kept: &GoodSet| {
            let found = ["a", "b", "c", "d", "e", "f", "g"]
                .into_iter()
                .flat_map(|structure| (0..9).map(move |servers| (structure, servers)))
                .find(|&(structure, servers)| kept.has_files_of(&set(structure, servers)));
            let (structure, servers) = found.unwrap();
            (structure.to_owned(), servers)
        };
        sets.iter().map(name).collect()
    }

    #[test]
    fn the_last_two_sets_are_kept_and_one_of_each_structure_before() {
        let short = |sets: Vec<(String, u64)>| -> String {
            let names: Vec<_> = sets.iter().map(|(s, n)| format!("{s}{n}")).collect();
            names.join(" ")
        };
        for (kept, want) in [
            (&[("a", 1)][..], "a1"),
            (&[("a", 1), ("a", 2), ("a", 3)], "a3 a2"),
            (
                &[("a", 1), ("a", 2), ("b", 1), ("b", 2), ("b", 3)],
                "b3 b2 a2",
            ),
            (&[("a", 1), ("b", 1), ("a", 1)], "a1 b1"),
            (
                &[("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1), ("f", 1)],
                "f1 e1 d1 c1 b1",
            ),
        ] {
            assert_eq!(short(history(kept, 5)), want, "{kept:?}");
        }
        let kept = [("a", 1), ("b", 1), ("c", 1)];
        assert_eq!(short(history(&kept, 2)), "c1 b1");
        assert_eq!(short(history(&kept, 0)), "c1");
    }
}
