//! The primitive steps by which files are read and changed, each worth one system call.
//!
//! What must survive a kill or a full disk at any point is written against [`Disk`], so that tests
//! can stop it, or let it fail, after every single step: [`OsDisk`] is the host's disk,
//! [`MemoryDisk`] a simulated one that can also lose its power, [`FaultyDisk`] breaks either.

mod borrowed;
mod digest;
mod faulty;
mod memory;
mod os;
mod plain;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::unistd::{Uid, User};

pub use digest::{Digest, Digesting};
#[doc(hidden)]
pub use faulty::{Fault, FaultyDisk};
#[doc(hidden)]
pub use memory::{MemoryDisk, PowerCut};
pub use os::OsDisk;
pub(crate) use os::give_to_owner_of;
pub(crate) use plain::{LARGEST, LARGEST_MADE, is_null, kind, read, read_head, read_text};

/// What came of a step.
pub type Result<T, E = DiskError> = std::result::Result<T, E>;

/// Reads and changes files, one small step at a time.
#[expect(
    clippy::missing_errors_doc,
    reason = "each fails as its system call does"
)]
pub trait Disk: fmt::Debug + Send + Sync {
    /// The whole content; `None` where there is no such file. Links are followed.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>>;
    /// Mode, owner and age; `None` where there is no such file. Links are followed.
    fn look(&self, path: &Path) -> Result<Option<Facts>>;
    /// Which file lies there, and of when; `None` where there is none. Links are followed.
    fn stamp(&self, path: &Path) -> Result<Option<Stamp>>;
    /// Where the file really lies: `path` itself unless it is a symbolic link. It need not exist.
    fn target(&self, path: &Path) -> Result<PathBuf>;
    /// Names in a folder, sorted; none where there is no such folder.
    fn list(&self, folder: &Path) -> Result<Vec<OsString>>;

    /// Makes one folder; one that is there already is left as it is.
    fn make_folder(&self, path: &Path, mode: u32) -> Result<()>;
    /// Makes an empty file; fails where anything of that name exists, be it a dangling link.
    fn create(&self, path: &Path, mode: u32) -> Result<()>;
    /// Puts `content` in the place of what the file held; the file must exist. Not atomic.
    fn write(&self, path: &Path, content: &[u8]) -> Result<()>;
    /// Sets the permission bits.
    fn set_mode(&self, path: &Path, mode: u32) -> Result<()>;
    /// Sets the group and, unless `None`, the user.
    fn set_owner(&self, path: &Path, uid: Option<u32>, gid: u32) -> Result<()>;
    /// Returns once content and mode of the file would outlive a power cut.
    fn sync_file(&self, path: &Path) -> Result<()>;
    /// Returns once the names in the folder would outlive a power cut.
    fn sync_folder(&self, path: &Path) -> Result<()>;
    /// Gives a file another name, in place of a file that had it; nobody sees a state between.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Takes a name away; one that is not there is no error. Links are not followed.
    fn remove(&self, path: &Path) -> Result<()>;
}

/// What is known of a file besides its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Permission bits, without the kind of file.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When the content was last changed.
    pub modified: SystemTime,
}

/// Stands for a file as it is: two that are equal are one file, to which nobody has written
/// meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Another one for each file that there is at a time.
    pub inode: u64,
    /// Bytes.
    pub length: u64,
    /// When the content was last changed.
    pub modified: SystemTime,
}

/// Which step it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the functions of `Disk` are")]
pub enum Step {
    Read,
    Look,
    Target,
    List,
    MakeFolder,
    Create,
    Write,
    SetMode,
    SetOwner,
    SyncFile,
    SyncFolder,
    Rename,
    Remove,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Look => "look at",
            Self::Target => "follow the link",
            Self::List => "list the folder",
            Self::MakeFolder => "make the folder",
            Self::Create => "create",
            Self::Write => "write",
            Self::SetMode => "set the mode of",
            Self::SetOwner => "set the owner of",
            Self::SyncFile => "fsync",
            Self::SyncFolder => "fsync the folder",
            Self::Rename => "rename a file to",
            Self::Remove => "remove",
        })
    }
}

/// A step that was not done.
#[derive(Debug)]
pub struct DiskError {
    step: Step,
    path: PathBuf,
    cause: io::Error,
}

