//! How long HAProxy takes over a password.
//!
//! It computes the hash in its own threads, for every request with a password, and once for every
//! `haproxy -c` and every start: everybody waits for it.

use std::ops::RangeInclusive;

/// Rounds of `$5$` and `$6$`: the largest takes less than 50 ms, also for a password of 511 bytes, which
/// any client may send.
pub const ROUNDS: RangeInclusive<u32> = 1_000..=20_000;

/// The same of bcrypt (`$2b$`), where each is twice the work of the one before.
pub const COSTS: RangeInclusive<u32> = 4..=10;

/// What is quick, in words that follow "expected".
pub const QUICK: &str = "one that HAProxy computes within 50 ms: `$5$` or `$6$` of at most 20000 rounds, \
                         `$2b$` of at most cost 10, `$1$`, or DES";

/// Whether crypt(3) computes it within that time, or not at all. Of the kinds that can be told how hard
/// to work, those that are not read here may stand still for minutes.
#[must_use]
pub fn is_quick(password: &str) -> bool {
    let Some(rest) = password.strip_prefix('$') else {
        // `_` is DES with rounds of its own.
        return !password.starts_with('_');
    };
    let (method, rest) = rest.split_once('$').unwrap_or((rest, ""));
    // As crypt(3) reads them: of `-1` it makes the most that there are.
    let at_most = |number: &str, most: u32| {
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        is_number && number.parse().is_ok_and(|number: u32| number <= most)
    };
    let first = rest.split('$').next().unwrap_or_default();
    match method {
        "1" | "3" | "apr1" => true,
        "5" | "6" => first
            .strip_prefix("rounds=")
            .is_none_or(|rounds| at_most(rounds, *ROUNDS.end())),
        "2" | "2a" | "2b" | "2x" | "2y" => at_most(first, *COSTS.end()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_quick;

    #[test]
    fn work_is_bounded_whichever_kind_it_is() {
        for password in [
            "",
            "rlR4XJ1i8.hsE",
            "$1$salt$hash",
            "$5$salt$hash",
            "$6$rounds=20000$salt$hash",
            "$6$rounds=1$salt$hash",
            "$2y$10$hash",
            "$apr1$salt$hash",
        ] {
            assert!(is_quick(password), "{password}");
        }
        for password in [
            "$5$rounds=20001$salt$hash",
            "$5$rounds=999999999$salt$hash",
            "$5$rounds=-1$salt$hash",
            "$5$rounds= 99999$salt$hash",
            "$5$rounds=$salt$hash",
            "$5$rounds=99999999999999999999$salt$hash",
            "$2b$11$hash",
            "$2b$31$hash",
            "$y$jFT$salt$hash",
            "$gy$jFT$salt$hash",
            "$7$salt$hash",
            "$sha1$4294967295$salt$hash",
            "$md5,rounds=4294967295$salt$$hash",
            "_zzzzsalthash",
            "$",
        ] {
            assert!(!is_quick(password), "{password}");
        }
    }
}
