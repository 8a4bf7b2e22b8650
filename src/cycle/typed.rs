//! What app owners say beside labels, where every value has its form: paths and numbers of health
//! checks, and the id of the app.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::cluster::{App, Field, HealthCheck, LONGEST_NAME, Warning, cut};
use crate::labels::{ServiceOptions, Settings, is_app_id, request};
use crate::proxy::marathon_lb::check_of;

/// The name of the path of a service port's check among what is said of it. No label is called so.
const CHECK_PATH: &str = "healthChecks.path";

/// Why nothing of an app is served: an id that would not stay one word in the file. The last good
/// labels could not mend it.
pub(super) fn fault(app: &App) -> Option<Warning> {
    if is_app_id(app.id.as_str()) {
        return None;
    }
    Some(Warning {
        app: Some(app.id.clone()),
        subject: "field `id`".to_owned(),
        found: format!("`{}`", cut(app.id.as_str(), LONGEST_NAME).escape_debug()),
        expected: "the id of an app: at most 1000 letters, digits and `._-`, parted by `/`"
            .to_owned(),
        effect: "app left out".to_owned(),
    })
}

/// A number of a health check that HAProxy is told.
struct Number {
    name: &'static str,
    /// HAProxy counts milliseconds, and failures together with successes, in 31 bits.
    range: RangeInclusive<u64>,
    of: fn(&mut HealthCheck) -> &mut u64,
}

static NUMBERS: [Number; 3] = [
    Number {
        name: "intervalSeconds",
        range: 1..=1_000_000,
        of: |check| &mut check.interval_seconds,
    },
    Number {
        name: "timeoutSeconds",
        range: 0..=1_000_000,
        of: |check| &mut check.timeout_seconds,
    },
    Number {
        name: "maxConsecutiveFailures",
        range: 0..=1_000_000,
        of: |check| &mut check.max_consecutive_failures,
    },
];

/// Numbers of the check for this service port that HAProxy does not take; [`checked`] has the
/// nearest that it does.
pub(super) fn beyond_bounds(app: &App, index: usize, options: &ServiceOptions) -> Vec<Warning> {
    let Some(position) = check_of(app, index, options) else {
        return Vec::new();
    };
    let beyond = clamped(&app.health_checks[position]);
    let warning = |(number, found, taken): (&Number, u64, u64)| {
        let (least, most) = (number.range.start(), number.range.end());
        Warning {
            app: Some(app.id.clone()),
            subject: format!("field `healthChecks[{position}].{}`", number.name),
            found: format!("`{found}`"),
            expected: format!("a number from {least} to {most}"),
            effect: format!("taken for {taken}"),
        }
    };
    beyond.into_iter().map(warning).collect()
}

/// The numbers of a check that HAProxy does not take, and the nearest that it does.
fn clamped(check: &HealthCheck) -> Vec<(&'static Number, u64, u64)> {
    let mut check = check.clone();
    let clamped = NUMBERS.iter().filter_map(|number| {
        let found = *(number.of)(&mut check);
        let taken = found.clamp(*number.range.start(), *number.range.end());
        (taken != found).then_some((number, found, taken))
    });
    clamped.collect()
}

/// The app where the numbers of the check at `position` are ones that HAProxy takes.
fn within_bounds(app: &Arc<App>, position: usize) -> Arc<App> {
    let mut bounded = Arc::clone(app);
    for (number, _, taken) in clamped(&app.health_checks[position]) {
        let check = &mut Arc::make_mut(&mut bounded).health_checks[position];
        *(number.of)(check) = taken;
        let field = Field::Int(i64::try_from(taken).unwrap_or(i64::MAX));
        replace(check, number.name, field);
    }
    bounded
}

/// The app with the check for this service port as HAProxy can make it.
///
/// # Errors
/// A path that no request can have.
pub(super) fn checked(
    app: &Arc<App>,
    index: usize,
    options: &ServiceOptions,
) -> Result<Arc<App>, Warning> {
    let bounded = match check_of(app, index, options) {
        Some(position) => within_bounds(app, position),
        None => return Ok(Arc::clone(app)),
    };
    let Some((position, path)) = path_of(app, index, options) else {
        return Ok(bounded);
    };
    match request(path) {
        Some(as_asked) if *as_asked == *path => Ok(bounded),
        Some(as_asked) => Ok(Arc::new(with_path(&bounded, position, &as_asked))),
        None => Err(Warning {
            app: Some(app.id.clone()),
            subject: format!("field `healthChecks[{position}].path`"),
            found: format!("`{}`", path.escape_debug()),
            expected:
                "a path of a URL, without blanks, control characters, `\"`, `#`, `<`, `>`, `\\`, \
                       `^` and backquotes"
                    .to_owned(),
            effect: String::new(),
        }),
    }
}

/// Adds the path of that check to what is `said` of the service port.
pub(super) fn say_check(said: &mut Settings, app: &App, index: usize, options: &ServiceOptions) {
    if let Some((_, path)) = path_of(app, index, options) {
        let as_asked = request(path).map_or_else(|| path.into(), String::into_boxed_str);
        said.insert(CHECK_PATH.into(), as_asked);
    }
}

/// The app as `options` want it, which were good; with the path of then where today's is unfit, and
/// without checks where there was none. `None` where that was unfit as well.
pub(super) fn checked_as_before(
    app: &Arc<App>,
    index: usize,
    options: &ServiceOptions,
    last_good: &Settings,
) -> Option<Arc<App>> {
    if let Ok(app) = checked(app, index, options) {
        return Some(app);
    }
    let (position, _) = path_of(app, index, options)?;
    let Some(path) = last_good.get(CHECK_PATH) else {
        let mut app = App::clone(app);
        app.health_checks.clear();
        return Some(Arc::new(app));
    };
    let path = request(path)?;
    Some(Arc::new(with_path(
        &within_bounds(app, position),
        position,
        &path,
    )))
}

/// Where the check for a service port stands, and its path.
fn path_of<'a>(app: &'a App, index: usize, options: &ServiceOptions) -> Option<(usize, &'a str)> {
    let position = check_of(app, index, options)?;
    Some((position, app.health_checks[position].path.as_deref()?))
}

/// The app where the check at `position` asks for `path`, also for templates that look into it.
fn with_path(app: &App, position: usize, path: &str) -> App {
    let mut app = app.clone();
    let check = &mut app.health_checks[position];
    check.path = Some(path.into());
    replace(check, "path", Field::Text(path.into()));
    app
}

/// Puts another value into what templates see of a check, where there is one.
fn replace(check: &mut HealthCheck, name: &str, field: Field) {
    if let Field::Object(members) = Arc::make_mut(&mut check.fields) {
        let mut members = members.iter_mut();
        if let Some((_, value)) = members.find(|(own, _)| **own == *name) {
            *value = field;
        }
    }
}
