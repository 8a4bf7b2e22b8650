//! All services of one file: their order, and what they add to the frontends that they share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::claims;
use super::clash::{self, Incumbents};
use super::{
    APP_MAP, DOMAIN_MAP, Https, Layout, Route, Rows, Rule, Service, Shape, Vhost, cleaned, routes,
};
use crate::cluster::{AppId, Warning};

/// Puts the services of all apps into the order of the file and decides their rules.
#[must_use]
pub fn arrange(
    services: Vec<Arc<Service>>,
    shape: &Shape,
    incumbents: &Incumbents,
) -> (Layout, Vec<Warning>) {
    let (mut services, mut warnings) = if shape.settles_clashes {
        clash::settle(services, incumbents, false)
    } else {
        (services, Vec::new())
    };
    services.retain(|service| !service.is_absent);
    services.sort_by(|one, other| key(one).cmp(&key(other)));
    if shape.binds_http_https {
        warnings.extend(claims::lost(&services, shape));
    }
    let mut maps = Maps::new(shape.settles_clashes);
    let mut http = Vec::new();
    let mut https = Vec::new();
    if shape.binds_http_https {
        let mut lookups = Lookups::default();
        for service in &services {
            let rules = rules(service, shape, &mut lookups, &mut maps);
            let weight = rules.weight.unwrap_or(service.options.weight);
            http.push((weight, route(service, rules.http)));
            https.push((weight, service, rules.https));
        }
    }
    http.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    https.sort_by_key(|(weight, ..)| std::cmp::Reverse(*weight));
    let app_ids = app_ids(&services, shape, &mut maps);
    let layout = Layout {
        http: shape.binds_http_https.then(|| {
            http.into_iter()
                .map(|(_, route)| route)
                .filter(has_rules)
                .collect()
        }),
        https: match (shape.opens_https(), shape.https_by_vhost) {
            (false, _) => Https::Closed,
            (true, false) => Https::Together {
                certificates: shape.ssl_certs.clone(),
                routes: together(https),
            },
            (true, true) => Https::ByVhost(by_vhost(&https, shape)),
        },
        app_ids,
        maps: maps.rows_without_repetition(),
        services,
    };
    warnings.extend(maps.refused.into_values());
    (layout, warnings)
}

fn key(service: &Service) -> (&AppId, u32) {
    (&service.owner.app, service.owner.service_port)
}

/// Map files in the making. Of a row that comes twice, one is kept.
struct Maps {
    rows: BTreeMap<&'static str, Rows>,
    /// Whether only rows of a key and a backend are taken.
    judges: bool,
    /// By the name of the service and the key that is none.
    refused: BTreeMap<(String, Box<str>), Warning>,
}

impl Maps {
    fn new(judges: bool) -> Self {
        Self {
            rows: BTreeMap::new(),
            judges,
            refused: BTreeMap::new(),
        }
    }

    /// A key of more than a word would be that of somebody else, which leads nowhere: `a.test x` takes
    /// the host `a.test` away.
    fn add(&mut self, map: &'static str, key: &str, service: &Service) {
        let backend = &service.name;
        if self.judges && !is_key(key) {
            let place = (backend.clone(), key.into());
            let refused = || no_key(map, key, service);
            self.refused.entry(place).or_insert_with(refused);
            return;
        }
        let rows = self.rows.entry(map).or_default();
        rows.push((key.into(), backend.clone()));
    }

    /// Without rows that came before.
    fn rows_without_repetition(&mut self) -> BTreeMap<&'static str, Rows> {
        let mut all = std::mem::take(&mut self.rows);
        for rows in all.values_mut() {
            let mut seen = BTreeSet::new();
            rows.retain(|row| seen.insert(row.clone()));
        }
        all
    }
}

/// HAProxy passes over blanks before a key, parts it by blanks from its value, and reads a row that
/// begins with `#` as a comment.
fn is_key(key: &str) -> bool {
    let key = key.trim_start_matches([' ', '\t']);
    !key.is_empty() && !key.starts_with('#') && !key.contains(|c: char| c.is_ascii_whitespace())
}

fn no_key(map: &str, key: &str, service: &Service) -> Warning {
    let (subject, expected) = if map == APP_MAP {
        let subject = "label `HAPROXY_DEPLOYMENT_GROUP`".to_owned();
        (subject, "the id of an app without blanks")
    } else {
        let subject = format!("label `HAPROXY_{}_VHOST`", service.index);
        (subject, "host names without blanks, parted by commas")
    };
    Warning {
        app: Some(service.owner.app.clone()),
        subject,
        found: format!("`{}`", key.escape_debug()),
        expected: expected.to_owned(),
        effect: format!("left out of `{map}`"),
    }
}

/// Which frontends have their lookup already.
#[derive(Default)]
struct Lookups {
    http: bool,
    https: bool,
}

/// What one service adds to ports 80 and 443.
struct Rules {
    http: Vec<Rule>,
    https: HttpsRules,
    /// Where it is another than the owner's: a lookup stands behind all other rules, since HAProxy
    /// tries none that follows it.
    weight: Option<i64>,
}

#[derive(Default)]
struct HttpsRules {
    path: Option<Rule>,
    /// By host; one without rules still has its place.
    hosts: Vec<(Box<str>, Vec<Rule>)>,
}

