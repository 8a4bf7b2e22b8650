//! What lasts is told once, and once when it is over.

use std::time::{Duration, Instant, SystemTime};

use tracing::{debug, error, warn};

use super::super::blame::Blamed;
use super::super::tell::Word;
use crate::admin::Unused;
use crate::cycle::Unanswered;
use crate::logging::{Reasons, Trouble, in_one_line, shown};
use crate::marathon::events::{Doubt, Lost};
use crate::state::Time;

/// A stream that lasted so long is not one that falls silent after its first word: those are given up
/// after 30 s.
const PROVED: Duration = Duration::from_secs(35);

/// A stream that ends sooner than this after its beginning ended soon. One that does so time after time,
/// as behind a proxy with a limit, is one trouble, and over once one lasts so long.
const LASTS: Duration = Duration::from_secs(15 * 60);

/// Without an event that cannot be read for so long, that is over.
const READS_AGAIN: Duration = Duration::from_secs(10 * 60);

/// One for each kind.
#[derive(Default)]
pub(super) struct Troubles {
    failed: Trouble,
    /// That is for lack of an answer.
    is_unanswered: bool,
    outcome: Trouble,
    held: Trouble,
    events: Trouble,
    no_events: Reasons,
    /// When a stream has lasted so long that it will not fall silent as the one before.
    hears_at: Option<Instant>,
    fell_silent: bool,
    /// When the stream began that is followed.
    attached_at: Option<Instant>,
    /// So many ended soon, one after the other.
    ended_soon: u32,
    unread: Trouble,
    /// When the last event came that cannot be read.
    unread_at: Option<Instant>,
    waits: Trouble,
    lock: Trouble,
    configuration: Trouble,
    fixed: Trouble,
    templates: Trouble,
    certificates: Trouble,
    sees_late: Trouble,
    worst: [Option<String>; 3],
    /// Options, templates and certificates that were edited and are not in use; and what of them was not
    /// refused, but waits.
    unused: [Option<Unused>; 4],
}

impl Troubles {
    /// Why a turn came to nothing; `None` where it did not.
    pub(super) fn failed(&mut self, error: Option<&anyhow::Error>) {
        let now = error.map(|error| format!("{error:#}"));
        // The age of what is served grows, and is no news.
        let lasting = error.map(|error| match error.downcast_ref::<Unanswered>() {
            Some(unanswered) => unanswered.lasting(),
            None => format!("{error:#}"),
        });
        self.is_unanswered = error.is_some_and(anyhow::Error::is::<Unanswered>);
        self.failed.tell(lasting.as_deref(), |lasting| {
            error!("{}", now.as_deref().unwrap_or(lasting));
        });
        self.worst[0] = now;
    }

    /// A turn waits for a check: Marathon has answered, and the disk is yet to be written to.
    pub(super) fn is_checking(&mut self) {
        if self.is_unanswered {
            self.failed(None);
        }
    }

    /// How a turn ended.
    pub(super) fn outcome(&mut self, word: &Word<'_>) {
        let sentence = lasting(word);
        self.worst[1] = sentence.clone().filter(|_| !word.is_good());
        if sentence.is_none() {
            word.say();
        }
        self.outcome.tell(sentence.as_deref(), |_| word.say());
    }

    /// What is held back.
    pub(super) fn held(&mut self, word: Option<&Word<'_>>) {
        let sentence = word.and_then(lasting);
        self.worst[2].clone_from(&sentence);
        self.held.tell(sentence.as_deref(), |_| {
            if let Some(word) = word {
                word.say();
            }
        });
    }

    /// What is not locked as it should be.
    pub(super) fn lock(&mut self, warning: Option<&str>) {
        self.lock.tell(warning, |warning| warn!("{warning}"));
    }

