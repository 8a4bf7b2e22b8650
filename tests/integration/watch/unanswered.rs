//! While Marathon gives no answer, what was served goes on to be: files that are gone come back, a
//! HAProxy that is down comes up, and how old that is, is told.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use haproxy_marathon_bridge::demo::backend::{Backend, Instance};
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Era, Marathon, Task};
use haproxy_marathon_bridge::disk::Digest;
use haproxy_marathon_bridge::haproxy::Proc;
use serde_json::Value;

use super::Watcher;
use crate::host::{Host, SOON, Web, block_on, wait_until};
use crate::serve::at;
use crate::serve::request::Ask;
use crate::support::Done;

/// An app with a host of its own, served by the native set with its maps, and a Marathon that has gone
/// since.
struct Scene {
    host: Host,
    marathon: Marathon,
    http: u16,
    _backend: Backend,
}

impl Scene {
    fn new() -> Self {
        let free = free_ports(2).unwrap();
        let marathon = Marathon::start(Era::V1_8).unwrap();
        let backend = Instance::http("web-0").start().unwrap();
        let app = App::new("/web")
            .service_port(free[1])
            .label("HAPROXY_0_VHOST", "web.test")
            .label("HAPROXY_0_BIND_ADDR", "127.0.0.1");
        marathon.deploy(app.task(Task::local(backend.port())));
        Self {
            host: Host::native(free[0]),
            marathon,
            http: free[0],
            _backend: backend,
        }
    }

    /// Served once, and Marathon is gone.
    fn served() -> Self {
        let mut scene = Self::new();
        scene.refresh(&[]).expect(0);
        scene.marathon.down();
        scene
    }

    fn refresh(&self, more: &[&str]) -> Done {
        self.host.refresh(&[self.marathon.url()], more)
    }

    fn watcher(&self, more: &[&str]) -> Watcher {
        let socket = self.host.path("run/watcher.sock").display().to_string();
        let more = [&["--admin-socket", &socket], more].concat();
        Watcher::start(self.host.watch_command(&[self.marathon.url()], &more))
    }

    #[track_caller]
    fn serves(&self) {
        let answer = Ask::http(at(self.http)).get("web.test", "/").expect(200);
        assert_eq!(answer.by(), "web-0");
    }

    /// `haproxy.cfg` and its maps.
    fn files(&self) -> Vec<(String, String)> {
        let folder = fs::read_dir(self.host.path("etc")).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != ".keep").collect();
        names.sort();
        let read = |name: &String| fs::read_to_string(self.host.path("etc").join(name)).unwrap();
        names
            .iter()
            .map(|name| (name.clone(), read(name)))
            .collect()
    }

    fn remove(&self, is_gone: impl Fn(&str) -> bool) {
        for (name, _) in self.files() {
            if is_gone(&name) {
                fs::remove_file(self.host.path("etc").join(name)).unwrap();
            }
        }
    }

    fn proved_at(&self) -> String {
        let as_of = &self.host.state()["as_of"];
        as_of.as_str().expect("it is known").to_owned()
    }
}

fn is_map(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "map")
}

#[test]
fn files_that_are_gone_come_back_while_haproxy_runs() {
    for (what, is_gone) in [
        ("all", (|_| true) as fn(&str) -> bool),
        ("haproxy.cfg", |name| name == "haproxy.cfg"),
        ("the maps", is_map),
    ] {
        let scene = Scene::served();
        let before = scene.files();
        assert!(before.iter().any(|(name, _)| is_map(name)), "{before:?}");
        scene.remove(is_gone);
        assert_ne!(scene.files(), before, "{what}");
        let said = scene.refresh(&[]).expect(1).stderr;
        assert_eq!(scene.files(), before, "{what}: {said}");
        assert!(said.contains("the good ones are back"), "{what}: {said}");
        scene.serves();
        // And once is enough.
        let said = scene.refresh(&[]).expect(1).stderr;
        assert!(!said.contains("are back"), "{what}: {said}");
    }
}

#[test]
fn a_watcher_puts_them_back_and_starts_nothing_that_it_must_not() {
    let mut scene = Scene::new();
    let watcher = scene.watcher(&["--reload", "none", "--resync", "1h"]);
    watcher.says("installed `");
    let before = scene.files();
    scene.marathon.down();
    watcher.says("Marathon tells no events");
    scene.remove(|_| true);
    watcher.send(nix::sys::signal::Signal::SIGHUP);
    watcher.says("the good ones are back");
    assert_eq!(scene.files(), before);
    assert_eq!(scene.host.haproxies(), [0; 0]);
}

#[test]
fn a_haproxy_that_is_down_is_started_with_files_that_were_gone() {
    for more in [&[][..], &["--resync", "1h"]] {
        let scene = Scene::served();
        let before = scene.files();
        scene.host.kill();
        scene.remove(is_map);
        let watcher;
        if more.is_empty() {
            scene.refresh(&[]).expect(1);
        } else {
            watcher = scene.watcher(more);
            watcher.says("the good ones are back");
        }
        assert_eq!(scene.files(), before);
        scene.serves();
    }
    // With nothing gone but the process, too, as cron finds it after a restart of the host.
    let scene = Scene::served();
    scene.host.kill();
    scene.refresh(&[]).expect(1).says(&["HAProxy did not run"]);
    scene.serves();
}

