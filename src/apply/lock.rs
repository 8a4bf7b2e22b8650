//! Who may change the files of one configuration: one process at a time, for the time of a run.
//!
//! The lock is the kernel's (`flock`), so that it ends with its holder however that ends; what is
//! written in the file only tells others who holds it. The file belongs to a state folder, and runs
//! with two of them can mean one configuration: so the folder in which that lies is locked, too.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::Uid;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::disk::{Disk as _, OsDisk, folder_of, give_to_owner_of, user_name};
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
    /// Where the configuration really lies. Locked as such besides the file, or in its place where
    /// that cannot be had; nothing is written there. All configurations in it share the lock, and
    /// nobody can tell who holds it.
    pub cfg_folder: PathBuf,
    /// The file lies where nobody else has business: whatever a power cut left in it may go.
    pub is_own: bool,
}

impl LockPlaces {
    /// The file, and the folder in which files are renamed to the configuration.
    #[must_use]
    pub fn new(file: &Path, cfg: &Path) -> Self {
        let target = OsDisk.target(cfg).unwrap_or_else(|_| cfg.to_owned());
        Self {
            file: file.to_owned(),
            cfg_folder: folder_of(&target).to_owned(),
            is_own: false,
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
    /// Given back first: who waits for the file then finds both free.
    folder: Option<Flock<File>>,
    lock: Flock<File>,
    is_fallback: bool,
    warning: Option<String>,
}

impl Locked {
    /// What is not locked as it should be, and why.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Locks the folder of the configuration, too, for one turn of a watcher: as long as a one-shot
    /// waits for it, and with the same warning.
    pub async fn enter_folder(&mut self, places: &LockPlaces, wait: Duration) {
        if !self.is_fallback && self.folder.is_none() {
            self.warning = None;
            also_lock_folder(self, &places.cfg_folder, wait).await;
        }
    }

    /// The turn is over.
    pub fn leave_folder(&mut self) {
        self.folder = None;
    }

    /// Whether no run is at work in the folder of the configuration besides this one, however it was
    /// started.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.is_fallback || self.folder.is_some()
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
/// than `wait`: two watchers meet where one is just being replaced by the other. For the folder it
/// waits as long again, and then goes on with a warning, since whoever can read a folder can lock it.
/// A watcher takes it for each turn alone ([`Locked::enter_folder`]), since it would keep the runs of
/// all other configurations out for life.
///
/// # Errors
///
/// Where neither the file nor the folder can be locked, where the file is somebody else's, who may
/// be at work, and where it is none: a symbolic link would have us write to somebody else's file.
pub async fn acquire(places: &LockPlaces, kind: Kind, wait: Duration) -> io::Result<Acquired> {
    let deadline = Instant::now() + wait;
    let mut pause = FIRST_PAUSE;
    let mut seen = None;
    loop {
        let holder = match attempt(places, kind)? {
            Attempt::Locked(mut locked) => {
                if kind == Kind::OneShot && !locked.is_fallback {
                    also_lock_folder(&mut locked, &places.cfg_folder, wait).await;
                }
                return Ok(Acquired::Locked(locked));
            }
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

/// The watcher that holds the lock, if one does and its note can be read. Nobody is kept waiting.
#[must_use]
pub fn watcher(places: &LockPlaces) -> Option<Holder> {
    let mut options = OpenOptions::new();
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = options.read(true).custom_flags(flags.bits());
    let file = file.open(&places.file).ok()?;
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Err((file, Errno::EWOULDBLOCK)) => {
            read_note(file).filter(|holder| holder.kind == Kind::Watcher)
        }
        // What a killed one wrote stays behind.
        _ => None,
    }
}

/// The folder of a configuration alone, as a watcher takes it for each of its turns.
#[derive(Debug)]
pub struct FolderLock {
    _lock: Flock<File>,
}

/// Keeps a watcher from taking turns for as long as the guard lives; `None` where its turn, or
/// whoever else holds the folder, takes longer than `wait`, or the folder cannot be locked.
pub async fn acquire_folder(places: &LockPlaces, wait: Duration) -> Option<FolderLock> {
    let lock = lock_folder(&places.cfg_folder, wait).await.ok()??;
    Some(FolderLock { _lock: lock })
}

/// Where it cannot be opened or locked at all, this run is merely not known to be alone.
async fn also_lock_folder(locked: &mut Locked, folder: &Path, wait: Duration) {
    match lock_folder(folder, wait).await {
        Ok(lock) => locked.folder = lock,
        Err(Late) => {
            locked.warning = Some(format!(
                "another program has held a lock on the folder `{}` for {} s (`fuser -v` may tell \
                 which); this run goes on beside it",
                folder.display(),
                wait.as_secs()
            ));
        }
    }
}

/// Somebody held it for the whole time.
struct Late;

/// `None` where it cannot be opened or locked at all.
async fn lock_folder(folder: &Path, wait: Duration) -> Result<Option<Flock<File>>, Late> {
    let deadline = Instant::now() + wait;
    let mut pause = FIRST_PAUSE;
    let Ok(mut opened) = File::open(folder) else {
        return Ok(None);
    };
    loop {
        match Flock::lock(opened, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Some(lock)),
            Err((file, Errno::EWOULDBLOCK)) => opened = file,
            Err(_) => return Ok(None),
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(Late);
        }
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
    let is_fallback = warning.is_some();
    if !is_fallback {
        // Somebody removed the file after we opened it: the next comer locks another one.
        if !is_at(&lock, &places.file) {
            return Ok(Attempt::Held(None));
        }
        if !places.is_own && !is_ours(&mut lock)? {
            let cause = "it holds what no lock of ours does, expected an empty or a new file";
            return Err(at(places, &io::Error::other(cause)));
        }
        // Without a note the lock is as good, and others merely cannot tell who holds it.
        let _ = write_note(&mut lock, kind);
    }
    Ok(Attempt::Locked(Locked {
        folder: None,
        lock,
        is_fallback,
        warning,
    }))
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
    if cause.kind() == ErrorKind::PermissionDenied
        && let Some(whose) = of_somebody_else(&places.file)
    {
        return Err(at(places, &io::Error::new(cause.kind(), whose)));
    }
    let folder = File::open(&places.cfg_folder).map_err(|error| {
        let folder = places.cfg_folder.display();
        let both = format!("{cause}; nor the folder `{folder}` instead: {error}");
        at(places, &io::Error::new(error.kind(), both))
    })?;
    let warning = format!(
        "cannot lock `{}`: {cause}; the folder `{}` is locked instead",
        places.file.display(),
        places.cfg_folder.display()
    );
    Ok((folder, Some(warning)))
}

/// Whose the lock is that keeps us out, be it by a folder on the way to it that we may not enter;
/// `None` where there is none, and merely no place for ours.
fn of_somebody_else(path: &Path) -> Option<String> {
    let (there, facts) = path.ancestors().find_map(|path| {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        match path.symlink_metadata() {
            Ok(facts) => Some(Some((path, facts))),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => None,
            Err(_) => Some(None),
        }
    })??;
    let us = Uid::effective().as_raw();
    if facts.uid() == us {
        return None;
    }
    let (owner, us) = (user_name(facts.uid()), user_name(us));
    let mode = facts.mode() & 0o7777;
    Some(format!(
        "`{}` belongs to {owner} (mode {mode:04o}), and {us} may not open it; nothing was done: \
         call this as {owner}, with sudo for instance, or name another --state-dir or --lock-file",
        there.display()
    ))
}

/// The standard library opens every file so that started programs do not inherit it.
fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .mode(FILE_MODE)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
    let mut open = || match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let made = options.create(true).open(path)?;
            // Should another have made it just now, it belongs to the same owner anyway.
            give_to_owner_of(folder_of(path), &made);
            Ok(made)
        }
        opened => opened,
    };
    match open() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_folder(folder_of(path))?;
            open()
        }
        opened => opened,
    }
}

/// With those above it.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        make_folder(parent)?;
    }
    OsDisk
        .make_folder(path, FOLDER_MODE)
        .map_err(|error| io::Error::new(error.kind(), error.to_string()))
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
