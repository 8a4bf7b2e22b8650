//! Has a host keep its HAProxy in step, and takes that back: first a plan, then the work.
//!
//! In come facts about the host and what the operator wants; out goes a plan, whose actions each tell
//! whether it is already so, so that a second call does what is left of the first. All that is looked
//! at and changed goes through a [`Host`]: this one, a tree that becomes one, or a stand-in of a test.

mod action;
mod called;
mod cron;
mod decided;
mod facts;
mod host;
mod in_use;
mod job;
mod plan;
mod remove;
mod sandbox;
pub mod selinux;
mod service;
mod taken;
mod texts;
mod theirs;
mod told;
mod variables;
mod work;

pub use action::{Action, Content, What};
pub use cron::{is_of_bridge, sets_of_cron};
pub use decided::{Fault, usual_set};
pub use facts::{Facts, Packaged};
pub use host::{Found, Host, Look, Real};
pub use in_use::{InUse, in_use};
pub use plan::{Plan, Wish, install};
pub use remove::{Removal, uninstall};
pub use sandbox::{also_written, kept_out};
pub use service::{CRONS, Init, has_cron, has_process, has_user};
pub use taken::{Taken, taken_by, taken_in};
pub use texts::{BRIDGE_CRON_FILE, settings};
pub use theirs::{Ours, all_copies};
pub use work::{Done, Step, carry_out};

use std::path::Path;

use crate::config::{DEFAULT_FILE, MARATHONS};

/// Where the bash script installed itself, and where its users look for it.
pub const PROGRAM: &str = "/usr/local/bin/haproxy-marathon-bridge";
/// The line for cron.
pub const CRON_FILE: &str = "/etc/cron.d/haproxy-marathon-bridge";
/// Where administrators put units.
pub const UNITS: &str = "/etc/systemd/system";
/// Where it is said that HAProxy's sockets have a folder, on systems whose package does not.
pub const RUNTIME_FOLDER: &str = "/etc/tmpfiles.d/haproxy-marathon-bridge.conf";
/// Runs `watch`.
pub const SERVICE: &str = "haproxy-marathon-bridge.service";
/// Runs `refresh` once.
pub const ONCE: &str = "haproxy-marathon-bridge-refresh.service";
/// Has that done every minute.
pub const TIMER: &str = "haproxy-marathon-bridge-refresh.timer";
/// Where the list of Marathons and the file of options lie.
const FOLDER: &str = "/etc/haproxy-marathon-bridge";
/// What `install` adds to haproxy.cfg.
const ADDED: &str = "/etc/haproxy-marathon-bridge/haproxy.d";
/// The user as whom HAProxy serves.
const SERVES_AS: &str = "/etc/haproxy-marathon-bridge/haproxy.d/user.cfg";
/// What the name of the file ends in that was there before us.
const BACKUP: &str = ".before-haproxy-marathon-bridge";

/// HAProxy's program, and the name of its package and service.
const HAPROXY: &str = "haproxy";

/// Where the list of Marathons lies.
fn list() -> &'static Path {
    Path::new(MARATHONS)
}

/// Where the file of options lies.
fn options() -> &'static Path {
    Path::new(DEFAULT_FILE)
}

#[cfg(test)]
mod tests;
