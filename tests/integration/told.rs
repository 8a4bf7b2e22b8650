//! What `refresh` says of HAProxy.

use std::fs;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};

use crate::host::{Host, Web};
use crate::support::Test;

/// A template that HAProxy takes with a warning for each section.
fn warned() -> (Web, Host) {
    let (web, host) = (Web::start(), Host::new());
    let path = host.path("templates/listen.cfg.tera");
    let text = fs::read_to_string(&path).unwrap();
    let odd = text.replace("  mode tcp\n", "  mode tcp\n  option forwardfor\n");
    assert_ne!(text, odd);
    fs::write(path, odd).unwrap();
    (web, host)
}

#[test]
fn a_warning_about_a_file_that_is_accepted_is_told_once_and_when_it_is_over() {
    let (mut web, host) = warned();
    let section = format!("web-{}", web.port);
    let owner = format!("app `/web`: service port {}: ", web.port);
    let parts = ["`haproxy -c` warns: ", &owner, &section, "forwardfor"];
    host.refresh(&web.url(), &[]).expect(0).says(&parts);
    host.refresh(&web.url(), &[]).expect(0);
    // Neither another content nor another place in the file makes it news.
    web.scale_up();
    let port = free_ports(1).unwrap()[0];
    let app = App::new("/a").service_port(port);
    web.marathon.deploy(app.task(Task::local(31000)));
    let done = host.refresh(&web.url(), &[]).expect(0);
    let done = done.says(&["app `/a`"]);
    assert!(!done.stderr.contains(&owner), "{done:#?}");
    let warnings = host.state()["last_turn"]["haproxy_warnings"].clone();
    assert_eq!(warnings.as_array().unwrap().len(), 2, "{warnings}");

    let path = host.path("templates/listen.cfg.tera");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.replace("  option forwardfor\n", "")).unwrap();
    let done = host.refresh(&web.url(), &[]).expect(0);
    done.says(&["over: `haproxy -c` warned: ", &owner]);
}

#[test]
fn a_start_that_is_refused_is_told_by_its_cause() {
    let (web, host) = warned();
    host.refresh(&web.url(), &[]).expect(0);
    let _blocker = host.block_starts();
    let done = host.refresh(&web.url(), &[]).expect(1);
    done.says(&["the reload failed: ", "annot bind socket"]);
    let state = host.state();
    let error = state["pending"]["last_error"].as_str().unwrap();
    for word in ["\n", "forwardfor", "NOTICE", "ALERT", "failed to start"] {
        assert!(!error.contains(word), "{error}");
    }
}

/// It stands in the log, in the state, and in what `status` prints.
#[test]
fn a_password_in_the_reload_command_is_shown_nowhere() {
    let (web, host) = (Web::start(), Host::new());
    let command = "echo calling http://joe:hunter2@host/reload >&2; exit 1";
    let more = ["--reload", "command", "--reload-command", command];
    let done = host.refresh(&web.url(), &more).expect(1);
    let done = done.says(&["was refused", "host/reload"]);
    assert!(!done.stderr.contains("hunter2"), "{done:#?}");
    let state = host.state().to_string();
    assert!(state.contains("host/reload"), "{state}");
    assert!(!state.contains("hunter2"), "{state}");
}

