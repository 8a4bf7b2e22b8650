//! Bringing HAProxy to a plan, or to what is left of it: whoever the host stands against, or HAProxy
//! refuses, is left out, and the others are served in the same turn.

use std::mem;
use std::path::PathBuf;

use anyhow::{Error, Result};

use super::Stages;
use super::plan::Plan;
use super::refusal::{Left, Refusals};
use super::retried::retry_of_blamed;
use super::source::Source;
use super::unstartable::MOST_STARTS;
use crate::apply::validate::CheckError;
use crate::apply::{Accepted, Balancer, CheckMessage, FileSet, Host, Outcome, Retry};
use crate::diff;
use crate::resolve::Lookup;
use crate::state::{State, Time};

/// What a plan came to.
pub(super) struct Applied {
    pub(super) plan: Plan,
    pub(super) outcome: Outcome,
    pub(super) complaints: Option<Vec<CheckMessage>>,
    /// Who was left out of it and is to be tried.
    pub(super) retries: Vec<Retry>,
}

/// A plan for which there is no room beside what it takes the place of.
#[derive(Default)]
struct Steps {
    /// All of it, which HAProxy accepts, while its first step is taken.
    rest: Option<(Plan, Accepted)>,
    /// The file of the first step, which was taken.
    done: Option<String>,
}

impl Steps {
    fn are_begun(&self) -> bool {
        self.rest.is_some() || self.done.is_some()
    }
}

impl Applied {
    pub(super) fn of(plan: Plan, outcome: Outcome) -> Self {
        Self {
            plan,
            outcome,
            complaints: None,
            retries: Vec::new(),
        }
    }

    fn hearing(self, complaints: Option<Vec<CheckMessage>>) -> Self {
        Self { complaints, ..self }
    }

    fn retrying(self, retries: Vec<Retry>) -> Self {
        Self { retries, ..self }
    }
}

