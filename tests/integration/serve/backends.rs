//! Who may reach a backend, and which of its servers answers.

use std::collections::BTreeSet;
use std::net::TcpStream;

use haproxy_marathon_bridge::demo::backend::Instance;
use serde_json::json;

use super::{Ask, Scene, Served, at, task};
use crate::host::{ask_once, wait_until};

/// `open sesame` of `ali`, as `openssl passwd -5` made it.
pub(super) const AUTH: &str =
    "The cave:ali:$5$abcdefgh$FWXdh6oXOJQkX7oAcP02d0Gnxjct6ra8Fwv29U9RIN2";

#[test]
fn a_password_is_asked_for_on_80_and_443_and_nowhere_else() {
    let mut scene = Scene::new();
    let auth = ("HAPROXY_0_AUTH", AUTH);
    let host = |host| ("HAPROXY_0_VHOST", host);
    let path = ("HAPROXY_0_PATH", "/in");
    let port = scene.app("/one", &["one"], &[host("one.test"), auth]);
    scene.app("/two", &["two"], &[host("two.test,three.test"), auth]);
    scene.app("/four", &["four"], &[host("four.test"), auth, path]);
    scene.app(
        "/five",
        &["five"],
        &[host("five.test,six.test"), auth, path],
    );
    scene.app("/open", &["open"], &[host("open.test")]);
    let served = scene.serve();
    for (host, app) in [
        ("one.test", "one"),
        ("two.test", "two"),
        ("three.test", "two"),
        ("four.test", "four"),
        ("five.test", "five"),
        ("six.test", "five"),
    ] {
        for ask in [served.http(), served.https()] {
            let answer = ask.get(host, "/in").expect(401);
            let asked = answer.header("WWW-Authenticate").unwrap();
            assert_eq!(asked, "Basic realm=\"The cave\"");
            let wrong = ask.clone().login("ali", "open barley");
            wrong.get(host, "/in").expect(401);
            let right = ask.login("ali", "open sesame");
            assert_eq!(right.get(host, "/in").by(), app, "{host}");
        }
    }
    for ask in [served.http(), served.https()] {
        assert_eq!(ask.get("open.test", "/in").by(), "open");
        ask.get("four.test", "/").expect(503);
    }
    assert_eq!(Ask::http(at(port)).get("one.test", "/in").by(), "one");
    assert_eq!(served.app_id("/one").by(), "one");
}

