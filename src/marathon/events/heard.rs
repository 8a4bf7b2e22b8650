//! How many events came, for whoever counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::event::Doubt;

/// Counts since the start; they only grow.
#[derive(Debug, Default)]
pub struct Heard {
    events: AtomicU64,
    /// Seconds since 1970; 0 while none came.
    last_at: AtomicU64,
    /// The last that was too large or garbled, until somebody asks.
    unread: Mutex<Option<Doubt>>,
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

    /// The last event that was too large or garbled since this was asked, whatever else made it
    /// needless to tell of it.
    #[must_use]
    pub fn unread(&self) -> Option<Doubt> {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        unread.take()
    }

    pub(super) fn is_unread(&self, doubt: &Doubt) {
        if matches!(doubt, Doubt::TooLarge(_) | Doubt::Garbled) {
            let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
            *unread = Some(doubt.clone());
        }
    }

    pub(crate) fn event(&self) {
        self.events.fetch_add(1, Relaxed);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.last_at
            .store(now.unwrap_or_default().as_secs(), Relaxed);
    }
}