impl DiskError {
    /// `path` is what the step was to change; for a rename, the new name.
    #[must_use]
    pub fn new(step: Step, path: &Path, cause: io::Error) -> Self {
        Self {
            step,
            path: path.to_owned(),
            cause,
        }
    }

    /// Which step it was.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// What it was to read or change.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why, as the system says.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.cause.kind()
    }

    /// Whether a [`FaultyDisk`] plays dead: a real process would not be there to see this.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.cause
            .get_ref()
            .is_some_and(<dyn std::error::Error + Send + Sync>::is::<faulty::Killed>)
    }
}

/// The cause is part of the sentence, so that it is not lost where only the sentence is kept.
impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {} `{}`: {}",
            self.step,
            self.path.display(),
            self.cause
        )
    }
}

impl std::error::Error for DiskError {}

/// Replaces a file of our own so that a reader finds the old content or the new, never a part.
///
/// The name of the temporary file does not change, so that a run that was killed leaves at most
/// one, which the next takes away. Owner and group stay those of the file that was there; the mode is
/// ours, since others may not read what once came back from a copy with another.
///
/// # Errors
///
/// The first step that failed; the file is then as it was.
pub fn replace(disk: &dyn Disk, path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let temporary = beside(path, |name| format!(".{name}.new"));
    let replaced = disk
        .look(path)
        .and_then(|before| stage_like(disk, &temporary, content, mode, before))
        .and_then(|()| disk.rename(&temporary, path))
        .and_then(|()| disk.sync_folder(folder_of(path)));
    if replaced.is_err() {
        // What is left of it is taken away by the next attempt at the latest.
        let _ = disk.remove(&temporary);
    }
    replaced
}

fn stage_like(
    disk: &dyn Disk,
    path: &Path,
    content: &[u8],
    mode: u32,
    before: Option<Facts>,
) -> Result<()> {
    create_afresh(disk, path, mode)?;
    disk.write(path, content)?;
    if let (Some(before), Some(now)) = (before, disk.look(path)?)
        && (before.uid, before.gid) != (now.uid, now.gid)
    {
        match disk.set_owner(path, Some(before.uid), before.gid) {
            // Only root gives files away; for others the new owner does as well.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => (),
            set => set?,
        }
    }
    disk.sync_file(path)
}

/// Writes a new file whole and durable, in place of a leftover of the same name.
pub(crate) fn stage(disk: &dyn Disk, path: &Path, content: &[u8], mode: u32) -> Result<()> {
    create_afresh(disk, path, mode)?;
    disk.write(path, content)?;
    disk.sync_file(path)
}

/// Makes an empty file in place of a leftover of the same name.
pub(crate) fn create_afresh(disk: &dyn Disk, path: &Path, mode: u32) -> Result<()> {
    match disk.create(path, mode) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(path)?;
            disk.create(path, mode)
        }
        created => created,
    }
}

/// Writes over a small file, which takes no room where it was as long before: a full disk has it. Not
/// atomic.
pub(crate) fn write_over(disk: &dyn Disk, path: &Path, content: &[u8], mode: u32) -> Result<()> {
    if disk.look(path)?.is_none() {
        disk.create(path, mode)?;
    }
    disk.write(path, content)
}

/// Takes the room for [`write_over`] before it is needed, where the file does not have it.
pub(crate) fn reserve(disk: &dyn Disk, path: &Path, blank: &[u8], mode: u32) -> Result<()> {
    let there = disk.read(path)?;
    if there.is_some_and(|there| there.len() >= blank.len()) {
        return Ok(());
    }
    write_over(disk, path, blank, mode)
}

/// A file in the same folder.
pub(crate) fn beside(path: &Path, name: impl FnOnce(&str) -> String) -> PathBuf {
    let old = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(name(&old))
}

/// Whether a name begins with a dot, as those that editors give to files of their own do.
pub(crate) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// A user as people know him: by his name in backquotes, else by his number.
pub(crate) fn user_name(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| format!("user {uid}"), |user| format!("`{}`", user.name))
}

