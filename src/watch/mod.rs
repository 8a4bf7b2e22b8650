//! When a watcher takes a turn.
//!
//! In comes what happened and when; out goes the moment of the next turn. Nothing here waits or
//! looks at a clock.

mod beside;
mod left_open;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::cluster::AppId;

pub use beside::{FIRST_WORD, Proof, WITHOUT_EVENTS, pulse};
pub use left_open::left_open;

/// The first pause after a turn that failed; the following ones double.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is still open is not looked at more often than this.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// A turn that is due for so long comes before all else: whatever keeps it waiting may never cease.
const OVERDUE: Duration = Duration::from_secs(5);

/// So much of a long pause is left to chance, so that not all hosts ask at once.
const LEFT_TO_CHANCE: f64 = 0.2;

/// How often turns are taken.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// Changes that follow each other closer than this are answered together.
    pub gather: Duration,
    /// But none waits longer than this.
    pub at_most: Duration,
    /// Between two turns while nothing is told.
    pub resync: Duration,
    /// The same while changes are not told.
    pub without_events: Duration,
    /// From 0 to 1, another one on each host.
    pub chance: f64,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// There is nothing left to do.
    Settled,
    /// The same, and it was little that there was to do: a like turn may follow soon.
    Light,
    /// Something is to be looked at again after this.
    Open(Duration),
    /// It came to nothing.
    Failed,
}

/// When the next turn is due.
#[derive(Clone, Debug)]
pub struct Schedule {
    rhythm: Rhythm,
    /// Changes that no turn has answered yet.
    open: Option<Changes>,
    /// Which apps they are about.
    touched: BTreeSet<AppId>,
    /// Others may have changed, too.
    doubts: bool,
    asked_at: Option<Instant>,
    ended_at: Option<Instant>,
    /// After this time since the last turn, a change is answered at once.
    rest: Duration,
    hears: bool,
    failures: u32,
    /// Whatever happens.
    next_at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Changes {
    first: Instant,
    last: Instant,
}

impl Schedule {
    /// The first turn is due as soon as [`Self::hears`] says whether changes are told, so that it
    /// answers those too that came before; `at_latest` whatever is heard.
    #[must_use]
    pub fn new(rhythm: Rhythm, at_latest: Instant) -> Self {
        Self {
            rhythm,
            open: None,
            touched: BTreeSet::new(),
            doubts: true,
            asked_at: None,
            ended_at: None,
            rest: rhythm.at_most,
            hears: false,
            failures: 0,
            next_at: at_latest,
        }
    }

    /// From now on turns are taken in another rhythm.
    pub fn keep_time(&mut self, rhythm: Rhythm, now: Instant) {
        self.rhythm = rhythm;
        if self.ended_at.is_some() {
            self.next_at = self.next_at.min(now + self.interval());
        }
    }

    /// Anything may have changed.
    pub fn changed(&mut self, now: Instant) {
        self.doubts = true;
        self.open(now);
    }

    /// These apps may have changed.
    pub fn touched(&mut self, apps: BTreeSet<AppId>, now: Instant) {
        self.touched.extend(apps);
        self.open(now);
    }

    fn open(&mut self, now: Instant) {
        let first = self.open.map_or(now, |open| open.first);
        self.open = Some(Changes { first, last: now });
    }

    /// Somebody wants a turn at once.
    pub fn asked(&mut self, now: Instant) {
        self.asked_at = Some(now);
    }

    /// Whether changes are told from now on.
    pub fn hears(&mut self, hears: bool, now: Instant) {
        self.hears = hears;
        self.doubts = true;
        let pause = match (self.ended_at, hears) {
            (None, _) => Duration::ZERO,
            (Some(_), false) => self.interval(),
            (Some(_), true) => return,
        };
        self.next_at = self.next_at.min(now + pause);
    }

    /// When the next turn is due.
    #[must_use]
    pub fn due(&self) -> Instant {
        let Rhythm {
            gather, at_most, ..
        } = self.rhythm;
        let answered_at = self.open.map(|Changes { first, last }| {
            let was_quiet = self.ended_at.is_none_or(|ended| ended + self.rest <= first);
            if was_quiet {
                first
            } else {
                (last + gather).min(first + at_most)
            }
        });
        let earlier = [answered_at, self.asked_at].into_iter().flatten();
        earlier.fold(self.next_at, Instant::min)
    }

    /// Whether it is due for too long.
    #[must_use]
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.due() + OVERDUE <= now
    }

    /// A turn begins, which answers all that came so far: the apps that it has to ask for; `None`
    /// for all of them.
    pub fn began(&mut self, now: Instant) -> Option<BTreeSet<AppId>> {
        let is_time = self.asked_at.is_some() || self.next_at <= now;
        let touched = std::mem::take(&mut self.touched);
        let only =
            (self.open.is_some() && self.hears && !self.doubts && !is_time).then_some(touched);
        self.open = None;
        self.asked_at = None;
        self.doubts = false;
        only
    }

