//! What `haproxy -c` accepts and HAProxy does not start with is its owner's alone.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use haproxy_marathon_bridge::demo::free_ports;
use serde_json::{Map, json};

use super::turns::{Ending, command, quarantined, refresh, refresh_by};
use super::{Ask, Scene, at};
use crate::serve::task;
use crate::support::Done;

fn pid(scene: &Scene) -> String {
    fs::read_to_string(scene.test.path().join("run/pid")).unwrap()
}

#[test]
fn who_keeps_haproxy_from_starting_is_served_as_before_and_the_others_go_on() {
    let mut scene = Scene::new();
    scene.app("/by", &[("VHOST", "by.test")]);
    let port = scene.app("/evil", &[("VHOST", "evil.test")]);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    // HAProxy has that port at another address, so that it is not tried before.
    let _other = TcpListener::bind(("127.0.0.2", port)).unwrap();
    scene.apps[1]["labels"]["HAPROXY_0_BIND_ADDR"] = "127.0.0.2".into();
    scene.app("/new", &[("VHOST", "new.test")]);
    let done = refresh(&scene).expect(0);
    done.says(&[
        &format!(
            "app `/evil`: service port {port}: found what HAProxy does not start with: Binding ["
        ),
        "cannot bind socket (Address already in use)",
        &format!(
            "expected ports on which it can listen; service port {port} is served as it was before"
        ),
        "a new process took over",
    ]);
    let http = Ask::http(at(scene.http));
    for app in ["by", "evil", "new"] {
        assert_eq!(http.get(&format!("{app}.test"), "/").by(), app);
    }
    assert_eq!(Ask::http(at(port)).get("any.test", "/").by(), "evil");
    // Nor is it tried again with the next change.
    scene.app("/next", &[("VHOST", "next.test")]);
    let done = refresh(&scene).expect(0);
    assert!(!done.stderr.contains("not start"), "{done:#?}");
    assert_eq!(http.get("next.test", "/").by(), "next");
    let before = pid(&scene);
    refresh(&scene).expect(0);
    assert_eq!(pid(&scene), before);
    // Whoever says something else is heard.
    scene.apps[1]["labels"]["HAPROXY_0_BIND_ADDR"] = "127.0.0.3".into();
    refresh(&scene).expect(0).says(&["over: app `/evil`"]);
    let address = ([127, 0, 0, 3], port).into();
    assert_eq!(Ask::http(address).get("any.test", "/").by(), "evil");
}

/// Where nothing was ever served, and by whatever starts HAProxy, if it lets us hear it.
#[test]
fn a_first_start_by_a_command_serves_everybody_else() {
    let mut scene = Scene::new();
    scene.app("/by", &[("VHOST", "by.test")]);
    let port = scene.app(
        "/evil",
        &[("VHOST", "evil.test"), ("BIND_ADDR", "203.0.113.9")],
    );
    let _ending = Ending(scene.cfg());
    let start = format!("haproxy -D -p run/pid -f {}", scene.cfg().display());
    let done = refresh_by(&scene, &["command", "--reload-command", &start]).expect(0);
    done.says(&[
        &format!("app `/evil`: service port {port}: found what HAProxy does not start with: "),
        "cannot bind socket (Cannot assign requested address)",
        &format!("service port {port} left out"),
    ]);
    let http = Ask::http(at(scene.http));
    assert_eq!(http.get("by.test", "/").by(), "by");
    http.get("evil.test", "/").expect(503);
}