/// `check` alone, so that no turn tells of what harms nobody; and it is no complaint.
#[test]
fn a_misspelt_label_of_what_is_served_is_told_of_by_check() {
    let app = |id: &str, labels: serde_json::Value| {
        serde_json::json!({
            "id": id,
            "labels": labels,
            "ports": [10001],
            "tasks": [{"id": "t", "host": "10.0.0.1", "ports": [31000], "state": "TASK_RUNNING"}],
        })
    };
    let labels = serde_json::json!({
        "HAPROXY_0_VHOST": "a.example.com",
        "HAPROXY_0_VHOSTT": "a.example.com",
        "HAPROXY_0_path": "/",
        "HAPROXY_00_PATH": "/",
        "HAPROXY_1_VHOST": "b.example.com",
        "HAPROXY_99999999999999999999_HTTP_FRONTEND_ACL": "b.example.com",
        "OTHER": "x",
    });
    let apps = serde_json::json!({"apps": [app("/a", labels)]}).to_string();
    let test = Test::new().file("apps.json", apps);
    let common = ["--marathon=file:apps.json", "--haproxy-config=haproxy.cfg"];
    let done = test.call([&["check"][..], &common].concat()).expect(0);
    for label in ["HAPROXY_0_VHOSTT", "HAPROXY_0_path", "HAPROXY_00_PATH"] {
        let told = format!("app `/a`: label `{label}`: found a name that no label has, expected `");
        done.clone().says(&[&told, "; not used"]);
    }
    for label in [
        "HAPROXY_1_VHOST",
        "HAPROXY_99999999999999999999_HTTP_FRONTEND_ACL",
    ] {
        let told = format!(
            "app `/a`: label `{label}`: found a position at which the app has no port, expected one \
             of the app's ports, counted from 0; not used"
        );
        done.clone().says(&[&told]);
    }
    assert_eq!(done.stderr.matches("app `/a`").count(), 5, "{done:#?}");
    let turn = [&["refresh", "--reload=none"][..], &common].concat();
    let done = test.call(turn).expect(0);
    assert!(!done.stderr.contains("no label has"), "{done:#?}");
}

/// As it may be, and somebody could mean one.
#[test]
fn check_notes_deployments_of_one_name_in_two_folders() {
    let app = |id: &str, port: u16, started: &str| {
        serde_json::json!({
            "id": id,
            "labels": {
                "HAPROXY_DEPLOYMENT_GROUP": "web",
                "HAPROXY_DEPLOYMENT_STARTED_AT": started,
                "HAPROXY_DEPLOYMENT_TARGET_INSTANCES": "1",
            },
            "instances": 1,
            "ports": [port],
            "tasks": [{"id": format!("{id}.t"), "host": "10.0.0.1", "ports": [31000],
                       "state": "TASK_RUNNING"}],
        })
    };
    let (old, new) = ("2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z");
    let apps = serde_json::json!({"apps": [
        app("/a/blue", 10001, old),
        app("/a/green", 10001, new),
        app("/b/blue", 10002, old),
        app("/b/green", 10002, new),
    ]});
    let test = Test::new().file("apps.json", apps.to_string());
    let common = ["--marathon=file:apps.json", "--haproxy-config=haproxy.cfg"];
    let note = "note: deployment `web` of app `/a/blue` and that of app `/b/blue` are two, since each \
                folder has its own (2 have one of this name)\n";
    let done = test.call([&["check"][..], &common].concat()).expect(0);
    let done = done.prints(&["2 service ports", note]);
    assert_eq!(done.stderr, "");
}

/// The rest of them is a number.
#[test]
fn check_tells_of_the_first_of_many_labels_that_nobody_reads() {
    let label = |nth: usize| (format!("HAPROXY_0_NO_{nth}"), "x".into());
    let labels: serde_json::Map<_, _> = (0..4_000).map(label).collect();
    let apps = serde_json::json!({"apps": [{
        "id": "/a",
        "labels": labels,
        "ports": [10001],
        "tasks": [{"id": "t", "host": "10.0.0.1", "ports": [31000], "state": "TASK_RUNNING"}],
    }]});
    let test = Test::new().file("apps.json", apps.to_string());
    let common = ["--marathon=file:apps.json", "--haproxy-config=haproxy.cfg"];
    let done = test.call([&["check"][..], &common].concat()).expect(0);
    let done = done.says(&["app `/a`: other labels and parts: found 3980 more that are wrong"]);
    assert_eq!(done.stderr.matches("app `/a`").count(), 21, "{done:#?}");
}
