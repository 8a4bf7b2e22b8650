//! Who may change the files of one configuration: one process at a time, for the time of a run.
//!
//! The lock is the kernel's (`flock`), so that it ends with its holder however that ends; what is
//! written in the file only tells others who holds it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::disk::folder_of;
use crate::state::Time;

const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Between attempts, doubled each time: a short hold is noticed at once, a long one costs little.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What a holder writes is far shorter; more would be somebody else's.
const LONGEST_NOTE: u64 = 1024;

/// What the holder does with the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Holds it for life.
    Watcher,
    /// Takes one turn.
    OneShot,
}

/// Who says that he holds the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// In the holder's own pid namespace.
    pub pid: u32,
    /// For how long to expect it.
    pub kind: Kind,
    /// Since when.
    pub since: Time,
}

/// Where the lock lies.
#[derive(Clone, Debug)]
pub struct LockPlaces {
    /// `--lock-file`, default `lock` in the folder of the configuration's state.
    pub file: PathBuf,
    /// Locked as such where the file cannot be had; nothing is written there. All configurations in
    /// it share the lock, and nobody can tell who holds it.
    pub fallback_folder: PathBuf,
}

impl LockPlaces {
    /// Falls back to the folder of the configuration itself.
    #[must_use]
    pub fn new(file: &Path, cfg: &Path) -> Self {
        Self {
            file: file.to_owned(),
            fallback_folder: folder_of(cfg).to_owned(),
        }
    }
}

/// What came of asking for the lock.
#[derive(Debug)]
pub enum Acquired {
    /// It is ours until the guard is dropped.
    Locked(Locked),
    /// A watcher holds it, and a one-shot that waited would do what the watcher does anyway.
    HeldByWatcher(Holder),
    /// Somebody held it for the whole time; `None` where it cannot be told who.
    TimedOut(Option<Holder>),
}

/// The lock. A program that is started meanwhile does not inherit it.
#[derive(Debug)]
pub struct Locked {
    lock: Flock<File>,
    warning: Option<String>,
}

impl Locked {
    /// Why another place than the lock file is locked.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // A note that outlives the lock could be taken for that of the next holder. On the folder
        // this fails: there is no note.
        let _ = self.lock.set_len(0);
    }
}

/// Takes the lock. A one-shot that finds a watcher does not wait; everybody else does, no longer
/// than `wait`: two watchers meet where one is just being replaced by the other.
///
/// # Errors
///
/// Where neither the file nor the folder can be locked, and where the file is none: a symbolic link
/// would have us write to somebody else's file.
pub async fn acquire(places: &LockPlaces, kind: Kind, wait: Duration) -> io::Result<Acquired> {
    let deadline = Instant::now() + wait;
    let mut pause = FIRST_PAUSE;
    let mut seen = None;
    loop {
        let holder = match attempt(places, kind)? {
            Attempt::Locked(locked) => return Ok(Acquired::Locked(locked)),
            Attempt::Held(holder) => holder,
        };
        // Seen twice, since a holder that has just come has not yet written over the last note.
        if let Some(watcher) = holder.clone().filter(|holder| holder.kind == Kind::Watcher)
            && kind == Kind::OneShot
            && seen == holder
        {
            return Ok(Acquired::HeldByWatcher(watcher));
        }
        let now = Instant::now();
        if now >= deadline {
            return Ok(Acquired::TimedOut(holder));
        }
        seen = holder;
        sleep(pause.min(deadline - now)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[derive(Debug)]
enum Attempt {
    Locked(Locked),
    Held(Option<Holder>),
}

fn attempt(places: &LockPlaces, kind: Kind) -> io::Result<Attempt> {
    let (file, warning) = open(places)?;
    lock(places, file, warning, kind)
}

fn lock(
    places: &LockPlaces,
    file: File,
    warning: Option<String>,
    kind: Kind,
) -> io::Result<Attempt> {
    let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((file, Errno::EWOULDBLOCK)) => return Ok(Attempt::Held(read_note(file))),
        Err((_, errno)) => return Err(at(places, &errno.into())),
    };
    if warning.is_none() {
        // Somebody removed the file after we opened it: the next comer locks another one.
        if !is_at(&lock, &places.file) {
            return Ok(Attempt::Held(None));
        }
        if !is_ours(&mut lock)? {
            let cause = "it holds what no lock of ours does, expected an empty or a new file";
            return Err(at(places, &io::Error::other(cause)));
        }
        // Without a note the lock is as good, and others merely cannot tell who holds it.
        let _ = write_note(&mut lock, kind);
    }
    Ok(Attempt::Locked(Locked { lock, warning }))
}

/// The file, or the folder with the reason for it.
fn open(places: &LockPlaces) -> io::Result<(File, Option<String>)> {
    let cause = match open_file(&places.file) {
        Ok(file) if file.metadata()?.is_file() => return Ok((file, None)),
        Ok(_) => return Err(at(places, &io::Error::other("it is not a regular file"))),
        Err(error) if error.raw_os_error() == Some(Errno::ELOOP as i32) => {
            let cause = "it is a symbolic link, expected a file of our own";
            return Err(at(places, &io::Error::other(cause)));
        }
        Err(error) => error,
    };
    let folder = File::open(&places.fallback_folder).map_err(|error| {
        let folder = places.fallback_folder.display();
        let both = format!("{cause}; nor the folder `{folder}` instead: {error}");
        at(places, &io::Error::new(error.kind(), both))
    })?;
    let warning = format!(
        "cannot lock `{}`: {cause}; the folder `{}` is locked instead",
        places.file.display(),
        places.fallback_folder.display()
    );
    Ok((folder, Some(warning)))
}

/// The standard library opens every file so that started programs do not inherit it.
fn open_file(path: &Path) -> io::Result<File> {
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(path)
    };
    match open() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            DirBuilder::new()
                .recursive(true)
                .mode(FOLDER_MODE)
                .create(folder_of(path))?;
            open()
        }
        opened => opened,
    }
}

fn at(places: &LockPlaces, cause: &io::Error) -> io::Error {
    let message = format!("cannot lock `{}`: {cause}", places.file.display());
    io::Error::new(cause.kind(), message)
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn write_note(file: &mut File, kind: Kind) -> io::Result<()> {
    let holder = Holder {
        pid: process::id(),
        kind,
        since: Time::at(SystemTime::now()),
    };
    let mut note = serde_json::to_string(&holder)?;
    note.push('\n');
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(note.as_bytes())
}

/// Whether nothing is lost when a note is written over it: it is empty, or a note, if only the
/// beginning of one, as a run that was killed leaves it.
fn is_ours(file: &mut File) -> io::Result<bool> {
    const BEGINNING: &[u8] = br#"{"pid":"#;
    let mut note = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(LONGEST_NOTE).read_to_end(&mut note)?;
    let whole = serde_json::from_slice::<Holder>(&note).is_ok();
    let torn = note.len() < 128 && !note.contains(&b'\n');
    Ok(whole || BEGINNING.starts_with(&note) || torn && note.starts_with(BEGINNING))
}

fn read_note(file: File) -> Option<Holder> {
    let mut note = Vec::new();
    file.take(LONGEST_NOTE).read_to_end(&mut note).ok()?;
    serde_json::from_slice(&note).ok()
}

#[cfg(test)]
mod tests;
