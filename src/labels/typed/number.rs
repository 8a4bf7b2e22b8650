//! Numbers in their ranges.

use std::ops::RangeInclusive;

use super::{Read, Wrong};

/// Room for every order that somebody could want; HAProxy never sees it.
const WEIGHTS: RangeInclusive<i64> = -1_000_000..=1_000_000;
/// An app with more service ports is none that Marathon takes.
const INDEXES: RangeInclusive<i64> = -999..=999;

/// 1 to 65535.
pub(super) fn port(text: &str) -> Read<'_, u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text
        .parse()
        .ok()
        .filter(|&port: &u16| is_number && port != 0);
    port.ok_or(Wrong(text))
}

/// Of rules.
pub(super) fn weight(text: &str) -> Read<'_, i64> {
    within(text, WEIGHTS)
}

/// Of a service port, also from the end.
pub(super) fn index(text: &str) -> Read<'_, i64> {
    within(text, INDEXES)
}

fn within(text: &str, range: RangeInclusive<i64>) -> Read<'_, i64> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or(Wrong(text))
}
