//! The follower of `/v2/events`: which apps to look at again, as Marathon tells it.
//!
//! In come the nodes of a cluster; out goes what a consumer has to fetch. A consumer that does
//! what each [`Told`] says misses nothing: whatever may have passed unheard is followed by an
//! [`Told::Attached`] or a [`Told::Doubt`].
//!
//! ```text
//! nodes ─▶ frames ─▶ event ─▶ plans ─▶ pending ─▶ consumer
//!   └───────── follow: one stream after the other ──────┘
//! ```
//!
//! A Marathon that cannot be listened to sends the same events by `callback`.

mod backoff;
mod callback;
mod event;
mod follow;
mod frames;
mod heard;
mod nodes;
mod pending;
mod plans;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

pub(super) use event::query;

pub use event::Doubt;
pub use heard::Heard;

use self::backoff::Backoff;
use self::callback::{Callback, Subscriber};
use self::nodes::Cluster;
use self::pending::Pending;
use super::{Clock, Failure, Fault};
use crate::cluster::AppId;
use crate::config;

/// What the consumer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Changes are told from now on. Those before were not: everything has to be fetched.
    Attached {
        /// The address that was asked, as shown to people.
        from: String,
    },
    /// These apps may have changed, appeared or gone: each has to be fetched.
    Touched(BTreeSet<AppId>),
    /// Some app may have changed: everything has to be fetched.
    Doubt(Doubt),
    /// Nothing is told until the next [`Told::Attached`].
    Lost(Lost),
}

/// Why no changes are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// One for each address that was asked, or the one whose stream broke off.
    pub failures: Vec<Failure>,
    /// When the nodes are asked again.
    pub retry_in: Duration,
}

impl Lost {
    /// Equal where the same nodes fail in the same way, whichever was asked first.
    #[must_use]
    pub fn reason(&self) -> String {
        let mut failures: Vec<String> = self.failures.iter().map(ToString::to_string).collect();
        failures.sort();
        failures.join("; ")
    }

    /// Whether somebody answered and then said nothing: then the next answer proves little.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        let mut faults = self.failures.iter().map(|failure| &failure.fault);
        faults.any(|fault| matches!(fault, Fault::Silent(_)))
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marathon tells no events")?;
        let mut between = ": ";
        for failure in &self.failures {
            write!(f, "{between}{failure}")?;
            between = "; ";
        }
        let retry_in = crate::logging::shown(self.retry_in);
        write!(f, "; asked again in {retry_in}")
    }
}

/// How patient a follower is.
#[derive(Clone, Debug)]
pub struct Pace {
    /// For the head of an answer, with login and redirects.
    pub opening: Duration,
    /// Without a byte for so long, a stream counts as dead; Marathon sends one every 10 s.
    pub silence: Duration,
    /// For Marathon's own word that the stream is attached, where other bytes come; versions and
    /// proxies may not give it.
    pub grace: Duration,
    /// From the first byte of an event to its last.
    pub event: Duration,
    /// Bytes of one event.
    pub event_bytes: usize,
    /// A stream that lasted so long ends the lengthening of pauses.
    pub healthy: Duration,
    /// The first pause before the nodes are asked again; the following ones double.
    pub first_pause: Duration,
    /// The longest.
    pub most_pause: Duration,
    /// Decides by how much pauses are shortened, so that not all hosts ask at once.
    pub seed: u64,
}

impl Pace {
    /// What fits Marathon's own habits, within the limits of the configuration.
    #[must_use]
    pub fn new(config: &config::Marathon) -> Self {
        Self {
            opening: config.connect_timeout + config.read_timeout,
            silence: Duration::from_secs(30),
            grace: Duration::from_secs(2),
            event: Duration::from_secs(60),
            event_bytes: 1024 * 1024,
            healthy: Duration::from_secs(60),
            first_pause: Duration::from_millis(500),
            most_pause: config.max_backoff,
            seed: RandomState::new().hash_one(()),
        }
    }
}

