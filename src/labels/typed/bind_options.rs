//! What may stand behind the address of a `bind` line.
//!
//! Known are the options of HAProxy 1.8 to 3.2 that are about connections. Those of Unix sockets and
//! of HAProxy's own commands, and whatever names another process, user, namespace or interface of the
//! host, or puts its requests before those of others (`nice`), are none of an app's.

use super::word::{is_file, is_made_of, is_token};
use super::{Read, Wrong};

/// What follows a keyword.
#[derive(Clone, Copy)]
enum Takes {
    Nothing,
    One(fn(&str) -> bool),
}
use Takes::{Nothing, One};

static OPTIONS: &[(&str, Takes)] = &[
    ("accept-proxy", Nothing),
    ("allow-0rtt", Nothing),
    ("alpn", One(is_protocols)),
    ("backlog", One(is_number)),
    ("ca-file", One(is_file)),
    ("ca-ignore-err", One(is_errors)),
    ("ca-verify-file", One(is_file)),
    ("ciphers", One(is_ciphers)),
    ("ciphersuites", One(is_ciphers)),
    ("client-sigalgs", One(is_ciphers)),
    ("crl-file", One(is_file)),
    ("crt", One(is_file)),
    ("crt-ignore-err", One(is_errors)),
    ("crt-list", One(is_file)),
    ("curves", One(is_ciphers)),
    ("defer-accept", Nothing),
    ("ecdhe", One(is_token)),
    ("force-sslv3", Nothing),
    ("force-tlsv10", Nothing),
    ("force-tlsv11", Nothing),
    ("force-tlsv12", Nothing),
    ("force-tlsv13", Nothing),
    ("id", One(is_number)),
    ("maxconn", One(is_number)),
    ("mss", One(is_size)),
    ("name", One(is_token)),
    ("no-alpn", Nothing),
    ("no-ca-names", Nothing),
    ("no-sslv3", Nothing),
    ("no-tls-tickets", Nothing),
    ("no-tlsv10", Nothing),
    ("no-tlsv11", Nothing),
    ("no-tlsv12", Nothing),
    ("no-tlsv13", Nothing),
    ("npn", One(is_protocols)),
    ("prefer-client-ciphers", Nothing),
    ("proto", One(is_token)),
    ("sigalgs", One(is_ciphers)),
    ("ssl", Nothing),
    ("ssl-max-ver", One(is_version)),
    ("ssl-min-ver", One(is_version)),
    ("strict-sni", Nothing),
    ("tcp-ut", One(is_time)),
    ("tfo", Nothing),
    ("tls-ticket-keys", One(is_file)),
    ("transparent", Nothing),
    ("v4v6", Nothing),
    ("v6only", Nothing),
    ("verify", One(is_verify)),
];

/// Options parted by blanks. What is none is told alone.
pub(super) fn bind_options(text: &str) -> Read<'_, Box<str>> {
    let mut known = Vec::new();
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let option = OPTIONS.iter().find(|(name, _)| *name == word);
        let (_, takes) = option.ok_or(Wrong(word))?;
        known.push(word);
        if let One(is_right) = takes {
            let value = words.next().ok_or(Wrong(word))?;
            if !is_right(value) {
                return Err(Wrong(value));
            }
            known.push(value);
        }
    }
    Ok(known.join(" ").into())
}

fn is_number(text: &str) -> bool {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number && text.parse().is_ok_and(|number: i32| 0 < number)
}

/// Of a segment; below zero it counts from the largest.
fn is_size(text: &str) -> bool {
    is_number(text.strip_prefix('-').unwrap_or(text))
}

/// `h2,http/1.1`: the only list with commas, which is no list of addresses here.
fn is_protocols(text: &str) -> bool {
    text.split(',').all(|name| is_made_of(name, b"/._-"))
}

fn is_ciphers(text: &str) -> bool {
    is_made_of(text, b":+!@=._-") && !text.starts_with('-')
}

fn is_errors(text: &str) -> bool {
    text.split(',').all(|error| is_made_of(error, b"_"))
}

fn is_version(text: &str) -> bool {
    matches!(
        text,
        "SSLv3" | "TLSv1.0" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3"
    )
}

fn is_verify(text: &str) -> bool {
    matches!(text, "none" | "optional" | "required")
}

/// `30s`, or a number of milliseconds.
fn is_time(text: &str) -> bool {
    let units = ["us", "ms", "s", "m", "h", "d"];
    let unit = units.iter().find_map(|unit| text.strip_suffix(unit));
    is_number(unit.unwrap_or(text))
}
