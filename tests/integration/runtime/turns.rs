//! `refresh` and `watch`, which tell HAProxy of tasks that come and go.

use std::fs;
use std::process::Stdio;

use haproxy_marathon_bridge::demo::marathon::App;

use super::LONG;
use super::cluster::{Scene, TOLD, Watcher, without_retries};
use crate::host::block_on;

#[test]
fn a_refresh_tells_haproxy_of_tasks_that_came_or_went() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    let (name, id) = scene.scale_up();
    scene.refresh(&[]).expect(0).says(&["servers 1 → 2", TOLD]);
    scene.is_answered_by(&["t0", &name]);
    assert_eq!(scene.host.state()["applied"]["how"], TOLD);
    assert_eq!(scene.host.state()["applied"]["haproxy_pid"], pid);
    let quiet = scene.host.untouched(|| scene.refresh(&[]).expect(0));
    assert_eq!(quiet.stderr, "");
    scene.host.status().expect(0);

    scene.marathon.fail_task(&id).unwrap();
    scene.refresh(&[]).expect(0).says(&["servers 2 → 1", TOLD]);
    scene.is_answered_by(&["t0"]);
    assert_eq!(scene.servers(), 1);
    assert_eq!(scene.host.haproxies(), [pid]);
    // Whoever starts HAProxy has the same.
    scene.host.kill();
    scene.refresh(&[]).expect(0).says(&["HAProxy was started"]);
    scene.is_answered_by(&["t0"]);
}

#[test]
fn with_off_haproxy_is_reloaded_for_every_change() {
    let mut scene = Scene::new(&[]);
    let off = ["--runtime-api", "off"];
    scene.refresh(&off).expect(0);
    let pid = scene.host.pid();
    scene.scale_up();
    scene.refresh(&off).expect(0).says(&["took over"]);
    assert_ne!(scene.host.pid(), pid);
    scene.is_answered_by(&["t0", "t1"]);
}

#[test]
fn what_cannot_be_told_is_brought_by_a_reload_and_the_reason_is_said() {
    let mut scene = Scene::untold();
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    let (_, id) = scene.scale_up();
    let why = [
        "a reload is needed",
        "`default-server` does not reach",
        "took over",
    ];
    scene.refresh(&[]).expect(0).says(&why);
    assert_ne!(scene.host.pid(), pid);
    scene.is_answered_by(&["t0", "t1"]);
    // Nothing keeps it from being told of one that goes.
    let pid = scene.host.pid();
    scene.marathon.fail_task(&id).unwrap();
    scene.refresh(&[]).expect(0).says(&[TOLD]);
    assert_eq!(scene.host.pid(), pid);
    scene.is_answered_by(&["t0"]);
}

#[test]
fn a_change_of_more_than_servers_is_brought_by_a_reload() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    scene.scale_up();
    let balance = |app: App| app.label("HAPROXY_0_BALANCE", "leastconn");
    scene.marathon.change_app("/web", balance).unwrap();
    scene
        .refresh(&[])
        .expect(0)
        .says(&["backend web", "took over"]);
    assert_ne!(scene.host.pid(), pid);
}

#[test]
fn a_socket_that_is_gone_costs_a_reload_and_nothing_else() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    fs::remove_file(scene.host.path("run/admin.sock")).unwrap();
    scene.scale_up();
    let done = scene.refresh(&[]).expect(0);
    done.says(&["a reload is needed", "admin.sock", "took over"]);
    scene.is_answered_by(&["t0", "t1"]);
    scene.scale_up();
    scene.refresh(&[]).expect(0).says(&[TOLD]);
}

/// Others may have told the process before something that the next one never heard.
#[test]
fn a_process_that_somebody_else_reloaded_is_told_of_all_that_differs() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    scene.scale_up();
    scene.refresh(&[]).expect(0).says(&[TOLD]);
    scene.is_reloaded_by_others();
    let pid = scene.host.pid();
    scene.is_answered_by(&["t0", "t1"]);
    scene.scale_up();
    scene.refresh(&[]).expect(0).says(&[TOLD]);
    assert_eq!(scene.host.haproxies(), [pid]);
    scene.is_answered_by(&["t0", "t1", "t2"]);
}

/// A kill between the file and the socket leaves a file that HAProxy was not brought to.
#[test]
fn a_turn_that_was_broken_off_is_made_good_by_a_reload() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    let path = scene.host.path("run/admin.sock");
    // Nobody answers, and the turn waits.
    let hidden = scene.host.path("run/hidden.sock");
    fs::rename(&path, &hidden).unwrap();
    let silent = std::os::unix::net::UnixListener::bind(&path).unwrap();
    scene.scale_up();
    let url = [scene.marathon.url()];
    let mut command = scene.host.refresh_command(&url, &[]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let (stream, _) = silent.accept().unwrap();
    assert!(
        scene
            .host
            .installed()
            .contains(&scene.backends[1].address().to_string())
    );
    child.kill().unwrap();
    child.wait().unwrap();
    drop((stream, silent));
    fs::remove_file(&path).unwrap();
    fs::rename(&hidden, &path).unwrap();
    scene.refresh(&[]).expect(0).says(&["took over"]);
    scene.is_answered_by(&["t0", "t1"]);
}

#[test]
fn a_watcher_follows_tasks_without_a_reload_and_loses_no_request() {
    let mut scene = Scene::new(&[]);
    without_retries(&scene.host.path("templates/fragments/head.cfg.tera"));
    let watcher = Watcher::start(&scene, &[]);
    let pid = scene.host.pid();
    let client = scene.client();
    let mut ids = Vec::new();
    for _ in 0..10 {
        let (name, id) = scene.scale_up();
        watcher.says(TOLD);
        block_on(client.answered_by_each(&[&name], LONG)).unwrap();
        ids.push(id);
        if ids.len() > 2 {
            // Its process goes on: what counts here is that nobody is sent to one that is gone.
            scene.marathon.fail_task(&ids.remove(0)).unwrap();
            watcher.says(TOLD);
        }
    }
    assert_eq!(scene.host.haproxies(), [pid]);
    let report = block_on(client.stop());
    assert_eq!(report.failed(), 0, "{report}: {:?}", report.incidents);
    assert_eq!(scene.servers(), 3);
}
