//! One turn of a watcher: what is tried and taken, and what is told of it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Result, bail};
use tokio::time::Instant;

use super::super::tell;
use super::super::turn::Turn;
use super::{Watcher, live};
use crate::apply::{Kind, Outcome};
use crate::cluster::AppId;
use crate::cycle::Unanswered;
use crate::disk;
use crate::haproxy::Version;
use crate::state::{LastTurn, Time};
use crate::watch::{End, left_open};

impl Watcher {
    /// Apps of which the next turn asks alone.
    pub(super) fn ask_for(&mut self, apps: Option<BTreeSet<AppId>>) {
        self.live.began();
        let apps = apps.filter(|apps| !self.is_worth_another_try(apps));
        self.stages.ask_for(apps, &self.memory.state);
    }

    /// Whether one of these apps was put into quarantine by trial, and that only once so far: it may have
    /// been no fault of its own, and is tried again in this turn, which then is a whole one.
    fn is_worth_another_try(&mut self, apps: &BTreeSet<AppId>) -> bool {
        let quarantined = self.memory.state.quarantined.iter_mut();
        let unproved =
            quarantined.filter(|entry| entry.unnamed == 1 && apps.contains(entry.app.as_str()));
        let mut any = false;
        for entry in unproved {
            entry.ask_again();
            any = true;
        }
        any
    }

    /// A whole turn, and when the next one is due for what is left of it.
    pub(super) async fn turn(&mut self) -> End {
        let (at, began) = (Time::at(SystemTime::now()), Instant::now());
        let is_on_trial = self.edit.is_on_trial();
        let last = self.memory.state.last_turn.as_ref();
        let last = last.filter(|_| is_on_trial).cloned();
        let mut postponed = None;
        let mut is_put_off = false;
        if let Some(result) = self.take_edit(at).await {
            if self.judge_edit(&result) {
                return self.without_edit(last);
            }
            if let Ok(turn) = result {
                is_put_off = turn.report.outcome.has_to_wait();
                if let Outcome::Postponed { until } = &turn.report.outcome {
                    postponed = Some(*until);
                }
                self.publish(Some(&turn), at);
                tell::warnings(&turn);
                self.tell_outcome(&turn);
            }
        }
        let result = self.take_turn(at).await;
        let since = self.checking_since.unwrap_or(at);
        self.checking_since = self.beside.is_running().then_some(since);
        self.tell_what_waits(&result, is_put_off);
        if self.judge_edit(&result) {
            return self.without_edit(last);
        }
        self.publish(result.as_ref().ok(), at);
        match result {
            Ok(turn) => {
                // Once is once.
                self.stages.allow_removal = false;
                tell::warnings(&turn);
                if turn.report.outcome == Outcome::Checking {
                    self.troubles.is_checking();
                } else {
                    self.troubles.failed(None);
                }
                self.troubles.held(tell::held(&turn).as_ref());
                self.tell_outcome(&turn);
                // By the clock of its beginning, which may have been set meanwhile.
                let now = at.after(began.elapsed());
                let end = left_open(&turn.report, &self.memory.state, now, self.refusals);
                self.stand_on(turn.report);
                self.lock.leave_folder();
                end
            }
            Err(error) => {
                self.lock.leave_folder();
                self.troubles.failed(Some(&error));
                match postponed {
                    Some(until) if error.is::<Unanswered>() => {
                        End::Open(until.since(at.after(began.elapsed())))
                    }
                    _ => End::Failed,
                }
            }
        }
    }

    /// Tells how a turn ended. Nothing is over before it is known what comes of a check, nor since servers
    /// alone were looked at.
    fn tell_outcome(&mut self, turn: &Turn) {
        let word = tell::outcome(turn, &self.config);
        if turn.report.outcome == Outcome::Checking || turn.report.is_light {
            word.say();
            return;
        }
        // The next one has HAProxy look anew.
        self.beside.forget();
        self.troubles.outcome(&word);
        let is_refused = matches!(turn.report.outcome, Outcome::Rejected { .. });
        self.refusals = if is_refused { self.refusals + 1 } else { 0 };
    }

    /// The edit came to nothing, and a turn without it follows: nothing of this one is told as if it were
    /// in service. Gives how it ends.
    fn without_edit(&mut self, last: Option<LastTurn>) -> End {
        self.memory.state.last_turn = last;
        // That was of what was edited.
        self.beside.forget();
        self.lock.leave_folder();
        End::Failed
    }

    /// # Errors
    /// When somebody else has the lock by now.
    pub(super) fn keep_lock(&mut self) -> Result<()> {
        if let Err(other) = self.lock.renew(&self.places, Kind::Watcher)? {
            let pid = other.map_or_else(String::new, |holder| format!(" (pid {})", holder.pid));
            bail!(
                "the lock `{}` was taken away, and another run{pid} has it; nothing is done beside it",
                self.places.file.display()
            );
        }
        Ok(())
    }

    async fn take_turn(&mut self, at: Time) -> Result<Turn> {
        self.keep_lock()?;
        let began = Instant::now();
        let result = match self.fit_haproxy().await {
            Ok(haproxy) => {
                self.enter_folder().await;
                let ground = self.ground(haproxy);
                let local = ground.for_turns();
                let place = &ground.at;
                let Self { memory, stages, .. } = self;
                match memory.servers_alone(stages, &local, place, at).await {
                    Ok(Some(turn)) => return Ok(turn),
                    Ok(None) => {
                        // It checks the file itself, at the same place.
                        self.proof.is_not_wanted();
                        memory.turn(stages, &local, place, at).await
                    }
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        let ended = at.after(began.elapsed());
        self.memory.state.asked_until(at, ended);
        self.memory.ended(result, at)
    }

    pub(super) async fn fit_haproxy(&mut self) -> Result<(PathBuf, Version)> {
        if let Some(why) = &self.unfit {
            bail!("{why}; the installed files stay, and nothing is applied until that is mended");
        }
        self.haproxy().await
    }

    /// What `status` and metrics tell.
    pub(super) fn publish(&self, turn: Option<&Turn>, at: Time) {
        let mut served = turn.and_then(live::built);
        if turn.is_some_and(|turn| turn.report.is_light) {
            served = self.stages.in_service.as_ref().map(live::in_service);
        }
        if served.is_none() && !self.live.knows_served() {
            let text = disk::read_text(&self.config.haproxy.config, disk::LARGEST_MADE);
            let header = self.stages.renderer.header();
            let both = text.ok().zip(header.ok());
            served = both.map(|(text, header)| live::read(&text, &header));
        }
        self.live.unsaved(self.memory.unsaved());
        self.live.checks(self.checking_since);
        let state = &self.memory.state;
        let served = (served, self.checking_since.is_some());
        self.live.ended(&live::ended(turn, state, at, served));
    }
}
