//! Which files change, and in which order, so that every state in between is one that serves.
//!
//! ```text
//! maps with old and new rows, new lists ─▶ haproxy.cfg ─▶ maps with new rows ─▶ what nobody names any more
//! ```
//!
//! A map may name a backend that does not exist, and a configuration may not name a map that does
//! not: hence this order. A list of certificates has another name once it holds others, so that the old
//! one stays what it is for as long as a configuration names it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::files::{FileKind, FileSet, InstallError, Installation};
use super::maps;
use crate::disk::{Digest, Disk, Facts, folder_of};
use crate::proxy::native::crt_list_name;

/// One step: a file gets another content, or goes.
#[derive(Debug)]
pub(super) struct Change {
    /// Where the file really lies.
    pub(super) path: PathBuf,
    /// Of what it holds before this step.
    pub(super) before: Option<Digest>,
    /// What it holds after; `None` where it goes.
    pub(super) after: Option<Vec<u8>>,
    /// Mode and owner to be kept.
    pub(super) facts: Option<Facts>,
}

/// A file as it lies there.
struct Present {
    path: PathBuf,
    content: Option<Vec<u8>>,
    facts: Option<Facts>,
}

impl Present {
    fn read(disk: &dyn Disk, path: &Path) -> Result<Self, InstallError> {
        let path = disk.target(path)?;
        Ok(Self {
            content: disk.read(&path)?,
            facts: disk.look(&path)?,
            path,
        })
    }

    fn change(&self, before: Option<&[u8]>, after: &[u8]) -> Option<Change> {
        (before != Some(after)).then(|| Change {
            path: self.path.clone(),
            before: before.map(Digest::of),
            after: Some(after.to_vec()),
            facts: self.facts,
        })
    }
}

/// All that changes, in order; files that already hold what they should do not appear.
pub(super) fn plan(
    disk: &dyn Disk,
    at: &Installation,
    files: &FileSet,
    obsolete: &[String],
) -> Result<Vec<Change>, InstallError> {
    let cfg = Present::read(disk, &at.cfg)?;
    let mut paths = BTreeSet::from([cfg.path.clone()]);
    let mut maps = Vec::with_capacity(files.maps.len());
    for (name, text) in &files.maps {
        let map = Present::read(disk, &at.beside_cfg(name)?)?;
        if !paths.insert(map.path.clone()) {
            return Err(InstallError::SameFile(map.path));
        }
        maps.push((map, text.as_bytes(), FileKind::of(name)));
    }

    let new_cfg = files.cfg.as_bytes();
    let cfg_change = cfg.change(cfg.content.as_deref(), new_cfg);
    // Old rows matter only to an old configuration that is about to go.
    let in_both = cfg_change
        .as_ref()
        .and(cfg.content.as_deref())
        .map(|old_cfg| {
            let (before, after) = (maps::proxies(old_cfg), maps::proxies(new_cfg));
            before
                .intersection(&after)
                .copied()
                .collect::<BTreeSet<_>>()
        });
    let mut first = Vec::new();
    let mut last = Vec::new();
    for (map, new, kind) in &maps {
        let old = map.content.as_deref();
        let wide = match (&in_both, old, kind) {
            (Some(in_both), Some(old), FileKind::Map) => wide(old, new, in_both),
            _ => new.to_vec(),
        };
        first.extend(map.change(old, &wide));
        last.extend(map.change(Some(&wide), new));
    }

    let mut changes = first;
    changes.extend(cfg_change);
    changes.extend(last);
    let mut gone: BTreeSet<String> = obsolete.iter().cloned().collect();
    for name in lists_of(cfg.content.as_deref().unwrap_or_default(), at) {
        // What is remembered may be lost; a list says itself whose it is.
        if let Some(list) = disk.read(&at.beside_cfg(&name)?)?
            && !files.maps.contains_key(&name)
            && is_list_of(&name, &list, &at.cfg)
        {
            gone.insert(name);
        }
    }
    // Whoever else names one of them in a line of his own would have nothing to read.
    for name in lists_of(files.cfg.as_bytes(), at) {
        gone.remove(&name);
    }
    for name in &gone {
        changes.extend(removal(disk, &at.beside_cfg(name)?, &paths)?);
    }
    Ok(changes)
}

/// Whether a list of certificates was written for this configuration, as it is.
fn is_list_of(name: &str, list: &[u8], cfg: &Path) -> bool {
    let config = cfg.file_name().unwrap_or_default().to_string_lossy();
    str::from_utf8(list).is_ok_and(|text| crt_list_name(text, &config) == name)
}

/// The lists of certificates beside it that a configuration names.
fn lists_of(cfg: &[u8], at: &Installation) -> BTreeSet<String> {
    // Nearly all name none, and a change of servers comes here too.
    if memchr::memmem::find(cfg, b".crt-list").is_none() {
        return BTreeSet::new();
    }
    let cfg = String::from_utf8_lossy(cfg);
    let named = maps::named(&cfg, folder_of(&at.cfg)).into_iter();
    let lists = named.filter(|name| FileKind::of(name) == FileKind::CrtList);
    lists.map(str::to_owned).collect()
}

/// The wide map, except where it would differ from the old or the new one in its looks only.
fn wide(old: &[u8], new: &[u8], in_both: &BTreeSet<&[u8]>) -> Vec<u8> {
    let wide = maps::widen(old, new, in_both);
    let same = |map: &[u8]| maps::widen(map, map, in_both) == wide;
    if same(new) {
        new.to_vec()
    } else if same(old) {
        old.to_vec()
    } else {
        wide
    }
}

/// Of a link, the link goes and its target stays: we did not make it.
fn removal(
    disk: &dyn Disk,
    path: &Path,
    wanted: &BTreeSet<PathBuf>,
) -> Result<Option<Change>, InstallError> {
    if wanted.contains(&disk.target(path)?) {
        return Ok(None);
    }
    let Some(content) = disk.read(path)? else {
        return Ok(None);
    };
    Ok(Some(Change {
        path: path.to_owned(),
        before: Some(Digest::of(&content)),
        after: None,
        facts: None,
    }))
}

/// The folders in which something changes.
pub(super) fn folders(changes: &[Change]) -> BTreeSet<&Path> {
    let folders = changes.iter().map(|change| folder_of(&change.path));
    folders.collect()
}
