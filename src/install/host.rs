//! The host, as far as an installation looks at it and changes it: this one, or a tree that becomes
//! one.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Runtime;

use crate::disk::{self, Disk as _, OsDisk, folder_of};
use crate::haproxy::child::{Child, Environment};
use crate::haproxy::program::{find_in, search_path};

/// For a question, as whether a service runs.
const ASK: Duration = Duration::from_secs(20);
/// For a package from a slow mirror, a service that starts, a first refresh.
const RUN: Duration = Duration::from_secs(30 * 60);
/// Of what a command prints; a package manager says much.
const MAX_OUTPUT: usize = 1 << 20;
/// Links that lead to links.
const MOST_LINKS: usize = 40;

/// A file that is there.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// All of it.
    pub content: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// The user whose it is.
    pub owner: u32,
}

/// Looks at a host. Paths are those that the host itself uses.
#[expect(
    clippy::missing_errors_doc,
    reason = "each fails as its system call does"
)]
pub trait Look {
    /// A file; `None` where there is none. Links are followed.
    fn file(&self, path: &Path) -> io::Result<Option<Found>>;
    /// Whether anything is there. Links are followed.
    fn is_there(&self, path: &Path) -> bool;
    /// Where a link leads to.
    fn link(&self, path: &Path) -> Option<PathBuf>;
    /// Names in a folder, sorted; none where there is none.
    fn list(&self, folder: &Path) -> Vec<String>;
    /// Whether a command that only asks ends with 0.
    fn ask(&self, words: &[&str]) -> bool;
}

/// Changes it. An error is a sentence for people.
#[expect(clippy::missing_errors_doc, reason = "the sentence says what failed")]
pub trait Host: Look {
    /// Puts a file there as a whole, with the folders that it needs.
    fn write(&mut self, path: &Path, content: &[u8], mode: u32) -> Result<(), String>;
    /// Puts a link there, with the folders that it needs.
    fn make_link(&mut self, path: &Path, to: &Path) -> Result<(), String>;
    /// Takes a file or a link away.
    fn remove(&mut self, path: &Path) -> Result<(), String>;
    /// Takes a folder away with all that is in it.
    fn remove_folder(&mut self, path: &Path) -> Result<(), String>;
    /// Takes a folder away where nothing is in it.
    fn remove_if_empty(&mut self, path: &Path) -> Result<(), String>;
    /// Runs a command; what it printed, be it that it failed.
    fn run(&mut self, words: &[&str], environment: Environment) -> Result<String, String>;
}

/// This host, or a tree in which no command is run.
#[derive(Debug)]
pub struct Real {
    tree: Option<PathBuf>,
    runtime: Runtime,
}

impl Real {
    /// The host below `tree`; `None` and `/` stand for this one.
    ///
    /// # Errors
    ///
    /// A folder that is not there.
    pub fn below(tree: Option<&Path>) -> anyhow::Result<Self> {
        let tree = match tree {
            None => None,
            Some(path) => {
                let shown = path.display();
                let real = fs::canonicalize(path)
                    .with_context(|| format!("--root `{shown}` cannot be used"))?;
                anyhow::ensure!(
                    real.is_dir(),
                    "--root `{shown}` is no folder, expected the tree of a system"
                );
                Some(real).filter(|real| real != Path::new("/"))
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the runtime cannot be started")?;
        Ok(Self { tree, runtime })
    }

    /// Whether it is a tree, in which no command is run.
    #[must_use]
    pub fn is_tree(&self) -> bool {
        self.tree.is_some()
    }

    /// Where `path` of the host lies for us. Its links, too, count from the tree: an absolute one would
    /// lead out of it, to this very host.
    fn real(&self, path: &Path, follow_last: bool) -> PathBuf {
        let Some(tree) = &self.tree else {
            return path.to_owned();
        };
        let mut found = tree.clone();
        let mut left: Vec<PathBuf> = parts(path);
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part == Path::new("..") {
                if found != *tree {
                    found.pop();
                }
                continue;
            }
            let next = found.join(&part);
            let is_followed = follow_last || !left.is_empty();
            match fs::read_link(&next) {
                Ok(to) if is_followed && links < MOST_LINKS => {
                    links += 1;
                    if to.is_absolute() {
                        found.clone_from(tree);
                    }
                    left.extend(parts(&to));
                }
                _ => found = next,
            }
        }
        found
    }

    fn child(words: &[&str], limit: Duration) -> Result<Child, String> {
        let [program, args @ ..] = words else {
            return Err("nothing to run".to_owned());
        };
        let found = find_in(Path::new(program), &search_path())
            .ok_or_else(|| format!("there is no program `{program}`"))?;
        let mut child = args.iter().fold(Child::new(found, limit), Child::arg);
        child.max_output = MAX_OUTPUT;
        Ok(child)
    }
}

/// The names of `path`, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    let mut names: Vec<PathBuf> = names.collect();
    names.reverse();
    names
}