    /// Why new options cannot be put to use.
    pub(super) fn configuration(&mut self, mistakes: Option<&str>) {
        let sentence = mistakes.map(|mistakes| {
            format!(
                "the options were changed and are not put to use, those of before count: {mistakes}"
            )
        });
        self.is_unused(0, sentence.as_deref());
        self.configuration.tell(sentence.as_deref(), |sentence| {
            error!("{sentence}");
        });
    }

    /// What of new options needs another start.
    pub(super) fn fixed(&mut self, sentence: Option<&str>) {
        self.fixed.tell(sentence, |sentence| warn!("{sentence}"));
    }

    /// Why changed templates, or new options that go with them, cannot be put to use.
    pub(super) fn templates(&mut self, why: Option<&str>) {
        let sentence = why.map(|why| {
            let why = in_one_line(why);
            format!("what was changed is not put to use, what counted before does: {why}")
        });
        self.is_unused(1, sentence.as_deref());
        self.templates.tell(sentence.as_deref(), |sentence| {
            error!("{sentence}");
        });
    }

    /// What was edited and cannot be tried before Marathon answers.
    pub(super) fn waits_for_marathon(&mut self, what: Option<&str>) {
        let sentence = what.map(|what| {
            format!(
                "{what} were changed, and wait for Marathon, which does not answer; until then what \
                 counted before does"
            )
        });
        self.is_unused(3, sentence.as_deref());
        self.waits.tell(sentence.as_deref(), |sentence| {
            warn!("{sentence}");
        });
    }

    /// Why HAProxy was not brought to changed certificates.
    pub(super) fn certificates(&mut self, sentence: Option<&str>) {
        self.is_unused(2, sentence);
        self.certificates.tell(sentence, |sentence| {
            error!("{sentence}");
        });
    }

    /// Why changes of files are not seen at once.
    pub(super) fn sees_late(&mut self, deaf: Option<(&str, Duration)>) {
        let sentence = deaf.map(|(why, pause)| {
            format!(
                "the kernel does not tell of changed files ({why}); they are looked at every {}",
                shown(pause)
            )
        });
        self.sees_late.tell(sentence.as_deref(), |sentence| {
            warn!("{sentence}");
        });
    }

    /// No events come. It is one trouble, each of whose reasons is told once.
    pub(super) fn hears_nothing(&mut self, lost: &Lost, every: Duration, now: Instant) {
        self.events.is_news("Marathon tells no events");
        self.hears_at = None;
        self.fell_silent = lost.is_silence();
        let lasted = self.attached_at.take().map(|at| now - at);
        if let Some(lasted) = lasted.filter(|_| !self.fell_silent) {
            let is_soon = lasted < LASTS;
            self.ended_soon = if is_soon {
                self.ended_soon.saturating_add(1)
            } else {
                0
            };
        }
        let every = shown(every);
        match (self.no_events.is_news(&lost.reason()), lasted) {
            (true, Some(lasted)) if self.keeps_ending() => warn!(
                "{lost}; until then everything is asked every {every}; this stream lasted {}, \
                 and the one before it was short too: events are followed whenever there is one, and \
                 no more is said of such before one lasts {}",
                shown(lasted),
                shown(LASTS)
            ),
            (true, _) => warn!("{lost}; until then everything is asked every {every}"),
            (false, _) => debug!("{lost}"),
        }
    }

    /// They do again. Where a stream fell silent, the next one may begin and do the same: it is over
    /// once that cannot be. So it is with streams that keep ending.
    pub(super) fn hears_again(&mut self, now: Instant) {
        let proof = if self.keeps_ending() {
            LASTS
        } else if self.fell_silent {
            PROVED
        } else {
            Duration::ZERO
        };
        // What is told twice of one stream is no other one.
        self.attached_at.get_or_insert(now);
        self.hears_at = Some(now + proof);
        self.time_goes_on(now);
    }

    /// Whoever told events before is left. Where nobody is to tell them now, nobody is missed.
    pub(super) fn follows_another(&mut self, is_followed: bool) {
        self.attached_at = None;
        self.hears_at = None;
        if !is_followed {
            self.no_events.are_over();
            self.events.tell(None, |_| ());
        }
    }

