//! Installs `haproxy.cfg` and the maps and lists of certificates beside it.
//!
//! Temporary files lie beside their targets, since only a rename within one file system is atomic.
//! Their names begin with a dot and do not end in `.cfg`, so that a HAProxy that loads the whole
//! folder passes over them; they carry the digest of the path of `haproxy.cfg`, so that two
//! installations in one folder leave each other's alone. Where nobody keeps a second run for the
//! same path away, they also carry a tag of the run: what one of them writes, no other renames.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::process;

use super::journal::Journal;
use super::plan::{self, Change};
use super::recover::{self, Recovered};
use crate::disk::{self, Digest, Disk, DiskError, Facts, Step, folder_of};
use crate::proxy::native::is_crt_list;
use crate::state;

/// What of an old mode is kept: never that others may write, never that it runs as its owner.
pub(super) const KEPT_MODE: u32 = 0o775;

/// Nobody else reads a file before it has its owner and mode.
const STAGED_MODE: u32 = 0o600;

/// Where files are installed, and how.
#[derive(Clone, Debug)]
pub struct Installation {
    /// `--haproxy-config`; maps lie beside it.
    pub cfg: PathBuf,
    /// The folder that remembers, for the journal and the last good files; `None` where there is
    /// none. Then the order of the steps alone keeps the files a set.
    pub state: Option<PathBuf>,
    /// `--in-place`: content is written over the files, as bind-mounted ones demand. A HAProxy that
    /// reads in that moment finds a part of it.
    pub in_place: bool,
    /// `--archive-versions`: how many good sets are kept at most.
    pub archive_versions: usize,
    /// Of files that do not exist yet, default 0644; those that do keep theirs.
    pub new_file_mode: u32,
    /// Marks our temporary files.
    id: String,
    /// Marks those of this run, where it may not be alone.
    tag: Option<String>,
}

/// Whose a file is that waits for a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Staged {
    /// Of a run that is alone in the folder while it works: of an earlier one, if it is not ours.
    ByOneAlone,
    /// Of a run that may be at work right now.
    ByOneOfMany,
}

impl Installation {
    /// Installs by renaming.
    #[must_use]
    pub fn new(cfg: &Path, state: Option<&Path>) -> Self {
        let canonical = state::canonical(cfg);
        Self {
            cfg: std::path::absolute(cfg).unwrap_or_else(|_| cfg.to_owned()),
            state: state.map(Path::to_owned),
            in_place: false,
            archive_versions: 5,
            new_file_mode: 0o644,
            id: Digest::of(canonical.as_os_str().as_encoded_bytes()).short(8),
            tag: None,
        }
    }

    /// Nobody keeps other runs away from the files: names are taken that none of them has.
    pub fn shares_folder(&mut self) {
        // The process alone would not do: containers that share a folder count from 1 each.
        let random = RandomState::new().hash_one(process::id());
        self.tag = Some(format!("{}.{random:016x}", process::id()));
    }

    /// Whether no other run works on the files.
    pub(super) fn is_alone(&self) -> bool {
        self.tag.is_none()
    }

    /// Where a map or list lies.
    pub(super) fn beside_cfg(&self, name: &str) -> Result<PathBuf, InstallError> {
        let mut parts = Path::new(name).components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(part)), None) if part == name => {
                Ok(self.cfg.with_file_name(name))
            }
            _ => Err(InstallError::NotAFileName(name.to_owned())),
        }
    }

    /// Where the content of a step waits. What is copied over a file need not lie beside it, and
    /// the folder of a bind-mounted file may be read-only.
    pub(super) fn staged(&self, path: &Path, number: usize) -> PathBuf {
        let mark = match &self.tag {
            None => format!("{}-{number}", self.id),
            Some(tag) => format!("{}-{tag}-{number}", self.id),
        };
        let temporary = disk::beside(path, |name| format!(".{name}.hmb-{mark}"));
        match (&self.state, temporary.file_name()) {
            (Some(state), Some(name)) if self.in_place => state.join(name),
            _ => temporary,
        }
    }

    /// Whether a file of this name is one that waits for a step.
    pub(super) fn staged_by(&self, name: &str) -> Option<Staged> {
        let (_, mark) = name.strip_prefix('.')?.rsplit_once(".hmb-")?;
        let mark = mark.strip_prefix(&self.id)?.strip_prefix('-')?;
        let is_number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
        let Some((tag, number)) = mark.split_once('-') else {
            return is_number(mark).then_some(Staged::ByOneAlone);
        };
        let (process, random) = tag.split_once('.')?;
        let is_tag = is_number(process)
            && random.len() == 16
            && random.bytes().all(|b| b.is_ascii_hexdigit());
        (is_tag && is_number(number)).then_some(Staged::ByOneOfMany)
    }
}

