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
        let place = ("healthChecks", "health check left out");
        without_wrong(list, place, |_, _, _| None, &mut left_out)
    });
    let tasks = tasks.map(|list| {
        let place = ("tasks", "task left out");
        without_wrong(list, place, without_wrong_results, &mut left_out)
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

/// Nothing in the place of those that are wrong, or what `mend` makes of their text.
fn without_wrong<T>(
    list: Vec<Option<Lesser<T>>>,
    (name, effect): (&str, &'static str),
    mend: fn(&str, &str, &mut Vec<LeftOut>) -> Option<T>,
    left_out: &mut Vec<LeftOut>,
) -> Vec<Option<T>>
where
    T: for<'de> Deserialize<'de>,
{
    let mut sound = |(index, entry): (usize, Option<Lesser<T>>)| match entry? {
        Lesser::Right(part) => Some(part),
        Lesser::Wrong(raw) => {
            let place = format!("{name}[{index}]");
            let mended = mend(&raw, &place, left_out);
            if mended.is_none()
                && let Err(found) = read::<T>(&raw)
            {
                let misread = found.below(&place);
                left_out.push(LeftOut { misread, effect });
            }
            mended
        }
    };
    list.into_iter().enumerate().map(&mut sound).collect()
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
            let place = (&*place, "health check result left out");
            let results = without_wrong(results, place, |_, _, _| None, left_out);
            Some(results)
        }
        Some(Lesser::Wrong(raw)) => {
            if let Err(found) = read::<Results>(&raw) {
                left_out.push(LeftOut {
                    misread: found.below(&place),
                    effect: "health check results left out",
                });
            }
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
