//! Keeps HAProxy in step with Mesos Marathon.
//!
//! The modules stand in the order of the flow, and each imports only from those above it; a test
//! holds them to it. `ARCHITECTURE.md` has the picture.

pub mod cluster;
pub mod disk;
pub mod config;
pub mod logging;
pub mod door;
pub mod haproxy;
pub mod marathon;
pub mod resolve;
pub mod labels;
pub mod proxy;
pub mod render;
pub mod diff;
pub mod state;
pub mod guard;
pub mod apply;
pub mod cycle;
pub mod watch;
pub mod admin;
pub mod install;
pub mod demo;
pub mod cli;
pub mod run;
