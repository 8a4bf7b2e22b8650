//! Turns of `refresh` with this set: HAProxy is brought to each file, and says which one it runs.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use haproxy_marathon_bridge::haproxy::{Proc, structure_hash};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::{Ask, Scene, at};
use crate::support::Done;

/// Ends what the turns started.
struct Ending(PathBuf);

impl Drop for Ending {
    fn drop(&mut self) {
        for process in Proc::default().using(&self.0) {
            let _ = kill(Pid::from_raw(process.pid.cast_signed()), Signal::SIGKILL);
        }
    }
}

fn refresh(scene: &Scene) -> Done {
    let apps = json!({"apps": scene.apps}).to_string();
    fs::write(scene.test.path().join("apps.json"), apps).unwrap();
    let mut command = scene.test.command();
    command.args(["refresh", "--reload", "sf", "-m", "file:apps.json"]);
    command.args(["--template-dir", "templates", "--pid-file", "run/pid"]);
    command.arg("--haproxy-config").arg(scene.cfg());
    command.args(&scene.flags);
    Done::of(command)
}

fn description(scene: &Scene) -> String {
    let mut socket = UnixStream::connect(scene.test.path().join("run/admin.sock")).unwrap();
    socket.write_all(b"show info\n").unwrap();
    let mut info = String::new();
    socket.read_to_string(&mut info).unwrap();
    let mut lines = info.lines();
    let line = lines.find_map(|line| line.strip_prefix("description: "));
    line.unwrap().to_owned()
}

#[test]
fn haproxy_says_which_structure_it_runs() {
    let mut scene = Scene::new().with_https();
    scene.app("/a", &[("VHOST", "a.test")]);
    let _ending = Ending(scene.cfg());
    let pid = |scene: &Scene| fs::read_to_string(scene.test.path().join("run/pid")).unwrap();
    let hash = |scene: &Scene| structure_hash(&fs::read_to_string(scene.cfg()).unwrap());
    assert_eq!(refresh(&scene).expect(0).stderr.matches("warn").count(), 0);
    let http = Ask::http(at(scene.http));
    let first = pid(&scene);
    assert_eq!(http.get("a.test", "/").by(), "a");
    assert_eq!(description(&scene), hash(&scene));
    // A turn that changes nothing starts nothing.
    assert_eq!(refresh(&scene).expect(0).stderr, "");
    assert_eq!(pid(&scene), first);
    let before = hash(&scene);
    scene.app("/b", &[("VHOST", "*.test")]);
    refresh(&scene).expect(0);
    assert_ne!(pid(&scene), first);
    assert_ne!(hash(&scene), before);
    assert_eq!(description(&scene), hash(&scene));
    assert_eq!(http.get("b.test", "/").by(), "b");
    // What is in the maps alone is served as well, though the structure is the same.
    let before = hash(&scene);
    scene.apps[0]["labels"]["HAPROXY_0_VHOST"] = "moved.example".into();
    refresh(&scene).expect(0).says(&["maps changed"]);
    assert_eq!(hash(&scene), before);
    assert_eq!(http.get("moved.example", "/").by(), "a");
    assert_eq!(http.get("a.test", "/").by(), "b");
    scene.apps[0]["labels"]["HAPROXY_0_VHOST"] = "a.test".into();
    // A certificate that is not there costs the one who named it, though all share port 443.
    let cert = ("SSL_CERT", "/nonexistent/own.pem");
    scene.app("/c", &[("VHOST", "c.test"), cert]);
    refresh(&scene)
        .expect(0)
        .says(&["app `/c`", "/nonexistent/own.pem", "left out"]);
    assert_eq!(http.get("a.test", "/").by(), "a");
    assert_eq!(http.get("c.test", "/").by(), "b");
    let https = Ask::https(at(scene.https));
    assert_eq!(https.get("a.test", "/").by(), "a");
}

/// A reload that tries the port fails, and every turn would.
#[test]
fn port_443_that_a_label_opens_stays_closed_while_somebody_holds_it() {
    let mut scene = Scene::new();
    let certificate = scene.certificate("a.test");
    let _ending = Ending(scene.cfg());
    let cert = ("SSL_CERT", &*certificate);
    scene.app(
        "/a",
        &[("VHOST", "a.test"), cert, ("REDIRECT_TO_HTTPS", "true")],
    );
    scene.app("/b", &[("VHOST", "b.test")]);
    let other = TcpListener::bind(at(scene.https)).unwrap();
    let told = format!(
        "app `/a`: label `HAPROXY_0_SSL_CERT`: found port {}, which it opens, is held by `",
        scene.https
    );
    let holder = format!(
        "process {}, expected a port on which nobody listens; `frontend marathon_https_in` left \
         out until it is free",
        std::process::id()
    );
    refresh(&scene)
        .expect(0)
        .says(&[&told, &holder, "nothing listens on port 443"]);
    let http = Ask::http(at(scene.http));
    assert_eq!(http.get("a.test", "/").by(), "a");
    assert_eq!(http.get("b.test", "/").by(), "b");
    assert_eq!(refresh(&scene).expect(0).stderr, "", "it was said before");
    drop(other);
    refresh(&scene).expect(0);
    http.get("a.test", "/").expect(301);
    TcpStream::connect(at(scene.https)).unwrap();
}

/// Nothing can be reloaded to, and a try would have the old listeners refuse connections.
#[test]
fn port_80_that_somebody_holds_is_an_error_that_names_the_holder() {
    let mut scene = Scene::new().with_https();
    scene.app("/a", &[("VHOST", "a.test")]);
    let _ending = Ending(scene.cfg());
    for (port, section) in [
        (scene.http, "marathon_http_in"),
        (scene.https, "marathon_https_in"),
    ] {
        let other = TcpListener::bind(at(port)).unwrap();
        refresh(&scene).expect(1).says(&[
            &format!("port {port} of `frontend {section}` is held by `"),
            &format!(
                "process {}, expected a port on which nobody listens; nothing is changed",
                std::process::id()
            ),
        ]);
        assert!(!scene.cfg().exists());
        drop(other);
    }
    refresh(&scene).expect(0);
    assert_eq!(Ask::http(at(scene.http)).get("a.test", "/").by(), "a");
}
