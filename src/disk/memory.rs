use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;

use super::{Disk, DiskError, Facts, Result, Stamp, Step, folder_of};

/// A disk in memory, the same on every run. For tests.
///
/// It knows what a real one makes of a power cut: content that was not synced is gone, and so may
/// be names. Its clock goes on by a second with every change.
#[derive(Debug, Default)]
pub struct MemoryDisk(Mutex<Tree>);

/// What a power cut takes besides content that was not synced.
#[derive(Clone, Copy, Debug)]
pub enum PowerCut {
    /// Changes to a folder that was not synced.
    LosesNames,
    /// No names: the case in which a file renamed before it was synced is found empty.
    KeepsNames,
}

#[derive(Debug, Default)]
struct Tree {
    files: Vec<File>,
    names: BTreeMap<PathBuf, Entry>,
    durable_names: BTreeMap<PathBuf, Entry>,
    seconds: u64,
}

#[derive(Clone, Debug)]
enum Entry {
    Folder,
    Link(PathBuf),
    /// An index into `files`.
    File(usize),
}

#[derive(Debug)]
struct File {
    content: Vec<u8>,
    durable_content: Vec<u8>,
    facts: Facts,
}

impl MemoryDisk {
    /// Holds the root folder and nothing else.
    #[must_use]
    pub fn new() -> Self {
        let disk = Self::default();
        disk.put_folder(Path::new("/"));
        disk
    }

    /// Puts a durable folder there, with those above it.
    pub fn put_folder(&self, path: &Path) {
        let mut tree = self.tree();
        for folder in path.ancestors() {
            tree.names.insert(folder.to_owned(), Entry::Folder);
            tree.durable_names.insert(folder.to_owned(), Entry::Folder);
        }
    }

    /// Puts a durable file there, of mode 0644 and root's.
    pub fn put(&self, path: &Path, content: &[u8]) {
        self.put_as(path, content, 0o644, 0, 0);
    }

    /// Puts a durable file there.
    pub fn put_as(&self, path: &Path, content: &[u8], mode: u32, uid: u32, gid: u32) {
        self.put_folder(folder_of(path));
        let mut tree = self.tree();
        let facts = Facts {
            mode,
            uid,
            gid,
            modified: tree.now(),
        };
        tree.files.push(File {
            content: content.to_owned(),
            durable_content: content.to_owned(),
            facts,
        });
        let file = Entry::File(tree.files.len() - 1);
        tree.names.insert(path.to_owned(), file.clone());
        tree.durable_names.insert(path.to_owned(), file);
    }

    /// Puts a durable symbolic link there.
    pub fn put_link(&self, path: &Path, target: &Path) {
        self.put_folder(folder_of(path));
        let mut tree = self.tree();
        let link = Entry::Link(target.to_owned());
        tree.names.insert(path.to_owned(), link.clone());
        tree.durable_names.insert(path.to_owned(), link);
    }

    /// What a file holds.
    #[must_use]
    pub fn text(&self, path: &Path) -> Option<String> {
        let tree = self.tree();
        let file = tree.file(&tree.target(path).ok()?).ok()?;
        Some(String::from_utf8_lossy(&tree.files[file].content).into_owned())
    }

    /// All names that are not folders, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let tree = self.tree();
        let files = tree
            .names
            .iter()
            .filter(|(_, entry)| !matches!(entry, Entry::Folder));
        files.map(|(path, _)| path.display().to_string()).collect()
    }

    /// Lets the power fail and come back.
    pub fn power_cut(&self, cut: PowerCut) {
        let mut tree = self.tree();
        for file in &mut tree.files {
            file.content.clone_from(&file.durable_content);
        }
        match cut {
            PowerCut::LosesNames => tree.names = tree.durable_names.clone(),
            PowerCut::KeepsNames => tree.durable_names = tree.names.clone(),
        }
        let folders: Vec<PathBuf> = tree
            .names
            .iter()
            .filter(|(_, entry)| matches!(entry, Entry::Folder))
            .map(|(path, _)| path.clone())
            .collect();
        // What lay in a folder that is gone is gone with it.
        let lost = |path: &Path| {
            path.ancestors()
                .skip(1)
                .any(|f| !folders.contains(&f.into()))
        };
        tree.names.retain(|path, _| !lost(path));
        tree.durable_names.retain(|path, _| !lost(path));
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(
        &self,
        step: Step,
        path: &Path,
        change: impl FnOnce(&mut Tree) -> io::Result<()>,
    ) -> Result<()> {
        change(&mut self.tree()).map_err(|cause| DiskError::new(step, path, cause))
    }
}

/// Goes up where the path says `..`; names are plain paths here.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// The errors carry Linux's numbers, so that the sentences are those of the real disk.
fn errno(error: Errno) -> io::Error {
    io::Error::from(error)
}

