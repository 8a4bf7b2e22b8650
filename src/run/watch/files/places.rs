//! Which folders have to be watched for a change of a file to be seen, however it is replaced.
//!
//! Editors rename over a file, Kubernetes swaps a link on the way to it, and what does not exist yet
//! is seen by nobody but the folder in which it will lie. So nothing but folders is watched: all in
//! which a name on the way to the file stands.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// As the kernel follows them.
const MOST_LINKS: usize = 40;

/// Which names in a folder matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Names {
    All,
    These(BTreeSet<OsString>),
}

/// The folders that matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places(BTreeMap<PathBuf, Names>);

impl Places {
    /// Of files and folders, which need not exist. Of a folder all that lies in it matters.
    pub(super) fn of<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Self {
        let mut places = Self::default();
        // Where folders really lie: thousands of certificates may lie in one.
        let mut known = HashMap::new();
        for path in paths {
            let Ok(path) = std::path::absolute(path) else {
                continue;
            };
            places.add(&path, &mut known);
        }
        places
    }

    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// Whether `path`, which lies in one of the folders or is one, matters.
    pub(super) fn concern(&self, path: &Path) -> bool {
        if self.0.contains_key(path) {
            return true;
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        match self.0.get(folder) {
            None => false,
            Some(Names::All) => true,
            Some(Names::These(names)) => names.contains(name),
        }
    }

    fn add(&mut self, path: &Path, known: &mut HashMap<PathBuf, PathBuf>) {
        let (mut here, mut rest) = (PathBuf::new(), VecDeque::new());
        let mut own = path.parent().map(Path::to_owned);
        match (
            own.as_ref().and_then(|folder| known.get(folder)),
            path.file_name(),
        ) {
            (Some(real), Some(name)) => {
                here.push(real);
                rest.push_back(name.to_owned());
            }
            _ => rest.extend(parts(path)),
        }
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                here.pop();
                continue;
            }
            if here.as_os_str().is_empty() {
                here.push(part);
                continue;
            }
            if rest.is_empty()
                && let Some(own) = own.take()
            {
                known.insert(own, here.clone());
            }
            let next = here.join(&part);
            let found = fs::symlink_metadata(&next);
            let is_link = found.as_ref().is_ok_and(fs::Metadata::is_symlink);
            // Folders on the way are not expected to be swapped, unless by a link.
            if is_link || found.is_err() || rest.is_empty() {
                self.name(&here, &part);
            }
            let Ok(found) = found else { return };
            if !is_link {
                if rest.is_empty() && found.is_dir() {
                    self.0.insert(next, Names::All);
                    return;
                }
                here = next;
                continue;
            }
            links += 1;
            let Ok(target) = fs::read_link(&next) else {
                return;
            };
            if MOST_LINKS < links {
                return;
            }
            if target.is_absolute() {
                here = PathBuf::new();
            }
            for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                rest.push_front(part);
            }
        }
    }

    fn name(&mut self, folder: &Path, name: &OsStr) {
        let names = self.0.entry(folder.to_owned());
        let names = names.or_insert_with(|| Names::These(BTreeSet::new()));
        if let Names::These(names) = names {
            names.insert(name.to_owned());
        }
    }
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts.map(|part| part.as_os_str().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn scene() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        (folder, root)
    }

    fn folders(path: &Path) -> Vec<PathBuf> {
        Places::of([path]).folders().map(Path::to_owned).collect()
    }

    #[test]
    fn a_file_is_seen_by_its_folder_and_nothing_else_in_it_matters() {
        let (_folder, root) = scene();
        fs::write(root.join("a"), "").unwrap();
        let places = Places::of([root.join("a").as_path()]);
        assert_eq!(folders(&root.join("a")), [root.as_path()]);
        assert!(places.concern(&root.join("a")));
        assert!(!places.concern(&root.join("b")));
        assert!(places.concern(&root), "the folder itself may go");
    }

    #[test]
    fn a_folder_is_seen_with_all_that_lies_in_it() {
        let (_folder, root) = scene();
        let inner = root.join("inner");
        fs::create_dir(&inner).unwrap();
        assert_eq!(folders(&inner), [root.as_path(), &inner]);
        let places = Places::of([inner.as_path()]);
        assert!(places.concern(&inner.join("anything")));
        assert!(!places.concern(&root.join("other")));
    }

    #[test]
    fn what_does_not_exist_is_seen_where_it_will_begin() {
        let (_folder, root) = scene();
        let path = root.join("a/b/c");
        assert_eq!(folders(&path), [root.as_path()]);
        assert!(Places::of([path.as_path()]).concern(&root.join("a")));
        fs::create_dir(root.join("a")).unwrap();
        assert_eq!(folders(&path), [root.join("a")]);
    }

    /// As Kubernetes mounts a `ConfigMap`.
    #[test]
    fn every_link_on_the_way_can_be_swapped() {
        let (_folder, root) = scene();
        fs::create_dir(root.join("..1")).unwrap();
        fs::write(root.join("..1/a"), "").unwrap();
        symlink("..1", root.join("..data")).unwrap();
        symlink("..data/a", root.join("a")).unwrap();
        let places = Places::of([root.join("a").as_path()]);
        for name in ["a", "..data", "..1/a"] {
            assert!(places.concern(&root.join(name)), "{name}");
        }
        // Also where the folder is known from another file.
        fs::write(root.join("..1/b"), "").unwrap();
        symlink("..data/b", root.join("b")).unwrap();
        let places = Places::of(
            [root.join("c"), root.join("a"), root.join("b")]
                .iter()
                .map(PathBuf::as_path),
        );
        for name in ["a", "b", "c", "..data", "..1/a", "..1/b"] {
            assert!(places.concern(&root.join(name)), "{name}");
        }
        symlink("loop", root.join("loop")).unwrap();
        assert_eq!(folders(&root.join("loop")), [root]);
    }
}