impl<S: Source, L: Lookup> Stages<S, L> {
    /// The plan without what the files and the ports of this host stand against. Who shows which
    /// certificate is looked at last: whoever is taken out, or served as before, can change it.
    pub(super) fn as_the_host_allows<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        plan: Plan,
        installed: Option<&str>,
    ) -> Result<Plan> {
        let plan = self.without_unfit_files(host, plan, installed)?;
        let listable = |paths: &[Box<str>], bases: &[PathBuf]| host.balancer.listable(paths, bases);
        let plan = self.with_crt_lists(plan, installed, listable)?;
        let plan = self.without_held_ports(host, plan, installed)?;
        let plan = self.without_short_of_files(host, plan, installed)?;
        self.without_usurpers(host, plan, installed)
    }

    /// Puts its first step in the place of a plan that needs two. Between them whoever moves is served by
    /// nobody, so that nothing is begun before HAProxy has accepted all of it: else gives what the plan
    /// comes to.
    async fn divide<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        (plan, steps, known): (&mut Plan, &mut Steps, &mut Option<Accepted>),
        installed: Option<&str>,
        memory: &State,
        now: Time,
    ) -> Result<Option<Outcome>> {
        let Some(first) = self.first_step(host, plan, installed)? else {
            self.whole = None;
            return Ok(None);
        };
        if let Some(waiting) = host.waits(&plan.files, memory, now) {
            return Ok(Some(waiting));
        }
        let known = known.take().or(self.whole.take());
        let whole = match known.filter(|(files, _)| *files == plan.files) {
            Some(whole) => whole,
            None => match host.check(&plan.files).await? {
                Ok(warnings) => (plan.files.clone(), warnings),
                Err(outcome) => return Ok(Some(outcome)),
            },
        };
        steps.rest = Some((mem::replace(plan, first), whole));
        Ok(None)
    }

    /// The whole plan, where its first step could not be taken.
    fn all_of(&mut self, steps: Steps, plan: Plan) -> Plan {
        let Some((rest, whole)) = steps.rest else {
            return plan;
        };
        self.whole = Some(whole);
        rest
    }

    /// Brings HAProxy to a plan; to what is left of it where HAProxy refuses a part.
    pub(super) async fn apply<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        mut plan: Plan,
        installed: Option<&str>,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Applied> {
        let mut complaints = None;
        let mut retries = Vec::new();
        let mut steps = Steps::default();
        if plan.keeps_all {
            // HAProxy may have ended, or been brought away from them.
            let Some(files) = host.proved_files(&plan.files, memory)? else {
                return Ok(Applied::of(plan, Outcome::Unchanged));
            };
            plan.change = diff::compare(installed, &files.cfg);
            plan.files = files;
        } else {
            plan = self.as_the_host_allows(host, plan, installed)?;
            (plan, retries) = self.without_retried(host, plan, installed)?;
        }
        // Before anybody was blamed for a check without an end.
        let mut unblamed: Option<Plan> = None;
        let mut refusals = Refusals::default();
        let mut starts = 0;
        let mut accepted: Option<Accepted> = None;
        loop {
            if memory.paused.is_some() {
                let outcome = host.leave(&plan.files, memory, now)?;
                return Ok(Applied::of(plan, outcome));
            }
            let refused = if steps.are_begun() || plan.keeps_all {
                None
            } else {
                let parts = (&mut plan, &mut steps, &mut accepted);
                self.divide(host, parts, installed, memory, now).await?
            };
            let outcome = match refused {
                Some(outcome) => outcome,
                None => {
                    let step = (&plan.files, accepted.take(), steps.done.is_some());
                    bring_step(host, step, memory, now, remember, &mut complaints).await?
                }
            };
            if outcome.is_settled()
                && let Some((rest, whole)) = steps.rest.take()
            {
                // What goes is closed by now, and there is room for what comes.
                steps.done = Some(plan.files.cfg.clone());
                plan = rest;
                plan.change = diff::compare(steps.done.as_deref(), &plan.files.cfg);
                accepted = Some(whole);
                continue;
            }
            let installed = steps.done.as_deref().or(installed);
            let left = match &outcome {
                Outcome::Rejected { messages } if !plan.keeps_all => {
                    let left = self.left_of(host, &plan, messages, installed, &mut refusals);
                    match left.await {
                        Err(error) if goes_on(&error) => {
                            let plan = self.all_of(steps, unblamed.unwrap_or(plan));
                            return Ok(Applied::of(plan, Outcome::Checking));
                        }
                        left => left?,
                    }
                }
                Outcome::ReloadFailed { messages, .. } if starts + 1 < MOST_STARTS => {
                    starts += 1;
                    let left =
                        self.without_unstartable(host, &plan, messages, installed, memory)?;
                    left.map_or(Left::Nothing, |left| Left::Of(Box::new(left), None))
                }
                _ => Left::Nothing,
            };
            match left {
                Left::AsItWas(files) => accepted = Some(files),
                Left::Of(left, files) => {
                    if outcome.is_of_a_wait() {
                        unblamed.get_or_insert(plan);
                    }
                    (plan, accepted) = (*left, files);
                }
                Left::Nothing => {
                    // Nobody is to blame before HAProxy came to an end without him: perhaps it never does.
                    let is_unproved = outcome == Outcome::Checking || outcome.is_of_a_wait();
                    let plan = match unblamed {
                        Some(before) if is_unproved => before,
                        Some(before) if host.balancer.can_retry() => {
                            retries.extend(retry_of_blamed(before, &plan));
                            plan
                        }
                        _ => plan,
                    };
                    let plan = self.all_of(steps, plan);
                    let applied = Applied::of(plan, outcome).hearing(complaints);
                    return Ok(applied.retrying(retries));
                }
            }
        }
    }
}

/// Brings HAProxy to these files, which may be of a second step, and which it may have accepted before.
async fn bring_step<B: Balancer>(
    host: &Host<'_, B>,
    (files, known, is_second): (&FileSet, Option<Accepted>, bool),
    memory: &mut State,
    now: Time,
    remember: &mut dyn FnMut(&State),
    complaints: &mut Option<Vec<CheckMessage>>,
) -> Result<Outcome> {
    // The reload of the first step counts for later turns: whoever moves is served by nobody until the
    // second.
    let is_of_first = |last: &mut Time| is_second && *last == now;
    let of_first = memory.reloaded_at.take_if(is_of_first);
    let outcome = host
        .bring_to_hearing(files, known, memory, now, remember, complaints)
        .await;
    memory.reloaded_at = memory.reloaded_at.or(of_first);
    outcome
}

/// Whether it is only that a check takes longer than whoever asked waits.
#[must_use]
pub fn goes_on(error: &Error) -> bool {
    let error = error.downcast_ref::<CheckError>();
    error.is_some_and(|error| matches!(error, CheckError::GoesOn))
}
