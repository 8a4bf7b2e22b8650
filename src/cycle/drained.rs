//! What an operator wants to get no new requests.

use crate::cluster::{Endpoint, ServicePort};
use crate::disk::Digest;
use crate::state::Drained;

/// Marks the servers concerned as those are that a deployment is about to end.
pub(super) fn drain(ports: &mut [ServicePort], drained: &[Drained]) {
    if drained.is_empty() {
        return;
    }
    for endpoint in ports.iter_mut().flat_map(|port| &mut port.endpoints) {
        endpoint.draining |= drained.iter().any(|entry| is_about(entry, endpoint));
    }
}

fn is_about(entry: &Drained, endpoint: &Endpoint) -> bool {
    let what = entry.what.as_str();
    let is_host = |text: &str| {
        let host = endpoint.host.to_string();
        text == host
            || endpoint
                .host
                .address()
                .is_some_and(|own| text.parse() == Ok(own))
    };
    let server = || {
        let (host, port) = what.rsplit_once(':')?;
        Some(port.parse() == Ok(endpoint.port) && is_host(host))
    };
    what == &*endpoint.task || is_host(what) || server().unwrap_or(false)
}

/// Stands for all of it; `None` for nothing.
pub(super) fn digest(drained: &[Drained]) -> Option<Digest> {
    let mut whats: Vec<&str> = drained.iter().map(|entry| entry.what.as_str()).collect();
    whats.sort_unstable();
    (!whats.is_empty()).then(|| Digest::of_value(&whats))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::cluster::{AppId, Host};
    use crate::state::Time;

    #[test]
    fn a_host_a_task_or_a_server_is_drained_and_no_other() {
        let endpoint = |host: &str, port: u16, task: &str| Endpoint {
            host: Host::new(host),
            port,
            task: task.into(),
            draining: false,
        };
        let port = ServicePort {
            app: AppId::new("/web"),
            index: 0,
            service_port: 80,
            last_config_change_at: None,
            endpoints: vec![
                endpoint("agent-1", 31000, "web.1"),
                endpoint("10.0.0.1", 31000, "web.2"),
                endpoint("10.0.0.1", 31001, "web.3"),
                endpoint("2001:db8::1", 31000, "web.4"),
            ],
        };
        let cases: [(&[&str], &[&str]); 8] = [
            (&[], &[]),
            (&["agent-1"], &["web.1"]),
            (&["10.0.0.1"], &["web.2", "web.3"]),
            (&["10.0.0.1:31001"], &["web.3"]),
            (&["web.4"], &["web.4"]),
            (&["2001:db8::1"], &["web.4"]),
            (
                &["[2001:db8::1]:31000", "agent-1:31000"],
                &["web.1", "web.4"],
            ),
            (&["agent", "10.0.0.1:3100", "web", ""], &[]),
        ];
        for (whats, expected) in cases {
            let drained: Vec<Drained> = whats
                .iter()
                .map(|what| Drained {
                    what: (*what).to_owned(),
                    since: Time::at(SystemTime::UNIX_EPOCH),
                    by: "me".to_owned(),
                    reason: None,
                })
                .collect();
            let mut ports = [port.clone()];
            drain(&mut ports, &drained);
            let found = ports[0].endpoints.iter().filter(|e| e.draining);
            let found: Vec<&str> = found.map(|e| &*e.task).collect();
            assert_eq!(found, expected, "{whats:?}");
            assert_eq!(digest(&drained).is_none(), whats.is_empty());
        }
    }
}
