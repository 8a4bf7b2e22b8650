//! Two apps of one deployment become one: the older is drained while the newer takes over
//! (marathon-lb 1.15, "Blue/green merge").

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{App, AppId, Task, Warning};

const GROUP: &str = "HAPROXY_DEPLOYMENT_GROUP";
const STARTED_AT: &str = "HAPROXY_DEPLOYMENT_STARTED_AT";
const NEW_INSTANCES: &str = "HAPROXY_DEPLOYMENT_NEW_INSTANCES";
const TARGET_INSTANCES: &str = "HAPROXY_DEPLOYMENT_TARGET_INSTANCES";

/// Apps without a deployment group first, then one app for each group, in the order in which the
/// groups appear.
///
/// Where a label of a pair cannot be read, nobody is drained: both serve, under the definition of
/// the one that is listed first. A group that bears the id of an app is left out: their sections
/// would have one name.
#[must_use]
pub fn merge(apps: &[Arc<App>]) -> (Vec<Arc<App>>, Vec<Warning>) {
    let mut merged = Vec::with_capacity(apps.len());
    // What bears the id of the group in the end keeps its own until then, for warnings.
    let mut groups: Vec<(AppId, App)> = Vec::new();
    let mut positions: BTreeMap<AppId, usize> = BTreeMap::new();
    let mut warnings = Vec::new();
    for app in apps {
        let Some(group) = app.labels.get(GROUP) else {
            merged.push(Arc::clone(app));
            continue;
        };
        if group.is_empty() {
            warnings.push(nameless(app));
            merged.push(Arc::clone(app));
            continue;
        }
        let id = AppId::new(group);
        match positions.get(&id) {
            None => {
                positions.insert(id.clone(), groups.len());
                groups.push((id, App::clone(app)));
            }
            Some(&at) => {
                let merged = pair(&groups[at].1, app, &mut warnings);
                groups[at].1 = merged;
            }
        }
    }
    let alone: BTreeSet<AppId> = merged.iter().map(|app| app.id.clone()).collect();
    for (id, app) in groups {
        if alone.contains(&id) {
            warnings.push(taken(&id));
        } else {
            merged.push(Arc::new(App { id, ..app }));
        }
    }
    (merged, warnings)
}

/// `first` is listed before `second`, or is what came of earlier ones, with the id of whose
/// definition it has.
fn pair(first: &App, second: &App, warnings: &mut Vec<Warning>) -> App {
    match roles(first, second) {
        Ok(roles) => drained(&roles, !second.health_checks.is_empty()),
        Err(warning) => {
            warnings.push(warning);
            joined(first, sorted(&first.tasks), second)
        }
    }
}

/// Who goes and who comes, and how many tasks there shall be in the end.
struct Roles<'a> {
    old: &'a App,
    new: &'a App,
    target: i64,
}

fn roles<'a>(first: &'a App, second: &'a App) -> Result<Roles<'a>, Warning> {
    let (mut old, mut new) = if started_at(first)? < started_at(second)? {
        (first, second)
    } else {
        (second, first)
    };
    if !new.labels.contains_key(NEW_INSTANCES) {
        return Ok(Roles {
            old,
            new,
            target: 1,
        });
    }
    if old.last_scaling_at > new.last_scaling_at {
        (old, new) = (new, old);
    }
    Ok(Roles {
        old,
        new,
        target: target(new)?,
    })
}

fn drained(roles: &Roles<'_>, checked: bool) -> App {
    let Roles { old, new, target } = roles;
    let ready = if checked {
        new.tasks.iter().filter(|task| is_alive(task)).count() as u64
    } else {
        new.instances
    };
    let instances = i64::try_from(ready.saturating_add(old.instances)).unwrap_or(i64::MAX);
    let spare = u64::try_from(instances.saturating_sub(*target)).unwrap_or(0);
    let count = usize::try_from(ready.min(spare)).unwrap_or(usize::MAX);
    let mut tasks = sorted(&old.tasks);
    for task in tasks.iter_mut().take(count) {
        task.draining = true;
    }
    joined(old, tasks, new)
}

fn joined(definition: &App, mut tasks: Vec<Task>, other: &App) -> App {
    tasks.extend(other.tasks.iter().cloned());
    App {
        tasks,
        ..definition.clone()
    }
}

fn sorted(tasks: &[Task]) -> Vec<Task> {
    let mut tasks = tasks.to_vec();
    tasks.sort_by(|one, other| one.id.cmp(&other.id));
    tasks
}

fn is_alive(task: &Task) -> bool {
    let results = task.health.iter().flatten();
    results.into_iter().any(|result| result.alive)
}

/// An app without a date is older than all others.
fn started_at(app: &App) -> Result<Timestamp, Warning> {
    match app.labels.get(STARTED_AT) {
        None => Ok(Timestamp::MIN),
        Some(text) => date(text).ok_or_else(|| {
            let expected = "a date such as 2026-02-01T16:15:04 (UTC) or 2026-02-01T16:15:04+01:00";
            unreadable(
                app,
                STARTED_AT,
                &format!("`{}`", text.escape_debug()),
                expected,
            )
        }),
    }
}

/// RFC 3339, or ISO without a zone, which is UTC.
fn date(text: &str) -> Option<Timestamp> {
    let is_iso = text
        .as_bytes()
        .get(10)
        .is_some_and(|byte| matches!(byte, b'T' | b't' | b' '));
    // A zone by name is neither.
    if !is_iso || text.contains('[') {
        return None;
    }
    let with_zone = text.parse::<Timestamp>().ok();
    with_zone.or_else(|| {
        let civil = text.parse::<DateTime>().ok()?;
        TimeZone::UTC.to_timestamp(civil).ok()
    })
}

fn target(app: &App) -> Result<i64, Warning> {
    let text = app.labels.get(TARGET_INSTANCES);
    // As Python read it.
    let number = text.and_then(|text| text.trim().replace('_', "").parse().ok());
    number.ok_or_else(|| {
        let found = match text {
            None => "none".to_owned(),
            Some(text) => format!("`{}`", text.escape_debug()),
        };
        unreadable(
            app,
            TARGET_INSTANCES,
            &found,
            "how many tasks there shall be in the end",
        )
    })
}

fn nameless(app: &App) -> Warning {
    Warning {
        effect: "served as an app of its own".to_owned(),
        ..unreadable(
            app,
            GROUP,
            "no text",
            "the name that the apps of a deployment share",
        )
    }
}

fn taken(id: &AppId) -> Warning {
    Warning {
        app: Some(id.clone()),
        subject: format!("label `{GROUP}`"),
        found: format!("`{id}`, which is also the id of an app without that label"),
        expected: "a name that no other app bears".to_owned(),
        effect: "the apps of the deployment are not served".to_owned(),
    }
}

fn unreadable(app: &App, label: &str, found: &str, expected: &str) -> Warning {
    Warning {
        app: Some(app.id.clone()),
        subject: format!("label `{label}`"),
        found: found.to_owned(),
        expected: expected.to_owned(),
        effect: "all tasks of the deployment serve, none is drained".to_owned(),
    }
}

#[cfg(test)]
mod tests;
