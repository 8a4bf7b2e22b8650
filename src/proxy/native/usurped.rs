//! Certificates of labels that port 443 would show for hosts of other folders.
//!
//! HAProxy takes a certificate that bears the name of the host before one with `*.`, whatever their
//! order, so that a newcomer could show itself in the place of what fits such a host already. Where
//! nothing else fits, it is better than none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::marathon_lb::Service;
use super::super::{Incumbents, precedence};
use super::place::Host;
use super::{Layout, label};
use crate::cluster::{AppId, Warning};

/// By path: for which hosts HAProxy shows it, with `*.` for those below a name.
pub type CertificateNames = BTreeMap<Box<str>, BTreeSet<String>>;

/// Who has a host, or a part of it: how it is remembered, and the app.
type Holding<'l> = Vec<(&'l str, &'l AppId)>;

/// Certificates that are not to be shown on port 443 and why, but for those that are `given` by the
/// operator. Whoever was there in the turn before, the certificate or the holder of the host, goes
/// first; else the app that was changed longer ago.
#[must_use]
pub fn usurping(
    layout: &Layout,
    given: &[Box<str>],
    names: &CertificateNames,
    before: &Incumbents,
) -> Vec<(Box<str>, Warning)> {
    let mut shown: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in &layout.certificates {
        for name in names.get(path).into_iter().flatten() {
            shown.entry(name).or_default().push(path);
        }
    }
    let mut bringing: BTreeMap<&str, Vec<&Arc<Service>>> = BTreeMap::new();
    for service in layout.services.iter().filter(|service| service.is_http()) {
        if let Some(path) = service.options.ssl_cert.as_deref() {
            bringing.entry(path).or_default().push(service);
        }
    }
    let is_given = |path: &str| given.iter().any(|own| **own == *path);
    let is_of = |path: &str, folders: &[&str]| {
        let mut services = bringing.get(path).into_iter().flatten();
        services.any(|service| folders.contains(&service.owner.app.folder()))
    };
    let holding = holding(layout);
    let mut usurping = Vec::new();
    for path in &layout.certificates {
        let services = bringing.get(&**path).filter(|_| !is_given(path));
        let Some(first) = services.and_then(|all| all.iter().min_by_key(|one| age(one))) else {
            continue;
        };
        if before.certificates.contains(path) {
            continue;
        }
        let taken = names.get(path).into_iter().flatten().find_map(|name| {
            if name.starts_with("*.") || shown.get(&**name)?.first()? != &&**path {
                return None;
            }
            let holders = holders(&holding, name)?;
            let folders: Vec<&str> = holders.iter().map(|(_, app)| app.folder()).collect();
            if is_of(path, &folders) {
                return None;
            }
            let below = format!("*.{}", name.split_once('.')?.1);
            let fitting = [&**name, &*below].into_iter();
            let mut fitting = fitting.flat_map(|name| shown.get(name).into_iter().flatten());
            let other = fitting
                .find(|other| ***other != **path && (is_given(other) || is_of(other, &folders)));
            let is_before = |(key, app): &&(&str, &AppId)| {
                let was_there = before.places.get(*key) == Some(app);
                let mut own = layout.services.iter();
                let own = own.find(|service| service.owner.app == **app);
                was_there || own.is_some_and(|own| age(own) < age(first))
            };
            let (_, holder) = holders.iter().find(is_before)?;
            Some((name, other?, holder))
        });
        if let Some((name, other, holder)) = taken {
            let found = format!(
                "`{path}`, which bears the name `{name}` of a host of app `{holder}`, for which \
                 `{other}` is there"
            );
            let expected = "a certificate of hosts of its own folder";
            let warning = label(first, "SSL_CERT", &found, expected, "not used on port 443");
            usurping.push((path.clone(), warning));
        }
    }
    usurping
}

/// Older is smaller.
fn age(service: &Service) -> impl Ord + '_ {
    let date = service.last_config_change_at.as_deref();
    precedence(&service.owner.app, date, None)
}

