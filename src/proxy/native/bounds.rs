//! How many hosts, paths and rules one app may have in the shared frontends, in all of its service ports
//! together.

use std::sync::Arc;

use super::super::marathon_lb::Service;
use super::claims::Claim;
use super::label;
use super::rules::may_be_tried_before;
use crate::cluster::Warning;

/// Requests of all apps are compared with each of these, one after the other: a hundred cost HAProxy
/// about 25 µs per request.
const MOST_RULES_OF_AN_APP: usize = 200;

/// They lie in maps, which HAProxy reads at each check and each start: 0.3 kB each, and a second for
/// 100,000.
const MOST_PLACES_OF_AN_APP: usize = 10_000;

/// What the service ports of one app have of it.
#[derive(Default)]
struct Rules<'s> {
    wanted: usize,
    /// Rules, as their owner wants them.
    own: Vec<Claim>,
    /// Plain places that are in maps alone, as long as nothing asks for more.
    in_maps: Vec<Claim>,
    /// The first service port that gets none, the label that asks for them, and how many more there
    /// are.
    refused: Option<(&'s Service, &'static str, usize)>,
}

/// The claims of all service ports, without those of service ports that would have places or rules beyond
/// a bound of their app: it gets those of its first ones. Service ports of one app stand in a row.
pub(super) fn within_bounds<'s>(
    mut all: Vec<(&'s Arc<Service>, Vec<Claim>)>,
    warnings: &mut Vec<Warning>,
) -> Vec<(&'s Arc<Service>, Vec<Claim>)> {
    for of_app in all.chunk_by_mut(|(one, _), (other, _)| one.owner.app == other.owner.app) {
        // Most have none, and nothing of theirs is to be compared.
        if of_app.iter().any(|(_, claims)| claims.iter().any(is_rule)) {
            let mut rules = Rules::default();
            for (claimant, claims) in &mut *of_app {
                rules.keep(claimant, claims);
            }
            warnings.extend(rules.warning());
        }
        warnings.extend(keep_places(of_app));
    }
    all
}

/// Empties the claims of those service ports of an app behind which there would be too many.
fn keep_places(of_app: &mut [(&Arc<Service>, Vec<Claim>)]) -> Option<Warning> {
    let mut sum = 0;
    let mut beyond: Vec<(&Service, &'static str)> = Vec::new();
    for (claimant, claims) in of_app {
        sum += claims.len();
        if let Some(first) = claims.first().filter(|_| sum > MOST_PLACES_OF_AN_APP) {
            beyond.push((claimant, first.label()));
            claims.clear();
        }
    }
    let ((service, name), more) = beyond.split_first()?;
    let found = format!("{sum} pairs of host and path in the service ports of the app");
    let expected = format!("at most {MOST_PLACES_OF_AN_APP} of one app");
    Some(label(
        service,
        name,
        &found,
        &expected,
        &led_nowhere(service, more.len()),
    ))
}

/// What becomes of a service port, and of so many behind it.
fn led_nowhere(service: &Service, more: usize) -> String {
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} behind it"),
    };
    format!(
        "no request is led there on ports 80 and 443 for service port {}{more}",
        service.owner.service_port
    )
}

/// TLS is passed on by rules alone.
fn is_rule(claim: &Claim) -> bool {
    !claim.is_plain() || !claim.claimant.is_http()
}

/// Whether a plain place is written as a rule too, for the sake of one that it has to go before.
fn is_beside(place: &Claim, rule: &Claim) -> bool {
    rule.claimant.is_http() && may_be_tried_before(place, rule)
}

impl<'s> Rules<'s> {
    /// Empties `claims` where there would be too many rules with them.
    fn keep(&mut self, claimant: &'s Service, claims: &mut Vec<Claim>) {
        let (own, plain): (Vec<&Claim>, Vec<&Claim>) = claims.iter().partition(|c| is_rule(c));
        let (beside, in_maps): (Vec<&Claim>, Vec<&Claim>) = plain.into_iter().partition(|place| {
            let mut rules = self.own.iter().chain(own.iter().copied());
            rules.any(|rule| is_beside(place, rule))
        });
        let Some(first) = own.first().or(beside.first()) else {
            self.in_maps.extend(in_maps.into_iter().cloned());
            return;
        };
        let is_moved = |place: &&Claim| own.iter().any(|rule| is_beside(place, rule));
        let moved = self.in_maps.iter().filter(is_moved).count();
        self.wanted += own.len() + beside.len() + moved;
        match &mut self.refused {
            None if self.wanted <= MOST_RULES_OF_AN_APP => {
                self.in_maps.retain(|place| !is_moved(&place));
                self.in_maps.extend(in_maps.into_iter().cloned());
                self.own.extend(own.into_iter().cloned());
                return;
            }
            None => self.refused = Some((claimant, first.label(), 0)),
            Some((.., more)) => *more += 1,
        }
        claims.clear();
    }

    /// For an app that has too many.
    fn warning(self) -> Option<Warning> {
        let (service, name, more) = self.refused?;
        let found = format!(
            "{} pairs of host and path with `-i`, HEADER, METHOD, BACKEND_WEIGHT or \
             SNI_PASSTHROUGH, or more precise than such, in the service ports of the app",
            self.wanted
        );
        let expected = format!("at most {MOST_RULES_OF_AN_APP} of one app");
        let effect = led_nowhere(service, more);
        Some(label(service, name, &found, &expected, &effect))
    }
}