#[test]
fn without_any_good_file_they_are_made_anew_of_the_last_answer() {
    let scene = Scene::served();
    let (before, as_of) = (scene.files(), scene.proved_at());
    let answer = scene.host.state_folder().join("snapshot.json");
    assert!(answer.exists());
    scene.remove(|_| true);
    fs::remove_dir_all(scene.host.state_folder().join("last-good")).unwrap();
    let said = scene.refresh(&[]).expect(1).stderr;
    assert!(said.contains("made anew of the last answer"), "{said}");
    assert!(
        said.contains(&format!("what is served is of {as_of}")),
        "{said}"
    );
    assert_eq!(scene.files(), before);
    scene.serves();
    // It was no answer of Marathon.
    assert_eq!(scene.proved_at(), as_of);
    assert_eq!(
        scene.host.state()["guard"]["fetches"],
        Value::Array(Vec::new())
    );

    // The state can be lost, too.
    scene.remove(|_| true);
    for lost in ["state.json", "ran"] {
        fs::remove_file(scene.host.state_folder().join(lost)).unwrap();
    }
    fs::remove_dir_all(scene.host.state_folder().join("last-good")).unwrap();
    let said = scene.refresh(&[]).expect(1).stderr;
    assert!(
        said.contains("made anew") && said.contains(" old)"),
        "{said}"
    );
    assert_eq!(scene.files(), before);

    // One that cannot be read is none.
    scene.remove(|_| true);
    fs::remove_dir_all(scene.host.state_folder().join("last-good")).unwrap();
    fs::write(&answer, "{\"apps\": [{").unwrap();
    let said = scene.refresh(&[]).expect(1).stderr;
    assert!(said.contains("nothing is served: there is no `"), "{said}");
    assert_eq!(scene.files(), []);
}

/// The options of today count, and the maps of other ones are not left behind.
#[test]
fn files_that_are_made_anew_are_as_the_options_want_them() {
    let scene = Scene::served();
    scene.remove(|_| true);
    fs::remove_dir_all(scene.host.state_folder().join("last-good")).unwrap();
    scene.refresh(&["--no-maps"]).expect(1);
    let files = scene.files();
    assert_eq!(files.len(), 1, "{files:?}");
    scene.serves();
}

#[test]
fn files_that_somebody_changed_become_the_good_ones() {
    let scene = Scene::served();
    let before = scene.files();
    fs::write(scene.host.cfg(), "garbage\n").unwrap();
    scene.refresh(&[]).expect(1);
    assert_eq!(scene.files(), before);
    scene.serves();
}

#[test]
fn while_all_is_in_place_nothing_is_touched_and_its_age_is_told() {
    let mut scene = Scene::served();
    let as_of = scene.proved_at();
    let age = format!("what is served is of {as_of} (");
    let pid = scene.host.pid();
    scene.host.untouched(|| {
        let said = scene.refresh(&[]).expect(1).stderr;
        assert!(said.contains(&age) && said.contains(" old)"), "{said}");
    });
    assert_eq!(scene.host.pid(), pid);
    let told = scene.host.status();
    told.prints(&[&age, &format!("served        as of {as_of} (")]);

    let place = scene.host.path("notify");
    let socket = UnixDatagram::bind(&place).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut command = scene.host.watch_command(&[scene.marathon.url()], &[]);
    command.env("NOTIFY_SOCKET", &place);
    command.args(["--admin-socket", "none"]);
    let watcher = Watcher::start(command);
    watcher.says(&age);
    let mut buffer = [0; 4096];
    wait_until("the status", || {
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).contains(&age)
    });
    // It is told once, however old it gets, and once when it is over.
    watcher.send(nix::sys::signal::Signal::SIGHUP);
    scene.marathon.up().unwrap();
    let said = watcher.says("over: Marathon gave no usable answer");
    let told = said
        .iter()
        .filter(|line| line.contains("what is served is of"));
    assert_eq!(told.count(), 1, "{said:#?}");
}

/// Servers that came last are not yet checked, and must not go again.
#[test]
fn servers_that_came_last_stay() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, &["--resync", "1h", "--reload", "none"]);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    web.scale_up();
    watcher.says("installed `");
    let before = host.installed();
    web.marathon.down();
    watcher.send(nix::sys::signal::Signal::SIGHUP);
    let said = watcher.says("what is served is of");
    assert_eq!(host.installed(), before, "{said:#?}");
    assert!(before.contains(&web.newest_address()));
    // They are checked by now.
    let cfg = Digest::of(before.as_bytes()).to_string();
    wait_until("the proof", || host.state()["applied"]["cfg_hash"] == *cfg);
}

#[test]
fn a_pause_and_an_unknown_host_stay_as_they_are() {
    let scene = Scene::served();
    scene.host.operate(&["pause"]).expect(0);
    scene.remove(|_| true);
    scene.refresh(&[]).expect(1);
    assert_eq!(scene.files(), []);
    scene.host.operate(&["resume"]).expect(0);
    scene.refresh(&[]).expect(1);
    scene.serves();

    let mut scene = Scene::new();
    scene.marathon.down();
    let said = scene.refresh(&[]).expect(1).stderr;
    assert!(said.contains("nothing is served: there is no `"), "{said}");
    fs::write(scene.host.cfg(), "# of somebody else\n").unwrap();
    let said = scene.refresh(&[]).expect(1).stderr;
    assert!(said.contains("stays as somebody else wrote it"), "{said}");
    assert_eq!(scene.host.installed(), "# of somebody else\n");
    assert_eq!(Proc::default().using(&scene.host.cfg()).len(), 0);
}
