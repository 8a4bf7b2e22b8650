//! A realm, a user and a password.

use super::word::is_made_of;
use super::{Read, Wrong};
use crate::labels::Auth;

/// DES, the oldest of crypt(3): two characters of salt, and the hash.
const DES: usize = 13;

/// `realm:user:cryptedpassword`. Nobody is told more than which of them is wrong.
pub(super) fn auth(text: &str) -> Read<'_, Auth> {
    let parts: Vec<&str> = text.split(':').collect();
    let [realm, user, password] = parts[..] else {
        return Err(Wrong(""));
    };
    // A realm without a letter would ask nobody for a password.
    if realm.trim().is_empty() || !realm.chars().all(is_of_realm) {
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

/// `$6$salt$hash`, or DES.
fn is_crypted(text: &str) -> bool {
    const HASH: &[u8] = b"./";
    let Some(rest) = text.strip_prefix('$') else {
        return text.len() == DES && is_made_of(text, HASH);
    };
    let Some((method, rest)) = rest.split_once('$') else {
        return false;
    };
    is_made_of(method, b"-,=") && rest.split('$').all(|part| is_made_of(part, b"./=,-"))
}
