//! Who has a place that several claim.
//!
//! Whoever had it in the turn before keeps it; else the one who claims all of its requests goes
//! before one who claims some, and the one whose app was changed longer ago before the others. Apps
//! of one folder may share a place by conditions, as a canary does, or by weight; nobody else may.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::super::marathon_lb::Service;
use super::super::{Holders, Owner, WITHOUT_TASKS, precedence};
use super::place::{Host, Place, first_of, wish};
use super::tuning::conditions;
use super::{Remark, Rule, label};
use crate::cluster::Warning;

/// Behind what becomes of the requests of one whose places are all held by others.
const NO_WAY: &str =
    "; with --no-service-ports no host, path or port of its own leads to this one any more";

/// Requests that an owner wants.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// Whose labels say it; with `MERGE` the rule can lead to another.
    pub(super) claimant: Arc<Service>,
    pub(super) priority: i64,
    pub(super) rule: Rule,
    /// Had the place in the turn before.
    pub(super) is_incumbent: bool,
    /// Whoever is led to has no port of its own.
    pub(super) is_only_way: bool,
}

impl Claim {
    /// It says no more than a map can.
    pub(super) fn is_plain(&self) -> bool {
        self.priority == 0 && !self.rule.ignores_case && !self.is_conditional()
    }

    fn is_conditional(&self) -> bool {
        self.rule.conditions.number() > 0
    }

    fn says_the_same_as(&self, other: &Self) -> bool {
        let (one, other) = (&self.rule, &other.rule);
        (&one.place, one.ignores_case, &one.conditions)
            == (&other.place, other.ignores_case, &other.conditions)
    }

    /// No request would reach whichever of them is tried later.
    fn repeats(&self, other: &Self) -> bool {
        self.priority == other.priority && self.says_the_same_as(other)
    }

    fn is_of_the_place_of(&self, other: &Self) -> bool {
        let (one, other) = (&self.rule, &other.rule);
        let (path, other_path) = (one.place.path.text(), other.place.path.text());
        let ignores_case = one.ignores_case || other.ignores_case;
        one.place.host == other.place.host
            && (path == other_path || ignores_case && path.eq_ignore_ascii_case(other_path))
    }

    pub(super) fn is_of_the_folder_of(&self, other: &Self) -> bool {
        self.claimant.owner.app.folder() == other.claimant.owner.app.folder()
    }

    /// Only one of them can be served: else the requests of one would go to the other.
    fn excludes(&self, other: &Self) -> bool {
        self.rule.service.owner != other.rule.service.owner
            && !self.stands_in_for(other)
            && self.is_of_the_place_of(other)
            && (self.repeats(other) || !self.is_of_the_folder_of(other))
    }

    /// What an absent one has is also the other's: of one app, or of one `MERGE` in its folder.
    fn stands_in_for(&self, other: &Self) -> bool {
        let (own, others) = (&self.claimant.options, &other.claimant.options);
        let is_of_app = self.claimant.owner.app == other.claimant.owner.app;
        let is_merged = own.merge().is_some() && own.merge() == others.merge();
        (self.claimant.is_absent || other.claimant.is_absent)
            && (is_of_app || is_merged && self.is_of_the_folder_of(other))
    }