impl Tree {
    fn now(&mut self) -> SystemTime {
        self.seconds += 1;
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds)
    }

    fn target(&self, path: &Path) -> io::Result<PathBuf> {
        let mut target = path.to_owned();
        for _ in 0..40 {
            match self.names.get(&target) {
                Some(Entry::Link(link)) => target = plain(&folder_of(&target).join(link)),
                _ => return Ok(target),
            }
        }
        Err(io::Error::other("links run in a circle"))
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(&Entry::File(file)) => Ok(file),
            Some(Entry::Folder) => Err(errno(Errno::EISDIR)),
            Some(Entry::Link(_)) => Err(errno(Errno::ELOOP)),
            None => Err(errno(Errno::ENOENT)),
        }
    }

    fn needs_folder(&self, path: &Path) -> io::Result<()> {
        match self.names.get(folder_of(path)) {
            Some(Entry::Folder) => Ok(()),
            Some(_) => Err(errno(Errno::ENOTDIR)),
            None => Err(errno(Errno::ENOENT)),
        }
    }
}

impl Disk for MemoryDisk {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        let tree = self.tree();
        match tree.target(path).and_then(|target| tree.file(&target)) {
            Ok(file) => Ok(Some(tree.files[file].content.clone())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::new(Step::Read, path, error)),
        }
    }

    fn look(&self, path: &Path) -> Result<Option<Facts>> {
        let tree = self.tree();
        match tree.target(path).and_then(|target| tree.file(&target)) {
            Ok(file) => Ok(Some(tree.files[file].facts)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::new(Step::Look, path, error)),
        }
    }

    fn stamp(&self, path: &Path) -> Result<Option<Stamp>> {
        let tree = self.tree();
        match tree.target(path).and_then(|target| tree.file(&target)) {
            Ok(file) => Ok(Some(Stamp {
                inode: file as u64,
                length: tree.files[file].content.len() as u64,
                modified: tree.files[file].facts.modified,
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::new(Step::Look, path, error)),
        }
    }

    fn target(&self, path: &Path) -> Result<PathBuf> {
        let target = self.tree().target(path);
        target.map_err(|cause| DiskError::new(Step::Target, path, cause))
    }

    fn list(&self, folder: &Path) -> Result<Vec<OsString>> {
        let tree = self.tree();
        let inside = tree
            .names
            .keys()
            .filter(|path| path.parent() == Some(folder));
        Ok(inside
            .filter_map(|path| path.file_name().map(OsString::from))
            .collect())
    }

    fn make_folder(&self, path: &Path, _mode: u32) -> Result<()> {
        self.change(Step::MakeFolder, path, |tree| {
            tree.needs_folder(path)?;
            match tree.names.get(path) {
                Some(Entry::Folder) => Ok(()),
                Some(_) => Err(errno(Errno::EEXIST)),
                None => {
                    tree.names.insert(path.to_owned(), Entry::Folder);
                    Ok(())
                }
            }
        })
    }

    fn create(&self, path: &Path, mode: u32) -> Result<()> {
        self.change(Step::Create, path, |tree| {
            tree.needs_folder(path)?;
            if tree.names.contains_key(path) {
                return Err(errno(Errno::EEXIST));
            }
            let facts = Facts {
                mode,
                uid: 0,
                gid: 0,
                modified: tree.now(),
            };
            tree.files.push(File {
                content: Vec::new(),
                durable_content: Vec::new(),
                facts,
            });
            let file = Entry::File(tree.files.len() - 1);
            tree.names.insert(path.to_owned(), file);
            Ok(())
        })
    }

    fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.change(Step::Write, path, |tree| {
            let file = tree.file(path)?;
            tree.files[file].facts.modified = tree.now();
            content.clone_into(&mut tree.files[file].content);
            Ok(())
        })
    }

    fn set_mode(&self, path: &Path, mode: u32) -> Result<()> {
        self.change(Step::SetMode, path, |tree| {
            let file = tree.file(path)?;
            tree.files[file].facts.mode = mode;
            Ok(())
        })
    }

    fn set_owner(&self, path: &Path, uid: Option<u32>, gid: u32) -> Result<()> {
        self.change(Step::SetOwner, path, |tree| {
            let file = tree.file(path)?;
            let facts = &mut tree.files[file].facts;
            facts.uid = uid.unwrap_or(facts.uid);
            facts.gid = gid;
            Ok(())
        })
    }

    fn sync_file(&self, path: &Path) -> Result<()> {
        self.change(Step::SyncFile, path, |tree| {
            let file = tree.file(path)?;
            let file = &mut tree.files[file];
            file.durable_content.clone_from(&file.content);
            Ok(())
        })
    }

    fn sync_folder(&self, path: &Path) -> Result<()> {
        self.change(Step::SyncFolder, path, |tree| {
            tree.needs_folder(&path.join("name"))?;
            tree.durable_names
                .retain(|name, _| name.parent() != Some(path));
            let inside = tree
                .names
                .iter()
                .filter(|(name, _)| name.parent() == Some(path))
                .map(|(name, entry)| (name.clone(), entry.clone()));
            tree.durable_names.extend(inside);
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.change(Step::Rename, to, |tree| {
            let file = tree.file(from)?;
            tree.needs_folder(to)?;
            tree.names.remove(from);
            tree.names.insert(to.to_owned(), Entry::File(file));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.change(Step::Remove, path, |tree| {
            match tree.names.get(path) {
                Some(Entry::Folder) => return Err(errno(Errno::EISDIR)),
                _ => tree.names.remove(path),
            };
            Ok(())
        })
    }
}
