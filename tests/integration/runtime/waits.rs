//! A reload has to wait, and tasks come and go meanwhile.

use std::fs;

use haproxy_marathon_bridge::demo::marathon::App;

use super::cluster::{Scene, TOLD, Watcher};

const MEANWHILE: &str = "servers alone, while the rest has to wait: 1 server changed at runtime";

#[test]
fn a_reload_waits_for_its_time_and_tasks_do_not() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    let flags = ["--resync", "1h", "--reloads-apart"];
    let watcher = Watcher::start(&scene, &[&flags[..], &["1h"]].concat());
    let pid = scene.host.pid();
    let least = |app: App| app.label("HAPROXY_0_BALANCE", "leastconn");
    scene.marathon.change_app("/web", least).unwrap();
    watcher.says("the last reload was just before, and the next follows at");
    assert!(!scene.host.installed().contains("leastconn"));

    let (_, id) = scene.scale_up();
    watcher.says(TOLD);
    scene.is_answered_by(&["t0", "t1"]);
    scene.host.status().expect(0);
    scene.marathon.fail_task(&id).unwrap();
    watcher.says(TOLD);
    scene.is_answered_by(&["t0"]);
    assert!(!scene.host.installed().contains("leastconn"));
    assert_eq!(scene.host.haproxies(), [pid]);
    watcher.end();

    let watcher = Watcher::start(&scene, &[&flags[..], &["1s"]].concat());
    if scene.host.pid() == pid {
        watcher.says("reload: backend web");
    }
    assert!(scene.host.installed().contains("leastconn"));
    assert_ne!(scene.host.pid(), pid);
    scene.is_answered_by(&["t0"]);
    scene.scale_up();
    watcher.says(TOLD);
}

/// `haproxy -c` does not try to listen.
#[test]
fn tasks_do_not_wait_for_a_file_that_haproxy_cannot_start_with() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    let head = scene.host.path("templates/fragments/head.cfg.tera");
    let good = fs::read_to_string(&head).unwrap();
    let nowhere = scene.host.path("none/b.sock");
    let socket = format!("  stats timeout 2m\n  stats socket {}", nowhere.display());
    let bad = good.replace("  stats timeout 2m", &socket);
    assert_ne!(bad, good);
    fs::write(&head, bad).unwrap();
    // With a watcher that has seen the good one it would be an edit that is taken back.
    let watcher = Watcher::start(&scene, &["--resync", "1h", "--reloads-apart", "0s"]);

    let (_, id) = scene.scale_up();
    watcher.says(MEANWHILE);
    scene.is_answered_by(&["t0", "t1"]);
    scene.marathon.fail_task(&id).unwrap();
    watcher.says(MEANWHILE);
    scene.is_answered_by(&["t0"]);
    assert_eq!(scene.host.haproxies(), [pid]);
    assert!(!scene.host.installed().contains("none/b.sock"));
    // It is still to be tried.
    let done = scene.host.status().expect(1);
    done.prints(&["to be tried"]);
}

/// What it refused is not wanted any more, and it runs what it ran.
#[test]
fn a_task_that_comes_after_a_reload_was_refused_needs_none() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    let head = scene.host.path("templates/fragments/head.cfg.tera");
    let good = fs::read_to_string(&head).unwrap();
    let nowhere = scene.host.path("none/b.sock");
    let socket = format!("  stats timeout 2m\n  stats socket {}", nowhere.display());
    fs::write(&head, good.replace("  stats timeout 2m", &socket)).unwrap();
    scene.refresh(&[]).expect(1);
    fs::write(&head, good).unwrap();
    scene.scale_up();
    scene.refresh(&[]).expect(0).says(&[TOLD]);
    assert_eq!(scene.host.haproxies(), [pid]);
    scene.is_answered_by(&["t0", "t1"]);
    scene.host.status().expect(0).prints(&["all is well"]);
}

/// HAProxy has to read the file for the servers that come.
#[test]
fn a_reload_that_failed_has_its_pause_where_servers_alone_changed() {
    let mut scene = Scene::untold();
    scene.refresh(&[]).expect(0);
    let log = scene.host.path("reloads");
    let command = format!("echo >> {}; exit 1", log.display());
    let flags = ["--reload", "command", "--reload-command", &command];
    let reloads = || fs::read_to_string(&log).unwrap().lines().count();
    let (_, id) = scene.scale_up();
    scene
        .refresh(&flags)
        .expect(1)
        .says(&["a reload is needed"]);
    assert_eq!(reloads(), 1);
    for _ in 0..2 {
        scene.refresh(&flags).expect(1);
        assert_eq!(reloads(), 1);
    }
    assert_eq!(scene.host.state()["pending"]["attempts"], 1);
    // What else came is tried, once.
    scene.scale_up();
    for _ in 0..2 {
        scene.refresh(&flags).expect(1);
        assert_eq!(reloads(), 2);
    }
    assert_eq!(scene.host.state()["pending"]["attempts"], 1);
    scene.marathon.fail_task(&id).unwrap();
    scene.refresh(&[]).expect(0);
}
