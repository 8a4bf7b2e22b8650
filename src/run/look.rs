//! What `refresh` would install, found out without changing anything: the first half of a turn, for
//! the commands that only look. It takes no lock, and what it learns is not remembered.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::Result;
use tracing::{info, warn};

use super::stages::stages;
use super::turn::host;
use crate::apply::validate::Verdict;
use crate::apply::{FileSet, Installation, LocalHaproxy, installed};
use crate::cluster::{AppId, Warning};
use crate::config::Config;
use crate::cycle::{Marathon, Plan, Stages};
use crate::disk::OsDisk;
use crate::haproxy::certificates::listable;
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

impl Look {
    /// Says what is left out or held back, and what keeps the rest from being applied.
    pub(super) fn tell(&self) {
        tell(&self.plan.warnings);
        if let Some(held) = self.plan.held_back() {
            warn!("{held}");
        }
        if let Some(paused) = &self.memory.paused {
            info!("{paused}: refresh applies nothing until `resume`");
        }
    }
}

/// Looks, and says what is left out.
pub(super) async fn look(config: &Config, local: Option<&LocalHaproxy<'_>>) -> Result<Look> {
    let look = seen(config, local).await?;
    look.tell();
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
    let mut eyes = Eyes::open(config).await?;
    let plan = match local {
        Some(local) => eyes.plan_on(local).await?,
        None => {
            let cfg = installed(&OsDisk, &eyes.at, [])?.map(|files| files.cfg);
            let Eyes {
                stages,
                memory,
                now,
                ..
            } = &mut eyes;
            let plan = stages.plan(cfg.as_deref(), memory, *now).await?;
            stages.with_crt_lists(plan, cfg.as_deref(), listable)?
        }
    };
    eyes.look(plan)
}

/// Looks, and has HAProxy judge what would be installed: what it refuses of it is left out, as in a
/// turn.
pub(super) async fn judged(config: &Config, local: &LocalHaproxy<'_>) -> Result<(Look, Verdict)> {
    let mut eyes = Eyes::open(config).await?;
    let plan = eyes.plan_on(local).await?;
    let host = host(local, &eyes.at);
    let (plan, verdict) = eyes.stages.judge(&host, plan).await?;
    Ok((eyes.look(plan)?, verdict))
}

/// What it takes to look.
struct Eyes {
    stages: Stages<Marathon, System>,
    at: Installation,
    memory: State,
    now: Time,
}

impl Eyes {
    async fn open(config: &Config) -> Result<Self> {
        let folder = Folder::of(&config.state.dir, &config.haproxy.config);
        let (memory, warning) = folder.load(&OsDisk);
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
        Ok(Self {
            stages,
            at,
            memory,
            now: Time::at(SystemTime::now()),
        })
    }

    async fn plan_on(&mut self, local: &LocalHaproxy<'_>) -> Result<Plan> {
        let host = host(local, &self.at);
        let Self {
            stages,
            memory,
            now,
            ..
        } = self;
        stages.plan_on(&host, memory, *now).await
    }

    fn look(self, plan: Plan) -> Result<Look> {
        let Self { at, memory, .. } = self;
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
}
