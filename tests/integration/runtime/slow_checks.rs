//! A check that HAProxy does not end keeps nobody waiting but those whom it is about.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};

use super::cluster::{Scene, TOLD, Watcher};
use crate::host::{Host, wait_until};
use crate::support::haproxy;
use crate::watch::servers::checks;

/// A HAProxy that is at the check of a file with `/late` until somebody says `go`.
fn slow(host: &Host) -> String {
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *-c*)\n  echo check >>{checks}\n  \
         if grep -q 'backend late' \"$3\"; then\n    \
         while [ ! -e {go} ]; do sleep 0.1; done\n  fi;;\nesac\nexec {real} \"$@\"\n",
        checks = host.path("checks").display(),
        go = host.path("go").display(),
        real = haproxy().display(),
    );
    let program = host.write("slow", &script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program.display().to_string()
}

fn deploy_late(scene: &Scene) {
    let app = App::new("/late").service_port(free_ports(1).unwrap()[0]);
    let app = app.label("HAPROXY_0_BIND_ADDR", "127.0.0.1");
    scene.marathon.deploy(app.task(Task::local(1)));
}

const GOES_ON: &str = "takes long and goes on to look at the new one";

#[test]
fn tasks_come_and_go_at_runtime_while_a_check_goes_on() {
    let mut scene = Scene::new(&[]);
    let haproxy = slow(&scene.host);
    let watcher = Watcher::start(&scene, &["--haproxy", &haproxy, "--resync", "1h"]);
    let pid = scene.host.pid();
    deploy_late(&scene);
    watcher.says(GOES_ON);
    let checked = checks(&scene.host);

    let (name, id) = scene.scale_up();
    watcher.says(TOLD);
    assert_eq!(checks(&scene.host), checked, "nothing runs on the way");
    scene.is_answered_by(&["t0", &name]);
    scene.marathon.fail_task(&id).unwrap();
    watcher.says(TOLD);
    assert_eq!(scene.host.haproxies(), [pid]);
    scene.is_answered_by(&["t0"]);
    assert!(!scene.host.installed().contains("backend late"));

    // And what waited is installed with the tasks of now.
    let (name, _) = scene.scale_up();
    watcher.says(TOLD);
    fs::write(scene.host.path("go"), "").unwrap();
    watcher.says("took over");
    assert!(scene.host.installed().contains("backend late"));
    scene.is_answered_by(&["t0", &name]);
    watcher.end();
}

#[test]
fn what_was_checked_beside_is_not_checked_again() {
    let scene = Scene::new(&[]);
    let haproxy = slow(&scene.host);
    let watcher = Watcher::start(&scene, &["--haproxy", &haproxy, "--resync", "1h"]);
    let checked = checks(&scene.host);
    deploy_late(&scene);
    watcher.says(GOES_ON);
    fs::write(scene.host.path("go"), "").unwrap();
    watcher.says("took over");
    assert_eq!(checks(&scene.host), checked + 1);
    assert!(scene.host.installed().contains("backend late"));
    wait_until("a good status", || scene.host.status().status.success());
    watcher.end();
}

/// What Marathon tells in one answer is parted.
#[test]
fn tasks_that_came_with_what_is_checked_do_not_wait_for_it() {
    let mut scene = Scene::new(&[]);
    let haproxy = slow(&scene.host);
    let watcher = Watcher::start(&scene, &["--haproxy", &haproxy, "--resync", "1h"]);
    let pid = scene.host.pid();
    scene.marathon.down();
    deploy_late(&scene);
    let (name, _) = scene.scale_up();
    scene.marathon.up().unwrap();
    watcher.says("servers alone, while a reload has to wait: 1 server changed at runtime");
    scene.is_answered_by(&["t0", &name]);
    assert!(!scene.host.installed().contains("backend late"));
    let (next, _) = scene.scale_up();
    watcher.says("servers alone, while a reload has to wait: 1 server changed at runtime");
    scene.is_answered_by(&["t0", &name, &next]);
    assert_eq!(scene.host.haproxies(), [pid]);
    watcher.end();
}
