//! The table of services: the installed file, its maps, and what HAProxy counts, side by side.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::Mood;
use crate::guard::Proxy;
use crate::haproxy::statistics::Backend;

/// Hosts and paths of one service beyond these are counted.
const MOST_ROUTES: usize = 8;

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    /// Of its backend, as HAProxy's statistics have it.
    name: String,
    /// By the map of apps, else what the name says.
    app: String,
    routes: Vec<String>,
    more_routes: usize,
    service_port: u32,
    /// In the file.
    servers: u64,
    /// `None` where HAProxy was not asked, or does not know the backend.
    counts: Option<Backend>,
    mood: Mood,
}

/// What is led to each backend, by the texts of maps whose rows are a key and a backend.
fn led<'a>(maps: &[&'a str]) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut led: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let rows = maps.iter().flat_map(|map| map.lines());
    for (key, backend) in rows.filter_map(|row| row.split_once(' ')) {
        led.entry(backend.trim()).or_default().push(key);
    }
    led
}

/// What the table is made of.
#[derive(Clone, Debug)]
pub struct Sources<'a> {
    /// What the installed file serves.
    pub proxies: Vec<Proxy>,
    /// The texts of the installed maps that lead hosts and paths to backends.
    pub hosts: Vec<&'a str>,
    /// That of the map which leads apps there.
    pub apps: &'a str,
    /// By the names of backends, which others serve in their place in HAProxy's process.
    pub stand_ins: Option<&'a BTreeMap<String, String>>,
    /// What HAProxy counts; or why that is not known.
    pub counted: Result<BTreeMap<&'a str, Backend>, Uncounted>,
}

/// Why nothing is known of what HAProxy counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncounted {
    /// In words.
    pub why: String,
    /// It was asked, as it can be, and did not answer.
    pub is_amiss: bool,
}

/// A line for each service; who has trouble comes first, then they stand by name.
pub(super) fn rows(sources: Sources<'_>) -> Vec<Row> {
    let Sources {
        proxies,
        hosts,
        apps,
        stand_ins,
        counted,
    } = sources;
    let (hosts, apps) = (led(&hosts), led(&[apps]));
    let row = |proxy: Proxy| {
        let stand_in = stand_ins.and_then(|all| all.get(&proxy.name));
        let counted_as = stand_in.unwrap_or(&proxy.name).as_str();
        let counts = counted.as_ref().ok();
        let counts = counts.map(|counts| counts.get(counted_as).copied());
        let routes = hosts.get(&*proxy.name).map_or(&[][..], Vec::as_slice);
        let app = apps.get(&*proxy.name).and_then(|apps| apps.first());
        let servers = proxy.endpoints.len() as u64;
        Row {
            app: app.map_or_else(|| proxy.app(), |app| (*app).to_owned()),
            routes: routes
                .iter()
                .take(MOST_ROUTES)
                .map(ToString::to_string)
                .collect(),
            more_routes: routes.len().saturating_sub(MOST_ROUTES),
            service_port: proxy.service_port,
            servers,
            counts: counts.flatten(),
            mood: counts.map_or(Mood::Good, |counts| {
                mood(counts.unwrap_or_default().up, servers)
            }),
            name: proxy.name,
        }
    };
    let mut rows: Vec<Row> = proxies.into_iter().map(row).collect();
    rows.sort_by(|a, b| (Reverse(a.mood), &a.name).cmp(&(Reverse(b.mood), &b.name)));
    rows
}

/// How a service is that should have so many servers; those that are drained do not count as up.
fn mood(up: u64, servers: u64) -> Mood {
    // Nothing is amiss where Marathon has nobody to serve.
    if up >= servers {
        Mood::Good
    } else if up > 0 {
        Mood::Weak
    } else {
        Mood::Bad
    }
}

impl Row {
    /// Whether somebody who looks for `text` means it.
    pub(super) fn is_meant(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let has = |own: &str| own.to_lowercase().contains(&text);
        has(&self.name)
            || has(&self.app)
            || self.routes.iter().any(|route| has(route))
            || self.service_port.to_string() == text
    }

