//! What is left of an app where some of its tasks or health checks are none: all others.
//!
//! Nearly every answer is right as a whole, so that an app is read in this way only after it could not be
//! read at once. In comes its text; out goes the app with what is sound, and what was left out.

use serde::Deserialize;

use super::body::{Misread, read};
use super::wire::{App, HealthCheck, Lesser, Task};

/// A part that was left out.
pub(super) struct LeftOut {
    /// Its place in the app, down to what is wrong.
    pub(super) misread: Misread,
    pub(super) effect: &'static str,
}

/// The app without those of its tasks and health checks that cannot be read.
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
        without_wrong(list, place, &mut left_out)
    });
    let tasks = tasks.map(|list| without_wrong(list, ("tasks", "task left out"), &mut left_out));
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

/// Nothing in the place of those that are wrong.
fn without_wrong<T>(
    list: Vec<Option<Lesser<T>>>,
    (name, effect): (&str, &'static str),
    left_out: &mut Vec<LeftOut>,
) -> Vec<Option<T>>
where
    T: for<'de> Deserialize<'de>,
{
    let mut sound = |(index, entry): (usize, Option<Lesser<T>>)| match entry? {
        Lesser::Right(part) => Some(part),
        Lesser::Wrong(raw) => {
            if let Err(found) = read::<T>(&raw) {
                let misread = found.below(&format!("{name}[{index}]"));
                left_out.push(LeftOut { misread, effect });
            }
            None
        }
    };
    list.into_iter().enumerate().map(&mut sound).collect()
}

#[cfg(test)]
mod tests;
