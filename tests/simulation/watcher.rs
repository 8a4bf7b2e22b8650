//! The watcher on the simulated host: when it takes a turn, and what it does between two of them, as
//! `watch` does it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use haproxy_marathon_bridge::apply::FileSet;
use haproxy_marathon_bridge::cluster::AppId;
use haproxy_marathon_bridge::disk::{Fault, PowerCut};
use haproxy_marathon_bridge::marathon::events::Told;
use haproxy_marathon_bridge::watch::{End, FIRST_WORD, Proof, Rhythm, Schedule, WITHOUT_EVENTS};

use crate::promises::{Broken, broken};
use crate::random::Random;
use crate::stream::Stream;
use crate::world::{Ended, World};

/// So many things happen within one millisecond.
const MOST_AT_ONCE: u32 = 1_000;

/// The defaults of the options.
pub(crate) const RHYTHM: Rhythm = Rhythm {
    gather: Duration::from_millis(100),
    at_most: Duration::from_secs(2),
    resync: Duration::from_secs(300),
    without_events: WITHOUT_EVENTS,
    chance: 0.5,
};

/// Before that, no turn that is due by the time alone follows another. In milliseconds.
const AT_TIMES: u64 = 240_000;

/// What of a program that goes on running is not its turns. All times are milliseconds.
pub(crate) struct Watcher {
    pub(crate) schedule: Schedule,
    /// Two names of one moment.
    began: (Instant, u64),
    /// It was told that changes are told.
    pub(crate) hears: bool,
    /// The files that are checked, and until when.
    pub(crate) proof: Proof<(FileSet, u64)>,
    /// HAProxy as it was looked at last, and whether that left something to do.
    pub(crate) looked_at: (Option<u32>, bool),
    pub(crate) look_at: u64,
    /// Before this, nothing but what is told is a reason for a turn.
    pub(crate) timed_at: u64,
}

impl Watcher {
    fn new(now: u64) -> Self {
        let moment = Instant::now();
        Self {
            schedule: Schedule::new(RHYTHM, moment + FIRST_WORD),
            began: (moment, now),
            hears: false,
            proof: Proof::default(),
            looked_at: (None, false),
            look_at: now,
            timed_at: now,
        }
    }

    pub(crate) fn moment(&self, now: u64) -> Instant {
        let (moment, began) = self.began;
        moment + Duration::from_millis(now - began)
    }

    pub(crate) fn turn_at(&self) -> u64 {
        self.clock_at(self.schedule.due())
    }

    fn proof_at(&self) -> u64 {
        let begins_at = self.proof.due().map(|due| self.clock_at(due));
        let ends_at = self.proof.running().map(|(_, at)| *at);
        begins_at.or(ends_at).unwrap_or(u64::MAX)
    }

    /// The other way round.
    fn clock_at(&self, due: Instant) -> u64 {
        let (moment, began) = self.began;
        let later = due.saturating_duration_since(moment);
        began + u64::try_from(later.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX / 2)
    }
}

/// What is next, in the order of their ranks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Told,
    Proof,
    Look,
    Turn,
}

