//! What others did to the running HAProxy is found and undone.

use haproxy_marathon_bridge::haproxy::servers::states;
use haproxy_marathon_bridge::haproxy::socket::ask;
use nix::sys::signal::Signal;

use super::LONG;
use super::cluster::{Scene, TOLD, Watcher};
use crate::host::block_on;

/// Says something to HAProxy behind the program's back.
fn say(scene: &Scene, command: &str) -> String {
    let socket = scene.host.path("run/admin.sock");
    block_on(ask(&socket, command, LONG)).unwrap()
}

/// The only server, as `section/name`.
fn first(scene: &Scene) -> String {
    let states = states(&say(scene, "show servers state")).unwrap();
    let own = states
        .iter()
        .find(|state| state.backend.starts_with("web_"));
    own.map(|state| format!("{}/{}", state.backend, state.name))
        .unwrap()
}

const FOUND: &str = "somebody else changed servers of the running HAProxy";

#[test]
fn a_refresh_undoes_what_somebody_else_told_haproxy_and_says_so_once() {
    let scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    let (pid, server) = (scene.host.pid(), first(&scene));
    for command in [
        format!("set server {server} state maint"),
        format!("set server {server} weight 7"),
    ] {
        say(&scene, &command);
        let done = scene.host.untouched(|| scene.refresh(&[]).expect(0));
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        done.says(&["warn", FOUND, &server]);
        scene.is_answered_by(&["t0"]);
        let done = scene.host.untouched(|| scene.refresh(&[]).expect(0));
        assert_eq!(done.stderr, "");
    }
    assert_eq!(scene.host.haproxies(), [pid]);
}

#[test]
fn what_cannot_be_told_is_undone_by_one_reload() {
    let scene = Scene::untold();
    scene.refresh(&[]).expect(0);
    let (pid, server) = (scene.host.pid(), first(&scene));
    say(&scene, &format!("set server {server} state maint"));
    let reply = say(&scene, &format!("del server {server}"));
    assert!(reply.contains("Server deleted."), "{reply}");
    let done = scene.refresh(&[]).expect(0);
    done.says(&[FOUND, "`default-server` does not reach", "took over"]);
    assert_ne!(scene.host.pid(), pid);
    scene.is_answered_by(&["t0"]);
    let done = scene.host.untouched(|| scene.refresh(&[]).expect(0));
    assert_eq!(done.stderr, "");
}

#[test]
fn a_watcher_looks_whenever_it_asks_for_everything() {
    let mut scene = Scene::new(&[]);
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    let server = first(&scene);
    say(&scene, &format!("set server {server} state maint"));
    watcher.send(Signal::SIGHUP);
    let said = watcher.says("haproxy.cfg` is as it should be");
    let found = said.iter().filter(|line| line.contains(FOUND));
    assert_eq!(found.count(), 1, "{said:#?}");
    scene.is_answered_by(&["t0"]);
    scene.scale_up();
    watcher.says(TOLD);
    scene.is_answered_by(&["t0", "t1"]);
}
