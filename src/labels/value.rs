//! What is read alike in every command line, and how a label is shown.

use super::typed::kind_of_password;
use crate::cluster::cut;

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
