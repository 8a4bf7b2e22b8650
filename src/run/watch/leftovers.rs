//! When HAProxy is asked again for servers that it was told to let go while they were in use: soon, since
//! most requests end soon, and then more and more seldom, since tunnels last.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;
use tracing::debug;

use super::{Watcher, now};
use crate::state::Leftovers;

/// The first pause; the following ones double.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// When the next look is due.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    known: Leftovers,
    due: Option<Instant>,
    pause: Duration,
}

impl Sweeps {
    /// What is left by now.
    pub(super) fn heed(&mut self, left: &Leftovers, now: Instant) {
        if left.is_empty() {
            *self = Self::default();
            return;
        }
        if left.has_more_than(&self.known) {
            self.pause = FIRST_PAUSE;
            let due = now + FIRST_PAUSE;
            self.due = Some(self.due.map_or(due, |before| before.min(due)));
        }
        if self.known != *left {
            self.known.clone_from(left);
        }
    }

    /// HAProxy was asked.
    fn ended(&mut self, now: Instant) {
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.due = Some(now + self.pause);
    }

    /// Waits for it.
    pub(super) async fn next(&self) {
        match self.due {
            Some(due) => sleep_until(due.into()).await,
            None => std::future::pending().await,
        }
    }
}

impl Watcher {
    /// Takes away from HAProxy what is not in use any more.
    pub(super) async fn sweep(&mut self) {
        // An operator may be at a reload of his own.
        self.enter_folder().await;
        if self.memory.state.paused.is_none()
            && let Some(ground) = self.known_ground()
        {
            let local = ground.haproxy();
            let host = ground.host(&local);
            let swept = host.take_away_leftovers(&mut self.memory.state).await;
            if let Err(error) = swept {
                debug!("what was left is not taken away yet: {error:#}");
            }
        }
        self.lock.leave_folder();
        self.sweeps.ended(now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(sections: &[&str]) -> Leftovers {
        Leftovers {
            sections: sections.iter().map(|name| (*name).to_owned()).collect(),
            ..Leftovers::default()
        }
    }

    #[test]
    fn what_is_left_is_asked_for_soon_and_then_more_and_more_seldom() {
        let now = Instant::now();
        let mut sweeps = Sweeps::default();
        let due = |sweeps: &Sweeps| sweeps.due.map(|due| (due - now).as_secs());
        sweeps.heed(&left(&[]), now);
        assert_eq!(due(&sweeps), None);
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            sweeps.heed(&left(&["a"]), now);
            assert_eq!(due(&sweeps), Some(expected));
            sweeps.ended(now);
        }
        // That one has ended is no reason to ask sooner for the other; a further one is.
        sweeps.heed(&left(&["a", "b"]), now);
        assert_eq!(due(&sweeps), Some(1));
        sweeps.ended(now);
        sweeps.heed(&left(&["b"]), now);
        assert_eq!(due(&sweeps), Some(2));
        sweeps.heed(&left(&[]), now);
        assert_eq!(due(&sweeps), None);
    }
}