    /// Smaller is stronger.
    fn strength(&self) -> impl Ord + '_ {
        (!self.is_incumbent, self.is_conditional(), self.age())
    }

    /// Older is smaller.
    pub(super) fn age(&self) -> impl Ord + '_ {
        let service = &self.rule.service;
        let date = service.last_config_change_at.as_deref();
        let app = precedence(&service.owner.app, date, None);
        (app, service.owner.service_port)
    }

    /// What goes last by weight takes nothing from the one who has the place.
    fn is_last(&self) -> bool {
        self.priority < 0
    }

    /// As it is remembered.
    pub(super) fn key(&self, begin: &str) -> Box<str> {
        let place = shown(&self.rule.place);
        match self.priority {
            0.. => format!("{begin}{place}").into(),
            weight => format!("{begin}{place} by weight {weight}").into(),
        }
    }

    /// Which label puts it there.
    pub(super) fn label(&self) -> &'static str {
        let rule = &self.rule;
        if rule.conditions.header.is_some() {
            "HEADER"
        } else if !rule.conditions.methods.is_empty() {
            "METHOD"
        } else if !rule.place.path.text().is_empty() {
            "PATH"
        } else {
            "VHOST"
        }
    }

    /// For its owner: somebody else has these places, of which this is one.
    fn lost_to(&self, holder: &Self, places: &[String], is_shut_out: bool) -> Warning {
        let effect = if !self.claimant.is_http() {
            "TLS for such a host on port 443 is not passed on to this app"
        } else if self.is_conditional() {
            "no request is led there for that"
        } else {
            "its requests go to the holder"
        };
        let expected = match self.label() {
            _ if !self.claimant.is_http() => "a host of its own, or of an app in the same folder",
            "HEADER" | "METHOD" => "a host and path of its own, or of an app in the same folder",
            _ if self.is_of_the_folder_of(holder) => {
                "a host and path of its own, or a BACKEND_WEIGHT that says who goes first"
            }
            _ if self.claimant.options.priority.is_some() => {
                "a host and path of its own: a BACKEND_WEIGHT counts within a folder alone"
            }
            _ => "a host and path of its own",
        };
        let are = if places.len() == 1 { "is" } else { "are" };
        let found = format!("{} {are} held by {}", first_of(places), holder.named());
        let no_way = if is_shut_out { NO_WAY } else { "" };
        let effect = format!("{effect}{no_way}");
        label(&self.claimant, self.label(), &found, expected, &effect)
    }

    /// Whose it is, in words.
    pub(super) fn named(&self) -> String {
        let owner = &self.rule.service.owner;
        if self.claimant.is_absent {
            return format!("app `{}`{WITHOUT_TASKS}", owner.app);
        }
        format!("app `{}`, service port {}", owner.app, owner.service_port)
    }
}

/// What the labels of `claimant` want to be led to `service`.
pub(super) fn claims_of(
    claimant: &Arc<Service>,
    service: &Arc<Service>,
    warnings: &mut Vec<Warning>,
) -> Vec<Claim> {
    // They were read before, or the service were not here.
    let conditions = conditions(claimant).unwrap_or_default();
    let wish = wish(claimant, conditions, warnings);
    let claim = |place: &Place| Claim {
        claimant: Arc::clone(claimant),
        priority: wish.priority,
        rule: Rule {
            service: Arc::clone(service),
            place: place.clone(),
            ignores_case: wish.ignores_case_of(place),
            conditions: wish.conditions.clone(),
        },
        is_incumbent: false,
        is_only_way: false,
    };
    wish.places.iter().map(claim).collect()
}

/// Marks those who had in the turn before what they claim. `begin` tells kinds of places apart that
/// do not exclude each other.
pub(super) fn mark_incumbents(claims: &mut [Claim], begin: &str, before: &Holders) {
    if before.is_empty() {
        return;
    }
    for claim in claims {
        let holder = before.get(&claim.key(begin));
        let owners = [&claim.claimant.owner.app, &claim.rule.service.owner.app];
        claim.is_incumbent = holder.is_some_and(|holder| owners.contains(&holder));
    }
}

