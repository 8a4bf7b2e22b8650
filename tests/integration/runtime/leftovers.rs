//! Servers that go while connections to them last: nobody waits for these.

use std::net::Ipv4Addr;

use super::LONG;
use super::cluster::{Scene, TOLD, Watcher};
use super::tunnel::Tunnel;
use crate::host::{wait_until, wait_within};

/// The task goes while connections to it last.
fn lose_in_use(scene: &Scene, watcher: &Watcher, id: &str) -> [Tunnel; 4] {
    let front = (Ipv4Addr::LOCALHOST, scene.service_port());
    let mut tunnels = [(); 4].map(|()| Tunnel::open(front));
    for tunnel in &mut tunnels {
        tunnel.is_answered();
    }
    scene.marathon.fail_task(id).unwrap();
    watcher.says(TOLD);
    tunnels
}

/// Nothing else happens there: no event, no turn, no look at everything.
#[test]
fn a_watcher_takes_them_away_once_their_connections_have_ended() {
    let mut scene = Scene::new(&[("HAPROXY_0_MODE", "tcp")]);
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    let pid = scene.host.pid();
    let (_, id) = scene.scale_up();
    watcher.says(TOLD);
    let mut tunnels = lose_in_use(&scene, &watcher, &id);
    // The next one does not wait.
    scene.scale_up();
    watcher.says(TOLD);
    assert_eq!(scene.servers(), 3, "one is still in use");
    for tunnel in &mut tunnels {
        tunnel.is_answered();
    }
    drop(tunnels);
    wait_until("its end", || scene.servers() == 2);
    assert_eq!(scene.host.haproxies(), [pid]);
    watcher.end();
}

#[test]
fn a_watcher_that_is_paused_leaves_them_there() {
    let mut scene = Scene::new(&[("HAPROXY_0_MODE", "tcp")]);
    let watcher = Watcher::start(&scene, &["--resync", "4s"]);
    let (_, id) = scene.scale_up();
    watcher.says(TOLD);
    let tunnels = lose_in_use(&scene, &watcher, &id);
    scene.host.operate(&["pause"]).expect(0);
    drop(tunnels);
    // It would have asked for them more than once by then.
    let fetches = || scene.marathon.requests("/v2/apps");
    let before = fetches();
    wait_until("two turns", || fetches() >= before + 3);
    assert_eq!(scene.servers(), 2);
    scene.host.operate(&["resume"]).expect(0);
    wait_within(LONG * 3, "its end", || scene.servers() == 1);
    watcher.end();
}
