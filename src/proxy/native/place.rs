//! Which requests a service is meant for: hosts and paths, as its owner wrote them.

use std::cmp::Reverse;
use std::fmt;
use std::net::Ipv6Addr;

use super::super::marathon_lb::Service;
use super::tuning::{Conditions, passes_tls_on};
use crate::cluster::Warning;

/// A host of requests. More precise ones are smaller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// This one.
    Exact(Box<str>),
    /// All that end so; it begins with a dot.
    Below(Reverse<usize>, Box<str>),
    /// All.
    Any,
}

impl Host {
    /// `www.example.com`, or `*.example.com` for what lies below; an address of IPv6 in the brackets
    /// of requests, or without. Case is gone already.
    ///
    /// # Errors
    /// What should stand there.
    fn read(text: &str) -> Result<Self, String> {
        let in_brackets = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        let address = in_brackets.unwrap_or(text);
        if address.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self::Exact(format!("[{address}]").into()));
        }
        if let Some((host, port)) = text.rsplit_once(':')
            && port.parse::<u16>().is_ok()
            && Self::read(host).is_ok()
        {
            return Err(format!(
                "`{host}`, without a port: that of a request does not count"
            ));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        let (below, name) = match text.strip_prefix('*') {
            Some(rest) => (true, rest.strip_prefix('.').unwrap_or_default()),
            None => (false, text),
        };
        let is_label = |label: &str| {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            // A word that begins with a dash is an option to HAProxy.
            !label.is_empty() && !label.starts_with('-') && label.bytes().all(is_part)
        };
        if !name.split('.').all(is_label) {
            return Err(
                "host names of letters, digits, `-`, `_` and dots, or `*.` before one".to_owned(),
            );
        }
        Ok(if below {
            Self::below(format!(".{name}"))
        } else {
            Self::Exact(name.into())
        })
    }

    pub(super) fn below(suffix: String) -> Self {
        Self::Below(Reverse(suffix.len()), suffix.into())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Below(_, suffix) => write!(f, "*{suffix}"),
            Self::Any => Ok(()),
        }
    }
}

/// A host and the beginning of a path; one of both at least.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Of the request.
    pub host: Host,
    /// What the path begins with; the empty one is none. Longer ones are smaller.
    pub path: Beginning,
}

/// The beginning of a path. Longer ones are smaller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Beginning(Reverse<usize>, Box<str>);

impl Beginning {
    pub(super) fn new(text: &str) -> Self {
        Self(Reverse(text.len()), text.into())
    }

    /// Empty, where every path is meant.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.1
    }
}

/// All that the owner of a service port wants of the shared frontends.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) places: Vec<Place>,
    pub(super) ignores_case: bool,
    pub(super) priority: i64,
    pub(super) conditions: Conditions,
}

/// Reads hosts and paths. What cannot be read leads nowhere: neither to every path, nor from every
/// host.
pub(super) fn wish(service: &Service, conditions: Conditions, warnings: &mut Vec<Warning>) -> Wish {
    let mut wish = Wish {
        places: Vec::new(),
        ignores_case: false,
        priority: service.options.priority.unwrap_or(0),
        conditions,
    };
    let mut refuse = |label: &str, found: &str, expected: &str| {
        warnings.push(Warning {
            app: Some(service.owner.app.clone()),
            subject: format!("label `HAPROXY_{}_{label}`", service.index),
            found: format!("`{found}`"),
            expected: expected.to_owned(),
            effect: "no request is led there for it on ports 80 and 443".to_owned(),
        });
    };
    let options = &service.options;
    let given = |text: &Option<Box<str>>| text.clone().filter(|text| !text.trim().is_empty());
    let (vhosts, path) = (given(&options.vhost), given(&options.path));
    let passes_on = passes_tls_on(service).unwrap_or_default();
    if !service.is_http() {
        for (label, text) in [("VHOST", &vhosts), ("PATH", &path)] {
            if let Some(text) = text
                && !(passes_on && label == "VHOST")
            {
                let expected = format!("none, for the mode is {}", service.mode);
                refuse(label, text, &expected);
            }
        }
        if passes_on && vhosts.is_none() {
            refuse("SNI_PASSTHROUGH", "true", "a VHOST beside it");
        }
        if !passes_on {
            return wish;
        }
    }
    let mut hosts = Vec::new();
    match &vhosts {
        None => hosts.push(Host::Any),
        Some(vhosts) => {
            let names = vhosts.split(',').map(str::trim);
            for name in names.filter(|name| !name.is_empty()) {
                match Host::read(name) {
                    Ok(host) => hosts.push(host),
                    Err(expected) => refuse("VHOST", name, &expected),
                }
            }
        }
    }
    let paths = match &path {
        _ if passes_on => vec![Beginning::new("")],
        None => vec![Beginning::new("")],
        Some(text) => match paths(text) {
            Ok((ignores_case, paths)) => {
                wish.ignores_case = ignores_case;
                paths
            }
            Err(expected) => {
                refuse("PATH", text, expected);
                return wish;
            }
        },
    };
    for host in &hosts {
        for path in &paths {
            let place = Place {
                host: host.clone(),
                path: path.clone(),
            };
            let says_something = place.host != Host::Any || !place.path.text().is_empty();
            if says_something && !wish.places.contains(&place) {
                wish.places.push(place);
            }
        }
    }
    wish
}

