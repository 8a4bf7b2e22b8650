//! What is left of an app where some of its tasks or health checks are none: all others. Of a task whose
//! health cannot be read all is left but that.
//!
//! Nearly every answer is right as a whole, so that an app is read in this way only after it could not be
//! read at once. In comes its text; out goes the app with what is sound, and what was left out.

use serde::Deserialize;

use super::body::{Misread, read};
use super::wire::{App, HealthCheck, HealthResult, Lesser, Task};

/// A part that was left out.
pub(super) struct LeftOut {
    /// Its place in the app, down to what is wrong.
    pub(super) misread: Misread,
    pub(super) effect: &'static str,
}

/// The app without those of its tasks and health checks, and of the results of these, that cannot be read.
///
/// # Errors
/// When anything else of it cannot be.
pub(super) fn sound(json: &str) -> Result<(App, Vec<LeftOut>), Misread> {
    let App {
        id,
        labels,
        env,
        ip_address,
        networks,
        container,
        port_definitions,
        ports,
        health_checks,
        readiness_checks,
        readiness_check_results,
        deployments,
        instances,
        version,
        version_info,
        tasks,
    } = read::<App<Lesser<Task>, Lesser<HealthCheck>>>(json)?;
    let mut left_out = Vec::new();
    let checks = health_checks.map(|list| {
        without_wrong(list, "healthChecks", |raw, place| {
            leave_out::<HealthCheck>(raw, place, "health check left out", &mut left_out)
        })
    });
    let tasks = tasks.map(|list| {
        without_wrong(list, "tasks", |raw, place| {
            let mended = without_wrong_results(raw, place, &mut left_out);
            mended.or_else(|| leave_out(raw, place, "task left out", &mut left_out))
        })
    });
    let app = App {
        id,
        labels,
        env,
        ip_address,
        networks,
        container,
        port_definitions,
        ports,
        health_checks: checks,
        readiness_checks,
        readiness_check_results,
        deployments,
        instances,
        version,
        version_info,
        tasks,
    };
    Ok((app, left_out))
}

/// With what `mend` makes of the text and the place of those that are wrong.
fn without_wrong<T>(
    list: Vec<Option<Lesser<T>>>,
    name: &str,
    mut mend: impl FnMut(&str, &str) -> Option<T>,
) -> Vec<Option<T>> {
    let sound = |(index, entry): (usize, Option<Lesser<T>>)| match entry? {
        Lesser::Right(part) => Some(part),
        Lesser::Wrong(raw) => mend(&raw, &format!("{name}[{index}]")),
    };
    list.into_iter().enumerate().map(sound).collect()
}

/// Nothing in its place.
fn leave_out<T>(
    raw: &str,
    place: &str,
    effect: &'static str,
    left_out: &mut Vec<LeftOut>,
) -> Option<T>
where
    T: for<'de> Deserialize<'de>,
{
    if let Err(found) = read::<T>(raw) {
        let misread = found.below(place);
        left_out.push(LeftOut { misread, effect });
    }
    None
}

/// A task without those results of its health checks that cannot be read; `None` where something else is
/// wrong with it.
fn without_wrong_results(raw: &str, place: &str, left_out: &mut Vec<LeftOut>) -> Option<Task> {
    type Results = Vec<Option<Lesser<HealthResult>>>;
    let Task {
        id,
        host,
        ports,
        ip_addresses,
        state,
        started_at,
        version,
        health_check_results,
    } = read::<Task<Lesser<Results>>>(raw).ok()?;
    let place = format!("{place}.healthCheckResults");
    let health_check_results = match health_check_results {
        None => None,
        Some(Lesser::Right(results)) => {
            const EFFECT: &str = "health check result left out";
            Some(without_wrong(results, &place, |raw, place| {
                leave_out::<HealthResult>(raw, place, EFFECT, left_out)
            }))
        }
        Some(Lesser::Wrong(raw)) => {
            leave_out::<Results>(&raw, &place, "health check results left out", left_out);
            None
        }
    };
    Some(Task {
        id,
        host,
        ports,
        ip_addresses,
        state,
        started_at,
        version,
        health_check_results,
    })
}

#[cfg(test)]
mod tests;
