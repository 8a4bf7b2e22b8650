//! The integration tests, one binary.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by its panic"
)]

mod access;
mod architecture;
mod bad_input;
mod bridge;
mod cases;
mod certificates;
mod config;
mod demo;
mod faults;
mod generate;
mod host;
mod operate;
mod refresh;
mod reload;
mod script_failures;
mod support;
mod tls;
