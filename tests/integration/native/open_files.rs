//! Who waits where HAProxy may not have as many files open as all would need, and that nobody else feels
//! it.

use std::fs;
use std::process::Command;
use std::time::Duration;

use haproxy_marathon_bridge::demo::backend::{Backend, Instance};
use haproxy_marathon_bridge::demo::client::{Client, Requests};
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::haproxy::Proc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde_json::{Map, json};

use super::turns::{Ending, command, quarantined, refresh, refresh_by};
use super::{Ask, HEAD, Scene, at};
use crate::host::{SOON, block_on, wait_until};
use crate::serve::task;
use crate::support::{Done, haproxy};

/// What HAProxy needs in these tests beside the listeners of apps, with room for a hundred connections.
const NEEDED: u32 = 224;

/// With two threads on every host, so that it needs the same everywhere.
fn scene() -> Scene {
    let scene = Scene::new();
    let head = "templates/fragments/head.cfg.tera";
    let head = scene.test.path().join(head);
    let text = fs::read_to_string(&head).unwrap();
    assert!(HEAD.contains("\n  maxconn 50000\n"));
    let text = text.replacen(
        "\n  maxconn 50000\n",
        "\n  maxconn 50000\n  nbthread 2\n",
        1,
    );
    fs::write(head, text).unwrap();
    scene
}

/// An app of many ports, last changed at this hour.
fn of_many_ports(scene: &mut Scene, id: &str, ports: &[u16], hour: u32) {
    let mut task = task(id, "t", 31000);
    task["ports"] = vec![31000; ports.len()].into();
    let mut labels = Map::new();
    for index in 0..ports.len() {
        let label = format!("HAPROXY_{index}_BIND_ADDR");
        labels.insert(label, "127.0.0.1".into());
    }
    scene.apps.push(json!({
        "id": id,
        "ports": ports,
        "labels": labels,
        "versionInfo": {"lastConfigChangeAt": format!("2026-01-01T{hour:02}:00:00.000Z")},
        "tasks": [task],
    }));
}

/// An app that a client asks all along.
fn of_a_client(scene: &mut Scene) -> (Backend, impl FnOnce() -> Client + use<>) {
    let backend = Instance::http("by").start().unwrap();
    scene.app_at("/by", backend.port(), &[("VHOST", "by.test")]);
    let requests = Requests::http(at(scene.http)).host("by.test");
    let requests = requests.workers(16).keep_alive();
    let start = move || {
        let client = requests.pause(Duration::from_millis(2)).start().unwrap();
        block_on(client.answered_more(50, SOON)).unwrap();
        client
    };
    (backend, start)
}

#[track_caller]
fn nothing_failed(client: Client) {
    block_on(client.answered_more(50, SOON)).unwrap();
    let report = block_on(client.stop());
    assert_eq!(report.failed(), 0, "{report} {:?}", report.incidents);
}

fn is_in(scene: &Scene, app: &str) -> bool {
    let cfg = fs::read_to_string(scene.cfg()).unwrap();
    cfg.contains(&format!("frontend {app}_"))
}

fn pid(scene: &Scene) -> u32 {
    let text = fs::read_to_string(scene.test.path().join("run/pid")).unwrap();
    text.trim().parse().unwrap()
}

/// What is run may have so many files open, and so may the HAProxy that it starts.
fn limited(command: &Command, files: u32) -> Done {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!(
            "ulimit -n {files}; exec {} \"$0\" \"$@\"",
            unable()
        ))
        .arg(command.get_program())
        .args(command.get_args());
    // Nothing but what it is given, as with the command itself.
    shell.env_clear();
    let given = command.get_envs();
    shell.envs(given.filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    Done::of(shell)
}

/// What has root raise no limit again.
fn unable() -> &'static str {
    if Uid::effective().is_root() {
        "setpriv --bounding-set -sys_resource"
    } else {
        ""
    }
}

fn by_takeover(scene: &Scene, files: u32) -> Done {
    limited(&command(scene, &["sf"]), files)
}

fn status(scene: &Scene) -> Done {
    let mut command = scene.test.command();
    command
        .arg("status")
        .arg("--haproxy-config")
        .arg(scene.cfg());
    command.args(["--pid-file", "run/pid"]);
    Done::of(command)
}

