//! What is read alike in every command line, and how a label is shown.

use super::known::is_known;
use super::typed::{has_password, kind_of_password};
use crate::cluster::cut;
use crate::config::nearest;

/// In the place of a password, which logs and whoever reads them have no need of.
pub const NOT_SHOWN: &str = "(not shown)";

/// True is `true`, `t`, `yes` or `y`, in any case; everything else is false, `1` and `on` too.
pub(super) fn is_true(text: &str) -> bool {
    matches!(text.to_lowercase().as_str(), "true" | "t" | "yes" | "y")
}

/// A list that commas part, untrimmed: an empty text is one empty name.
pub(super) fn list(text: &str) -> Vec<Box<str>> {
    text.split(',').map(Into::into).collect()
}

/// Words of names behind which somebody may have meant a password.
const OF_PASSWORDS: [&str; 6] = [
    "AUTH",
    "CREDENTIALS",
    "PASSWD",
    "PASSWORD",
    "SECRET",
    "TOKEN",
];

/// Whether nobody is shown what stands in a label: a password as crypt(3) makes it, and whatever stands
/// behind a name that may be that of `AUTH`, or of a password, misspelt or not.
#[must_use]
pub fn is_secret(name: &str, value: &str) -> bool {
    let is_near = |name: &str| {
        let mut words = name.split('_');
        words.any(|word| nearest(word, OF_PASSWORDS).is_some())
    };
    name.ends_with("_AUTH")
        || has_password(value)
        || !is_known(name) && is_near(&name.to_ascii_uppercase())
}

/// The text of a label for a message, with the part that is wrong where it is known; of a password,
/// only that there was one.
pub(super) fn shown(name: &str, text: &str, part: Option<&str>) -> String {
    if name == "AUTH" {
        let parts = text.split(':').count();
        let part = part.filter(|part| !part.is_empty());
        let which = part.map(|part| format!(", of which the {part} is wrong"));
        let which = which.unwrap_or_default();
        let kind = part.filter(|part| *part == "password");
        let kind = kind.and_then(|_| kind_of_password(text));
        let kind = kind.map(|kind| format!(": {kind}")).unwrap_or_default();
        return format!("{parts} parts{which} (not shown, since one is a password{kind})");
    }
    if has_password(text) {
        return "a text (not shown, since it has a password in it)".to_owned();
    }
    match part {
        Some(part) if part != text && !part.is_empty() => {
            format!("{} in {}", quoted(part), quoted(text))
        }
        _ => quoted(text),
    }
}

fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    format!("`{}`", cut(text, LONGEST).escape_debug())
}
