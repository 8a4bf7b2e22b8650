//! The integration tests, one binary.

mod architecture;
mod cases;
mod support;