    /// One that ends is nothing out of the ordinary: a Marathon was restarted.
    fn keeps_ending(&self) -> bool {
        2 <= self.ended_soon
    }

    /// An event came that cannot be read, so that everything has to be fetched.
    pub(super) fn cannot_read(&mut self, doubt: &Doubt, now: Instant) {
        self.unread_at = Some(now);
        let sentence = format!(
            "Marathon told of a change in a way that cannot be followed: {doubt}; everything is \
             fetched for each such event"
        );
        self.unread
            .tell(Some(&sentence), |sentence| warn!("{sentence}"));
    }

    /// Whether something is over by now.
    pub(super) fn time_goes_on(&mut self, now: Instant) {
        if self.unread_at.is_some_and(|at| at + READS_AGAIN <= now) {
            self.unread_at = None;
            self.unread.tell(None, |_| ());
        }
        if self.hears_at.is_none_or(|at| now < at) {
            return;
        }
        self.hears_at = None;
        self.fell_silent = false;
        self.no_events.are_over();
        self.events.tell(None, |_| ());
    }

    /// What `systemctl status` should show first.
    pub(super) fn worst(&self) -> Option<&str> {
        let unused = self.unused.iter().flatten().map(|unused| &unused.why);
        let mut all = self.worst.iter().flatten().chain(unused);
        all.next().map(String::as_str)
    }

    /// What was edited and is not in use.
    pub(super) fn unused(&self) -> Vec<Unused> {
        self.unused.iter().flatten().cloned().collect()
    }

    fn is_unused(&mut self, which: usize, why: Option<&str>) {
        let before = self.unused[which].take();
        self.unused[which] = why.map(|why| Unused {
            since: before.map_or_else(|| Time::at(SystemTime::now()), |before| before.since),
            why: in_one_line(why),
        });
    }
}

