//! The whole program among faults: killed, out of disk, in the way of its like.
//!
//! `strace` injects the faults into the real program, at each of its steps on files of ours in
//! turn; HAProxy is the real one.

mod errors;
mod kill;
mod overlap;
mod scene;
mod strace;

use std::env;

/// Set by `make test-all`.
const ALL: &str = "HMB_TEST_ALL";

/// How far apart the steps are that are tried: 1 where everything is. Otherwise kills without a
/// HAProxy come at every step, disk errors at every step in turns, and of the steps beside a
/// HAProxy that serves there is a sample.
fn stride(short: usize) -> usize {
    if env::var_os(ALL).is_some() { 1 } else { short }
}
