//! The integration tests, one binary.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by its panic"
)]

mod architecture;
mod cases;
mod demo;
mod operate;
mod support;
