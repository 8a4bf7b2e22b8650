//! What `refresh` would install, found out without changing anything: the first half of a turn, for
//! the commands that only look. It takes no lock, and what it learns is not remembered.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::Result;
use tracing::{info, warn};

use super::stages::stages;
use crate::apply::{FileSet, Host, Installation, LocalHaproxy, installed};
use crate::cluster::{AppId, Warning};
use crate::config::Config;
use crate::cycle::Plan;
use crate::disk::OsDisk;
use crate::logging;
use crate::resolve::{Resolver, System};
use crate::state::{Folder, State, Time};

/// What would be installed, beside what is.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) plan: Plan,
    /// With the maps of `plan` and those that were applied before.
    pub(super) installed: Option<FileSet>,
    pub(super) at: Installation,
    pub(super) memory: State,
}

/// Looks, and says what is left out.
pub(super) async fn look(config: &Config, local: Option<&LocalHaproxy<'_>>) -> Result<Look> {
    let look = seen(config, local).await?;
    tell(&look.plan.warnings);
    if let Some(held) = look.plan.held_back() {
        warn!("{held}");
    }
    if let Some(paused) = &look.memory.paused {
        info!("{paused}: refresh applies nothing until `resume`");
    }
    Ok(look)
}

/// Of one app so many warnings are said.
const MOST_OF_APP: usize = 20;

/// Says warnings, of each app the first ones and how many more there are.
pub(super) fn tell(warnings: &[Warning]) {
    let mut said: BTreeMap<&AppId, usize> = BTreeMap::new();
    for warning in warnings {
        if let Some(app) = &warning.app {
            let number = said.entry(app).or_default();
            *number += 1;
            if *number > MOST_OF_APP {
                continue;
            }
        }
        logging::warning(warning);
    }
    for (app, number) in said {
        if let Some(more) = number.checked_sub(MOST_OF_APP).filter(|more| *more > 0) {
            logging::warning(&Warning {
                app: Some(app.clone()),
                subject: "other labels and parts".to_owned(),
                found: format!("{more} more that are wrong"),
                expected: "none".to_owned(),
                effect: format!("`explain {app}` tells of all"),
            });
        }
    }
}

/// Looks. Without a HAProxy nobody knows which ports are somebody else's.
pub(super) async fn seen(config: &Config, local: Option<&LocalHaproxy<'_>>) -> Result<Look> {
    let folder = Folder::of(&config.state.dir, &config.haproxy.config);
    let (mut memory, warning) = folder.load(&OsDisk);
    // Where the state may not be read, the files beside it may not either.
    let known = warning.is_none().then_some(folder.path());
    let at = Installation::new(&config.haproxy.config, known);
    if let Some(warning) = warning {
        warn!("{warning}");
    }
    let resolver = Resolver::new(System, memory.addresses.clone());
    let mut stages = stages(config, Some((resolver, config.policy.names))).await?;
    if let Some(address) = &memory.last_good_marathon {
        stages.source.client.prefer(address);
    }
    let now = Time::at(SystemTime::now());
    let plan = match local {
        Some(local) => {
            let host = Host {
                disk: &OsDisk,
                balancer: local,
                at: &at,
            };
            stages.plan_on(&host, &mut memory, now).await?
        }
        None => {
            let cfg = installed(&OsDisk, &at, [])?.map(|files| files.cfg);
            stages.plan(cfg.as_deref(), &mut memory, now).await?
        }
    };
    let applied = memory.applied.iter().flat_map(|a| a.map_hashes.keys());
    let maps: Vec<&str> = plan
        .files
        .maps
        .keys()
        .chain(applied)
        .map(String::as_str)
        .collect();
    let installed = installed(&OsDisk, &at, maps)?;
    Ok(Look {
        plan,
        installed,
        at,
        memory,
    })
}
