//! Hosts that more than one app wants, and hosts that lead to no http: nothing is decided here, but
//! both are named.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Service, Shape, routes};
use crate::cluster::Warning;

/// marathon-lb's weight of a lookup in a map, which stands for all hosts in it.
const LOOKUP_WEIGHT: i64 = -1;

/// For each service whose requests go to another app: whose, and for which host and path.
pub(super) fn lost(services: &[Arc<Service>], shape: &Shape) -> Vec<Warning> {
    let mut in_order: Vec<&Service> = services.iter().map(AsRef::as_ref).collect();
    in_order.sort_by_key(|service| {
        let is_in_map = shape.maps && routes::is_in_map(service);
        let weight = if is_in_map {
            LOOKUP_WEIGHT
        } else {
            service.options.weight
        };
        std::cmp::Reverse(weight)
    });
    let mut holders: HashMap<(&str, &str), &Service> = HashMap::new();
    let mut warnings = Vec::new();
    for service in in_order {
        let mut lost: Vec<((&str, &str), &Service)> = Vec::new();
        for claim in claims(service) {
            let holder = holders.entry(claim).or_insert(service);
            if holder.owner.app != service.owner.app {
                lost.push((claim, holder));
            }
        }
        warnings.extend(warning(service, &lost));
    }
    warnings.sort();
    warnings
}

/// Hosts with the beginnings of their paths; an empty one is all paths.
fn claims(service: &Service) -> Vec<(&str, &str)> {
    let path = service.options.path.as_deref().unwrap_or_default();
    let words = path.split_ascii_whitespace();
    let mut paths: Vec<&str> = words.filter(|word| word.starts_with('/')).collect();
    if paths.is_empty() {
        paths.push("");
    }
    let hosts = service.options.vhosts().into_iter();
    hosts
        .flat_map(|host| paths.iter().map(move |path| (host.trim(), *path)))
        .collect()
}

fn warning(service: &Service, lost: &[((&str, &str), &Service)]) -> Option<Warning> {
    let ((host, path), holder) = lost.first()?;
    let more = match lost.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let app = &holder.owner.app;
    Some(Warning {
        app: Some(service.owner.app.clone()),
        subject: format!("label `HAPROXY_{}_VHOST`", service.index),
        found: format!("`{host}{path}`, which app `{app}` has{more}"),
        expected: "a host and a path of its own".to_owned(),
        effect: format!("requests for `{host}{path}` reach app `{app}`"),
    })
}

/// What is wrong with a service that has hosts and does not speak http; `None` where nothing is.
///
/// HAProxy refuses a rule that leads from http to tcp. Through a map it finds out with the first
/// request, and answers none.
#[must_use]
pub fn tcp_host(service: &Service, shape: &Shape) -> Option<TcpHost> {
    let vhost = service.options.vhost.as_deref().unwrap_or_default();
    if vhost.is_empty() || &*service.mode != "tcp" || !shape.binds_http_https {
        return None;
    }
    let is_in_map = shape.maps
        && routes::is_in_map(service)
        && (!shape.opens_https() || routes::is_in_map_of_https(service));
    let said = if service.options.mode.is_some() {
        format!("`HAPROXY_{}_MODE` says tcp", service.index)
    } else {
        "the mode is tcp".to_owned()
    };
    let warning = Warning {
        app: Some(service.owner.app.clone()),
        subject: format!("label `HAPROXY_{}_VHOST`", service.index),
        found: format!("`{}`, while {said}", vhost.escape_debug()),
        expected: "mode http, since only requests name hosts".to_owned(),
        effect: if is_in_map {
            "requests for this host get no answer".to_owned()
        } else {
            "service port left out".to_owned()
        },
    };
    Some(TcpHost { warning, is_in_map })
}

/// A service that has hosts and does not speak http.
#[derive(Debug)]
pub struct TcpHost {
    /// For its owner.
    pub warning: Warning,
    /// Only a map leads to it, so that HAProxy accepts the file.
    pub is_in_map: bool,
}