/// A configuration and the files beside it that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSet {
    /// `haproxy.cfg`.
    pub cfg: String,
    /// Maps, and lists of certificates, by file name. `FileKind` tells which is which.
    pub maps: BTreeMap<String, String>,
}

impl FileSet {
    /// Those of its files that are maps, by file name.
    pub(super) fn only_maps(&self) -> impl Iterator<Item = (&String, &String)> {
        let all = self.maps.iter();
        all.filter(|(name, _)| FileKind::of(name) == FileKind::Map)
    }
}

/// What a file beside `haproxy.cfg` is to HAProxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Keys and backends. It keeps its name, and HAProxy can be told of its rows.
    Map,
    /// A `crt-list`. Another one has another name, so that each configuration names its own.
    CrtList,
}

impl FileKind {
    /// By its name.
    pub(super) fn of(name: &str) -> Self {
        if is_crt_list(name) {
            Self::CrtList
        } else {
            Self::Map
        }
    }
}

/// What an installation did.
#[derive(Debug, PartialEq, Eq)]
pub struct Installed {
    /// Files that are not what they were, as they really lie, sorted; empty where all were right.
    pub changed: Vec<PathBuf>,
    /// What was to be tidied up first.
    pub recovered: Recovered,
    /// What went wrong without keeping the files from their places.
    pub warnings: Vec<String>,
}

/// Why files are not installed. The files that lie there still are a set that HAProxy accepts.
#[derive(Debug)]
pub enum InstallError {
    /// A step failed.
    Disk(DiskError),
    /// A file cannot be replaced because something is mounted on it.
    Busy(PathBuf),
    /// The name of a map or list is empty, or leads to another folder.
    NotAFileName(String),
    /// Two files of the set would lie in one place.
    SameFile(PathBuf),
}

impl InstallError {
    /// See [`DiskError::is_killed`].
    #[must_use]
    pub fn is_killed(&self) -> bool {
        matches!(self, Self::Disk(error) if error.is_killed())
    }
}

impl From<DiskError> for InstallError {
    fn from(error: DiskError) -> Self {
        if error.step() == Step::Rename && error.kind() == ErrorKind::ResourceBusy {
            Self::Busy(error.path().to_owned())
        } else {
            Self::Disk(error)
        }
    }
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(error) => error.fmt(f),
            Self::Busy(path) => write!(
                f,
                "cannot replace `{}`: it is mounted from elsewhere (EBUSY); `--in-place` writes \
                 over it instead",
                path.display()
            ),
            Self::NotAFileName(name) => {
                write!(
                    f,
                    "map `{name}`: expected the name of a file beside the configuration"
                )
            }
            Self::SameFile(path) => {
                write!(f, "two files of one set would lie at `{}`", path.display())
            }
        }
    }
}

impl std::error::Error for InstallError {}

/// Puts `files` in place and takes the maps named in `obsolete` away, and lists that only the file of before
/// names. Files that hold what they
/// should are not touched. An installation that was broken off is brought to an end first.
///
/// # Errors
///
/// Those of [`InstallError`]; no temporary file is left unless the disk refuses that, too.
pub fn install(
    disk: &dyn Disk,
    at: &Installation,
    files: &FileSet,
    obsolete: &[String],
) -> Result<Installed, InstallError> {
    let recovery = recover::recover(disk, at)?;
    let mut warnings = recovery.warnings;
    let changes = plan::plan(disk, at, files, obsolete)?;
    for folder in plan::folders(&changes) {
        let (_, warning) = recover::remove_leftovers(disk, at, folder)?;
        warnings.extend(warning);
    }
    if !changes.is_empty() {
        carry_out(disk, at, &changes, &mut warnings)?;
    }
    Ok(Installed {
        changed: paths(changes),
        recovered: recovery.recovered,
        warnings,
    })
}

/// The files that [`install`] would change, sorted. Changes nothing.
///
/// # Errors
///
/// Where a file cannot be read, or the set is not one.
pub fn differences(
    disk: &dyn Disk,
    at: &Installation,
    files: &FileSet,
    obsolete: &[String],
) -> Result<Vec<PathBuf>, InstallError> {
    Ok(paths(plan::plan(disk, at, files, obsolete)?))
}

fn paths(changes: Vec<Change>) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = changes.into_iter().map(|change| change.path).collect();
    paths.sort();
    paths.dedup();
    paths
}

