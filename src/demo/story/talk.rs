//! The longer sentences of the story, and its table.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::cast::{DemoApp, Tally};
use super::{Play, Stage};
use crate::demo::client::Report;

/// What Marathon runs.
pub(super) fn app(app: &DemoApp) -> String {
    let names = app.names();
    format!(
        "Marathon: {} has {} tasks behind port {}: {}",
        app.id(),
        names.len(),
        app.address().port(),
        app.addresses(&names)
    )
}

/// "a, b and c".
pub(super) fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

pub(super) fn so_far(report: &Report) -> String {
    format!("so far: {report}")
}

/// Who does not serve new connections any more, and is still there.
pub(super) fn old_processes(pids: &[u32]) -> String {
    let numbers: Vec<String> = pids.iter().map(ToString::to_string).collect();
    let (noun, verb, they) = match pids {
        [_] => ("process", "serves", "it"),
        _ => ("processes", "serve", "they"),
    };
    format!(
        "old {noun} {} still {verb} the connections that {they} had open",
        list(&numbers)
    )
}

pub(super) fn stats_url(address: SocketAddr) -> String {
    format!("http://{address}/haproxy?stats")
}

/// A row for each client, and the answers of each instance.
pub(super) fn table(tallies: &[Tally]) -> Vec<String> {
    let row = |label: &str, [answered, failed, p50, p95, max]: [String; 5]| {
        format!("{label:<27}{answered:>9}{failed:>8}{p50:>9}{p95:>9}{max:>9}")
    };
    let heads = ["answered", "failed", "p50", "p95", "slowest"].map(str::to_owned);
    let mut lines = vec![row("client", heads)];
    let mut all = Report::default();
    let mut tell = |label: &str, report: &Report| {
        let times = [0.5, 0.95, 1.0].map(|part| format!("{:.1?}", report.latency.quantile(part)));
        let [p50, p95, max] = times;
        let counts = (report.answered.to_string(), report.failed().to_string());
        lines.push(row(label, [counts.0, counts.1, p50, p95, max]));
    };
    for Tally { label, report } in tallies {
        tell(label, report);
        all.absorb(report);
    }
    tell("all", &all);
    lines.extend(by_instance(&all.instances));
    lines
}

/// A line for each app, whose name stands before the number.
fn by_instance(instances: &BTreeMap<String, u64>) -> Vec<String> {
    let mut apps: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, answers) in instances {
        let app = name.split_once('-').map_or(name.as_str(), |(app, _)| app);
        apps.entry(app)
            .or_default()
            .push(format!("{name} {answers}"));
    }
    apps.values()
        .map(|parts| format!("answers of {}", parts.join(", ")))
        .collect()
}

/// What can be done while it stays.
pub(super) fn invitation(play: &Play, stage: &Stage) -> Vec<String> {
    let mut lines = Vec::new();
    for app in &play.apps {
        let address = app.address();
        let (ip, port) = (address.ip(), address.port());
        lines.push(if app.speaks_http() {
            format!("{}: curl http://{address}/", app.id())
        } else {
            format!("{}: type a line into nc {ip} {port}", app.id())
        });
    }
    if let Some(address) = play.stats {
        lines.push(format!("stats page: {}", stats_url(address)));
    }
    lines.push(format!("Marathon: curl {}/v2/apps", play.marathon.url()));
    lines.push(format!("configuration: {}", stage.cfg().display()));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_as_sentences_do() {
        let list = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            list(&names)
        };
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b"]), "a and b");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    }

    #[test]
    fn the_table_has_a_row_for_each_client_and_one_for_all() {
        let report = |instance: &str, answered| Report {
            answered,
            instances: BTreeMap::from([(instance.to_owned(), answered)]),
            ..Report::default()
        };
        let tallies = [
            Tally {
                label: "web",
                report: report("web-1", 2),
            },
            Tally {
                label: "orders",
                report: report("orders-1", 3),
            },
        ];
        let lines = table(&tallies);
        assert_eq!(
            lines,
            [
                "client                      answered  failed      p50      p95  slowest",
                "web                                2       0    0.0ns    0.0ns    0.0ns",
                "orders                             3       0    0.0ns    0.0ns    0.0ns",
                "all                                5       0    0.0ns    0.0ns    0.0ns",
                "answers of orders-1 3",
                "answers of web-1 2",
            ]
        );
    }
}
