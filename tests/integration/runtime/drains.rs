//! What an operator drains gets no new requests, whatever Marathon says.

use haproxy_marathon_bridge::demo::marathon::Task;
use serde_json::Value;

use super::cluster::{Scene, TOLD, Watcher};
use crate::host::{Host, Web};
use crate::support::Done;

#[test]
fn a_task_is_drained_until_it_is_undrained_also_over_a_restart() {
    let mut scene = Scene::new(&[]);
    let (_, id) = scene.scale_up();
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    scene.is_answered_by(&["t0", "t1"]);

    let done = scene
        .host
        .operate(&["drain", &id, "--reason", "it is slow"]);
    done.expect(0)
        .says(&["drained from now on", &id, "it is slow"]);
    let done = scene.host.operate(&["drain", &id]).expect(0);
    done.says(&["is drained already"]);
    scene
        .refresh(&[])
        .expect(0)
        .says(&["1 of 2 servers changed", TOLD]);
    scene.is_answered_by(&["t0"]);
    assert!(scene.host.installed().contains(" disabled"));
    let status = scene.host.status().expect(0);
    status.prints(&["drained", &id, "(it is slow)"]);
    let quiet = scene.host.untouched(|| scene.refresh(&[]).expect(0));
    assert_eq!(quiet.stderr, "");
    assert_eq!(scene.host.haproxies(), [pid]);

    scene.host.kill();
    scene.refresh(&[]).expect(0).says(&["HAProxy was started"]);
    scene.is_answered_by(&["t0"]);

    let done = scene.host.operate(&["undrain", "other"]).expect(1);
    done.says(&["`other` is not drained, but", &id]);
    scene.host.operate(&["undrain", &id]).expect(0);
    scene.refresh(&[]).expect(0).says(&[TOLD]);
    scene.is_answered_by(&["t0", "t1"]);
    assert!(!scene.host.installed().contains(" disabled"));
}

#[test]
fn a_watcher_drains_at_once_and_who_comes_to_a_drained_host_rests() {
    let mut scene = Scene::new(&[]);
    scene.scale_up();
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    let pid = scene.host.pid();
    let server = scene.backends[0].address().to_string();
    scene.host.operate(&["drain", &server]).expect(0);
    watcher.says(TOLD);
    scene.is_answered_by(&["t1"]);
    // Those that come are not concerned.
    scene.scale_up();
    watcher.says(TOLD);
    scene.is_answered_by(&["t1", "t2"]);
    scene.host.operate(&["drain", "127.0.0.1"]).expect(0);
    watcher.says("2 servers changed at runtime");
    scene.scale_up();
    watcher.says(TOLD);
    assert_eq!(scene.host.installed().matches(" disabled").count(), 4);
    scene.host.operate(&["undrain", "127.0.0.1"]).expect(0);
    watcher.says("3 servers changed at runtime");
    scene.is_answered_by(&["t1", "t2", "t3"]);
    assert_eq!(scene.host.haproxies(), [pid]);
}

/// As it is written in the file and in statistics, and in any case.
#[test]
fn an_agent_is_drained_by_its_name_and_by_its_address() {
    let mut scene = Scene::new(&[]);
    let (backend, _) = scene.come();
    let port = backend.port();
    scene.backends.push(backend);
    let task = Task::new("localhost").port(port);
    let id = scene.marathon.scale_up("/web", [task]).unwrap().remove(0);
    scene.refresh(&[]).expect(0);
    let server = format!("127.0.0.1:{port}");
    for what in [&*server, "LocalHost", &format!("localhost:{port}"), &id] {
        let done = scene.host.operate(&["drain", what]).expect(0);
        done.says(&[&format!("`{what}` is 1 server of service port")]);
        let status = scene.host.status().expect(0);
        status.prints(&["drained", what, "1 server of service port"]);
        let mut json = scene.host.status_command();
        json.arg("--json");
        let json = Done::of(json).expect(0).stdout;
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["drained_servers"][0]["servers"], 1, "{json}");
        scene.refresh(&[]).expect(0).says(&[TOLD]);
        scene.is_answered_by(&["t0"]);
        scene.host.operate(&["undrain", what]).expect(0);
        scene.refresh(&[]).expect(0).says(&[TOLD]);
    }
    // The watcher answers events for servers alone.
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    scene.host.operate(&["drain", &server]).expect(0);
    watcher.says(TOLD);
    scene.scale_up();
    watcher.says(TOLD);
    scene.is_answered_by(&["t0", "t2"]);
    watcher.end();
}

#[test]
fn what_is_about_nobody_or_leaves_nobody_is_said() {
    let scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    for what in ["agnet-1", "/web", "127.0.0.1:1", "http://127.0.0.1"] {
        let done = scene.host.operate(&["drain", what]).expect(0);
        done.says(&["warn", &format!("`{what}` is no server in"), "expected"]);
        let status = scene.host.status().expect(0);
        status.prints(&["drained", what, "no server"]);
        let done = scene.host.operate(&["undrain", what]).expect(0);
        assert!(!done.stderr.contains("is no server"), "{}", done.stderr);
    }
    let done = scene.host.operate(&["drain", "127.0.0.1"]).expect(0);
    done.says(&["warn", "no server is left for service port"]);
}

#[test]
fn in_the_set_of_the_bridge_it_leaves_the_file() {
    let mut web = Web::start();
    web.scale_up();
    web.scale_up();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let newest = web.newest_address();
    assert!(host.installed().contains(&newest));
    host.operate(&["drain", &newest]).expect(0);
    host.refresh(&web.url(), &[])
        .expect(0)
        .says(&["servers 3 → 2"]);
    assert!(!host.installed().contains(&newest));
    host.operate(&["undrain", &newest]).expect(0);
    host.refresh(&web.url(), &[]).expect(0);
    assert!(host.installed().contains(&newest));
    // However much it is: an answer lacks nothing of it.
    host.operate(&["drain", "127.0.0.1"]).expect(0);
    host.refresh(&web.url(), &[])
        .expect(0)
        .says(&["servers 3 → 0"]);
    host.operate(&["undrain", "127.0.0.1"]).expect(0);
    host.refresh(&web.url(), &[]).expect(0);
    assert!(host.installed().contains(&newest));
}
