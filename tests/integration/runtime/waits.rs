//! A reload has to wait, and tasks come and go meanwhile.

use std::fs;
use std::net::TcpStream;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};
use serde_json::Value;

use super::cluster::{Scene, TOLD, Watcher};
use super::slow_checks::{GOES_ON, late};
use crate::host::wait_until;

const MEANWHILE: &str = "servers alone, while the rest has to wait: 1 server changed at runtime";

#[test]
fn a_reload_waits_for_its_time_and_tasks_do_not() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    let flags = ["--resync", "1h", "--reloads-apart"];
    let watcher = Watcher::start(&scene, &[&flags[..], &["1h"]].concat());
    let pid = scene.host.pid();
    let least = |app: App| app.label("HAPROXY_0_BALANCE", "leastconn");
    scene.marathon.change_app("/web", least).unwrap();
    watcher.says("a reload or a refused start was not long before, and the next follows at");
    assert!(!scene.host.installed().contains("leastconn"));

    let (_, id) = scene.scale_up();
    watcher.says(TOLD);
    scene.is_answered_by(&["t0", "t1"]);
    scene.host.status().expect(0);
    scene.marathon.fail_task(&id).unwrap();
    watcher.says(TOLD);
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

/// HAProxy may not have open what goes and what comes at once, and so reads two files in one turn.
struct Moving {
    scene: Scene,
    before: Vec<u16>,
    after: Vec<u16>,
}

impl Moving {
    const MOVED: usize = 250;
    /// More than go, so that nothing is held.
    const STAY: usize = 260;

    fn new() -> Self {
        let scene = Scene::new(&[]);
        let head = scene.host.path("templates/fragments/head.cfg.tera");
        let text = fs::read_to_string(&head).unwrap();
        let few = text.replace(
            "\n  maxconn 50000\n",
            "\n  maxconn 50000\n  no strict-limits\n  ulimit-n 780\n  nbthread 2\n",
        );
        assert_ne!(few, text);
        fs::write(head, few).unwrap();
        let ports = free_ports(Self::STAY + 2 * Self::MOVED).unwrap();
        let (stay, moved) = ports.split_at(Self::STAY);
        let (before, after) = moved.split_at(Self::MOVED);
        for (id, ports) in [("/stays", stay), ("/moves", before)] {
            let (mut app, mut task) = (App::new(id), Task::local(1));
            for (place, port) in ports.iter().enumerate() {
                app = app.service_port(*port);
                app = app.label(&format!("HAPROXY_{place}_BIND_ADDR"), "127.0.0.1");
                task = if place > 0 { task.port(1) } else { task };
            }
            scene.marathon.deploy(app.task(task));
        }
        scene.refresh(&[]).expect(0);
        assert_eq!(open(before), Self::MOVED);
        Self {
            before: before.to_vec(),
            after: after.to_vec(),
            scene,
        }
    }

    fn moves(&self) {
        let at_others = |mut app: App| {
            for (place, port) in self.after.iter().enumerate() {
                app = app.label(&format!("HAPROXY_{place}_PORT"), &port.to_string());
            }
            app
        };
        let marathon = &self.scene.marathon;
        marathon.change_app("/moves", at_others).unwrap();
    }

    /// How many of the old ports are served, and how many of the new ones are open.
    fn served(&self) -> (usize, usize) {
        let ports = self.scene.ports_of("moves_");
        let served = ports.values().filter(|ports| **ports == [1]);
        assert_eq!(open(&self.before), ports.len(), "{ports:?}");
        (served.count(), open(&self.after))
    }
}

#[test]
fn the_second_step_of_a_turn_does_not_wait_for_the_next_reload() {
    let moving = Moving::new();
    // The first one was long ago.
    let host = &moving.scene.host;
    host.edit_state(|state| state["reloaded_at"] = Value::Null);
    let watcher = Watcher::start(&moving.scene, &["--resync", "1h", "--reloads-apart", "1h"]);
    moving.moves();
    watcher.says("the next follows at|installed `");
    assert_eq!(
        (open(&moving.before), open(&moving.after)),
        (0, Moving::MOVED)
    );
    // Another turn does.
    let least = |app: App| app.label("HAPROXY_0_BALANCE", "leastconn");
    moving.scene.marathon.change_app("/web", least).unwrap();
    watcher.says("a reload or a refused start was not long before, and the next follows at");
    watcher.end();
}

#[test]
fn whoever_moves_in_two_steps_is_served_while_the_first_has_to_wait() {
    let moving = Moving::new();
    let watcher = Watcher::start(&moving.scene, &["--resync", "1h", "--reloads-apart", "1h"]);
    moving.moves();
    watcher.says("a reload or a refused start was not long before, and the next follows at");
    // The servers of others are followed.
    moving
        .scene
        .marathon
        .scale_up("/web", [Task::local(2)])
        .unwrap();
    watcher.says(TOLD);
    assert_eq!(moving.served(), (Moving::MOVED, 0));
    watcher.end();
}

