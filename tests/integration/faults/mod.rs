//! The whole program among faults: killed, out of disk, in the way of its like.
//!
//! `strace` injects the faults into the real program, at each of its steps on files of ours in
//! turn; HAProxy is the real one.

mod cluster;
mod errors;
mod home;
mod installed;
mod kill;
mod overlap;
mod scene;
mod strace;

use std::env;

/// Set by `make test-all`.
const ALL: &str = "HMB_TEST_ALL";

/// How far apart the steps are that are tried: 1 where everything is. Otherwise, where one file is
/// installed without a HAProxy, kills come at every step and disk errors at every step in turns. Where
/// maps are, kills come at every second step, and so after every rename, which an fsync follows. Of
/// the other steps there is a sample.
fn stride(short: usize) -> usize {
    if env::var_os(ALL).is_some() { 1 } else { short }
}