/// A HAProxy that could just listen would have no file left for a connection.
#[test]
fn who_is_served_feels_nothing_of_who_asks_for_nearly_all_files() {
    let mut scene = scene();
    let (_backend, client) = of_a_client(&mut scene);
    let _ending = Ending(scene.cfg());
    by_takeover(&scene, 1024).expect(0);
    let client = client();
    let ports = free_ports(990).unwrap();
    // One app has 500 at most.
    of_many_ports(&mut scene, "/big", &ports[..495], 8);
    of_many_ports(&mut scene, "/late", &ports[495..], 9);
    let done = by_takeover(&scene, 1024).expect(0);
    let done = done.says(&[
        &format!(
            "app `/late`: service port {} and 494 more: found HAProxy may open 1024 files, too few for \
             the 495 of this app beside those of others and of connections, expected a higher limit, \
             `LimitNOFILE=` of the unit or `ulimit -n` of what starts this program, which starts \
             HAProxy and has to be restarted for it; all of these left out until HAProxy may open more \
             files",
            ports[495..].iter().min().unwrap()
        ),
        "a new process took over",
    ]);
    assert_eq!(done.stderr.matches("app `/").count(), 1, "{done:#?}");
    assert_eq!((is_in(&scene, "big"), is_in(&scene, "late")), (true, false));
    assert_eq!(quarantined(&scene), json!([]));
    let told = "all is well, but for what waits for HAProxy to have more files open";
    status(&scene).expect(0).prints(&[told, "app `/late`"]);
    // It was said, and there is nothing to do.
    let before = pid(&scene);
    assert_eq!(by_takeover(&scene, 1024).expect(0).stderr, "");
    assert_eq!(pid(&scene), before);
    // A limit that was raised counts at once.
    by_takeover(&scene, 4000)
        .expect(0)
        .says(&["over: app `/late`"]);
    assert!(is_in(&scene, "late"));
    nothing_failed(client);
}

/// Who asks for more than there is keeps nobody else from what is new.
#[test]
fn an_app_of_too_many_ports_waits_alone() {
    let mut scene = scene();
    scene.app("/by", &[("VHOST", "by.test")]);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    // Without a date, and so the last to come.
    scene.app("/new", &[("VHOST", "new.test")]);
    let ports = free_ports(300).unwrap();
    of_many_ports(&mut scene, "/big", &ports, 1);
    let done = by_takeover(&scene, NEEDED + 300).expect(0);
    done.says(&["app `/big`: ", "too few for the 300 of this app"]);
    let http = Ask::http(at(scene.http));
    for app in ["by", "new"] {
        assert_eq!(http.get(&format!("{app}.test"), "/").by(), app);
    }
    assert!(!is_in(&scene, "big"));
}

/// Neither the largest nor the one that HAProxy would name, and nobody for whom there is room.
#[test]
fn a_first_start_serves_the_oldest() {
    let mut scene = scene();
    let ports = free_ports(290).unwrap();
    of_many_ports(&mut scene, "/a-last", &ports[..120], 12);
    of_many_ports(&mut scene, "/b-first", &ports[120..130], 8);
    of_many_ports(&mut scene, "/c-second", &ports[130..], 10);
    let _ending = Ending(scene.cfg());
    let done = by_takeover(&scene, NEEDED + 10 + 160 + 119).expect(0);
    let done = done.says(&["app `/a-last`: ", "HAProxy was started"]);
    let all = ["a-last", "b-first", "c-second"];
    let found = all.map(|app| is_in(&scene, app));
    assert_eq!(found, [false, true, true], "{done:#?}");
    by_takeover(&scene, NEEDED + 10 + 160 + 120).expect(0);
    assert_eq!(all.map(|app| is_in(&scene, app)), [true; 3]);
}

/// The limit was lowered: what is served needs more already.
#[test]
fn nobody_goes_out_for_a_limit_that_was_lowered() {
    let mut scene = scene();
    let ports = free_ports(120).unwrap();
    of_many_ports(&mut scene, "/served", &ports, 1);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    let before = fs::read_to_string(scene.cfg()).unwrap();
    let process = pid(&scene);
    scene.app("/new", &[("VHOST", "new.test")]);
    let done = by_takeover(&scene, 100).expect(0);
    done.says(&[
        "app `/new`: ",
        &format!(
            "open files: found HAProxy may open 100 files, and needs {} for what is served already",
            NEEDED + 120
        ),
        "what is served stays, and nothing new comes until HAProxy may open more files",
    ]);
    assert_eq!(quarantined(&scene), json!([]));
    assert_eq!(fs::read_to_string(scene.cfg()).unwrap(), before);
    assert_eq!(pid(&scene), process);
}