fn carry_out(
    disk: &dyn Disk,
    at: &Installation,
    changes: &[Change],
    warnings: &mut Vec<String>,
) -> Result<(), InstallError> {
    let journal = Journal::of(at, changes);
    let done = begin(disk, at, &journal, warnings).and_then(|journalled| {
        if journalled || !at.in_place {
            stage(disk, at, changes, &journal, warnings)?;
        }
        journal.take_steps(disk, 0, |number| changes[number].after.clone())
    });
    // After an error, too: whatever was done so far serves, and the next run starts from it.
    let tidied = recover::tidy_up(disk, at, &journal);
    done?;
    warnings.extend(tidied?);
    Ok(())
}

/// Writes the journal, where one is needed and possible. One rename is all or nothing by itself.
fn begin(
    disk: &dyn Disk,
    at: &Installation,
    journal: &Journal,
    warnings: &mut Vec<String>,
) -> Result<bool, DiskError> {
    let Some(state) = &at.state else {
        return Ok(false);
    };
    if journal.steps.len() == 1 && !at.in_place {
        return Ok(false);
    }
    match journal.write(disk, state) {
        Ok(()) => Ok(true),
        Err(error) if error.is_killed() => Err(error),
        Err(error) => {
            warnings.push(format!(
                "{error}; the files are installed without a journal"
            ));
            Ok(false)
        }
    }
}

/// Writes every new content to the disk before the first step.
fn stage(
    disk: &dyn Disk,
    at: &Installation,
    changes: &[Change],
    journal: &Journal,
    warnings: &mut Vec<String>,
) -> Result<(), DiskError> {
    for (change, entry) in changes.iter().zip(&journal.steps) {
        let (Some(content), Some(staged)) = (&change.after, &entry.staged) else {
            continue;
        };
        let target = (&*change.path, change.facts);
        stage_one(disk, at, target, staged, content, warnings)?;
    }
    // A single rename is synced together with the name that it replaces.
    if changes.len() > 1 {
        let staged = journal.steps.iter().filter_map(|step| step.staged.as_ref());
        let folders: BTreeSet<&Path> = staged.map(|staged| folder_of(staged)).collect();
        for folder in folders {
            disk.sync_folder(folder)?;
        }
    }
    Ok(())
}

/// The same of one file, which is to take the place of `path`.
fn stage_one(
    disk: &dyn Disk,
    at: &Installation,
    (path, facts): (&Path, Option<Facts>),
    staged: &Path,
    content: &[u8],
    warnings: &mut Vec<String>,
) -> Result<(), DiskError> {
    if at.is_alone() {
        disk::create_afresh(disk, staged, STAGED_MODE)?;
    } else {
        disk.create(staged, STAGED_MODE)?;
    }
    disk.write(staged, content)?;
    let mode = match facts {
        Some(facts) => {
            keep_owner(disk, path, staged, facts, warnings)?;
            facts.mode
        }
        None => at.new_file_mode,
    };
    disk.set_mode(staged, mode & KEPT_MODE)?;
    disk.sync_file(staged)
}

/// Puts `content` in the place of `haproxy.cfg` alone, by one rename, which needs no journal; what
/// the file held is not read. The warnings are those of [`Installed`].
///
/// # Errors
/// The step that failed; the file is then as it was.
pub(super) fn replace(
    disk: &dyn Disk,
    at: &Installation,
    content: &[u8],
) -> Result<Vec<String>, InstallError> {
    let path = disk.target(&at.cfg)?;
    let facts = disk.look(&path)?;
    let staged = at.staged(&path, 0);
    let mut warnings = Vec::new();
    let done = stage_one(disk, at, (&*path, facts), &staged, content, &mut warnings)
        .and_then(|()| disk.rename(&staged, &path))
        .and_then(|()| disk.sync_folder(folder_of(&path)));
    match done {
        Ok(()) => Ok(warnings),
        Err(error) => {
            if !error.is_killed() {
                // The first error is the one to tell.
                let _ = disk.remove(&staged);
            }
            Err(error.into())
        }
    }
}

/// Only root gives files away. Whoever is not may still keep the group, and otherwise goes on: a
/// file with another owner is better than one that is out of date.
fn keep_owner(
    disk: &dyn Disk,
    path: &Path,
    staged: &Path,
    old: Facts,
    warnings: &mut Vec<String>,
) -> Result<(), DiskError> {
    let ours = disk.look(staged)?;
    if ours.is_some_and(|ours| (ours.uid, ours.gid) == (old.uid, old.gid)) {
        return Ok(());
    }
    match disk.set_owner(staged, Some(old.uid), old.gid) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let group = match disk.set_owner(staged, None, old.gid) {
                Ok(()) => "its group is kept",
                Err(error) if error.is_killed() => return Err(error),
                Err(_) => "its group is not kept either",
            };
            warnings.push(format!(
                "file `{}` belonged to user {} and group {} and now belongs to us, for only root \
                 gives files away; {group}",
                path.display(),
                old.uid,
                old.gid,
            ));
            Ok(())
        }
        set => set,
    }
}
