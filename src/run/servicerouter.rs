//! The command line of servicerouter.py: one turn, or a watcher that Marathon calls back.

use std::process::ExitCode;

use super::longhelp::long_help;
use super::marathon_lb::taken;
use super::refresh::refresh;
use super::watch::watch;
use super::{block_on, configured, finish, print};
use crate::cli::ServicerouterCall;
use crate::config::TemplateSet;

pub(super) fn call(call: ServicerouterCall) -> ExitCode {
    match call {
        ServicerouterCall::LongHelp { help } => {
            finish(long_help(TemplateSet::Servicerouter, &help).and_then(|text| print(&text)))
        }
        ServicerouterCall::Run { request, listening } => configured(&request, |config| {
            block_on(async {
                if listening.is_some_and(|url| !url.is_empty()) {
                    Box::pin(watch(config, &request)).await
                } else {
                    taken(refresh(&config).await)
                }
            })
        }),
    }
}