    /// Whether nobody gets an answer from it.
    pub(super) fn is_bad(&self) -> bool {
        self.mood == Mood::Bad
    }
}

/// Of all services together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) servers: u64,
    pub(super) up: u64,
    pub(super) sessions: u64,
    pub(super) rate: u64,
}

impl Sums {
    pub(super) fn of(rows: &[Row]) -> Self {
        rows.iter().fold(Self::default(), |sums, row| {
            let counts = row.counts.unwrap_or_default();
            Self {
                servers: sums.servers + row.servers,
                up: sums.up + counts.up,
                sessions: sums.sessions + counts.sessions,
                rate: sums.rate + counts.rate,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::proxies;

    const CFG: &str = "\
listen web-80
  server a 10.0.0.1:1
  server b 10.0.0.2:1
listen api-81
  server a 10.0.0.1:2
  server b 10.0.0.2:2
listen idle-82
listen gone-83
  server a 10.0.0.1:3
";

    fn up(up: u64) -> Backend {
        Backend {
            up,
            sessions: 3,
            rate: 2,
            ..Backend::default()
        }
    }

    fn sources(counted: Result<BTreeMap<&str, Backend>, Uncounted>) -> Sources<'_> {
        Sources {
            proxies: proxies(CFG, ""),
            hosts: vec![
                "w.example.com web-80\nx.example.com web-80\n",
                "a.example.com/v1 api-81\n",
            ],
            apps: "/Shop/web web-80\n",
            stand_ins: None,
            counted,
        }
    }

    #[test]
    fn who_has_trouble_comes_first() {
        let counted = [("web-80", up(2)), ("api-81", up(1)), ("idle-82", up(0))];
        let rows = rows(sources(Ok(BTreeMap::from(counted))));
        let seen: Vec<_> = rows.iter().map(|row| (&*row.name, row.mood)).collect();
        let expected = [
            // HAProxy does not have it.
            ("gone-83", Mood::Bad),
            ("api-81", Mood::Weak),
            ("idle-82", Mood::Good),
            ("web-80", Mood::Good),
        ];
        assert_eq!(seen, expected);
        let sums = Sums {
            servers: 5,
            up: 3,
            sessions: 9,
            rate: 6,
        };
        assert_eq!(Sums::of(&rows), sums);
    }

    #[test]
    fn who_is_served_by_another_backend_is_counted_there() {
        let counted = [("web-80", up(2)), ("api-81", up(2)), ("spare-1", up(1))];
        let stand_ins = [("gone-83".to_owned(), "spare-1".to_owned())];
        let stand_ins = BTreeMap::from(stand_ins);
        let sources = Sources {
            stand_ins: Some(&stand_ins),
            ..sources(Ok(BTreeMap::from(counted)))
        };
        let rows = rows(sources);
        let gone = rows.iter().find(|row| row.name == "gone-83").unwrap();
        assert_eq!((gone.mood, gone.counts), (Mood::Good, Some(up(1))));
    }

    #[test]
    fn nobody_has_trouble_where_nothing_is_counted() {
        let rows = rows(sources(Err(Uncounted {
            why: "nobody listens".to_owned(),
            is_amiss: true,
        })));
        let is_good = |row: &Row| row.mood == Mood::Good && row.counts.is_none();
        assert!(rows.iter().all(is_good), "{rows:?}");
    }

    #[test]
    fn a_service_is_found_by_its_name_app_hosts_and_port() {
        let rows = rows(sources(Ok(BTreeMap::new())));
        let found = |text: &str| -> Vec<&str> {
            let meant = rows.iter().filter(|row| row.is_meant(text));
            meant.map(|row| &*row.name).collect()
        };
        assert_eq!(found("/shop/WEB"), ["web-80"]);
        assert_eq!(found("a.example.com/v1"), ["api-81"]);
        assert_eq!(found("example.com"), ["api-81", "web-80"]);
        assert_eq!(found("82"), ["idle-82"]);
        assert_eq!(found("").len(), 4);
    }
}
