//! What HAProxy was proved to run, beside what lies there.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::last_good::Marks;
use super::runtime::mark_of;
use super::{FileSet, Installation, good_sets, mark};
use crate::disk::{Digest, Disk};
use crate::state::State;

pub(super) fn is_down(memory: &State) -> bool {
    let applied = memory.applied.as_ref();
    applied.is_some_and(|applied| applied.down.is_some())
}

pub(super) fn is_silent(memory: &State) -> bool {
    let applied = memory.applied.as_ref();
    applied.is_some_and(|applied| applied.silent_since.is_some())
}

pub(super) fn was_started_by_us(memory: &State) -> bool {
    let applied = memory.applied.as_ref();
    applied.is_some_and(|applied| applied.started_by_us)
}

/// Takes the installed files for those that HAProxy was brought to, where nothing can be remembered:
/// what is remembered is then that of the last turn that could, and each further one would bring
/// HAProxy to the same files again.
///
/// # Errors
/// When an installed file cannot be read.
pub fn trust_installed(disk: &dyn Disk, at: &Installation, memory: &mut State) -> Result<()> {
    let Some(applied) = &mut memory.applied else {
        return Ok(());
    };
    let maps = applied.map_hashes.keys().map(String::as_str);
    let Some(files) = installed(disk, at, maps)? else {
        return Ok(());
    };
    let marks = Marks::of(&files);
    if applied.cfg_hash != marks.cfg {
        applied.cfg_hash = marks.cfg;
        applied.map_hashes = marks.maps;
        applied.structure_hash = Some(marks.structure);
        memory.pending = None;
    }
    Ok(())
}

/// Whether HAProxy was proved to run just these files, which are installed. Without any memory the
/// files that are kept tell; without those, too, the installed ones are taken for proved: to reload
/// on suspicion would cost every host a reload at every loss.
#[must_use]
pub fn is_proved(disk: &dyn Disk, at: &Installation, files: &FileSet, memory: &State) -> bool {
    is_proved_as(disk, at, files, &Marks::of(files), memory)
}

pub(super) fn is_proved_as(
    disk: &dyn Disk,
    at: &Installation,
    files: &FileSet,
    marks: &Marks,
    memory: &State,
) -> bool {
    if memory.applied.is_none() && memory.pending.is_none() {
        let kept = good_sets(disk, at).unwrap_or_default();
        return kept.first().is_none_or(|last| last.is(files));
    }
    is_remembered(marks, memory) || mark::get(disk, at, marks).is_some()
}

/// Whether `haproxy -c` accepted files of these marks, as far as is remembered: those that HAProxy
/// was brought to, and those that it was yet to be.
pub(super) fn is_checked(marks: &Marks, memory: &State) -> bool {
    let applied = memory.applied.as_ref().map(|applied| applied.cfg_hash);
    let pending = memory.pending.as_ref().map(|pending| pending.cfg_hash);
    [applied, pending].contains(&Some(marks.cfg))
}

/// Whether the state says so.
pub(super) fn is_remembered(marks: &Marks, memory: &State) -> bool {
    let is_open = memory.pending.as_ref().is_some_and(|p| !p.refused);
    let applied = memory.applied.as_ref().filter(|_| !is_open);
    applied.is_some_and(|a| a.cfg_hash == marks.cfg && a.map_hashes == marks.maps)
}

/// The set as it is installed, with those of `maps` that are there; `None` where there is no
/// `haproxy.cfg`, or one that is no text.
///
/// # Errors
/// When a file cannot be read.
pub fn installed<'m>(
    disk: &dyn Disk,
    at: &Installation,
    maps: impl IntoIterator<Item = &'m str>,
) -> Result<Option<FileSet>> {
    let Some(cfg) = text(disk, &at.cfg)? else {
        return Ok(None);
    };
    let mut present = BTreeMap::new();
    for name in maps {
        if let Some(map) = text(disk, &at.cfg.with_file_name(name))? {
            present.insert(name.to_owned(), map);
        }
    }
    Ok(Some(FileSet { cfg, maps: present }))
}

pub(super) fn text(disk: &dyn Disk, path: &Path) -> Result<Option<String>> {
    let content = disk
        .read(path)
        .context("an installed file cannot be compared")?;
    Ok(content.and_then(|content| String::from_utf8(content).ok()))
}

/// Whether HAProxy was proved to run just these files.
pub(super) fn is_applied(files: &FileSet, memory: &State) -> bool {
    memory.applied.as_ref().is_some_and(|applied| {
        applied.cfg_hash == Digest::of(files.cfg.as_bytes())
            && applied.map_hashes == map_hashes(files)
    })
}

/// Whether it was proved to, or told of what differs from files that it was proved to run.
pub(super) fn is_run(files: &FileSet, memory: &State) -> bool {
    let is_told = memory.told.is_some()
        && memory.told == Some(Digest::of(files.cfg.as_bytes()))
        && memory
            .applied
            .as_ref()
            .is_some_and(|applied| applied.map_hashes == map_hashes(files));
    is_told || is_applied(files, memory)
}

/// Whether nothing but servers can be new in them: a kill came between their installation and what would
/// have been remembered of it, so that HAProxy was told of these or not.
pub(super) fn has_run_but_for_servers(files: &FileSet, memory: &State) -> bool {
    memory.applied.as_ref().is_some_and(|applied| {
        applied.map_hashes == map_hashes(files)
            && applied.structure_hash.is_some()
            && applied.structure_hash == mark_of(&files.cfg)
    })
}

pub(super) fn map_hashes(files: &FileSet) -> BTreeMap<String, Digest> {
    let hash = |text: &String| Digest::of(text.as_bytes());
    let maps = files.maps.iter();
    maps.map(|(name, text)| (name.clone(), hash(text)))
        .collect()
}
