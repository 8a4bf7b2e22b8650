//! Why a server is in one file and not in the other.

use std::net::IpAddr;

use super::Side;
use crate::cluster::{App, Task, TaskState};
use crate::config::Config;
use crate::diff::Beside;

/// The address of a `server` line, and where its port begins.
fn address(line: &str) -> Option<(&str, u16)> {
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some("server") {
        return None;
    }
    let (host, port) = words.nth(1)?.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']), port.parse().ok()?))
}

/// Why the line `line` of `one` differs, where it is a server; `app` is whose section it is.
pub(super) fn reason(
    config: &Config,
    app: Option<&App>,
    one: &Beside<'_>,
    side: Side,
    line: &str,
) -> Option<String> {
    let at = address(line)?;
    let others = match side {
        Side::There => &one.here,
        Side::Here => &one.there,
    };
    if let Some(other) = others.iter().find(|other| address(other) == Some(at)) {
        return (side == Side::Here).then(|| otherwise(other, line));
    }
    let app = app?;
    let task = app.tasks.iter().find(|task| is_at(app, task, at));
    Some(match (side, task) {
        (Side::There, None) => format!("app `{}` has no task there now", app.id),
        (Side::There, Some(task)) => left_out(config, task),
        (Side::Here, Some(task)) if is_ill(task) => {
            "Marathon reports its task not alive: it is not there where --health-check is given"
                .to_owned()
        }
        (Side::Here, Some(task)) => match &task.started_at {
            Some(since) => format!("its task runs since {since}"),
            None => "its task came since".to_owned(),
        },
        (Side::Here, None) => return None,
    })
}

/// A name of a host may stand for any address.
fn is_at(app: &App, task: &Task, (host, port): (&str, u16)) -> bool {
    let own = task.ip_addresses.iter().any(|own| own.to_string() == host);
    let of_agent = task.host.as_deref().is_some_and(|agent| {
        agent == host || agent.parse::<IpAddr>().is_err() && host.parse::<IpAddr>().is_ok()
    });
    let of_container = || {
        let mapped = app.port_mappings.iter().map(|port| port.container_port);
        let found = app.discovery_ports.iter().map(|port| Some(port.number));
        mapped.chain(found).any(|number| number == Some(port))
    };
    of_agent && task.ports.contains(&port) || own && (task.ports.contains(&port) || of_container())
}

/// Whether none of its checks finds it alive, as `--health-check` counts.
pub(super) fn is_ill(task: &Task) -> bool {
    let results = task.health.as_deref().unwrap_or_default();
    !results.is_empty() && !results.iter().any(|result| result.alive)
}

fn left_out(config: &Config, task: &Task) -> String {
    match task.state {
        Some(state) if state != TaskState::Running => {
            format!("its task is {}", format!("{state:?}").to_lowercase())
        }
        _ if config.apps.health_check && is_ill(task) => {
            "Marathon reports its task not alive, and --health-check is given here".to_owned()
        }
        _ if config.apps.health_check => {
            "--health-check is given here, and Marathon does not report its task alive".to_owned()
        }
        _ => "its task is left out here: it is not ready yet, or drained".to_owned(),
    }
}

/// What two lines for one address do not share.
fn otherwise(there: &str, here: &str) -> String {
    let mut there = there.split_ascii_whitespace().skip(1);
    let mut here = here.split_ascii_whitespace().skip(1);
    let is_renamed = there.next() != here.next();
    let (there, here): (Vec<&str>, Vec<&str>) = (there.skip(1).collect(), here.skip(1).collect());
    let beyond = |these: &[&str], those: &[&str]| {
        let words = these.iter().filter(|word| !those.contains(word));
        words.copied().collect::<Vec<_>>().join(" ")
    };
    let (gone, new) = (beyond(&there, &here), beyond(&here, &there));
    let mut told = Vec::new();
    if is_renamed {
        told.push("under another name".to_owned());
    }
    for (text, how) in [(gone, "without"), (new, "with")] {
        if !text.is_empty() {
            told.push(format!("{how} `{text}`"));
        }
    }
    if told.is_empty() {
        told.push("with its options in another order".to_owned());
    }
    format!("the same server, {}", told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_one_server_whatever_else_is_said_of_it() {
        for (there, here, want) in [
            (
                "server a 10.0.0.1:1",
                "server b 10.0.0.1:1",
                "under another name",
            ),
            (
                "server a 10.0.0.1:1 check inter 5s",
                "server a 10.0.0.1:1 check inter 2s id 7",
                "without `5s`, with `2s id 7`",
            ),
            (
                "server a 10.0.0.1:1 check backup",
                "server a 10.0.0.1:1 backup check",
                "with its options in another order",
            ),
        ] {
            assert_eq!(otherwise(there, here), format!("the same server, {want}"));
        }
    }

    #[test]
    fn addresses_are_read_from_servers_alone() {
        assert_eq!(
            address("server a 10.0.0.1:80 check"),
            Some(("10.0.0.1", 80))
        );
        assert_eq!(address("server a [::1]:80"), Some(("::1", 80)));
        assert_eq!(address("server a /run/x.sock"), None);
        assert_eq!(address("bind 10.0.0.1:80 ssl"), None);
    }
}
