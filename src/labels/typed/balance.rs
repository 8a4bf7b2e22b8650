//! How servers are chosen.

use super::word::is_token;
use super::{Read, Wrong};

/// One of HAProxy's algorithms, with its arguments.
pub(super) fn balance(text: &str) -> Read<'_, Box<str>> {
    let words: Vec<&str> = text
        .split([' ', '\t'])
        .filter(|word| !word.is_empty())
        .collect();
    let is_known = match words[..] {
        [
            "roundrobin" | "static-rr" | "leastconn" | "first" | "source" | "random" | "rdp-cookie",
        ] => true,
        ["uri", ref options @ ..] => are_of_uri(options),
        ["url_param", name] | ["url_param", name, "check_post"] => is_token(name),
        ["url_param", name, "check_post", size] => is_token(name) && is_count(size),
        ["hash", sample] => is_sample(sample),
        [header, "use_domain_only"] => within("hdr", header).is_some_and(is_token),
        [word] => {
            within("hdr", word).is_some_and(is_token)
                || within("rdp-cookie", word).is_some_and(is_token)
                || within("random", word).is_some_and(are_draws)
        }
        _ => false,
    };
    if is_known {
        Ok(words.join(" ").into())
    } else {
        Err(Wrong(text))
    }
}

/// Each at most once: HAProxy refuses a line of too many words.
fn are_of_uri(mut options: &[&str]) -> bool {
    let mut seen = Vec::new();
    loop {
        let [name, rest @ ..] = options else {
            return true;
        };
        if seen.contains(name) {
            return false;
        }
        seen.push(*name);
        options = match (*name, rest) {
            ("whole" | "path-only", rest) => rest,
            ("len" | "depth", [count, rest @ ..]) if is_count(count) => rest,
            _ => return false,
        };
    }
}

/// What of a request decides, from HAProxy 2.6 on.
fn is_sample(text: &str) -> bool {
    matches!(
        text,
        "src" | "path" | "pathq" | "url" | "base" | "ssl_fc_sni"
    ) || ["req.hdr", "req.cook", "url_param"]
        .iter()
        .any(|name| within(name, text).is_some_and(is_token))
}

/// `x` of `name(x)`.
fn within<'t>(name: &str, text: &'t str) -> Option<&'t str> {
    text.strip_prefix(name)?
        .strip_prefix('(')?
        .strip_suffix(')')
}

/// More would cost every request of everybody, and spread them no better.
fn are_draws(text: &str) -> bool {
    const MOST: u16 = 16;
    is_count(text) && text.parse().is_ok_and(|draws: u16| draws <= MOST)
}

fn is_count(text: &str) -> bool {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number && text.parse().is_ok_and(|count: u16| 0 < count)
}
