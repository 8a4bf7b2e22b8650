//! All services of one file: their order, and how requests find them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::marathon_lb::{Rows, Service, Shape, settle as settle_ports};
use super::super::{DefaultBackend, Holders, Incumbents, Owner};
use super::bounds::within_bounds;
use super::certificates::certificates;
use super::claims::{claims_of, mark_incumbents, passed_by, settle, weigh_within_folders};
use super::maps::maps;
use super::merge::{Leaders, merge};
use super::rules::routing;
use super::slots::put_into_slots;
use super::tls::passed_on;
use super::tuning::{conditions, tuning};
use super::{APP_MAP, Layout, label};
use crate::cluster::{AppId, Warning};
use crate::labels::ServiceOptions;

/// Puts the services of all apps into the order of the file and decides how requests find them.
#[must_use]
pub fn arrange(
    services: Vec<Arc<Service>>,
    shape: &Shape,
    incumbents: &Incumbents,
) -> (Layout, Vec<Warning>) {
    let absent = services.iter().filter(|service| service.is_absent);
    let absent: Vec<Arc<Service>> = absent.cloned().collect();
    let (mut services, mut warnings) =
        settle_ports(services, &incumbents.service_ports, shape.leads_by_name);
    services.retain(|service| !service.is_absent);
    let (mut services, refused) = judge(services);
    services.sort_by(|one, other| key(one).cmp(&key(other)));
    let mut layout = Layout {
        binds_http_https: shape.binds_http_https,
        looks_up: shape.maps,
        accepts_proxy: shape.accepts_proxy,
        ..Layout::default()
    };
    if shape.https_by_vhost {
        warnings.push(Warning {
            app: None,
            subject: "option `--group-https-by-vhost`".to_owned(),
            found: "a switch of the set marathon-lb".to_owned(),
            expected: "none: HAProxy chooses among all certificates by the host".to_owned(),
            effect: "not used in this set".to_owned(),
        });
    }
    let mut folders = BTreeSet::new();
    if shape.binds_http_https {
        let untold = &mut Vec::new();
        let told = if shape.closes_https {
            untold
        } else {
            &mut warnings
        };
        let certificates = certificates((&services, &absent), shape, incumbents, told);
        layout.certificates_in_order = certificates.of_labels;
        if shape.closes_https {
            // Who comes while the port is closed was never looked at by the side of others.
            let before = &incumbents.certificates;
            let known = &mut layout.certificates_in_order;
            known.retain(|certificate| before.contains(certificate));
        } else {
            layout.certificates = certificates.all;
            layout.crt = certificates.on_line;
            folders = certificates.folders;
        }
    }
    let without_certificate = |service: &Service| {
        let folder = service.owner.app.folder();
        if !layout.opens_https() {
            Some("nothing listens on port 443".to_owned())
        } else if shape.ssl_certs.is_empty() && !folders.contains(folder) {
            Some(format!(
                "port 443 has only certificates of apps outside of folder `{folder}`"
            ))
        } else {
            None
        }
    };
    drop_idle_labels(&mut services, without_certificate, &mut warnings);
    let leaders = merge(&mut services, &mut warnings);
    put_into_slots(&mut services, shape.slots, &incumbents.slots);
    let first_of = |(owner, first): (&Owner, &Arc<Service>)| (owner.clone(), first.owner.clone());
    layout.merged = leaders.iter().map(first_of).collect();
    layout.refused = refused;
    if shape.binds_http_https {
        let before = &incumbents.places;
        let default = shape.default_backend.as_ref();
        let is_default = |app: &AppId| default.is_some_and(|default| default.app == *app);
        let is_by_name = |service: &Service| {
            shape.leads_by_name && service.has_name() && !is_default(&service.owner.app)
        };
        route(
            (&services, &absent),
            (&leaders, is_by_name),
            before,
            &mut layout,
            &mut warnings,
        );
        if shape.closes_https {
            layout.passed_on.clear();
        }
        let default = shape.default_backend.as_ref();
        layout.default_backend =
            default.and_then(|default| default_backend(&services, default, &mut warnings));
    }
    let first_of_apps = first_of_apps(&services);
    if shape.maps {
        layout.maps.insert(APP_MAP, app_rows(&first_of_apps));
    } else {
        layout.app_ids = first_of_apps;
    }
    layout.services = services;
    (layout, warnings)
}

fn key(service: &Service) -> (&AppId, u32) {
    (&service.owner.app, service.owner.service_port)
}

/// Parts those who cannot be served as they meant it from the rest.
fn judge(services: Vec<Arc<Service>>) -> (Vec<Arc<Service>>, Vec<(Owner, Warning)>) {
    let mut refused = Vec::new();
    let mut kept = services;
    kept.retain(|service| match fault(service) {
        None => true,
        Some(warning) => {
            refused.push((service.owner.clone(), warning));
            false
        }
    });
    (kept, refused)
}

/// A label that means something else than what would be served. Without a password, for example,
/// the service would be open to all.
fn fault(service: &Service) -> Option<Warning> {
    if service.options.auth.is_some() && !service.is_http() {
        let found = format!("the mode is {}, in which nobody can log in", service.mode);
        return Some(label(service, "AUTH", &found, "mode http", ""));
    }
    let read = tuning(service).and_then(|_| conditions(service));
    read.err()
}

