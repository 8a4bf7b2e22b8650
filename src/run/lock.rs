//! The lock of one `haproxy.cfg`, as the commands that change something take it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use tracing::warn;

use crate::apply::{
    Acquired, Holder, Installation, Kind, LockPlaces, Locked, acquire, reserve_mark,
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

/// The lock, for what a watcher cannot do in our place.
pub(super) async fn lock_alone(config: &Config, folder: &Folder) -> Result<Locked> {
    match lock(config, folder).await? {
        Ok(lock) => Ok(lock),
        Err(watcher) => bail!(
            "`{}` is kept in step by a watcher (pid {}), which holds its lock; nothing was done: \
             stop it first",
            config.haproxy.config.display(),
            watcher.pid
        ),
    }
}

/// Where files are installed, and how, by who holds this lock.
pub(super) fn installation(config: &Config, state: Option<&Path>, lock: &Locked) -> Installation {
    let mut at = Installation::new(&config.haproxy.config, state);
    at.in_place = config.in_place;
    at.archive_versions = config.state.archive_versions;
    if !lock.is_alone() {
        at.shares_folder();
    }
    reserve_mark(&OsDisk, &at);
    at
}
