//! The calls of the bash script `haproxy-marathon-bridge`.

use std::ffi::OsString;
use std::process::ExitCode;

use super::generate::{Part, print_part};
use super::install::{Extent, install};
use super::logged::logged;
use super::refresh::refresh;
use super::{block_on, configured, finish, print};
use crate::cli::BridgeCall;
use crate::config::Request;
use crate::install::BRIDGE_CRON_FILE;

/// `words` is the whole command line, for a call that makes another.
pub(super) fn call(call: BridgeCall, words: &[OsString]) -> ExitCode {
    match call {
        BridgeCall::Config(request) => printed(&request, Part::Whole),
        BridgeCall::Header(request) => printed(&request, Part::Header),
        BridgeCall::Apps(request) => printed(&request, Part::Apps),
        BridgeCall::Cronjob(_) => finish(print(BRIDGE_CRON_FILE)),
        BridgeCall::RefreshSystemHaproxy(request) => {
            configured(&request, |config| block_on(refresh(&config)))
        }
        BridgeCall::Logged(_) => logged(words),
        BridgeCall::InstallCronjob(request) => install(&request, Extent::Bridge),
        BridgeCall::InstallHaproxySystem(request) => install(&request, Extent::BridgeAndHaproxy),
    }
}

fn printed(request: &Request, part: Part) -> ExitCode {
    configured(request, |config| block_on(print_part(&config, part)))
}
