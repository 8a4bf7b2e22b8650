//! What the labels of deployments say, and whether that can be read.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{App, GROUP, NEW_INSTANCES, STARTED_AT, TARGET_INSTANCES, Warning};

const A_DATE: &str = "a date such as 2026-02-01T16:15:04 (UTC) or 2026-02-01T16:15:04+01:00";
const A_TARGET: &str = "how many tasks there shall be in the end";

/// An app without a date is older than all others.
pub(super) fn started_at(app: &App) -> Result<Timestamp, Warning> {
    match app.labels.get(STARTED_AT) {
        None => Ok(Timestamp::MIN),
        Some(text) => date(text).ok_or_else(|| unreadable(app, STARTED_AT, &quoted(text), A_DATE)),
    }
}

/// RFC 3339, or ISO without a zone, which is UTC.
pub(super) fn date(text: &str) -> Option<Timestamp> {
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

pub(super) fn target(app: &App) -> Result<i64, Warning> {
    let text = app.labels.get(TARGET_INSTANCES);
    text.and_then(|text| number(text)).ok_or_else(|| {
        let found = text.map_or_else(|| "none".to_owned(), |text| quoted(text));
        unreadable(app, TARGET_INSTANCES, &found, A_TARGET)
    })
}

/// As Python read it.
fn number(text: &str) -> Option<i64> {
    text.trim().replace('_', "").parse().ok()
}

/// Labels of an app that cannot be read, whether they are needed now or not: they would be missed
/// in the middle of a deployment.
pub(super) fn misread(app: &App) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut tell = |label, expected, is_read: fn(&str) -> bool, effect: &str| {
        if let Some(text) = app.labels.get(label).filter(|text| !is_read(text)) {
            warnings.push(Warning {
                effect: effect.to_owned(),
                ..unreadable(app, label, &quoted(text), expected)
            });
        }
    };
    let effect = if app.labels.contains_key(GROUP) {
        "not used: where it is needed, nobody is drained"
    } else {
        "not used: the app is of no deployment"
    };
    let is_count = |text: &str| number(text).is_some_and(|count| count >= 0);
    tell(STARTED_AT, A_DATE, |text| date(text).is_some(), effect);
    tell(
        TARGET_INSTANCES,
        A_TARGET,
        |text| number(text).is_some(),
        effect,
    );
    tell(
        NEW_INSTANCES,
        "how many tasks of the new app shall stay beside the old one",
        is_count,
        "the number is not used, only that there is one",
    );
    warnings
}

fn quoted(text: &str) -> String {
    format!("`{}`", text.escape_debug())
}

pub(super) fn unreadable(app: &App, label: &str, found: &str, expected: &str) -> Warning {
    Warning {
        app: Some(app.id.clone()),
        subject: format!("label `{label}`"),
        found: found.to_owned(),
        expected: expected.to_owned(),
        effect: "all tasks of the deployment serve, none is drained".to_owned(),
    }
}
