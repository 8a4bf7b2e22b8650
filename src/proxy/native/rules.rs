//! The order in which requests meet rules and maps: the more precise place first, and of one place
//! what asks for more.
//!
//! Maps hold what is plain. What they cannot say (headers, methods, paths without case) are rules,
//! which stand before the lookups of their kind of host; and with them, in order, the plain places
//! that have to be tried before one of them.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use super::Rule;
use super::claims::Claim;
use super::maps::Places;
use super::place::{Host, Place};

/// How requests find services on ports 80 and 443.
#[derive(Debug, Default)]
pub(super) struct Routing {
    /// Before all lookups.
    pub(super) first: Vec<Rule>,
    /// Before those of ends of hosts.
    pub(super) below: Vec<Rule>,
    /// Before those of paths alone.
    pub(super) paths: Vec<Rule>,
    /// Behind them.
    pub(super) last: Vec<Rule>,
    /// What is looked up.
    pub(super) places: Places,
}

impl Rule {
    /// What more precise rules are smaller in. Of places that have no request in common, any may be
    /// first.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let folded = |rule: &Self| {
            let path = rule.place.path.text().bytes();
            path.map(|byte| byte.to_ascii_lowercase())
                .collect::<Vec<_>>()
        };
        let by_place = {
            let length = |rule: &Self| Reverse(rule.place.path.text().len());
            (&self.place.host, length(self)).cmp(&(&other.place.host, length(other)))
        };
        let by_path = || {
            if self.place.path == other.place.path {
                return Ordering::Equal;
            }
            folded(self).cmp(&folded(other))
        };
        let asked = |rule: &Self| Reverse(rule.conditions.precision());
        by_place
            .then_with(by_path)
            .then_with(|| asked(self).cmp(&asked(other)))
            .then_with(|| self.ignores_case.cmp(&other.ignores_case))
    }

    /// Whether a request can be meant by both, as far as host and path tell.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (one, other) = (&self.place, &other.place);
        hosts_overlap(&one.host, &other.host) && paths_overlap(one, other)
    }
}

fn hosts_overlap(one: &Host, other: &Host) -> bool {
    match (one, other) {
        (Host::Any, _) | (_, Host::Any) => true,
        (Host::Exact(one), Host::Exact(other)) => one == other,
        (Host::Exact(host), Host::Below(_, suffix))
        | (Host::Below(_, suffix), Host::Exact(host)) => host.ends_with(&**suffix),
        (Host::Below(_, one), Host::Below(_, other)) => {
            one.ends_with(&**other) || other.ends_with(&**one)
        }
    }
}

/// One begins with the other; case may count or not.
fn paths_overlap(one: &Place, other: &Place) -> bool {
    let (one, other) = (one.path.text().as_bytes(), other.path.text().as_bytes());
    let length = one.len().min(other.len());
    one[..length].eq_ignore_ascii_case(&other[..length])
}

/// Puts settled claims in order.
pub(super) fn routing(mut claims: Vec<Claim>, looks_up: bool) -> Routing {
    claims.sort_by(|one, other| {
        let priority = |claim: &Claim| Reverse(claim.priority);
        let owner = |claim: &Claim| claim.rule.service.owner.clone();
        priority(one)
            .cmp(&priority(other))
            .then_with(|| one.rule.order(&other.rule))
            .then_with(|| one.rule.place.cmp(&other.rule.place))
            .then_with(|| owner(one).cmp(&owner(other)))
    });
    let mut routing = Routing::default();
    let mut middle = Vec::new();
    for claim in claims {
        match claim.priority.cmp(&0) {
            Ordering::Greater => routing.first.push(claim.rule),
            Ordering::Equal => middle.push(claim),
            Ordering::Less => routing.last.push(claim.rule),
        }
    }
    if looks_up {
        stage(middle, &mut routing);
    } else {
        routing.first.extend(in_a_row(middle));
    }
    routing
}

/// As the lookups would be made: exact hosts with a path, exact hosts, ends of hosts, paths.
fn in_a_row(claims: Vec<Claim>) -> impl Iterator<Item = Rule> {
    let rules = claims.into_iter().map(|claim| claim.rule);
    let is_exact = |rule: &Rule| matches!(rule.place.host, Host::Exact(_));
    let (of_exact, others): (Vec<Rule>, Vec<Rule>) = rules.partition(is_exact);
    let has_path = |rule: &Rule| !rule.place.path.text().is_empty();
    let (with_path, without): (Vec<Rule>, Vec<Rule>) = of_exact.into_iter().partition(has_path);
    with_path.into_iter().chain(without).chain(others)
}

/// Plain claims become places of maps, the others rules.
fn stage(claims: Vec<Claim>, routing: &mut Routing) {
    // From the last one on, so that each plain one sees which rules stand behind it.
    let mut behind: Vec<Rule> = Vec::new();
    let mut staged: Vec<Rule> = Vec::new();
    for claim in claims.into_iter().rev() {
        let rule = &claim.rule;
        let is_other_stage = |other: &Rule| !is_of_one_stage(&rule.place.host, &other.place.host);
        if behind.last().is_some_and(is_other_stage) {
            behind.clear();
        }
        if !claim.is_plain() {
            behind.push(rule.clone());
            staged.push(claim.rule);
            continue;
        }
        let service = Arc::clone(&rule.service);
        routing.places.insert(rule.place.clone(), service);
        if behind.iter().any(|other| rule.overlaps(other)) {
            staged.push(claim.rule);
        }
    }
    for rule in staged.into_iter().rev() {
        match rule.place.host {
            Host::Exact(_) => routing.first.push(rule),
            Host::Below(..) => routing.below.push(rule),
            Host::Any => routing.paths.push(rule),
        }
    }
}

