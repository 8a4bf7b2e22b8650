//! A realm, a user and a password.

use super::word::is_made_of;
use super::{Read, Wrong};
use crate::haproxy::password::{COSTS, ROUNDS};
use crate::labels::Auth;

/// DES, the oldest of crypt(3): two characters of salt, and the hash.
const DES: usize = 13;

/// Beginnings of passwords that others take. Nothing of a password but one of these is ever shown.
const KINDS: [&str; 17] = [
    "1", "2", "2a", "2b", "2x", "2y", "3", "5", "6", "7", "9", "apr1", "argon2i", "argon2id", "gy",
    "sha1", "y",
];

/// `realm:user:cryptedpassword`. Nobody is told more than which of them is wrong.
pub(super) fn auth(text: &str) -> Read<'_, Auth> {
    let parts: Vec<&str> = text.split(':').collect();
    let [realm, user, password] = parts[..] else {
        return Err(Wrong(""));
    };
    // A realm without a letter would ask nobody for a password.
    let may_be_quoted = realm.chars().all(is_of_realm) && !realm.starts_with('-');
    if realm.trim().is_empty() || !may_be_quoted {
        return Err(Wrong("realm"));
    }
    if !is_made_of(user, b"._@+-") || user.starts_with('-') {
        return Err(Wrong("user"));
    }
    if !is_crypted(password) {
        return Err(Wrong("password"));
    }
    Ok(Auth {
        realm: realm.into(),
        user: user.into(),
        password: password.into(),
    })
}

/// It stands between double quotes.
fn is_of_realm(c: char) -> bool {
    !c.is_control() && !matches!(c, '"' | '\'' | '\\' | '$' | '%')
}

/// `$6$salt$hash` and its like, or DES. A hash of another length fits no password, so that nobody
/// could log in.
fn is_crypted(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('$') else {
        return is_hash(text, DES);
    };
    let parts: Vec<&str> = rest.split('$').collect();
    match parts[..] {
        ["1", salt, hash] => is_salt(salt, 8) && is_hash(hash, 22),
        ["5", ref rest @ ..] => is_sha(rest, 43),
        ["6", ref rest @ ..] => is_sha(rest, 86),
        // Of these 53, 22 are the salt.
        ["2a" | "2b" | "2x" | "2y", cost, hash] => {
            let is_within = |number| COSTS.contains(&number) && format!("{number:02}") == cost;
            cost.parse().is_ok_and(is_within) && is_hash(hash, 53)
        }
        _ => false,
    }
}

/// With the rounds, or without.
fn is_sha(parts: &[&str], length: usize) -> bool {
    let is_bounded = |rounds: &str| {
        let is_within = |number| ROUNDS.contains(&number) && number.to_string() == rounds;
        rounds.parse().is_ok_and(is_within)
    };
    let (salt, hash) = match parts {
        [salt, hash] => (salt, hash),
        [first, salt, hash] if rounds(first).is_some_and(is_bounded) => (salt, hash),
        _ => return false,
    };
    is_salt(salt, 16) && is_hash(hash, length)
}

fn rounds(part: &str) -> Option<&str> {
    part.strip_prefix("rounds=")
}

fn is_salt(text: &str, longest: usize) -> bool {
    text.is_empty() || text.len() <= longest && is_hash(text, text.len())
}

fn is_hash(text: &str, length: usize) -> bool {
    text.len() == length && is_made_of(text, b"./")
}

/// Whether a password stands in this text, be it another one than we take.
pub(in crate::labels) fn has_password(text: &str) -> bool {
    let parts: Vec<&str> = text.split('$').collect();
    let between = parts.len().saturating_sub(1);
    let mut between = parts[..between].iter().skip(1);
    between.any(|part| KINDS.contains(part))
}

/// What may be told of a password that is refused: how it was made, and how much work that is.
pub(in crate::labels) fn kind(text: &str) -> Option<String> {
    let password = text.split(':').nth(2)?;
    let mut parts = password.strip_prefix('$')?.split('$');
    let method = parts.next()?;
    let kind = KINDS.into_iter().find(|kind| *kind == method)?;
    let is_number = |text: &&str| {
        (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let work = parts.next().and_then(|part| match kind {
        "5" | "6" => rounds(part)
            .filter(is_number)
            .map(|number| format!("{number} rounds")),
        "2a" | "2b" | "2x" | "2y" => Some(part)
            .filter(is_number)
            .filter(|part| part.len() == 2)
            .map(|number| format!("cost {number}")),
        _ => None,
    });
    let work = work.map(|work| format!(" with {work}")).unwrap_or_default();
    let length = password.rsplit('$').next().map_or(0, str::len);
    Some(format!(
        "`${kind}$`{work} and a last part of {length} characters"
    ))
}
