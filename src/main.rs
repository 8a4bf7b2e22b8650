//! Thin: all is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    haproxy_marathon_bridge::run::run(std::env::args_os())
}
