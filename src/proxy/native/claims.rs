//! Who has a place that several claim.
//!
//! Whoever had it in the turn before keeps it; else the one who claims all of its requests goes
//! before one who claims some, and the one whose app was changed longer ago before the others. Apps
//! of one folder may share a place by conditions, as a canary does; nobody else may.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::super::marathon_lb::Service;
use super::super::{Holders, WITHOUT_TASKS, precedence};
use super::place::{Host, Place, wish};
use super::tuning::{Conditions, conditions};
use super::{Rule, label};
use crate::cluster::{AppId, Warning};

/// Requests that an owner wants.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// Whose labels say it; with `MERGE` the rule can lead to another.
    pub(super) claimant: Arc<Service>,
    pub(super) priority: i64,
    pub(super) rule: Rule,
    /// Had the place in the turn before.
    pub(super) is_incumbent: bool,
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

    fn is_of_the_place_of(&self, other: &Self) -> bool {
        let (one, other) = (&self.rule, &other.rule);
        let (path, other_path) = (one.place.path.text(), other.place.path.text());
        let ignores_case = one.ignores_case || other.ignores_case;
        one.place.host == other.place.host
            && (path == other_path || ignores_case && path.eq_ignore_ascii_case(other_path))
    }

    pub(super) fn is_of_the_folder_of(&self, other: &Self) -> bool {
        folder(&self.claimant.owner.app) == folder(&other.claimant.owner.app)
    }

    /// Only one of them can be served: else the requests of one would go to the other.
    fn excludes(&self, other: &Self) -> bool {
        self.rule.service.owner != other.rule.service.owner
            && !self.stands_in_for(other)
            && self.is_of_the_place_of(other)
            && (self.says_the_same_as(other) || !self.is_of_the_folder_of(other))
    }

    /// What an absent one has is also the other's: of one app, or of one `MERGE` in its folder.
    fn stands_in_for(&self, other: &Self) -> bool {
        let merged = |claim: &Self| claim.claimant.options.own.get("MERGE").cloned();
        let is_of_app = self.claimant.owner.app == other.claimant.owner.app;
        let is_merged = merged(self).is_some() && merged(self) == merged(other);
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

    /// As it is remembered. What goes first by weight does not have the place.
    pub(super) fn key(&self, begin: &str) -> Box<str> {
        let place = shown(&self.rule.place);
        match self.priority {
            0 => format!("{begin}{place}").into(),
            weight => format!("{begin}{place} by weight {weight}").into(),
        }
    }

    /// Which label puts it there.
    fn label(&self) -> &'static str {
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

    /// For its owner: somebody else has the place.
    pub(super) fn lost_to(&self, holder: &Self) -> Warning {
        let effect = if !self.claimant.is_http() {
            "TLS for it on port 443 is not passed on to this app"
        } else if self.is_conditional() {
            "no request is led there for it"
        } else {
            "its requests go to the holder"
        };
        let expected = match self.label() {
            _ if !self.claimant.is_http() => "a host of its own, or of an app in the same folder",
            "HEADER" | "METHOD" => "a host and path of its own, or of an app in the same folder",
            _ => "a host and path of its own, or a BACKEND_WEIGHT that says who goes first",
        };
        let found = format!(
            "`{}` is held by {}",
            shown(&self.rule.place),
            holder.named()
        );
        label(&self.claimant, self.label(), &found, expected, effect)
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

/// What an app's id has before its last part.
fn folder(app: &AppId) -> &str {
    let id = app.as_str();
    id.rfind('/').map_or("", |end| &id[..end])
}

/// What the labels of `claimant` want to be led to `service`.
pub(super) fn claims_of(
    claimant: &Arc<Service>,
    service: &Arc<Service>,
    warnings: &mut Vec<Warning>,
) -> Vec<Claim> {
    // They were read before, or the service were not here.
    let conditions = conditions(claimant).unwrap_or_default();
    let mut wish = wish(claimant, conditions, warnings);
    if !service.is_http() {
        // Of a handshake nothing but the host is known.
        wish.priority = 0;
        wish.conditions = Conditions::default();
    }
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
    let mut by_place: BTreeMap<(i64, Host, String), Vec<usize>> = BTreeMap::new();
    for claim in claims {
        let Place { host, path } = &claim.rule.place;
        // Where one ignores case, others stand beside it that differ in case alone.
        let place = (
            claim.priority,
            host.clone(),
            path.text().to_ascii_lowercase(),
        );
        let beside = by_place.entry(place).or_default();
        let mut others = beside.iter().map(|at| &settled[*at]);
        if let Some(holder) = others.clone().find(|other| claim.excludes(other)) {
            if !claim.claimant.is_absent {
                warnings.push(claim.lost_to(holder));
            }
            continue;
        }
        if others.any(|other| !other.claimant.is_absent && claim.says_the_same_as(other)) {
            // With `MERGE` several lead to one.
            continue;
        }
        let app = claim.claimant.owner.app.clone();
        holders.entry(claim.key(begin)).or_insert(app);
        beside.push(settled.len());
        settled.push(claim);
    }
    settled
}

/// Warns of weights that lead requests past those who would have them otherwise.
pub(super) fn passed_by(claims: &[Claim], warnings: &mut Vec<Warning>) {
    let mut by_host: BTreeMap<&Host, Vec<&Claim>> = BTreeMap::new();
    let weighted: Vec<&Claim> = claims
        .iter()
        .filter(|claim| claim.priority > 0 && !claim.claimant.is_absent)
        .collect();
    if weighted.is_empty() {
        return;
    }
    for claim in claims {
        let host = &claim.rule.place.host;
        by_host.entry(host).or_default().push(claim);
    }
    // Of many the first one is named: whoever goes before one host often does before a thousand.
    let mut told: BTreeMap<_, (&Claim, &Claim, bool)> = BTreeMap::new();
    for claim in weighted {
        let host = &claim.rule.place.host;
        let first = match host {
            Host::Exact(_) => Bound::Included(host),
            // More precise ones are smaller.
            _ => Bound::Unbounded,
        };
        let more_precise = by_host.range::<&Host, _>((first, Bound::Included(host)));
        let mut passed = more_precise
            .flat_map(|(_, others)| others.iter().copied())
            .filter(|other| goes_before_by_weight_alone(claim, other));
        let Some(other) = passed.next() else {
            continue;
        };
        let owner = &claim.claimant.owner;
        let (_, known, are_more) = told.entry(owner).or_insert((claim, other, false));
        let is_another = |other: &Claim| other.rule.place != known.rule.place;
        *are_more = *are_more || is_another(other) || passed.any(is_another);
    }
    for (claim, other, are_more) in told.into_values() {
        let (place, holder) = (shown(&other.rule.place), other.named());
        let more = if are_more { ", and others" } else { "" };
        warnings.push(label(
            &claim.claimant,
            "BACKEND_WEIGHT",
            &format!("that it goes before `{place}` of {holder}{more}"),
            "no weight, unless both are to have it so",
            "used: such requests reach this app",
        ));
    }
}

fn goes_before_by_weight_alone(claim: &Claim, other: &Claim) -> bool {
    if other.priority < 0
        || other.priority >= claim.priority
        || claim.rule.service.owner.app == other.rule.service.owner.app
        || !claim.rule.overlaps(&other.rule)
    {
        return false;
    }
    let is_shared = claim.is_of_the_place_of(other) && !claim.excludes(other);
    let order = other.rule.order(&claim.rule);
    order.is_lt() || claim.is_of_the_place_of(other) && !is_shared
}

fn shown(place: &Place) -> String {
    format!("{}{}", place.host, place.path.text())
}
