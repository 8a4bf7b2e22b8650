//! Servers that go while connections to them last: nobody waits for these.

use std::net::Ipv4Addr;

use super::cluster::{Scene, TOLD, Watcher};
use super::tunnel::Tunnel;
use crate::host::wait_until;

/// Nothing else happens there: no event, no turn, no look at everything.
#[test]
fn a_watcher_takes_them_away_once_their_connections_have_ended() {
    let mut scene = Scene::new(&[("HAPROXY_0_MODE", "tcp")]);
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    let pid = scene.host.pid();
    let (_, id) = scene.scale_up();
    watcher.says(TOLD);
    let front = (Ipv4Addr::LOCALHOST, scene.service_port());
    let mut tunnels = [(); 4].map(|()| Tunnel::open(front));
    for tunnel in &mut tunnels {
        tunnel.is_answered();
    }
    scene.marathon.fail_task(&id).unwrap();
    watcher.says(TOLD);
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
