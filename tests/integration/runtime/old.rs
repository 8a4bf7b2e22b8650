//! An old process that finishes its connections is told of, with what keeps it, until it ends.

use std::net::Ipv4Addr;
use std::path::Path;

use haproxy_marathon_bridge::demo::backend::Instance;
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};
use haproxy_marathon_bridge::haproxy::old_workers;
use haproxy_marathon_bridge::haproxy::socket::show_info;
use serde_json::Value;

use super::LONG;
use super::cluster::{Scene, Watcher};
use super::tunnel::Tunnel;
use crate::host::{block_on, wait_until};
use crate::watch::asked::metric;

fn is_told_of(has_master: bool) {
    let mut scene = Scene::new(&[]);
    let port = free_ports(1).unwrap()[0];
    let db = Instance::tcp("db").start().unwrap();
    let app = App::new("/db")
        .service_port(port)
        .label("HAPROXY_0_MODE", "tcp")
        .label("HAPROXY_0_BIND_ADDR", "127.0.0.1");
    scene.marathon.deploy(app.task(Task::local(db.port())));
    let desk = scene
        .host
        .path("run/marathon-bridge.sock")
        .display()
        .to_string();
    let mut flags = vec![
        "--resync",
        "1h",
        "--reloads-apart",
        "0s",
        "--admin-socket",
        &desk,
    ];
    let master = scene.host.path("run/master.sock").display().to_string();
    if has_master {
        scene.start_master(&["-S", &master]);
        flags.extend(["--reload", "master", "--master-socket", &master]);
    }
    let watcher = Watcher::start(&scene, &flags);
    let socket = scene.host.path("run/admin.sock");
    let serving = || block_on(show_info(&socket, LONG)).unwrap().pid;
    assert_eq!(metric(&scene.host, "old_processes"), 0);

    let mut tunnel = Tunnel::open((Ipv4Addr::LOCALHOST, port));
    assert_eq!(tunnel.ask(), "db");
    let old = serving();
    scene.change_structure();
    let said = watcher.says("took over");
    assert!(!said.iter().any(|line| line.contains("older HAProxy")));
    let held = format!("pid {old}, which has 1 client of port {port}, 1 other connection");
    // Idle connections of the old process, as to the watcher's checks, end in a moment.
    wait_until("the old process", || {
        let status = scene.host.status().expect(0).stdout;
        status.contains(&format!("  old process   {held} since "))
    });
    assert_eq!(metric(&scene.host, "old_processes"), 1);
    assert_eq!(metric(&scene.host, "old_connections{of=\"clients\"}"), 1);
    assert!(metric(&scene.host, "oldest_process_age_seconds") <= LONG.as_secs());
    let mut command = scene.host.status_command();
    let json = command.arg("--json").output().unwrap().stdout;
    let json: Value = serde_json::from_slice(&json).unwrap();
    let told = &json["old_processes"][0];
    assert_eq!(told["pid"], old);
    assert_eq!(told["connections"]["clients"][format!("port {port}")], 1);
    assert_eq!(json["ok"], true);

    if has_master {
        // As it tells those who do not see its processes.
        let told = block_on(old_workers(Path::new(&master), LONG)).unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        let begin = format!("pid {old}, which has 1 client of frontend db_");
        assert!(told[0].to_string().starts_with(&begin), "{}", told[0]);
        assert!(told[0].since.unwrap().elapsed().unwrap() <= LONG);
    }

    // It goes on, and the next reload tells of it.
    scene.change_structure();
    let said = watcher.says("took over");
    let sentence = format!("an older HAProxy still finishes its connections: {held}");
    assert!(
        said.iter().any(|line| line.contains(&sentence)),
        "{said:#?}"
    );
    assert_eq!(tunnel.ask(), "db");

    drop(tunnel);
    wait_until("its end", || {
        let status = scene.host.status().expect(0).stdout;
        !status.contains("old process")
    });
    assert_eq!(metric(&scene.host, "old_processes"), 0);
    scene.change_structure();
    let said = watcher.says("took over");
    assert!(!said.iter().any(|line| line.contains("older HAProxy")));
}

#[test]
fn one_of_which_another_took_over_is_told_of_until_it_ends() {
    is_told_of(false);
}

#[test]
fn an_old_worker_of_a_master_is_told_of_until_it_ends() {
    is_told_of(true);
}
