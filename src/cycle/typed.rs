//! What app owners say beside labels, where every value has its form: the path of a health check, and
//! the id of the app.

use crate::cluster::{App, Warning};
use crate::labels::{is_app_id, is_request};

/// Why nothing of an app is served: the last good labels could not mend it.
pub(super) fn fault(app: &App) -> Option<Warning> {
    id_fault(app).or_else(|| check_fault(app))
}

/// An id that would not stay one word in the file.
fn id_fault(app: &App) -> Option<Warning> {
    if is_app_id(app.id.as_str()) {
        return None;
    }
    Some(Warning {
        app: Some(app.id.clone()),
        subject: "field `id`".to_owned(),
        found: format!("`{}`", app.id.as_str().escape_debug()),
        expected: "the id of an app: letters, digits and `._-`, parted by `/`".to_owned(),
        effect: "app left out".to_owned(),
    })
}

/// A path of a health check that would not.
fn check_fault(app: &App) -> Option<Warning> {
    let mut checks = app.health_checks.iter().enumerate();
    let (position, path) = checks.find_map(|(position, check)| {
        let path = check.path.as_deref()?;
        (!path.is_empty() && !is_request(path)).then_some((position, path))
    })?;
    Some(Warning {
        app: Some(app.id.clone()),
        subject: format!("field `healthChecks[{position}].path`"),
        found: format!("`{}`", path.escape_debug()),
        expected: "a path that begins with `/`, made of characters of a URL".to_owned(),
        effect: "app left out".to_owned(),
    })
}
