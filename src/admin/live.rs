//! What a watcher publishes of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::cluster::AppId;
use crate::marathon::Fetched;
use crate::marathon::events::{Doubt, Heard, Told};
use crate::state::{Time, TurnOutcome, Unsaved};

/// What `status --json` and the page `/status` have under `watcher`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Its process.
    pub pid: u32,
    /// When it began.
    pub since: Time,
    /// Who tells it of changes, as shown to people; null while nobody does.
    pub events_from: Option<String>,
    /// Since when that is so.
    pub events_since: Time,
    /// Events that came so far.
    pub events: u64,
    /// When the last one came.
    pub last_event: Option<Time>,
    /// What is not answered by a turn yet.
    pub pending: Pending,
    /// Since when it is at work on a turn, or on what else keeps turns waiting; null while it is not.
    #[serde(default)]
    pub turn_since: Option<Time>,
    /// Since when `haproxy -c` looks at what is wanted, beside its turns; null while it does not.
    #[serde(default)]
    pub checking_since: Option<Time>,
    /// Turns so far, by what they came to; all that they can come to are there.
    pub turns: BTreeMap<String, u64>,
    /// When one last came to a good end.
    pub last_good_turn: Option<Time>,
    /// How often HAProxy was brought to files.
    pub reloads: u64,
    /// What Marathon was asked.
    pub fetches: Fetches,
    /// What is held back.
    pub held: Held,
    /// Service ports that are out, or served as they were before.
    pub quarantined: usize,
    /// What the installed file serves; null where that is not known yet.
    pub served: Option<Served>,
    /// The spare backends of the process that serves; null where it has none.
    #[serde(default)]
    pub spares: Option<Spares>,
    /// The last turn, where the state could not be saved; null where it was.
    #[serde(default)]
    pub unsaved: Option<Unsaved>,
    /// What was edited and is not put to use: what counted before does.
    #[serde(default)]
    pub unused: Vec<Unused>,
}

/// An edit of options, templates or certificates that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unused {
    /// Since when there is one.
    pub since: Time,
    /// What is wrong with the last one, in a sentence.
    pub why: String,
}

/// What Marathon told of, and no turn has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pending {
    /// Nothing.
    #[default]
    Nothing,
    /// So many apps.
    Apps(usize),
    /// Anything may have changed.
    Everything,
}

/// What Marathon was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetches {
    /// For everything.
    pub whole: u64,
    /// For one app.
    pub single: u64,
    /// Without a usable answer.
    pub failed: u64,
    /// All that came, uncompressed.
    pub bytes: u64,
}

/// What is held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Held {
    pub service_ports: usize,
    pub servers: usize,
}

/// What the installed file serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Served {
    pub services: usize,
    pub servers: usize,
}

/// Spare backends of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spares {
    /// For those that come.
    pub left: usize,
    /// Those that once stood in for one that came: none does twice.
    pub used: usize,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// When it began.
    pub at: Time,
    /// How.
    pub outcome: TurnOutcome,
    /// More is wanted than HAProxy was brought to.
    pub is_unfinished: bool,
    /// HAProxy was told of files.
    pub reloaded: bool,
    /// What is held back; `None` where the turn did not come so far.
    pub held: Option<Held>,
    /// Service ports in quarantine.
    pub quarantined: usize,
    /// `None` where the turn did not change it.
    pub served: Option<Served>,
    /// `None` where there are none.
    pub spares: Option<Spares>,
}

/// Published by the watcher, read by whoever asks.
#[derive(Debug)]
pub struct Live {
    shared: Mutex<Shared>,
    fetched: Arc<Fetched>,
}

#[derive(Debug)]
struct Shared {
    facts: Facts,
    touched: BTreeSet<AppId>,
    heard: Option<Arc<Heard>>,
}

const OUTCOMES: [(TurnOutcome, &str); 6] = [
    (TurnOutcome::Unchanged, "unchanged"),
    (TurnOutcome::Applied, "applied"),
    (TurnOutcome::Paused, "paused"),
    (TurnOutcome::Rejected, "rejected"),
    (TurnOutcome::ReloadFailed, "reload-failed"),
    (TurnOutcome::Failed, "failed"),
];

