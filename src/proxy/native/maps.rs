//! Places as rows of maps. HAProxy finds the longest beginning of a path by itself (`map_beg`, a
//! tree), but of the ends of a host the first that stands in the file (`map_end`, a list).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::marathon_lb::{Rows, Service};
use super::place::{Host, Place};
use super::{DOMAIN_MAP, PATH_MAP, SUFFIX_MAP};

/// Who has which place.
pub(super) type Places = BTreeMap<Place, Arc<Service>>;

/// Beginnings of paths, and whom they lead to.
type Paths<'a> = BTreeMap<&'a str, &'a str>;

/// All places in maps, each sorted in such a way that the same places make the same bytes.
pub(super) fn maps(places: &Places) -> BTreeMap<&'static str, Rows> {
    let mut domains = BTreeMap::new();
    let mut paths = BTreeMap::new();
    let mut suffixes: BTreeMap<(usize, &str), Paths<'_>> = BTreeMap::new();
    for (Place { host, path }, service) in places {
        let (path, backend) = (path.text(), service.name.as_str());
        match host {
            Host::Below(Reverse(length), suffix) => {
                let own = suffixes.entry((*length, suffix)).or_default();
                own.insert(path, backend);
            }
            Host::Exact(host) if path.is_empty() => {
                domains.insert(host.to_string(), backend);
            }
            Host::Exact(host) => {
                paths.insert(format!("{host}{path}"), backend);
            }
            Host::Any => {
                paths.insert(path.to_owned(), backend);
            }
        }
    }
    let suffixes = with_what_lies_above(suffixes);
    for ((_, suffix), own) in &suffixes {
        for (path, backend) in own {
            let key = format!("*{suffix}{path}");
            if path.is_empty() {
                domains.insert(key, backend);
            } else {
                paths.insert(key, backend);
            }
        }
    }
    let rows = |map: BTreeMap<String, &str>| -> Rows {
        map.into_iter()
            .map(|(key, backend)| (key.into(), backend.to_owned()))
            .collect()
    };
    let of_suffix = |(_, suffix): &(usize, &str)| ((*suffix).into(), format!("*{suffix}"));
    BTreeMap::from([
        (DOMAIN_MAP, rows(domains)),
        (PATH_MAP, rows(paths)),
        (SUFFIX_MAP, suffixes.keys().rev().map(of_suffix).collect()),
    ])
}

/// A request is looked up below one end of its host only, the longest: so each one is also given
/// those places of shorter ones that its own leave open.
fn with_what_lies_above<'a>(
    suffixes: BTreeMap<(usize, &'a str), Paths<'a>>,
) -> BTreeMap<(usize, &'a str), Paths<'a>> {
    let mut whole: BTreeMap<(usize, &str), Paths<'_>> = BTreeMap::new();
    // Shorter ones come first, and are whole when a longer one asks.
    for ((length, suffix), own) in suffixes {
        let above = whole
            .iter()
            .rev()
            .find(|((_, shorter), _)| suffix.ends_with(shorter));
        let is_open = |path: &str| !own.keys().any(|own| path.starts_with(own));
        let open: Paths<'_> = above
            .into_iter()
            .flat_map(|(_, paths)| paths)
            .filter(|(path, _)| is_open(path))
            .map(|(path, backend)| (*path, *backend))
            .collect();
        whole.insert((length, suffix), own.into_iter().chain(open).collect());
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::super::place::Beginning;
    use super::*;
    use crate::proxy::native::fixtures::service;

    fn rows(places: &[(Host, &str, &str)], map: &str) -> Vec<String> {
        let place = |(host, path, backend): &(Host, &str, &str)| {
            let place = Place {
                host: host.clone(),
                path: Beginning::new(path),
            };
            (place, Arc::new(service(backend)))
        };
        let maps = maps(&places.iter().map(place).collect());
        let rows = maps[map].iter();
        rows.map(|(key, value)| format!("{key} {value}")).collect()
    }

    #[test]
    fn each_end_of_a_host_has_what_shorter_ones_would_add() {
        let below = |suffix: &str| Host::below(suffix.to_owned());
        let places = [
            (below(".test"), "", "all"),
            (below(".test"), "/b", "b"),
            (below(".test"), "/a/deep", "deep"),
            (below(".in.test"), "/a", "a"),
            (below(".far.in.test"), "", "far"),
            (Host::Exact("www.test".into()), "/a", "www-a"),
            (Host::Exact("www.test".into()), "", "www"),
            (Host::Any, "/any", "any"),
        ];
        assert_eq!(
            rows(&places, SUFFIX_MAP),
            [
                ".far.in.test *.far.in.test",
                ".in.test *.in.test",
                ".test *.test"
            ],
            "the longest first: of several that fit, HAProxy takes the first line"
        );
        assert_eq!(
            rows(&places, DOMAIN_MAP),
            [
                "*.far.in.test far",
                "*.in.test all",
                "*.test all",
                "www.test www"
            ]
        );
        assert_eq!(
            rows(&places, PATH_MAP),
            [
                "*.in.test/a a",
                "*.in.test/b b",
                "*.test/a/deep deep",
                "*.test/b b",
                "/any any",
                "www.test/a www-a",
            ]
        );
    }
}
