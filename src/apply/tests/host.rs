//! A host to install on, and ways to go from one set of files to another.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::apply::{FileSet, InstallError, Installation, Installed, install};
use crate::disk::{Disk, MemoryDisk, OsDisk};

pub(super) const DOMAINS: &str = "domain2backend.map";
pub(super) const APPS: &str = "app2backend.map";
pub(super) const GONE: &str = "gone.map";

/// A disk with a folder for `haproxy.cfg` and one for the state.
pub(super) struct Host {
    pub(super) disk: Box<dyn Disk>,
    pub(super) memory: Option<std::sync::Arc<MemoryDisk>>,
    pub(super) root: PathBuf,
    _dir: Option<tempfile::TempDir>,
}

impl Host {
    pub(super) fn memory() -> Self {
        let memory = MemoryDisk::new();
        for folder in ["/r/haproxy", "/r/elsewhere", "/r/state"] {
            memory.put_folder(Path::new(folder));
        }
        let memory = std::sync::Arc::new(memory);
        Self {
            disk: Box::new(std::sync::Arc::clone(&memory)),
            memory: Some(memory),
            root: PathBuf::from("/r"),
            _dir: None,
        }
    }

    pub(super) fn real() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["haproxy", "elsewhere", "state"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        Self {
            disk: Box::new(OsDisk),
            memory: None,
            root: dir.path().to_owned(),
            _dir: Some(dir),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join("haproxy").join(name)
    }

    pub(super) fn put(&self, path: &Path, text: &str) {
        match &self.memory {
            Some(memory) => memory.put(path, text.as_bytes()),
            None => fs::write(path, text).unwrap(),
        }
    }

    pub(super) fn link(&self, path: &Path, target: &str) {
        match &self.memory {
            Some(memory) => memory.put_link(path, Path::new(target)),
            None => symlink(target, path).unwrap(),
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        let content = self.disk.read(&self.path(name)).unwrap();
        content.map(|content| String::from_utf8(content).unwrap())
    }

    /// What lies there, with nothing said of what is not asked for.
    pub(super) fn set(&self) -> BTreeMap<String, String> {
        let names = ["haproxy.cfg", DOMAINS, APPS, GONE].into_iter();
        let lists = OLD_LISTS.into_iter().chain([NEW_LISTS[1]]);
        let present = names
            .chain(lists)
            .filter_map(|name| Some((name.to_owned(), self.text(name)?)));
        present.collect()
    }

    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let names = self.disk.list(&self.root.join(folder)).unwrap();
        names
            .into_iter()
            .map(|name| name.into_string().unwrap())
            .collect()
    }
}

/// A configuration that asks the two maps, with these backends.
pub(super) fn cfg(host: &Host, maps: &[&str], backends: &[&str]) -> String {
    let mut text = "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  \
                    timeout server 1s\nfrontend f\n  bind 127.0.0.1:10000\n"
        .to_owned();
    for map in maps {
        let path = host.path(map);
        writeln!(
            text,
            "  use_backend %[req.hdr(host),map({})]",
            path.display()
        )
        .unwrap();
    }
    for backend in backends {
        writeln!(text, "backend {backend}\n  server s 127.0.0.1:1").unwrap();
    }
    text
}

/// Of the file before and of the one behind it; one is in both. They bear what they hold in their names.
const OLD_LISTS: [&str; 2] = [
    "https-f9ffe5f093f0745a.crt-list",
    "https-73659ef839a79452.crt-list",
];
const NEW_LISTS: [&str; 2] = [
    "https-73659ef839a79452.crt-list",
    "https-d1c53bfdcbd962c2.crt-list",
];

/// The beginning of a configuration that names these lists.
fn naming(host: &Host, lists: &[&str]) -> String {
    let line = |list: &&str| format!("# crt-list {}\n", host.path(list).display());
    lists.iter().map(line).collect()
}

pub(super) fn set(cfg: String, maps: &[(&str, &str)]) -> FileSet {
    let maps = maps
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    FileSet {
        cfg,
        maps: maps.collect(),
    }
}

/// A way to go from one set to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    CfgOnly,
    WithMaps,
    WithLists,
    ThroughLinks,
    WithoutState,
    InPlace,
}

impl Way {
    pub(super) const ALL: [Self; 6] = [
        Self::CfgOnly,
        Self::WithMaps,
        Self::WithLists,
        Self::ThroughLinks,
        Self::WithoutState,
        Self::InPlace,
    ];

    pub(super) fn present(self, host: &Host) -> FileSet {
        match self {
            Self::CfgOnly => set(cfg(host, &[], &["both", "old"]), &[]),
            Self::WithLists => set(
                naming(host, &OLD_LISTS) + &cfg(host, &[DOMAINS], &["both", "old"]),
                &[
                    (DOMAINS, "kept both\nmoved old\nremoved old\n"),
                    (OLD_LISTS[0], "/a.pem\n"),
                    (OLD_LISTS[1], "/b.pem\n"),
                ],
            ),
            _ => set(
                cfg(host, &[DOMAINS, APPS, GONE], &["both", "old"]),
                &[
                    (DOMAINS, "kept both\nmoved old\nremoved old\n"),
                    (APPS, "/app old\n"),
                    (GONE, "x old\n"),
                ],
            ),
        }
    }

