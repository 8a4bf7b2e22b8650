//! Spare backends, which stand in for those of apps that come where HAProxy cannot be told to add any.

use std::fs;

use haproxy_marathon_bridge::demo::backend::{Backend, HEALTH_PATH, Instance};
use haproxy_marathon_bridge::demo::client::Requests;
use haproxy_marathon_bridge::demo::marathon::{App, Task};
use haproxy_marathon_bridge::haproxy::servers::{Op, ServerState, states};
use serde_json::json;

use super::backends::{client, deploy, is_served, say};
use super::cluster::{Scene, TOLD, Watcher, without_retries};
use super::{LONG, instance};
use crate::host::{block_on, wait_until};

/// The file for a HAProxy that has to have them, whichever one runs.
const SPARE: [&str; 4] = [
    "--no-service-ports",
    "--haproxy-version=3.0",
    "--spare-backends",
    "2",
];

/// Of a HAProxy that can add none.
const USED: &str = "a reload is needed, since backends cannot be changed at runtime: all of 2 spare \
                    backends were used since HAProxy last read its file";

const APP_TOLD: &str = "1 server and 2 maps changed at runtime";

#[track_caller]
fn turn(scene: &Scene, told: &[&str]) {
    scene.refresh(&SPARE).expect(0).says(told);
}

/// The backend that `host` is led to, as the file has it and as the process does.
fn led(scene: &Scene, host: &str) -> (String, String) {
    let path = scene.host.path("etc/domain2backend.map");
    let rows = fs::read_to_string(&path).unwrap();
    let of = |rows: &str| {
        let row = rows
            .lines()
            .find(|row| row.contains(host))
            .unwrap_or_default();
        row.rsplit(' ').next().unwrap_or_default().to_owned()
    };
    let present = say(scene, &format!("show map {}", path.display()));
    (of(&rows), of(&present))
}

#[test]
fn an_app_that_comes_is_served_by_a_spare_backend_until_a_reload() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&SPARE).expect(0);
    let pid = scene.host.pid();
    deploy(&mut scene, "/one", |app| app);
    turn(&scene, &["backend one_", " is new", APP_TOLD]);
    is_served(&scene, "one.test", "one");
    let (file, process) = led(&scene, "one.test");
    assert!(file.starts_with("one_"), "{file}");
    assert!(
        process.starts_with("spare-") && process.ends_with("-1"),
        "{process}"
    );
    assert!(
        scene
            .host
            .installed()
            .contains(&format!("backend {file} from profile-"))
    );
    let stands_in = format!("`{process}` stands in for `{file}`");
    scene.host.status().expect(0).prints(&[&stands_in]);
    let quiet = scene.host.untouched(|| scene.refresh(&SPARE).expect(0));
    assert_eq!(quiet.stderr, "");
    // Its servers come and go as those of all others.
    let more = instance("more");
    let id = scene
        .marathon
        .scale_up("/one", [Task::local(more.port())])
        .unwrap()
        .remove(0);
    turn(&scene, &[TOLD]);
    is_served(&scene, "one.test", "more");
    scene.marathon.fail_task(&id).unwrap();
    turn(&scene, &[TOLD]);
    // One goes and another comes: nobody is led to the wrong one.
    scene.marathon.remove_app("/one").unwrap();
    deploy(&mut scene, "/two", |app| app);
    turn(
        &scene,
        &["backend two_", "backend one_", "2 servers and 2 maps"],
    );
    is_served(&scene, "two.test", "two");
    assert!(led(&scene, "two.test").1.ends_with("-2"));
    let unserved = Requests::http(([127, 0, 0, 1], scene.http).into()).host("one.test");
    let unserved = unserved.workers(1).timeout(LONG).start().unwrap();
    block_on(unserved.failed(LONG)).unwrap();
    drop(unserved);
    // A request for the one that went may still be under way in the first spare backend: where its server
    // ends, HAProxy would try it with whoever is there by then.
    deploy(&mut scene, "/three", |app| app);
    let is_told = super::backends::can_be_told();
    let told: &[&str] = if is_told {
        &[APP_TOLD]
    } else {
        &[USED, "took over"]
    };
    turn(&scene, told);
    is_served(&scene, "three.test", "three");
    assert_eq!(scene.host.pid() == pid, is_told);
}

