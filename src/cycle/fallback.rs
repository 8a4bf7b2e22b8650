//! What takes the place of options that cannot be served: those with which the service port was
//! last served, beside the tasks of today.
//!
//! They come from the answer that HAProxy was last brought to, and are remembered from then on for
//! as long as their owner says something else that is refused.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::permitted::members;
use crate::apply::CheckMessage;
use crate::cluster::{App, AppId, Warning, merge_deployments};
use crate::config::Values;
use crate::disk::Digest;
use crate::labels::{self, ServiceOptions, Settings};
use crate::marathon;
use crate::state::{Quarantined, Refusal, SavedSnapshot, Time};

/// What HAProxy refused may be right later, for a file that it names may come. So it is asked again
/// after this time, although nobody said anything else.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// The same where HAProxy named nobody: that may have been short of memory, and no app's fault. The
/// pauses double.
const UNNAMED_ASKED_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The longest pause where HAProxy does not start: while it finds out, it can have the old listeners
/// refuse connections for seconds.
const START_ASKED_AGAIN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How long after it was last refused it is asked again.
#[must_use]
pub fn asked_again_after(entry: &Quarantined) -> Duration {
    let doubled = |pause: Duration, times: u32| pause * (1 << (times - 1).min(16));
    match (entry.starts, entry.unnamed) {
        (0, 0) => ASKED_AGAIN_AFTER,
        (0, times) => doubled(UNNAMED_ASKED_AGAIN_AFTER, times).min(ASKED_AGAIN_AFTER),
        (times, _) => doubled(ASKED_AGAIN_AFTER, times).min(START_ASKED_AGAIN_AFTER),
    }
}

/// Reads the last good answer from where it is kept.
pub type LastAnswer = Rc<dyn Fn() -> Option<SavedSnapshot>>;

/// An app, and the position among its service ports.
pub(super) type Place = (AppId, usize);

/// Where options are found that were served, and what is refused now.
#[derive(Clone, Default)]
pub(super) struct Fallback {
    last_answer: Option<LastAnswer>,
    last_apps: Option<BTreeMap<AppId, Arc<App>>>,
    remembered: BTreeMap<Place, Quarantined>,
    /// What was decided beside the labels, and when this is.
    turn: Option<(Digest, Time)>,
    refused: BTreeMap<Place, Quarantined>,
    /// Who is asked about again, though the same kept HAProxy from an end the last time.
    retried: Vec<(Place, Warning)>,
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("remembered", &self.remembered)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

/// What one service port asks for now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) app: &'a AppId,
    pub(super) index: usize,
    pub(super) service_port: u32,
    /// As in [`Quarantined`].
    pub(super) written_port: Option<u32>,
    /// What is said of it.
    pub(super) said: &'a Settings,
    /// How it is read.
    pub(super) values: Values,
}

impl Asking<'_> {
    fn place(self) -> Place {
        (self.app.clone(), self.index)
    }
}

impl Fallback {
    pub(super) fn new(
        last_answer: Option<LastAnswer>,
        quarantined: &[Quarantined],
        decisions: Digest,
        now: Time,
    ) -> Self {
        let remembered = quarantined.iter();
        Self {
            last_answer,
            remembered: remembered
                .map(|entry| ((AppId::new(&entry.app), entry.index), entry.clone()))
                .collect(),
            turn: Some((decisions, now)),
            ..Self::default()
        }
    }

    /// Whether nobody is out or kept as before.
    pub(super) fn is_empty(&self) -> bool {
        self.refused.is_empty()
    }

    /// What was refused, for the next turn.
    pub(super) fn quarantined(&self) -> Vec<Quarantined> {
        self.refused.values().cloned().collect()
    }

    /// What is remembered of a refusal by now.
    pub(super) fn entry(&self, place: &Place) -> Option<&Quarantined> {
        self.refused.get(place)
    }

    /// Has only that be remembered.
    pub(super) fn put_back(&mut self, place: &Place, entry: Option<Quarantined>) {
        match entry {
            Some(entry) => self.refused.insert(place.clone(), entry),
            None => self.refused.remove(place),
        };
    }

