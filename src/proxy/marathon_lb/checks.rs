//! Which health check of an app is meant for which of its service ports, what mode follows from
//! it, and which port it dials.

use super::{Check, CheckKind, Flavour};
use crate::cluster::{App, CheckProtocol, CheckTarget, Endpoint, HealthCheck, ServicePort};
use crate::labels::ServiceOptions;

/// The check for a position: the first that names it, or that names a fixed port and thus is for
/// all of them.
fn check_at(app: &App, index: i64) -> Option<&HealthCheck> {
    Some(&app.health_checks[position_at(app, index)?])
}

fn position_at(app: &App, index: i64) -> Option<usize> {
    let mut checks = app.health_checks.iter();
    checks.position(|check| match check.target {
        CheckTarget::Port(port) => port != 0,
        CheckTarget::Index(own) => i64::try_from(own) == Ok(index),
        CheckTarget::Unsaid => false,
    })
}

/// Where the check that a service port may have stands among those of its app.
#[must_use]
pub fn check_of(app: &App, index: usize, options: &ServiceOptions) -> Option<usize> {
    let own = position_at(app, i64::try_from(index).unwrap_or(i64::MAX));
    own.or_else(|| position_at(app, options.healthcheck_port_index?))
}

/// What HAProxy speaks on a service port, and how it checks the servers.
pub(in crate::proxy) fn mode_and_check(
    app: &App,
    index: usize,
    options: &ServiceOptions,
    flavour: Flavour,
) -> (Box<str>, Option<Check>) {
    let own = check_at(app, i64::try_from(index).unwrap_or(i64::MAX));
    let mut mode = match own {
        Some(check) if check.protocol == CheckProtocol::Http => Some("http".into()),
        _ => None,
    };
    if options.mode.is_some() {
        mode.clone_from(&options.mode);
    }
    let lent = match (own, options.healthcheck_port_index) {
        (None, Some(index)) => check_at(app, index),
        _ => None,
    };
    if lent.is_some_and(|check| speaks_http(check.protocol)) {
        mode = Some("http".into());
    }
    let is_given = |text: &Option<Box<str>>| text.as_deref().is_some_and(|text| !text.is_empty());
    // Only ours leads to a path from every host.
    let is_routed =
        is_given(&options.vhost) || flavour == Flavour::Native && is_given(&options.path);
    if is_routed && flavour == Flavour::Servicerouter {
        mode = Some("http".into());
    }
    let mode = mode.unwrap_or_else(|| if is_routed { "http" } else { "tcp" }.into());
    let check = own.or(lent).and_then(|health_check| {
        Some(Check {
            kind: kind(health_check.protocol, &mode)?,
            health_check: health_check.clone(),
        })
    });
    (mode, check)
}

const fn speaks_http(protocol: CheckProtocol) -> bool {
    matches!(
        protocol,
        CheckProtocol::Http
            | CheckProtocol::Https
            | CheckProtocol::MesosHttp
            | CheckProtocol::MesosHttps
    )
}

/// An unusual mode has no check.
fn kind(protocol: CheckProtocol, mode: &str) -> Option<CheckKind> {
    let is_tcp = matches!(protocol, CheckProtocol::Tcp | CheckProtocol::MesosTcp);
    if mode == "tcp" || is_tcp {
        Some(CheckKind::Tcp)
    } else if mode == "http" {
        Some(CheckKind::Http)
    } else {
        None
    }
}

/// Where the servers of `port` are checked, in the order of `endpoints`; `None` is where they
/// serve.
///
/// `siblings` are the service ports of the app that have servers, by number; of one that the app
/// names by position, the endpoint of the same task counts. marathon-lb paired endpoints by their
/// place in a sorted list, which crossed tasks that share a host, and failed where there was none.
pub(super) fn check_ports(
    health_check: &HealthCheck,
    index: Option<i64>,
    endpoints: &[&Endpoint],
    siblings: &[&ServicePort],
) -> Vec<Option<u16>> {
    let Some(index) = index else {
        let fixed = match health_check.target {
            CheckTarget::Port(port) if port != 0 => Some(port),
            _ => None,
        };
        return vec![fixed; endpoints.len()];
    };
    let sibling = at(siblings, index);
    let port_of = |endpoint: &&Endpoint| {
        let twin = sibling
            .into_iter()
            .flat_map(|sibling| &sibling.endpoints)
            .find(|twin| twin.task == endpoint.task);
        Some(twin.map_or(endpoint.port, |twin| twin.port))
    };
    endpoints.iter().map(port_of).collect()
}

/// As Python indexes a list.
fn at<'a>(siblings: &[&'a ServicePort], index: i64) -> Option<&'a ServicePort> {
    let index = if index < 0 {
        siblings
            .len()
            .checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?
    } else {
        usize::try_from(index).ok()?
    };
    siblings.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fixtures::check;
    use crate::cluster::{AppId, Host};

    /// A service port whose tasks `a`, `b` … on one agent serve on these ports.
    fn port(service_port: u32, task_ports: &[u16]) -> ServicePort {
        let endpoint = |(&port, task): (&u16, char)| Endpoint {
            host: Host::new("10.0.0.1"),
            port,
            task: task.to_string().into(),
            draining: false,
        };
        ServicePort {
            app: AppId::new("/a"),
            index: 0,
            service_port,
            last_config_change_at: None,
            endpoints: task_ports.iter().zip('a'..).map(endpoint).collect(),
        }
    }

    fn dialled(index: Option<i64>, target: CheckTarget) -> Vec<Option<u16>> {
        let own = port(10000, &[31001, 31000]);
        let other = port(10001, &[32000, 32001]);
        let endpoints: Vec<&Endpoint> = own.endpoints.iter().collect();
        check_ports(&check(target), index, &endpoints, &[&own, &other])
    }

    #[test]
    fn a_check_dials_the_port_of_the_same_task_where_another_position_is_named() {
        let of = |index| dialled(Some(index), CheckTarget::Index(0));
        assert_eq!(
            of(1),
            [Some(32000), Some(32001)],
            "not by place in a sorted list"
        );
        assert_eq!(of(0), [Some(31001), Some(31000)]);
        assert_eq!(of(-1), [Some(32000), Some(32001)], "from the end");
    }

    #[test]
    fn a_position_that_does_not_exist_is_the_server_itself() {
        for index in [2, 3, -3, i64::MAX, i64::MIN] {
            assert_eq!(
                dialled(Some(index), CheckTarget::Index(0)),
                [Some(31001), Some(31000)]
            );
        }
    }

    #[test]
    fn a_sibling_that_lacks_a_task_is_not_asked_for_it() {
        let own = port(10000, &[31000, 31001]);
        let other = port(10001, &[32000]);
        let endpoints: Vec<&Endpoint> = own.endpoints.iter().collect();
        let got = check_ports(
            &check(CheckTarget::Index(0)),
            Some(1),
            &endpoints,
            &[&own, &other],
        );
        assert_eq!(got, [Some(32000), Some(31001)]);
    }

    #[test]
    fn without_a_position_only_a_fixed_port_is_said() {
        assert_eq!(
            dialled(None, CheckTarget::Port(8080)),
            [Some(8080), Some(8080)]
        );
        assert_eq!(dialled(None, CheckTarget::Index(1)), [None, None]);
        assert_eq!(dialled(None, CheckTarget::Unsaid), [None, None]);
    }
}
