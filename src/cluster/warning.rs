use std::borrow::Cow;
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
            self.subject,
            self.shown(),
            self.expected,
            self.effect
        )
    }
}

impl Warning {
    /// What stood there, not without end: a label can be as long as an answer, and HAProxy repeats it.
    #[must_use]
    pub fn shown(&self) -> Cow<'_, str> {
        const LONGEST: usize = 1000;
        match self.found.char_indices().nth(LONGEST) {
            None => Cow::Borrowed(&self.found),
            Some((end, _)) => Cow::Owned(format!("{}…", &self.found[..end])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_fits_in_a_line_however_long_it_is() {
        let of = |found: String| Warning {
            app: None,
            subject: "label `X`".to_owned(),
            found,
            expected: "less".to_owned(),
            effect: "not used".to_owned(),
        };
        let told = of("é".repeat(100_000)).to_string();
        assert_eq!(told.chars().filter(|c| *c == 'é').count(), 1000);
        assert!(told.ends_with("é…, expected less; not used"), "{told}");
        let whole = of("é".repeat(1000)).to_string();
        assert!(whole.contains("é, expected less"), "{whole}");
    }
}
