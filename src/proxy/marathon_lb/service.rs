//! One service port: what its frontend and backend are called, who serves it, how it is checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::checks::{check_ports, mode_and_check};
use super::{Flavour, Server, Service, cleaned};
use crate::cluster::{App, AppId, Endpoint, ServicePort};
use crate::labels::ServiceOptions;
use crate::proxy::Owner;
use crate::proxy::server_id::{self, ServerIds};

/// A service port and everything that its section depends on.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its app.
    pub app: &'a App,
    /// Its number, which is the one that clients dial, and who serves it.
    pub port: &'a ServicePort,
    /// What its owner asked for.
    pub options: &'a Arc<ServiceOptions>,
    /// All service ports of the apps whose checks dial another port of theirs.
    pub siblings: &'a BTreeMap<AppId, Vec<ServicePort>>,
}

/// The sections of a service port.
#[must_use]
pub fn service(asked: Asked<'_>, flavour: Flavour) -> Service {
    let Asked {
        app,
        port,
        options,
        siblings,
    } = asked;
    let path = app.id.safe_path();
    let (mode, check) = mode_and_check(app, port.index, options, flavour);
    let endpoints = in_order(&port.endpoints);
    let check_ports = match &check {
        None => vec![None; endpoints.len()],
        Some(check) => {
            let siblings = siblings.get(&app.id).map_or(&[][..], Vec::as_slice);
            let endpoints: Vec<&Endpoint> = endpoints.iter().map(|(_, e)| *e).collect();
            check_ports(
                &check.health_check,
                options.healthcheck_port_index,
                &endpoints,
                &by_number(siblings),
            )
        }
    };
    let mut ids = ServerIds::with_capacity(endpoints.len());
    let servers = endpoints
        .into_iter()
        .zip(check_ports)
        .map(|((host, endpoint), check_port)| server(host, endpoint, check_port, flavour, &mut ids))
        .collect();
    let first_host = options
        .vhosts()
        .first()
        .map(|host| cleaned(host))
        .unwrap_or_default();
    let acl = match flavour {
        Flavour::MarathonLb | Flavour::Native => format!("{first_host}_{path}"),
        Flavour::Servicerouter => first_host,
    };
    Service {
        owner: Owner {
            app: app.id.clone(),
            service_port: port.service_port,
        },
        index: port.index,
        name: format!("{path}_{}", port.service_port),
        acl,
        mode,
        check,
        servers,
        free_slots: Vec::new(),
        options: Arc::clone(options),
        last_config_change_at: app.last_config_change_at.clone(),
        is_absent: false,
    }
}

/// By host as text, then port; marathon-lb left the order of the rest to chance.
fn in_order(endpoints: &[Endpoint]) -> Vec<(Box<str>, &Endpoint)> {
    fn rest(endpoint: &Endpoint) -> impl Ord {
        (endpoint.port, endpoint.host.address(), &endpoint.task)
    }
    let mut endpoints: Vec<_> = endpoints.iter().map(|e| (host_text(e), e)).collect();
    endpoints.sort_by(|(host, one), (other_host, other)| {
        let by_host = host.cmp(other_host);
        by_host.then_with(|| rest(one).cmp(&rest(other)))
    });
    endpoints
}

fn by_number(siblings: &[ServicePort]) -> Vec<&ServicePort> {
    let mut siblings: Vec<_> = siblings
        .iter()
        .filter(|s| !s.endpoints.is_empty())
        .collect();
    siblings.sort_by_key(|sibling| sibling.service_port);
    siblings
}

/// The agent's name; of what has none, the address.
fn host_text(endpoint: &Endpoint) -> Box<str> {
    match (endpoint.host.name(), endpoint.host.address()) {
        (Some(name), _) => name.into(),
        (None, Some(address)) => address.to_string().into(),
        (None, None) => "".into(),
    }
}

fn server(
    host: Box<str>,
    endpoint: &Endpoint,
    check_port: Option<u16>,
    flavour: Flavour,
    ids: &mut ServerIds,
) -> Server {
    // A name without an address stands for itself: HAProxy resolves it.
    let address = endpoint
        .host
        .address()
        .map_or_else(|| host.to_string(), |address| address.to_string());
    let port = endpoint.port;
    let (name, id, cookie) = match flavour {
        Flavour::MarathonLb | Flavour::Native => {
            let name = server_id::server_name(&host, &address, port);
            let (id, cookie) = (ids.assign(&name), server_id::cookie(&name));
            (name, id, cookie)
        }
        Flavour::Servicerouter => {
            let name = cleaned(&format!("{host}_{port}"));
            (name.clone(), 0, name)
        }
    };
    Server {
        name,
        host,
        address,
        port,
        id,
        cookie,
        check_port,
        draining: endpoint.draining,
        weight: None,
    }
}
