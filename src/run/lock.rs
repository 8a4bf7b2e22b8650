//! The lock of one `haproxy.cfg`, as the commands that change something take it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use tracing::warn;

use crate::apply::{
    Acquired, FolderLock, Holder, Installation, Kind, LockPlaces, Locked, acquire, acquire_folder,
    reserve_mark,
};
use crate::config::Config;
use crate::disk::OsDisk;
use crate::state::Folder;

/// A one-shot waits that long for another one.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// The lock for one run, or the watcher that holds it for life.
pub(super) async fn lock(config: &Config, folder: &Folder) -> Result<Result<Locked, Holder>> {
    take(&places(config, folder), Kind::OneShot).await
}

/// The lock for life. Another watcher is given the time to end.
pub(super) async fn lock_for_life(config: &Config, places: &LockPlaces) -> Result<Locked> {
    match take(places, Kind::Watcher).await? {
        Ok(lock) => Ok(lock),
        Err(watcher) => bail!(
            "`{}` is kept in step by another watcher (pid {})",
            config.haproxy.config.display(),
            watcher.pid
        ),
    }
}

/// For one turn of a watcher, as [`lock`] does for a run.
pub(super) async fn enter_folder(lock: &mut Locked, places: &LockPlaces) {
    lock.enter_folder(places, LOCK_WAIT).await;
}

/// Where the lock lies.
pub(super) fn places(config: &Config, folder: &Folder) -> LockPlaces {
    let file = config
        .state
        .lock_file
        .clone()
        .unwrap_or_else(|| folder.path().join("lock"));
    LockPlaces {
        is_own: config.state.lock_file.is_none(),
        ..LockPlaces::new(&file, &config.haproxy.config)
    }
}

async fn take(places: &LockPlaces, kind: Kind) -> Result<Result<Locked, Holder>> {
    match acquire(places, kind, LOCK_WAIT).await? {
        Acquired::Locked(lock) => {
            if let Some(warning) = lock.warning() {
                warn!("{warning}");
            }
            Ok(Ok(lock))
        }
        Acquired::HeldByWatcher(holder) => Ok(Err(holder)),
        Acquired::TimedOut(holder) => {
            let holder = holder.map_or_else(String::new, |h| format!(" (pid {})", h.pid));
            bail!(
                "another run{holder} has held `{}` for {} s; this run did nothing",
                places.file.display(),
                LOCK_WAIT.as_secs()
            );
        }
    }
}

/// What an operator's command holds.
pub(super) enum Held {
    /// The lock.
    Alone(Locked),
    /// A watcher holds that, and the folder of the configuration is ours between two of its turns.
    BesideWatcher {
        /// Who it is.
        watcher: Holder,
        /// `None` where its turn did not end in time.
        folder: Option<FolderLock>,
    },
}

impl Held {
    pub(super) fn watcher(&self) -> Option<&Holder> {
        match self {
            Self::Alone(_) => None,
            Self::BesideWatcher { watcher, .. } => Some(watcher),
        }
    }

    /// As [`Locked::is_alone`].
    pub(super) fn is_alone(&self) -> bool {
        match self {
            Self::Alone(lock) => lock.is_alone(),
            Self::BesideWatcher { folder, .. } => folder.is_some(),
        }
    }
}

/// The lock, for what a watcher does not do in our place; beside one, its turns are kept out.
pub(super) async fn lock_for_operator(config: &Config, folder: &Folder) -> Result<Held> {
    let watcher = match lock(config, folder).await? {
        Ok(lock) => return Ok(Held::Alone(lock)),
        Err(watcher) => watcher,
    };
    let folder = acquire_folder(&places(config, folder), LOCK_WAIT).await;
    Ok(Held::BesideWatcher { watcher, folder })
}

/// Where files are installed, and how, by who holds a lock, be it alone or not.
pub(super) fn installation(config: &Config, state: Option<&Path>, is_alone: bool) -> Installation {
    let mut at = Installation::new(&config.haproxy.config, state);
    at.in_place = config.in_place;
    at.archive_versions = config.state.archive_versions;
    if !is_alone {
        at.shares_folder();
    }
    reserve_mark(&OsDisk, &at);
    at
}
