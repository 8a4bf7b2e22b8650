//! When a watcher does what it does beside its turns.

use std::time::{Duration, Instant};

/// Between two turns while Marathon tells no events.
pub const WITHOUT_EVENTS: Duration = Duration::from_secs(15);

/// So long the first turn waits for the stream of events, of which it is the answer then.
pub const FIRST_WORD: Duration = Duration::from_secs(1);

/// Between two looks at the process of HAProxy: a few reads below `/proc`.
const PULSE: Duration = Duration::from_secs(2);

/// The same while none runs, which takes a look at every process of the host.
const PULSE_WHILE_DOWN: Duration = Duration::from_secs(5);

/// So long nothing has to change before a file is checked that is installed already.
const QUIET: Duration = Duration::from_secs(1);

/// But it is checked after this time, whatever changes. A large file takes HAProxy seconds, and us
/// more than all changes that come meanwhile.
const AT_MOST: Duration = Duration::from_secs(30);

/// Until the next look at HAProxy.
#[must_use]
pub const fn pulse(is_down: bool) -> Duration {
    if is_down { PULSE_WHILE_DOWN } else { PULSE }
}

/// When something was installed that is yet to be proved.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    first: Instant,
    last: Instant,
}

impl Wanted {
    /// One more thing, after those of `before`.
    #[must_use]
    pub fn after(before: Option<Self>, now: Instant) -> Self {
        let first = before.map_or(now, |before| before.first);
        Self { first, last: now }
    }

    /// When it is time to check them.
    #[must_use]
    pub fn due(self) -> Instant {
        (self.last + QUIET).min(self.first + AT_MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_checked_in_the_first_quiet_moment_and_not_too_late() {
        let now = Instant::now();
        let first = Wanted::after(None, now);
        assert_eq!(first.due(), now + QUIET);
        let second = Wanted::after(Some(first), now + QUIET / 2);
        assert_eq!(second.due(), now + QUIET / 2 + QUIET);
        let late = Wanted::after(Some(second), now + AT_MOST);
        assert_eq!(late.due(), now + AT_MOST);
    }
}
