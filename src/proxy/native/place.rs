//! Which requests a service is meant for: hosts and paths, as its owner wrote them.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv6Addr;

use super::super::marathon_lb::Service;
use super::label;
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
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        let in_brackets = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        let address = in_brackets.unwrap_or(text);
        if address.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self::Exact(format!("[{address}]").into()));
        }
        if let Some((host, port)) = text.rsplit_once(':')
            && port.parse::<u16>().is_ok()
            && Self::read(host).is_ok()
        {
            return Err("a host without a port: that of a request does not count");
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
            return Err("host names of letters, digits, `-`, `_` and dots, or `*.` before one");
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

impl Place {
    /// Every path begins with `/`, so that beside a host it says nothing: the place is that of the
    /// host alone.
    fn of(host: &Host, path: &Beginning) -> Self {
        let says_nothing = *host != Host::Any && path.text() == "/";
        Self {
            host: host.clone(),
            path: if says_nothing {
                Beginning::new("")
            } else {
                path.clone()
            },
        }
    }
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

/// More hosts and paths of one service port than these are more than any app has; every turn has to
/// sort and compare them all.
const MOST_PLACES: usize = 1_000;

/// Requests of all apps are compared with each of these, one after the other.
const MOST_RULES: usize = 50;

/// What is named of many that are wrong.
const NAMED: usize = 3;

const NOBODY_IS_LED: &str = "no request is led there for it on ports 80 and 443";

/// All that the owner of a service port wants of the shared frontends.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) places: Vec<Place>,
    pub(super) ignores_case: bool,
    pub(super) priority: i64,
    pub(super) conditions: Conditions,
}

impl Wish {
    /// Whether letters of this path are compared without their case.
    pub(super) fn ignores_case_of(&self, place: &Place) -> bool {
        let has_letters = |path: &str| path.bytes().any(|byte| byte.is_ascii_alphabetic());
        self.ignores_case && has_letters(place.path.text())
    }

    /// How many places are rules, which no map can hold.
    fn rules(&self) -> usize {
        let is_rule = |place: &&Place| {
            self.priority != 0 || self.conditions.number() > 0 || self.ignores_case_of(place)
        };
        self.places.iter().filter(is_rule).count()
    }
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
    let mut refuse = |name: &str, found: &str, expected: &str| {
        warnings.push(label(service, name, found, expected, NOBODY_IS_LED));
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
                refuse(label, &format!("`{text}`"), &expected);
            }
        }
        if passes_on && vhosts.is_none() {
            refuse("SNI_PASSTHROUGH", "`true`", "a VHOST beside it");
        }
        if !passes_on {
            return wish;
        }
        // Of a handshake nothing but the host is known.
        wish.priority = 0;
        wish.conditions = Conditions::default();
    }
    let hosts = match &vhosts {
        None => vec![Host::Any],
        Some(vhosts) => match hosts(vhosts) {
            (hosts, None) => hosts,
            (hosts, Some((found, expected))) => {
                refuse("VHOST", &found, &expected);
                hosts
            }
        },
    };
    let paths = match path.filter(|_| !passes_on) {
        None => vec![Beginning::new("")],
        Some(text) => match paths(&text) {
            Ok((ignores_case, paths)) => {
                wish.ignores_case = ignores_case;
                paths
            }
            Err(expected) => {
                refuse("PATH", &format!("`{text}`"), expected);
                return wish;
            }
        },
    };
    let name = if paths.len() > hosts.len() {
        "PATH"
    } else {
        "VHOST"
    };
    let mut refuse_all = |number: usize, what: &str, most: usize| {
        let found = format!("{number} pairs of host and path{what}");
        refuse(name, &found, &format!("at most {most}"));
    };
    let number = hosts.len() * paths.len();
    if number > MOST_PLACES {
        // They are not even put together: there can be millions.
        refuse_all(number, "", MOST_PLACES);
        return wish;
    }
    let places: BTreeSet<Place> = hosts
        .iter()
        .flat_map(|host| paths.iter().map(|path| Place::of(host, path)))
        .filter(|place| place.host != Host::Any || !place.path.text().is_empty())
        .collect();
    wish.places = places.into_iter().collect();
    let rules = wish.rules();
    if rules > MOST_RULES {
        let what = " with `-i`, HEADER, METHOD or BACKEND_WEIGHT";
        refuse_all(rules, what, MOST_RULES);
        wish.places.clear();
    }
    wish
}

/// Hosts, each once, and what is found and expected where some of them are none.
fn hosts(text: &str) -> (Vec<Host>, Option<(String, String)>) {
    let mut hosts = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut expected: Vec<&str> = Vec::new();
    let names = text.split(',').map(str::trim);
    for name in names.filter(|name| !name.is_empty()) {
        match Host::read(name) {
            Ok(host) => {
                hosts.insert(host);
            }
            Err(reason) => {
                wrong.push(name);
                if !expected.contains(&reason) {
                    expected.push(reason);
                }
            }
        }
    }
    let told = (!wrong.is_empty()).then(|| (first_of(&wrong), expected.join("; ")));
    (hosts.into_iter().collect(), told)
}

/// The first of many, and how many more there are.
pub(super) fn first_of(all: &[impl fmt::Display]) -> String {
    let first: Vec<String> = all
        .iter()
        .take(NAMED)
        .map(|name| format!("`{name}`"))
        .collect();
    let first = first.join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// `/api /v2`, with `-i` before them where case does not count.
fn paths(text: &str) -> Result<(bool, Vec<Beginning>), &'static str> {
    const EXPECTED: &str = "paths that begin with `/`, parted by blanks, or `-i` before them";
    let mut ignores_case = false;
    let mut paths = BTreeSet::new();
    for word in text.split_whitespace() {
        if word == "-i" && paths.is_empty() {
            ignores_case = true;
        } else if word.starts_with('/') && word.bytes().all(is_of_path) {
            paths.insert(Beginning::new(word));
        } else {
            return Err(EXPECTED);
        }
    }
    if paths.is_empty() {
        return Err(EXPECTED);
    }
    Ok((ignores_case, paths.into_iter().collect()))
}

/// RFC 3986, `path-absolute`.
fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests;
