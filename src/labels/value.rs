//! How single labels are read. Python read them for marathon-lb, and its forms count.

use super::Auth;

/// True is `true`, `t`, `yes` or `y`, in any case; everything else is false, `1` and `on` too.
pub(super) fn is_true(text: &str) -> bool {
    matches!(text.to_lowercase().as_str(), "true" | "t" | "yes" | "y")
}

/// A list that commas part, untrimmed: an empty text is one empty name.
pub(super) fn list(text: &str) -> Vec<Box<str>> {
    text.split(',').map(Into::into).collect()
}

/// Text that becomes a part of one line. Anything that could open another is refused here; what
/// HAProxy makes of the rest is for its check to say.
pub(super) fn line(text: &str) -> Result<Box<str>, String> {
    if text.chars().any(char::is_control) {
        return Err("text on one line, without control characters".to_owned());
    }
    Ok(text.into())
}

/// Words that white space parts.
pub(super) fn words(text: &str) -> Result<Vec<Box<str>>, String> {
    text.split_whitespace().map(line).collect()
}

/// An integer in Python's form: blanks around it, a sign, `_` between digits.
pub(super) fn integer(text: &str) -> Result<i64, String> {
    let expected = || "an integer".to_owned();
    let text = text.trim();
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => ("-", &text[1..]),
        Some(b'+') => ("", &text[1..]),
        _ => ("", text),
    };
    let parted = digits.split('_');
    let is_number = parted
        .clone()
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if !is_number {
        return Err(expected());
    }
    let digits: String = parted.collect();
    format!("{sign}{digits}").parse().map_err(|_| expected())
}

/// A number that could stand where a port stands: HAProxy judges those that are none.
pub(super) fn port(text: &str) -> Result<u32, String> {
    integer(text)?
        .try_into()
        .map_err(|_| "a port number".to_owned())
}

/// `realm:user:cryptedpassword`.
pub(super) fn auth(text: &str) -> Result<Auth, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let [realm, user, password] = parts[..] else {
        return Err("`realm:user:cryptedpassword`, three parts".to_owned());
    };
    Ok(Auth {
        realm: line(realm)?,
        user: line(user)?,
        password: line(password)?,
    })
}

/// The text of a label for a message; of a password, only that there was one.
pub(super) fn shown(name: &str, text: &str) -> String {
    const LONGEST: usize = 80;
    if name == "AUTH" {
        let parts = text.split(':').count();
        return format!("{parts} parts (not shown, since one is a password)");
    }
    match text.char_indices().nth(LONGEST) {
        None => format!("`{}`", text.escape_debug()),
        Some((end, _)) => format!("`{}…`", text[..end].escape_debug()),
    }
}
