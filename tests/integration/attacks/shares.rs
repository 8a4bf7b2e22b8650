//! What an app owner may try with the labels by which several apps are one service, in the native set.

use serde_json::{Value, json};

use crate::support::{Done, Test, assert_accepted};

type Labels<'a> = &'a [(&'a str, &'a str)];

/// Apps on service ports from 10001 on.
fn generate(apps: &[(&str, Labels<'_>)]) -> Done {
    let apps = apps.iter().zip(10001..).map(|((id, labels), port)| {
        let labels = labels.iter();
        let labels: serde_json::Map<String, Value> = labels
            .map(|(name, text)| (format!("HAPROXY_0_{name}"), json!(text)))
            .collect();
        json!({
            "id": id,
            "labels": labels,
            "ports": [port],
            "tasks": [{"id": "t.1", "host": "10.0.0.1", "ports": [port], "state": "TASK_RUNNING"}],
        })
    });
    let apps = json!({"apps": apps.collect::<Vec<Value>>()}).to_string();
    let test = Test::new().file("apps.json", apps);
    test.call(["generate", "--marathon=file:apps.json"])
        .expect(0)
}

/// The servers of a section, by their ports, with what follows the address.
fn servers(cfg: &str, section: &str) -> Vec<String> {
    let head = format!("backend {section}");
    let lines = cfg.lines().skip_while(|line| *line != head).skip(1);
    let own = lines.take_while(|line| line.is_empty() || line.starts_with(' '));
    own.filter_map(|line| {
        Some(
            line.trim()
                .strip_prefix("server ")?
                .split_once(':')?
                .1
                .to_owned(),
        )
    })
    .collect()
}

const HTTP: (&str, &str) = ("MODE", "http");
const MERGE: (&str, &str) = ("MERGE", "shop");

#[test]
fn a_merge_of_another_folder_is_another_merge() {
    let alone: &[(&str, Labels<'_>)] = &[
        ("/a/evil", &[HTTP]),
        ("/shop/web", &[HTTP, MERGE]),
        ("/shop/web-canary", &[HTTP, MERGE]),
    ];
    let before = generate(alone);
    assert!(!before.stderr.contains("app `"), "{}", before.stderr);
    let networks = ("BACKEND_NETWORK_ALLOWED_ACL", "10.0.0.0/8");
    for evil in [
        &[HTTP, MERGE][..],
        &[HTTP, MERGE, ("WEIGHT", "1000000")],
        &[HTTP, MERGE, networks],
        &[("MODE", "tcp"), MERGE],
    ] {
        let mut apps = alone.to_vec();
        apps[0].1 = evil;
        let done = generate(&apps);
        assert!(!done.stderr.contains("label `"), "{}", done.stderr);
        for section in ["shop_web_10002", "shop_web-canary_10003"] {
            let before = servers(&before.stdout, section);
            assert_eq!(servers(&done.stdout, section), before, "{evil:?}");
        }
        assert_eq!(servers(&done.stdout, "a_evil_10001").len(), 1);
        assert_accepted(&done.stdout);
    }
}

#[test]
fn who_cannot_be_merged_is_served_alone_and_told_why() {
    let networks = ("BACKEND_NETWORK_ALLOWED_ACL", "10.0.0.0/8");
    let auth = ("AUTH", "r:u:rlR4Xhidden.E");
    for (labels, differs) in [
        (&[("MODE", "tcp")][..], "MODE"),
        (&[HTTP, auth], "AUTH"),
        (&[HTTP, networks], "BACKEND_NETWORK_ALLOWED_ACL"),
        (&[HTTP, ("USE_HSTS", "true")], "USE_HSTS"),
    ] {
        let other = [labels, &[MERGE]].concat();
        let done = generate(&[("/web", &[HTTP, MERGE]), ("/web-canary", &other)]);
        let done = done.says(&[&format!(
            "app `/web-canary`: label `HAPROXY_0_MERGE`: found another {differs} than app `/web`, \
             service port 10001, the first of `shop`, expected the same; not merged: service port \
             10002 is served on its own"
        )]);
        assert!(!done.stderr.contains("hidden"), "{}", done.stderr);
        for section in ["web_10001", "web-canary_10002"] {
            assert_eq!(servers(&done.stdout, section).len(), 1, "{}", done.stdout);
        }
        assert_accepted(&done.stdout);
    }
}

#[test]
fn a_weight_without_its_form_is_refused_in_five_parts() {
    for (weight, found) in [
        ("-1", "`-1`"),
        ("1000001", "`1000001`"),
        ("1 disabled", "`1 disabled`"),
        ("50%", "`50%`"),
        ("", "``"),
    ] {
        let canary = [HTTP, MERGE, ("WEIGHT", weight)];
        let done = generate(&[("/web", &[HTTP, MERGE]), ("/web-canary", &canary)]);
        let done = done.says(&[&format!(
            "app `/web-canary`: label `HAPROXY_0_WEIGHT`: found {found}, expected a number from 0 to \
             1000000; service port 10002 left out"
        )]);
        assert!(!done.stdout.contains("canary"), "{}", done.stdout);
        let servers = servers(&done.stdout, "web_10001");
        assert!(!servers[0].contains("weight"), "{servers:?}");
        assert_accepted(&done.stdout);
    }
}

#[test]
fn tls_that_cannot_be_passed_on_is_refused_in_five_parts() {
    let host = ("VHOST", "own.test");
    let wrong = "true or false; service port 10002 left out";
    let http = "none, for the mode is http, in which TLS ends here; service port 10002 left out";
    for (labels, found, then) in [
        (
            &[host, ("MODE", "tcp"), ("SNI_PASSTHROUGH", "yes }")][..],
            "`yes }`",
            wrong,
        ),
        (&[host, ("SNI_PASSTHROUGH", "true")], "`true`", http),
        (
            &[("MODE", "tcp"), ("SNI_PASSTHROUGH", "true")],
            "`true`",
            "a VHOST beside it; no request is led there for it on ports 80 and 443",
        ),
    ] {
        let done = generate(&[("/web", &[HTTP]), ("/own", labels)]);
        let done = done.says(&[&format!(
            "app `/own`: label `HAPROXY_0_SNI_PASSTHROUGH`: found {found}, expected {then}"
        )]);
        assert!(!done.stdout.contains("own.test"), "{}", done.stdout);
        let is_out = then.contains("left out");
        assert_eq!(servers(&done.stdout, "own_10002").is_empty(), is_out);
        assert_eq!(servers(&done.stdout, "web_10001").len(), 1);
        assert_accepted(&done.stdout);
    }
}
