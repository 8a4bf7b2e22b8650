//! Whatever waits, and for whatever: those who serve are those that are wanted.

use std::collections::BTreeMap;
use std::fs;

use haproxy_marathon_bridge::demo::backend::{Backend, Instance};
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Fault, Task};

use super::cluster::{Scene, TOLD, Watcher, on_loopback};
use super::instance;
use super::slow_checks::{Certificate, REFUSES, come_and_go, deploy_late};
use crate::host::wait_until;

/// HAProxy refuses every file from now on, and there is something to be refused.
fn refuse(scene: &Scene, certificate: &Certificate) {
    certificate.is_broken();
    deploy_late(scene);
}

/// Of which nothing can be made anew: what is left is the text that runs.
fn forget_the_answer(scene: &Scene) {
    fs::remove_file(scene.host.state_folder().join("snapshot.json")).unwrap();
}

fn first_task(scene: &Scene, app: &str) -> String {
    let app = scene.marathon.app(app).unwrap();
    app.tasks()[0].id().to_owned()
}

/// Another task of `/web` comes, and the one of before ends, three times: most of these turns are for
/// servers alone, though what was refused may be tried again meanwhile.
fn replace_one_by_one(scene: &mut Scene, watcher: &Watcher) {
    let is_light = || {
        let words = watcher.says(TOLD);
        usize::from(words.last().unwrap().contains(" installed `"))
    };
    let mut id = first_task(scene, "/web");
    let mut light = 0;
    for _ in 0..3 {
        let (name, next) = scene.scale_up();
        light += is_light();
        scene.marathon.fail_task(&id).unwrap();
        light += is_light();
        scene.is_answered_by(&[&name]);
        id = next;
    }
    assert!(light > 2, "only {light} of 6 turns were for servers alone");
}

#[test]
fn what_is_drained_while_files_are_refused_rests() {
    for is_known in [true, false] {
        let mut scene = Scene::new(&[]);
        let certificate = Certificate::of(&scene);
        let other = on_loopback("/other")
            .task(Task::local(1))
            .task(Task::local(2));
        scene.marathon.deploy(other);
        scene.scale_up();
        scene.refresh(&[]).expect(0);
        if !is_known {
            forget_the_answer(&scene);
        }
        refuse(&scene, &certificate);
        let first = scene.backends[0].address().to_string();
        scene.host.operate(&["drain", &first]).expect(0);
        scene.host.operate(&["drain", "127.0.0.1:1"]).expect(0);
        scene.refresh(&[]).expect(1);
        scene.is_answered_by(&["t1"]);
        // Who comes does not rest with those beside it.
        let second = scene.backends[1].address().to_string();
        scene.host.operate(&["drain", &second]).expect(0);
        let (next, _) = scene.scale_up();
        scene.refresh(&[]).expect(1);
        scene.is_answered_by(&[&next]);
        scene.host.operate(&["undrain", &first]).expect(0);
        scene.refresh(&[]).expect(1);
        scene.is_answered_by(&["t0", &next]);
        // One that rests is no slot.
        assert!(scene.serves_other_at(1) && scene.serves_other_at(2));
        scene.marathon.remove_app("/other").unwrap();
        scene.refresh(&[]).expect(1);
        assert!(!scene.serves_other_at(1) && !scene.serves_other_at(2));
    }
}

#[test]
fn an_app_that_moves_while_files_are_refused_is_followed() {
    let mut scene = Scene::new(&[]);
    let certificate = Certificate::of(&scene);
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    refuse(&scene, &certificate);
    watcher.says(REFUSES);
    let moved = free_ports(1).unwrap()[0].to_string();
    let change = |app: App| app.label("HAPROXY_0_PORT", &moved);
    scene.marathon.change_app("/web", change).unwrap();
    wait_until("a turn for the new port", || {
        let change = scene.host.state()["last_turn"]["change"].to_string();
        // From HAProxy 3.2 on it is `web_PORT_in`.
        change.contains(&format!("frontend web_{moved}"))
    });
    replace_one_by_one(&mut scene, &watcher);
    certificate.is_mended();
    watcher.end();
    scene.refresh(&[]).expect(0);
}

