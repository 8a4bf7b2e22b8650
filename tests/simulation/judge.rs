//! What the simulated HAProxy reads in a configuration and its maps, and what it refuses.

use std::collections::BTreeSet;
use std::path::Path;

use haproxy_marathon_bridge::apply::validate::{CheckMessage, Severity};

use crate::labels::BALANCES;

pub(crate) fn alert(text: String, line: Option<usize>, proxy: Option<&str>) -> CheckMessage {
    CheckMessage {
        severity: Severity::Alert,
        file: None,
        line,
        proxies: proxy.map(str::to_owned).into_iter().collect(),
        text,
    }
}

/// What HAProxy says of sections: some of it about a line, some only about a name.
pub(crate) fn faults_of_sections(cfg: &str) -> Vec<CheckMessage> {
    let mut faults = Vec::new();
    let mut section = "";
    for (line, number) in cfg.lines().zip(1..) {
        let Some(line) = line.strip_prefix("  ") else {
            section = line.rsplit(' ').next().unwrap_or_default();
            continue;
        };
        let fault = match line.split_once(' ') {
            Some(("balance", way)) if !BALANCES.contains(&way) => {
                format!("'{section}': unknown balance '{way}'")
            }
            Some(("bind", address)) if address.ends_with(":0") => {
                format!("'{section}': missing port number in '{address}'")
            }
            _ => continue,
        };
        faults.push(if number % 2 == 0 {
            alert(fault, Some(number), None)
        } else {
            alert(fault, None, Some(section))
        });
    }
    faults
}

/// Where `found`, in the place of a map that was `wanted`, leads a key to nowhere. A host that goes
/// from a backend that goes to one that comes does so while files change.
pub(crate) fn fault_of_map(cfg: &str, name: &str, wanted: &str, found: &str) -> Option<String> {
    let has = |backend: &str| {
        ["listen", "backend"].map(|kind| cfg.contains(&format!("{kind} {backend}\n")))
    };
    wanted.lines().find_map(|row| {
        let (key, wanted) = row.split_once(' ').unwrap_or_default();
        let backend = found
            .lines()
            .find_map(|row| row.strip_prefix(&format!("{key} ")));
        let leads =
            backend.is_some_and(|backend| has(backend).contains(&true) || backend != wanted);
        (!leads).then(|| format!("map {name} leads {key} to {backend:?}"))
    })
}

/// The maps that a configuration names.
pub(crate) fn maps_of(cfg: &str) -> BTreeSet<String> {
    cfg.split(",map(")
        .skip(1)
        .filter_map(|rest| Path::new(rest.split(')').next()?).file_name()?.to_str())
        .map(str::to_owned)
        .collect()
}

pub(crate) fn binds_of(cfg: &str) -> impl Iterator<Item = u16> {
    cfg.lines().filter_map(|line| {
        line.trim()
            .strip_prefix("bind ")?
            .rsplit_once(':')?
            .1
            .parse()
            .ok()
    })
}

/// A configuration without the lines of its servers.
pub(crate) fn without_servers(cfg: &str) -> String {
    let lines = cfg.split_inclusive('\n');
    lines
        .filter(|line| !line.starts_with("  server "))
        .collect()
}