/// The sentence of what lasts.
fn lasting(word: &Word<'_>) -> Option<String> {
    match word {
        Word::Nothing(_) | Word::News(_) => None,
        Word::Lasting(_, sentence) => Some(sentence.clone()),
        Word::Refused(reasons, _) => {
            let reasons: Vec<String> = reasons.iter().map(Blamed::lasting).collect();
            Some(format!(
                "`haproxy -c` refuses the new file: {}",
                reasons.join("; ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marathon::{Failure, Fault};

    fn lost(fault: Fault) -> Lost {
        Lost {
            failures: vec![Failure {
                address: "http://a".to_owned(),
                fault,
            }],
            retry_in: Duration::from_secs(1),
        }
    }

    #[test]
    fn an_edit_that_is_not_in_use_is_known_in_one_line_until_one_is() {
        let mut troubles = Troubles::default();
        troubles.templates(Some("error: no end\n  --> listen.cfg:1\n"));
        let first = troubles.unused();
        assert_eq!(first.len(), 1);
        let words = "does: error: no end --> listen.cfg:1";
        assert!(first[0].why.ends_with(words), "{first:?}");
        troubles.templates(Some("another"));
        troubles.configuration(Some("a typo"));
        let both = troubles.unused();
        assert_eq!(both.len(), 2);
        assert!(both[0].why.ends_with(": a typo") && both[1].why.ends_with(": another"));
        assert_eq!(both[1].since, first[0].since);
        assert_eq!(troubles.worst(), Some(both[0].why.as_str()));
        troubles.configuration(None);
        troubles.templates(None);
        assert_eq!((troubles.unused(), troubles.worst()), (Vec::new(), None));
    }

    #[test]
    fn a_turn_that_waits_for_a_check_ends_no_trouble_of_the_disk() {
        let mut troubles = Troubles::default();
        let full = anyhow::anyhow!("the new files cannot be installed: no space");
        troubles.failed(Some(&full));
        troubles.is_checking();
        assert!(troubles.worst().is_some() && troubles.failed.clone().is_over().is_some());
        troubles.failed(None);
        assert!(troubles.worst().is_none() && troubles.failed.is_over().is_none());
    }

    #[test]
    fn streams_that_begin_and_fall_silent_are_one_trouble_until_one_lasts() {
        let every = Duration::from_secs(15);
        let mut troubles = Troubles::default();
        let mut now = Instant::now();
        let silence = lost(Fault::Silent(Duration::from_secs(30)));
        for _ in 0..3 {
            troubles.hears_nothing(&silence, every, now);
            troubles.hears_again(now);
            now += Duration::from_secs(30);
            troubles.time_goes_on(now);
            assert!(troubles.hears_at.is_some(), "it is not over");
        }
        now += Duration::from_secs(5);
        troubles.time_goes_on(now);
        assert!(troubles.hears_at.is_none() && troubles.events.is_over().is_none());
        // Other reasons end with the next word.
        troubles.hears_nothing(&lost(Fault::StreamEnded), every, now);
        troubles.hears_again(now);
        assert!(troubles.hears_at.is_none() && troubles.events.is_over().is_none());
    }

    #[test]
    fn streams_that_keep_ending_soon_are_one_trouble_until_one_lasts() {
        let mut troubles = Troubles::default();
        let mut now = Instant::now();
        let mut told = Vec::new();
        for _ in 0..10 {
            troubles.hears_again(now);
            told.push(troubles.hears_at.is_none());
            now += Duration::from_secs(60);
            troubles.time_goes_on(now);
            troubles.hears_nothing(&lost(Fault::StreamEnded), Duration::from_secs(15), now);
        }
        // The first end is nothing out of the ordinary.
        assert_eq!(
            told.iter().filter(|is_over| **is_over).count(),
            2,
            "{told:?}"
        );
        assert!(
            !troubles
                .no_events
                .is_news(&lost(Fault::StreamEnded).reason())
        );
        troubles.hears_again(now);
        now += LASTS;
        troubles.time_goes_on(now);
        assert!(troubles.hears_at.is_none() && troubles.events.is_over().is_none());
        troubles.hears_nothing(&lost(Fault::StreamEnded), Duration::from_secs(15), now);
        troubles.hears_again(now);
        assert!(troubles.hears_at.is_none());
    }

    #[test]
    fn another_stream_begins_anew_and_where_none_is_followed_none_is_missed() {
        let mut troubles = Troubles::default();
        let (first, second) = (Instant::now(), Instant::now() + LASTS);
        troubles.hears_again(first);
        troubles.follows_another(true);
        troubles.hears_again(second);
        assert_eq!(troubles.attached_at, Some(second));
        let every = Duration::from_secs(15);
        troubles.hears_nothing(&lost(Fault::StreamEnded), every, second);
        troubles.follows_another(false);
        assert!(troubles.hears_at.is_none() && troubles.events.is_over().is_none());
    }

    #[test]
    fn events_that_cannot_be_read_are_told_once_and_over_after_a_while() {
        let mut troubles = Troubles::default();
        let mut now = Instant::now();
        for _ in 0..3 {
            now += READS_AGAIN / 2;
            troubles.time_goes_on(now);
            troubles.cannot_read(&Doubt::Garbled, now);
            assert!(troubles.unread.clone().is_over().is_some());
        }
        now += READS_AGAIN;
        troubles.time_goes_on(now);
        assert_eq!(troubles.unread.is_over(), None);
    }

    #[test]
    fn an_edit_that_waits_for_marathon_is_not_in_use() {
        let mut troubles = Troubles::default();
        troubles.waits_for_marathon(Some("the templates"));
        assert!(
            troubles.unused()[0]
                .why
                .starts_with("the templates were changed, and wait")
        );
        troubles.waits_for_marathon(None);
        assert!(troubles.unused().is_empty());
    }
}
