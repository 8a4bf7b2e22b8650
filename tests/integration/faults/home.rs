//! All that runs leave on a host, to go back to.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::strace::SCRATCH;
use crate::host::Host;

/// Where the files of a host are; sockets, which are HAProxy's, stay where they are.
const FOLDERS: [&str; 3] = ["etc", "state", "tmp"];

/// What lies there, folders before what is in them: path, content of a regular file, mode.
#[derive(Default)]
pub(super) struct Home(Vec<(PathBuf, Option<Vec<u8>>, u32)>);

impl Home {
    pub(super) fn of(host: &Host) -> Self {
        let entries = entries(host).into_iter().map(|path| {
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            let content = path.is_file().then(|| fs::read(&path).unwrap());
            (path, content, mode)
        });
        Self(entries.collect())
    }

    pub(super) fn restore(&self, host: &Host) {
        for path in files(host) {
            fs::remove_file(path).unwrap();
        }
        for path in scratch_folders(host) {
            fs::remove_dir_all(path).unwrap();
        }
        if self.0.is_empty() {
            let _ = fs::remove_dir_all(host.path("state"));
        }
        for (path, content, mode) in &self.0 {
            match content {
                Some(content) => fs::write(path, content).unwrap(),
                None => fs::create_dir_all(path).unwrap(),
            }
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
    }
}

/// The regular files of a host.
pub(super) fn files(host: &Host) -> Vec<PathBuf> {
    let mut files = entries(host);
    files.retain(|path| path.is_file());
    files
}

/// The copies for `haproxy -c`.
pub(super) fn scratch_folders(host: &Host) -> Vec<PathBuf> {
    let mut folders = entries(host);
    let is_copy = |path: &Path| {
        let path = path.to_string_lossy();
        let name = path.rsplit_once(SCRATCH).map(|(_, name)| name);
        name.is_some_and(|name| !name.contains('/'))
    };
    folders.retain(|path| path.is_dir() && is_copy(path));
    folders
}

fn entries(host: &Host) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        add_entries(&host.path(folder), &mut found);
    }
    found
}

fn add_entries(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() || kind.is_file() {
            found.push(entry.path());
        }
        if kind.is_dir() {
            add_entries(&entry.path(), found);
        }
    }
}
