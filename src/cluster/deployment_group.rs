//! stub
use super::*; use std::sync::Arc;
/// stub
#[must_use]
pub fn merge(apps: &[Arc<App>]) -> (Vec<Arc<App>>, Vec<Warning>) { (apps.to_vec(), Vec::new()) }