/// Which is which is known by their places in the app.
#[test]
fn both_service_ports_of_an_app_that_moves_are_followed() {
    let scene = Scene::new(&[]);
    let certificate = Certificate::of(&scene);
    let free = free_ports(4).unwrap();
    let at = |app: App, ports: &[u16]| {
        app.label("HAPROXY_0_PORT", &ports[0].to_string())
            .label("HAPROXY_1_PORT", &ports[1].to_string())
    };
    let app = on_loopback("/other").service_port(free_ports(1).unwrap()[0]);
    let app = app.label("HAPROXY_1_BIND_ADDR", "127.0.0.1");
    let two = |first: u16| Task::local(first).port(first + 1);
    scene.marathon.deploy(at(app, &free[..2]).task(two(1)));
    scene.refresh(&[]).expect(0);
    refuse(&scene, &certificate);
    let first = first_task(&scene, "/other");
    scene
        .marathon
        .change_app("/other", |app| at(app, &free[2..]))
        .unwrap();
    scene.marathon.scale_up("/other", [two(3)]).unwrap();
    scene.marathon.fail_task(&first).unwrap();
    scene.refresh(&[]).expect(1);
    let old = |place: usize| format!("other_{}", free[place]);
    let expected = BTreeMap::from([(old(0), vec![3]), (old(1), vec![4])]);
    assert_eq!(scene.ports_of("other_"), expected);
}

/// Two apps as one service at `web.test`: this one gets nothing, and `/zeb` all.
fn merged(weight: &str) -> (Scene, Backend) {
    let labels = [("HAPROXY_0_MERGE", "web"), ("HAPROXY_0_WEIGHT", weight)];
    let scene = Scene::new(&labels);
    let other = instance("z0");
    let zeb = on_loopback("/zeb").label("HAPROXY_0_VHOST", "web.test");
    let zeb = zeb
        .label("HAPROXY_0_MERGE", "web")
        .label("HAPROXY_0_WEIGHT", "1");
    scene.marathon.deploy(zeb.task(Task::local(other.port())));
    (scene, other)
}

#[test]
fn shares_of_apps_that_are_merged_stay_while_files_are_refused() {
    for is_known in [true, false] {
        let (mut scene, _other) = merged("0");
        let certificate = Certificate::of(&scene);
        scene.refresh(&[]).expect(0);
        scene.is_answered_by(&["z0"]);
        if !is_known {
            forget_the_answer(&scene);
        }
        refuse(&scene, &certificate);
        // The one that serves ends and is back, and the other one grows.
        let id = first_task(&scene, "/zeb");
        scene.marathon.fail_task(&id).unwrap();
        scene.refresh(&[]).expect(1);
        let next = Instance::http("z1").start().unwrap();
        let task = Task::local(next.port());
        scene.marathon.scale_up("/zeb", [task]).unwrap();
        scene.scale_up();
        scene.refresh(&[]).expect(1);
        scene.is_answered_by(&["z1"]);
    }
}

#[test]
fn a_merged_app_is_no_doubt_about_the_others() {
    let (mut scene, _other) = merged("1");
    let certificate = Certificate::of(&scene);
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    refuse(&scene, &certificate);
    watcher.says(REFUSES);
    let (name, _) = scene.scale_up();
    // The other app has as much of it as before.
    watcher.says("2 servers changed at runtime");
    scene.is_answered_by(&["t0", &name, "z0"]);
    watcher.end();
}

#[test]
fn one_app_of_which_haproxy_cannot_be_told_keeps_no_other_waiting() {
    let mut scene = Scene::new(&[]);
    let certificate = Certificate::of(&scene);
    let source = on_loopback("/other").label("HAPROXY_0_BALANCE", "source");
    scene.marathon.deploy(source.task(Task::local(1)));
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    let pid = scene.host.pid();
    refuse(&scene, &certificate);
    watcher.says(REFUSES);
    scene.marathon.scale_up("/other", [Task::local(2)]).unwrap();
    watcher.says("app `/other`: service port|knows its servers from the start on");
    for _ in 0..2 {
        come_and_go(&mut scene, &watcher);
    }
    let status = || scene.host.status().expect(1);
    wait_until("words of it", || {
        status().stdout.contains("`balance source`")
    });
    // Who is gone gets no requests, though its line stays.
    let first = first_task(&scene, "/other");
    scene.marathon.fail_task(&first).unwrap();
    watcher.says(TOLD);
    let installed = scene.host.installed();
    let mut lines = installed.lines().map(str::trim);
    let line = lines.find(|line| line.contains(" 127.0.0.1:1 ")).unwrap();
    assert!(line.ends_with(" disabled"), "{line}");
    come_and_go(&mut scene, &watcher);
    assert_eq!(scene.host.haproxies(), [pid]);
    watcher.end();
}