/// The process that takes over is handed the listeners that go, and opens those that come.
#[test]
fn a_redeploy_with_other_ports_refuses_nobody() {
    let mut scene = scene();
    let (_backend, client) = of_a_client(&mut scene);
    let ports = free_ports(600).unwrap();
    of_many_ports(&mut scene, "/moves", &ports[..300], 1);
    let _ending = Ending(scene.cfg());
    by_takeover(&scene, 600).expect(0);
    let client = client();
    scene.apps.pop();
    of_many_ports(&mut scene, "/moves", &ports[300..], 2);
    let command = command(&scene, &["sf", "--allow-removal"]);
    let done = limited(&command, 600).expect(0);
    let done = done.says(&["a new process took over"]);
    assert!(!done.stderr.contains("app `/"), "{done:#?}");
    let cfg = fs::read_to_string(scene.cfg()).unwrap();
    for port in &ports[300..] {
        assert!(cfg.contains(&format!(":{port}\n")), "{port}");
    }
    nothing_failed(client);
}

/// Who was served goes before who waits, though it was changed later and has other ports.
#[test]
fn an_app_that_moves_to_other_ports_waits_for_nobody_who_is_new() {
    let mut scene = scene();
    let ports = free_ports(8).unwrap();
    of_many_ports(&mut scene, "/late", &ports[..2], 3);
    of_many_ports(&mut scene, "/moves", &ports[2..4], 1);
    let _ending = Ending(scene.cfg());
    let full = NEEDED + 2;
    by_takeover(&scene, full).expect(0).says(&["app `/late`: "]);
    scene.apps.pop();
    of_many_ports(&mut scene, "/moves", &ports[4..6], 5);
    let done = by_takeover(&scene, full).expect(0);
    assert!(!done.stderr.contains("app `/moves`"), "{done:#?}");
    let found = ["late", "moves"].map(|app| is_in(&scene, app));
    assert_eq!(found, [false, true], "{done:#?}");
    // A port more than it gave up is new, and that alone.
    scene.apps.pop();
    of_many_ports(&mut scene, "/moves", &[ports[6], ports[7], ports[4]], 6);
    let done = by_takeover(&scene, full).expect(0);
    done.says(&["app `/moves`: ", "too few for the 1 of this app"]);
    let cfg = fs::read_to_string(scene.cfg()).unwrap();
    assert_eq!(cfg.matches("\nfrontend moves_").count(), 2, "{cfg}");
}

/// Where it cannot be known before: HAProxy's words are heard.
#[test]
fn a_start_by_a_command_that_fails_for_it_serves_the_oldest() {
    let mut scene = scene();
    let ports = free_ports(470).unwrap();
    of_many_ports(&mut scene, "/a-last", &ports[..300], 12);
    of_many_ports(&mut scene, "/b-first", &ports[300..310], 8);
    of_many_ports(&mut scene, "/c-second", &ports[310..], 10);
    let _ending = Ending(scene.cfg());
    let start = format!(
        "ulimit -n 450; {} {} -D -p run/pid -f {}",
        unable(),
        haproxy().display(),
        scene.cfg().display()
    );
    let done = refresh_by(&scene, &["command", "--reload-command", &start]).expect(0);
    let done = done.says(&[
        "app `/a-last`: ",
        "found what HAProxy does not start with: ",
        "and is started again without what was added last",
    ]);
    let found = ["a-last", "b-first", "c-second"].map(|app| is_in(&scene, app));
    assert_eq!(found, [false, true, true], "{done:#?}");
    assert_eq!(quarantined(&scene), json!([]));
}

fn start_master(scene: &Scene, files: u32) {
    let mut master = Command::new(haproxy());
    master.current_dir(scene.test.path());
    master.args(["-W", "-D", "-p", "run/pid", "-S"]);
    master.arg(scene.test.path().join("run/master.sock"));
    master.arg("-f").arg(scene.cfg());
    limited(&master, files).expect(0);
}

/// It is the limit of the master that counts, and one of its own starts with another.
#[test]
fn of_a_master_its_own_limit_counts() {
    let mut scene = scene();
    scene.app("/by", &[("VHOST", "by.test")]);
    let _ending = Ending(scene.cfg());
    refresh_by(&scene, &["none"]).expect(0);
    start_master(&scene, 500);
    let master = pid(&scene);
    let reload = ["master", "--master-socket", "run/master.sock"];
    let ports = free_ports(300).unwrap();
    of_many_ports(&mut scene, "/big", &ports, 1);
    refresh_by(&scene, &reload).expect(0).says(&[
        "app `/big`: ",
        &format!("what starts HAProxy, whose process {master} has to be restarted for it"),
    ]);
    assert!(!is_in(&scene, "big"));
    kill(Pid::from_raw(master.cast_signed()), Signal::SIGTERM).unwrap();
    let cfg = scene.cfg();
    wait_until("the end of the master", || {
        Proc::default().using(&cfg).is_empty()
    });
    start_master(&scene, 4000);
    refresh_by(&scene, &reload)
        .expect(0)
        .says(&["over: app `/big`"]);
    assert!(is_in(&scene, "big"));
}
