//! How the text of an option becomes a value.
//!
//! In comes the text as it was written, wherever that was; out goes a typed value, or what would
//! have been right. Who wrote it and where is told by the caller.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::TemplateLabels;

/// What would have been right, as in "expected …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected(pub(super) Cow<'static, str>);

impl Expected {
    /// What a predecessor said instead, as a whole.
    pub(super) const fn said(text: String) -> Self {
        Self(Cow::Owned(text))
    }

    const fn to_be(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

/// No wait may outlast this: a typing error must not stop the program for a day.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// A switch; the words of systemd and of most programs that read the environment.
pub(super) fn switch(text: &str) -> Result<bool, Expected> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(Expected::to_be("true or false")),
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(text: &str, choices: &[(&'static str, T)]) -> Result<T, Expected> {
    if let Some(&(_, value)) = choices.iter().find(|(word, _)| *word == text) {
        return Ok(value);
    }
    let words: Vec<&str> = choices.iter().map(|&(word, _)| word).collect();
    Err(match words.as_slice() {
        [only] => Expected(format!("`{only}`").into()),
        words => Expected(format!("one of {}", words.join(", ")).into()),
    })
}

/// The words of `choices`.
pub(super) const fn words<T: Copy, const N: usize>(
    choices: &[(&'static str, T); N],
) -> [&'static str; N] {
    let mut words = [""; N];
    let mut i = 0;
    while i < N {
        words[i] = choices[i].0;
        i += 1;
    }
    words
}

/// A path; relative ones count from the folder the program is started in.
pub(super) fn path(text: &str) -> Result<PathBuf, Expected> {
    if text.trim().is_empty() || text.contains('\0') {
        return Err(Expected::to_be("a path"));
    }
    Ok(PathBuf::from(text))
}

/// A command for `sh -c`.
pub(super) fn command(text: &str) -> Result<String, Expected> {
    if text.trim().is_empty() || text.contains('\0') {
        return Err(Expected::to_be("a command"));
    }
    Ok(text.to_owned())
}

/// A number of things, of which there may be none.
pub(super) fn number(text: &str) -> Result<u32, Expected> {
    digits(text).ok_or(Expected::to_be("a whole number"))
}

/// A number of things, of which there is at least one.
pub(super) fn count(text: &str) -> Result<usize, Expected> {
    digits(text)
        .filter(|&number| 0 < number)
        .ok_or(Expected::to_be("a whole number above zero"))
}

/// A number of what waits to be used: slots of a backend, or backends.
pub(super) fn spares<T: FromStr + PartialOrd + From<u16>>(text: &str) -> Result<T, Expected> {
    digits(text)
        .filter(|number| *number <= T::from(1000))
        .ok_or(Expected::to_be("a whole number from 0 to 1000"))
}

/// A port, or 0 for none.
pub(super) fn port_or_none(text: &str) -> Result<u16, Expected> {
    digits(text).ok_or(Expected::to_be("a port, or 0"))
}

fn digits<T: FromStr>(text: &str) -> Option<T> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// What Python's `int()` makes of a text: blanks around it, a sign, and underscores between digits
/// are fine. What is too large for us is cut to the largest number that is not.
#[must_use]
pub fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let parts_are_digits = digits
        .split('_')
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if !parts_are_digits {
        return None;
    }
    let number = digits
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0_i64, |number, digit| {
            number
                .saturating_mul(10)
                .saturating_add(i64::from(digit - b'0'))
        });
    Some(if is_negative { -number } else { number })
}

/// Paths, parted by commas.
pub(super) fn paths(text: &str) -> Result<Vec<String>, Expected> {
    if text.contains(char::is_control) || text.split(',').any(|path| path.trim().is_empty()) {
        return Err(Expected::to_be("paths parted by commas"));
    }
    Ok(text.split(',').map(str::to_owned).collect())
}

/// `/app`, or `/app:10000` for one of its service ports.
pub(super) fn app_and_port(text: &str) -> Result<(String, Option<u16>), Expected> {
    let wrong = || Expected::to_be("the id of an app, such as /site, or /site:10000");
    let (app, port) = match text.rsplit_once(':') {
        None => (text, None),
        Some((app, port)) => {
            let port = port.parse().ok().filter(|port| *port != 0);
            (app, Some(port.ok_or_else(wrong)?))
        }
    };
    let is_id = app.len() > 1 && app.starts_with('/');
    if !is_id || app.contains(|c: char| c.is_control() || c.is_whitespace() || c == ':') {
        return Err(wrong());
    }
    Ok((app.to_owned(), port))
}

/// One line of text for people.
pub(super) fn sentence(text: &str) -> Result<String, Expected> {
    if text.trim().is_empty() || text.contains(char::is_control) {
        return Err(Expected::to_be("a line of text"));
    }
    Ok(text.to_owned())
}

/// A time with its unit, or a number of seconds.
fn time(text: &str) -> Option<Duration> {
    let is_bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_bare {
        return text.parse().ok().map(Duration::from_secs);
    }
    humantime::parse_duration(text).ok()
}

/// A time above zero and at most an hour.
pub(super) fn wait(text: &str) -> Result<Duration, Expected> {
    match time(text) {
        Some(wait) if Duration::ZERO < wait && wait <= LONGEST_WAIT => Ok(wait),
        _ => Err(Expected::to_be(
            "a time such as 10s, or a number of seconds, above zero and at most 1h",
        )),
    }
}

/// The shortest and the longest time that changes are gathered.
pub(super) fn debounce(text: &str) -> Result<(Duration, Duration), Expected> {
    text.split_once(':')
        .and_then(|(least, most)| time(least.trim()).zip(time(most.trim())))
        .filter(|&(least, most)| least <= most && most <= LONGEST_WAIT)
        .ok_or(Expected::to_be(
            "two times, the shorter first, such as 100ms:2s or 1:5 in seconds",
        ))
}

/// Any time.
pub(super) fn age(text: &str) -> Result<Duration, Expected> {
    time(text).ok_or(Expected::to_be(
        "a time such as 15m or 1h, or a number of seconds",
    ))
}

/// User and password, which nobody is shown.
pub(super) fn credentials(text: &str) -> Result<(), Expected> {
    match super::Credentials::from_user_pass(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(Expected::to_be("user:password")),
    }
}

/// Where Marathon can send something: `http://host:port/path`, without what only readers need.
pub(super) fn callback(text: &str) -> Result<String, Expected> {
    const ADDRESS: Expected =
        Expected::to_be("http://host:port or https://host:port, with a path if need be");
    let is_whole = text.starts_with("http://") || text.starts_with("https://");
    if !is_whole || text.contains(['@', '?', '#']) {
        return Err(ADDRESS);
    }
    marathon(text).map_err(|_| ADDRESS)?;
    Ok(text.to_owned())
}

/// A numeric address with a port.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Expected> {
    let address = text.parse::<SocketAddr>().ok();
    address
        .filter(|address| address.port() != 0)
        .ok_or(Expected::to_be(
            "a numeric address with a port such as 10.0.0.5:8000",
        ))
}

/// Where a socket lies, as `haproxy.cfg` can name it; `none` or nothing for nowhere.
pub(super) fn socket_path(text: &str) -> Result<Option<PathBuf>, Expected> {
    // The kernel's structure holds no more.
    const LONGEST: usize = 107;
    if matches!(text, "" | "none") {
        return Ok(None);
    }
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._+=:".contains(&b);
    if LONGEST < text.len() || !text.bytes().all(is_plain) || text.ends_with('/') {
        return Err(Expected::to_be(
            "none, or the path of a socket, of at most 107 letters, digits and /-._+=:",
        ));
    }
    Ok(Some(PathBuf::from(text)))
}

/// A number of bytes, above zero: `256MiB`, or plain bytes.
pub(super) fn size(text: &str) -> Result<u64, Expected> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: Option<u64> = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        _ => None,
    };
    number
        .parse()
        .ok()
        .zip(factor)
        .and_then(|(number, factor): (u64, u64)| number.checked_mul(factor))
        .filter(|&bytes| 0 < bytes)
        .ok_or(Expected::to_be(
            "a size above zero such as 256MiB, or a number of bytes",
        ))
}

/// `X.Y` of HAProxy's version.
pub(super) fn version(text: &str) -> Result<(u16, u16), Expected> {
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    };
    text.split_once('.')
        .and_then(|(major, minor)| number(major).zip(number(minor)))
        .ok_or(Expected::to_be("HAProxy's version as X.Y such as 2.6"))
}