/// HAProxy was told, and that was never written down.
#[test]
fn a_kill_just_after_haproxy_was_told_stops_nobody() {
    for is_known in [true, false] {
        let mut scene = Scene::new(&[]);
        let certificate = Certificate::of(&scene);
        let mut watcher = Watcher::start(&scene, &["--resync", "1h"]);
        refuse(&scene, &certificate);
        watcher.says(REFUSES);
        come_and_go(&mut scene, &watcher);
        let state = scene.host.state();
        let (name, id) = scene.scale_up();
        watcher.says(TOLD);
        watcher.kill();
        scene.is_left();
        scene.host.edit_state(|now| *now = state);
        if !is_known {
            forget_the_answer(&scene);
        }
        scene.marathon.fail_task(&id).unwrap();
        let watcher = Watcher::start_where(&scene, &["--resync", "1h"], None, REFUSES);
        scene.is_answered_by(&["t0"]);
        let (next, _) = scene.scale_up();
        watcher.says(TOLD);
        assert_ne!(name, next);
        scene.is_answered_by(&["t0", &next]);
        watcher.end();
    }
}

/// After its first turn it knows again what is in service, and has nothing checked for servers.
#[test]
fn who_starts_while_files_are_refused_takes_turns_for_servers_alone() {
    let mut scene = Scene::new(&[]);
    let certificate = Certificate::of(&scene);
    scene.refresh(&[]).expect(0);
    refuse(&scene, &certificate);
    let watcher = Watcher::start_where(&scene, &["--resync", "1h"], None, REFUSES);
    replace_one_by_one(&mut scene, &watcher);
    watcher.end();
}

#[test]
fn what_was_told_while_files_are_refused_serves_in_an_outage() {
    let mut scene = Scene::new(&[]);
    let certificate = Certificate::of(&scene);
    let watcher = Watcher::start(&scene, &["--resync", "1s"]);
    refuse(&scene, &certificate);
    watcher.says(REFUSES);
    let (name, id) = scene.scale_up();
    watcher.says(TOLD);
    scene.marathon.inject(Fault::Status(500));
    let words = watcher.says("what is served is of|cannot be served");
    let last = words.last().unwrap();
    assert!(last.contains("what is served is of"), "{last}");
    scene.is_answered_by(&["t0", &name]);
    scene.marathon.clear_faults();
    watcher.says("over: ");
    scene.marathon.fail_task(&id).unwrap();
    watcher.says(TOLD);
    scene.is_answered_by(&["t0"]);
    watcher.end();
}

/// A reload is due and cannot be done.
#[test]
fn what_is_drained_while_a_reload_has_failed_rests() {
    let mut scene = Scene::new(&[]);
    scene.scale_up();
    scene.refresh(&[]).expect(0);
    let flags = ["--reload", "command", "--reload-command", "exit 1"];
    scene.change_structure();
    scene.refresh(&flags).expect(1);
    let first = scene.backends[0].address().to_string();
    scene.host.operate(&["drain", &first]).expect(0);
    scene.refresh(&flags).expect(1);
    scene.is_answered_by(&["t1"]);
    let (next, _) = scene.scale_up();
    scene.host.operate(&["undrain", &first]).expect(0);
    scene.refresh(&flags).expect(1);
    scene.is_answered_by(&["t0", "t1", &next]);
}

/// What is gone already is no part of what the next answer lacks.
#[test]
fn apps_that_are_deleted_one_by_one_while_files_are_refused_are_not_held() {
    let scene = Scene::new(&[]);
    let certificate = Certificate::of(&scene);
    let ids: Vec<String> = (1..=6).map(|nth| format!("/other/{nth}")).collect();
    for (id, port) in ids.iter().zip(1..) {
        scene
            .marathon
            .deploy(on_loopback(id).task(Task::local(port)));
    }
    scene.refresh(&[]).expect(0);
    refuse(&scene, &certificate);
    for (id, port) in ids.iter().zip(1..) {
        scene.marathon.remove_app(id).unwrap();
        scene.refresh(&[]).expect(1);
        assert!(!scene.serves_other_at(port), "{id}");
    }
}
