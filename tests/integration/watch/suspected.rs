//! Apps that HAProxy refuses without naming them are found by trial, which may be unjust: so they are
//! tried again, and come back by themselves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};
use nix::sys::signal::Signal;

use super::{NEVER, Watcher};
use crate::host::{Host, SOON, Web, block_on, wait_until};
use crate::support::{count, haproxy};

const SUSPECTED: &str = "app `/late`: ";
const OVER: &str = "over: app `/late`: ";

/// A HAProxy that `is_short` of something as long as there is a file `short`: then it refuses what holds
/// `/late`, without saying why.
struct Scene {
    host: Host,
    web: Web,
    watcher: Watcher,
}

impl Scene {
    fn new() -> Self {
        let host = Host::native(free_ports(1).unwrap()[0]);
        let web = Web::start();
        let short = host.path("short");
        let real = haproxy().display().to_string();
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = -c ] && [ -e {short} ] && grep -q 'backend late' \"$3\" && exit 1\n\
             exec {real} \"$@\"\n",
            short = short.display()
        );
        let program = host.write("haproxy", &script);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let words = [NEVER, &["--haproxy", program.to_str().unwrap()]].concat();
        let watcher = Watcher::serving(&host, &web, &words);
        block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
        let scene = Self { host, web, watcher };
        scene.is_short(true);
        let port = free_ports(1).unwrap()[0];
        let app = App::new("/late").service_port(port).task(Task::local(1));
        scene.web.marathon.deploy(app);
        let said = scene.watcher.says(SUSPECTED);
        assert!(
            said[said.len() - 1].contains("without naming it"),
            "{said:#?}"
        );
        scene
    }

    fn is_short(&self, is_short: bool) {
        let file = self.host.path("short");
        if is_short {
            fs::write(file, "").unwrap();
        } else {
            fs::remove_file(file).unwrap();
        }
    }

    fn times(&self) -> u64 {
        let state = self.host.state();
        state["quarantined"][0]["unnamed"].as_u64().unwrap_or(0)
    }

    fn is_back(&self) {
        let said = self.watcher.says(OVER);
        assert_eq!(count(&said, SUSPECTED), 1, "it was told before: {said:#?}");
        wait_until("its section", || {
            self.host.installed().contains("backend late")
        });
        wait_until("a good status", || self.host.status().status.success());
        assert_eq!(self.host.state()["quarantined"][0], serde_json::Value::Null);
    }
}

#[test]
fn whom_haproxy_does_not_name_is_tried_again_at_the_next_event_of_his() {
    let scene = Scene::new();
    wait_until("what is remembered", || scene.times() == 1);
    let told = scene.host.status().expect(1);
    told.prints(&["something is wrong", "HAProxy named nobody", "`/late`"]);
    scene.is_short(false);
    scene
        .web
        .marathon
        .scale_up("/late", [Task::local(2)])
        .unwrap();
    scene.is_back();
}

#[test]
fn whom_haproxy_does_not_name_is_tried_again_at_a_hangup() {
    let mut scene = Scene::new();
    scene.watcher.send(Signal::SIGHUP);
    wait_until("another try", || scene.times() == 2);
    scene.is_short(false);
    // Once was worth a try for an event alone, twice is not.
    scene
        .web
        .marathon
        .scale_up("/late", [Task::local(2)])
        .unwrap();
    // One that comes after it is answered with it, or later.
    scene.web.scale_up();
    let address = scene.web.newest_address();
    wait_until("the turn", || scene.host.installed().contains(&address));
    assert!(!scene.host.installed().contains("backend late"));
    assert_eq!(scene.times(), 2);
    scene.watcher.send(Signal::SIGHUP);
    scene.is_back();
}
