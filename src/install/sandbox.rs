//! Where turns write, which the sandbox of a unit has to let them.

use std::path::{Component, Path, PathBuf};

use super::host::Look;
use super::service::texts_of_unit;
use crate::config::Config;
use crate::disk::folder_of;

/// Links that lead to links.
const MOST_LINKS: usize = 40;
/// What every unit of ours may write to: sockets of HAProxy's.
const SOCKETS: &str = "/run/haproxy";

/// The folders beside those of `haproxy.cfg` and of the state in which turns write: where the former leads
/// to as a link, and those that options name.
#[must_use]
pub fn also_written(look: &dyn Look, config: &Config) -> Vec<PathBuf> {
    let cfg = &config.haproxy.config;
    let named = [&config.state.lock_file, &config.watch.admin_socket];
    let known = [folder_of(cfg), &config.state.dir, Path::new(SOCKETS)];
    let mut all: Vec<PathBuf> = Vec::new();
    for file in [Some(&followed(look, cfg))]
        .into_iter()
        .chain(named.map(Option::as_ref))
        .flatten()
    {
        let folder = folder_of(file);
        let is_known = known.iter().any(|known| folder.starts_with(known));
        if !is_known && !all.iter().any(|other| other == folder) {
            all.push(folder.to_owned());
        }
    }
    all
}

/// Those of `folders` that the unit `name` does not let its program write to.
#[must_use]
pub fn kept_out<'a>(look: &dyn Look, name: &str, folders: &'a [PathBuf]) -> Vec<&'a Path> {
    let texts = texts_of_unit(look, name);
    let lines = || texts.iter().flat_map(|text| text.lines().map(str::trim));
    if !lines().any(|line| line == "ProtectSystem=strict") {
        return Vec::new();
    }
    let words = |key: &'static str| {
        lines()
            .filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='))
            .flat_map(str::split_ascii_whitespace)
    };
    let mut writable: Vec<PathBuf> = words("ReadWritePaths")
        .map(|path| PathBuf::from(path.trim_start_matches(['-', '+'])))
        .collect();
    for (key, folder) in [("StateDirectory", "/var/lib"), ("RuntimeDirectory", "/run")] {
        writable.extend(words(key).map(|name| Path::new(folder).join(name)));
    }
    let may = |folder: &PathBuf| writable.iter().any(|path| folder.starts_with(path));
    let kept_out = folders.iter().filter(|folder| !may(folder));
    kept_out.map(PathBuf::as_path).collect()
}

/// Where `path` leads to.
fn followed(look: &dyn Look, path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Some(to) = look.link(&path) else { break };
        path = without_dots(&path.parent().unwrap_or(Path::new("/")).join(to));
    }
    path
}

/// As units want a path.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => (),
            other => plain.push(other),
        }
    }
    plain
}
