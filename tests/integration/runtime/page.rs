//! The page of a watcher, through the HAProxy that it is about.

use haproxy_marathon_bridge::demo::marathon::{App, Task};

use super::cluster::{Scene, TOLD, Watcher, on_loopback};
use crate::host::wait_until;
use crate::serve::at;
use crate::serve::request::{Answer, Ask};

/// Of a warning whose app writes markup.
const MARKUP: &str = "<script>alert(1)</script>";

struct Look {
    scene: Scene,
    flags: [String; 2],
}

impl Look {
    fn new() -> Self {
        let scene = Scene::new(&[]);
        let desk = scene.host.path("run/marathon-bridge.sock");
        let flags = ["--admin-socket".to_owned(), desk.display().to_string()];
        Self { scene, flags }
    }

    fn watch(&self) -> Watcher {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        Watcher::start(&self.scene, &flags)
    }

    #[track_caller]
    fn get(&self, path: &str) -> Answer {
        self.get_as("127.0.0.1", path)
    }

    #[track_caller]
    fn get_as(&self, host: &str, path: &str) -> Answer {
        let installed = self.scene.host.installed();
        let (_, stats) = installed
            .split_once("listen stats\n  bind 127.0.0.1:")
            .unwrap();
        let port = stats.lines().next().unwrap().parse().unwrap();
        Ask::http(at(port)).get(host, path)
    }

    fn page(&self, query: &str) -> String {
        self.get(&format!("/marathon-bridge/{query}"))
            .expect(200)
            .body
    }
}

#[track_caller]
fn shows(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "`{part}` is missing: {page}");
    }
}

#[test]
fn people_see_what_is_served_and_what_happens() {
    let mut look = Look::new();
    let watcher = look.watch();
    let first = look.get("/marathon-bridge/").expect(200);
    assert_eq!(
        first.header("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    let confined = first.header("Content-Security-Policy").unwrap();
    assert!(confined.starts_with("default-src 'none'; "), "{confined}");
    let app = format!("web_{}", look.scene.service_port());
    let header = "<header class=\"good\">\n<h1>all is well</h1>";
    shows(
        &first.body,
        &[header, &app, "web.test", ">1 of 1</td>", "servers up"],
    );

    look.scene.scale_up();
    watcher.says(TOLD);
    look.scene.is_answered_by(&["t0", "t1"]);
    // The same page is shown for a second.
    wait_until("the second server", || {
        look.page("").contains(">2 of 2</td>")
    });
    shows(&look.page(""), &["<pre>", TOLD]);

    // Whose task went away unseen.
    look.scene.backends.remove(1);
    let change = |app: App| app.label("HAPROXY_0_MAXCONN", MARKUP);
    look.scene.marathon.change_app("/web", change).unwrap();
    watcher.says("HAPROXY_0_MAXCONN");
    wait_until("the warning", || {
        look.page("").contains("HAPROXY_0_MAXCONN")
    });
    let warned = look.page("");
    shows(&warned, &["&lt;script&gt;"]);
    assert!(!warned.contains("<script"), "{warned}");
}

#[test]
fn nobody_is_led_to_a_socket_that_haproxy_cannot_reach() {
    let look = Look::new();
    let long = format!("/run/{}/a.sock", "d".repeat(86));
    for (socket, is_led) in [
        ("none", false),
        (&*long, false),
        (&long[..97], true),
        ("/run/a.sock", true),
    ] {
        let done = look.scene.refresh(&["--admin-socket", socket]);
        done.expect(0);
        let installed = look.scene.host.installed();
        let led = format!("\n  server watcher {socket}\n");
        assert_eq!(installed.contains(&led), is_led, "{socket}: {installed}");
        assert_eq!(installed.contains("marathon_bridge"), is_led, "{socket}");
    }
}

#[test]
fn services_are_looked_for_and_those_with_trouble_come_first() {
    let look = Look::new();
    // Nobody listens there, and HAProxy finds out.
    let check = serde_json::json!([{"protocol": "TCP", "portIndex": 0, "intervalSeconds": 1,
        "maxConsecutiveFailures": 1}]);
    let sick = on_loopback("/zzz/sick")
        .field("healthChecks", check)
        .task(Task::local(1));
    look.scene.marathon.deploy(sick);
    let _watcher = look.watch();
    wait_until("the fall of the sick", || {
        look.page("").contains("class=\"n bad\">0 of 1")
    });
    let page = look.page("");
    let at = |part: &str| page.find(part).unwrap();
    assert!(at("zzz_sick_") < at("<small>web_"), "{page}");
    let web = look.page("?q=web.test");
    shows(&web, &["1 of 2 fit", "<small>web_"]);
    assert!(!web.contains("zzz_sick_"), "{web}");
}

#[test]
fn haproxy_leads_to_the_page_and_to_nothing_else_of_a_watcher() {
    let look = Look::new();
    let watcher = look.watch();
    let moved = look.get("/marathon-bridge").expect(302);
    assert_eq!(moved.header("Location"), Some("/marathon-bridge/"));
    let status = look.get("/marathon-bridge/status").expect(200).body;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["ok"], true);
    let metrics = look.get("/marathon-bridge/metrics").expect(200).body;
    assert!(metrics.contains("haproxy_marathon_bridge_"), "{metrics}");
    for other in [
        "_mlb_signal/hup",
        "_haproxy_getconfig",
        "status/../_mlb_signal/hup",
        "/_mlb_signal/hup",
    ] {
        look.get(&format!("/marathon-bridge/{other}")).expect(403);
    }
    // As a page of somebody else, whose name leads to this host, would have a browser ask.
    look.get_as("rebound.test", "/marathon-bridge/").expect(403);
    look.get_as("LocalHost:9090", "/marathon-bridge/")
        .expect(200);
    drop(watcher);
    let gone = look.get("/marathon-bridge/").expect(503);
    assert!(gone.body.contains("status --html"), "{}", gone.body);
    let mut command = look.scene.host.status_command();
    command.arg("--html");
    let printed = crate::support::Done::of(command).expect(0).stdout;
    shows(
        &printed,
        &["<!DOCTYPE html>", "all is well", ">1 of 1</td>"],
    );
    assert!(!printed.contains("<form"), "{printed}");
}
