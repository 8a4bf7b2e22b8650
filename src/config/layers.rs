//! What was given, and where: one layer for each place in which options may stand.
//!
//! A layer holds text, not values: what is wrong with a text is found when it is read into its
//! field, with its origin at hand.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::option::Definition;
use super::secret::{HIDDEN, redact_value};
use super::value::Expected;
use super::{Config, option::VARIABLE_PREFIX};

/// Where a text was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// As an option: `--reload fast`.
    Flag,
    /// As a bare word behind a call of the bash bridge.
    Host,
    /// As an option of a predecessor's command line, whose own words tell what is wrong.
    Predecessor,
    /// In the variable of its option.
    Environment,
    /// As a key of the TOML file.
    File {
        /// Its path.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// In the list of Marathons.
    List {
        /// Its path.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

impl Origin {
    /// Counted from 1; 0 where there are no lines.
    pub(super) const fn line(&self) -> usize {
        match self {
            Self::File { line, .. } | Self::List { line, .. } => *line,
            Self::Flag | Self::Host | Self::Predecessor | Self::Environment => 0,
        }
    }

    /// How people find it.
    pub(super) fn describe(&self, option: &str) -> String {
        match self {
            Self::Flag | Self::Predecessor => format!("option `--{option}`"),
            Self::Host => "host".to_owned(),
            Self::Environment => {
                let name = option.to_ascii_uppercase().replace('-', "_");
                format!("environment variable `{VARIABLE_PREFIX}{name}`")
            }
            Self::File { path, line } => format!("{}:{line}: key `{option}`", path.display()),
            Self::List { path, line } => format!("{}:{line}", path.display()),
        }
    }
}

/// A text and where it stands. Its `Debug` form shows no passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct Written {
    /// As it was written.
    pub text: String,
    /// Where.
    pub origin: Origin,
    is_secret: bool,
}

impl Written {
    /// As it may be shown.
    fn shown(&self) -> Cow<'_, str> {
        if self.is_secret {
            return HIDDEN.into();
        }
        redact_value(&self.text)
    }
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({:?})", self.shown(), self.origin)
    }
}

/// What one place gave: for each option at least one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    given: BTreeMap<&'static str, Given>,
}

#[derive(Clone, PartialEq, Eq)]
struct Given {
    option: &'static Definition,
    written: Vec<Written>,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}

impl Layer {
    /// Adds `text` to what was given for `option`.
    pub fn add(&mut self, option: &'static Definition, text: String, origin: Origin) {
        let given = self.given.entry(option.name).or_insert(Given {
            option,
            written: Vec::new(),
        });
        given.written.push(Written {
            text,
            origin,
            is_secret: option.is_secret(),
        });
    }

    /// What was given for `option`; the last one counts unless they add up.
    #[must_use]
    pub fn of(&self, option: &str) -> &[Written] {
        self.given.get(option).map_or(&[], |given| &given.written)
    }

    /// Whether `option` was given.
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        self.given.contains_key(option)
    }

    /// Reads all into `config`, over what is there.
    pub(super) fn apply(&self, config: &mut Config) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for Given { option, written } in self.given.values() {
            option.clear(config);
            let has_secret = written.iter().any(|written| written.text.contains('@'));
            for one in written {
                let Err(Expected(expected)) = option.set(config, &one.text) else {
                    continue;
                };
                if one.origin == Origin::Predecessor {
                    mistakes.push(Mistake::general(expected.into_owned()));
                    continue;
                }
                let place = one.origin.describe(option.name);
                // A password with a separator in it is cut in two before we see it: then the part
                // before the cut does not look like a secret, but is one.
                let is_part_of_secret = option.is_repeatable() && has_secret;
                let found = if is_part_of_secret && !one.text.contains('@') {
                    HIDDEN.into()
                } else {
                    one.shown()
                };
                let text = format!("{place}: found {found:?}, expected {expected}");
                mistakes.push(Mistake::at(one.origin.line(), text));
            }
        }
        mistakes
    }
}

/// One thing that somebody wrote and that cannot be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    line: usize,
    text: String,
}

impl Mistake {
    pub(super) const fn at(line: usize, text: String) -> Self {
        Self { line, text }
    }

    /// One that belongs to no line.
    pub(super) const fn general(text: String) -> Self {
        Self { line: 0, text }
    }

    /// Counted from 1; 0 where there are no lines.
    pub(super) const fn line(&self) -> usize {
        self.line
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// All that is wrong, so that nobody has to try again for each: exit 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.0.iter().enumerate() {
            if 0 < i {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