/// Takes out labels that nothing can follow from: nobody is led to a port on which nothing listens,
/// or only certificates of others are shown, and what is said of HTTP means nothing elsewhere.
fn drop_idle_labels(
    services: &mut [Arc<Service>],
    without_certificate: impl Fn(&Service) -> Option<String>,
    warnings: &mut Vec<Warning>,
) {
    for service in services {
        let options = &service.options;
        let mut kept = ServiceOptions::clone(options);
        let is_http = service.is_http();
        let mode = format!("the mode is {}", service.mode);
        let mut drop = |name: &str, found: &str, expected: &str, effect: &str| {
            warnings.push(label(service, name, found, expected, effect));
        };
        if options.redirect_to_https {
            let missing = without_certificate(service);
            kept.redirect_to_https = is_http && missing.is_none();
            if !is_http {
                drop("REDIRECT_TO_HTTPS", &mode, "mode http", "not used");
            } else if let Some(found) = missing {
                drop(
                    "REDIRECT_TO_HTTPS",
                    &found,
                    "a certificate, by --ssl-certs or a label SSL_CERT",
                    "not used: requests on port 80 are served there",
                );
            }
        }
        for (name, wanted) in [
            ("STICKY", &mut kept.sticky),
            ("USE_HSTS", &mut kept.use_hsts),
        ] {
            if *wanted && !is_http {
                *wanted = false;
                drop(name, &mode, "mode http", "not used");
            }
        }
        if kept != **options {
            Arc::make_mut(service).options = Arc::new(kept);
        }
    }
}

/// Decides who gets which requests of ports 80 and 443. What those that are absent had is nobody's.
fn route<'s>(
    (services, absent): (&'s [Arc<Service>], &'s [Arc<Service>]),
    (leaders, is_by_name): (&Leaders, impl Fn(&Service) -> bool),
    before: &Holders,
    layout: &mut Layout,
    warnings: &mut Vec<Warning>,
) {
    let mut untold = Vec::new();
    let claims_of_all = |services: &'s [Arc<Service>], warnings: &mut Vec<Warning>| {
        let of_one = |claimant: &'s Arc<Service>| {
            let service = leaders.get(&claimant.owner).unwrap_or(claimant);
            let mut claims = claims_of(claimant, service, warnings);
            for claim in &mut claims {
                claim.is_only_way = is_by_name(service);
            }
            (claimant, claims)
        };
        services.iter().map(of_one).collect::<Vec<_>>()
    };
    let mut all = claims_of_all(services, warnings);
    // Without maps all are rules, as the operator wants it.
    if layout.looks_up {
        all = within_bounds(all, warnings);
    }
    all.extend(claims_of_all(absent, &mut untold));
    let mut requests = Vec::new();
    let mut handshakes = Vec::new();
    for (claimant, claims) in all {
        // Who is merged has one mode.
        if claimant.is_http() {
            requests.extend(claims);
        } else {
            handshakes.extend(claims);
        }
    }
    mark_incumbents(&mut requests, "", before);
    let requests = settle(requests, "", &mut layout.holders, warnings);
    let mut requests = weigh_within_folders(requests, warnings);
    layout.passing = passed_by(&requests);
    layout.passed_on = passed_on(
        handshakes,
        &requests,
        layout.opens_https(),
        (before, &mut layout.holders),
        warnings,
    );
    requests.retain(|claim| !claim.claimant.is_absent);
    let routing = routing(requests, layout.looks_up);
    layout.first = routing.first;
    layout.below = routing.below;
    layout.paths = routing.paths;
    layout.last = routing.last;
    if layout.looks_up {
        layout.maps = maps(&routing.places);
    }
}

fn default_backend(
    services: &[Arc<Service>],
    wanted: &DefaultBackend,
    warnings: &mut Vec<Warning>,
) -> Option<String> {
    let DefaultBackend { app, service_port } = wanted;
    let found = services.iter().find(|service| {
        let is_port = service_port.is_none_or(|port| port == service.owner.service_port);
        service.owner.app == *app && is_port && service.is_http()
    });
    if found.is_none() {
        let port = service_port.map(|port| format!(":{port}"));
        warnings.push(Warning {
            app: Some(app.clone()),
            subject: format!(
                "option `--default-backend {app}{}`",
                port.unwrap_or_default()
            ),
            found: "no service port of this app that is served in mode http".to_owned(),
            expected: "one".to_owned(),
            effect: "requests that nobody asked for are answered with 503".to_owned(),
        });
    }
    found.map(|service| service.name.clone())
}

/// The first http service of each app.
fn first_of_apps(services: &[Arc<Service>]) -> Vec<Arc<Service>> {
    let mut all: Vec<Arc<Service>> = Vec::new();
    for service in services.iter().filter(|service| service.is_http()) {
        let is_next = all
            .last()
            .is_none_or(|last| last.owner.app != service.owner.app);
        if is_next {
            all.push(Arc::clone(service));
        }
    }
    all
}

/// They are looked up in lower case, which ids of apps have; that of a group of deployments may
/// have another.
fn app_rows(services: &[Arc<Service>]) -> Rows {
    let row = |service: &Arc<Service>| {
        let app = service.owner.app.as_str().to_lowercase();
        (app, service.name.clone())
    };
    // Of two that differ in case alone, the first one counts.
    let mut rows = BTreeMap::new();
    for (app, backend) in services.iter().map(row) {
        rows.entry(app).or_insert(backend);
    }
    rows.into_iter()
        .map(|(app, backend)| (app.into(), backend))
        .collect()
}

#[cfg(test)]
mod tests;
