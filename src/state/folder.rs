use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Drained, KeptAnswer, Paused, State, Time, Unsaved, unsaved};
use crate::disk::{self, Digest, Disk, DiskError, Stamp, folder_of};

/// The format that is written; older ones are read.
const FORMAT: u32 = 1;

/// What is remembered may hold passwords of the configuration.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// The folder of one `haproxy.cfg` inside `--state-dir`. It can be read, and no more: whoever
/// wants to write needs a [`Writable`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
}

/// Marathon's last complete answer, in the form of `file:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSnapshot {
    /// As it was saved.
    pub bytes: Vec<u8>,
    /// When it last differed from the one before.
    pub saved_at: SystemTime,
}

impl Folder {
    /// The folder of `cfg`, which need not exist: `haproxy.cfg-1a2b3c4d5e6f7081`, of the file's
    /// name for people and the digest of its whole path, so that files of one name stay apart.
    #[must_use]
    pub fn of(state_dir: &Path, cfg: &Path) -> Self {
        let cfg = canonical(cfg);
        let name = cfg.file_name().unwrap_or_default().to_string_lossy();
        let digest = Digest::of(cfg.as_os_str().as_encoded_bytes()).short(16);
        Self {
            path: state_dir.join(format!("{name}-{digest}")),
        }
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was remembered, and a warning where that is nothing and should be something.
    #[must_use]
    pub fn load(&self, disk: &dyn Disk) -> (State, Option<String>) {
        let (state, warning, _) = self.read(disk);
        (state, warning)
    }

    /// The last complete answer of Marathon; none where there was none or it cannot be read.
    #[must_use]
    pub fn load_snapshot(&self, disk: &dyn Disk) -> Option<SavedSnapshot> {
        let path = self.snapshot_path();
        let bytes = disk.read(&path).ok()??;
        let facts = disk.look(&path).ok()??;
        Some(SavedSnapshot {
            bytes,
            saved_at: facts.modified,
        })
    }

    /// The last turn that could not be saved, if there was any; what is saved may be of a later one.
    #[must_use]
    pub fn unsaved(&self, disk: &dyn Disk) -> Option<Unsaved> {
        unsaved::read(disk, &self.path)
    }

    fn state_path(&self) -> PathBuf {
        self.path.join("state.json")
    }

    fn snapshot_path(&self) -> PathBuf {
        self.path.join("snapshot.json")
    }

    /// Lies beside the state, so that a state which is lost or cannot be read takes no pause with it.
    fn pause_path(&self) -> PathBuf {
        self.path.join("paused.json")
    }

    fn read(&self, disk: &dyn Disk) -> (State, Option<String>, OnDisk) {
        let (mut state, warning, on_disk) = self.read_state(disk);
        state.paused = self.paused(disk);
        let unread = match self.drained(disk) {
            Ok(drained) => {
                state.drained = drained;
                None
            }
            Err(why) => Some(format!(
                "{why}; nothing is drained, but for what a watcher that runs has drained before"
            )),
        };
        (state, warning.or(unread), on_disk)
    }

    fn read_state(&self, disk: &dyn Disk) -> (State, Option<String>, OnDisk) {
        let path = self.state_path();
        let shown = path.display();
        let unread = |warning: String, on_disk| (State::default(), Some(warning), on_disk);
        let content = match disk.read(&path) {
            Ok(Some(content)) => content,
            Ok(None) => return (State::default(), None, OnDisk::Ours(None)),
            Err(error) => {
                let warning = format!("{error}; the run goes on without memory");
                return unread(warning, OnDisk::Ours(None));
            }
        };
        let format = match serde_json::from_slice::<Format>(&content) {
            Ok(Format { format }) => format,
            Err(error) => return unread(corrupt(&path, &error), OnDisk::Corrupt),
        };
        if format > FORMAT {
            let warning = format!(
                "state `{shown}` has format {format}, expected at most {FORMAT}: a newer version \
                 wrote it; it is left alone and the run goes on without memory"
            );
            return unread(warning, OnDisk::OfANewerProgram);
        }
        match serde_json::from_slice(&content) {
            Ok(state) => (state, None, OnDisk::Ours(Some(Digest::of(&content)))),
            Err(error) => unread(corrupt(&path, &error), OnDisk::Corrupt),
        }
    }

    /// Beside the state for the same reason.
    fn drained_path(&self) -> PathBuf {
        self.path.join("drained.json")
    }

    /// What is to get no new requests.
    ///
    /// # Errors
    /// Why that cannot be told.
    pub fn drained(&self, disk: &dyn Disk) -> Result<Vec<Drained>, String> {
        let path = self.drained_path();
        let content = disk.read(&path).map_err(|error| error.to_string())?;
        let Some(content) = content else {
            return Ok(Vec::new());
        };
        serde_json::from_slice(&content)
            .map_err(|error| format!("`{}` is not what was written: {error}", path.display()))
    }

    /// Who keeps turns from applying anything now. Whatever lies there, somebody wanted that nothing be
    /// changed.
    #[must_use]
    pub fn paused(&self, disk: &dyn Disk) -> Option<Paused> {
        let path = self.pause_path();
        let since = disk.look(&path).ok()??.modified;
        let unclear = |reason: String| Paused {
            since: Time::at(since),
            by: "somebody".to_owned(),
            reason: Some(reason),
        };
        Some(match disk.read(&path) {
            Ok(content) => {
                serde_json::from_slice(&content.unwrap_or_default()).unwrap_or_else(|error| {
                    let shown = path.display();
                    unclear(format!("`{shown}` is not what was written: {error}"))
                })
            }
            Err(error) => unclear(error.to_string()),
        })
    }
}

/// The absolute path of a file whose folder is known by its real name, so that it is the same from
/// wherever it is named. The file itself need not exist; where it is a link, it is the link that
/// counts.
#[must_use]
pub fn canonical(file: &Path) -> PathBuf {
    let Some(name) = file.file_name() else {
        return file.to_owned();
    };
    let folder = folder_of(file);
    fs::canonicalize(folder)
        .or_else(|_| std::path::absolute(folder))
        .unwrap_or_else(|_| folder.to_owned())
        .join(name)
}

fn corrupt(path: &Path, error: &serde_json::Error) -> String {
    let shown = path.display();
    format!(
        "state `{shown}` is not what was written: {error}; the run goes on without memory, and the \
         next state that is saved leaves a copy of it in `{}`",
        aside(path).display()
    )
}

/// Where a file that nobody understands is put out of the way.
fn aside(path: &Path) -> PathBuf {
    disk::beside(path, |name| format!("{name}.corrupt"))
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Serialize)]
struct Versioned<'a> {
    format: u32,
    #[serde(flatten)]
    state: &'a State,
}