/// Takes out those who claim what others have, and notes in `holders` who has what. Those that are
/// absent keep what they had from others, and get nothing new.
pub(super) fn settle(
    mut claims: Vec<Claim>,
    begin: &str,
    holders: &mut Holders,
    warnings: &mut Vec<Warning>,
) -> Vec<Claim> {
    claims.retain(|claim| claim.is_incumbent || !claim.claimant.is_absent);
    claims.sort_by(|one, other| one.strength().cmp(&other.strength()));
    let mut settled: Vec<Claim> = Vec::with_capacity(claims.len());
    let mut lost: Vec<(Claim, usize)> = Vec::new();
    let mut by_place: BTreeMap<(i64, Host, String), Vec<usize>> = BTreeMap::new();
    for claim in claims {
        let Place { host, path } = &claim.rule.place;
        // Where one ignores case, others stand beside it that differ in case alone.
        let place = (
            if claim.is_last() { claim.priority } else { 0 },
            host.clone(),
            path.text().to_ascii_lowercase(),
        );
        let beside = by_place.entry(place).or_default();
        let is_holder = |at: &&usize| claim.excludes(&settled[**at]);
        if let Some(holder) = beside.iter().find(is_holder) {
            lost.push((claim, *holder));
            continue;
        }
        let mut others = beside.iter().map(|at| &settled[*at]);
        if others.any(|other| !other.claimant.is_absent && claim.repeats(other)) {
            // With `MERGE` several lead to one.
            continue;
        }
        let app = claim.claimant.owner.app.clone();
        holders.entry(claim.key(begin)).or_insert(app);
        beside.push(settled.len());
        settled.push(claim);
    }
    let lost = lost.iter().map(|(claim, at)| (claim, &settled[*at]));
    let is_led_to = |owner: &Owner| {
        let mut others = settled.iter();
        others.any(|other| other.rule.service.owner == *owner)
    };
    warnings.extend(lost_to_others(lost, is_led_to));
    settled
}

/// One warning for each service port, label and holder: there can be a thousand places. Of those whose
/// only ways are places it says so, unless `is_led_to` knows another.
pub(super) fn lost_to_others<'c>(
    lost: impl Iterator<Item = (&'c Claim, &'c Claim)>,
    is_led_to: impl Fn(&Owner) -> bool,
) -> impl Iterator<Item = Warning> {
    let mut told: BTreeMap<_, (&Claim, &Claim, Vec<String>)> = BTreeMap::new();
    for (claim, holder) in lost.filter(|(claim, _)| !claim.claimant.is_absent) {
        let of = (&claim.claimant.owner, claim.label(), holder.named());
        let (_, _, places) = told.entry(of).or_insert((claim, holder, Vec::new()));
        places.push(shown(&claim.rule.place));
    }
    let warning = |(claim, holder, places): (&Claim, &Claim, Vec<String>)| {
        let is_shut_out = claim.is_only_way && !is_led_to(&claim.rule.service.owner);
        claim.lost_to(holder, &places, is_shut_out)
    };
    told.into_values()
        .map(warning)
        .collect::<Vec<_>>()
        .into_iter()
}

/// Takes the weight from settled claims that would go before a more precise place of another folder
/// by it: they stand where their host and path put them.
pub(super) fn weigh_within_folders(
    mut claims: Vec<Claim>,
    warnings: &mut Vec<Warning>,
) -> Vec<Claim> {
    let passing = passing(&claims, would_pass_another_folder);
    if passing.is_empty() {
        return claims;
    }
    for (claim, other, more) in by_owner(&passing) {
        let (place, holder) = (shown(&other.rule.place), other.named());
        let folder = claim.claimant.owner.app.folder();
        warnings.push(label(
            &claim.claimant,
            "BACKEND_WEIGHT",
            &format!("that it would go before `{place}` of {holder}{more}"),
            &format!("to go before apps of folder `{folder}` alone"),
            "not used there: the more precise host and path goes first",
        ));
    }
    let unused: Vec<usize> = passing.iter().map(|passing| passing.at).collect();
    for at in unused {
        claims[at].priority = 0;
    }
    // Some may ask now what another of the folder asks.
    settle(claims, "", &mut Holders::new(), warnings)
}