fn holding(layout: &Layout) -> BTreeMap<Host, Holding<'_>> {
    let mut all: BTreeMap<Host, Holding<'_>> = BTreeMap::new();
    for (key, app) in &layout.holders {
        let host = key.split(['/', ' ']).next().unwrap_or_default();
        // Of TLS that is passed on nothing is shown here; its key is not the name of a host.
        if let Ok(host) = Host::read(host) {
            all.entry(host).or_default().push((key, app));
        }
    }
    all
}

/// Of the host itself, else of the longest end of it.
fn holders<'h, 'l>(
    holding: &'h BTreeMap<Host, Holding<'l>>,
    name: &str,
) -> Option<&'h Holding<'l>> {
    let exact = holding.get(&Host::Exact(name.into()));
    exact.or_else(|| {
        let mut dots = name.match_indices('.');
        dots.find_map(|(at, _)| holding.get(&Host::below(name[at..].to_owned())))
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::service;
    use super::*;
    use crate::labels::ServiceOptions;

    fn one(app: &str, year: &str, certificate: &str) -> Arc<Service> {
        Arc::new(Service {
            last_config_change_at: Some(format!("{year}-01-01T00:00:00.000Z").into()),
            options: Arc::new(ServiceOptions {
                ssl_cert: (!certificate.is_empty()).then(|| certificate.into()),
                ..ServiceOptions::default()
            }),
            ..service(app)
        })
    }

    fn told(layout: &Layout, names: &CertificateNames, before: &Incumbents) -> Vec<String> {
        let all = usurping(layout, &["given".into()], names, before);
        let all = all.into_iter();
        all.map(|(path, warning)| format!("{path}: {warning}"))
            .collect()
    }

    /// The one of `--ssl-certs` has `*.shop.test`, that of `/evil/x` also `www.shop.test`.
    #[test]
    fn a_newcomer_shows_nothing_for_hosts_of_others_that_have_a_certificate() {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let mut names = CertificateNames::from([
            ("given".into(), owned(&["*.shop.test"])),
            ("evil".into(), owned(&["evil.test", "www.shop.test"])),
        ]);
        let layout = |evil: &str, year: &str, host: &str| Layout {
            services: vec![one(evil, year, "evil"), one("/shop/web", "2016", "")],
            certificates: vec!["given".into(), "evil".into()],
            holders: [(host.into(), AppId::new("/shop/web"))].into(),
            ..Layout::default()
        };
        let nothing = &Incumbents::default();
        for host in ["www.shop.test", "*.shop.test", "www.shop.test/a"] {
            let got = told(&layout("/evil/x", "2020", host), &names, nothing);
            assert_eq!(
                got,
                [
                    "evil: app `/evil/x`: label `HAPROXY_0_SSL_CERT`: found `evil`, which bears the \
                     name `www.shop.test` of a host of app `/shop/web`, for which `given` is there, \
                     expected a certificate of hosts of its own folder; not used on port 443"
                ],
                "{host}"
            );
        }
        let newer = layout("/evil/x", "2020", "www.shop.test");
        let older = layout("/evil/x", "2010", "www.shop.test");
        let had_host = Incumbents {
            places: newer.holders.clone(),
            ..Incumbents::default()
        };
        assert_eq!(
            told(&older, &names, &had_host).len(),
            1,
            "the host was there"
        );
        assert_eq!(
            told(&older, &names, nothing),
            [""; 0],
            "it is the older one"
        );
        let had_certificate = Incumbents {
            certificates: vec!["evil".into()],
            ..had_host
        };
        let none = told(&newer, &names, &had_certificate);
        assert_eq!(none, [""; 0], "it was there");
        let own = layout("/shop/x", "2020", "www.shop.test");
        assert_eq!(told(&own, &names, nothing), [""; 0], "of one folder");
        let free = layout("/evil/x", "2020", "www.other.test");
        assert_eq!(told(&free, &names, nothing), [""; 0], "nobody's host");
        names.insert("given".into(), owned(&["*.other.test"]));
        assert_eq!(told(&newer, &names, nothing), [""; 0], "nothing else fits");
    }
}
