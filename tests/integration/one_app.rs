//! What one app says and HAProxy refuses costs that app alone, however much of the host is its own.

use std::fs;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};

use crate::support::{Done, Test, assert_accepted};

/// `/big/x` with so many service ports and tasks, which has a certificate of its own, beside four apps
/// of one task each.
fn apps(ports: u16, tasks: u16, certificate: &Path, task_of_others: u16) -> String {
    let app = |id: &str, ports: Vec<u16>, tasks: u16, first: u16, labels: Value| {
        let task = |number: u16| {
            json!({
                "id": format!("{id}.{number}"),
                "host": format!("10.0.1.{number}"),
                "ports": (0..u16::try_from(ports.len()).unwrap())
                    .map(|port| first + port)
                    .collect::<Vec<_>>(),
                "state": "TASK_RUNNING",
            })
        };
        let tasks: Vec<Value> = (1..=tasks).map(task).collect();
        json!({"id": id, "labels": labels, "ports": ports, "tasks": tasks})
    };
    let mut labels = json!({});
    for port in 0..ports {
        labels[format!("HAPROXY_{port}_VHOST")] = json!(format!("x{port}.example.com"));
        labels[format!("HAPROXY_{port}_SSL_CERT")] = json!(certificate);
    }
    let numbers = (10100..10100 + ports).collect();
    let mut all = vec![app("/big/x", numbers, tasks, 31000, labels)];
    for number in 1..=4_u16 {
        let id = format!("/small/{number}");
        let host = json!({"HAPROXY_0_VHOST": format!("s{number}.example.com")});
        let first = task_of_others + number;
        all.push(app(&id, vec![10200 + number], 1, first, host));
    }
    json!({ "apps": all }).to_string()
}

fn turn(test: &Test, apps: &str) -> Done {
    fs::write(test.path().join("apps.json"), apps).unwrap();
    test.refresh(&[])
}

fn cfg(test: &Test) -> String {
    let cfg = test.cfg();
    assert_accepted(&cfg);
    cfg
}

#[test]
fn most_servers_or_service_ports_of_one_app_freeze_nobody_else() {
    for (ports, tasks) in [(1, 8), (8, 1)] {
        for is_pipe in [false, true] {
            let test = Test::new();
            let own = test.path().join("own.pem");
            let whole = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificate.pem");
            fs::copy(whole, &own).unwrap();
            turn(&test, &apps(ports, tasks, &own, 32000)).expect(0);
            let before = cfg(&test);
            assert!(before.contains("backend big_x_10100"), "{before}");
            fs::remove_file(&own).unwrap();
            if is_pipe {
                mkfifo(&own, Mode::S_IRWXU).unwrap();
            }
            let done = turn(&test, &apps(ports, tasks, &own, 32100)).expect(0);
            done.says(&["app `/big/x`: ", "own.pem", "service port 10100 left out"]);
            let after = cfg(&test);
            for number in 1..=4 {
                let task = format!("10.0.1.1:{}", 32100 + number);
                assert!(after.contains(&task), "{ports} {tasks} {is_pipe}: {after}");
            }
            assert!(
                !after.contains("big_x"),
                "{ports} {tasks} {is_pipe}: {after}"
            );
            // Its owner mends it.
            if is_pipe {
                fs::remove_file(&own).unwrap();
            }
            fs::copy(whole, &own).unwrap();
            let mended = apps(ports, tasks, &own, 32100).replace("x0.example", "y0.example");
            turn(&test, &mended).expect(0);
            assert!(cfg(&test).contains("backend big_x_10100"));
        }
    }
}

/// HAProxy opens a socket for each service port, and starts with none where it may not open all.
#[test]
fn service_ports_without_end_cost_nobody_else_theirs() {
    let app = |id: &str, ports: std::ops::Range<u16>| {
        let of_task: Vec<u16> = ports.clone().map(|port| port + 10_000).collect();
        json!({
            "id": id,
            "ports": ports.collect::<Vec<_>>(),
            "tasks": [{"id": "t", "host": "10.0.0.1", "ports": of_task, "state": "TASK_RUNNING"}],
        })
    };
    let apps = json!({"apps": [
        app("/a/small", 9999..10_000),
        app("/big", 10_000..12_000),
        app("/most", 12_000..12_500),
        app("/z/small", 12_501..12_502),
    ]});
    let test = Test::new();
    let done = turn(&test, &apps.to_string()).expect(0);
    let done = done.says(&[
        "app `/big`: service ports: found 2000 that are to be served, expected at most 500; service \
         port 10500, at position 500 and 1499 behind it left out",
    ]);
    assert_eq!(done.stderr.matches("at most").count(), 1, "{done:#?}");
    let cfg = cfg(&test);
    let served = |app: &str| cfg.matches(&format!("\nfrontend {app}_")).count();
    let all = ["a_small", "big", "most", "z_small"].map(served);
    assert_eq!(all, [1, 500, 500, 1]);
}

/// HAProxy computes each password when it checks the file, and again when it starts.
#[test]
fn passwords_without_end_keep_nobody_waiting() {
    let ports: Vec<u16> = (10_000..10_060).collect();
    let mut labels = json!({"HAPROXY_59_MODE": "http"});
    for index in 0..55 {
        labels[format!("HAPROXY_{index}_MODE")] = json!("http");
        labels[format!("HAPROXY_{index}_AUTH")] = json!("realm:ann:rlR4XJ1i8.hsE");
    }
    let task = json!({"id": "t", "host": "10.0.0.1", "ports": ports, "state": "TASK_RUNNING"});
    let apps = json!({"apps": [{"id": "/big", "ports": ports, "labels": labels, "tasks": [task]}]});
    let test = Test::new();
    turn(&test, &apps.to_string()).expect(0).says(&[
        "app `/big`: service ports: found 55 that are to be served with AUTH, expected at most 50; \
         service port 10050, at position 50 and 4 behind it left out",
    ]);
    let cfg = cfg(&test);
    assert_eq!(cfg.matches("\nuserlist user_big_").count(), 50);
    assert_eq!(cfg.matches("\nfrontend big_").count(), 55);
}