/// The name of a group; app owners separate groups by commas, so that no name can hold one.
pub(super) fn group(text: &str) -> Result<(), Expected> {
    if text.is_empty() || text.contains(|c: char| c == ',' || c.is_whitespace() || c.is_control()) {
        return Err(Expected::to_be(
            "one group without blanks and commas, or * for all",
        ));
    }
    Ok(())
}

/// `all`, `none`, or groups and folders parted by commas.
pub(super) fn template_labels(text: &str) -> Result<TemplateLabels, Expected> {
    let is_group = |name: &str| {
        let is_word =
            !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control());
        is_word && !matches!(name, "all" | "none" | "*")
    };
    match text {
        "all" => Ok(TemplateLabels::All),
        "none" => Ok(TemplateLabels::None),
        names if names.split(',').all(is_group) => Ok(TemplateLabels::Of(
            names.split(',').map(str::to_owned).collect(),
        )),
        _ => Err(Expected::to_be(
            "all, none, or groups parted by commas such as ops,/infra",
        )),
    }
}

/// Where a Marathon is asked: `file:PATH`, or a host with what may stand around it.
pub(super) fn marathon(text: &str) -> Result<(), Expected> {
    const ADDRESS: Expected = Expected::to_be(
        "one Marathon as http://host:port, https://host:port, host:port or file:PATH",
    );
    if text.contains(|c: char| c.is_control()) {
        return Err(ADDRESS);
    }
    if let Some(file) = text.strip_prefix("file:") {
        return path(file).map(drop).map_err(|_| ADDRESS);
    }
    // A blank is an error in an address, but may well stand in the path of a file.
    if text.contains(char::is_whitespace) {
        return Err(ADDRESS);
    }
    let rest = match text.split_once("://") {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
        {
            rest
        }
        Some(_) => return Err(ADDRESS),
        None => text,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match host_and_port.rfind(':') {
        Some(colon) if !host_and_port[colon..].contains(']') => {
            (&host_and_port[..colon], Some(&host_and_port[colon + 1..]))
        }
        _ => (host_and_port, None),
    };
    let host_is_one = match host.strip_prefix('[') {
        Some(v6) => v6
            .strip_suffix(']')
            .is_some_and(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            // A leading dash is an option that went astray.
            !host.is_empty()
                && !host.starts_with('-')
                && host
                    .chars()
                    .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
        }
    };
    let port_is_one = port.is_none_or(|port| {
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse().is_ok_and(|port: u16| 0 < port)
    });
    if host_is_one && port_is_one {
        Ok(())
    } else {
        Err(ADDRESS)
    }
}

#[cfg(test)]
mod tests;
