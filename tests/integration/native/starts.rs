//! What `haproxy -c` accepts and HAProxy does not start with is its owner's alone.

use std::fs;
use std::net::TcpListener;

use haproxy_marathon_bridge::haproxy::Version;

use super::turns::{Ending, refresh, refresh_by};
use super::{Ask, Scene, at};
use crate::support::haproxy_version;

/// As HAProxy says it, which up to 2.2 does not say why.
fn cannot_bind(why: &str) -> String {
    let says_why = haproxy_version() >= Version::new(2, 3);
    let why = if says_why {
        format!("({why})")
    } else {
        "[".to_owned()
    };
    format!("cannot bind socket {why}")
}

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
        &format!("app `/evil`: service port {port}: found what HAProxy does not start with: "),
        &cannot_bind("Address already in use"),
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
        &cannot_bind("Cannot assign requested address"),
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
