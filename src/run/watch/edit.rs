//! An edit of options or templates is on trial until HAProxy was brought to what comes of it. One that
//! is refused must not keep tasks from being followed: what counted before it does so again, and the
//! edit is tried again when it is edited once more, and after a while, each time a longer one.

use std::mem;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Error, Result};
use tokio::time::Instant;
use tracing::info;

use super::super::blame::Blamed;
use super::super::stages::Edited;
use super::super::turn::Turn;
use super::around::Around;
use super::{Watcher, now};
use crate::apply::Outcome;
use crate::apply::validate::Severity;
use crate::config::Config;
use crate::cycle::{NoPlace, Unanswered, Unwritable};
use crate::disk::Digest;
use crate::marathon::events::Follower;
use crate::state::Time;
use crate::watch::Schedule;

/// What it was refused for may be mended elsewhere, as by a file that it names. The first pause; the
/// following ones double.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The longest.
const AGAIN_AT_LEAST: Duration = Duration::from_secs(600);

/// One mistake in a template can be told once for each section.
const MOST_REASONS: usize = 3;

/// What is known of the options and templates in use.
#[derive(Default)]
pub(super) struct Edit {
    /// HAProxy was brought to what comes of them, so that later ones can be on trial.
    is_proved: bool,
    /// What counted before, while these are on trial.
    before: Option<Before>,
    /// What was read again, to be told once it counts.
    news: Option<&'static str>,
    /// The same of an edit that came to nothing, or could not be tried.
    pub(super) untried: Option<&'static str>,
    /// Why these came to nothing.
    fault: Option<String>,
    /// How often they did.
    failures: u32,
    /// Whose labels were refused already when they last did: who has joined them since may have been to
    /// blame.
    beside: Option<Vec<Refused>>,
}

/// An app, a position, and what is said there.
type Refused = (String, usize, Digest);

struct Before {
    edited: Edited,
    config: Rc<Config>,
}

impl Edit {
    pub(super) fn is_on_trial(&self) -> bool {
        self.before.is_some()
    }

    /// What was edited and is yet to be tried.
    fn waiting(&self) -> Option<&'static str> {
        self.news.filter(|_| self.is_on_trial() || !self.is_proved)
    }

    /// Somebody has edited again.
    pub(super) fn is_another(&mut self) {
        self.failures = 0;
    }

    /// It came to nothing: when it is tried again, if nobody edits before.
    pub(super) fn again_at(&mut self) -> Instant {
        let pause = AGAIN_AFTER.saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        Instant::now() + pause.min(AGAIN_AT_LEAST)
    }
}

impl Watcher {
    /// From now on turns are taken with these; gives whether the installed files may become others. `what`
    /// somebody has edited is told of; nothing is where HAProxy alone is another one.
    pub(super) fn put_to_use(
        &mut self,
        mut edited: Edited,
        config: Rc<Config>,
        what: Option<&'static str>,
    ) -> bool {
        let is_other =
            edited.decisions != self.stages.decisions || !have_one_program(&config, &self.config);
        let asks_anew = edited.asked_otherwise();
        if config.marathon.urls == self.config.marathon.urls {
            edited.remembers(&self.stages);
        }
        let is_first = self.unfit.take().is_some();
        self.beside.forget();
        let replaced = edited.put_into(&mut self.stages);
        if asks_anew && let Some(address) = &self.memory.state.last_good_marathon {
            self.stages.source.client.prefer(address);
        }
        let replaced_config = mem::replace(&mut self.config, config);
        let before = match self.edit.before.take() {
            Some(Before { edited, config }) => Some(Before {
                edited: edited.before(replaced),
                config,
            }),
            None => (is_other && self.edit.is_proved).then_some(Before {
                edited: replaced,
                config: replaced_config,
            }),
        };
        // Back to what is known to be good, nothing is on trial.
        self.edit.before = before.filter(|before| {
            before.edited.decisions != self.stages.decisions
                || !have_one_program(&before.config, &self.config)
        });
        self.stages.is_on_trial = self.edit.is_on_trial();
        if !self.edit.is_on_trial() {
            self.troubles.templates(None);
        }
        if is_other || self.edit.is_on_trial() {
            self.edit.news = what.or(self.edit.news);
        } else if asks_anew && let Some(what) = what {
            info!("{what} were read again");
        }
        is_other || is_first
    }

    /// Brings HAProxy to the edit on trial, with what Marathon said last: it waits for nobody. `None`
    /// where there is none, or where Marathon has to be asked first.
    pub(super) async fn take_edit(&mut self, at: Time) -> Option<Result<Turn>> {
        if !self.edit.is_on_trial() || self.keep_lock().is_err() {
            return None;
        }
        // Whatever hinders it is met once more by the turn that follows.
        let haproxy = self.fit_haproxy().await.ok()?;
        self.enter_folder().await;
        let ground = self.ground(haproxy);
        let local = ground.for_turns();
        let Self { memory, stages, .. } = self;
        memory.edited(stages, &local, &ground.at, at).await
    }

