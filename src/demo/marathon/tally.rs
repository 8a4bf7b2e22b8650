//! What clients asked of a node, and how much they were given.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use tokio::sync::watch;

use crate::demo::wait::{self, Late};

/// Requests remembered one by one; older ones only count.
const REMEMBERED: usize = 4096;

/// One request as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Seen {
    /// `/v2/apps`.
    pub path: String,
    /// What followed the `?`; empty where nothing did.
    pub query: String,
    headers: Vec<(String, String)>,
}

impl Seen {
    /// The value of a header, its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn of(request: &Request) -> Self {
        let headers = request.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.into_owned())
        });
        Self {
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: headers.collect(),
        }
    }
}

/// Without headers: they may carry a password.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}?{}", self.path, self.query)
    }
}

/// By path.
#[derive(Clone, Default)]
struct Counts {
    requests: BTreeMap<String, u64>,
    bytes: BTreeMap<String, u64>,
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.requests).finish()
    }
}

#[derive(Default)]
pub(super) struct Tally {
    counts: watch::Sender<Counts>,
    seen: Mutex<VecDeque<Seen>>,
}

impl Tally {
    pub(super) fn asked(&self, request: Seen) {
        let path = request.path.clone();
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() == REMEMBERED {
                seen.pop_front();
            }
            seen.push_back(request);
        }
        self.counts
            .send_modify(|counts| *counts.requests.entry(path).or_default() += 1);
    }

    pub(super) fn gave(&self, path: &str, bytes: u64) {
        self.counts
            .send_modify(|counts| *counts.bytes.entry(path.to_owned()).or_default() += bytes);
    }

    pub(super) fn requests(&self, path: &str) -> u64 {
        let counts = self.counts.borrow();
        counts.requests.get(path).copied().unwrap_or_default()
    }

    pub(super) fn all_requests(&self) -> u64 {
        self.counts.borrow().requests.values().sum()
    }

    pub(super) fn bytes(&self, path: &str) -> u64 {
        let counts = self.counts.borrow();
        counts.bytes.get(path).copied().unwrap_or_default()
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().cloned().collect()
    }

    pub(super) async fn wait(&self, path: &str, n: u64, within: Duration) -> Result<(), Late> {
        let expected = format!("{n} requests of `{path}`");
        wait::until(self.counts.subscribe(), within, expected, |counts| {
            counts.requests.get(path).is_some_and(|seen| *seen >= n)
        })
        .await
    }

    pub(super) async fn wait_bytes(
        &self,
        path: &str,
        n: u64,
        within: Duration,
    ) -> Result<(), Late> {
        let expected = format!("{n} bytes of `{path}`");
        wait::until(self.counts.subscribe(), within, expected, |counts| {
            counts.bytes.get(path).is_some_and(|given| *given >= n)
        })
        .await
    }
}
