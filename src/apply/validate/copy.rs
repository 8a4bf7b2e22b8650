//! The copy of a candidate that HAProxy judges, and those that a kill left behind.

use std::fs::{self, DirEntry};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::unistd::Uid;
use tracing::debug;

use super::{Candidate, CheckError};
use crate::haproxy::down;
use crate::haproxy::global::Global;

/// Of the names of private folders.
const PREFIX: &str = "haproxy-marathon-bridge.check.";

/// Of this run so far.
static COPIES: AtomicU32 = AtomicU32::new(0);

/// No check takes so long: a copy of that age, where others may be at work, is nobody's.
const STALE: Duration = Duration::from_secs(60 * 60);

/// Takes away the copies that runs before left in a `scratch` folder when they were killed. Nobody
/// else may be at work there: it takes the lock.
pub fn remove_leftovers(scratch: &Path) {
    remove_copies(scratch, None);
}

/// A copy that stays does no harm, and is tried again.
fn remove_copies(folder: &Path, age: Option<Duration>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| is_copy(entry, age)) {
        let path = entry.path();
        match fs::remove_dir_all(&path) {
            Ok(()) => debug!(
                "removed `{}`, which a run left that was killed",
                path.display()
            ),
            Err(error) => debug!("`{}` stays: {error}", path.display()),
        }
    }
}

/// A folder, no link to one, that we made.
fn is_copy(entry: &DirEntry, age: Option<Duration>) -> bool {
    let is_named = entry
        .file_name()
        .to_str()
        .is_some_and(|n| n.starts_with(PREFIX));
    let Some(facts) = entry.metadata().ok().filter(|_| is_named) else {
        return false;
    };
    let is_old = |age: Duration| {
        let modified = facts.modified().ok();
        modified.is_some_and(|m| m.elapsed().is_ok_and(|elapsed| elapsed >= age))
    };
    facts.is_dir() && facts.uid() == Uid::effective().as_raw() && age.is_none_or(is_old)
}

/// The candidate on disk, in a folder that nobody else can look into and that goes with this value.
pub(super) struct Copy {
    pub(super) config: PathBuf,
    /// What stands there.
    pub(super) text: String,
    /// Path in the copy → live path.
    live_names: Vec<(String, String)>,
    _folder: tempfile::TempDir,
}

impl Copy {
    /// In the candidate's own folder, else where temporary files go.
    pub(super) fn write(candidate: &Candidate<'_>) -> Result<Self, CheckError> {
        let temporary = std::env::temp_dir();
        // Beside others: one check can go on while another begins.
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{number}.");
        match candidate
            .scratch
            .map(|own| Self::write_in(own, (&name, 0), candidate))
        {
            // It is as good there, and what is wrong with the state folder is told where it matters.
            Some(Err(error)) => debug!("{error}; it is judged in `{}`", temporary.display()),
            Some(copy) => return copy,
            None => (),
        }
        remove_copies(&temporary, Some(STALE));
        Self::write_in(&temporary, (PREFIX, 6), candidate)
    }

    /// So many letters of the `name` are random: none where nobody else makes copies.
    fn write_in(
        parent: &Path,
        (name, random): (&str, usize),
        candidate: &Candidate<'_>,
    ) -> Result<Self, CheckError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| CheckError::Folder { path, source }
        };
        let folder = tempfile::Builder::new()
            .prefix(name)
            .suffix("copy")
            .rand_bytes(random)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(failed(parent))?;
        let maps = folder.path().join("maps");
        fs::create_dir(&maps).map_err(failed(&maps))?;
        let mut live_names = Vec::new();
        let mut text = with_origin(candidate.text, candidate.config);
        for (name, rows) in candidate.maps {
            let path = maps.join(name);
            fs::write(&path, rows).map_err(failed(&path))?;
            let (copy, live) = (shown(&path), shown(&candidate.map_dir.join(name)));
            text = replace_path(&text, &live, &copy);
            live_names.push((copy, live));
        }
        // What it says belongs to a moment and not to the file that is judged; one that is missing would
        // be complained of.
        if let Some(live) = Global::read(candidate.text).server_state_file {
            let path = folder.path().join("server-state");
            fs::write(&path, down::NONE).map_err(failed(&path))?;
            let (copy, live) = (shown(&path), shown(&live));
            text = replace_path(&text, &live, &copy);
            live_names.push((copy, live));
        }
        let config = folder.path().join("haproxy.cfg");
        fs::write(&config, &text).map_err(failed(&config))?;
        live_names.push((shown(&config), shown(candidate.config)));
        Ok(Self {
            config,
            text,
            live_names,
            _folder: folder,
        })
    }

    pub(super) fn with_live_names(&self, text: &str) -> String {
        self.live_names
            .iter()
            .fold(text.to_owned(), |text, (copy, live)| {
                text.replace(copy, live)
            })
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Replaces `path` by `copy` where it stands as a whole path, not as a part of a longer one.
pub(super) fn replace_path(text: &str, path: &str, copy: &str) -> String {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(path) {
        let (before, after) = (&rest[..at], &rest[at + path.len()..]);
        let inside = before
            .chars()
            .next_back()
            .or(replaced.chars().next_back())
            .is_some_and(goes_on)
            || after.chars().next().is_some_and(goes_on);
        replaced.push_str(before);
        replaced.push_str(if inside { path } else { copy });
        rest = after;
    }
    replaced.push_str(rest);
    replaced
}

/// Points `default-path config` and `parent`, which mean the folder of the file that is read, at
/// the folder where the live file is. Lines keep their numbers.
pub(super) fn with_origin(text: &str, config: &Path) -> String {
    if !text.contains("default-path") {
        return text.to_owned();
    }
    let folder = config.parent().unwrap_or(config);
    text.split_inclusive('\n')
        .map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words[..] {
                ["default-path", "config", ..] => {
                    format!("default-path origin {}\n", shown(folder))
                }
                ["default-path", "parent", ..] => {
                    format!(
                        "default-path origin {}\n",
                        shown(folder.parent().unwrap_or(folder))
                    )
                }
                _ => line.to_owned(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn only_old_copies_of_ours_are_taken_from_where_others_work_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let old = SystemTime::now() - 2 * STALE;
        let ours = |end: &str| format!("{PREFIX}{end}");
        for name in [ours("old"), ours("new"), "haproxy-check.old".to_owned()] {
            fs::create_dir_all(path(&name).join("maps")).unwrap();
            fs::write(path(&name).join("haproxy.cfg"), "").unwrap();
        }
        fs::write(path(&ours("file")), "").unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("file"), "").unwrap();
        symlink(elsewhere.path(), path(&ours("link"))).unwrap();
        symlink(elsewhere.path(), path(&ours("old")).join("link")).unwrap();
        for name in [ours("old"), ours("file"), "haproxy-check.old".to_owned()] {
            File::open(path(&name)).unwrap().set_modified(old).unwrap();
        }

        let left = || {
            let entries = fs::read_dir(folder.path()).unwrap();
            let mut names: Vec<String> = entries
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        remove_copies(folder.path(), Some(STALE));
        let foreign = "haproxy-check.old".to_owned();
        let [file, link, new] = ["file", "link", "new"].map(ours);
        let want = [&foreign, &file, &link, &new].map(Clone::clone);
        assert_eq!(left(), want);
        remove_leftovers(folder.path());
        assert_eq!(left(), [foreign, file, link]);
        assert!(elsewhere.path().join("file").exists());
    }
}