#[test]
fn a_cookie_keeps_a_client_on_its_server() {
    let mut scene = Scene::new();
    let sticky = ("HAPROXY_0_STICKY", "true");
    let host = ("HAPROXY_0_VHOST", "web.test");
    scene.app("/web", &["web-1", "web-2", "web-3"], &[host, sticky]);
    let served = scene.serve();
    let mut seen = BTreeSet::new();
    for _ in 0..6 {
        let first = served.http().get("web.test", "/");
        let name = first.by().to_owned();
        let set = first.header("Set-Cookie").unwrap();
        assert!(set.starts_with("mesosphere_server_id="), "{set}");
        let cookie = set.split(';').next().unwrap();
        let ask = served.http().header("Cookie", cookie);
        for _ in 0..20 {
            let answer = ask.get("web.test", "/");
            assert_eq!(answer.by(), name);
            assert_eq!(answer.header("Set-Cookie"), None);
            // It is HAProxy's own.
            assert_eq!(answer.received("Cookie"), [""; 0]);
        }
        seen.insert(name);
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[test]
fn only_allowed_networks_reach_a_service() {
    let mut scene = Scene::new();
    let allowed = |networks| ("HAPROXY_0_BACKEND_NETWORK_ALLOWED_ACL", networks);
    let host = |host| ("HAPROXY_0_VHOST", host);
    let here = "10.0.0.0/8 127.0.0.1";
    scene.app("/in", &["in"], &[host("in.test"), allowed(here)]);
    scene.app("/out", &["out"], &[host("out.test"), allowed("10.0.0.0/8")]);
    let database = Instance::tcp("db").start().unwrap();
    let tasks = json!({"tasks": [task("/db", "db", database.port())]});
    let ports = ["127.0.0.0/8", "192.0.2.1"].map(|networks| {
        let id = format!("/db/{networks}")
            .replace(['.', '/'], "-")
            .replacen('-', "/", 1);
        scene.app_with(&id, &[], &[allowed(networks)], &tasks)
    });
    let served = scene.serve();
    assert_eq!(served.http().get("in.test", "/").by(), "in");
    assert_eq!(served.https().get("in.test", "/").by(), "in");
    served.http().get("out.test", "/").expect(403);
    served.https().get("out.test", "/").expect(403);
    served.app_id("/out").expect(403);
    assert_eq!(ask_once(at(ports[0])).as_deref(), Some("db"));
    assert_eq!(ask_once(at(ports[1])), None);
    assert!(
        database.load().served <= 1,
        "who is not allowed does not reach it"
    );
}

/// Marathon's check of this protocol on the first port.
fn check(protocol: &str) -> serde_json::Value {
    json!({"instances": 2, "healthChecks": [{
        "protocol": protocol, "path": "/health", "portIndex": 0,
        "gracePeriodSeconds": 1, "intervalSeconds": 1, "timeoutSeconds": 1,
        "maxConsecutiveFailures": 1,
    }]})
}

fn wait_for(served: &Served, backend: &str, state: &str, servers: usize) {
    wait_until(&format!("{servers} × {state}"), || {
        let all = served.servers(backend);
        all.iter().filter(|server| server.ends_with(state)).count() == servers
    });
}

#[test]
fn a_server_that_fails_its_check_gets_no_requests() {
    let mut scene = Scene::new();
    let host = ("HAPROXY_0_VHOST", "web.test");
    let port = scene.app_with("/web", &["web-1", "web-2"], &[host], &check("HTTP"));
    let served = scene.serve();
    let backend = format!("web_{port}");
    let by = || served.http().get("web.test", "/").by().to_owned();
    let both: BTreeSet<String> = (0..4).map(|_| by()).collect();
    assert_eq!(both.len(), 2, "{both:?}");
    // It would answer them: only the check speaks against it.
    served.echo("web-1").falls_sick();
    wait_for(&served, &backend, "DOWN", 1);
    for _ in 0..20 {
        assert_eq!(by(), "web-2");
    }
}

#[test]
fn a_tcp_server_that_is_gone_gets_no_connections() {
    let mut gone = Instance::tcp("db-1").start().unwrap();
    let stays = Instance::tcp("db-2").start().unwrap();
    let mut scene = Scene::new();
    let mut fields = check("TCP");
    fields["tasks"] = json!([
        task("/db", "db-1", gone.port()),
        task("/db", "db-2", stays.port()),
    ]);
    let port = scene.app_with("/db", &[], &[], &fields);
    let served = scene.serve();
    gone.stop();
    wait_for(&served, &format!("db_{port}"), "DOWN", 1);
    for _ in 0..10 {
        assert_eq!(ask_once(at(port)).as_deref(), Some("db-2"));
    }
    drop(stays);
    wait_for(&served, &format!("db_{port}"), "DOWN", 2);
    // HAProxy still listens, and has nobody to lead to.
    assert!(TcpStream::connect(at(port)).is_ok());
    assert_eq!(ask_once(at(port)), None);
}

/// Of three old servers one is replaced: it keeps its place in the file, and gets nothing.
#[test]
fn a_server_that_a_deployment_replaces_gets_no_requests() {
    let mut scene = Scene::new();
    let deployment = |colour, started| {
        [
            ("HAPROXY_0_VHOST", "web.test"),
            ("HAPROXY_DEPLOYMENT_GROUP", "web"),
            ("HAPROXY_DEPLOYMENT_COLOUR", colour),
            ("HAPROXY_DEPLOYMENT_STARTED_AT", started),
            ("HAPROXY_DEPLOYMENT_TARGET_INSTANCES", "3"),
            ("HAPROXY_DEPLOYMENT_NEW_INSTANCES", "0"),
        ]
    };
    let blue = deployment("blue", "2016-01-01T10:00:00");
    let green = deployment("green", "2016-01-02T10:00:00");
    let port = scene.app("/web-blue", &["old-1", "old-2", "old-3"], &blue);
    scene.app_on(port, "/web-green", &["new-1"], &green, &json!({}));
    let served = scene.serve();
    wait_for(&served, &format!("web_{port}"), "MAINT", 1);
    let by: BTreeSet<String> = (0..12)
        .map(|_| served.http().get("web.test", "/").by().to_owned())
        .collect();
    let by: Vec<&str> = by.iter().map(String::as_str).collect();
    assert_eq!(by, ["new-1", "old-2", "old-3"]);
}
