//! Turns of `refresh` with this set: HAProxy is brought to each file, and says which one it runs.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

use haproxy_marathon_bridge::haproxy::{Proc, structure_hash};
use haproxy_marathon_bridge::state::Folder;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::{Ask, Scene, at};
use crate::support::Done;

/// Ends what the turns started.
pub(super) struct Ending(pub(super) PathBuf);

impl Drop for Ending {
    fn drop(&mut self) {
        for process in Proc::default().using(&self.0) {
            let _ = kill(Pid::from_raw(process.pid.cast_signed()), Signal::SIGKILL);
        }
    }
}

pub(super) fn refresh(scene: &Scene) -> Done {
    refresh_by(scene, &["sf"])
}

/// `refresh` that reloads in this way.
pub(super) fn refresh_by(scene: &Scene, reload: &[&str]) -> Done {
    Done::of(command(scene, reload))
}

/// The same, not started yet.
pub(super) fn command(scene: &Scene, reload: &[&str]) -> Command {
    let apps = json!({"apps": scene.apps}).to_string();
    fs::write(scene.test.path().join("apps.json"), apps).unwrap();
    let mut command = scene.test.command();
    command.args(["refresh", "-m", "file:apps.json", "--reload"]);
    command.args(reload);
    command.args(["--template-dir", "templates", "--pid-file", "run/pid"]);
    command.arg("--haproxy-config").arg(scene.cfg());
    command.args(&scene.flags);
    command
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

/// What is remembered of service ports that are refused: nothing else is asked of them for a while.
pub(super) fn quarantined(scene: &Scene) -> Value {
    let folder = Folder::of(&scene.test.path().join("state"), &scene.cfg());
    let saved = fs::read(folder.path().join("state.json")).unwrap();
    let state: Value = serde_json::from_slice(&saved).unwrap();
    state["quarantined"].clone()
}

/// Protected otherwise than the first of those it would be merged with, which is not its fault alone.
#[test]
fn nobody_is_put_out_for_what_another_app_says() {
    let mut scene = Scene::new();
    let merge = ("MERGE", "shop");
    scene.app("/b", &[("VHOST", "b.test"), merge]);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    let http = Ask::http(at(scene.http));
    let networks = ("BACKEND_NETWORK_ALLOWED_ACL", "127.0.0.0/8");
    scene.app("/a", &[("VHOST", "a.test"), merge, networks]);
    let done = refresh(&scene).expect(0);
    done.says(&["app `/b`: label `HAPROXY_0_MERGE`: found another BACKEND_NETWORK_ALLOWED_ACL"]);
    for name in ["a", "b"] {
        assert_eq!(http.get(&format!("{name}.test"), "/").by(), name);
    }
    assert_eq!(quarantined(&scene), json!([]));
}

/// A new version of an app is younger than whoever waits for its places.
#[test]
fn who_has_a_host_keeps_it_through_a_deployment() {
    let mut scene = Scene::new().with_https();
    let own = scene.certificate("own.test");
    let labels = [("MODE", "http"), ("SSL_CERT", &*own)];
    let inner = scene.app("/inner", &labels);
    scene.app(
        "/holder",
        &[("VHOST", "www.test,*.in.test"), ("PATH", "/ /x")],
    );
    scene.app("/other/squatter", &[("VHOST", "free.test")]);
    let pass = ("SNI_PASSTHROUGH", "true");
    let labels = [("MODE", "tcp"), ("VHOST", "free.test"), pass];
    scene.app_at("/other/tls", inner, &labels);
    let dates = |scene: &mut Scene, dates: [&str; 4]| {
        for (app, year) in scene.apps.iter_mut().zip(dates) {
            let date = format!("{year}-01-01T00:00:00.000Z");
            app["versionInfo"] = json!({"lastConfigChangeAt": date});
        }
    };
    dates(&mut scene, ["2010", "2011", "2012", "2012"]);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    let http = Ask::http(at(scene.http));
    let https = Ask::https(at(scene.https));
    assert_eq!(http.get("www.test", "/x").by(), "holder");
    // Whoever waited is older than the new version.
    let claims = "www.test,*.in.test";
    scene.apps[2]["labels"]["HAPROXY_0_VHOST"] = claims.into();
    scene.apps[2]["labels"]["HAPROXY_0_PATH"] = "/ /x".into();
    scene.apps[3]["labels"]["HAPROXY_0_VHOST"] = claims.into();
    dates(&mut scene, ["2010", "2030", "2012", "2012"]);
    let told = "app `/other/squatter`: label `HAPROXY_0_PATH`: found `www.test/x`, `*.in.test/x` are \
                held by app `/holder`";
    let done = refresh(&scene).expect(0).says(&[told]);
    done.says(&[
        "app `/other/tls`: label `HAPROXY_0_VHOST`: found `www.test`, `*.in.test` are held",
    ]);
    for host in ["www.test", "a.in.test"] {
        assert_eq!(http.get(host, "/x").by(), "holder");
        assert_eq!(https.get(host, "/x").by(), "holder");
    }
    // Without tasks for a moment nobody gets them.
    let tasks = scene.apps[1]["tasks"].take();
    scene.apps[1]["tasks"] = json!([]);
    scene.apps[1]["instances"] = 1.into();
    refresh(&scene).expect(0).says(&[
        "app `/other/squatter`: label `HAPROXY_0_PATH`: found `www.test/x`, `*.in.test/x` are held \
         by app `/holder`, which has no tasks at the moment",
        "app `/other/tls`: label `HAPROXY_0_VHOST`: found `www.test`, `*.in.test` are held by \
         app `/holder`, which has no tasks at the moment",
    ]);
    for _ in 0..2 {
        for host in ["www.test", "a.in.test"] {
            http.get(host, "/x").expect(503);
            https.get(host, "/x").expect(503);
        }
        refresh(&scene).expect(0);
    }
    scene.apps[1]["tasks"] = tasks.clone();
    refresh(&scene).expect(0);
    assert_eq!(http.get("www.test", "/x").by(), "holder");
    // Suspended, it gives them up.
    scene.apps[1]["tasks"] = json!([]);
    scene.apps[1]["instances"] = 0.into();
    refresh(&scene).expect(0);
    scene.apps[1]["tasks"] = tasks;
    scene.apps[1]["instances"] = 1.into();
    refresh(&scene).expect(0);
    assert_eq!(http.get("www.test", "/x").by(), "other/squatter");
}

/// Gives and takes the tasks of an app that is to have one.
pub(super) struct Tasks {
    nth: usize,
    tasks: Value,
}

impl Tasks {
    pub(super) fn gone(scene: &mut Scene, nth: usize) -> Self {
        scene.apps[nth]["instances"] = 1.into();
        let tasks = std::mem::replace(&mut scene.apps[nth]["tasks"], json!([]));
        Self { nth, tasks }
    }

    pub(super) fn are_back(self, scene: &mut Scene) {
        scene.apps[self.nth]["instances"] = 1.into();
        scene.apps[self.nth]["tasks"] = self.tasks;
    }
}

#[test]
fn a_moment_without_tasks_hands_a_service_port_to_nobody() {
    let mut scene = Scene::new();
    let port = scene.app("/shop/web", &[("MODE", "http")]);
    scene.app("/other/a", &[("VHOST", "a.test")]);
    scene.app("/other/b", &[("VHOST", "b.test")]);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    let ask = Ask::http(at(port));
    assert_eq!(ask.get("any.test", "/").by(), "shop/web");
    scene.app("/evil/x", &[("MODE", "http"), ("PORT", &port.to_string())]);
    let told = format!(
        "app `/evil/x`: label `HAPROXY_0_PORT`: found port {port} is held by app `/shop/web`"
    );
    refresh(&scene).expect(0).says(&[&told]);
    let tasks = Tasks::gone(&mut scene, 0);
    let told = format!("{told}, which has no tasks at the moment");
    refresh(&scene).expect(0).says(&[&told]);
    for _ in 0..2 {
        ask.try_get("any.test", "/").unwrap_err();
        refresh(&scene).expect(0);
    }
    tasks.are_back(&mut scene);
    for _ in 0..2 {
        refresh(&scene).expect(0);
        assert_eq!(ask.get("any.test", "/").by(), "shop/web");
    }
    // Suspended, it gives it up.
    let tasks = Tasks::gone(&mut scene, 0);
    refresh(&scene).expect(0);
    ask.try_get("any.test", "/").unwrap_err();
    scene.apps[0]["instances"] = 0.into();
    refresh(&scene).expect(0);
    assert_eq!(ask.get("any.test", "/").by(), "evil/x");
    tasks.are_back(&mut scene);
    let told =
        format!("app `/shop/web`: service port {port}: found port {port} is held by app `/evil/x`");
    refresh(&scene).expect(0).says(&[&told]);
}

#[test]
fn a_moment_without_tasks_hands_tls_of_a_host_to_nobody() {
    let mut scene = Scene::new().with_https();
    let certificate = |scene: &Scene, name: &str| {
        let path = scene.certificate(name);
        let der = fs::read(scene.test.path().join(format!("{name}.der"))).unwrap();
        (path, der)
    };
    let (own, shown) = certificate(&scene, "own.test");
    let (other, _) = certificate(&scene, "other.test");
    let inner = scene.app("/inner", &[("MODE", "http"), ("SSL_CERT", &own)]);
    let inner_of_evil = scene.app("/inner-of-evil", &[("MODE", "http"), ("SSL_CERT", &other)]);
    let labels = [
        ("MODE", "tcp"),
        ("VHOST", "tls.test"),
        ("SNI_PASSTHROUGH", "true"),
    ];
    scene.app_at("/shop/tls", inner, &labels);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    let https = Ask::https(at(scene.https));
    let presented = || https.get("tls.test", "/").certificate;
    assert_eq!(presented().as_ref(), Some(&shown));
    scene.app_at("/evil/tls", inner_of_evil, &labels);
    let told =
        "app `/evil/tls`: label `HAPROXY_0_VHOST`: found `tls.test` is held by app `/shop/tls`";
    refresh(&scene).expect(0).says(&[told]);
    let tasks = Tasks::gone(&mut scene, 2);
    let absent = format!("{told}, which has no tasks at the moment");
    refresh(&scene).expect(0).says(&[&absent]);
    for _ in 0..2 {
        https.get("tls.test", "/").expect(503);
        refresh(&scene).expect(0);
    }
    tasks.are_back(&mut scene);
    refresh(&scene).expect(0);
    assert_eq!(presented().as_ref(), Some(&shown));
    scene.apps.remove(2);
    refresh(&scene).expect(0);
    assert_eq!(https.get("tls.test", "/").by(), "inner-of-evil");
}