impl World<'_> {
    /// Time goes on, and the watcher does what is due.
    pub(crate) fn live(&mut self, millis: u64, random: &mut Random) -> Result<(), Broken> {
        let until = self.clock + millis;
        let (mut done_at, mut steps) = (self.clock, 0);
        loop {
            if self.watcher.is_none() {
                self.note("the watcher starts");
                self.watcher = Some(Watcher::new(self.clock));
                self.stream.starts_anew(self.clock);
            }
            let (at, next) = self.next();
            let at = at.max(self.clock);
            if until < at {
                self.let_pass(until.saturating_sub(self.clock));
                return Ok(());
            }
            self.let_pass(at - self.clock);
            steps = if done_at < self.clock { 0 } else { steps + 1 };
            done_at = self.clock;
            if MOST_AT_ONCE < steps {
                return broken("the watcher is at work all the time, and comes to nothing else");
            }
            match next {
                Next::Told => self.hear(),
                Next::Proof => self.prove(random)?,
                Next::Look => self.look_at_haproxy(random)?,
                Next::Turn => self.watched_turn(random)?,
            }
            self.check_host()?;
            self.check_asks()?;
        }
    }

    fn next(&self) -> (u64, Next) {
        let watcher = self.watcher.as_ref().expect("it was started");
        let pid = self.haproxy.running.borrow().as_ref().map(|p| p.pid);
        let is_to_look = self.setting.tells() && watcher.looked_at != (pid, false);
        let looks = [
            (self.stream.next_at(self.clock), Next::Told),
            (watcher.proof_at(), Next::Proof),
            (
                if is_to_look {
                    watcher.look_at
                } else {
                    u64::MAX
                },
                Next::Look,
            ),
            (watcher.turn_at(), Next::Turn),
        ];
        looks.into_iter().min().expect("there are four")
    }

    /// By all clocks.
    pub(crate) fn let_pass(&mut self, millis: u64) {
        self.clock += millis;
        self.fraction += millis;
        self.now += self.fraction / 1_000;
        self.fraction %= 1_000;
    }

    /// Whoever changed apps, Marathon tells of them.
    pub(crate) fn tell(&mut self, random: &mut Random) {
        let touched = self.outside.cluster.borrow_mut().take_touched();
        let touched: BTreeSet<AppId> = touched.iter().map(|id| AppId::new(id)).collect();
        let cluster = self.outside.cluster.borrow();
        let others = cluster.apps.iter().map(|app| AppId::new(&app.id));
        let others: Vec<AppId> = others.collect();
        drop(cluster);
        self.stream.tell(touched, &others, self.clock, random);
    }

    fn hear(&mut self) {
        let is_there = self.outside.source_fault.get().tells_events();
        let Some(told) = self.stream.next(self.clock, is_there) else {
            return;
        };
        self.note(&format!("told: {told:?}"));
        let watcher = self.watcher.as_mut().expect("it was started");
        let now = watcher.moment(self.clock);
        let schedule = &mut watcher.schedule;
        let what = match told {
            Told::Attached { .. } => {
                watcher.hears = true;
                schedule.hears(true, now);
                schedule.changed(now);
                "stream attached"
            }
            Told::Touched(apps) => {
                schedule.touched(apps, now);
                "told of apps"
            }
            Told::Doubt(_) => {
                schedule.changed(now);
                "told of a doubt"
            }
            Told::Lost(_) => {
                watcher.hears = false;
                schedule.hears(false, now);
                "stream lost"
            }
        };
        self.count(what);
    }

    /// Somebody wants a turn at once.
    pub(crate) fn ask_for_turn(&mut self) {
        if let Some(watcher) = &mut self.watcher {
            watcher.schedule.asked(watcher.moment(self.clock));
            watcher.timed_at = self.clock;
        }
    }

    /// The options were read again, and are put to use.
    pub(crate) fn begin_anew(&mut self) {
        let source = self.source();
        if let (Some(watcher), Some(program)) = (&mut self.watcher, &mut self.program) {
            program.stages.source = source;
            program.stages.in_service = None;
            let now = watcher.moment(self.clock);
            watcher.schedule.keep_time(RHYTHM, now);
            watcher.schedule.hears(false, now);
            watcher.hears = false;
            self.stream.starts_anew(self.clock);
            self.ask_for_turn();
        }
    }

    pub(crate) fn fault_of_now(&mut self, random: &mut Random) -> Fault {
        if self.is_calm {
            Fault::None
        } else {
            self.next_fault(random)
        }
    }

    fn watched_turn(&mut self, random: &mut Random) -> Result<(), Broken> {
        let watcher = self.watcher.as_mut().expect("it was started");
        let now = watcher.moment(self.clock);
        self.only = watcher.schedule.began(now);
        if self.only.is_some() {
            self.note(&format!("asks for {:?}", self.only));
        }
        let fault = self.fault_of_now(random);
        let before = self.haproxy.installed();
        let outside = &self.outside;
        let fetches = [outside.whole_fetches.get(), outside.single_fetches.get()];
        let ended = self.turn(fault, false)?;
        self.turns += 1;
        let outside = &self.outside;
        let whole = outside.whole_fetches.get() - fetches[0];
        let single = outside.single_fetches.get() - fetches[1];
        let is_light = self.program.as_ref().is_some_and(|p| p.facts.is_light);
        self.note(&format!(
            "asked for everything {whole} times, for single apps {single} times{}",
            if is_light {
                ", and looked at servers alone"
            } else {
                ""
            }
        ));
        let is_answered = whole > 0 && !matches!(ended, Ended::Failed(_) | Ended::Killed);
        for (what, came_about) in [
            ("light turn", is_light),
            (
                "other servers at once",
                is_light && before != self.haproxy.installed(),
            ),
            ("apps asked for alone", single > 0 && whole == 0),
            ("all asked for after one", single > 0 && whole > 0),
            (
                "what was missed made good",
                is_answered && self.stream.has_missed,
            ),
            ("watcher killed", matches!(ended, Ended::Killed)),
            ("no program haproxy", !self.has_haproxy),
        ] {
            if came_about {
                self.count(what);
            }
        }
        if matches!(ended, Ended::Done(_)) {
            self.check_heard(whole > 0)?;
        }
        self.after_turn();
        if self.is_calm && self.setting.tells() {
            self.start_haproxy_if_down();
        }
        if matches!(ended, Ended::Killed) {
            return self.after_kill(random);
        }
        let took = u64::try_from(self.last_took.as_millis()).expect("it is short");
        let own = if is_light {
            4
        } else {
            60 + random.below(500) as u64
        };
        self.let_pass(took + own);
        if !self.is_calm && random.percent(8) {
            let said = self.outside.cluster.borrow_mut().change(random);
            self.note(&format!("meanwhile: {said}"));
            self.tell(random);
        }
        self.ended(is_light);
        Ok(())
    }

    fn ended(&mut self, is_light: bool) {
        let (Some(watcher), Some(program)) = (&mut self.watcher, &self.program) else {
            return;
        };
        let now = watcher.moment(self.clock);
        watcher.schedule.ended(program.end, now);
        watcher.timed_at = match program.end {
            End::Light => watcher.timed_at,
            // Everything is asked for at times, whatever is open.
            End::Open(pause) => {
                let pause = u64::try_from(pause.as_millis()).expect("it is short");
                self.clock + pause.min(AT_TIMES)
            }
            End::Settled if self.stream.is_open() => self.clock + AT_TIMES,
            End::Settled | End::Failed => self.clock,
        };
        if !is_light {
            watcher.proof.is_not_wanted();
        }
        match program.stages.unproved() {
            None => watcher.proof.is_not_wanted(),
            Some(_) => watcher.proof.is_wanted(now),
        }
    }

    pub(crate) fn after_kill(&mut self, random: &mut Random) -> Result<(), Broken> {
        self.end_program();
        if random.percent(30) {
            let cut = random.pick(&[PowerCut::LosesNames, PowerCut::KeepsNames]);
            self.power_cut(cut)?;
        }
        Ok(())
    }
}

impl Stream {
    /// For a watcher that has just begun to listen.
    pub(crate) fn starts_anew(&mut self, now: u64) {
        let is_reliable = self.is_reliable;
        *self = Self::new(now);
        self.is_reliable = is_reliable;
    }
}
