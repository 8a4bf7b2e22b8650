//! Addresses of IPv4 in fewer than four numbers.

use std::net::Ipv4Addr;

/// As the C library reads addresses of IPv4, and by it HAProxy: `127.1`, `0x7f.1`, `2130706433`. The
/// last number fills what is left.
#[must_use]
pub fn short_address(text: &str) -> Option<Ipv4Addr> {
    let number = |part: &str| {
        let (digits, radix) = match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
            Some(digits) => (digits, 16),
            None if part.len() > 1 && part.starts_with('0') => (part, 8),
            None => (part, 10),
        };
        let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(digits, radix)
            .ok()
            .filter(|_| is_number)
    };
    let parts: Vec<u32> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, bytes) = parts.split_last()?;
    let left = 32 - 8 * u32::try_from(bytes.len()).ok().filter(|count| *count < 4)?;
    if bytes.iter().any(|byte| 255 < *byte) || u64::from(*last) >> left != 0 {
        return None;
    }
    let bytes = bytes.iter().zip([24, 16, 8]);
    let address = bytes.fold(*last, |address, (byte, shift)| address | byte << shift);
    Some(address.into())
}
