//! The command line of servicerouter.py: one turn.

use std::process::ExitCode;

use super::longhelp::long_help;
use super::marathon_lb::{comes_with_watch, taken};
use super::refresh::refresh;
use super::{block_on, configured, finish, print};
use crate::cli::ServicerouterCall;
use crate::config::TemplateSet;

pub(super) fn call(call: ServicerouterCall) -> ExitCode {
    match call {
        ServicerouterCall::LongHelp { help } => {
            finish(long_help(TemplateSet::Servicerouter, &help).and_then(|text| print(&text)))
        }
        ServicerouterCall::Run {
            listening: Some(_), ..
        } => comes_with_watch("--listening"),
        ServicerouterCall::Run { request, .. } => {
            configured(&request, |config| taken(block_on(refresh(&config))))
        }
    }
}
