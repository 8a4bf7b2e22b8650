//! What `haproxy -c` accepts and HAProxy does not start with is its owner's alone.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use haproxy_marathon_bridge::demo::free_ports;
use serde_json::{Map, json};

use super::turns::{Ending, command, refresh, refresh_by};
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

/// Who asks for more sockets than HAProxy may have keeps nobody else from what is new.
#[test]
fn an_app_of_too_many_ports_goes_alone() {
    let mut scene = Scene::new();
    scene.app("/by", &[("VHOST", "by.test")]);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    scene.app("/new", &[("VHOST", "new.test")]);
    let ports = free_ports(300).unwrap();
    let mut task = task("/big", "t", 31000);
    task["ports"] = vec![31000; ports.len()].into();
    let mut labels = Map::new();
    for index in 0..ports.len() {
        let label = format!("HAPROXY_{index}_BIND_ADDR");
        labels.insert(label, "127.0.0.1".into());
    }
    scene.apps.push(json!({
        "id": "/big",
        "ports": ports,
        "labels": labels,
        "tasks": [task],
    }));
    let done = limited(&command(&scene, &["sf"]), 200).expect(0);
    done.says(&[
        &format!(
            "app `/big`: service port {}: found what HAProxy does not start with: ",
            ports[0]
        ),
        "expected fewer than the 300 ports that this app adds",
    ]);
    let http = Ask::http(at(scene.http));
    for app in ["by", "new"] {
        assert_eq!(http.get(&format!("{app}.test"), "/").by(), app);
    }
    let cfg = fs::read_to_string(scene.cfg()).unwrap();
    assert!(!cfg.contains("frontend big_"), "{cfg}");
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
