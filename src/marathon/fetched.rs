//! How much was asked, for whoever counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts since the start; they only grow.
#[derive(Debug, Default)]
pub struct Fetched {
    whole: AtomicU64,
    single: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
}

impl Fetched {
    /// Answers that told of everything.
    #[must_use]
    pub fn whole(&self) -> u64 {
        self.whole.load(Relaxed)
    }

    /// Answers that told of one app.
    #[must_use]
    pub fn single(&self) -> u64 {
        self.single.load(Relaxed)
    }

    /// Questions that no address answered in a usable way.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Bytes of all usable answers, uncompressed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    pub(super) fn got_whole(&self, bytes: usize) {
        self.whole.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn got_single(&self, bytes: usize) {
        self.single.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn got_nothing(&self) {
        self.failed.fetch_add(1, Relaxed);
    }
}
