use std::fmt;

use super::AppId;

/// Something that was left out or changed so that the rest could go on.
///
/// The five parts are what a person needs at night: whose it is, which part of it, what stood
/// there, what should have stood there, and what the program did about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Warning {
    /// The app that owns the fault; `None` where it cannot be told.
    pub app: Option<AppId>,
    /// The part of the app: a label, a field, a task, a service port. Written as in
    /// "label `HAPROXY_0_PORT`".
    pub subject: String,
    /// What stood there.
    pub found: String,
    /// What would have been right.
    pub expected: String,
    /// What the program did: "task left out".
    pub effect: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(app) = &self.app {
            write!(f, "app `{app}`: ")?;
        }
        write!(
            f,
            "{}: found {}, expected {}; {}",
            self.subject, self.found, self.expected, self.effect
        )
    }
}