    /// An answer of Marathon may be what an edit waits for; not where it `is_postponed`, as reloads are.
    pub(super) fn tell_what_waits(&mut self, result: &Result<Turn>, is_postponed: bool) {
        match result {
            Err(error) if error.is::<Unanswered>() => {
                let waiting = self.edit.waiting().filter(|_| !is_postponed);
                self.troubles.waits_for_marathon(waiting);
            }
            Ok(_) => self.troubles.waits_for_marathon(None),
            Err(_) => (),
        }
    }

    /// What a turn says of the edit on trial, if one is: `true` where that has come to nothing, and the
    /// turn with it.
    pub(super) fn judge_edit(&mut self, result: &Result<Turn>) -> bool {
        match result {
            Ok(turn) if is_accepted(turn) => self.edit_counts(),
            Ok(turn) if self.edit.is_on_trial() => self.edit.fault = fault(turn),
            Err(error) if is_of_edit(error) || self.lacks_another_program() => {
                let is_on_trial = self.edit.is_on_trial();
                self.edit.fault = is_on_trial.then(|| format!("{error:#}"));
            }
            // The rest is no fault of an edit.
            Ok(_) | Err(_) => (),
        }
        self.edit.fault.is_some()
    }

    /// Whether the edit on trial names another program, which is not to be had.
    fn lacks_another_program(&self) -> bool {
        let before = self.edit.before.as_ref();
        let is_other = before.is_some_and(|b| !have_one_program(&b.config, &self.config));
        is_other && self.haproxy.is_none()
    }

    fn edit_counts(&mut self) {
        self.edit.is_proved = true;
        if self.edit.is_on_trial() {
            self.edit.failures = 0;
            self.edit.beside = None;
            self.troubles.templates(None);
        }
        if let Some(what) = self.edit.news.take() {
            self.troubles.templates(None);
            info!("{what} were read again");
        }
        if self.edit.before.take().is_some() {
            self.stages.is_on_trial = false;
            // What was refused before may be right now.
            self.memory.state.ask_again();
        }
    }

    fn refused(&self) -> Vec<Refused> {
        let quarantined = self.memory.state.quarantined.iter();
        quarantined
            .map(|entry| (entry.app.clone(), entry.index, entry.said))
            .collect()
    }

    /// Where the edit on trial has come to nothing, goes back to what counted before it. After the turn
    /// that follows it is tried once more, if that turn has found somebody else to blame.
    pub(super) async fn go_back(
        &mut self,
        around: &mut Around<'_>,
        follower: &mut Option<Follower>,
        schedule: &mut Schedule,
    ) {
        let refused = self.refused();
        let Some(fault) = self.edit.fault.take() else {
            if let Some(before) = &mut self.edit.beside
                && *before != refused
            {
                *before = refused;
                around.try_edit_again();
            }
            return;
        };
        self.edit.beside = Some(refused);
        let Some(Before { edited, config }) = self.edit.before.take() else {
            return;
        };
        self.edit.untried = self.edit.news.take();
        self.troubles.templates(Some(&fault));
        let asks_otherwise = edited.asked_otherwise();
        drop(edited.put_into(&mut self.stages));
        self.stages.is_on_trial = false;
        self.config = Rc::clone(&config);
        self.haproxy = None;
        if asks_otherwise {
            // It follows what was refused.
            if let Some(refused) = follower.take() {
                refused.leave(super::LEAVE).await;
            }
            // It says so itself.
            let _ = self.follow(&config, follower, schedule).await;
        }
        around.is_refused(self.edit.again_at());
        // What it kept waiting is due.
        schedule.asked(now());
    }
}

pub(super) fn have_one_program(one: &Config, other: &Config) -> bool {
    one.haproxy.program == other.haproxy.program
}

/// Whether HAProxy was brought to all that was wanted, or will be when it starts.
fn is_accepted(turn: &Turn) -> bool {
    let outcome = &turn.report.outcome;
    let is_in_place = outcome.is_in_place();
    is_in_place && !turn.report.plan.keeps_all && !turn.report.is_light
}

/// Whether that would not be so without the edit on trial.
fn is_of_edit(error: &Error) -> bool {
    error.is::<Unwritable>() || error.is::<NoPlace>()
}

/// `None` where nothing was found out yet.
fn fault(turn: &Turn) -> Option<String> {
    let plan = &turn.report.plan;
    match &turn.report.outcome {
        Outcome::Rejected { messages } if !plan.keeps_all => {
            let alerts = messages.iter().filter(|m| m.severity == Severity::Alert);
            let mut reasons: Vec<String> = alerts
                .map(|message| Blamed::of(plan, message).lasting())
                .collect();
            if MOST_REASONS < reasons.len() {
                let more = reasons.len() - MOST_REASONS;
                reasons.truncate(MOST_REASONS);
                reasons.push(format!("and {more} more"));
            }
            let reasons = reasons.join("; ");
            Some(format!("`haproxy -c` refuses what comes of it: {reasons}"))
        }
        Outcome::ReloadFailed { error, .. } | Outcome::Waiting { error, .. } => Some(format!(
            "HAProxy cannot be brought to what comes of it: {error}"
        )),
        Outcome::Rejected { .. }
        | Outcome::Postponed { .. }
        | Outcome::Checking
        | Outcome::Unchanged
        | Outcome::Paused
        | Outcome::Applied { .. }
        | Outcome::NotRunning { .. } => None,
    }
}