/// Whether a plain place stands as a rule before this one, as [`stage`] puts them. A weight above 0 may
/// be lost, so that one with it counts.
pub(super) fn may_be_tried_before(place: &Claim, rule: &Claim) -> bool {
    let (one, other) = (&place.rule, &rule.rule);
    rule.priority >= 0
        && is_of_one_stage(&one.place.host, &other.place.host)
        && one.order(other).is_le()
        && one.overlaps(other)
}

/// Whether all requests for `host` are ones for `other` too, which is the end of more of them.
pub(super) fn lies_below(host: &Host, other: &Host) -> bool {
    host < other && matches!(other, Host::Below(..)) && hosts_overlap(host, other)
}

/// They are found by one lookup. Of two exact hosts no request is for both.
fn is_of_one_stage(one: &Host, other: &Host) -> bool {
    match (one, other) {
        (Host::Exact(one), Host::Exact(other)) => one == other,
        (Host::Below(..), Host::Below(..)) | (Host::Any, Host::Any) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::fixtures::service;
    use super::super::place::Beginning;
    use super::super::tuning::Conditions;
    use super::*;

    const HOSTS: [&str; 6] = [
        "",
        "*.test",
        "*.in.test",
        "www.test",
        "www.in.test",
        "in.test",
    ];
    const PATHS: [&str; 6] = ["", "/", "/a", "/A", "/a/b", "/A/B"];

    fn host(text: &str) -> Host {
        match text.strip_prefix('*') {
            _ if text.is_empty() => Host::Any,
            Some(suffix) => Host::below(suffix.to_owned()),
            None => Host::Exact(text.into()),
        }
    }

    fn claims() -> impl Strategy<Value = Vec<Claim>> {
        let methods = select(vec![&[][..], &[], &["GET"], &["POST"]]);
        let claim = (
            select(&HOSTS[..]),
            select(&PATHS[..]),
            any::<bool>(),
            methods,
        );
        let claim = (claim, 0..10_i64);
        proptest::collection::vec(claim, 0..12).prop_map(|claims| {
            let claim = |(nth, ((name, path, ignores_case, methods), priority))| {
                let service = Arc::new(service(&format!("/{nth}")));
                let methods: &[&str] = methods;
                Claim {
                    claimant: Arc::clone(&service),
                    // Most have none.
                    priority: if priority < 8 { 0 } else { 2 * priority - 17 },
                    rule: Rule {
                        service,
                        place: Place {
                            host: host(name),
                            path: Beginning::new(path),
                        },
                        ignores_case,
                        conditions: Conditions {
                            header: None,
                            methods: methods.iter().map(|&method| method.into()).collect(),
                        },
                    },
                    is_incumbent: false,
                    is_only_way: false,
                }
            };
            claims.into_iter().enumerate().map(claim).collect()
        })
    }

    type Request = (&'static str, &'static str, &'static str);

    fn is_meant(rule: &Rule, (host, path, method): Request) -> bool {
        let has_host = match &rule.place.host {
            Host::Exact(own) => host == &**own,
            Host::Below(_, suffix) => host.ends_with(&**suffix),
            Host::Any => true,
        };
        let own = rule.place.path.text();
        let begins = path.get(..own.len()).is_some_and(|begin| {
            begin == own || rule.ignores_case && begin.eq_ignore_ascii_case(own)
        });
        let methods = &rule.conditions.methods;
        let is_asked = methods.is_empty() || methods.iter().any(|own| **own == *method);
        has_host && begins && is_asked
    }

    fn first(rules: &[Rule], request: Request) -> Option<&str> {
        let mut meant = rules.iter().filter(|rule| is_meant(rule, request));
        meant.next().map(|rule| rule.service.name.as_str())
    }

    /// What the frontend does with rules and lookups.
    fn found(routing: &Routing, request: Request) -> Option<&str> {
        let look_up = |is_of_stage: fn(&Host) -> bool| {
            let rules = routing.places.iter().map(|(place, service)| Rule {
                service: Arc::clone(service),
                place: place.clone(),
                ignores_case: false,
                conditions: Conditions::default(),
            });
            let rules: Vec<Rule> = rules.filter(|rule| is_of_stage(&rule.place.host)).collect();
            let name = first(&rules, request)?;
            let mut names = routing.places.values().map(|service| service.name.as_str());
            names.find(|own| *own == name)
        };
        first(&routing.first, request)
            .or_else(|| look_up(|host| matches!(host, Host::Exact(_))))
            .or_else(|| first(&routing.below, request))
            .or_else(|| look_up(|host| matches!(host, Host::Below(..))))
            .or_else(|| first(&routing.paths, request))
            .or_else(|| look_up(|host| *host == Host::Any))
            .or_else(|| first(&routing.last, request))
    }

    proptest! {
        #[test]
        fn maps_and_rules_in_their_place_lead_to_the_same(claims in claims()) {
            let listed = routing(claims.clone(), false);
            let staged = routing(claims, true);
            prop_assert!(listed.places.is_empty());
            for host in ["www.test", "www.in.test", "x.in.test", "x.test", "in.test", "else"] {
                for path in ["/", "/a", "/A", "/a/b", "/a/B", "/x"] {
                    for method in ["GET", "POST", "PUT"] {
                        let request = (host, path, method);
                        prop_assert_eq!(
                            found(&staged, request),
                            found(&listed, request),
                            "{:?}", request
                        );
                    }
                }
            }
        }

        /// A file without such rules has none beside its maps.
        #[test]
        fn what_is_plain_is_in_maps_alone(mut claims in claims()) {
            claims.retain(Claim::is_plain);
            let routing = routing(claims, true);
            let rules = [&routing.first, &routing.below, &routing.paths, &routing.last];
            prop_assert!(rules.iter().all(|rules| rules.is_empty()));
        }
    }
}
