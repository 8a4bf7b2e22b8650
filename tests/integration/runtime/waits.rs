//! A reload has to wait, and tasks come and go meanwhile.

use std::fs;

use haproxy_marathon_bridge::demo::marathon::App;

use super::cluster::{Scene, TOLD, Watcher};

const MEANWHILE: &str = "while a reload has to wait, for servers alone: Ok(Applied";

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
    watcher.says(MEANWHILE);
    scene.is_answered_by(&["t0", "t1"]);
    scene.host.status().expect(0);
    scene.marathon.fail_task(&id).unwrap();
    watcher.says(MEANWHILE);
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