/// The service is out as a whole, and its owner has to know for which of them.
#[test]
fn of_several_ports_of_one_service_the_one_that_is_held_is_named_and_who_holds_it() {
    let mut scene = Scene::new().flags(&["--template-labels", "all"]);
    scene.app("/by", &[("VHOST", "by.test")]);
    let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let held = other.local_addr().unwrap().port();
    let text = format!(
        "frontend {{backend}}\n  bind 127.0.0.1:{{servicePort}},127.0.0.1:{held}\n  mode http\n"
    );
    let port = scene.app("/two", &[("FRONTEND_HEAD", &text)]);
    let _ending = Ending(scene.cfg());
    let name = fs::read_to_string("/proc/self/comm").unwrap();
    refresh(&scene).expect(0).says(&[&format!(
        "app `/two`: service port {port}: found port {held}, on which it listens as well, is held by \
         `{}`, process {}, expected a port on which nobody listens; service port left out until it is \
         free",
        name.trim(),
        std::process::id()
    )]);
    let http = Ask::http(at(scene.http));
    assert_eq!(http.get("by.test", "/").by(), "by");
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

/// Who asks for more sockets than HAProxy may have keeps nobody else from what is new.
#[test]
fn an_app_of_too_many_ports_goes_alone() {
    let mut scene = Scene::new();
    scene.app("/by", &[("VHOST", "by.test")]);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    // Without a date, and so the last to come.
    scene.app("/new", &[("VHOST", "new.test")]);
    let ports = free_ports(300).unwrap();
    of_many_ports(&mut scene, "/big", &ports, 1);
    let done = limited(&command(&scene, &["sf"]), 200).expect(0);
    done.says(&[
        &format!(
            "app `/big`: service port {}: found what HAProxy does not start with: ",
            ports[0]
        ),
        "expected fewer than the 300 listeners that this app, one of the last to come, adds, or a \
         higher limit of open files",
        "raise `LimitNOFILE=` of the unit or `ulimit -n` of what starts it",
    ]);
    let http = Ask::http(at(scene.http));
    for app in ["by", "new"] {
        assert_eq!(http.get(&format!("{app}.test"), "/").by(), app);
    }
    let cfg = fs::read_to_string(scene.cfg()).unwrap();
    assert!(!cfg.contains("frontend big_"), "{cfg}");
}

/// Neither the largest nor the one that HAProxy names.
#[test]
fn of_those_who_are_new_the_last_to_come_wait_for_open_files() {
    let mut scene = Scene::new();
    scene.app("/by", &[("VHOST", "by.test")]);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    let ports = free_ports(290).unwrap();
    of_many_ports(&mut scene, "/a-last", &ports[..120], 12);
    of_many_ports(&mut scene, "/b-first", &ports[120..130], 8);
    of_many_ports(&mut scene, "/c-second", &ports[130..], 10);
    let done = limited(&command(&scene, &["sf"]), 290).expect(0);
    let done = done.says(&[&format!("app `/a-last`: service port {}: ", ports[0])]);
    let cfg = fs::read_to_string(scene.cfg()).unwrap();
    let is_in = |app| cfg.contains(&format!("frontend {app}_"));
    assert_eq!(
        ["a-last", "b-first", "c-second"].map(is_in),
        [false, true, true],
        "{done:#?}"
    );
}

/// The limit was lowered: what is served needs more already.
#[test]
fn nobody_waits_for_open_files_where_that_does_not_have_haproxy_start() {
    let mut scene = Scene::new();
    let ports = free_ports(120).unwrap();
    of_many_ports(&mut scene, "/served", &ports, 1);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    let before = fs::read_to_string(scene.cfg()).unwrap();
    scene.app("/new", &[("VHOST", "new.test")]);
    let done = limited(&command(&scene, &["sf"]), 100).expect(1);
    let done = done.says(&["raise `LimitNOFILE=` of the unit or `ulimit -n` of what starts it"]);
    assert!(!done.stderr.contains("app `/"), "{done:#?}");
    assert_eq!(quarantined(&scene), json!([]));
    assert_eq!(fs::read_to_string(scene.cfg()).unwrap(), before);
}

/// What `refresh` is run by may lower how many files it, and so HAProxy, may have open.
fn limited(command: &Command, files: u32) -> Done {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("ulimit -n {files}; exec \"$0\" \"$@\""))
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    Done::of(shell)
}
