//! Certificates that were renewed while nobody watched: a run remembers what they held when HAProxy read
//! them, and the next one looks whether they still do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use tracing::info;

use super::footprint::{Contents, Footprint, Item};
use crate::apply::Outcome;
use crate::disk::Digest;
use crate::haproxy::Proc;
use crate::haproxy::certificates::{Certificate, certificates, list_text, listed, with_companions};
use crate::proxy::native::is_crt_list;
use crate::state::{CertificatesRead, State, Time};

/// The start of a process is known to the second.
const SECOND: Duration = Duration::from_secs(1);

/// What lies there now is not what HAProxy has read.
pub(super) struct Renewed {
    /// Since then.
    pub(super) since: SystemTime,
    /// These; nothing where one is gone.
    pub(super) files: Vec<PathBuf>,
}

/// What is known of them.
pub(super) enum Known {
    /// Nobody remembers what HAProxy read, or it names none.
    Nothing,
    AsRead,
    Renewed(Renewed),
}

/// Of the certificates that `cfg` names, which HAProxy runs.
pub(super) fn known(cfg: &str, state: &State) -> Known {
    let Some((applied, read)) = state.applied.as_ref().zip(state.certificates_read) else {
        return Known::Nothing;
    };
    let now = Footprint::of(&items(&certificates(cfg)));
    let is_same_process = applied.haproxy_pid == read.pid;
    if is_same_process && Digest::of_value(&now) == read.seen {
        return Known::AsRead;
    }
    let since = if is_same_process {
        if Contents::of(&now, &Contents::default()).digest() == read.held {
            return Known::AsRead;
        }
        read.at.moment()
    } else {
        // Somebody else had it read them, and then nobody watched.
        let started = applied
            .haproxy_pid
            .and_then(|pid| Proc::default().since(pid));
        let Some(started) = started else {
            return Known::Nothing;
        };
        started + SECOND
    };
    let files = now.changed_since(since);
    if files.is_empty() && !is_same_process {
        return Known::AsRead;
    }
    Known::Renewed(Renewed { since, files })
}

/// Remembers that HAProxy has read those that `cfg` names, but for what was changed after `since`.
pub(super) fn were_read(cfg: &str, state: &mut State, since: SystemTime) {
    let named = certificates(cfg);
    let files = Footprint::of(&items(&named));
    let contents = Contents::of(&files, &Contents::default()).unchanged_since(since);
    let mut read = read(state, &files, &contents, since);
    if !files.changed_since(since).is_empty() {
        // What may have come too late is read again by whoever comes next.
        read.seen = read.held;
    }
    state.certificates_read = (!named.is_empty()).then_some(read);
}

/// The same where it is known what they hold.
pub(super) fn read(
    state: &State,
    files: &Footprint,
    contents: &Contents,
    at: SystemTime,
) -> CertificatesRead {
    CertificatesRead {
        pid: state
            .applied
            .as_ref()
            .and_then(|applied| applied.haproxy_pid),
        at: Time::at(at),
        seen: Digest::of_value(files),
        held: contents.digest(),
    }
}

/// What HAProxy reads of them.
pub(super) fn items(named: &BTreeSet<Certificate>) -> Vec<Item> {
    let mut items = BTreeSet::new();
    let mut own = |path: &Path| {
        if path.is_dir() {
            items.insert(Item::Folder {
                path: path.to_owned(),
                begin: "",
                end: "",
            });
        } else {
            items.extend(with_companions(path).map(Item::File));
        }
    };
    for certificate in named {
        match certificate {
            Certificate::Own(path) | Certificate::Others(path) => own(path),
            Certificate::List { path, base } => {
                // One of ours comes and goes with the file, in the very turn that has HAProxy read it.
                let name = path.file_name().and_then(|name| name.to_str());
                if !name.is_some_and(is_crt_list) {
                    own(path);
                }
                listed(&list_text(path), base).for_each(|path| own(&path));
            }
        }
    }
    items.into_iter().collect()
}

/// What came of it that HAProxy was to show them.
pub(super) enum Renewal {
    /// It does, and that was said.
    Shown,
    /// The next turn makes up for it, and says so.
    Left(Outcome),
}

impl Renewal {
    /// # Errors
    /// When HAProxy goes on with those that it has read, and will until somebody mends `names`.
    pub(super) fn of(outcome: Result<Outcome>, names: &str) -> Result<Self> {
        let stay = || {
            format!(
                "certificates were changed ({names}), and HAProxy goes on with those that it has read"
            )
        };
        match outcome.with_context(stay)? {
            Outcome::Applied { how, reloaded, .. } => {
                let done = if reloaded { "reloaded" } else { "told" };
                info!("HAProxy was {done}, since its certificates were changed ({names}); {how}");
                Ok(Self::Shown)
            }
            Outcome::Rejected { messages } => {
                let messages: Vec<String> = messages.iter().map(ToString::to_string).collect();
                bail!("{}: {}", stay(), messages.join("; "));
            }
            outcome => Ok(Self::Left(outcome)),
        }
    }
}

/// The first of them.
pub(super) fn named(files: &[PathBuf]) -> String {
    const MOST: usize = 3;
    if files.is_empty() {
        return "one is gone".to_owned();
    }
    let shown = files.iter().take(MOST);
    let mut shown: Vec<String> = shown.map(|file| format!("`{}`", file.display())).collect();
    if MOST < files.len() {
        shown.push(format!("and {} more", files.len() - MOST));
    }
    shown.join(", ")
}