/// What a save would overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnDisk {
    /// Nothing, or a file that we may replace; its digest where it is known to be whole.
    Ours(Option<Digest>),
    /// A file that cannot be read, of which a copy stays.
    Corrupt,
    OfANewerProgram,
}

/// The right to write the folder. Commands that only read have none.
#[derive(Debug)]
pub struct Writable {
    folder: Folder,
    exists: bool,
    state: OnDisk,
    /// Of the file that was last found to be what we saved, so that it is not read again.
    looked_at: Option<Stamp>,
    /// Why the state of this run is not saved.
    unsaved: Option<String>,
    /// Whether a turn is noted that was not saved.
    is_noted: bool,
}

impl Writable {
    /// Makes the folder where it is missing and reads what is in it. A warning says why nothing
    /// will be remembered, or was; the run goes on.
    #[must_use]
    pub fn open(disk: &dyn Disk, folder: Folder) -> (Self, State, Option<String>) {
        let (state, unread, on_disk) = folder.read(disk);
        let made = match on_disk {
            // What was read from it is there, and with it the last good files.
            OnDisk::Ours(Some(_)) => Ok(()),
            _ => make_folder(disk, folder.path()),
        };
        let writable = Self {
            exists: made.is_ok(),
            is_noted: folder.unsaved(disk).is_some(),
            folder,
            state: on_disk,
            looked_at: None,
            unsaved: match on_disk {
                OnDisk::Ours(_) | OnDisk::Corrupt => made.as_ref().err().map(ToString::to_string),
                OnDisk::OfANewerProgram => Some("a newer version wrote what is there".to_owned()),
            },
        };
        if made.is_ok() && on_disk != OnDisk::OfANewerProgram {
            unsaved::reserve(disk, writable.folder.path());
        }
        let unmade = made.err().map(|error| forgotten(&error));
        (writable, state, unmade.or(unread))
    }

