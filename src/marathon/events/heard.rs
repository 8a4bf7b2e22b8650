//! How many events came, for whoever counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

/// Counts since the start; they only grow.
#[derive(Debug, Default)]
pub struct Heard {
    events: AtomicU64,
    /// Seconds since 1970; 0 while none came.
    last_at: AtomicU64,
}

impl Heard {
    /// Events of all types that Marathon told.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    /// When the last one came, in whole seconds.
    #[must_use]
    pub fn last_at(&self) -> Option<SystemTime> {
        let seconds = Some(self.last_at.load(Relaxed)).filter(|&seconds| seconds != 0);
        seconds.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    pub(super) fn event(&self) {
        self.events.fetch_add(1, Relaxed);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.last_at
            .store(now.unwrap_or_default().as_secs(), Relaxed);
    }
}
