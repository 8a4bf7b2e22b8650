//! A watcher that ends before what it told HAProxy of is checked.

use haproxy_marathon_bridge::demo::marathon::App;

use super::cluster::{Scene, TOLD, Watcher};
use super::slow_checks::Certificate;
use crate::host::wait_until;

#[test]
fn what_it_told_is_no_fault_when_it_has_ended() {
    let mut scene = Scene::new(&[]);
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    scene.scale_up();
    watcher.says(TOLD);
    watcher.end();
    scene.host.status().expect(0).prints(&["all is well"]);
    scene.refresh(&[]).expect(0);
    scene.host.status().expect(0).prints(&["all is well"]);
    scene.is_answered_by(&["t0", "t1"]);
}

/// Starts that were refused while nobody was served make nobody wait once one succeeds.
#[test]
fn what_needs_a_reload_does_not_wait_for_starts_that_were_refused_while_none_ran() {
    let mut scene = Scene::new(&[]);
    let certificate = Certificate::of(&scene);
    let watcher = Watcher::start(&scene, &["--resync", "1h", "--reloads-apart", "0s"]);
    certificate.is_broken();
    scene.host.kill();
    watcher.says("HAProxy has ended, and cannot be started");
    let refused = |scene: &Scene| scene.host.state()["refused_starts"]["turns"].as_u64();
    for _ in 0..4 {
        let before = refused(&scene);
        scene.scale_up();
        wait_until("another refused start", || before < refused(&scene));
    }
    certificate.is_mended();
    watcher.says("HAProxy had ended, and was brought to the files|took over|HAProxy was started");
    assert_eq!(refused(&scene), None);
    let least = |app: App| app.label("HAPROXY_0_BALANCE", "leastconn");
    scene.marathon.change_app("/web", least).unwrap();
    watcher.says("took over");
    assert!(scene.host.installed().contains("leastconn"));
    watcher.end();
}
