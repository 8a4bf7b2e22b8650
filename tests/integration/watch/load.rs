//! Clients that never stop asking, and miss nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::host::ask_once;

/// A client, for as long as it lives.
pub(super) struct Load {
    ends: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Load {
    /// Asks whoever serves there, each time on a connection of its own.
    pub(super) fn on(target: SocketAddr) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let served = Arc::new(AtomicU64::new(0));
        let (is_over, count) = (Arc::clone(&ends), Arc::clone(&served));
        let thread = thread::spawn(move || {
            let mut failures = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                match ask_once(target) {
                    Some(name) if name.starts_with("web-") => {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    other => failures.push(format!("{other:?}")),
                }
                // A rate, and not an attempt at all that the host can bear.
                thread::sleep(Duration::from_millis(5));
            }
            failures
        });
        Self {
            ends,
            served,
            thread: Some(thread),
        }
    }

    /// Asserts that some were served and none was not.
    #[track_caller]
    pub(super) fn assert_lossless(mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let failures = self.thread.take().unwrap().join().unwrap();
        let served = self.served.load(Ordering::Relaxed);
        assert!(failures.is_empty(), "{served} served, and {failures:?}");
        assert!(0 < served);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}