#[test]
fn where_none_is_left_a_reload_makes_new_ones() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&SPARE).expect(0);
    let pid = scene.host.pid();
    for id in ["/one", "/two"] {
        deploy(&mut scene, id, |app| app);
        turn(&scene, &[APP_TOLD]);
    }
    assert_eq!(scene.host.haproxies(), [pid]);
    if !super::backends::can_be_told() {
        deploy(&mut scene, "/three", |app| app);
        turn(&scene, &[USED, "took over"]);
        assert_ne!(scene.host.pid(), pid);
        let (file, process) = led(&scene, "one.test");
        assert_eq!(file, process);
        assert!(!scene.host.status().stdout.contains("stands in"));
        deploy(&mut scene, "/four", |app| app);
        turn(&scene, &[APP_TOLD]);
        for name in ["three", "four"] {
            is_served(&scene, &format!("{name}.test"), name);
        }
    }
    for name in ["one", "two"] {
        is_served(&scene, &format!("{name}.test"), name);
    }
}

/// Whoever starts or reloads HAProxy has it read the file.
#[test]
fn a_process_that_read_the_file_needs_nobody_to_stand_in() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&SPARE).expect(0);
    deploy(&mut scene, "/one", |app| app);
    turn(&scene, &[APP_TOLD]);
    scene.is_reloaded_by_others();
    let pid = scene.host.pid();
    let more = instance("more");
    scene
        .marathon
        .scale_up("/one", [Task::local(more.port())])
        .unwrap();
    turn(&scene, &[TOLD]);
    is_served(&scene, "one.test", "more");
    let (file, process) = led(&scene, "one.test");
    assert_eq!(file, process);
    deploy(&mut scene, "/two", |app| app);
    turn(&scene, &[APP_TOLD]);
    assert_eq!(scene.host.haproxies(), [pid]);
    scene.host.kill();
    turn(&scene, &["HAProxy was started"]);
    for name in ["one", "two"] {
        is_served(&scene, &format!("{name}.test"), name);
    }
}

/// Without what is remembered nobody knows who stands in: rows of maps must not lead away from there.
#[test]
fn who_stands_in_and_is_forgotten_costs_a_reload_and_no_request() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&SPARE).expect(0);
    deploy(&mut scene, "/one", |app| app);
    turn(&scene, &[APP_TOLD]);
    let one = client(&scene, "one.test");
    block_on(one.answered_by_each(&["one"], LONG)).unwrap();
    fs::remove_file(scene.host.state_folder().join("state.json")).unwrap();
    let pid = scene.host.pid();
    let moved = |app: App| app.label("HAPROXY_0_VHOST", "web.test,moved.test");
    scene.marathon.change_app("/web", moved).unwrap();
    turn(&scene, &["took over"]);
    assert_ne!(scene.host.pid(), pid);
    is_served(&scene, "moved.test", "t0");
    is_served(&scene, "one.test", "one");
    let report = block_on(one.stop());
    assert_eq!(report.failed(), 0, "{report}: {:?}", report.incidents);
}

#[test]
fn a_watcher_follows_apps_with_spare_backends_and_loses_no_request() {
    let mut scene = Scene::new(&[]);
    without_retries(&scene.host.path("templates/fragments/head.cfg.tera"));
    let watcher = Watcher::start(&scene, &SPARE);
    let pid = scene.host.pid();
    let web = client(&scene, "web.test");
    for name in ["one", "two"] {
        deploy(&mut scene, &format!("/{name}"), |app| app);
        watcher.says(APP_TOLD);
        let own = client(&scene, &format!("{name}.test"));
        block_on(own.answered_by_each(&[name], LONG)).unwrap();
        // A turn for servers alone.
        let more = instance(&format!("more-{name}"));
        let tasks = [Task::local(more.port())];
        let id = scene
            .marathon
            .scale_up(&format!("/{name}"), tasks)
            .unwrap()
            .remove(0);
        watcher.says(TOLD);
        block_on(own.answered_by_each(&[more.name()], LONG)).unwrap();
        scene.marathon.fail_task(&id).unwrap();
        watcher.says(TOLD);
        let report = block_on(own.stop());
        assert_eq!(report.failed(), 0, "{report}: {:?}", report.incidents);
    }
    let report = block_on(web.stop());
    assert_eq!(report.failed(), 0, "{report}: {:?}", report.incidents);
    assert_eq!(scene.host.haproxies(), [pid]);
    watcher.end();
}

