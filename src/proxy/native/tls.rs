//! Whose TLS on port 443 is passed on. A host whose TLS ends here is not taken from the apps that
//! have it, neither by its name nor by the end of it.

use std::collections::BTreeMap;

use super::super::Holders;
use super::claims::{Claim, lost_to_others, mark_incumbents, settle};
use super::place::{Host, Place};
use super::rules::lies_below;
use super::{TlsRule, label};
use crate::cluster::Warning;

/// Tells places of handshakes from those of requests.
const BEGIN: &str = "tls:";

/// The rules of port 443, in order, and warnings for those who have to stand back. `requests` are
/// the settled claims of apps that speak http.
pub(super) fn passed_on(
    mut claims: Vec<Claim>,
    requests: &[Claim],
    opens_https: bool,
    (before, holders): (&Holders, &mut Holders),
    warnings: &mut Vec<Warning>,
) -> Vec<TlsRule> {
    if claims.is_empty() {
        return Vec::new();
    }
    let mut hosts: BTreeMap<&Host, Vec<&Claim>> = BTreeMap::new();
    for claim in requests {
        let host = &claim.rule.place.host;
        if *host != Host::Any {
            hosts.entry(host).or_default().push(claim);
        }
    }
    // Within a folder they agree: ports 80 and 443 may be of two apps.
    let rivals = |claim: &Claim| -> Vec<&Claim> {
        let all = hosts.get(&claim.rule.place.host).into_iter().flatten();
        let others = all.filter(|other| !other.is_of_the_folder_of(claim));
        others.copied().collect()
    };
    mark_incumbents(&mut claims, BEGIN, before);
    // Who has to stand back anyway keeps nobody else from it.
    let stronger = |claim: &Claim| {
        let is_stronger = |other: &&Claim| {
            !claim.is_incumbent && (other.is_incumbent || other.age() < claim.age())
        };
        rivals(claim).into_iter().find(is_stronger)
    };
    let lost = claims
        .iter()
        .filter_map(|claim| Some((claim, stronger(claim)?)));
    // They have a port of their own.
    warnings.extend(lost_to_others(lost, |_| true));
    claims.retain(|claim| stronger(claim).is_none());
    let mut kept = BTreeMap::new();
    for claim in settle(claims, BEGIN, holders, warnings) {
        if claim.claimant.is_absent {
            continue;
        }
        let mut told: Vec<&Claim> = Vec::new();
        for rival in rivals(&claim).into_iter().filter(|_| opens_https) {
            let owner = &rival.claimant.owner;
            if !told.iter().any(|known| known.claimant.owner == *owner) {
                told.push(rival);
                warnings.push(passes_by(rival, &claim));
            }
        }
        kept.insert(claim.rule.place.host.clone(), claim);
    }
    let mut rules: BTreeMap<Host, TlsRule> = BTreeMap::new();
    for (host, claims) in &hosts {
        let is_passed_on = |other: &Host| lies_below(host, other);
        if !kept.contains_key(*host) && kept.keys().any(is_passed_on) {
            let rule = claims[0].rule.clone();
            rules.insert(
                (*host).clone(),
                TlsRule {
                    rule,
                    ends_here: true,
                },
            );
        }
    }
    for (host, claim) in kept {
        let rule = claim.rule;
        rules.insert(
            host,
            TlsRule {
                rule,
                ends_here: false,
            },
        );
    }
    rules.into_values().collect()
}

fn passes_by(rival: &Claim, holder: &Claim) -> Warning {
    let Place { host, .. } = &rival.rule.place;
    label(
        &rival.claimant,
        "VHOST",
        &format!("`{host}`, whose TLS is passed on to {}", holder.named()),
        "a host of its own",
        "only requests on port 80 are led there",
    )
}
