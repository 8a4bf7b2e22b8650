//! The integration tests, one binary.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by its panic"
)]

mod access;
mod architecture;
mod attacks;
mod bad_input;
mod bridge;
mod cases;
mod certificates;
mod compare;
mod completions;
mod config;
mod corpus;
mod demo;
mod documents;
mod endless_files;
mod explain;
mod faults;
mod generate;
mod generated;
mod health_paths;
mod held_ports;
mod host;
mod install;
mod labels_document;
mod native;
mod one_app;
mod operate;
mod options_document;
mod predecessors;
mod quarantine;
mod refresh;
mod refused;
mod reload;
mod removals;
mod running;
mod runtime;
mod script_failures;
mod serve;
mod support;
mod tls;
mod told;
mod watch;
mod watcher;
