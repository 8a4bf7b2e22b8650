//! Who kept HAProxy from an end is tried again beside what all others want.

use std::fs;
use std::time::Duration;

use haproxy_marathon_bridge::demo::marathon::App;
use nix::sys::signal::Signal;

use super::cluster::{Scene, Watcher};
use super::slow_checks::{deploy_late, hanging, slow};
use crate::host::wait_within;
use crate::watch::servers::checks;

/// A check without an end, and the search for who it is.
const FOUND: Duration = Duration::from_secs(150);

fn is_quarantined(scene: &Scene) -> bool {
    scene.host.state()["quarantined"][0]["unnamed"] == 1
}

#[test]
fn who_keeps_haproxy_from_an_end_keeps_no_change_of_others_waiting_when_it_is_tried_again() {
    let scene = Scene::new(&[]);
    let haproxy = slow(&scene.host);
    let watcher = Watcher::start(&scene, &["--haproxy", &haproxy, "--resync", "1h"]);
    deploy_late(&scene);
    wait_within(FOUND, "a quarantine", || is_quarantined(&scene));
    // Now it is due again.
    watcher.send(Signal::SIGHUP);
    for balance in ["leastconn", "random"] {
        let change = |app: App| app.label("HAPROXY_0_BALANCE", balance);
        scene.marathon.change_app("/web", change).unwrap();
        watcher.says("took over");
        let installed = scene.host.installed();
        assert!(
            installed.contains(&format!("balance {balance}")),
            "{installed}"
        );
        assert!(!installed.contains("backend late"), "{installed}");
    }
    fs::write(scene.host.path("go"), "").unwrap();
    watcher.says("took over");
    assert!(scene.host.installed().contains("backend late"));
    watcher.end();
}

/// A host that stands still for a minute.
#[test]
fn who_was_blamed_since_no_check_came_to_an_end_is_back_as_soon_as_they_do() {
    let scene = Scene::new(&[]);
    let haproxy = hanging(&scene.host);
    let watcher = Watcher::start(&scene, &["--haproxy", &haproxy, "--resync", "1h"]);
    let checked = checks(&scene.host);
    fs::write(scene.host.path("hang"), "").unwrap();
    deploy_late(&scene);
    // That check is given up, and a file without the new app is tried.
    wait_within(FOUND, "a try", || checked + 2 <= checks(&scene.host));
    fs::remove_file(scene.host.path("hang")).unwrap();
    watcher.says("took over");
    assert!(scene.host.installed().contains("backend late"));
    watcher.end();
}