/// The folder that holds the file's name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    fn disks() -> (tempfile::TempDir, [Box<dyn Disk>; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let memory = MemoryDisk::new();
        memory.put_folder(folder.path());
        (folder, [Box::new(OsDisk), Box::new(memory)])
    }

    #[test]
    fn the_simulated_disk_answers_like_the_real_one() {
        let (folder, disks) = disks();
        let path = |name: &str| folder.path().join(name);
        let mut transcripts = Vec::new();
        for disk in disks {
            let mut said: Vec<String> = Vec::new();
            let mut note = |what: Result<String>| {
                said.push(what.unwrap_or_else(|error| format!("{} {:?}", error, error.kind())));
            };
            let done = |result: Result<()>| result.map(|()| "done".to_owned());
            note(disk.read(&path("a")).map(|read| format!("{read:?}")));
            note(disk.look(&path("a")).map(|facts| format!("{facts:?}")));
            note(disk.stamp(&path("a")).map(|stamp| format!("{stamp:?}")));
            note(done(disk.write(&path("a"), b"1")));
            note(done(disk.sync_file(&path("a"))));
            note(done(disk.rename(&path("a"), &path("b"))));
            note(done(disk.remove(&path("a"))));
            note(done(disk.create(&path("a"), 0o600)));
            note(done(disk.create(&path("a"), 0o600)));
            note(done(disk.write(&path("a"), b"longer")));
            note(done(disk.write(&path("a"), b"short")));
            let stamp = || disk.stamp(&path("a")).unwrap().unwrap();
            let before = stamp();
            note(Ok(format!("{} {}", before.length, before == stamp())));
            note(done(disk.write(&path("a"), b"shorter")));
            note(Ok(format!("{}", before == stamp())));
            note(done(disk.set_mode(&path("a"), 0o640)));
            note(
                disk.look(&path("a"))
                    .map(|facts| format!("{:o}", facts.unwrap().mode)),
            );
            note(done(disk.rename(&path("a"), &path("b"))));
            note(disk.read(&path("b")).map(|read| format!("{read:?}")));
            note(disk.target(&path("b")).map(|path| format!("{path:?}")));
            note(done(disk.make_folder(&path("d"), 0o700)));
            note(done(disk.make_folder(&path("d"), 0o700)));
            note(done(disk.create(&path("none/a"), 0o600)));
            note(done(disk.create(&path("b/a"), 0o600)));
            note(done(disk.sync_folder(folder.path())));
            note(disk.list(folder.path()).map(|names| format!("{names:?}")));
            note(disk.list(&path("none")).map(|names| format!("{names:?}")));
            note(disk.read(&path("d")).map(|read| format!("{read:?}")));
            transcripts.push(said);
        }
        assert_eq!(transcripts[0], transcripts[1]);
    }

    #[test]
    fn a_replaced_file_keeps_owner_and_group_and_is_for_nobody_else() {
        let (disk, path) = (MemoryDisk::new(), Path::new("/state.json"));
        disk.put_as(path, b"old", 0o644, 33, 44);
        replace(&disk, path, b"new", 0o600).unwrap();
        let facts = disk.look(path).unwrap().unwrap();
        assert_eq!((facts.mode, facts.uid, facts.gid), (0o600, 33, 44));
        let mean = FaultyDisk::new(&disk, Fault::Every(Step::SetOwner, Errno::EPERM));
        replace(&mean, path, b"newer", 0o600).unwrap();
        assert_eq!(disk.text(path).unwrap(), "newer");
    }

    #[test]
    fn a_replaced_file_is_old_or_new_after_a_kill_or_a_power_cut_at_any_step() {
        let path = Path::new("/var/state.json");
        for cut in [None, Some(PowerCut::LosesNames), Some(PowerCut::KeepsNames)] {
            for killed_after in 0.. {
                let disk = FaultyDisk::new(MemoryDisk::new(), Fault::KilledAfter(killed_after));
                disk.inner().put(path, b"old");
                let replaced = replace(&disk, path, b"new", 0o600);
                if let Some(cut) = cut {
                    disk.inner().power_cut(cut);
                }
                let left = disk.inner().text(path).unwrap();
                assert!(
                    ["old", "new"].contains(&left.as_str()),
                    "{killed_after}: {left}"
                );
                replace(disk.inner(), path, b"newer", 0o600).unwrap();
                assert_eq!(disk.inner().names(), ["/var/state.json"]);
                if replaced.is_ok() {
                    assert_eq!(left, "new");
                    break;
                }
            }
        }
    }
}
