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
    fn read(text: &str) -> Result<Self, &'static str> {
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
    let paths = match &path {
        _ if passes_on => vec![Beginning::new("")],
        None => vec![Beginning::new("")],
        Some(text) => match paths(text) {
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
    let first: Vec<String> = wrong
        .iter()
        .take(NAMED)
        .map(|name| format!("`{name}`"))
        .collect();
    let mut found = first.join(", ");
    if wrong.len() > NAMED {
        found = format!("{found} and {} more", wrong.len() - NAMED);
    }
    let told = (!wrong.is_empty()).then(|| (found, expected.join("; ")));
    (hosts.into_iter().collect(), told)
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
mod tests {
    use std::sync::Arc;

    use super::super::fixtures::service;
    use super::*;
    use crate::cluster::AppId;
    use crate::labels::ServiceOptions;

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
            ("/a /b /long /a", Some((false, "/long /a /b"))),
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

    fn wished(vhost: &str, path: &str, weight: i64) -> (Vec<String>, Vec<Warning>) {
        let mut service = service("/app");
        service.options = Arc::new(ServiceOptions {
            vhost: (!vhost.is_empty()).then(|| vhost.into()),
            path: (!path.is_empty()).then(|| path.into()),
            priority: (weight != 0).then_some(weight),
            ..ServiceOptions::default()
        });
        let mut warnings = Vec::new();
        let wish = wish(&service, Conditions::default(), &mut warnings);
        let places = wish.places.iter();
        let shown = places.map(|Place { host, path }| format!("{host}{}", path.text()));
        (shown.collect(), warnings)
    }

    fn many(number: usize, each: impl Fn(usize) -> String, between: &str) -> String {
        (0..number).map(each).collect::<Vec<_>>().join(between)
    }

    fn hosts_of(number: usize) -> String {
        many(number, |nth| format!("h{nth}.test"), ",")
    }

    fn paths_of(number: usize) -> String {
        many(number, |nth| format!("/p{nth}"), " ")
    }

    #[test]
    fn the_path_of_all_requests_is_none_beside_a_host() {
        for (vhost, path, places) in [
            ("a.test", "/", &["a.test"][..]),
            ("a.test", "-i /", &["a.test"]),
            (
                "*.test,a.test",
                "/ /b",
                &["a.test/b", "a.test", "*.test/b", "*.test"],
            ),
            ("", "/", &["/"]),
            ("", "", &[]),
        ] {
            assert_eq!(
                wished(vhost, path, 0),
                (strings(places), vec![]),
                "{vhost}{path}"
            );
        }
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn who_names_more_than_the_most_is_led_none_and_told_once() {
        let (hosts, paths) = (hosts_of(1_000), paths_of(1_000));
        for (vhost, path, weight, label, found, most) in [
            (
                &*hosts,
                "/ /b",
                0,
                "VHOST",
                "2000 pairs of host and path",
                1_000,
            ),
            (
                "a.test,b.test",
                &*paths,
                0,
                "PATH",
                "2000 pairs of host and path",
                1_000,
            ),
            (
                "a.test",
                &*format!("-i {}", paths_of(51)),
                0,
                "PATH",
                "51 pairs of host and path with `-i`, HEADER, METHOD or BACKEND_WEIGHT",
                50,
            ),
            (
                &*hosts_of(51),
                "",
                -1,
                "VHOST",
                "51 pairs of host and path with `-i`, HEADER, METHOD or BACKEND_WEIGHT",
                50,
            ),
        ] {
            let told = Warning {
                app: Some(AppId::new("/app")),
                subject: format!("label `HAPROXY_0_{label}`"),
                found: found.to_owned(),
                expected: format!("at most {most}"),
                effect: NOBODY_IS_LED.to_owned(),
            };
            assert_eq!(wished(vhost, path, weight), (vec![], vec![told]));
        }
        for (vhost, path, weight, number) in [
            (&*hosts, "", 0, 1_000),
            // The same ones again are no more.
            (&*format!("{hosts},{hosts}"), "/ /", 0, 1_000),
            ("", &*paths, 0, 1_000),
            (&*hosts_of(50), "", 7, 50),
            ("", &*format!("-i {}", paths_of(50)), 0, 50),
            // Without letters there is no case to ignore.
            (&*hosts_of(51), "-i /1", 0, 51),
        ] {
            let (places, warnings) = wished(vhost, path, weight);
            assert_eq!((places.len(), warnings), (number, vec![]));
        }
    }

    #[test]
    fn of_many_hosts_that_are_none_the_first_are_named() {
        let wrong = many(5_000, |nth| format!("-{nth}"), ",");
        let (places, warnings) = wished(&format!("a.test:80,{wrong},b.test"), "", 0);
        assert_eq!(places, ["b.test"]);
        let [warning] = &warnings[..] else {
            panic!("{} warnings", warnings.len());
        };
        assert_eq!(warning.found, "`a.test:80`, `-0`, `-1` and 4998 more");
        assert_eq!(
            warning.expected,
            "a host without a port: that of a request does not count; host names of letters, \
             digits, `-`, `_` and dots, or `*.` before one"
        );
    }
}