    /// It ended.
    pub fn ended(&mut self, end: End, now: Instant) {
        self.ended_at = Some(now);
        self.rest = match end {
            End::Light => self.rhythm.gather,
            End::Settled | End::Open(_) | End::Failed => self.rhythm.at_most,
        };
        self.failures = match end {
            End::Failed => {
                // It took the names of apps with it.
                self.doubts = true;
                self.failures.saturating_add(1)
            }
            End::Settled | End::Light | End::Open(_) => 0,
        };
        let pause = match end {
            // It looked at little, and what is due for the rest stays due.
            End::Light => return,
            End::Settled => self.interval(),
            End::Open(pause) => self.interval().min(pause.max(LEAST_PAUSE)),
            End::Failed => {
                let doubled = FIRST_PAUSE.saturating_mul(1 << (self.failures - 1).min(16));
                self.by_chance(doubled.min(LONGEST_PAUSE))
            }
        };
        self.next_at = now + pause;
    }

    fn interval(&self) -> Duration {
        if self.hears {
            self.by_chance(self.rhythm.resync)
        } else {
            self.rhythm.without_events
        }
    }

    fn by_chance(&self, pause: Duration) -> Duration {
        pause.mul_f64(1.0 - LEFT_TO_CHANCE * self.rhythm.chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RHYTHM: Rhythm = Rhythm {
        gather: Duration::from_millis(100),
        at_most: Duration::from_secs(2),
        resync: Duration::from_secs(300),
        without_events: Duration::from_secs(15),
        chance: 0.5,
    };

    /// A schedule whose first turn ended well at the moment that comes with it.
    fn settled() -> (Schedule, Instant) {
        let now = Instant::now();
        let mut schedule = Schedule::new(RHYTHM, now);
        assert_eq!(schedule.due(), now);
        assert_eq!(schedule.began(now), None);
        schedule.hears(true, now);
        schedule.doubts = false;
        schedule.ended(End::Settled, now);
        (schedule, now)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn what_never_ceases_keeps_no_turn_waiting_for_ever() {
        let (mut schedule, now) = settled();
        assert!(!schedule.is_overdue(now));
        schedule.asked(now);
        assert!(!schedule.is_overdue(now + ms(4_999)));
        assert!(schedule.is_overdue(now + OVERDUE));
        schedule.began(now + OVERDUE);
        schedule.ended(End::Failed, now + OVERDUE);
        assert!(!schedule.is_overdue(now + OVERDUE));
    }

    #[test]
    fn the_first_turn_waits_a_little_for_what_is_told() {
        let now = Instant::now();
        for hears in [true, false] {
            let mut schedule = Schedule::new(RHYTHM, now + ms(1_000));
            assert_eq!(schedule.due(), now + ms(1_000));
            schedule.hears(hears, now + ms(5));
            assert_eq!(schedule.due(), now + ms(5));
            assert_eq!(schedule.began(now + ms(5)), None);
            schedule.ended(End::Settled, now + ms(6));
            assert!(schedule.due() > now + ms(10_000));
        }
    }

    #[test]
    fn the_first_change_is_answered_at_once_and_the_rest_together() {
        let (mut schedule, began) = settled();
        let first = began + ms(10_000);
        schedule.changed(first);
        assert_eq!(schedule.due(), first);
        schedule.began(first);
        schedule.ended(End::Settled, first + ms(50));
        for at in [60, 120, 200] {
            schedule.changed(first + ms(at));
            assert_eq!(schedule.due(), first + ms(at + 100));
        }
        // Those that never leave a gap do not wait for ever.
        for at in (250..2_500).step_by(50) {
            schedule.changed(first + ms(at));
        }
        assert_eq!(schedule.due(), first + ms(2_060));
        schedule.began(first + ms(2_060));
        schedule.ended(End::Settled, first + ms(2_100));
        assert_eq!(schedule.due(), first + ms(2_100) + ms(270_000));
    }

    #[test]
    fn after_little_work_the_next_change_is_answered_at_once_unless_it_is_of_a_burst() {
        let (mut schedule, now) = settled();
        schedule.ended(End::Light, now);
        schedule.changed(now + ms(50));
        assert_eq!(schedule.due(), now + ms(150));
        schedule.began(now + ms(150));
        schedule.ended(End::Light, now + ms(160));
        schedule.changed(now + ms(270));
        assert_eq!(schedule.due(), now + ms(270));
        // What follows real work waits longer.
        schedule.began(now + ms(270));
        schedule.ended(End::Settled, now + ms(280));
        schedule.changed(now + ms(400));
        assert_eq!(schedule.due(), now + ms(500));
    }

    #[test]
    fn little_work_puts_off_nothing_that_is_due() {
        let (mut schedule, now) = settled();
        schedule.ended(End::Open(ms(30_000)), now);
        schedule.touched(BTreeSet::from([AppId::new("/a")]), now + ms(10_000));
        assert!(schedule.began(now + ms(10_000)).is_some());
        schedule.ended(End::Light, now + ms(10_010));
        assert_eq!(schedule.due(), now + ms(30_000));
    }

    #[test]
    fn without_a_word_everything_is_asked_at_times_and_more_often_where_nothing_is_told() {
        let (mut schedule, now) = settled();
        assert_eq!(schedule.due(), now + ms(270_000));
        schedule.hears(false, now + ms(1_000));
        assert_eq!(schedule.due(), now + ms(16_000));
        schedule.began(now + ms(16_000));
        schedule.ended(End::Settled, now + ms(16_000));
        assert_eq!(schedule.due(), now + ms(31_000));
    }

    #[test]
    fn another_rhythm_counts_from_the_next_turn_on_that_it_makes_earlier() {
        for (resync, due) in [(100_000, 91_000), (1_000_000, 270_000)] {
            let (mut schedule, now) = settled();
            let resync = ms(resync);
            schedule.keep_time(Rhythm { resync, ..RHYTHM }, now + ms(1_000));
            assert_eq!(schedule.due(), now + ms(due));
            schedule.ended(End::Settled, now);
            assert_eq!(schedule.due(), now + resync.mul_f64(0.9));
        }
    }

    #[test]
    fn whoever_asks_does_not_wait() {
        let (mut schedule, now) = settled();
        schedule.changed(now + ms(1));
        schedule.asked(now + ms(2));
        assert_eq!(schedule.due(), now + ms(2));
        schedule.began(now + ms(2));
        schedule.ended(End::Settled, now + ms(3));
        assert_eq!(schedule.due(), now + ms(3 + 270_000));
    }

    #[test]
    fn what_is_open_has_a_turn_of_its_own() {
        let (mut schedule, now) = settled();
        for (pause, expected) in [(0, 1_000), (10_000, 10_000), (600_000, 270_000)] {
            schedule.ended(End::Open(ms(pause)), now);
            assert_eq!(schedule.due(), now + ms(expected), "{pause}");
        }
    }

    #[test]
    fn turns_that_fail_come_less_often_until_one_goes_well() {
        let (mut schedule, now) = settled();
        for expected in [900, 1_800, 3_600, 7_200, 14_400, 27_000, 27_000] {
            schedule.ended(End::Failed, now);
            assert_eq!(schedule.due(), now + ms(expected));
        }
        schedule.ended(End::Settled, now);
        schedule.ended(End::Failed, now);
        assert_eq!(schedule.due(), now + ms(900));
        // But what is told then does not wait for them.
        schedule.changed(now + ms(10));
        assert_eq!(schedule.due(), now + ms(110));
    }

    #[test]
    fn apps_alone_are_asked_for_only_where_nothing_else_can_have_changed() {
        type Spoil = fn(&mut Schedule, Instant);
        let apps = |ids: &[&str]| ids.iter().map(|id| AppId::new(id)).collect::<BTreeSet<_>>();
        let ways: [(&str, Spoil, bool); 6] = [
            ("nothing else", |_, _| (), true),
            ("a doubt", Schedule::changed, false),
            ("somebody asks", Schedule::asked, false),
            (
                "a gap",
                |schedule, now| {
                    schedule.hears(false, now);
                    schedule.hears(true, now);
                },
                false,
            ),
            (
                "no events",
                |schedule, now| schedule.hears(false, now),
                false,
            ),
            (
                "a turn that failed",
                |schedule, now| {
                    assert!(schedule.began(now).is_some());
                    schedule.ended(End::Failed, now);
                    schedule.touched(BTreeSet::from([AppId::new("/c")]), now);
                },
                false,
            ),
        ];
        for (way, spoil, alone) in ways {
            let (mut schedule, now) = settled();
            schedule.touched(apps(&["/a"]), now);
            schedule.touched(apps(&["/b"]), now);
            spoil(&mut schedule, now);
            let expected = alone.then(|| apps(&["/a", "/b"]));
            assert_eq!(schedule.began(now), expected, "{way}");
            // And each is asked for once.
            schedule.hears(true, now);
            schedule.doubts = false;
            schedule.ended(End::Settled, now);
            schedule.touched(apps(&["/d"]), now);
            assert_eq!(schedule.began(now), Some(apps(&["/d"])), "{way}");
        }
        let (mut schedule, now) = settled();
        schedule.touched(apps(&["/a"]), now);
        assert_eq!(
            schedule.began(now + ms(270_000)),
            None,
            "it is time for all"
        );
    }
}
