//! A watcher that ends before what it told HAProxy of is checked.

use super::cluster::{Scene, TOLD, Watcher};

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