impl Live {
    /// Of a watcher that begins now.
    #[must_use]
    pub fn new(pid: u32, now: Time, fetched: Arc<Fetched>) -> Self {
        let turns = OUTCOMES.iter().map(|(_, word)| ((*word).to_owned(), 0));
        let facts = Facts {
            pid,
            since: now,
            events_from: None,
            events_since: now,
            events: 0,
            last_event: None,
            // Nothing was asked yet.
            pending: Pending::Everything,
            turn_since: None,
            checking_since: None,
            turns: turns.collect(),
            last_good_turn: None,
            reloads: 0,
            fetches: Fetches::default(),
            held: Held::default(),
            quarantined: 0,
            served: None,
            spares: None,
            unsaved: None,
            unused: Vec::new(),
        };
        Self {
            shared: Mutex::new(Shared {
                facts,
                touched: BTreeSet::new(),
                heard: None,
            }),
            fetched,
        }
    }

    /// Work begins, during which nothing else is answered.
    pub fn works(&self, now: Time) {
        self.shared().facts.turn_since = Some(now);
    }

    /// It ended.
    pub fn rests(&self) {
        self.shared().facts.turn_since = None;
    }

    /// Who counts the events from now on, and has heard none yet; nobody where none are followed. Those
    /// of before count on.
    pub fn hears(&self, heard: Option<Arc<Heard>>, now: Time) {
        let Shared {
            facts, heard: old, ..
        } = &mut *self.shared();
        if let Some(old) = std::mem::replace(old, heard) {
            facts.events += old.events();
            facts.last_event = old.last_at().map(Time::at).or(facts.last_event);
        }
        if facts.events_from.take().is_some() {
            facts.events_since = now;
        }
    }

    /// The last event that could not be read, once.
    #[must_use]
    pub fn unread(&self) -> Option<Doubt> {
        self.shared().heard.as_ref()?.unread()
    }

    /// Marathon told something.
    pub fn told(&self, told: &Told, now: Time) {
        let Shared { facts, touched, .. } = &mut *self.shared();
        match told {
            Told::Attached { from } => {
                facts.events_from = Some(from.clone());
                facts.events_since = now;
                facts.pending = Pending::Everything;
            }
            Told::Lost(_) if facts.events_from.is_some() => {
                facts.events_from = None;
                facts.events_since = now;
            }
            Told::Lost(_) => (),
            Told::Doubt(_) => facts.pending = Pending::Everything,
            Told::Touched(apps) => {
                touched.extend(apps.iter().cloned());
                if facts.pending != Pending::Everything {
                    facts.pending = Pending::Apps(touched.len());
                }
            }
        }
    }

    /// A turn begins, which answers all that was told so far.
    pub fn began(&self) {
        let shared = &mut *self.shared();
        shared.facts.pending = Pending::Nothing;
        shared.touched.clear();
    }

    /// It ended.
    pub fn ended(&self, ended: &Ended) {
        let facts = &mut self.shared().facts;
        let word = OUTCOMES.iter().find(|(known, _)| *known == ended.outcome);
        if let Some(turns) = word.and_then(|(_, word)| facts.turns.get_mut(*word)) {
            *turns += 1;
        }
        let is_good = matches!(
            ended.outcome,
            TurnOutcome::Unchanged | TurnOutcome::Applied | TurnOutcome::Paused
        );
        if is_good && !ended.is_unfinished {
            facts.last_good_turn = Some(ended.at);
        }
        if ended.outcome == TurnOutcome::Failed {
            // It took what it should have answered with it.
            facts.pending = Pending::Everything;
        }
        facts.reloads += u64::from(ended.reloaded);
        facts.held = ended.held.unwrap_or(facts.held);
        facts.quarantined = ended.quarantined;
        facts.served = ended.served.or(facts.served);
        facts.spares = ended.spares;
    }

    /// The last turn, where the state could not be saved.
    pub fn unsaved(&self, unsaved: Option<Unsaved>) {
        self.shared().facts.unsaved = unsaved;
    }

    /// What was edited and is not put to use.
    pub fn unused(&self, unused: Vec<Unused>) {
        self.shared().facts.unused = unused;
    }

    /// Since when a check goes on.
    pub fn checks(&self, since: Option<Time>) {
        self.shared().facts.checking_since = since;
    }

    /// HAProxy was brought to the installed files again.
    pub fn reloaded(&self) {
        self.shared().facts.reloads += 1;
    }

    /// Whether it is known what is served.
    #[must_use]
    pub fn knows_served(&self) -> bool {
        self.shared().facts.served.is_some()
    }

