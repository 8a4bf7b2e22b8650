//! What files look like, so that a change of one is seen without reading it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::disk::{self, Digest};

/// By so much the times of files can lag behind the clock.
const COARSE: Duration = Duration::from_millis(20);

/// Something that is looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::run) enum Item {
    /// What lies there, be it nothing.
    File(PathBuf),
    /// The files of a folder whose names begin and end so. Hidden ones are what editors keep beside
    /// them, and count only where all do.
    Folder {
        path: PathBuf,
        begin: &'static str,
        end: &'static str,
    },
}

impl Item {
    pub(in crate::run) fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Folder { path, .. } => path,
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let (path, begin, end) = match self {
            Self::File(path) => return vec![path.clone()],
            Self::Folder { path, begin, end } => (path, begin, end),
        };
        let fits = |name: &OsStr| {
            let all_count = begin.is_empty() && end.is_empty();
            let is_left_out = !all_count && disk::is_hidden(name);
            let name = name.as_encoded_bytes();
            !is_left_out && name.starts_with(begin.as_bytes()) && name.ends_with(end.as_bytes())
        };
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let files = entries.filter(|entry| fits(&entry.file_name()));
        let files = files.map(|entry| entry.path());
        // That there is a folder at all, and which.
        std::iter::once(path.clone()).chain(files).collect()
    }
}

/// As the file system tells: any write, swap, or change of rights shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::run) struct Facts {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
    is_folder: bool,
}

impl Facts {
    /// Of what a path leads to; `None` where that is nothing.
    pub(in crate::run) fn of(path: &Path) -> Option<Self> {
        let facts = fs::metadata(path).ok()?;
        let is_folder = facts.is_dir();
        Some(Self {
            device: facts.dev(),
            inode: facts.ino(),
            // What lies in a folder is looked at one by one, and others may lie beside it.
            bytes: if is_folder { 0 } else { facts.size() },
            changed: if is_folder {
                (0, 0)
            } else {
                (facts.ctime(), facts.ctime_nsec())
            },
            is_folder,
        })
    }

    /// `false` also where it may have been changed.
    fn is_unchanged_since(&self, since: SystemTime) -> bool {
        let (seconds, nanos) = self.changed;
        let after = u64::try_from(seconds).map(Duration::from_secs);
        let after = after.unwrap_or_default() + Duration::from_nanos(nanos.unsigned_abs());
        SystemTime::UNIX_EPOCH + after < since - COARSE
    }
}

/// What all of some items look like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::run) struct Footprint(BTreeMap<PathBuf, Option<Facts>>);

impl Footprint {
    pub(in crate::run) fn of(items: &[Item]) -> Self {
        let files = items.iter().flat_map(Item::files);
        Self(
            files
                .map(|path| {
                    let facts = Facts::of(&path);
                    (path, facts)
                })
                .collect(),
        )
    }

    /// The same, where what `other` knows too is as it knows it.
    pub(in crate::run) fn but_as_in(mut self, other: &Self) -> Self {
        for (path, facts) in &mut self.0 {
            if let Some(known) = other.0.get(path) {
                *facts = *known;
            }
        }
        self
    }

    /// Files that are there and were changed since, or may have been.
    pub(in crate::run) fn changed_since(&self, since: SystemTime) -> Vec<PathBuf> {
        let files = self.0.iter().filter(|(_, facts)| {
            facts.is_some_and(|facts| !facts.is_folder && !facts.is_unchanged_since(since))
        });
        files.map(|(path, _)| path.clone()).collect()
    }

    pub(in crate::run) fn files(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }
}

/// The contents of files, each read again only where it looks different.
#[derive(Clone, Debug, Default)]
pub(in crate::run) struct Contents(BTreeMap<PathBuf, (Facts, Option<Digest>)>);