#[test]
fn whoever_moves_in_two_steps_is_served_until_all_of_it_was_checked() {
    let moving = Moving::new();
    let go = moving.scene.host.path("go");
    // The first step is no reason to wait.
    let waits = format!(
        "if grep -q 'bind 127.0.0.1:{}' \"$3\"; then\n    while [ ! -e {} ]; do sleep 0.1; done\n  fi",
        moving.after[0],
        go.display()
    );
    let slow = late(&moving.scene.host, &waits);
    let flags = [
        "--resync",
        "1h",
        "--reloads-apart",
        "0s",
        "--haproxy",
        &slow,
    ];
    let watcher = Watcher::start(&moving.scene, &flags);
    moving.moves();
    watcher.says(GOES_ON);
    assert_eq!(moving.served(), (Moving::MOVED, 0));
    fs::write(go, "").unwrap();
    watcher.says("took over");
    wait_until("all of it", || open(&moving.after) == Moving::MOVED);
    assert_eq!(open(&moving.before), 0);
    watcher.end();
}

fn open(ports: &[u16]) -> usize {
    let open = ports.iter().filter(|port| is_open(**port));
    open.count()
}

fn is_open(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// HAProxy cannot be told of them, and reads a file in which nothing but these is new.
#[test]
fn servers_that_are_read_at_once_are_not_said_to_wait() {
    let mut scene = Scene::untold();
    let other = App::new("/other").service_port(free_ports(1).unwrap()[0]);
    let other = other.label("HAPROXY_0_BIND_ADDR", "127.0.0.1");
    scene.marathon.deploy(other.task(Task::local(1)));
    scene.refresh(&[]).expect(0);
    let watcher = Watcher::start(&scene, &["--resync", "1h", "--reloads-apart", "1h"]);
    let least = |app: App| app.label("HAPROXY_0_BALANCE", "leastconn");
    scene.marathon.change_app("/other", least).unwrap();
    watcher.says("a reload or a refused start was not long before, and the next follows at");
    let mut words = Vec::new();
    for _ in 0..2 {
        scene.scale_up();
        words.extend(watcher.says("while the rest has to wait: a new process took over"));
    }
    scene.is_answered_by(&["t0", "t1", "t2"]);
    let words = words.join("\n");
    assert!(!words.contains("those that came wait"), "{words}");
    assert!(!scene.host.installed().contains("leastconn"));
    watcher.end();
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

/// What it refused is not wanted any more, and it runs what it ran.
#[test]
fn a_task_that_comes_after_a_reload_was_refused_needs_none() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    let head = scene.host.path("templates/fragments/head.cfg.tera");
    let good = fs::read_to_string(&head).unwrap();
    let nowhere = scene.host.path("none/b.sock");
    let socket = format!("  stats timeout 2m\n  stats socket {}", nowhere.display());
    fs::write(&head, good.replace("  stats timeout 2m", &socket)).unwrap();
    scene.refresh(&[]).expect(1);
    fs::write(&head, good).unwrap();
    scene.scale_up();
    scene.refresh(&[]).expect(0).says(&[TOLD]);
    assert_eq!(scene.host.haproxies(), [pid]);
    scene.is_answered_by(&["t0", "t1"]);
    scene.host.status().expect(0).prints(&["all is well"]);
}

/// HAProxy has to read the file for the servers that come.
#[test]
fn a_reload_that_failed_has_its_pause_where_servers_alone_changed() {
    let mut scene = Scene::untold();
    scene.refresh(&[]).expect(0);
    let log = scene.host.path("reloads");
    let command = format!("echo >> {}; exit 1", log.display());
    let flags = ["--reload", "command", "--reload-command", &command];
    let reloads = || fs::read_to_string(&log).unwrap().lines().count();
    let (_, id) = scene.scale_up();
    scene
        .refresh(&flags)
        .expect(1)
        .says(&["a reload is needed"]);
    assert_eq!(reloads(), 1);
    for _ in 0..2 {
        scene.refresh(&flags).expect(1);
        assert_eq!(reloads(), 1);
    }
    assert_eq!(scene.host.state()["pending"]["attempts"], 1);
    // What else came is tried, once.
    scene.scale_up();
    for _ in 0..2 {
        scene.refresh(&flags).expect(1);
        assert_eq!(reloads(), 2);
    }
    assert_eq!(scene.host.state()["pending"]["attempts"], 1);
    scene.marathon.fail_task(&id).unwrap();
    scene.refresh(&[]).expect(0);
}
