//! What app owners say beside labels, where every value has its form: the path of a health check, and
//! the id of the app.

use std::sync::Arc;

use crate::cluster::{App, Field, Warning};
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
        found: format!("`{}`", app.id.as_str().escape_debug()),
        expected: "the id of an app: letters, digits and `._-`, parted by `/`".to_owned(),
        effect: "app left out".to_owned(),
    })
}

/// The app with the path of the check for this service port as HAProxy can ask for it.
///
/// # Errors
/// A path that no request can have.
pub(super) fn checked(
    app: &Arc<App>,
    index: usize,
    options: &ServiceOptions,
) -> Result<Arc<App>, Warning> {
    let Some((position, path)) = path_of(app, index, options) else {
        return Ok(Arc::clone(app));
    };
    match request(path) {
        Some(as_asked) if *as_asked == *path => Ok(Arc::clone(app)),
        Some(as_asked) => Ok(Arc::new(with_path(app, position, &as_asked))),
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
    request(path).map(|path| Arc::new(with_path(app, position, &path)))
}

/// Where the check for a service port stands, and its path.
fn path_of<'a>(app: &'a App, index: usize, options: &ServiceOptions) -> Option<(usize, &'a str)> {
    let position = check_of(app, index, options)?;
    let path = app.health_checks[position].path.as_deref()?;
    (!path.is_empty()).then_some((position, path))
}

/// The app where the check at `position` asks for `path`, also for templates that look into it.
fn with_path(app: &App, position: usize, path: &str) -> App {
    let mut app = app.clone();
    let check = &mut app.health_checks[position];
    check.path = Some(path.into());
    if let Field::Object(members) = Arc::make_mut(&mut check.fields) {
        let mut members = members.iter_mut();
        if let Some((_, value)) = members.find(|(name, _)| **name == *"path") {
            *value = Field::Text(path.into());
        }
    }
    app
}