    pub(super) fn wanted(self, host: &Host) -> FileSet {
        match self {
            Self::CfgOnly => set(cfg(host, &[], &["both", "new"]), &[]),
            Self::WithLists => set(
                naming(host, &NEW_LISTS) + &cfg(host, &[DOMAINS], &["both", "new"]),
                &[
                    (DOMAINS, "added new\nkept both\nmoved both\n"),
                    (NEW_LISTS[0], "/b.pem\n"),
                    (NEW_LISTS[1], "/a.pem\n/c.pem\n"),
                ],
            ),
            _ => set(
                cfg(host, &[DOMAINS, APPS], &["both", "new"]),
                &[
                    (DOMAINS, "added new\nkept both\nmoved both\n"),
                    (APPS, "/new new\n"),
                ],
            ),
        }
    }

    pub(super) fn installation(self, host: &Host) -> Installation {
        let state = host.root.join("state");
        let state = (self != Self::WithoutState).then_some(&*state);
        let mut at = Installation::new(&host.path("haproxy.cfg"), state);
        at.in_place = self == Self::InPlace;
        at
    }

    pub(super) fn obsolete(self) -> Vec<String> {
        match self {
            Self::CfgOnly => vec![],
            Self::WithLists => vec![OLD_LISTS[0].to_owned()],
            _ => vec![GONE.to_owned()],
        }
    }

    pub(super) fn prepare(self, host: &Host) {
        let old = self.present(host);
        let mut files = vec![("haproxy.cfg", &old.cfg)];
        files.extend(old.maps.iter().map(|(name, text)| (&**name, text)));
        for (name, text) in files {
            if self == Self::ThroughLinks && name != APPS {
                host.link(&host.path(name), &format!("../elsewhere/real-{name}"));
                host.put(
                    &host.root.join("elsewhere").join(format!("real-{name}")),
                    text,
                );
            } else {
                host.put(&host.path(name), text);
            }
        }
    }

    pub(super) fn install(self, host: &Host, disk: &dyn Disk) -> Result<Installed, InstallError> {
        install(
            disk,
            &self.installation(host),
            &self.wanted(host),
            &self.obsolete(),
        )
    }

    /// The old configuration with maps that serve it, or the new one with maps that serve that.
    pub(super) fn assert_serves(self, host: &Host, when: &str) {
        let present = host.set();
        let (old, new) = (self.present(host), self.wanted(host));
        let wanted = match &present["haproxy.cfg"] {
            cfg if *cfg == old.cfg => old,
            cfg if *cfg == new.cfg => new,
            cfg => panic!("{self:?} {when}: neither the old nor the new configuration: {cfg}"),
        };
        for (name, map) in &wanted.maps {
            let found = present
                .get(name)
                .unwrap_or_else(|| panic!("{self:?} {when}: no {name}"));
            if name.ends_with(".crt-list") {
                assert_eq!(found, map, "{self:?} {when}: {name}");
                continue;
            }
            for row in map.lines() {
                let key = row.split(' ').next().unwrap();
                let backend = found
                    .lines()
                    .find_map(|row| row.strip_prefix(&format!("{key} ")))
                    .unwrap_or_else(|| panic!("{self:?} {when}: {name} has no row for {key}"));
                let section = format!("backend {backend}\n");
                assert!(
                    wanted.cfg.contains(&section),
                    "{self:?} {when}: {key} leads to {backend}"
                );
            }
        }
    }

    /// The old set or the new one, nothing in between.
    pub(super) fn assert_all_or_nothing(self, host: &Host, when: &str) {
        let whole = [self.present(host), self.wanted(host)].map(flat);
        assert!(whole.contains(&host.set()), "{self:?} {when}");
    }

    /// Nothing of ours is left behind.
    pub(super) fn assert_tidy(self, host: &Host, when: &str) {
        let state = host.names("state");
        assert!(state.is_empty(), "{self:?} {when}: {state:?}");
        for folder in ["haproxy", "elsewhere"] {
            let names = host.names(folder);
            let ours = names.iter().find(|name| name.starts_with('.'));
            assert_eq!(ours, None, "{self:?} {when}");
        }
    }

    /// The next run, on a disk that is well, comes to the end.
    pub(super) fn assert_completes(self, host: &Host, when: &str) {
        self.install(host, &*host.disk).unwrap();
        assert_eq!(host.set(), flat(self.wanted(host)), "{self:?} {when}");
        self.assert_tidy(host, when);
    }
}

/// The files of a set by name.
pub(super) fn flat(files: FileSet) -> BTreeMap<String, String> {
    let mut flat = files.maps;
    flat.insert("haproxy.cfg".to_owned(), files.cfg);
    flat
}