/// Follows the events of a cluster until it is dropped, on a task of its own.
pub struct Follower {
    pending: Arc<Pending>,
    task: JoinHandle<Infallible>,
    called: Option<Called>,
}

/// What is there besides where Marathon sends its events.
struct Called {
    door: JoinHandle<()>,
    subscriber: Arc<Subscriber>,
}

impl Follower {
    /// Begins to follow. Has to be called within a runtime of tokio.
    ///
    /// # Errors
    /// When no address is that of a node, one is wrong, or what TLS or credentials need cannot be
    /// loaded.
    pub fn start(config: &config::Marathon, pace: &Pace) -> anyhow::Result<Self> {
        Self::with_clock(config, pace, Clock::host())
    }

    /// The same, with a clock that says how old the token of a login is.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn with_clock(
        config: &config::Marathon,
        pace: &Pace,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        Ok(Self::over(Cluster::new(config, pace, clock)?, pace))
    }

    fn over(nodes: impl follow::Nodes, pace: &Pace) -> Self {
        let pending = Arc::new(Pending::default());
        let backoff = Backoff::new(pace.first_pause, pace.most_pause, pace.seed);
        let reads = follow::run(nodes, Arc::clone(&pending), backoff, pace.clone());
        let task = tokio::spawn(reads);
        Self {
            pending,
            task,
            called: None,
        }
    }

    /// Has Marathon send its events to `url`, to which a secret is added, and takes them in at
    /// `listen`, by default at the port of `url` on all addresses. Every `check` it looks whether
    /// Marathon still knows. Has to be called within a runtime of tokio.
    ///
    /// # Errors
    /// As [`Self::start`], and when `url` is no address or `listen` cannot be listened on.
    pub fn called_back(
        config: &config::Marathon,
        pace: &Pace,
        url: &str,
        listen: Option<SocketAddr>,
        check: Duration,
    ) -> anyhow::Result<Self> {
        let callback = Callback::new(url, listen)?;
        let listen = callback.listen;
        let pending = Arc::new(Pending::default());
        let subscriber = Arc::new(Subscriber::new(config, callback, pace, check)?);
        let secret = subscriber.secret();
        let door = callback::take_in(listen, secret, pace.event_bytes, Arc::clone(&pending))?;
        let backoff = Backoff::new(pace.first_pause, pace.most_pause, pace.seed);
        let work = callback::run(
            Arc::clone(&subscriber),
            Arc::clone(&pending),
            backoff,
            pace.clone(),
        );
        Ok(Self {
            pending,
            task: tokio::spawn(work),
            called: Some(Called { door, subscriber }),
        })
    }

    /// How much came so far.
    #[must_use]
    pub fn heard(&self) -> Arc<Heard> {
        Arc::clone(&self.pending.heard)
    }

    /// Follows no more. Where Marathon was told to send something, it is told to stop; that takes
    /// `limit` at most, and the port is free then.
    pub async fn leave(mut self, limit: Duration) {
        self.task.abort();
        if let Some(Called { door, subscriber }) = &mut self.called {
            subscriber.unsubscribe(limit).await;
            door.abort();
            // It is listened on until the task is gone.
            let _ = door.await;
        }
    }

    /// Whether Marathon was told to send something, and a port is taken for that.
    #[must_use]
    pub fn is_called_back(&self) -> bool {
        self.called.is_some()
    }

    /// Waits for the next thing to tell. A wait that is given up loses nothing: neither what was
    /// told meanwhile, nor a connection that is being made.
    ///
    /// # Panics
    /// When the task that reads has panicked.
    pub async fn next(&mut self) -> Told {
        tokio::select! {
            biased;
            told = self.pending.next() => told,
            ended = &mut self.task => match ended {
                Ok(never) => match never {},
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(called) = &self.called {
            called.door.abort();
        }
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
