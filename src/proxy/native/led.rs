//! Where a request is led, for people: the order in which HAProxy tries rules and maps.

use super::{DOMAIN_MAP, Host, Layout, PATH_MAP, Rule, SUFFIX_MAP};
use crate::proxy::marathon_lb::Service;

/// One of those to whom a request can be led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way<'l> {
    /// By this rule, which may ask for more than host and path; else by a map, or by default.
    pub rule: Option<&'l Rule>,
    /// By this map.
    pub map: Option<&'static str>,
    /// Where it is led.
    pub backend: &'l str,
}

impl Layout {
    /// Who gets requests for `host`, which may have a port, and `path` on ports 80 and 443, in the
    /// order in which they are tried. All but the last one ask for more than host and path.
    #[must_use]
    pub fn ways(&self, host: &str, path: &str) -> Vec<Way<'_>> {
        let host = host.to_lowercase();
        let host = name(&host);
        let mut ways = Vec::new();
        for (rules, lookup) in [
            (&self.first, self.exact(host, path)),
            (&self.below, self.below_an_end(host, path)),
            (&self.paths, self.longest(PATH_MAP, path)),
            (&self.last, None),
        ] {
            for rule in rules.iter().filter(|rule| fits(rule, host, path)) {
                ways.push(Way {
                    rule: Some(rule),
                    map: None,
                    backend: &rule.service.name,
                });
                if rule.conditions.number() == 0 {
                    return ways;
                }
            }
            if let Some((map, backend)) = lookup {
                ways.push(Way {
                    rule: None,
                    map: Some(map),
                    backend,
                });
                return ways;
            }
        }
        ways.extend(self.default_backend.as_deref().map(|backend| Way {
            rule: None,
            map: None,
            backend,
        }));
        ways
    }

    /// To whom TLS for `host` on port 443 is passed on, which may have a port; nobody where it ends
    /// there.
    #[must_use]
    pub fn passed_on_to(&self, host: &str) -> Option<&Service> {
        let host = host.to_lowercase();
        let host = name(&host);
        let mut rules = self.passed_on.iter();
        let first = rules.find(|tls| is_of_host(&tls.rule.place.host, host))?;
        (!first.ends_here).then_some(&*first.rule.service)
    }

    fn exact(&self, host: &str, path: &str) -> Option<(&'static str, &str)> {
        let with_path = self.longest(PATH_MAP, &format!("{host}{path}"));
        with_path.or_else(|| self.row(DOMAIN_MAP, host))
    }

    fn below_an_end(&self, host: &str, path: &str) -> Option<(&'static str, &str)> {
        let mut ends = self.maps.get(SUFFIX_MAP)?.iter();
        let (_, domain) = ends.find(|(end, _)| host.ends_with(&**end))?;
        self.exact(domain, path)
    }

    /// The row whose key is the longest beginning of `text`.
    fn longest(&self, map: &'static str, text: &str) -> Option<(&'static str, &str)> {
        let rows = self.maps.get(map)?.iter();
        let fitting = rows.filter(|(key, _)| text.starts_with(&**key));
        let (_, backend) = fitting.max_by_key(|(key, _)| key.len())?;
        Some((map, backend))
    }

    fn row(&self, map: &'static str, text: &str) -> Option<(&'static str, &str)> {
        let mut rows = self.maps.get(map)?.iter();
        let (_, backend) = rows.find(|(key, _)| **key == *text)?;
        Some((map, backend))
    }
}

/// A host in small letters, without its port.
fn name(host: &str) -> &str {
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    host.strip_suffix('.').unwrap_or(host)
}

fn is_of_host(asked: &Host, host: &str) -> bool {
    match asked {
        Host::Exact(own) => **own == *host,
        Host::Below(_, end) => host.ends_with(&**end),
        Host::Any => true,
    }
}

fn fits(rule: &Rule, host: &str, path: &str) -> bool {
    let own = rule.place.path.text();
    let begins = if rule.ignores_case {
        let begin = path.as_bytes().get(..own.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(own.as_bytes()))
    } else {
        path.starts_with(own)
    };
    is_of_host(&rule.place.host, host) && begins
}
