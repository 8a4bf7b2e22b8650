//! Addresses and networks.

use std::net::IpAddr;

use super::{Read, Wrong};

/// One address to listen on, or `*` for all. As IP writes it, so that two spellings are one.
pub(super) fn bind(text: &str) -> Read<'_, Box<str>> {
    if text == "*" {
        return Ok(text.into());
    }
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let address: IpAddr = bare.unwrap_or(text).parse().map_err(|_| Wrong(text))?;
    if bare.is_some() && address.is_ipv4() {
        return Err(Wrong(text));
    }
    Ok(address.to_string().into())
}

/// Networks, parted by blanks.
pub(super) fn networks(text: &str) -> Read<'_, Vec<Box<str>>> {
    let network = |word| {
        if is_network(word) {
            Ok(word.into())
        } else {
            Err(Wrong(word))
        }
    };
    let words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    words.map(network).collect()
}

/// An address, or one with a length of prefix behind it.
fn is_network(text: &str) -> bool {
    let (address, length) = text
        .split_once('/')
        .map_or((text, None), |(address, length)| (address, Some(length)));
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let is_length = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number && text.parse().is_ok_and(|length: u32| length <= longest)
    };
    length.is_none_or(is_length)
}
