//! Numbers of ports and positions that lead nowhere, found before HAProxy is asked: it tells of a line.

use crate::cluster::{App, ServicePort, Warning};
use crate::labels::ServiceOptions;

/// A service port on which nobody can listen.
pub(super) fn no_port(app: &App, port: &ServicePort, options: &ServiceOptions) -> Option<Warning> {
    let number = port.service_port;
    if (1..=u16::MAX.into()).contains(&number) {
        return None;
    }
    let subject = match (options.port, app.field_of_port(number)) {
        (Some(_), _) => format!("label `HAPROXY_{}_PORT`", port.index),
        (None, Some(field)) => format!("field `{field}`, service port at position {}", port.index),
        (None, None) => format!("service port at position {}", port.index),
    };
    Some(Warning {
        app: Some(app.id.clone()),
        subject,
        found: format!("`{number}`"),
        expected: "a port from 1 to 65535".to_owned(),
        effect: String::new(),
    })
}

/// A position among the `number` of service ports of the app at which there is none. Its servers are
/// checked all the same, where they serve.
pub(super) fn no_such_index(
    app: &App,
    index: usize,
    number: usize,
    options: &ServiceOptions,
) -> Option<Warning> {
    let own = options.healthcheck_port_index?;
    let number = i64::try_from(number).ok()?;
    (!(-number..number).contains(&own)).then(|| Warning {
        app: Some(app.id.clone()),
        subject: format!("label `HAPROXY_{index}_BACKEND_HEALTHCHECK_PORT_INDEX`"),
        found: format!("`{own}`"),
        expected: format!(
            "the position of a service port of the app, from 0 to {}, or from the end",
            number - 1
        ),
        effect: "HAProxy checks the servers where they serve".to_owned(),
    })
}
