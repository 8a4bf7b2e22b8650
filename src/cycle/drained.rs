//! What an operator wants to get no new requests.

use std::collections::BTreeSet;

use crate::cluster::{Endpoint, Host, ServicePort};
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

/// Takes out of `wanted` what rests, for lines that know no such servers; and out of what is `served`
/// too: it goes because an operator wants it, and is nothing that an answer lacks.
pub(super) fn take_out(
    wanted: &mut [ServicePort],
    served: &mut [ServicePort],
    drained: &[Drained],
) {
    let wanted_endpoints = wanted.iter().flat_map(|port| &port.endpoints);
    // Files do not tell which task a server is.
    let resting: BTreeSet<(Host, u16)> = wanted_endpoints
        .filter(|endpoint| endpoint.draining)
        .map(|endpoint| (endpoint.host.clone(), endpoint.port))
        .collect();
    drain(served, drained);
    let is_at_work = |endpoint: &Endpoint| {
        !endpoint.draining && !resting.contains(&(endpoint.host.clone(), endpoint.port))
    };
    for port in wanted.iter_mut().chain(served) {
        port.endpoints.retain(is_at_work);
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
    use crate::cluster::AppId;
    use crate::guard;
    use crate::state::{GuardMemory, Time};

    fn said(what: &str) -> Drained {
        Drained {
            what: what.to_owned(),
            since: Time::at(SystemTime::UNIX_EPOCH),
            by: "me".to_owned(),
            reason: None,
        }
    }

    fn port(endpoints: Vec<Endpoint>) -> ServicePort {
        ServicePort {
            app: AppId::new("/web"),
            index: 0,
            service_port: 80,
            last_config_change_at: None,
            endpoints,
        }
    }

    fn endpoint(host: &str, port: u16, task: &str) -> Endpoint {
        Endpoint {
            host: Host::new(host),
            port,
            task: task.into(),
            draining: false,
        }
    }

    /// How many servers are left, and whether some are held back, where these tasks are in the file,
    /// and these in the answer.
    fn left(in_file: &[u16], in_answer: &[u16], whats: &[&str]) -> (usize, bool) {
        let task = |&number: &u16| {
            let host = format!("agent-{}", number / 10);
            endpoint(&host, 31000 + number, &format!("web.{number}"))
        };
        let drained: Vec<Drained> = whats.iter().map(|what| said(what)).collect();
        let mut wanted = vec![port(in_answer.iter().map(task).collect())];
        let mut served = vec![port(in_file.iter().map(task).collect())];
        for endpoint in served.iter_mut().flat_map(|port| &mut port.endpoints) {
            endpoint.task = "".into();
        }
        drain(&mut wanted, &drained);
        take_out(&mut wanted, &mut served, &drained);
        let now = Time::at(SystemTime::UNIX_EPOCH);
        let (ports, held) = guard::hold(&served, wanted, &mut GuardMemory::default(), now);
        (ports[0].endpoints.len(), held.is_some())
    }

    #[test]
    fn what_is_drained_is_nothing_that_an_answer_lacks_nor_in_the_place_of_it() {
        let all = [10, 11, 12, 13, 20];
        for whats in [
            &["agent-1"][..],
            &["web.10", "web.11", "web.12", "web.13"],
            &["agent-1:31010", "web.11", "web.12", "agent-1:31013"],
        ] {
            assert_eq!(left(&all, &all, whats), (1, false), "{whats:?}");
            assert_eq!(left(&[20], &all, whats), (1, false), "{whats:?}");
        }
        assert_eq!(left(&all, &[20], &[]), (5, true));
        // Those that rest serve nobody.
        let (at_work, resting) = ([20, 21, 22, 23], [10, 11, 12, 13]);
        assert_eq!(left(&at_work, &resting, &["agent-1"]), (4, true));
    }

    #[test]
    fn a_host_a_task_or_a_server_is_drained_and_no_other() {
        let port = port(vec![
            endpoint("agent-1", 31000, "web.1"),
            endpoint("10.0.0.1", 31000, "web.2"),
            endpoint("10.0.0.1", 31001, "web.3"),
            endpoint("2001:db8::1", 31000, "web.4"),
        ]);
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
            let drained: Vec<Drained> = whats.iter().map(|what| said(what)).collect();
            let mut ports = [port.clone()];
            drain(&mut ports, &drained);
            let found = ports[0].endpoints.iter().filter(|e| e.draining);
            let found: Vec<&str> = found.map(|e| &*e.task).collect();
            assert_eq!(found, expected, "{whats:?}");
            assert_eq!(digest(&drained).is_none(), whats.is_empty());
        }
    }
}
