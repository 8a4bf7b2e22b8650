//! The command line of servicerouter.py: one turn.

use std::process::ExitCode;

use super::marathon_lb::comes_with_watch;
use super::refresh::refresh;
use super::{block_on, configured, finish, print};
use crate::cli::ServicerouterCall;

pub(super) fn call(call: ServicerouterCall) -> ExitCode {
    match call {
        ServicerouterCall::LongHelp { help } => finish(print(&help)),
        ServicerouterCall::Run {
            listening: Some(_), ..
        } => comes_with_watch("--listening"),
        ServicerouterCall::Run { request, .. } => {
            configured(&request, |config| block_on(refresh(&config)))
        }
    }
}
