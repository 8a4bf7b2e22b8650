//! Starts that HAProxy refused, and how long the next one waits for that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Time;

/// Starts that HAProxy refused, not long after each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedStarts {
    /// When the turn of the last one ended; until then, when it began.
    pub at: Time,
    /// How many turns had one.
    pub turns: u32,
}

impl RefusedStarts {
    /// After so long they are forgotten.
    const REMEMBERED: Duration = Duration::from_secs(3600);

    /// Another one, in the turn that began `now`.
    #[must_use]
    pub fn and_one(before: Option<Self>, now: Time) -> Self {
        let before = before.filter(|before| now.since(before.at) < Self::REMEMBERED);
        let turns = match before {
            Some(before) if before.at == now => before.turns,
            Some(before) => before.turns.saturating_add(1),
            None => 1,
        };
        Self { at: now, turns }
    }

    /// Until when the next start waits: while HAProxy tries in vain, for 2 s, the process that serves
    /// takes no connections, and an owner who changes what cannot be started would have it try for ever.
    #[must_use]
    pub fn until(self) -> Time {
        let doubled = Duration::from_secs(5) * (1 << self.turns.saturating_sub(1).min(6));
        self.at.after(doubled.min(Duration::from_secs(300)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn each_turn_with_a_refused_start_has_the_next_wait_longer_until_they_are_forgotten() {
        let begun = Time::at(SystemTime::UNIX_EPOCH);
        let seconds = |refused: RefusedStarts| refused.until().since(refused.at).as_secs();
        let first = RefusedStarts::and_one(None, begun);
        assert_eq!(seconds(first), 5);
        assert_eq!(
            RefusedStarts::and_one(Some(first), begun),
            first,
            "one turn"
        );
        let second = RefusedStarts::and_one(Some(first), first.until());
        assert_eq!(seconds(second), 10);
        let mut last = second;
        for _ in 0..20 {
            last = RefusedStarts::and_one(Some(last), last.until());
        }
        assert_eq!(seconds(last), 300);
        let later = last.at.after(Duration::from_secs(3600));
        assert_eq!(seconds(RefusedStarts::and_one(Some(last), later)), 5);
    }
}