/// `/api /v2`, with `-i` before them where case does not count.
fn paths(text: &str) -> Result<(bool, Vec<Beginning>), &'static str> {
    const EXPECTED: &str = "paths that begin with `/`, parted by blanks, or `-i` before them";
    let mut ignores_case = false;
    let mut paths = Vec::new();
    for word in text.split_whitespace() {
        if word == "-i" && paths.is_empty() {
            ignores_case = true;
        } else if word.starts_with('/') && word.bytes().all(is_of_path) {
            paths.push(Beginning::new(word));
        } else {
            return Err(EXPECTED);
        }
    }
    if paths.is_empty() {
        return Err(EXPECTED);
    }
    Ok((ignores_case, paths))
}

/// RFC 3986, `path-absolute`.
fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read() {
        let exact = |name: &str| Ok(Host::Exact(name.into()));
        let below = |suffix: &str| Ok(Host::below(suffix.to_owned()));
        for (text, read) in [
            ("www.example.com", exact("www.example.com")),
            ("www.example.com.", exact("www.example.com")),
            ("under_score", exact("under_score")),
            ("*.example.com", below(".example.com")),
            ("*.com", below(".com")),
            ("10.0.0.1", exact("10.0.0.1")),
            ("[::1]", exact("[::1]")),
            ("fe80::1", exact("[fe80::1]")),
        ] {
            assert_eq!(Host::read(text), read, "{text}");
        }
        for text in [
            "*",
            "*.",
            "*example.com",
            "a.*.com",
            "a..b",
            ".a",
            "a:80",
            "[::1]:80",
            "[::1",
            "[a]",
            "[10.0.0.1]",
            "a b",
            "a }",
            "-f",
            "-f\u{a0}x",
            "bücher.de",
            "a/b",
            "#",
            "",
        ] {
            assert!(Host::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_are_read() {
        let words = |text: &str| {
            let (ignores_case, paths) = paths(text).ok()?;
            let paths: Vec<String> = paths.iter().map(|path| path.text().to_owned()).collect();
            Some((ignores_case, paths.join(" ")))
        };
        for (text, read) in [
            ("/api", Some((false, "/api"))),
            ("  /a   /b ", Some((false, "/a /b"))),
            ("-i /a /b", Some((true, "/a /b"))),
            ("/it's/%20(1)", Some((false, "/it's/%20(1)"))),
            ("api", None),
            ("-i", None),
            ("/a -i", None),
            ("-f /etc/passwd", None),
            ("-m reg /", None),
            ("/a } or { always_true", None),
            ("/a\\", None),
            ("/a#", None),
            ("/\"a\"", None),
        ] {
            let read = read.map(|(ignores, paths): (bool, &str)| (ignores, paths.to_owned()));
            assert_eq!(words(text), read, "{text}");
        }
    }
}
