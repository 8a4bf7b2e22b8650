//! A service port whose owner says what cannot be served keeps what was served, and today's tasks.

use std::fs;

use haproxy_marathon_bridge::state::Folder;
use serde_json::{Value, json};

use crate::support::{Done, Test};

const HEAD: &str = "global\n  stats socket /run/haproxy.sock expose-fd listeners\n\ndefaults\n  timeout connect 3s\n  \
                    timeout client 30s\n  timeout server 30s\n";

/// `/a` with these labels and a task on this port, beside `/b`.
fn apps(labels: &[(&str, &str)], task: u16) -> String {
    let app = |id: &str, port: u16, labels: &[(&str, &str)], task: u16| {
        let mut all = json!({"HAPROXY_GROUP": "x"});
        for (name, text) in labels {
            all[name] = json!(text);
        }
        json!({
            "id": id,
            "labels": all,
            "networks": [{"mode": "host"}],
            "portDefinitions": [{"port": port}],
            "instances": 1,
            "tasks": [{
                "id": format!("{id}.1"),
                "host": "10.0.0.1",
                "ports": [task],
                "state": "TASK_RUNNING",
            }],
        })
    };
    let b = [("HAPROXY_0_VHOST", "b.example.com")];
    json!({"apps": [app("/a", 10170, labels, task), app("/b", 10171, &b, 31900)]}).to_string()
}

fn host() -> Test {
    Test::new().env("HAPROXY_HEAD", HEAD).args([
        "marathon-lb",
        "-m=file:apps.json",
        "--group=x",
        "--dont-bind-http-https",
        "--haproxy-config=haproxy.cfg",
        "--haproxy-version=2.6",
        "--command=true",
        "--syslog-socket=/dev/null",
        "--log-level=INFO",
    ])
}

fn turn(test: &Test, labels: &[(&str, &str)], task: u16) -> Done {
    fs::write(test.path().join("apps.json"), apps(labels, task)).unwrap();
    test.run().expect(0)
}

/// The section of `/a`, empty where it is left out.
fn section(test: &Test) -> String {
    let cfg = test.cfg();
    assert!(cfg.contains("\nbackend b_10171\n"), "{cfg}");
    let Some(from) = cfg.find("\nbackend a_10170\n") else {
        return String::new();
    };
    let rest = &cfg[from + 1..];
    rest[..rest.find("\n\n").unwrap_or(rest.len())].to_owned()
}

fn quarantined(test: &Test) -> Value {
    let folder = Folder::of(&test.path().join("state"), &test.path().join("haproxy.cfg"));
    let saved = fs::read(folder.path().join("state.json")).unwrap();
    let state: Value = serde_json::from_slice(&saved).unwrap();
    state["quarantined"].clone()
}

const GOOD: [(&str, &str); 1] = [("HAPROXY_0_BALANCE", "leastconn")];

/// Options at one position may have let everybody in where the new port there lets nobody.
#[test]
fn another_service_port_at_the_same_position_gets_nothing_of_the_one_before() {
    let test = host();
    turn(&test, &[("HAPROXY_0_VHOST", "a.example.com")], 31000);
    assert!(!section(&test).is_empty());
    let bad = [
        ("HAPROXY_0_VHOST", "admin.example.com"),
        ("HAPROXY_0_AUTH", "bogus"),
    ];
    let other = apps(&bad, 31000).replace("10170", "10180");
    fs::write(test.path().join("apps.json"), other).unwrap();
    for _ in 0..2 {
        test.run().expect(0);
        let cfg = test.cfg();
        assert!(
            !cfg.contains("10180") && cfg.contains("backend b_10171"),
            "{cfg}"
        );
    }
    assert_eq!(quarantined(&test)[0]["last_good"], Value::Null);
}