/// marathon-lb's weight of a lookup.
const LOOKUP_WEIGHT: i64 = -1;

fn rules(service: &Service, shape: &Shape, lookups: &mut Lookups, maps: &mut Maps) -> Rules {
    let hosts = service.options.vhosts();
    let mut weight = None;
    let http = if shape.maps && routes::is_in_map(service) {
        for host in &hosts {
            maps.add(DOMAIN_MAP, host, service);
        }
        let first = !hosts.is_empty() && !std::mem::replace(&mut lookups.http, true);
        if first {
            weight = Some(LOOKUP_WEIGHT);
            vec![routes::map_http(service)]
        } else {
            Vec::new()
        }
    } else {
        routes::http(service, shape.flavour)
    };
    let mut https = HttpsRules {
        path: routes::https_path(service),
        hosts: Vec::new(),
    };
    for host in &hosts {
        let own = if shape.maps && routes::is_in_map_of_https(service) {
            maps.add(DOMAIN_MAP, host, service);
            if std::mem::replace(&mut lookups.https, true) {
                Vec::new()
            } else {
                weight = Some(LOOKUP_WEIGHT);
                vec![routes::map_https(host)]
            }
        } else {
            vec![routes::https_host(service, host)]
        };
        // Of several hosts marathon-lb opened a frontend for each, whether a rule stood in it or
        // not.
        if !own.is_empty() || hosts.len() > 1 {
            https.hosts.push(((*host).into(), own));
        }
    }
    Rules {
        http,
        https,
        weight,
    }
}

fn route(service: &Arc<Service>, rules: Vec<Rule>) -> Route {
    Route {
        service: Arc::clone(service),
        rules,
    }
}

fn has_rules(route: &Route) -> bool {
    !route.rules.is_empty()
}

fn together(all: Vec<(i64, &Arc<Service>, HttpsRules)>) -> Vec<Route> {
    let routes = all.into_iter().map(|(_, service, rules)| {
        let of_hosts = rules.hosts.into_iter().flat_map(|(_, rules)| rules);
        route(service, rules.path.into_iter().chain(of_hosts).collect())
    });
    routes.filter(has_rules).collect()
}

fn by_vhost(all: &[(i64, &Arc<Service>, HttpsRules)], shape: &Shape) -> Vec<Vhost> {
    let mut vhosts: BTreeMap<Box<str>, Vhost> = BTreeMap::new();
    let open = |host: &str| Vhost {
        host: host.into(),
        name: cleaned(host),
        certificates: Vec::new(),
        bind_options: Vec::new(),
        routes: Vec::new(),
    };
    for (_, service, rules) in all {
        for (host, of_host) in &rules.hosts {
            let vhost = vhosts.entry(host.clone()).or_insert_with(|| open(host));
            let rules: Vec<Rule> = rules.path.iter().chain(of_host).cloned().collect();
            vhost
                .routes
                .extend(Some(route(service, rules)).filter(has_rules));
        }
    }
    // In the order of the services, whatever their weight: the first certificate is the default.
    let mut services: Vec<&Arc<Service>> = all.iter().map(|(_, service, _)| *service).collect();
    services.sort_by(|one, other| key(one).cmp(&key(other)));
    for service in services {
        let options = &service.options;
        let given = |text: &Option<Box<str>>| text.clone().filter(|text| !text.is_empty());
        let (certificate, bind_options) = (given(&options.ssl_cert), given(&options.bind_options));
        if certificate.is_none() && bind_options.is_none() {
            continue;
        }
        for host in options.vhosts() {
            let vhost = vhosts.entry(host.into()).or_insert_with(|| open(host));
            add_once(&mut vhost.certificates, certificate.as_deref());
            add_once(&mut vhost.bind_options, bind_options.as_deref());
        }
    }
    for vhost in vhosts.values_mut() {
        if vhost.certificates.is_empty() {
            vhost.certificates.clone_from(&shape.ssl_certs);
        }
    }
    // Without any certificate there is nothing that it could be opened with. A name of no letters, as
    // behind a comma at the end, makes sections that HAProxy refuses, and nobody's in particular.
    let is_open = |vhost: &Vhost| {
        let has_name = !vhost.host.is_empty() || !shape.settles_clashes;
        has_name && !vhost.certificates.is_empty()
    };
    vhosts.into_values().filter(is_open).collect()
}

fn add_once(list: &mut Vec<Box<str>>, text: Option<&str>) {
    if let Some(text) = text.filter(|text| !list.iter().any(|own| **own == **text)) {
        list.push(text.into());
    }
}

/// The first http service of each app.
fn app_ids(services: &[Arc<Service>], shape: &Shape, maps: &mut Maps) -> Vec<Route> {
    let mut routes = Vec::new();
    let mut last: Option<&AppId> = None;
    for service in services.iter().filter(|service| service.is_http()) {
        let app = &service.owner.app;
        if last == Some(app) {
            continue;
        }
        last = Some(app);
        if shape.maps {
            maps.add(APP_MAP, app.as_str(), service);
        }
        if !shape.maps || routes.is_empty() {
            routes.push(route(service, vec![routes::app_id(shape.maps)]));
        }
    }
    routes
}