impl Contents {
    /// Of the files that are there. What cannot be read counts as what it looks like.
    pub(in crate::run) fn of(files: &Footprint, known: &Self) -> Self {
        let there = files
            .0
            .iter()
            .filter_map(|(path, facts)| Some((path, (*facts)?)));
        let files = there.filter(|(_, facts)| !facts.is_folder);
        Self(
            files
                .map(|(path, facts)| {
                    let same = known.0.get(path).filter(|(known, _)| *known == facts);
                    let digest = match same {
                        Some((_, digest)) => *digest,
                        None => {
                            let content = disk::read(path, disk::LARGEST).ok();
                            content.map(|content| Digest::of(&content))
                        }
                    };
                    (path.clone(), (facts, digest))
                })
                .collect(),
        )
    }

    /// Without those that were changed since, or may have been.
    pub(in crate::run) fn unchanged_since(mut self, since: SystemTime) -> Self {
        self.0
            .retain(|_, (facts, _)| facts.is_unchanged_since(since));
        self
    }

    /// What stands for it, whatever the files look like otherwise.
    pub(in crate::run) fn digest(&self) -> Digest {
        let held = |(path, (facts, digest)): (&PathBuf, &(Facts, Option<Digest>))| {
            let unread = digest.is_none().then_some(*facts);
            (path.clone(), *digest, unread)
        };
        let all: Vec<_> = self.0.iter().map(held).collect();
        Digest::of_value(&all)
    }

    /// The same, where each of `files` holds what it does in `other`.
    pub(in crate::run) fn but_of(&self, files: &Footprint, other: &Self) -> Self {
        let mut all = self.0.clone();
        for path in files.files() {
            match other.0.get(path) {
                Some(content) => all.get_mut(path).map(|mine| *mine = *content),
                None => all.remove(path).map(drop),
            };
        }
        Self(all)
    }

    /// The files that do not hold what they do in `before`, those that are gone among them.
    pub(in crate::run) fn changed<'a>(&'a self, before: &'a Self) -> Vec<&'a Path> {
        let is_same = |path: &Path| match (self.0.get(path), before.0.get(path)) {
            (Some((_, Some(now))), Some((_, Some(then)))) => now == then,
            (Some((now, None)), Some((then, None))) => now == then,
            (now, then) => now.is_none() && then.is_none(),
        };
        let all = self.0.keys().chain(before.0.keys());
        let mut changed: Vec<&Path> = all
            .map(PathBuf::as_path)
            .filter(|path| !is_same(path))
            .collect();
        changed.sort_unstable();
        changed.dedup();
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_swapped_or_gone_leaves_another_footprint() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let items = [Item::Folder {
            path: folder.path().to_owned(),
            begin: "",
            end: ".tera",
        }];
        let mut seen = vec![Footprint::of(&items)];
        let mut changes = |what: &str, is_seen: bool| {
            let now = Footprint::of(&items);
            assert_eq!(seen.last() != Some(&now), is_seen, "{what}");
            seen.push(now);
        };
        fs::write(file("a.tera"), "a").unwrap();
        changes("a new one", true);
        fs::write(file("a.tera"), "bc").unwrap();
        changes("a write", true);
        fs::write(file("b.swp"), "bc").unwrap();
        fs::rename(file("b.swp"), file("a.tera")).unwrap();
        changes("a swap", true);
        fs::write(file(".a.tera.swp"), "bc").unwrap();
        changes("what an editor leaves", false);
        std::os::unix::fs::symlink("me@host.1:2", file(".#a.tera")).unwrap();
        fs::write(file(".b.tera"), "bc").unwrap();
        changes("what an editor hides", false);
        fs::remove_file(file("a.tera")).unwrap();
        changes("one that is gone", true);
        fs::remove_dir_all(folder.path()).unwrap();
        changes("no folder", true);
    }

    #[test]
    fn contents_differ_only_where_other_bytes_lie() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        let items = [Item::File(path.clone())];
        let look = |known: &Contents| Contents::of(&Footprint::of(&items), known);
        fs::write(&path, "a").unwrap();
        let before = look(&Contents::default());
        fs::write(&path, "a").unwrap();
        assert!(look(&before).changed(&before).is_empty());
        fs::write(&path, "b").unwrap();
        let after = look(&before);
        assert_eq!(after.changed(&before), [path.as_path()]);
        fs::remove_file(&path).unwrap();
        assert_eq!(look(&after).changed(&after), [path.as_path()]);
    }
}