#[test]
fn what_is_refused_is_served_as_before_with_the_tasks_of_today() {
    for (label, text, found) in [
        ("HAPROXY_0_BALANCE", "fastest", "what `haproxy -c` refuses"),
        ("HAPROXY_0_PORT", "80a", "`80a`"),
        (
            "HAPROXY_0_BACKEND_HEAD",
            "backend {backend}\n  {nobody}",
            "nobody",
        ),
        (
            "HAPROXY_0_BACKEND_HEAD",
            "backend {backend}\n  nonsense here",
            "nonsense",
        ),
    ] {
        let test = host();
        turn(&test, &GOOD, 31000);
        assert!(section(&test).contains("balance leastconn"));
        let done = turn(&test, &[(label, text)], 31001);
        done.says(&[
            "app `/a`",
            found,
            "service port 10170 is served as it was before",
        ]);
        let kept = section(&test);
        assert!(kept.contains("balance leastconn"), "{label}: {kept}");
        assert!(kept.contains("10.0.0.1:31001"), "{label}: {kept}");
        // It is not forgotten with the answer that held it, nor told of again.
        let done = turn(&test, &[(label, text)], 31002);
        assert!(!done.stderr.contains("/a`: "), "{done:#?}");
        let kept = section(&test);
        assert!(kept.contains("balance leastconn"), "{label}: {kept}");
        assert!(kept.contains("10.0.0.1:31002"), "{label}: {kept}");
        assert_eq!(quarantined(&test).as_array().unwrap().len(), 1);

        let done = turn(&test, &[("HAPROXY_0_BALANCE", "source")], 31002);
        done.says(&["over: app `/a`"]);
        assert!(section(&test).contains("balance source"));
        assert_eq!(quarantined(&test), json!([]));
    }
}

#[test]
fn what_was_never_good_is_left_out_and_tried_when_it_changes() {
    let test = host();
    let bad = [("HAPROXY_0_BALANCE", "fastest")];
    turn(&test, &bad, 31000).says(&["service port 10170 left out"]);
    assert_eq!(section(&test), "");
    turn(&test, &bad, 31001);
    assert_eq!(section(&test), "");
    let before = quarantined(&test);
    turn(&test, &[("HAPROXY_0_BALANCE", "slowest")], 31001);
    assert_eq!(section(&test), "");
    assert_ne!(quarantined(&test)[0]["said"], before[0]["said"]);
    assert_eq!(quarantined(&test)[0]["since"], before[0]["since"]);
    turn(&test, &GOOD, 31001);
    assert!(section(&test).contains("balance leastconn"));
}

/// A certificate may be missing that was there.
#[test]
fn what_was_good_and_is_refused_as_well_is_left_out() {
    let test = host();
    let good = [(
        "HAPROXY_0_BACKEND_HEAD",
        "backend {backend}\n  errorfile 503 page.http",
    )];
    let page = test.path().join("page.http");
    fs::write(&page, "HTTP/1.0 503 Service Unavailable\r\n\r\n").unwrap();
    turn(&test, &good, 31000);
    assert!(section(&test).contains("errorfile"));
    fs::remove_file(&page).unwrap();
    let bad = [("HAPROXY_0_BALANCE", "fastest")];
    turn(&test, &bad, 31001).says(&["service port 10170 left out"]);
    assert_eq!(section(&test), "");
}

/// What was good is refused as well, beside the health check of today.
#[test]
fn who_cannot_be_kept_as_before_is_told_of_once() {
    let test = host();
    turn(&test, &[("HAPROXY_0_VHOST", "a.example.com")], 31000);
    let new = apps(&[("HAPROXY_0_VHOST", "new.example.com")], 31001);
    let mut new: Value = serde_json::from_str(&new).unwrap();
    new["apps"][0]["healthChecks"] =
        json!([{"protocol": "TCP", "portIndex": 0, "intervalSeconds": 0}]);
    fs::write(test.path().join("apps.json"), new.to_string()).unwrap();
    let done = test.run().expect(0);
    assert_eq!(section(&test), "");
    let told = format!("{}{}", done.stdout, done.stderr);
    assert!(told.contains("service port 10170 left out"), "{told}");
    assert!(!told.contains("as it was before"), "{told}");
    assert_eq!(told.matches("app `/a`").count(), 1, "{told}");
}
