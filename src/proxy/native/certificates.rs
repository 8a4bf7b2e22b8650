//! Which certificates port 443 has, and in which order: of two for one name HAProxy shows the first.
//!
//! Those of `--ssl-certs` stand first. Of those that labels bring, the ones that were there in the
//! turn before keep their order, so that nobody's is shown any more once another app brings one for
//! the same name; new ones stand behind them, that of the app that was changed longest ago first.
//!
//! They stand in one line, and where that is too short in lists that it names ([`on_line`]). Where they may
//! not stand in lists, each app has its first certificate there before any has its second, so that none can
//! keep the others out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::marathon_lb::{Service, Shape};
use super::super::{Holders, Incumbents, precedence};
use super::claims::{claims_of, mark_incumbents, settle};
use super::crt::{Crt, MOST_ON_LINE, as_words, on_line};
use super::label;
use super::place::Host;
use crate::cluster::{AppId, Warning};

/// Of port 443.
#[derive(Default)]
pub(super) struct Certificates {
    /// All, in their order.
    pub(super) all: Vec<Box<str>>,
    /// The same as the line has them.
    pub(super) on_line: Vec<Crt>,
    /// Those of labels, also of services that are absent.
    pub(super) of_labels: Vec<Box<str>>,
    /// Of those whose labels brought what is shown.
    pub(super) folders: BTreeSet<String>,
}

/// A label names it.
struct Brought<'s> {
    service: &'s Arc<Service>,
    path: &'s str,
    /// Its place in the turn before.
    rank: Option<usize>,
}

impl Brought<'_> {
    /// Smaller is first.
    fn order(&self) -> impl Ord + '_ {
        let Service {
            owner,
            last_config_change_at,
            ..
        } = &**self.service;
        let age = precedence(&owner.app, last_config_change_at.as_deref(), None);
        (self.rank.unwrap_or(usize::MAX), age, owner.service_port)
    }
}

/// Those that the operator gives, then those of services that have a host, but for those that are hidden.
pub(super) fn certificates(
    (services, absent): (&[Arc<Service>], &[Arc<Service>]),
    shape: &Shape,
    incumbents: &Incumbents,
    warnings: &mut Vec<Warning>,
) -> Certificates {
    let (given, hidden) = (&shape.ssl_certs, &shape.hidden_certificates);
    let nothing = BTreeSet::new();
    let listable = shape.listable_certificates.as_ref();
    let on_line = |all: &[Box<str>]| on_line(all, listable.unwrap_or(&nothing), &shape.config);
    let all = || services.iter().chain(absent);
    let mut brought: Vec<Brought<'_>> = Vec::new();
    for service in all().filter(|s| s.is_http() && !s.options.vhosts().is_empty()) {
        let path = service.options.ssl_cert.as_deref().unwrap_or_default();
        // In a line that all share, nothing is left to chance.
        let is_path = |c: char| !c.is_whitespace() && !r#"'"\#,"#.contains(c);
        if path.chars().all(is_path) {
            let mut before = incumbents.certificates.iter();
            let rank = before.position(|known| **known == *path);
            if !path.is_empty() && !hidden.contains(path) && (rank.is_some() || !service.is_absent)
            {
                brought.push(Brought {
                    service,
                    path,
                    rank,
                });
            }
        } else if !service.is_absent {
            warnings.push(label(
                service,
                "SSL_CERT",
                &format!("`{path}`"),
                "one path, without blanks and quotes",
                "not used on port 443",
            ));
        }
    }
    let mut certificates = Certificates {
        all: given.clone(),
        ..Certificates::default()
    };
    retain_hosts(&mut brought, all(), &incumbents.places);
    brought.sort_by(|one, other| one.order().cmp(&other.order()));
    let mut all = given.clone();
    for one in brought.iter().filter(|one| !one.service.is_absent) {
        add(&mut all, one.path);
    }
    let have_room = on_line(&all).is_some();
    let shown = shown(&brought, given, have_room);
    for Brought { service, path, .. } in brought {
        add(&mut certificates.of_labels, path);
        if service.is_absent {
            continue;
        }
        if shown.contains(path) {
            add(&mut certificates.all, path);
            let folder = service.owner.app.folder();
            certificates.folders.insert(folder.to_owned());
        } else if listable.is_some() {
            warnings.push(label(
                service,
                "SSL_CERT",
                &format!("`{path}` behind all for which the line of port 443 has room"),
                &format!(
                    "{MOST_ON_LINE} certificates at most that cannot stand in a list beside the file"
                ),
                "not shown on port 443",
            ));
        }
    }
    certificates.on_line =
        on_line(&certificates.all).unwrap_or_else(|| as_words(&certificates.all));
    certificates
}

/// Each once.
fn add(list: &mut Vec<Box<str>>, path: &str) {
    if !list.iter().any(|known| **known == *path) {
        list.push(path.into());
    }
}

/// Those for which there is room behind those that are `given`, which may be all: the first of each app in
/// their order, then the second ones. One that several apps bring counts as theirs who has the fewest before it.
fn shown<'s>(brought: &[Brought<'s>], given: &'s [Box<str>], have_room: bool) -> BTreeSet<&'s str> {
    let mut shown: BTreeSet<&str> = given.iter().map(|path| &**path).collect();
    let mut of_apps: BTreeMap<&AppId, BTreeSet<&str>> = BTreeMap::new();
    let mut places: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let present = brought.iter().filter(|b| !b.service.is_absent);
    for (order, Brought { service, path, .. }) in present.enumerate() {
        if shown.contains(path) {
            continue;
        }
        let own = of_apps.entry(&service.owner.app).or_default();
        let before = own.len();
        if own.insert(path) {
            let place = places.entry(path).or_insert((before, order));
            place.0 = place.0.min(before);
        }
    }
    let mut asked: Vec<_> = places.into_iter().collect();
    asked.sort_by_key(|(_, place)| *place);
    let room = if have_room {
        asked.len()
    } else {
        MOST_ON_LINE.saturating_sub(given.len())
    };
    shown.extend(asked.into_iter().take(room).map(|(path, _)| path));
    shown
}

/// Without those of services that lost all their hosts to apps of other folders. Who of a folder
/// answers for a host does not matter.
fn retain_hosts<'s>(
    brought: &mut Vec<Brought<'_>>,
    all: impl Iterator<Item = &'s Arc<Service>>,
    before: &Holders,
) {
    // All of this is told when requests are routed.
    let untold = &mut Vec::new();
    let mut hosts = |service: &Arc<Service>| -> BTreeSet<Host> {
        let claims = claims_of(service, service, untold).into_iter();
        claims.map(|claim| claim.rule.place.host).collect()
    };
    let own: Vec<BTreeSet<Host>> = brought.iter().map(|b| hosts(b.service)).collect();
    let concerned: BTreeSet<&Host> = own.iter().flatten().collect();
    let all = all.filter(|service| service.is_http());
    let mut claims: Vec<_> = all
        .flat_map(|service| claims_of(service, service, untold))
        .filter(|claim| concerned.contains(&claim.rule.place.host))
        .collect();
    mark_incumbents(&mut claims, "", before);
    let settled = settle(claims, "", &mut Holders::new(), untold);
    let held: BTreeSet<(&Host, &str)> = settled
        .iter()
        .map(|claim| {
            let folder = claim.claimant.owner.app.folder();
            (&claim.rule.place.host, folder)
        })
        .collect();
    let mut own = own.iter();
    brought.retain(|brought| {
        let folder = brought.service.owner.app.folder();
        let mut hosts = own.next().into_iter().flatten();
        hosts.any(|host| held.contains(&(host, folder)))
    });
}
