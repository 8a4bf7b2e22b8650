//! How long to wait before the next attempt: longer each time, and not as long as everybody else.

use std::time::Duration;

/// Pauses that double up to a limit, each shortened by chance to between half of it and all.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
    chance: u64,
}

impl Backoff {
    /// One `seed`, one sequence of pauses.
    pub(super) fn new(first: Duration, most: Duration, seed: u64) -> Self {
        let first = first.min(most);
        Self {
            first,
            most,
            next: first,
            chance: seed,
        }
    }

    /// The next pause.
    pub(super) fn pause(&mut self) -> Duration {
        let longest = self.next;
        self.next = self.next.saturating_mul(2).min(self.most);
        let half = longest / 2;
        half + half.mul_f64(self.chance())
    }

    /// Things went well for a while.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }

    /// From 0 to 1, by the method of `SplitMix64`: even enough to keep hosts apart.
    fn chance(&mut self) -> f64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);
    const MOST: Duration = Duration::from_secs(30);

    #[test]
    fn pauses_double_up_to_the_limit_and_begin_anew() {
        for seed in 0..50 {
            let mut backoff = Backoff::new(FIRST, MOST, seed);
            for round in 0..2 {
                for factor in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
                    let longest = FIRST * factor;
                    let pause = backoff.pause();
                    assert!(
                        longest / 2 <= pause && pause <= longest,
                        "{round} {pause:?}"
                    );
                }
                backoff.reset();
            }
        }
    }

    #[test]
    fn a_seed_decides_and_seeds_differ() {
        let pauses = |seed| {
            let mut backoff = Backoff::new(FIRST, MOST, seed);
            [(); 8].map(|()| backoff.pause())
        };
        assert_eq!(pauses(7), pauses(7));
        let mut firsts: Vec<_> = (0..100).map(|seed| pauses(seed)[0]).collect();
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), 100);
        // They spread over the whole span.
        assert!(firsts[0] < FIRST * 11 / 20 && firsts[99] > FIRST * 19 / 20);
    }

    #[test]
    fn a_limit_below_the_first_pause_counts() {
        let mut backoff = Backoff::new(FIRST, Duration::ZERO, 1);
        assert_eq!(backoff.pause(), Duration::ZERO);
        let mut backoff = Backoff::new(FIRST, Duration::MAX, 1);
        for _ in 0..200 {
            backoff.pause();
        }
    }
}
