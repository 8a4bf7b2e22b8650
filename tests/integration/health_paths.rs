//! Paths and numbers of health checks, which owners write as they like.

use std::fs;

use serde_json::json;

use crate::support::{Done, Test, assert_accepted};

/// `/a` with a check for the first of its two service ports, or for none, beside `/b`.
fn apps(path: Option<&str>, task: u16) -> String {
    let app = |id: &str, ports: [u16; 2]| {
        json!({
            "id": id,
            "labels": {"HAPROXY_0_MODE": "http", "HAPROXY_1_MODE": "http"},
            "ports": ports,
            "tasks": [{
                "id": format!("{id}.1"),
                "host": "10.0.0.1",
                "ports": [task, task + 1],
                "state": "TASK_RUNNING",
            }],
        })
    };
    let mut a = app("/a", [10101, 10102]);
    let check = path.map(|path| json!({"protocol": "MESOS_HTTP", "portIndex": 0, "path": path}));
    a["healthChecks"] = check.into_iter().collect();
    json!({"apps": [a, app("/b", [10201, 10202])]}).to_string()
}

/// A turn, and the file that it leaves.
fn turn(test: &Test, apps: &str) -> (Done, String) {
    fs::write(test.path().join("apps.json"), apps).unwrap();
    let done = test.refresh(&[]).expect(0);
    let cfg = test.cfg();
    assert_accepted(&cfg);
    (done, cfg)
}

#[test]
fn what_a_url_may_hold_is_asked_for() {
    for (path, asked) in [
        ("/health?x=1&y=%20", "/health?x=1&y=%20"),
        ("health", "/health"),
        ("", "/"),
        ("/it's", "/it%27s"),
        ("/h|x", "/h%7Cx"),
        ("/health?q={x}", "/health?q=%7Bx%7D"),
        ("/a?b=[1]", "/a?b=%5B1%5D"),
        ("/é", "/%C3%A9"),
        ("/$HOME", "/%24HOME"),
        ("/%[src]", "/%%5Bsrc%5D"),
    ] {
        let (done, cfg) = turn(&Test::new(), &apps(Some(path), 31000));
        assert!(!done.stderr.contains("/a"), "{done:#?}");
        let line = format!("httpchk GET {asked}\n");
        assert_eq!(cfg.matches("httpchk").count(), 1, "{cfg}");
        assert!(cfg.contains(&line), "{path}: {cfg}");
    }
}

#[test]
fn another_path_costs_only_the_service_ports_that_are_checked_so() {
    let told = "app `/a`: field `healthChecks[0].path`: found `/a b`, expected a path of a URL, ";
    // It was never good.
    let test = Test::new();
    for task in [31000, 31100] {
        let (done, cfg) = turn(&test, &apps(Some("/a b"), task));
        if task == 31000 {
            done.says(&[told, "; service port 10101 left out"]);
        }
        assert!(!cfg.contains("backend a_10101"), "{cfg}");
        assert!(cfg.contains("backend a_10102") && cfg.contains("backend b_10201"));
    }
    // It was; or there was no check.
    for (good, line) in [(Some("/it's"), "httpchk GET /it%27s\n"), (None, "")] {
        let test = Test::new();
        turn(&test, &apps(good, 31000));
        for task in [31100, 31200] {
            let (done, cfg) = turn(&test, &apps(Some("/a b"), task));
            if task == 31100 {
                let effect = "; service port 10101 is served as it was before";
                done.says(&[told, effect]);
            }
            let from = cfg.find("\nbackend a_10101\n").unwrap() + 1;
            let section = cfg[from..].split("\n\n").next().unwrap();
            assert!(section.contains(&format!("10.0.0.1:{task}")), "{section}");
            assert!(section.contains(line), "{section}");
            assert_eq!(section.contains("httpchk"), good.is_some(), "{section}");
            assert!(cfg.contains("backend a_10102"), "{cfg}");
        }
        let (_, cfg) = turn(&test, &apps(Some("/new"), 31200));
        assert!(cfg.contains("httpchk GET /new\n"), "{cfg}");
    }
}

#[test]
fn numbers_that_haproxy_does_not_take_are_the_nearest_that_it_does() {
    for (name, number, line, told) in [
        (
            "intervalSeconds",
            0,
            "check inter 1s fall 4",
            "found `0`, expected a number from 1 to 1000000; taken for 1",
        ),
        (
            "intervalSeconds",
            2_147_484,
            "check inter 1000000s fall 4",
            "found `2147484`, expected a number from 1 to 1000000; taken for 1000000",
        ),
        (
            "timeoutSeconds",
            1_000_000_000_000_000_000_u64,
            "timeout check 1000000s",
            "found `1000000000000000000`, expected a number from 0 to 1000000; taken for 1000000",
        ),
        (
            "maxConsecutiveFailures",
            2_147_483_647,
            "check inter 60s fall 1000001",
            "found `2147483647`, expected a number from 0 to 1000000; taken for 1000000",
        ),
    ] {
        let test = Test::new();
        turn(&test, &apps(None, 31000));
        let mut body: serde_json::Value = serde_json::from_str(&apps(Some("/"), 31100)).unwrap();
        body["apps"][0]["healthChecks"][0][name] = number.into();
        let (done, cfg) = turn(&test, &body.to_string());
        let told = format!("app `/a`: field `healthChecks[0].{name}`: {told}\n");
        done.says(&[&told]);
        let from = cfg.find("\nbackend a_10101\n").unwrap() + 1;
        let section = cfg[from..].split("\n\n").next().unwrap();
        assert!(section.contains(line), "{section}");
        assert!(section.contains("10.0.0.1:31100"), "{section}");
    }
}