    /// Why HAProxy is not asked about this: it refused the same not long ago.
    pub(super) fn known(
        &mut self,
        app: &AppId,
        index: usize,
        service_port: u32,
        said: impl FnOnce() -> Settings,
    ) -> Option<Warning> {
        if self.remembered.is_empty() {
            return None;
        }
        let entry = self.remembered.get(&(app.clone(), index))?;
        let said = Digest::of_value(&said());
        if self.is_young(entry, service_port, said) {
            return Some(entry.why.warning(app));
        }
        let is_of_a_wait = entry.unnamed > 0 && CheckMessage::are_of_a_wait(&entry.why.found);
        if is_of_a_wait && !entry.is_open && self.is_same(entry, service_port, said) {
            let place = (app.clone(), index);
            let why = entry.why.warning(app);
            self.retried.push((place, why));
        }
        None
    }

    /// Who is in the plan again though the same kept HAProxy from an end the last time, and why it
    /// was out.
    pub(super) fn retried(&self) -> Vec<(Place, Warning)> {
        let retried = self.retried.iter();
        let is_asked = |place: &Place| !self.refused.contains_key(place);
        retried
            .filter(|(place, _)| is_asked(place))
            .cloned()
            .collect()
    }

    fn is_young(&self, entry: &Quarantined, service_port: u32, said: Digest) -> bool {
        self.turn.is_some_and(|(_, now)| {
            let age = now.since(entry.asked_at);
            let is_young = now >= entry.asked_at && age < asked_again_after(entry);
            is_young && !entry.is_open && self.is_same(entry, service_port, said)
        })
    }

    /// Whether nothing is said otherwise by now.
    fn is_same(&self, entry: &Quarantined, service_port: u32, said: Digest) -> bool {
        let decisions = self.turn.map(|(decisions, _)| decisions);
        // Where no label names the service port, it can be what was refused.
        entry.said == said
            && entry.service_port == service_port
            && Some(entry.decisions) == decisions
    }

    /// What the service port was last served with, as options and as it was said; `None` where that is
    /// what is said now, or cannot be read. Notes that what is said now is refused. `said_of` gives
    /// what an app said of the service port; nothing where another one stood at that position, since
    /// whom the one lets in the other may have to keep out.
    pub(super) fn instead_of(
        &mut self,
        asking: Asking<'_>,
        why: &Warning,
        said_of: &dyn Fn(&App) -> Option<Settings>,
    ) -> Option<(ServiceOptions, Settings)> {
        let place = asking.place();
        let said = Digest::of_value(asking.said);
        let before = self.remembered.get(&place);
        let before = before.filter(|entry| entry.written_port == asking.written_port);
        let before = before.cloned();
        let last_good = match &before {
            Some(entry) => entry.last_good.clone(),
            None => self.served_with(asking, said_of),
        };
        let last_good = last_good.filter(|last_good| last_good != asking.said);
        let (decisions, now) = self.turn?;
        let young = before.as_ref();
        let young = young.filter(|entry| self.is_young(entry, asking.service_port, said));
        let (asked_at, unnamed, starts) = young.map_or((now, 0, 0), |entry| {
            (entry.asked_at, entry.unnamed, entry.starts)
        });
        let good = last_good.and_then(|settings| {
            let (options, faults) =
                labels::parse(&settings, asking.app, asking.index, asking.values);
            faults.is_empty().then_some((options, settings))
        });
        let entry = Quarantined {
            app: asking.app.as_str().to_owned(),
            index: asking.index,
            service_port: asking.service_port,
            written_port: asking.written_port,
            since: before.map_or(now, |entry| entry.since),
            asked_at,
            said,
            decisions,
            why: Refusal::of(why),
            is_open: false,
            unnamed,
            starts,
            last_good: good.as_ref().map(|(_, settings)| settings.clone()),
        };
        self.refused.insert(place, entry);
        good
    }

    /// Others have a part in the refusal, so that it is no reason not to ask again.
    pub(super) fn keeps_open(&mut self, app: &AppId, index: usize) {
        if let Some(entry) = self.refused.get_mut(&(app.clone(), index)) {
            entry.is_open = true;
        }
    }

    /// It was found by trial alone.
    pub(super) fn was_unnamed(&mut self, app: &AppId, index: usize) {
        let times = self.in_a_row(app, index, |before| before.unnamed);
        if let Some(entry) = self.refused.get_mut(&(app.clone(), index)) {
            entry.unnamed = times;
        }
    }

