//! The calls of the bash script `haproxy-marathon-bridge`.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::anyhow;

use super::generate::{Part, print_part};
use super::logged::logged;
use super::refresh::refresh;
use super::{block_on, configured, finish, print};
use crate::cli::{BridgeCall, PROGRAM};
use crate::config::Request;

/// What the script's `cronjob` printed, with a PATH that finds HAProxy and its tools.
const CRON_FILE: &str = include_str!("../../cron/haproxy-marathon-bridge");

/// `words` is the whole command line, for a call that makes another.
pub(super) fn call(call: BridgeCall, words: &[OsString]) -> ExitCode {
    match call {
        BridgeCall::Config(request) => printed(&request, Part::Whole),
        BridgeCall::Header(request) => printed(&request, Part::Header),
        BridgeCall::Apps(request) => printed(&request, Part::Apps),
        BridgeCall::Cronjob(_) => finish(print(CRON_FILE)),
        BridgeCall::RefreshSystemHaproxy(request) => {
            configured(&request, |config| block_on(refresh(&config)))
        }
        BridgeCall::Logged(_) => logged(words),
        BridgeCall::InstallCronjob(_) => no_installer("install_cronjob"),
        BridgeCall::InstallHaproxySystem(_) => no_installer("install_haproxy_system"),
    }
}

fn printed(request: &Request, part: Part) -> ExitCode {
    configured(request, |config| block_on(print_part(&config, part)))
}

fn no_installer(call: &str) -> ExitCode {
    finish(Err(anyhow!(
        "`{call}`: this version has no installer; nothing was done. Install HAProxy with the \
         package manager, copy this program to /usr/local/bin, write the Marathons to \
         /etc/haproxy-marathon-bridge/marathons, and the output of `{PROGRAM} cronjob` to \
         /etc/cron.d/{PROGRAM}"
    )))
}
