//! The command line of marathon-lb: one turn, what it would install, or a watcher.

use std::process::ExitCode;

use anyhow::Result;

use super::longhelp::long_help;
use super::look::look;
use super::refresh::refresh;
use super::watch::watch;
use super::{block_on, configured, finish, print};
use crate::cli::MarathonLbCall;
use crate::config::{Config, TemplateSet};

pub(super) fn call(call: MarathonLbCall) -> ExitCode {
    match call {
        MarathonLbCall::LongHelp { help } => {
            finish(long_help(TemplateSet::MarathonLb, &help).and_then(|text| print(&text)))
        }
        MarathonLbCall::Run { request, follow } => configured(&request, |config| {
            block_on(async {
                if config.dry {
                    dry(&config).await
                } else if follow {
                    Box::pin(watch(config, &request)).await
                } else {
                    taken(refresh(&config).await)
                }
            })
        }),
    }
}

/// A turn that came to its end was a good one for the predecessors, whatever became of it: what is
/// wrong with a file or a reload stands in the log.
pub(super) fn taken(turn: Result<ExitCode>) -> Result<ExitCode> {
    turn.map(|_| ExitCode::SUCCESS)
}

/// Prints what a turn would install, if it differs from what is installed.
async fn dry(config: &Config) -> Result<ExitCode> {
    let look = look(config, None).await?;
    let wanted = &look.plan.files.cfg;
    if look
        .installed
        .is_none_or(|installed| installed.cfg != *wanted)
    {
        print(&format!("{wanted}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