/// Weights that lead requests past apps of the same folder who would have them otherwise.
pub(super) fn passed_by(claims: &[Claim]) -> Vec<Remark> {
    let passing = passing(claims, goes_before_by_weight_alone);
    let remark = |(claim, other, more): (&Claim, &Claim, &str)| {
        let Service { owner, index, .. } = &*claim.claimant;
        let (place, holder) = (shown(&other.rule.place), other.named());
        Remark {
            app: owner.app.clone(),
            other: other.rule.service.owner.app.clone(),
            text: format!(
                "app `{}`: label `HAPROXY_{index}_BACKEND_WEIGHT` goes before `{place}` of \
                 {holder}{more}",
                owner.app
            ),
        }
    };
    by_owner(&passing).map(remark).collect()
}

/// A claim with a weight, and the first one that it passes by.
struct Passing<'c> {
    at: usize,
    claim: &'c Claim,
    other: &'c Claim,
    are_more: bool,
}

fn passing(claims: &[Claim], goes_before: impl Fn(&Claim, &Claim) -> bool) -> Vec<Passing<'_>> {
    let weighted = || {
        claims
            .iter()
            .enumerate()
            .filter(|(_, claim)| claim.priority > 0 && !claim.claimant.is_absent)
    };
    if weighted().next().is_none() {
        return Vec::new();
    }
    let mut by_host: BTreeMap<&Host, Vec<&Claim>> = BTreeMap::new();
    for claim in claims {
        let host = &claim.rule.place.host;
        by_host.entry(host).or_default().push(claim);
    }
    let mut all = Vec::new();
    for (at, claim) in weighted() {
        let host = &claim.rule.place.host;
        let first = match host {
            Host::Exact(_) => Bound::Included(host),
            // More precise ones are smaller.
            _ => Bound::Unbounded,
        };
        let more_precise = by_host.range::<&Host, _>((first, Bound::Included(host)));
        let mut passed = more_precise
            .flat_map(|(_, others)| others.iter().copied())
            .filter(|other| goes_before(claim, other));
        if let Some(other) = passed.next() {
            let are_more = passed.any(|more| more.rule.place != other.rule.place);
            all.push(Passing {
                at,
                claim,
                other,
                are_more,
            });
        }
    }
    all
}

/// For each service port the first: whoever goes before one host often does before a thousand.
fn by_owner<'c>(
    all: &[Passing<'c>],
) -> impl Iterator<Item = (&'c Claim, &'c Claim, &'static str)> + use<'c> {
    let mut told: BTreeMap<&Owner, (&Claim, &Claim, bool)> = BTreeMap::new();
    for passing in all {
        let (claim, other) = (passing.claim, passing.other);
        let owner = &claim.claimant.owner;
        let (_, known, are_more) = told.entry(owner).or_insert((claim, other, false));
        *are_more |= passing.are_more || other.rule.place != known.rule.place;
    }
    let worded = |(claim, other, are_more)| {
        let more = if are_more { ", and others" } else { "" };
        (claim, other, more)
    };
    told.into_values().map(worded)
}

/// The other is tried first where no weight counts. What goes last wants it so.
fn would_pass_another_folder(claim: &Claim, other: &Claim) -> bool {
    !other.is_last()
        && !claim.is_of_the_folder_of(other)
        && claim.rule.overlaps(&other.rule)
        && other.rule.order(&claim.rule).is_lt()
}

fn goes_before_by_weight_alone(claim: &Claim, other: &Claim) -> bool {
    if other.is_last()
        || other.priority >= claim.priority
        || claim.rule.service.owner.app == other.rule.service.owner.app
        || !claim.rule.overlaps(&other.rule)
    {
        return false;
    }
    // By conditions a place is shared as both want it.
    let is_shared = claim.is_of_the_place_of(other) && !claim.says_the_same_as(other);
    let order = other.rule.order(&claim.rule);
    order.is_lt() || claim.is_of_the_place_of(other) && !is_shared
}

fn shown(place: &Place) -> String {
    format!("{}{}", place.host, place.path.text())
}
