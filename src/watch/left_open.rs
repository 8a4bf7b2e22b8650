//! What a turn leaves for the next one.

use std::time::Duration;

use super::End;
use crate::apply::Outcome;
use crate::cycle::{Report, asked_again_after};
use crate::guard;
use crate::state::{State, Time};

/// What HAProxy cannot listen on is tried again after this, and so is what it refuses without a name,
/// in the long run.
const REFUSED_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The first time what it refuses is tried sooner; the pauses double.
const REFUSED_FIRST_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Marathon tells no event when a task becomes ready, though mostly one that follows from it.
const READY_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// What a turn leaves open, and until when. `refusals` is how often HAProxy refused what was wanted,
/// one time after the other.
#[must_use]
pub fn left_open(report: &Report, state: &State, now: Time, refusals: u32) -> End {
    // It looked at little.
    if report.is_light {
        return End::Light;
    }
    let pending = match &report.outcome {
        Outcome::ReloadFailed { next_try_at, .. } | Outcome::Waiting { next_try_at, .. } => {
            Some(next_try_at.since(now))
        }
        Outcome::Postponed { until } => Some(until.since(now)),
        Outcome::Rejected { .. } => {
            let doubled = REFUSED_FIRST_AGAIN_AFTER * (1 << refusals.saturating_sub(1).min(16));
            Some(doubled.min(REFUSED_AGAIN_AFTER))
        }
        // Its end is awaited.
        Outcome::Checking
        | Outcome::Unchanged
        | Outcome::Paused
        | Outcome::Applied { .. }
        | Outcome::NotRunning { .. } => None,
    };
    let plan = &report.plan;
    let held = plan.held.as_ref().map(|_| guard::APART);
    let refused = (!plan.refused.is_empty()).then_some(REFUSED_AGAIN_AFTER);
    let waiting = plan.waiting();
    let unready = (!waiting.tasks.is_empty()).then_some(READY_AGAIN_AFTER);
    let silent = waiting.until.map(|until| until.since(now));
    let quarantined = state.quarantined.iter();
    let due = quarantined.map(|entry| entry.asked_at.after(asked_again_after(entry)));
    // One that is due and was not asked, as while paused, or that took its time to be refused, waits.
    let due = due.map(|at| match at.since(now) {
        Duration::ZERO => REFUSED_AGAIN_AFTER,
        pause => pause,
    });
    let quarantined = due.min();
    let all = [pending, held, refused, quarantined, unready, silent];
    let all = all.into_iter().flatten();
    // Times are whole seconds, and what is due in this one may not be so yet.
    all.min().map_or(End::Settled, |pause| {
        End::Open(pause + Duration::from_secs(1))
    })
}
