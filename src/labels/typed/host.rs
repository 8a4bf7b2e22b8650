//! Host names.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::number::port;
use super::word::is_made_of;
use super::{Read, Wrong};

/// DNS: of a name, and of a part of it.
const LONGEST: usize = 253;
const LONGEST_PART: usize = 63;

/// Names parted by commas, in small letters and without the blanks around them.
pub(super) fn hosts(text: &str) -> Read<'_, Box<str>> {
    let mut hosts = Vec::new();
    for part in text.split(',') {
        let whole = part.trim_matches([' ', '\t']);
        // The root of all names, which clients leave out.
        let host = whole.strip_suffix('.').unwrap_or(whole);
        if !is_host(host) {
            return Err(Wrong(whole));
        }
        hosts.push(host.to_ascii_lowercase());
    }
    Ok(hosts.join(",").into())
}

/// A name, perhaps with `*.` before it, or an address, in brackets where a port follows one of IPv6.
fn is_host(text: &str) -> bool {
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|t| t.split_once(']')) {
        return address.parse::<Ipv6Addr>().is_ok() && (rest.is_empty() || is_port(rest));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return true;
    }
    let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
    (rest.is_empty() || is_port(rest)) && (name.parse::<Ipv4Addr>().is_ok() || is_name(name))
}

/// `:8080`.
fn is_port(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|text| port(text).is_ok())
}

fn is_name(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let is_part = |part: &str| {
        part.len() <= LONGEST_PART
            && is_made_of(part, b"-_")
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.len() <= LONGEST && name.split('.').all(is_part)
}
