//! Copies of the files that HAProxy was last proved to run, to go back to.
//!
//! The copies are named by their content and listed in one file that is replaced at the end, so
//! that the set changes as a whole and unchanged files are not copied again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{FileSet, InstallError, Installation, Installed, install};
use crate::disk::{self, Digest, Disk, DiskError, Step};

const FORMAT: u32 = 1;
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// The list, `last-good/files.json`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct List {
    format: u32,
    cfg: Kept,
    maps: BTreeMap<String, Kept>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// File name in the same folder: `haproxy.cfg-1a2b3c4d5e6f7081`.
    file: String,
    digest: Digest,
}

impl Kept {
    fn of(name: &str, text: &str) -> Self {
        let digest = Digest::of(text.as_bytes());
        Self {
            file: format!("{name}-{}", digest.short(16)),
            digest,
        }
    }
}

impl List {
    fn path(folder: &Path) -> PathBuf {
        folder.join("files.json")
    }

    fn of(at: &Installation, files: &FileSet) -> Self {
        let cfg = at.cfg.file_name().unwrap_or_default().to_string_lossy();
        let maps = files.maps.iter();
        Self {
            format: FORMAT,
            cfg: Kept::of(&cfg, &files.cfg),
            maps: maps
                .map(|(name, text)| (name.clone(), Kept::of(name, text)))
                .collect(),
        }
    }

    fn copies(&self) -> impl Iterator<Item = &Kept> {
        [&self.cfg].into_iter().chain(self.maps.values())
    }

    fn text(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("text, and maps with text as keys")
    }

    /// `None` where there is none, or one of another format.
    fn read(disk: &dyn Disk, folder: &Path) -> Result<Option<Self>, DiskError> {
        let content = disk.read(&Self::path(folder))?;
        let list = content.and_then(|content| serde_json::from_slice::<Self>(&content).ok());
        Ok(list.filter(|list| list.format == FORMAT))
    }
}

/// Keeps `files` as the ones that were last proved to run. Without a state folder, nothing.
///
/// # Errors
///
/// The step that failed; the set that was kept before is then still there.
pub fn keep_last_good(
    disk: &dyn Disk,
    at: &Installation,
    files: &FileSet,
) -> Result<(), DiskError> {
    let Some(folder) = folder(at) else {
        return Ok(());
    };
    let list = List::of(at, files);
    let kept = List::read(disk, &folder)?;
    if kept.as_ref() == Some(&list) {
        return Ok(());
    }
    disk.make_folder(&folder, FOLDER_MODE)?;
    disk.sync_folder(disk::folder_of(&folder))?;
    let texts = [&files.cfg].into_iter().chain(files.maps.values());
    for (copy, text) in list.copies().zip(texts) {
        if !kept.iter().flat_map(List::copies).any(|old| old == copy) {
            disk::stage(disk, &folder.join(&copy.file), text.as_bytes(), FILE_MODE)?;
        }
    }
    // A list that outlived a power cut without what it lists would be worth nothing.
    disk.sync_folder(&folder)?;
    disk::replace(disk, &List::path(&folder), &list.text(), FILE_MODE)?;

    let mut wanted: BTreeSet<&str> = list.copies().map(|copy| &*copy.file).collect();
    wanted.insert("files.json");
    for name in disk.list(&folder)? {
        if name.to_str().is_none_or(|name| !wanted.contains(name)) {
            disk.remove(&folder.join(name))?;
        }
    }
    Ok(())
}

/// The files that were last proved to run; `None` where none are kept.
///
/// # Errors
///
/// Where they cannot be read, or are not what was kept.
pub fn load_last_good(disk: &dyn Disk, at: &Installation) -> Result<Option<FileSet>, DiskError> {
    let Some(folder) = folder(at) else {
        return Ok(None);
    };
    let Some(list) = List::read(disk, &folder)? else {
        return Ok(None);
    };
    let mut files = FileSet {
        cfg: text(disk, &folder, &list.cfg)?,
        maps: BTreeMap::new(),
    };
    for (name, copy) in &list.maps {
        files.maps.insert(name.clone(), text(disk, &folder, copy)?);
    }
    Ok(Some(files))
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
