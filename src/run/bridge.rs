//! The calls of the bash script `haproxy-marathon-bridge`.

use std::process::ExitCode;

use super::generate::{Part, print_part};
use super::refresh::refresh;
use super::{block_on, configured, finish, print};
use crate::cli::BridgeCall;
use crate::config::Request;

/// What the script's `cronjob` printed, with a PATH that finds HAProxy and its tools.
const CRON_FILE: &str = include_str!("../../cron/haproxy-marathon-bridge");

pub(super) fn call(call: BridgeCall) -> ExitCode {
    match call {
        BridgeCall::Config(request) => printed(&request, Part::Whole),
        BridgeCall::Header(request) => printed(&request, Part::Header),
        BridgeCall::Apps(request) => printed(&request, Part::Apps),
        BridgeCall::Cronjob(_) => finish(print(CRON_FILE)),
        BridgeCall::RefreshSystemHaproxy(request) => {
            configured(&request, |config| block_on(refresh(&config)))
        }
        BridgeCall::Logged(_) => todo!(),
        BridgeCall::InstallCronjob(_) | BridgeCall::InstallHaproxySystem(_) => todo!(),
    }
}

fn printed(request: &Request, part: Part) -> ExitCode {
    configured(request, |config| block_on(print_part(&config, part)))
}
