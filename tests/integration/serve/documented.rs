//! `docs/marathon-lb.md` promises a list of every line that differs: it is made anew here.

use std::fmt::Write as _;

use serde_json::json;
use similar::{ChangeTag, TextDiff};

use super::{Scene, default_head, rewrites};
use crate::support::Test;

const DOCUMENT: &str = include_str!("../../../docs/marathon-lb.md");

const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
    ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256:\
    DHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:\
    ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:DHE-RSA-AES128-SHA256:\
    DHE-RSA-AES256-SHA256:AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES256-SHA256:\
    !aNULL:!MD5:!DSS";

/// HEAD of marathon-lb 1.15.
fn of_marathon_lb() -> String {
    format!(
        "\
global
  log /dev/log local0
  log /dev/log local1 notice
  spread-checks 5
  max-spread-checks 15000
  maxconn 50000
  tune.ssl.default-dh-param 2048
  ssl-default-bind-ciphers {CIPHERS}
  ssl-default-bind-options no-sslv3 no-tlsv10 no-tls-tickets
  ssl-default-server-ciphers {CIPHERS}
  ssl-default-server-options no-sslv3 no-tlsv10 no-tls-tickets
  stats socket /var/run/haproxy/socket expose-fd listeners
  server-state-file global
  server-state-base /var/state/haproxy/
  lua-load /marathon-lb/getpids.lua
  lua-load /marathon-lb/getconfig.lua
  lua-load /marathon-lb/getmaps.lua
  lua-load /marathon-lb/signalmlb.lua
defaults
  load-server-state-from-file global
  log               global
  retries                   3
  backlog               10000
  maxconn               10000
  timeout connect          3s
  timeout client          30s
  timeout server          30s
  timeout tunnel        3600s
  timeout http-keep-alive  1s
  timeout http-request    15s
  timeout queue           30s
  timeout tarpit          60s
  option            dontlognull
  option            http-server-close
  option            redispatch
listen stats
  bind 0.0.0.0:9090
  balance
  mode http
  stats enable
  http-request use-service prometheus-exporter if {{ path /metrics }}
  monitor-uri /_haproxy_health_check
  acl getpid path /_haproxy_getpids
  http-request use-service lua.getpids if getpid
  acl getvhostmap path /_haproxy_getvhostmap
  http-request use-service lua.getvhostmap if getvhostmap
  acl getappmap path /_haproxy_getappmap
  http-request use-service lua.getappmap if getappmap
  acl getconfig path /_haproxy_getconfig
  http-request use-service lua.getconfig if getconfig

  acl signalmlbhup path /_mlb_signal/hup
  http-request use-service lua.signalmlbhup if signalmlbhup
  acl signalmlbusr1 path /_mlb_signal/usr1
  http-request use-service lua.signalmlbusr1 if signalmlbusr1
"
    )
}

/// The lines that differ, each group behind the line before it.
fn differences(old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let mut text = String::new();
    let mut before = None;
    for change in diff.iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Equal => {
                before = Some(change.value());
                continue;
            }
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
        };
        if let Some(before) = before.take() {
            write!(text, " {before}").unwrap();
        }
        write!(text, "{sign}{}", change.value()).unwrap();
    }
    text
}

/// The blocks of the document that show what differs.
fn documented() -> Vec<&'static str> {
    let blocks = DOCUMENT.split("```diff\n").skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

fn head(version: &str) -> String {
    default_head(&Test::new(), &["--haproxy-version", version])
}

#[test]
fn every_line_of_head_that_differs_is_documented() {
    let ours = head("2.6");
    let now = differences(&of_marathon_lb(), &ours);
    assert_eq!(
        documented()[0],
        now,
        "docs/marathon-lb.md should say\n{now}"
    );
}

#[test]
fn what_older_versions_of_haproxy_lack_is_left_out_of_head() {
    let ours = head("2.6");
    for (version, lacks) in [
        ("2.3", &[][..]),
        ("2.2", &["no strict-limits"]),
        ("2.1", &["no strict-limits", "http-error"]),
        ("1.8", &["no strict-limits", "http-error"]),
    ] {
        let lines = ours.split_inclusive('\n');
        let kept =
            lines.filter(|line| !lacks.iter().any(|word| line.trim_start().starts_with(word)));
        assert_eq!(head(version), kept.collect::<String>(), "{version}");
    }
    assert_eq!(head("3.2"), ours);
    for (words, version) in [("`no strict-limits`", "2.3"), ("`http-error`", "2.2")] {
        let told = DOCUMENT
            .lines()
            .any(|line| line.contains(words) && line.contains(version));
        assert!(told, "{words} from {version} on");
    }
}

#[test]
fn every_line_that_2_1_changed_is_documented() {
    let backend = |version| {
        let mut scene = Scene::new().flags(&["--dry", "--haproxy-version", version]);
        let tasks = json!({"tasks": [super::task("/app", "1", 31001)]});
        scene.app_on(10001, "/app", &[], &rewrites::ALL, &tasks);
        let text = scene.write().expect(0).stdout;
        let (_, backend) = text.split_once("\nbackend app_10001\n").unwrap();
        backend.to_owned()
    };
    let now = differences(&backend("2.0"), &backend("2.1"));
    assert_eq!(
        documented()[1],
        now,
        "docs/marathon-lb.md should say\n{now}"
    );
    assert_eq!(backend("1.8"), backend("2.0"));
    assert_eq!(backend("2.1"), backend("2.6"));
}