    /// HAProxy accepted it, and did not start with it.
    pub(super) fn kept_from_starting(&mut self, app: &AppId, index: usize) {
        let times = self.in_a_row(app, index, |before| before.starts);
        if let Some(entry) = self.refused.get_mut(&(app.clone(), index)) {
            entry.starts = times;
        }
    }

    /// How often the same was refused in this way by now.
    fn in_a_row(&self, app: &AppId, index: usize, times: fn(&Quarantined) -> u32) -> u32 {
        let place = (app.clone(), index);
        let now = self.refused.get(&place);
        let before = self.remembered.get(&place).filter(|before| {
            now.is_some_and(|now| before.said == now.said && before.decisions == now.decisions)
        });
        before.map_or(0, times).saturating_add(1)
    }

    /// What was last good is refused as well.
    pub(super) fn give_up(&mut self, app: &AppId, index: usize) {
        if let Some(entry) = self.refused.get_mut(&(app.clone(), index)) {
            entry.last_good = None;
        }
    }

    fn served_with(
        &mut self,
        asking: Asking<'_>,
        said_of: &dyn Fn(&App) -> Option<Settings>,
    ) -> Option<Settings> {
        said_of(self.last_apps(asking.values).get(asking.app)?)
    }

    fn last_apps(&mut self, values: Values) -> &BTreeMap<AppId, Arc<App>> {
        let last_answer = self.last_answer.as_ref();
        self.last_apps.get_or_insert_with(|| {
            let apps = last_answer.and_then(|read| apps_of(&read()?.bytes));
            let merged = merge_deployments(&apps.unwrap_or_default(), members(values));
            let apps = merged.apps.into_iter();
            apps.map(|app| (app.id.clone(), app)).collect()
        })
    }
}

/// The apps of an answer that was kept.
pub(super) fn apps_of(answer: &[u8]) -> Option<Vec<Arc<App>>> {
    let (apps, _) = marathon::apps(str::from_utf8(answer).ok()?).ok()?;
    Some(apps.into_iter().map(Arc::new).collect())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn who_was_found_by_trial_alone_is_asked_again_sooner_and_then_ever_later() {
        let decisions = Digest::of(b"decisions");
        let app = AppId::new("/a");
        let said = Settings::default();
        let mut now = Time::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        let why = Warning {
            app: Some(app.clone()),
            subject: "service port 10000".to_owned(),
            found: "something".to_owned(),
            expected: "a section".to_owned(),
            effect: String::new(),
        };
        let asking = Asking {
            app: &app,
            index: 0,
            service_port: 10_000,
            written_port: None,
            said: &said,
            values: Values::Typed,
        };
        let mut quarantined = Vec::new();
        let mut refuse = |is_named: bool, now| {
            let mut fallback = Fallback::new(None, &quarantined, decisions, now);
            assert!(fallback.instead_of(asking, &why, &|_| None).is_none());
            if !is_named {
                fallback.was_unnamed(&app, 0);
            }
            quarantined = fallback.quarantined();
            let pause = asked_again_after(&quarantined[0]);
            let known = |after: Duration| {
                let mut then = Fallback::new(None, &quarantined, decisions, now.after(after));
                then.known(&app, 0, 10_000, || said.clone()).is_some()
            };
            assert!(known(pause.saturating_sub(Duration::from_secs(1))) && !known(pause));
            // What is passed on unasked is passed on as it is.
            let mut idle = Fallback::new(None, &quarantined, decisions, now);
            assert!(idle.instead_of(asking, &why, &|_| None).is_none());
            assert_eq!(idle.quarantined(), quarantined);
            pause
        };
        for minutes in [1, 2, 4, 8, 10, 10] {
            let pause = refuse(false, now);
            assert_eq!(pause, Duration::from_secs(60 * minutes));
            now = now.after(pause);
        }
        assert_eq!(refuse(true, now), ASKED_AGAIN_AFTER);
        now = now.after(ASKED_AGAIN_AFTER);
        assert_eq!(refuse(false, now), UNNAMED_ASKED_AGAIN_AFTER);
    }
}
