//! The integration tests, one binary.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by its panic"
)]

mod architecture;
mod bad_input;
mod bridge;
mod cases;
mod config;
mod corpus;
mod demo;
mod faults;
mod generate;
mod held_ports;
mod host;
mod operate;
mod predecessors;
mod refresh;
mod reload;
mod running;
mod script_failures;
mod support;
mod told;
