//! When it is time to look at files: soon after something happened in one of their folders.
//!
//! What happened is not asked: events are lost, merged, and say little where files are swapped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, INotifyWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::places::Places;

/// A save is several steps: files are looked at once none has come for so long.
const QUIET: Duration = Duration::from_millis(100);

/// But not later than this.
const AT_MOST: Duration = Duration::from_millis(500);

/// Between two looks where the kernel tells nothing.
const WITHOUT_HINTS: Duration = Duration::from_secs(3);

/// Between two looks all the same: what another host writes is not told of.
const ANYWAY: Duration = Duration::from_secs(60);

/// Tells when.
pub(super) struct Hints {
    /// `None` where the kernel tells nothing.
    watcher: Option<INotifyWatcher>,
    told: mpsc::Receiver<()>,
    is_closed: bool,
    places: Arc<Mutex<Places>>,
    followed: BTreeSet<PathBuf>,
    open: Option<Open>,
    next_at: Instant,
    /// Why the kernel tells nothing, or not all.
    deaf: Option<String>,
}

/// Something happened.
#[derive(Clone, Copy)]
struct Open {
    first: Instant,
    last: Instant,
}

impl Hints {
    pub(super) fn new() -> Self {
        let (sender, told) = mpsc::channel(1);
        let places = Arc::new(Mutex::new(Places::default()));
        let concerned = Arc::clone(&places);
        let watcher = INotifyWatcher::new(
            move |event: notify::Result<Event>| {
                let places = concerned.lock().unwrap_or_else(PoisonError::into_inner);
                if is_hint(&event, &places) {
                    // Where it is full, somebody is about to look anyway.
                    let _ = sender.try_send(());
                }
            },
            notify::Config::default(),
        );
        let (watcher, deaf) = match watcher {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            watcher,
            told,
            is_closed: false,
            places,
            followed: BTreeSet::new(),
            open: None,
            next_at: Instant::now(),
            deaf,
        }
    }

    /// From now on, and from a moment ago on, tells of these files and folders and of no others.
    pub(super) fn follow<'p>(&mut self, paths: impl IntoIterator<Item = &'p Path>) {
        let places = Places::of(paths);
        let folders: BTreeSet<PathBuf> = places.folders().map(Path::to_owned).collect();
        *self.places.lock().unwrap_or_else(PoisonError::into_inner) = places;
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for gone in self.followed.difference(&folders) {
            // One that was removed is no longer watched anyway.
            let _ = watcher.unwatch(gone);
        }
        self.deaf = None;
        let mut is_gone = false;
        // Those that are followed already may be others under the same name by now.
        for folder in &folders {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                match error.kind {
                    notify::ErrorKind::PathNotFound => is_gone = true,
                    _ => self.deaf = Some(format!("`{}`: {error}", folder.display())),
                }
            }
        }
        self.followed = folders;
        if is_gone {
            self.note();
        }
    }

    /// Why changes are seen late, and how late.
    pub(super) fn deaf(&self) -> Option<(&str, Duration)> {
        Some((self.deaf.as_deref()?, WITHOUT_HINTS))
    }

    /// Until it is time to look. What is heard meanwhile is not lost where nobody waits any more.
    pub(super) async fn next(&mut self) {
        loop {
            let due = self.open.map(|Open { first, last }| {
                let due = (last + QUIET).min(first + AT_MOST);
                due.min(self.next_at)
            });
            let due = due.unwrap_or(self.next_at);
            tokio::select! {
                told = self.told.recv(), if !self.is_closed => match told {
                    Some(()) => self.note(),
                    // Nobody is left to tell.
                    None => self.is_closed = true,
                },
                () = sleep_until(due) => break,
            }
        }
    }

    /// Somebody looks now.
    pub(super) fn looked(&mut self) {
        self.open = None;
        let pause = if self.deaf.is_some() {
            WITHOUT_HINTS
        } else {
            ANYWAY
        };
        self.next_at = Instant::now() + pause;
    }

    fn note(&mut self) {
        let now = Instant::now();
        let first = self.open.map_or(now, |open| open.first);
        self.open = Some(Open { first, last: now });
    }
}

fn is_hint(event: &notify::Result<Event>, places: &Places) -> bool {
    let Ok(event) = event else {
        // What was not understood may have been anything.
        return true;
    };
    let is_mere_look = match event.kind {
        EventKind::Access(AccessKind::Close(mode)) => mode != AccessMode::Write,
        EventKind::Access(_) => true,
        _ => false,
    };
    !is_mere_look && (event.need_rescan() || event.paths.iter().any(|path| places.concern(path)))
}
