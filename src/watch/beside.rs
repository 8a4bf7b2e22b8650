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

/// The check of what was installed without one, beside the turns. There is one at a time; `C` is what
/// stands for it.
#[derive(Debug)]
pub struct Proof<C> {
    wanted: Option<Wanted>,
    running: Option<C>,
}

/// When something was installed that is yet to be proved.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    first: Instant,
    last: Instant,
}

impl<C> Default for Proof<C> {
    fn default() -> Self {
        Self {
            wanted: None,
            running: None,
        }
    }
}

impl<C> Proof<C> {
    /// Something was installed that is yet to be proved.
    pub fn is_wanted(&mut self, now: Instant) {
        let first = self.wanted.map_or(now, |wanted| wanted.first);
        self.wanted = Some(Wanted { first, last: now });
    }

    /// Nothing is; or a whole turn sees to it.
    pub fn is_not_wanted(&mut self) {
        *self = Self::default();
    }

    /// It is time to check, with `check` where it is known what; `false` where it is not, so that a whole
    /// turn has to see to it. What stayed due then would be all that is ever done.
    pub fn begin(&mut self, check: Option<C>) -> bool {
        self.wanted = None;
        self.running = check;
        self.running.is_some()
    }

    /// The one that was begun.
    #[must_use]
    pub fn running(&self) -> Option<&C> {
        self.running.as_ref()
    }

    /// The same for who waits for it.
    pub fn running_mut(&mut self) -> Option<&mut C> {
        self.running.as_mut()
    }

    /// It came to an end, and is given back.
    pub fn ended(&mut self) -> Option<C> {
        self.running.take()
    }

    /// When it is time for one, while none is running.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let wanted = self.wanted.filter(|_| self.running.is_none())?;
        Some((wanted.last + QUIET).min(wanted.first + AT_MOST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_checked_in_the_first_quiet_moment_and_not_too_late() {
        let now = Instant::now();
        let mut proof = Proof::<()>::default();
        proof.is_wanted(now);
        assert_eq!(proof.due(), Some(now + QUIET));
        proof.is_wanted(now + QUIET / 2);
        assert_eq!(proof.due(), Some(now + QUIET / 2 + QUIET));
        proof.is_wanted(now + AT_MOST);
        assert_eq!(proof.due(), Some(now + AT_MOST));
    }

    #[test]
    fn what_was_due_is_so_no_more_whether_there_is_anything_to_check_or_not() {
        let now = Instant::now();
        for check in [Some(()), None] {
            let mut proof = Proof::default();
            proof.is_wanted(now);
            assert_eq!(proof.begin(check), check.is_some());
            assert_eq!(proof.due(), None);
            // What is installed after that counts anew.
            proof.is_wanted(now);
            let due = check.is_none().then_some(now + QUIET);
            assert_eq!(proof.due(), due);
            assert_eq!(proof.ended(), check);
            assert_eq!(proof.due(), Some(now + QUIET));
        }
    }
}
