//! The files that a watcher depends on beside Marathon's answers, and which of them have changed.
//!
//! That something happened is told by the kernel, or supposed at times; what it was is found by
//! looking, so that nothing hangs on events.

mod certificates;
mod hints;
mod places;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use self::certificates::Certificates;
use self::hints::Hints;
use super::super::certificates::Renewed;
use super::super::footprint::{Footprint, Item};
use crate::config::Config;
use crate::haproxy::program;

/// All of them.
pub(super) struct Files {
    hints: Hints,
    configuration: Group,
    templates: Group,
    program: Group,
    pause: Group,
    pub(super) certificates: Certificates,
}

/// What holds something else than at the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Changed {
    Configuration,
    Templates,
    /// Of HAProxy: it may be there again, or another one.
    Program,
    /// Files that the installed one names as such.
    Certificates,
    Pause,
}

/// Files that mean the same.
#[derive(Default)]
struct Group {
    items: Vec<Item>,
    seen: Footprint,
}

impl Group {
    fn of(items: Vec<Item>) -> Self {
        Self {
            seen: Footprint::of(&items),
            items,
        }
    }

    fn has_changed(&mut self) -> bool {
        let now = Footprint::of(&self.items);
        let has_changed = now != self.seen;
        self.seen = now;
        has_changed
    }

    /// Other files from now on: of those that stay, the last look counts.
    fn become_of(&mut self, items: Vec<Item>) {
        if self.items != items {
            let seen = Footprint::of(&items).but_as_in(&self.seen);
            *self = Self { items, seen };
        }
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        self.items.iter().map(Item::path).chain(self.seen.files())
    }
}

impl Files {
    /// As they are now; nothing is read of them.
    pub(super) fn new(configuration: BTreeSet<PathBuf>, config: &Config, pause: PathBuf) -> Self {
        let mut files = Self {
            hints: Hints::new(),
            configuration: Group::of(files(configuration)),
            templates: Group::of(templates(config)),
            program: Group::of(programs(config)),
            pause: Group::of(vec![
                Item::File(pause.with_file_name("drained.json")),
                Item::File(pause),
            ]),
            certificates: Certificates::default(),
        };
        files.follow();
        files
    }

    /// Until it is time to look.
    pub(super) async fn next(&mut self) {
        self.hints.next().await;
    }

    /// Looks.
    pub(super) fn look(&mut self) -> BTreeSet<Changed> {
        let all = [
            (Changed::Configuration, self.configuration.has_changed()),
            (Changed::Templates, self.templates.has_changed()),
            (Changed::Program, self.program.has_changed()),
            (Changed::Certificates, self.certificates.look()),
            (Changed::Pause, self.pause.has_changed()),
        ];
        self.follow();
        self.hints.looked();
        let changed = all.into_iter().filter(|(_, has_changed)| *has_changed);
        changed.map(|(what, _)| what).collect()
    }

    /// From now on the configuration is made of these, and wants these templates.
    pub(super) fn become_of(&mut self, configuration: BTreeSet<PathBuf>, config: &Config) {
        self.configuration.become_of(files(configuration));
        self.templates.become_of(templates(config));
        self.program.become_of(programs(config));
        self.follow();
    }

    /// From now on these certificates are named in the installed file, `cfg`, which HAProxy read after
    /// `since`; of what was `renewed`, it has not. Gives whether they are others than before.
    pub(super) fn use_certificates(
        &mut self,
        cfg: &str,
        since: SystemTime,
        renewed: Option<&Renewed>,
    ) -> bool {
        let are_others = self.certificates.become_of(cfg, since);
        if let Some(renewed) = renewed {
            self.certificates.were_renewed(renewed);
        }
        if are_others {
            self.follow();
            // Nobody was told of what became of them in between.
            self.hints.note();
        }
        are_others
    }

    /// Why changes are seen late, and how late.
    pub(super) fn deaf(&self) -> Option<(&str, Duration)> {
        self.hints.deaf()
    }

    fn follow(&mut self) {
        let groups = [&self.configuration, &self.templates, &self.pause];
        let paths = groups.into_iter().flat_map(Group::paths);
        let paths = paths.chain(until_found(self.program.paths()));
        self.hints.follow(paths.chain(self.certificates.paths()));
    }
}

/// Those of `places` up to the first that exists: none behind it is run. The kernel tells of a folder
/// whenever a file in it is opened, so that one of programs wakes us whenever the host starts one.
fn until_found<'p>(places: impl Iterator<Item = &'p Path>) -> impl Iterator<Item = &'p Path> {
    let mut is_found = false;
    places.take_while(move |place| !std::mem::replace(&mut is_found, place.exists()))
}

fn files(paths: BTreeSet<PathBuf>) -> Vec<Item> {
    paths.into_iter().map(Item::File).collect()
}

/// Where the program may lie.
fn programs(config: &Config) -> Vec<Item> {
    let places = program::places(&config.haproxy.program);
    places.into_iter().map(Item::File).collect()
}

/// What `site` reads.
fn templates(config: &Config) -> Vec<Item> {
    let mut items = Vec::new();
    let mut folder = |path: PathBuf, begin, end| items.push(Item::Folder { path, begin, end });
    if let Some(dir) = &config.templates.dir {
        folder(dir.clone(), "", ".tera");
        folder(dir.join("fragments"), "", ".tera");
    }
    if let Some(dir) = &config.templates.extra {
        folder(dir.clone(), "", ".cfg");
    }
    if let Some(dir) = &config.templates.files {
        folder(dir.clone(), "HAPROXY_", "");
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_folder_behind_the_one_in_which_the_program_lies_is_followed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let places = ["first", "second", "third"].map(|name| folder.path().join(name));
        let followed =
            |places: &[PathBuf]| until_found(places.iter().map(PathBuf::as_path)).count();
        assert_eq!(3, followed(&places), "it may come to any");
        std::fs::write(&places[1], "").expect("a program");
        assert_eq!(2, followed(&places), "it may come to the one before, too");
    }
}
