//! `generate`, and the printing calls of the bash bridge: what would be installed, on standard
//! output or in a folder. Nothing is printed unless all of it can be.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use tracing::{info, warn};

use super::print;
use super::stages::{renderer, stages};
use crate::apply::{Installation, install};
use crate::config::Config;
use crate::cycle::Plan;
use crate::disk::OsDisk;
use crate::haproxy::certificates::listable;
use crate::logging;
use crate::state::{State, Time};

/// Which part of the file is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// What stands before the first app.
    Header,
    /// What stands behind the header.
    Apps,
}

pub(super) async fn generate(config: &Config) -> Result<ExitCode> {
    let plan = plan(config).await?;
    match &config.out_dir {
        None => print(&plan.files.cfg)?,
        Some(dir) => write(dir, &plan)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A call of the bash bridge that prints.
pub(super) async fn print_part(config: &Config, part: Part) -> Result<ExitCode> {
    let text = match part {
        Part::Whole => plan(config).await?.files.cfg,
        Part::Header => renderer(config).await?.header()?,
        Part::Apps => {
            let cfg = plan(config).await?.files.cfg;
            let header = renderer(config).await?.header()?;
            cfg.strip_prefix(&header).map(str::to_owned).unwrap_or(cfg)
        }
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

async fn plan(config: &Config) -> Result<Plan> {
    let now = Time::at(SystemTime::now());
    let mut config = config.clone();
    if config.out_dir.is_none() {
        // What is printed alone would name maps that nobody has; nor does it name lists of certificates.
        config.frontends.maps = false;
    }
    let mut stages = stages(&config, None).await?;
    let mut plan = stages.plan(None, &mut State::default(), now).await?;
    let is_alone = config.out_dir.is_none();
    plan = stages.with_crt_lists(plan, None, |paths, bases| {
        if is_alone {
            BTreeSet::new()
        } else {
            listable(paths, bases)
        }
    })?;
    for warning in &plan.warnings {
        logging::warning(warning);
    }
    Ok(plan)
}

fn write(dir: &Path, plan: &Plan) -> Result<()> {
    fs::create_dir_all(dir)
        .with_context(|| format!("--out-dir `{}` cannot be made", dir.display()))?;
    let mut at = Installation::new(&dir.join("haproxy.cfg"), None);
    // There is no lock: another call may write there at the same time.
    at.shares_folder();
    let installed = install(&OsDisk, &at, &plan.files, &[])?;
    for warning in installed.warnings {
        warn!("{warning}");
    }
    for file in installed.changed {
        info!("wrote {}", file.display());
    }
    Ok(())
}