    /// As it is now.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let shared = self.shared();
        let heard = shared.heard.as_ref();
        let fetched = &self.fetched;
        Facts {
            events: shared.facts.events + heard.map_or(0, |heard| heard.events()),
            last_event: heard
                .and_then(|heard| heard.last_at())
                .map(Time::at)
                .or(shared.facts.last_event),
            fetches: Fetches {
                whole: fetched.whole(),
                single: fetched.single(),
                failed: fetched.failed(),
                bytes: fetched.bytes(),
            },
            ..shared.facts.clone()
        }
    }

    /// Every change is made in one go, so that a panic elsewhere leaves none half made.
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::marathon::events::Lost;

    fn at(seconds: u64) -> Time {
        Time::at(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn live() -> Live {
        Live::new(17, at(1), Arc::default())
    }

    fn ended(outcome: TurnOutcome, second: u64) -> Ended {
        Ended {
            at: at(second),
            outcome,
            is_unfinished: false,
            reloaded: outcome == TurnOutcome::Applied,
            held: Some(Held::default()),
            quarantined: 0,
            served: None,
            spares: None,
        }
    }

    fn touched(ids: &[&str]) -> Told {
        Told::Touched(ids.iter().map(|id| AppId::new(id)).collect())
    }

    #[test]
    fn what_no_turn_has_answered_is_pending() {
        let live = live();
        assert_eq!(live.facts().pending, Pending::Everything);
        live.began();
        assert_eq!(live.facts().pending, Pending::Nothing);
        live.told(&touched(&["/a", "/b"]), at(2));
        live.told(&touched(&["/b"]), at(2));
        assert_eq!(live.facts().pending, Pending::Apps(2));
        live.told(&Told::Doubt(Doubt::Garbled), at(2));
        live.told(&touched(&["/c"]), at(2));
        assert_eq!(live.facts().pending, Pending::Everything);
        live.began();
        live.told(&touched(&["/c"]), at(3));
        assert_eq!(live.facts().pending, Pending::Apps(1));
        live.ended(&ended(TurnOutcome::Failed, 3));
        assert_eq!(live.facts().pending, Pending::Everything);
    }

    #[test]
    fn events_of_whoever_was_followed_before_count_on() {
        let live = live();
        for round in 1..4 {
            let heard = Arc::new(Heard::default());
            live.hears(Some(Arc::clone(&heard)), at(round));
            heard.event();
            heard.event();
            let facts = live.facts();
            assert_eq!(facts.events, 2 * round);
            assert!(facts.last_event.is_some());
        }
        live.hears(None, at(9));
        assert_eq!(live.facts().events, 6);
        assert!(live.facts().last_event.is_some());
    }

    #[test]
    fn who_tells_of_changes_and_since_when() {
        let live = live();
        let lost = Told::Lost(Lost {
            failures: Vec::new(),
            retry_in: Duration::ZERO,
        });
        let now = |live: &Live| {
            let facts = live.facts();
            (facts.events_from, facts.events_since)
        };
        live.told(&lost, at(2));
        assert_eq!(now(&live), (None, at(1)));
        live.told(&Told::Attached { from: "m1".into() }, at(3));
        assert_eq!(now(&live), (Some("m1".to_owned()), at(3)));
        live.told(&lost, at(4));
        live.told(&lost, at(5));
        assert_eq!(now(&live), (None, at(4)));
    }

    #[test]
    fn turns_are_counted_and_what_they_did_not_learn_stays() {
        let live = live();
        let served = Some(Served {
            services: 2,
            servers: 5,
        });
        live.ended(&Ended {
            served,
            ..ended(TurnOutcome::Applied, 2)
        });
        live.ended(&ended(TurnOutcome::Unchanged, 3));
        live.ended(&Ended {
            held: Some(Held {
                service_ports: 4,
                servers: 9,
            }),
            ..ended(TurnOutcome::Unchanged, 4)
        });
        live.ended(&Ended {
            held: None,
            ..ended(TurnOutcome::Failed, 5)
        });
        live.reloaded();
        let facts = live.facts();
        assert_eq!(facts.turns["unchanged"], 2);
        assert_eq!(facts.turns["applied"], 1);
        assert_eq!(facts.turns["failed"], 1);
        assert_eq!(facts.turns["rejected"], 0);
        assert_eq!((facts.last_good_turn, facts.reloads), (Some(at(4)), 2));
        assert_eq!((facts.served, facts.held.servers), (served, 9));
    }
}
