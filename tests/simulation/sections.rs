//! What a file serves, read from its text as HAProxy would.

use std::collections::{BTreeMap, BTreeSet};

use haproxy_marathon_bridge::apply::FileSet;

/// The section of an app in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) port: u16,
    pub(crate) servers: BTreeSet<String>,
    /// How a server is chosen, where that is said.
    pub(crate) balance: Option<String>,
}

/// By title: `listen web-10001`, and `backend web_10001`, are `web-10001`.
pub(crate) fn sections_of(files: Option<&FileSet>) -> BTreeMap<String, Section> {
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    let mut title: Option<String> = None;
    for line in files.map(|files| files.cfg.lines()).into_iter().flatten() {
        if !line.starts_with(' ') {
            title = title_of(line);
            if let Some((title, port)) = title.as_deref().and_then(|title| {
                let (_, port) = title.rsplit_once('-')?;
                Some((title, port.parse().ok()?))
            }) {
                sections.entry(title.to_owned()).or_default().port = port;
            }
            continue;
        }
        let section = title.as_ref().and_then(|title| sections.get_mut(title));
        let Some(section) = section else {
            continue;
        };
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("balance"), Some(way), _) => section.balance = Some(way.to_owned()),
            (Some("server"), Some(_), Some(address)) => {
                section.servers.insert(address.to_owned());
            }
            _ => (),
        }
    }
    sections
}

fn title_of(line: &str) -> Option<String> {
    if let Some(title) = line.strip_prefix("listen ") {
        return Some(title.to_owned());
    }
    let (name, port) = line.strip_prefix("backend ")?.rsplit_once('_')?;
    Some(format!("{name}-{port}"))
}

/// The app of a title.
pub(crate) fn app_of(title: &str) -> &str {
    title.rsplit_once('-').map_or(title, |(app, _)| app)
}

/// Servers by section.
pub(crate) type Counts = BTreeMap<String, usize>;

pub(crate) fn counts_of(files: Option<&FileSet>) -> Counts {
    let sections = sections_of(files).into_iter();
    sections
        .map(|(title, section)| (title, section.servers.len()))
        .collect()
}

/// More than half of the service ports or of the servers, and at least three.
pub(crate) fn is_most(before: &Counts, after: &Counts) -> bool {
    let ports = before
        .keys()
        .filter(|title| !after.contains_key(*title))
        .count();
    let lost = |(title, servers): (&String, &usize)| {
        servers.saturating_sub(after.get(title).copied().unwrap_or(0))
    };
    let servers: usize = before.iter().map(lost).sum();
    let most = |lost: usize, of: usize| lost >= 3 && lost * 2 > of;
    most(ports, before.len()) || most(servers, before.values().sum())
}