    /// Where the folder lies; `None` where it could not be made so far.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.exists.then_some(self.folder.path())
    }

    /// Why the next run will not know of this one; `None` where it will, as far as was tried.
    #[must_use]
    pub fn unsaved(&self) -> Option<&str> {
        self.unsaved.as_deref()
    }

    /// What may be read in it.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Makes the folder if that failed before: a program that runs on must not need a restart to
    /// remember again.
    fn make(&mut self, disk: &dyn Disk) -> Result<(), DiskError> {
        if !self.exists {
            make_folder(disk, self.folder.path())?;
            self.exists = true;
        }
        Ok(())
    }

    /// Whether what was saved was taken away, with the whole folder perhaps. That is made anew then, and
    /// nothing counts as saved.
    pub fn is_lost(&mut self, disk: &dyn Disk) -> bool {
        let was_saved = matches!(self.state, OnDisk::Ours(Some(_)));
        let is_lost = was_saved && matches!(disk.look(&self.folder.state_path()), Ok(None));
        if is_lost {
            self.state = OnDisk::Ours(None);
            self.exists = false;
            if self.make(disk).is_ok() {
                unsaved::reserve(disk, self.folder.path());
            }
        }
        is_lost
    }

    /// Notes a turn that could not be saved, where a full disk has room for that; where one was saved,
    /// there is none.
    pub fn note_unsaved(&mut self, disk: &dyn Disk, unsaved: Option<&Unsaved>) {
        let is_ours = self.exists && self.state != OnDisk::OfANewerProgram;
        if is_ours && (unsaved.is_some() || self.is_noted) {
            unsaved::note(disk, self.folder.path(), unsaved);
            self.is_noted = unsaved.is_some();
        }
    }

    /// What somebody else has saved since we did; `None` where nobody has, and where what we wanted to
    /// save last is not there.
    pub fn reread(&mut self, disk: &dyn Disk) -> Option<State> {
        let OnDisk::Ours(Some(saved)) = self.state else {
            return None;
        };
        let path = self.folder.state_path();
        // Before it is read, so that whatever is written meanwhile is another one.
        let stamp = disk.stamp(&path).ok()??;
        if self.looked_at == Some(stamp) {
            return None;
        }
        let content = disk.read(&path).ok()??;
        if Digest::of(&content) == saved {
            self.looked_at = Some(stamp);
            return None;
        }
        let (state, _, on_disk) = self.folder.read(disk);
        matches!(on_disk, OnDisk::Ours(Some(_))).then(|| {
            self.state = on_disk;
            state
        })
    }

    /// Saves the state if it differs from what is saved. Returns a warning where that fails: the next run
    /// remembers what was saved last.
    pub fn save(&mut self, disk: &dyn Disk, state: &State) -> Option<String> {
        let saved = match self.state {
            OnDisk::OfANewerProgram => return None,
            OnDisk::Ours(saved) => saved,
            OnDisk::Corrupt => {
                // The copy is for people; without it the program does as well.
                let path = self.folder.state_path();
                let _ = disk.rename(&path, &aside(&path));
                None
            }
        };
        let content = text_of(state);
        let digest = Digest::of(&content);
        if saved == Some(digest) {
            self.unsaved = None;
            return None;
        }
        let replaced = self
            .make(disk)
            .and_then(|()| disk::replace(disk, &self.folder.state_path(), &content, FILE_MODE));
        self.state = OnDisk::Ours(replaced.is_ok().then_some(digest));
        self.looked_at = None;
        self.unsaved = replaced.as_ref().err().map(ToString::to_string);
        replaced.err().map(|error| forgotten(&error))
    }

    /// Replaces the answer that is kept by the one which the installed files were made of, and says
    /// so in the state. Whatever ends this half-way, the state on the disk never counts on an
    /// answer that it was not saved for. Returns a warning where the answer cannot be kept, or the state
    /// cannot be saved, of which [`Writable::unsaved`] tells too.
    pub fn keep_answer(
        &mut self,
        disk: &dyn Disk,
        state: &mut State,
        text: &[u8],
        kept: KeptAnswer,
    ) -> Option<String> {
        state.answer = None;
        let warning = self.save(disk, state);
        if self.unsaved.is_some() {
            return warning;
        }
        let replaced = self
            .make(disk)
            .and_then(|()| disk::replace(disk, &self.folder.snapshot_path(), text, FILE_MODE));
        if let Err(error) = replaced {
            return Some(format!(
                "{error}; what Marathon last asked for is not kept for bad times"
            ));
        }
        state.answer = Some(kept);
        self.save(disk, state)
    }

    /// Has turns apply nothing until [`Writable::resume`]. That is kept whatever becomes of the
    /// state.
    ///
    /// # Errors
    /// When it cannot be written: nothing is paused then.
    pub fn pause(&mut self, disk: &dyn Disk, paused: &Paused) -> Result<(), DiskError> {
        let content = lines_of(paused);
        self.make(disk)?;
        let path = self.folder.pause_path();
        let replaced = disk::replace(disk, &path, &content, FILE_MODE);
        if replaced.is_err() {
            // It may be there, and was merely not synced; but the operator is told that it is not.
            let _ = disk.remove(&path);
        }
        replaced
    }

    /// From now on these get no new requests, and no others. Of what lay there and makes no sense a copy
    /// is kept, since it is all that tells what operators wanted; gives where it lies. The copy comes
    /// first: a name that is taken away for a moment would undrain everything.
    ///
    /// # Errors
    /// When it cannot be written: what was drained before is.
    pub fn drain(
        &mut self,
        disk: &dyn Disk,
        drained: &[Drained],
    ) -> Result<Option<PathBuf>, DiskError> {
        let path = self.folder.drained_path();
        if drained.is_empty() {
            disk.remove(&path)?;
            disk.sync_folder(self.folder.path())?;
            return Ok(None);
        }
        self.make(disk)?;
        let mut kept = None;
        if self.folder.drained(disk).is_err()
            && let Some(unread) = disk.read(&path)?
        {
            let aside = kept.insert(aside(&path));
            disk::replace(disk, aside, &unread, FILE_MODE)?;
        }
        disk::replace(disk, &path, &lines_of(&drained), FILE_MODE)?;
        Ok(kept)
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// When it cannot be removed: it lasts then.
    pub fn resume(&mut self, disk: &dyn Disk) -> Result<(), DiskError> {
        disk.remove(&self.folder.pause_path())?;
        disk.sync_folder(self.folder.path())
    }
}

fn forgotten(error: &DiskError) -> String {
    format!("{error}; the next run will not know of this one")
}

fn text_of(state: &State) -> Vec<u8> {
    lines_of(&Versioned {
        format: FORMAT,
        state,
    })
}

fn lines_of(value: &impl Serialize) -> Vec<u8> {
    let mut content =
        serde_json::to_vec_pretty(value).expect("maps with keys that are text or numbers");
    content.push(b'\n');
    content
}

/// Makes the folder and those above it, for nobody but us.
fn make_folder(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    match disk.make_folder(path, FOLDER_MODE) {
        Err(error) if error.kind() == ErrorKind::NotFound && path.parent().is_some() => {
            make_folder(disk, folder_of(path))?;
            disk.make_folder(path, FOLDER_MODE)?;
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            let cause = io::Error::new(error.kind(), "a file stands where a folder is expected");
            return Err(DiskError::new(error.step(), error.path(), cause));
        }
        made => made?,
    }
    disk.sync_folder(folder_of(path))
}

#[cfg(test)]
mod tests;
