//! Paths and addresses of pages.
//!
//! Of the characters of a URL (RFC 3986), `'` and `$` are left out: HAProxy could take them for its
//! own.

use std::fmt::Write as _;

use super::word::is_made_of;
use super::{Read, Wrong};

/// What may stand in a path beside letters and digits; `%` is looked at on its own.
const OF_PATH: &[u8] = b"-._~!&()*+,;=:@/";
/// Those of them that are no sign in a regular expression.
const LITERAL: &[u8] = b"-._~!&,;=:@/";

/// The beginnings of paths, parted by blanks, as they stand behind `path_beg`; before them `-i`,
/// where case does not count.
pub(super) fn beginnings(text: &str) -> Read<'_, Box<str>> {
    let words: Vec<&str> = text
        .split([' ', '\t'])
        .filter(|word| !word.is_empty())
        .collect();
    let flags = usize::from(words.first() == Some(&"-i"));
    let paths = &words[flags..];
    if paths.is_empty() {
        return Err(Wrong(text));
    }
    // A percent sign stands for itself there, and may stand alone.
    let is_beginning =
        |path: &&str| path.starts_with('/') && is_made_of(&path.replace('%', "/"), OF_PATH);
    if let Some(wrong) = paths.iter().find(|path| !is_beginning(path)) {
        return Err(Wrong(wrong));
    }
    Ok(words.join(" ").into())
}

/// A path that stands in a regular expression, and means itself there.
pub(super) fn prefix(text: &str) -> Read<'_, Box<str>> {
    let is_prefix = text.starts_with('/') && is_encoded(text, LITERAL);
    is_prefix.then(|| text.into()).ok_or(Wrong(text))
}

/// A path that takes the place of what a regular expression found. A percent sign would have to be
/// written once or twice, as the version of HAProxy wants it.
pub(super) fn root(text: &str) -> Read<'_, Box<str>> {
    let is_root = text.starts_with('/') && is_made_of(text, LITERAL);
    is_root.then(|| text.into()).ok_or(Wrong(text))
}

/// Where clients are led: a path, or an address with its scheme. HAProxy reads it as one of its
/// formats, in which a percent sign is written twice; marathon-lb's users had to write it so.
pub(super) fn location(text: &str) -> Read<'_, Box<str>> {
    let single = text.replace("%%", "%");
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| single.strip_prefix(scheme))
        .or_else(|| Some(single.as_str()).filter(|text| text.starts_with('/')));
    let is_location = rest.is_some_and(|rest| is_encoded(rest, b"-._~!&()*+,;=:@/?"));
    if is_location {
        Ok(single.replace('%', "%%").into())
    } else {
        Err(Wrong(text))
    }
}

/// A path and query as HAProxy can ask for them. What would mean something to it in its file is
/// encoded, which is the same to a server; and a path begins with `/`, as it does where Marathon asks.
/// `None` for what is in no URL, encoded or not, or is no part of a request.
#[must_use]
pub fn request(text: &str) -> Option<String> {
    let mut request = String::with_capacity(text.len() + 1);
    if !text.starts_with('/') {
        request.push('/');
    }
    for sign in text.chars() {
        if sign.is_control() || sign.is_whitespace() || "\"#<>\\^`".contains(sign) {
            return None;
        }
        if sign.is_ascii_alphanumeric() || "-._~!&()*+,;=:@/?%".contains(sign) {
            request.push(sign);
        } else {
            let mut bytes = [0; 4];
            for byte in sign.encode_utf8(&mut bytes).bytes() {
                // A text takes whatever is written to it.
                let _ = write!(request, "%{byte:02X}");
            }
        }
    }
    Some(request)
}

/// Made of these characters, and of others as `%20`.
fn is_encoded(text: &str, known: &[u8]) -> bool {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default();
    let is_code = |part: &str| {
        let code = part.as_bytes().get(..2);
        code.is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit))
    };
    let is_plain = first.is_empty() || is_made_of(first, known);
    !text.is_empty() && is_plain && parts.all(|part| is_code(part) && is_made_of(part, known))
}