impl Look for Real {
    fn file(&self, path: &Path) -> io::Result<Option<Found>> {
        let real = self.real(path, true);
        let found = || -> disk::Result<Option<Found>> {
            let Some(facts) = OsDisk.look(&real)? else {
                return Ok(None);
            };
            let content = OsDisk.read(&real)?;
            Ok(content.map(|content| Found {
                content,
                mode: facts.mode,
                owner: facts.uid,
            }))
        };
        found().map_err(|error| io::Error::new(error.kind(), error))
    }

    fn is_there(&self, path: &Path) -> bool {
        self.real(path, true).exists()
    }

    fn link(&self, path: &Path) -> Option<PathBuf> {
        fs::read_link(self.real(path, false)).ok()
    }

    fn list(&self, folder: &Path) -> Vec<String> {
        let names = OsDisk.list(&self.real(folder, true)).unwrap_or_default();
        let names = names.iter().filter_map(|name| name.to_str());
        names.map(str::to_owned).collect()
    }

    fn ask(&self, words: &[&str]) -> bool {
        let answer = || {
            let child = Self::child(words, ASK).ok()?;
            self.runtime.block_on(child.run()).ok()
        };
        !self.is_tree() && answer().is_some_and(|answer| answer.status.success())
    }
}

impl Host for Real {
    fn write(&mut self, path: &Path, content: &[u8], mode: u32) -> Result<(), String> {
        let real = self.real(path, true);
        make_folders(folder_of(&real)).map_err(|error| error.to_string())?;
        disk::replace(&OsDisk, &real, content, mode)
            .and_then(|()| OsDisk.set_mode(&real, mode))
            .map_err(|error| error.to_string())
    }

    fn make_link(&mut self, path: &Path, to: &Path) -> Result<(), String> {
        let real = self.real(path, false);
        let make = || -> io::Result<()> {
            fs::create_dir_all(folder_of(&real))?;
            match fs::remove_file(&real) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => symlink(to, &real),
            }
        };
        make().map_err(|error| format!("cannot make the link `{}`: {error}", path.display()))
    }

    fn remove(&mut self, path: &Path) -> Result<(), String> {
        let removed = OsDisk.remove(&self.real(path, false));
        removed.map_err(|error| error.to_string())
    }

    fn remove_folder(&mut self, path: &Path) -> Result<(), String> {
        let removed = fs::remove_dir_all(self.real(path, false));
        removed.map_err(|error| format!("cannot remove `{}`: {error}", path.display()))
    }

    fn remove_if_empty(&mut self, path: &Path) -> Result<(), String> {
        match fs::remove_dir(self.real(path, false)) {
            Err(error)
                if !matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty
                ) =>
            {
                Err(format!("cannot remove `{}`: {error}", path.display()))
            }
            _ => Ok(()),
        }
    }

    fn run(&mut self, words: &[&str], environment: Environment) -> Result<String, String> {
        if self.is_tree() {
            return Err("no command is run in a tree".to_owned());
        }
        let mut child = Self::child(words, RUN)?;
        child.environment = environment;
        let finished = self.runtime.block_on(child.run());
        let finished = finished.map_err(|error| error.to_string())?;
        if finished.status.success() {
            return Ok(finished.output());
        }
        Err(format!("{}\n{}", finished.status, finished.output()))
    }
}

/// Folders that others may look into: what lies there is for whoever administers this host.
fn make_folders(folder: &Path) -> disk::Result<()> {
    if folder.as_os_str() == OsStr::new("") || folder.is_dir() {
        return Ok(());
    }
    make_folders(folder_of(folder))?;
    OsDisk.make_folder(folder, 0o755)?;
    OsDisk.set_mode(folder, 0o755)
}
