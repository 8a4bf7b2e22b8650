//! What somebody else put where something of ours goes: it is kept as a copy before it is replaced or
//! removed.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::action::Content;
use super::host::{Found, Look};
use super::{BACKUP, CRON_FILE, PROGRAM, cron};
use crate::disk::Digest;

/// By what a file is known as ours, which needs no copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ours {
    /// A `haproxy.cfg` that a turn installed: one of these.
    Config(Rc<[Digest]>),
    /// A program: whatever is no script.
    Program,
    /// The file for cron, as it was written. One that has the same turns taken as this one stays anyway.
    CronFile(Option<Content>),
}

impl Ours {
    fn has(&self, look: &dyn Look, found: &Found) -> bool {
        match self {
            Self::Config(known) => known.contains(&Digest::of(&found.content)),
            Self::Program => !is_script(found),
            Self::CronFile(wanted) => {
                let stays = |wanted: &Content| cron::does_the_same(look, found, &wanted.0);
                cron::is_as_written(found) || wanted.as_ref().is_some_and(stays)
            }
        }
    }
}

/// As the bash bridge and `marathon_lb.py` are.
pub(super) fn is_script(found: &Found) -> bool {
    found.content.starts_with(b"#!")
}

/// Where the first copy of `path` lies.
pub(super) fn first_copy(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(BACKUP);
    name.into()
}

/// The copies that there are, `first` and those with a number behind it, in their order.
fn copies(look: &dyn Look, first: &Path) -> Vec<PathBuf> {
    numbered(first)
        .take_while(|path| is_taken(look, path))
        .collect()
}

/// All copies of what stood where ours came, with the one that `uninstall` makes before it takes away what
/// somebody else put there for cron.
#[must_use]
pub fn all_copies(look: &dyn Look, config: &Path) -> Vec<PathBuf> {
    let of_cron = Path::new(cron::FIRST_COPY);
    let is_made = !needs_no_copy(look, Path::new(CRON_FILE), of_cron, &Ours::CronFile(None));
    let made = is_made.then(|| free_name(look, of_cron)).flatten();
    let firsts = [
        first_copy(config),
        first_copy(Path::new(PROGRAM)),
        cron::FIRST_COPY.into(),
    ];
    firsts
        .iter()
        .flat_map(|first| copies(look, first))
        .chain(made)
        .collect()
}

/// A name that no copy has.
pub(super) fn free_name(look: &dyn Look, first: &Path) -> Option<PathBuf> {
    numbered(first).find(|path| !is_taken(look, path))
}

/// Whether what lies at `from` needs no copy: it is ours, or there is one of it.
pub(super) fn needs_no_copy(look: &dyn Look, from: &Path, first: &Path, ours: &Ours) -> bool {
    match look.file(from) {
        Ok(Some(found)) => {
            let is_it = |copy: &PathBuf| {
                let copy = look.file(copy).ok().flatten();
                copy.is_some_and(|copy| copy.content == found.content)
            };
            ours.has(look, &found) || copies(look, first).iter().any(is_it)
        }
        // HAProxy's package may yet bring one.
        Ok(None) => !matches!(ours, Ours::Config(_)) || is_taken(look, first),
        Err(_) => false,
    }
}

fn numbered(first: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let first = first.to_owned();
    (1..=u32::MAX).map(move |number| {
        let mut name = first.as_os_str().to_owned();
        if number > 1 {
            name.push(format!(".{number}"));
        }
        name.into()
    })
}

/// Also by a link that leads nowhere: what is written there would lie elsewhere.
fn is_taken(look: &dyn Look, path: &Path) -> bool {
    look.is_there(path) || look.link(path).is_some()
}
