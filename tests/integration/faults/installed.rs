//! What is installed, and whom it reaches.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Done, haproxy};

/// `haproxy.cfg` and its maps, by file name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Installed {
    pub(super) cfg: String,
    maps: BTreeMap<String, String>,
}

impl Installed {
    /// `None` where there is no `haproxy.cfg`.
    pub(super) fn read(cfg: &Path, maps: &[&str]) -> Option<Self> {
        let there = maps.iter().filter_map(|&name| {
            let text = fs::read_to_string(cfg.with_file_name(name)).ok()?;
            Some((name.to_owned(), text))
        });
        Some(Self {
            cfg: fs::read_to_string(cfg).ok()?,
            maps: there.collect(),
        })
    }

    fn backends(&self) -> BTreeSet<&str> {
        let named = |line| {
            ["backend ", "listen "]
                .iter()
                .find_map(|s| str::strip_prefix(line, s))
        };
        self.cfg.lines().filter_map(named).map(str::trim).collect()
    }

    /// Rules that name a backend, which must be there.
    fn rules(&self) -> impl Iterator<Item = &str> {
        let words = self.cfg.lines().map(str::split_ascii_whitespace);
        words.filter_map(|mut words| match words.next()? {
            "use_backend" | "default_backend" => words.next().filter(|name| !name.contains("%[")),
            _ => None,
        })
    }

    fn rows(&self, map: &str) -> BTreeMap<&str, &str> {
        let text = self.maps.get(map).map_or("", String::as_str);
        let rows = text.lines().filter_map(|row| row.split_once(' '));
        rows.collect()
    }

    /// What is wrong with it, as a complete set.
    pub(super) fn faults(&self) -> Vec<String> {
        self.faults_between(&[self])
    }

    /// What is wrong with it on the way between `ends`, one of which its `haproxy.cfg` is from.
    ///
    /// A map may by then have rows for backends that are still to come, or already gone; but not for
    /// a key that `haproxy.cfg` was made to serve.
    pub(super) fn faults_between(&self, ends: &[&Self]) -> Vec<String> {
        let backends = self.backends();
        let gone = |name: &&str| !backends.contains(name);
        let rules = self.rules().filter(gone);
        let mut faults: Vec<String> = rules.map(|name| format!("no backend {name}")).collect();
        let own = ends.iter().find(|end| end.cfg == self.cfg);
        let own = own.expect("the file is from one of the ends");
        for map in own.maps.keys() {
            let rows = self.rows(map);
            let asked: Vec<_> = ends.iter().map(|end| end.rows(map)).collect();
            for (key, backend) in &rows {
                if !asked.iter().any(|rows| rows.get(key) == Some(backend)) {
                    faults.push(format!("{map}: nobody asked for {key} {backend}"));
                }
            }
            for key in own.rows(map).keys() {
                if rows.get(key).is_none_or(&gone) {
                    faults.push(format!("{map}: {key} leads to {:?}", rows.get(key)));
                }
            }
        }
        faults
    }
}

/// Whether HAProxy accepts the file as it lies there, with all that it names.
pub(super) fn is_accepted(cfg: &Path) -> bool {
    let mut check = Command::new(haproxy());
    check.arg("-c").arg("-f").arg(cfg);
    Done::of(check).status.success()
}
