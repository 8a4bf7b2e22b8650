//! Words, and the characters that they are made of.

use super::{Read, Wrong};

/// Letters, digits and what names are made of. It begins like no option.
pub(super) fn is_token(text: &str) -> bool {
    is_made_of(text, b"._-") && !text.starts_with('-')
}

/// At least one character, and none but letters, digits and these.
pub(super) fn is_made_of(text: &str, more: &[u8]) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
    !text.is_empty() && text.bytes().all(is_known)
}

/// A file or folder, as HAProxy opens it.
pub(super) fn is_file(text: &str) -> bool {
    is_made_of(text, b"/._-+@=:") && !text.starts_with('-')
}

/// Whether a text can be the id of an app. Marathon's own ids are; what a label says need not be.
#[must_use]
pub fn is_app_id(text: &str) -> bool {
    /// It is a part of the names of sections, which stand in lines, maps, logs and statistics.
    const LONGEST: usize = 1000;
    text.len() <= LONGEST && is_made_of(text, b"/._-")
}

/// Whatever the case.
pub(super) fn mode(text: &str) -> Read<'_, Box<str>> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "http" | "tcp" => Ok(lower.into()),
        _ => Err(Wrong(text)),
    }
}

/// Files or folders, parted by commas or, as marathon-lb's users wrote several, by ` crt `; as they
/// stand behind `crt`.
pub(super) fn certificates(text: &str) -> Read<'_, Box<str>> {
    let mut files = Vec::new();
    for part in text.split(',').flat_map(|part| part.split(" crt ")) {
        let file = part.trim_matches([' ', '\t']);
        if !is_file(file) {
            return Err(Wrong(part));
        }
        files.push(file);
    }
    Ok(files.join(" crt ").into())
}
