//! The facts of a watcher in Prometheus' text form.
//!
//! All labels have a fixed set of values: nothing that an app owner writes is among them.

use std::fmt::Write as _;

use super::live::Facts;
use crate::haproxy::OldProcess;
use crate::state::Time;

/// What the names begin with.
const PREFIX: &str = "haproxy_marathon_bridge";

/// What a metric is, as its type says.
#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// All metrics, as `text/plain; version=0.0.4`.
#[must_use]
pub fn metrics(facts: &Facts, old: &[OldProcess], now: Time) -> String {
    let mut page = Page::default();
    let version = [("version", env!("CARGO_PKG_VERSION"), 1)];
    let help = "1, with the version of the program.";
    page.put("build_info", Kind::Gauge, help, &version);
    page.turns(facts, now);
    page.marathon(facts);
    page.services(facts);
    page.old(old, now);
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn turns(&mut self, facts: &Facts, now: Time) {
        let turns = facts.turns.iter();
        let turns: Vec<(&str, &str, u64)> = turns
            .map(|(outcome, count)| ("outcome", outcome.as_str(), *count))
            .collect();
        let help = "Turns, by what they came to.";
        self.put("turns_total", Kind::Counter, help, &turns);
        if let Some(good) = facts.last_good_turn {
            let age = now.since(good).as_secs();
            let help = "Since a turn last found all as it should be, or made it so.";
            self.gauge("last_good_turn_age_seconds", help, age);
        }
        let help = "How often HAProxy was brought to files.";
        self.counter("reloads_total", help, facts.reloads);
    }

    fn marathon(&mut self, facts: &Facts) {
        let is_attached = u64::from(facts.events_from.is_some());
        let help = "Whether Marathon tells of changes.";
        self.gauge("events_attached", help, is_attached);
        self.counter("events_total", "Events that Marathon told.", facts.events);
        let fetches = &facts.fetches;
        let by_form = [("of", "all", fetches.whole), ("of", "app", fetches.single)];
        let help = "Answers of Marathon, of all apps or of one.";
        self.put("fetches_total", Kind::Counter, help, &by_form);
        let help = "Questions that no Marathon answered in a usable way.";
        self.counter("fetch_failures_total", help, fetches.failed);
        let help = "Bytes of Marathon's answers, uncompressed.";
        self.counter("fetched_bytes_total", help, fetches.bytes);
    }

    fn services(&mut self, facts: &Facts) {
        let help = "Service ports whose removal is held back.";
        self.gauge("held_service_ports", help, facts.held.service_ports as u64);
        let help = "Servers whose removal is held back.";
        self.gauge("held_servers", help, facts.held.servers as u64);
        let help = "Service ports that are out, or served as they were before.";
        self.gauge("quarantined_service_ports", help, facts.quarantined as u64);
        if let Some(served) = facts.served {
            let help = "Service ports in the installed file.";
            self.gauge("services", help, served.services as u64);
            let help = "Servers in the installed file.";
            self.gauge("servers", help, served.servers as u64);
        }
        if let Some(spares) = facts.spares {
            let help =
                "Spare backends of the HAProxy that serves; none is used twice before a reload.";
            let (left, used) = (spares.left as u64, spares.used as u64);
            let values = [("state", "left", left), ("state", "used", used)];
            self.put("spare_backends", Kind::Gauge, help, &values);
        }
    }

    fn old(&mut self, old: &[OldProcess], now: Time) {
        let help = "Processes of HAProxy that finish the connections of before a reload.";
        self.gauge("old_processes", help, old.len() as u64);
        let (mut clients, mut others) = (0, 0);
        for connections in old.iter().filter_map(|old| old.holds.as_ref()) {
            clients += connections.clients.values().sum::<usize>() as u64;
            others += connections.others as u64;
        }
        let help = "Connections that old processes still have, as far as they can be seen.";
        let by_side = [("of", "clients", clients), ("of", "others", others)];
        self.put("old_connections", Kind::Gauge, help, &by_side);
        if let Some(since) = old.iter().filter_map(|old| old.since).min() {
            let age = now.since(Time::at(since)).as_secs();
            let help = "Since another process took over from the oldest that still runs.";
            self.gauge("oldest_process_age_seconds", help, age);
        }
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.put(name, Kind::Counter, help, &[("", "", value)]);
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.put(name, Kind::Gauge, help, &[("", "", value)]);
    }

    /// A value for each pair of a label and what it says; an empty label is none.
    fn put(&mut self, name: &str, kind: Kind, help: &str, values: &[(&str, &str, u64)]) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let out = &mut self.text;
        let _ = writeln!(out, "# HELP {PREFIX}_{name} {help}");
        let _ = writeln!(out, "# TYPE {PREFIX}_{name} {kind}");
        for (label, value, number) in values {
            let _ = match *label {
                "" => writeln!(out, "{PREFIX}_{name} {number}"),
                label => writeln!(out, "{PREFIX}_{name}{{{label}=\"{value}\"}} {number}"),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use super::super::{Ended, Held, Live, Served, Spares};
    use super::*;
    use crate::haproxy::Connections;
    use crate::state::TurnOutcome;

    fn at(seconds: u64) -> Time {
        Time::at(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn every_metric_has_a_help_a_type_and_a_value() {
        let watcher = Live::new(17, at(1), Arc::default());
        watcher.ended(&Ended {
            at: at(100),
            outcome: TurnOutcome::Applied,
            is_unfinished: false,
            reloaded: true,
            held: Some(Held {
                service_ports: 3,
                servers: 8,
            }),
            quarantined: 1,
            served: Some(Served {
                services: 40,
                servers: 120,
            }),
            spares: Some(Spares { left: 3, used: 1 }),
        });
        let old = |pid, second: u64| OldProcess {
            pid,
            since: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(second)),
            holds: Some(Connections {
                clients: BTreeMap::from([("port 80".to_owned(), 2), ("port 443".to_owned(), 1)]),
                others: 3,
            }),
        };
        let text = metrics(&watcher.facts(), &[old(7, 90), old(8, 100)], at(107));
        for line in [
            "turns_total{outcome=\"applied\"} 1",
            "turns_total{outcome=\"reload-failed\"} 0",
            "last_good_turn_age_seconds 7",
            "events_attached 0",
            "fetches_total{of=\"app\"} 0",
            "reloads_total 1",
            "held_servers 8",
            "quarantined_service_ports 1",
            "services 40",
            "servers 120",
            "spare_backends{state=\"left\"} 3",
            "spare_backends{state=\"used\"} 1",
            "old_processes 2",
            "old_connections{of=\"clients\"} 6",
            "old_connections{of=\"others\"} 6",
            "oldest_process_age_seconds 17",
        ] {
            let line = format!("\n{PREFIX}_{line}\n");
            assert!(text.contains(&line), "{line} is missing: {text}");
        }
        let names = |begin: &str| {
            let lines = text.lines().filter_map(|line| line.strip_prefix(begin));
            let names = lines.map(|line| line.split([' ', '{']).next().unwrap().to_owned());
            let mut names: Vec<String> = names.collect();
            names.dedup();
            names
        };
        assert_eq!(names("# HELP "), names("# TYPE "));
        assert_eq!(names("# HELP "), {
            let mut values = names("");
            values.retain(|name| name != "#");
            values.dedup();
            values
        });
    }

    #[test]
    fn what_is_not_known_yet_is_left_out() {
        let watcher = Live::new(17, at(1), Arc::default());
        let text = metrics(&watcher.facts(), &[], at(2));
        for name in [
            "last_good_turn",
            "_services",
            "_servers ",
            "_spare",
            "_oldest",
        ] {
            assert!(!text.contains(&format!("# HELP {PREFIX}{name}")), "{text}");
        }
        assert!(!text.contains("last_good_turn"), "{text}");
    }
}
