//! `pause` and `resume`: whether turns apply what they find.

use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use nix::unistd::{Uid, User};
use tracing::{info, warn};

use super::access;
use super::lock::{Held, lock_for_operator};
use crate::config::Config;
use crate::disk::OsDisk;
use crate::state::{Folder, Paused, State, Time, Writable};

pub(super) async fn pause(config: &Config) -> Result<ExitCode> {
    let file = config.haproxy.config.display();
    let folder = Folder::of(&config.state.dir, &config.haproxy.config);
    access::may_write(&folder)?;
    let held = lock_for_operator(config, &folder).await?;
    let (mut store, memory) = open(folder)?;
    if let Some(paused) = &memory.paused {
        info!("`{file}` is {paused} already");
        return Ok(ExitCode::SUCCESS);
    }
    let paused = paused(config.reason.clone());
    store.pause(&OsDisk, &paused).context(
        "nothing is paused: have the state folder take a file, then call this again, or stop what \
         calls refresh",
    )?;
    info!(
        "`{file}` is {paused}: refresh tells what it would do and applies nothing, tasks that move \
         included, until `resume`"
    );
    tell_of_watcher(&held);
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn resume(config: &Config) -> Result<ExitCode> {
    let file = config.haproxy.config.display();
    let folder = Folder::of(&config.state.dir, &config.haproxy.config);
    access::may_write(&folder)?;
    let held = lock_for_operator(config, &folder).await?;
    let (mut store, memory) = open(folder)?;
    let Some(paused) = memory.paused else {
        info!("`{file}` is not paused");
        return Ok(ExitCode::SUCCESS);
    };
    store
        .resume(&OsDisk)
        .with_context(|| format!("`{file}` stays {paused}"))?;
    info!("`{file}` was {paused}; the next refresh applies what it finds");
    tell_of_watcher(&held);
    Ok(ExitCode::SUCCESS)
}

/// It looks for a pause whenever it begins a turn, and takes one when that comes or goes.
pub(super) fn tell_of_watcher(held: &Held) {
    let Some(watcher) = held.watcher() else {
        return;
    };
    let pid = watcher.pid;
    if held.is_alone() {
        info!("the watcher (pid {pid}) heeds that from now on");
    } else {
        warn!(
            "the watcher (pid {pid}) heeds that from its next turn on; the one that is under way did \
             not end in time, and goes on as it began"
        );
    }
}

/// From now on, by whoever runs this.
pub(super) fn paused(reason: Option<String>) -> Paused {
    Paused {
        since: Time::at(SystemTime::now()),
        by: operator(),
        reason,
    }
}

/// What is remembered, and the right to change it; without a place for it, the command has no sense.
pub(super) fn open(folder: Folder) -> Result<(Writable, State)> {
    let (store, memory, warning) = Writable::open(&OsDisk, folder);
    if store.path().is_none() {
        bail!(warning.unwrap_or_else(|| "there is no folder for the state".to_owned()));
    }
    if let Some(warning) = warning {
        warn!("{warning}");
    }
    Ok((store, memory))
}

/// Who is at the keyboard, as far as it is known; sudo hides him behind root otherwise.
pub(super) fn operator() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .filter_map(|variable| std::env::var(variable).ok())
        .map(|name| name.chars().filter(|c| !c.is_control()).collect::<String>())
        .find(|name| !name.is_empty());
    named.unwrap_or_else(|| {
        let uid = Uid::current();
        let user = User::from_uid(uid).ok().flatten();
        user.map_or_else(|| format!("user {uid}"), |user| user.name)
    })
}
