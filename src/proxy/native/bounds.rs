//! How many rules one app may have in the shared frontends, in all of its service ports together.

use std::collections::BTreeMap;

use super::super::marathon_lb::Service;
use super::claims::Claim;
use super::label;
use crate::cluster::{AppId, Warning};

/// Requests of all apps are compared with each of these, one after the other: a hundred cost HAProxy
/// about 25 µs per request.
const MOST_RULES_OF_AN_APP: usize = 200;

/// What the apps have of it.
#[derive(Default)]
pub(super) struct Bounds<'s>(BTreeMap<&'s AppId, Rules<'s>>);

#[derive(Default)]
struct Rules<'s> {
    wanted: usize,
    /// The first service port that gets none, the label that asks for them, and how many more there
    /// are.
    refused: Option<(&'s Service, &'static str, usize)>,
}

impl<'s> Bounds<'s> {
    /// The same claims; none where there are rules among them and the app has too many. It gets those
    /// of its first service ports.
    pub(super) fn keep(&mut self, claimant: &'s Service, claims: Vec<Claim>) -> Vec<Claim> {
        let is_rule = |claim: &&Claim| !claim.is_plain() || !claimant.is_http();
        let Some(first) = claims.iter().find(is_rule) else {
            return claims;
        };
        let number = claims.iter().filter(is_rule).count();
        let rules = self.0.entry(&claimant.owner.app).or_default();
        rules.wanted += number;
        match &mut rules.refused {
            None if rules.wanted <= MOST_RULES_OF_AN_APP => return claims,
            None => rules.refused = Some((claimant, first.label(), 0)),
            Some((.., more)) => *more += 1,
        }
        Vec::new()
    }

    /// One for each app that has too many.
    pub(super) fn warnings(self) -> impl Iterator<Item = Warning> {
        self.0.into_values().filter_map(|rules| {
            let (service, name, more) = rules.refused?;
            let found = format!(
                "{} pairs of host and path with `-i`, HEADER, METHOD, BACKEND_WEIGHT or \
                 SNI_PASSTHROUGH in the service ports of the app",
                rules.wanted
            );
            let expected = format!("at most {MOST_RULES_OF_AN_APP} of one app");
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} behind it"),
            };
            let effect = format!(
                "no request is led there on ports 80 and 443 for service port {}{more}",
                service.owner.service_port
            );
            Some(label(service, name, &found, &expected, &effect))
        })
    }
}
