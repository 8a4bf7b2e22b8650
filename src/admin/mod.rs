//! What operators and HAProxy see of a watcher: a Unix socket with pages.
//!
//! In comes what the watcher publishes, turn by turn, as [`Live`]; out go the pages that HAProxy's
//! default HEAD forwards, the state of things for `status`, and metrics. Nothing here reaches into
//! the watcher: what is asked of it comes as the signal that it hears anyway.
//!
//! ```text
//! watcher ─▶ live ─▶ pages, page, metrics ─▶ desk ─▶ socket ◀─ HAProxy, `status` (ask)
//! ```

mod ask;
mod desk;
mod live;
mod metrics;
mod page;
mod pages;
mod socket;

pub use ask::{Silence, ask};
pub use desk::Desk;
pub use live::{Ended, Facts, Fetches, Held, Live, Pending, Served, Spares, Unused};
pub use metrics::metrics;
pub use page::{Asked, Finding, Mood, Page, Sources, Uncounted};
pub use pages::{Made, Places, pages};
