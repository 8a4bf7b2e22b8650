use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::errno::Errno;

use super::{Disk, DiskError, Facts, Result, Stamp, Step};

/// Breaks another disk at one of its changing steps. For tests.
#[derive(Debug)]
pub struct FaultyDisk<D> {
    disk: D,
    fault: Fault,
    begun: AtomicUsize,
}

/// How it breaks. Steps count from 1; only those that change something count.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Not at all; the steps are only counted.
    None,
    /// After so many steps nothing is done any more, as if the process were gone. A write that
    /// would be next is done by half.
    KilledAfter(usize),
    /// This step fails with this error. A write is done by half.
    Once(usize, Errno),
    /// This step and every later one fail.
    From(usize, Errno),
    /// Every step of one sort fails.
    Every(Step, Errno),
}

/// Stands for a process that is no more.
#[derive(Debug)]
pub(super) struct Killed;

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("killed")
    }
}

impl std::error::Error for Killed {}

impl<D: Disk> FaultyDisk<D> {
    /// A disk that will break.
    pub fn new(disk: D, fault: Fault) -> Self {
        Self {
            disk,
            fault,
            begun: AtomicUsize::new(0),
        }
    }

    /// The disk underneath, which is whole.
    pub fn inner(&self) -> &D {
        &self.disk
    }

    /// How many changing steps were asked for.
    pub fn steps(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    fn next(&self, step: Step) -> io::Result<()> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        match self.fault {
            Fault::KilledAfter(after) if number > after => Err(io::Error::other(Killed)),
            Fault::Once(at, errno) if number == at => Err(errno.into()),
            Fault::From(at, errno) if number >= at => Err(errno.into()),
            Fault::Every(sort, errno) if sort == step => Err(errno.into()),
            _ => Ok(()),
        }
    }

    fn change(&self, step: Step, path: &Path, change: impl FnOnce(&D) -> Result<()>) -> Result<()> {
        self.next(step)
            .map_err(|cause| DiskError::new(step, path, cause))?;
        change(&self.disk)
    }

    /// A process that is gone reads nothing either.
    fn alive(&self, step: Step, path: &Path) -> Result<()> {
        match self.fault {
            Fault::KilledAfter(after) if self.steps() > after => {
                Err(DiskError::new(step, path, io::Error::other(Killed)))
            }
            _ => Ok(()),
        }
    }
}

impl<D: Disk> Disk for FaultyDisk<D> {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        self.alive(Step::Read, path)?;
        self.disk.read(path)
    }

    fn look(&self, path: &Path) -> Result<Option<Facts>> {
        self.alive(Step::Look, path)?;
        self.disk.look(path)
    }

    fn stamp(&self, path: &Path) -> Result<Option<Stamp>> {
        self.alive(Step::Look, path)?;
        self.disk.stamp(path)
    }

    fn target(&self, path: &Path) -> Result<PathBuf> {
        self.alive(Step::Target, path)?;
        self.disk.target(path)
    }

    fn list(&self, folder: &Path) -> Result<Vec<OsString>> {
        self.alive(Step::List, folder)?;
        self.disk.list(folder)
    }

    fn make_folder(&self, path: &Path, mode: u32) -> Result<()> {
        self.change(Step::MakeFolder, path, |disk| disk.make_folder(path, mode))
    }

    fn create(&self, path: &Path, mode: u32) -> Result<()> {
        self.change(Step::Create, path, |disk| disk.create(path, mode))
    }

    fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        let dead = self.alive(Step::Write, path).is_err();
        if let Err(cause) = self.next(Step::Write) {
            if !dead {
                self.disk.write(path, &content[..content.len() / 2])?;
            }
            return Err(DiskError::new(Step::Write, path, cause));
        }
        self.disk.write(path, content)
    }

    fn set_mode(&self, path: &Path, mode: u32) -> Result<()> {
        self.change(Step::SetMode, path, |disk| disk.set_mode(path, mode))
    }

    fn set_owner(&self, path: &Path, uid: Option<u32>, gid: u32) -> Result<()> {
        self.change(Step::SetOwner, path, |disk| disk.set_owner(path, uid, gid))
    }

    fn sync_file(&self, path: &Path) -> Result<()> {
        self.change(Step::SyncFile, path, |disk| disk.sync_file(path))
    }

    fn sync_folder(&self, path: &Path) -> Result<()> {
        self.change(Step::SyncFolder, path, |disk| disk.sync_folder(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.change(Step::Rename, to, |disk| disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.change(Step::Remove, path, |disk| disk.remove(path))
    }
}