#[test]
fn an_app_without_a_spare_backend_waits_for_the_next_reload_and_tasks_do_not() {
    if super::backends::can_be_told() {
        return;
    }
    let mut scene = Scene::new(&[]);
    scene.refresh(&SPARE).expect(0);
    let pid = scene.host.pid();
    let flags = |apart| [&SPARE[..], &["--resync", "1h", "--reloads-apart", apart]].concat();
    let watcher = Watcher::start(&scene, &flags("1h"));
    for id in ["/one", "/two"] {
        deploy(&mut scene, id, |app| app);
        watcher.says(APP_TOLD);
    }
    let before = scene.host.installed();
    deploy(&mut scene, "/three", |app| app);
    watcher.says(USED);
    watcher.says("a reload or a refused start was not long before, and the next follows at");
    assert_eq!(scene.host.installed(), before);
    let (name, id) = scene.scale_up();
    watcher.says(TOLD);
    scene.is_answered_by(&["t0", &name]);
    scene.marathon.fail_task(&id).unwrap();
    watcher.says(TOLD);
    for name in ["one", "two"] {
        is_served(&scene, &format!("{name}.test"), name);
    }
    assert_eq!(scene.host.haproxies(), [pid]);
    scene.host.status().expect(0);
    watcher.end();

    let watcher = Watcher::start(&scene, &flags("1s"));
    if scene.host.pid() == pid {
        watcher.says("took over");
    }
    is_served(&scene, "three.test", "three");
    watcher.end();
}

/// What the process knows of who answers at `port`.
fn known(scene: &Scene, port: u16) -> Option<ServerState> {
    let states = states(&say(scene, "show servers state")).unwrap();
    states.into_iter().find(|state| state.port == port)
}

/// The process that comes next has the servers of the app in another backend than the one before.
#[test]
fn who_is_down_behind_a_spare_backend_stays_so_over_a_reload() {
    // Long enough for a reload that knows nothing to cost requests.
    let check = json!({
        "path": HEALTH_PATH, "protocol": "HTTP", "portIndex": 0, "intervalSeconds": 3,
        "gracePeriodSeconds": 5, "timeoutSeconds": 1, "maxConsecutiveFailures": 1,
    });
    let checked = |app: App| {
        app.http_check(HEALTH_PATH)
            .field("healthChecks", json!([check]))
    };
    let mut scene = Scene::of(checked);
    without_retries(&scene.host.path("templates/fragments/head.cfg.tera"));
    scene.refresh(&SPARE).expect(0);
    deploy(&mut scene, "/one", checked);
    turn(&scene, &[APP_TOLD]);
    // The first one in the file is checked at once, the last one after a while.
    let first = scene.backends.last().map(Backend::port);
    let mut candidates = (0..1_000).map(|_| Instance::http("dead").warm_up().unwrap());
    let mut dead = candidates.find(|dead| first < Some(dead.port())).unwrap();
    let port = dead.port();
    scene
        .marathon
        .scale_up("/one", [Task::local(port)])
        .unwrap();
    scene.refresh(&SPARE).expect(0);
    let is_down = |scene: &Scene| {
        known(scene, port).is_some_and(|it| it.op == Op::Stopped && it.check.has_failed)
    };
    wait_until("a check that fails", || is_down(&scene));
    let one = client(&scene, "one.test");
    block_on(one.answered_by_each(&["one"], LONG)).unwrap();
    let stands_in = known(&scene, port).unwrap().backend;
    assert!(stands_in.starts_with("spare-"), "{stands_in}");
    scene.change_structure();
    turn(&scene, &["took over"]);
    let state = known(&scene, port).unwrap();
    assert!(state.backend.starts_with("one_"), "{state:?}");
    assert_eq!(state.op, Op::Stopped, "{state:?}");
    block_on(one.answered_more(100, LONG)).unwrap();
    let report = block_on(one.stop());
    assert_eq!(report.failed(), 0, "{report}");
    dead.serve().unwrap();
    is_served(&scene, "one.test", "dead");
}
