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
            write!(f, "app `{}`: ", cut(app.as_str(), LONGEST_NAME))?;
        }
        let Shown {
            subject,
            found,
            expected,
            effect,
        } = self.shown();
        write!(f, "{subject}: found {found}, expected {expected}; {effect}")
    }
}

impl Warning {
    /// Its parts but for the app, which is only itself as a whole. A label can be as long as an answer, and
    /// HAProxy repeats it.
    #[must_use]
    pub fn shown(&self) -> Shown<'_> {
        Shown {
            subject: cut(&self.subject, LONGEST_NAME),
            found: cut(&self.found, LONGEST_TEXT),
            expected: cut(&self.expected, LONGEST_TEXT),
            effect: cut(&self.effect, LONGEST_TEXT),
        }
    }
}

/// Parts of a [`Warning`], none without end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown<'w> {
    /// As there.
    pub subject: Cow<'w, str>,
    /// As there.
    pub found: Cow<'w, str>,
    /// As there.
    pub expected: Cow<'w, str>,
    /// As there.
    pub effect: Cow<'w, str>,
}

/// Of what stood somewhere, and of sentences of ours that name it.
const LONGEST_TEXT: usize = 1000;

/// Of an app, a label, a task: more than any that is meant.
pub const LONGEST_NAME: usize = 300;

/// A text in a message, of so many characters at most.
#[must_use]
pub fn cut(text: &str, longest: usize) -> Cow<'_, str> {
    match text.char_indices().nth(longest) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
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
        let long = Warning {
            app: Some(AppId::new(&"a".repeat(100_000))),
            subject: format!("label `{}`", "b".repeat(100_000)),
            expected: "c".repeat(100_000),
            effect: "d".repeat(100_000),
            ..of("it".to_owned())
        };
        assert!(long.to_string().len() < 3000, "{long}");
        // Nor is any of its parts without end, where each is told by itself.
        let parts = long.shown();
        for part in [&parts.subject, &parts.expected, &parts.effect] {
            assert!(part.len() < 1010, "{part}");
        }
        let whole = of("é".repeat(1000)).to_string();
        assert!(whole.contains("é, expected less"), "{whole}");
    }
}
