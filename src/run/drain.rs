//! `drain` and `undrain`: which servers get no new requests though Marathon names them.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::slice;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use tracing::{info, warn};

use super::access;
use super::lock::lock_for_operator;
use super::pause::{open, operator, tell_of_watcher};
use crate::config::Config;
use crate::cycle::{Known, Meant, named};
use crate::disk::{self, OsDisk};
use crate::state::{Drained, Folder, State, Time};

pub(super) async fn drain(config: &Config, what: &[String]) -> Result<ExitCode> {
    let by = operator();
    change(config, |drained, _| {
        let mut news = Vec::new();
        for what in what {
            let what = what.trim();
            if what.is_empty() || what.contains(char::is_control) {
                bail!(
                    "`{}` names nothing, expected a host, a task or HOST:PORT; nothing was changed",
                    what.escape_debug()
                );
            }
            if let Some(known) = drained.iter().find(|entry| entry.what == what) {
                info!("{known} is drained already");
                continue;
            }
            let entry = Drained {
                what: what.to_owned(),
                since: Time::at(SystemTime::now()),
                by: by.clone(),
                reason: config.reason.clone(),
            };
            news.push(format!("drained from now on, until `undrain`: {entry}"));
            drained.push(entry);
        }
        Ok(news)
    })
    .await
}

pub(super) async fn undrain(config: &Config, what: &[String]) -> Result<ExitCode> {
    change(config, |drained, unread| {
        if unread {
            bail!(
                "`drained.json` cannot be read, and nothing was changed: mend it, or remove it, and \
                 nothing is drained; `drain` puts another in its place and keeps a copy of it"
            );
        }
        let mut news = Vec::new();
        for what in what {
            let Some(at) = drained.iter().position(|entry| entry.what == what.trim()) else {
                let all: Vec<String> = drained.iter().map(|d| format!("`{}`", d.what)).collect();
                let all = if all.is_empty() {
                    "nothing".to_owned()
                } else {
                    all.join(", ")
                };
                bail!("`{what}` is not drained, but {all} is; nothing was changed");
            };
            news.push(format!("no longer drained: {}", drained.remove(at)));
        }
        Ok(news)
    })
    .await
}

/// What `change` gives is told once it is so; it is also given whether what is drained cannot be read.
async fn change(
    config: &Config,
    change: impl FnOnce(&mut Vec<Drained>, bool) -> Result<Vec<String>>,
) -> Result<ExitCode> {
    let folder = Folder::of(&config.state.dir, &config.haproxy.config);
    access::may_write(&folder)?;
    let held = lock_for_operator(config, &folder).await?;
    let (mut store, mut memory) = open(folder)?;
    let before = memory.drained.clone();
    let unread = store.folder().drained(&OsDisk).is_err();
    let news = change(&mut memory.drained, unread)?;
    let known = known(&memory, store.folder());
    if memory.drained == before {
        return Ok(ExitCode::SUCCESS);
    }
    let kept = store.drain(&OsDisk, &memory.drained).context(if unread {
        "nothing was changed: have the state folder take a file, or remove `drained.json` from it, \
         then call this again"
    } else {
        "nothing was changed: have the state folder take a file, then call this again"
    })?;
    for news in news {
        info!("{news}");
    }
    if let Some(kept) = kept {
        warn!(
            "what was drained before could not be read and is drained no more; a copy is kept in `{}`",
            kept.display()
        );
    }
    tell_of_servers(config, &known, (&before, &memory.drained));
    if held.watcher().is_none() {
        info!("the next refresh heeds that");
    }
    tell_of_watcher(&held);
    Ok(ExitCode::SUCCESS)
}

/// What is remembered of servers, beside the file.
pub(super) fn known(memory: &State, folder: &Folder) -> Known {
    let answer = folder.load_snapshot(&OsDisk).map(|kept| kept.bytes);
    Known::of(&memory.addresses, answer.as_deref())
}

/// How many servers what was drained is about: a name that is mistyped would rest nobody.
fn tell_of_servers(config: &Config, known: &Known, (before, after): (&[Drained], &[Drained])) {
    let file = &config.haproxy.config;
    // Where there is none yet, nobody is known.
    let cfg = disk::read_text(file, disk::LARGEST_MADE).unwrap_or_default();
    for entry in after.iter().filter(|entry| !before.contains(entry)) {
        let meant = Meant::by(slice::from_ref(entry), &cfg, known);
        let (what, file) = (&entry.what, file.display());
        if meant.servers > 0 {
            info!("`{what}` is {meant} in `{file}`");
        } else {
            warn!(
                "`{what}` is no server in `{file}`, expected the name or address of an agent, the id \
                 of a task, or HOST:PORT; it is kept for servers that come"
            );
        }
    }
    let [before, after] = [before, after].map(|all| Meant::by(all, &cfg, known).without_any);
    let emptied: BTreeSet<u32> = after.difference(&before).copied().collect();
    if !emptied.is_empty() {
        warn!(
            "no server is left for {}: requests are refused there",
            named(&emptied)
        );
    }
}
