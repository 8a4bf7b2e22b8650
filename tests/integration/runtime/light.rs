//! A watcher tells HAProxy of servers first and has all of the file checked after.

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};

use super::LONG;
use super::cluster::{Scene, TOLD, Watcher};
use crate::host::{block_on, wait_until};
use crate::watch::servers::{checks, counting, proved};

#[test]
fn servers_are_told_at_once_and_the_file_is_proved_after() {
    let mut scene = Scene::new(&[]);
    let haproxy = counting(&scene.host);
    let watcher = Watcher::start(&scene, &["--haproxy", &haproxy, "--resync", "1h"]);
    let (checked, before, pid) = (checks(&scene.host), proved(&scene.host), scene.host.pid());
    let client = scene.client();

    let (name, id) = scene.scale_up();
    watcher.says(TOLD);
    assert_eq!(checks(&scene.host), checked, "nothing runs on the way");
    scene.host.status().expect(0);
    block_on(client.answered_by_each(&[&name], LONG)).unwrap();
    wait_until("the proof", || proved(&scene.host) != before);
    assert_eq!(checks(&scene.host), checked + 1);
    assert_eq!(scene.host.state()["applied"]["how"], TOLD);
    assert_eq!(scene.host.state()["told"], serde_json::Value::Null);

    scene.marathon.fail_task(&id).unwrap();
    watcher.says(TOLD);
    assert_eq!(scene.servers(), 1);
    wait_until("the proof", || proved(&scene.host) == before);
    assert_eq!(scene.host.haproxies(), [pid]);
    let report = block_on(client.stop());
    assert_eq!(report.failed(), 0, "{report}: {:?}", report.incidents);
}

/// The file is made of an answer and of what was told since.
#[test]
fn a_removal_that_is_held_after_a_turn_for_servers_alone_stops_nobody_else() {
    let mut scene = Scene::new(&[]);
    let many = App::new("/many").service_port(free_ports(1).unwrap()[0]);
    let many = many.label("HAPROXY_0_BIND_ADDR", "127.0.0.1");
    let many = (1..=6).fold(many, |app, port| app.task(Task::local(port)));
    scene.marathon.deploy(many);
    scene.refresh(&[]).expect(0);
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    // One that goes comes back with nobody.
    let gone = scene.marathon.app("/many").unwrap().tasks()[0]
        .id()
        .to_owned();
    scene.marathon.fail_task(&gone).unwrap();
    watcher.says(TOLD);
    let (name, _) = scene.scale_up();
    watcher.says(TOLD);
    scene.marathon.remove_app("/many").unwrap();
    watcher.says("which stay until");
    let (next, _) = scene.scale_up();
    watcher.says(TOLD);
    scene.is_answered_by(&["t0", &name, &next]);
    let ports = scene.ports_of("many_");
    let ports: Vec<&Vec<u16>> = ports.values().collect();
    assert_eq!(ports, [&vec![2, 3, 4, 5, 6]]);
    watcher.end();
}

#[test]
fn what_haproxy_cannot_be_told_is_checked_and_then_reloaded() {
    let mut scene = Scene::untold();
    let haproxy = counting(&scene.host);
    let watcher = Watcher::start(&scene, &["--haproxy", &haproxy, "--resync", "1h"]);
    let (checked, pid) = (checks(&scene.host), scene.host.pid());
    scene.scale_up();
    let said = watcher.says("took over");
    let reasons = said
        .iter()
        .filter(|line| line.contains("a reload is needed"));
    assert_eq!(reasons.count(), 1, "{said:#?}");
    assert_eq!(checks(&scene.host), checked + 1);
    assert_ne!(scene.host.pid(), pid);
    scene.is_answered_by(&["t0", "t1"]);
    // And what can be told is, after that.
    let pid = scene.host.pid();
    let id = scene.marathon.app("/web").unwrap().tasks()[1]
        .id()
        .to_owned();
    scene.marathon.fail_task(&id).unwrap();
    watcher.says(TOLD);
    assert_eq!(scene.host.pid(), pid);
    scene.is_answered_by(&["t0"]);
}

/// It is told of them already.
#[test]
fn a_watcher_that_ends_before_the_proof_costs_no_reload() {
    let mut scene = Scene::new(&[]);
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    let pid = scene.host.pid();
    scene.scale_up();
    watcher.says(TOLD);
    watcher.end();
    assert_ne!(scene.host.state()["told"], serde_json::Value::Null);
    let done = scene.refresh(&[]).expect(0);
    assert_eq!(done.stderr, "");
    assert_eq!(scene.host.state()["told"], serde_json::Value::Null);
    assert_eq!(scene.host.haproxies(), [pid]);
    scene.is_answered_by(&["t0", "t1"]);
    // What came meanwhile is told as well.
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    scene.scale_up();
    watcher.says(TOLD);
    watcher.end();
    scene.scale_up();
    scene.refresh(&[]).expect(0).says(&[TOLD]);
    assert_eq!(scene.host.haproxies(), [pid]);
    scene.is_answered_by(&["t0", "t1", "t2", "t3"]);
}

/// Whole turns follow light ones closely, too.
#[test]
fn a_reload_follows_on_what_was_told_but_not_proved() {
    let mut scene = Scene::new(&[]);
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    let pid = scene.host.pid();
    scene.scale_up();
    watcher.says(TOLD);
    let balance = |app: haproxy_marathon_bridge::demo::marathon::App| {
        app.label("HAPROXY_0_BALANCE", "leastconn")
    };
    scene.marathon.change_app("/web", balance).unwrap();
    let said = watcher.says("took over");
    let last = said.last().unwrap();
    assert!(last.contains("reload: backend web"), "{said:#?}");
    assert_ne!(scene.host.pid(), pid);
    scene.is_answered_by(&["t0", "t1"]);
}
