//! A client that sends requests all along and knows what became of each.
//!
//! In comes where to send them; out go requests, over plain sockets so that every way to fail
//! has its own name, and a [`Report`]. It is a closed loop: each worker waits for its answer
//! before it asks again, so that a slow server is not buried.

mod exchange;
mod report;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

pub use report::{Failure, Incident, Latency, Report};

use super::thread::RuntimeThread;
use super::wait::{self, Late};
use exchange::Kept;

/// A failed request is not followed by the next one at once: a closed port would be asked
/// thousands of times a second.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);

/// What a request and its answer look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Http,
    Lines,
}

/// Requests that are about to be sent.
#[must_use = "requests are sent only once they are started"]
#[derive(Clone, Debug)]
pub struct Requests {
    target: SocketAddr,
    speaks: Speaks,
    keeps_connections: bool,
    keeps_cookies: bool,
    workers: usize,
    pause: Duration,
    timeout: Duration,
    host: String,
    path: String,
}

impl Requests {
    /// `GET /`, one after the other, each on a connection of its own.
    pub fn http(target: SocketAddr) -> Self {
        Self {
            target,
            speaks: Speaks::Http,
            keeps_connections: false,
            keeps_cookies: false,
            workers: 1,
            pause: Duration::ZERO,
            timeout: Duration::from_secs(5),
            host: target.to_string(),
            path: "/".to_owned(),
        }
    }

    /// A line, answered by a line, each on a connection of its own.
    pub fn tcp(target: SocketAddr) -> Self {
        Self {
            speaks: Speaks::Lines,
            ..Self::http(target)
        }
    }

    /// Each worker keeps its connection as long as the other side does.
    pub fn keep_alive(mut self) -> Self {
        self.keeps_connections = true;
        self
    }

    /// Each worker shows the cookie that was set for it last, as one client does.
    pub fn keep_cookies(mut self) -> Self {
        self.keeps_cookies = true;
        self
    }

    /// How many requests are under way at once, 1 otherwise.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Time that a worker lets pass between an answer and its next request, none otherwise.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Time for a whole exchange with its connection, 5 s otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The `Host` header; the target's address otherwise.
    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// The path, `/` otherwise.
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Begins to send.
    ///
    /// # Errors
    /// When there is no thread or runtime to be had.
    pub fn start(self) -> io::Result<Client> {
        let patience = self.timeout + self.pause + PAUSE_AFTER_FAILURE + Duration::from_secs(1);
        let report = Arc::new(watch::Sender::<Report>::default());
        let written = Arc::clone(&report);
        let thread = RuntimeThread::start("demo-client", move |stop| async move {
            let requests = Arc::new(self);
            let stopping = Arc::new(AtomicBool::new(false));
            let began = Instant::now();
            let workers: Vec<_> = (0..requests.workers)
                .map(|_| {
                    let worker = Worker {
                        requests: Arc::clone(&requests),
                        stopping: Arc::clone(&stopping),
                        report: Arc::clone(&written),
                        began,
                    };
                    tokio::spawn(worker.work())
                })
                .collect();
            stop.asked().await;
            stopping.store(true, Ordering::Relaxed);
            for worker in workers {
                // Its panic has been printed; the others end all the same.
                let _ = worker.await;
            }
        })?;
        Ok(Client {
            thread,
            patience,
            report,
        })
    }
}

/// Requests under way. Dropping it breaks them off.
pub struct Client {
    thread: RuntimeThread,
    patience: Duration,
    report: Arc<watch::Sender<Report>>,
}

impl Client {
    /// What became of the requests up to now.
    #[must_use]
    pub fn report(&self) -> Report {
        self.report.borrow().clone()
    }

    /// Waits until `n` more requests have been answered than now.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub async fn answered_more(&self, n: u64, within: Duration) -> Result<(), Late> {
        let enough = self.report.borrow().answered + n;
        let expected = format!("{n} more answers, {enough} in all");
        wait::until(self.report.subscribe(), within, expected, |report| {
            report.answered >= enough
        })
        .await
    }

    /// Waits until each of these instances has answered once more than now.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub async fn answered_by_each<Name: AsRef<str>>(
        &self,
        instances: &[Name],
        within: Duration,
    ) -> Result<(), Late> {
        let names: Vec<&str> = instances.iter().map(AsRef::as_ref).collect();
        let before: BTreeMap<String, u64> = self.report.borrow().instances.clone();
        let expected = format!("an answer from each of {names:?}, after {before:?}");
        wait::until(self.report.subscribe(), within, expected, |report| {
            names
                .iter()
                .all(|name| report.instances.get(*name) > before.get(*name))
        })
        .await
    }

    /// Waits until a request has failed, since the start.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub async fn failed(&self, within: Duration) -> Result<(), Late> {
        wait::until(self.report.subscribe(), within, "a failure", |report| {
            report.failed() > 0
        })
        .await
    }

    /// Lets the requests under way have their answers, sends no more, and reports.
    pub async fn stop(self) -> Report {
        self.thread.finish(self.patience).await;
        self.report.borrow().clone()
    }
}

struct Worker {
    requests: Arc<Requests>,
    stopping: Arc<AtomicBool>,
    report: Arc<watch::Sender<Report>>,
    began: Instant,
}

impl Worker {
    async fn work(self) {
        let mut kept = Kept::default();
        while !self.stopping.load(Ordering::Relaxed) {
            let sent = Instant::now();
            let outcome = exchange::exchange(&self.requests, &mut kept).await;
            let took = sent.elapsed();
            let pause = match outcome.result {
                Ok(_) => self.requests.pause,
                Err(_) => self.requests.pause.max(PAUSE_AFTER_FAILURE),
            };
            self.report
                .send_modify(|report| report.record(outcome, sent - self.began, took));
            if pause.is_zero() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(pause).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
