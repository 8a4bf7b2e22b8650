//! A server that is known to be down stays so over a reload: no request is spent to find out again.

use std::fs;

use haproxy_marathon_bridge::demo::backend::{Backend, HEALTH_PATH, Instance};
use haproxy_marathon_bridge::demo::client::{Failure, Report};
use haproxy_marathon_bridge::demo::marathon::Task;
use haproxy_marathon_bridge::haproxy::servers::{Op, states};
use haproxy_marathon_bridge::haproxy::socket::ask;
use serde_json::json;

use super::LONG;
use super::cluster::{Scene, without_retries};
use crate::host::{block_on, wait_until};

const FILE: &str = "  server-state-file ";

/// One task of four is dead, and Marathon does not know it.
struct Ward {
    scene: Scene,
    dead: Backend,
}

impl Ward {
    fn new() -> Self {
        // Those that serve may have the highest ports that there are.
        loop {
            if let Some(ward) = Self::drawn() {
                return ward;
            }
        }
    }

    fn drawn() -> Option<Self> {
        let mut scene = Scene::of(|app| {
            // Long enough for a reload that knows nothing to cost requests.
            let check = json!({
                "path": HEALTH_PATH, "protocol": "HTTP", "portIndex": 0, "intervalSeconds": 3,
                "gracePeriodSeconds": 5, "timeoutSeconds": 1, "maxConsecutiveFailures": 1,
            });
            app.http_check(HEALTH_PATH)
                .field("healthChecks", json!([check]))
        });
        without_retries(&scene.host.path("templates/fragments/head.cfg.tera"));
        scene.scale_up();
        scene.scale_up();
        // The first one in the file is checked at once, the last one after a while.
        let last = scene.backends.iter().map(Backend::port).max();
        let mut candidates = (0..1_000).map(|_| Instance::http("dead").warm_up().unwrap());
        let dead = candidates.find(|dead| Some(dead.port()) > last)?;
        let task = Task::local(dead.port());
        scene.marathon.scale_up("/web", [task]).unwrap();
        Some(Self { scene, dead })
    }

    fn is_down(&self) -> bool {
        let socket = self.scene.host.path("run/admin.sock");
        let reply = block_on(ask(&socket, "show servers state", LONG)).unwrap();
        let states = states(&reply).unwrap();
        let dead = states.iter().find(|state| state.port == self.dead.port());
        dead.is_some_and(|state| state.op == Op::Stopped)
    }

    /// For what has nothing to do with servers.
    fn reload(&mut self) {
        self.scene.change_structure();
        self.scene.refresh(&[]).expect(0).says(&["took over"]);
    }

    /// What becomes of requests over three reloads, at each of which it is known that one is dead.
    fn three_reloads(&mut self) -> Report {
        self.scene.refresh(&[]).expect(0);
        wait_until("a check that fails", || self.is_down());
        let client = self.scene.client();
        block_on(client.answered_by_each(&["t0", "t1", "t2"], LONG)).unwrap();
        for _ in 0..3 {
            self.reload();
            block_on(client.answered_more(100, LONG)).unwrap();
            wait_until("a check that fails", || self.is_down());
        }
        block_on(client.stop())
    }

    fn state_file(&self) -> String {
        fs::read_to_string(self.scene.host.path("run/server-state")).unwrap()
    }
}

#[test]
fn a_server_that_is_down_gets_no_request_after_a_reload() {
    let mut ward = Ward::new();
    let report = ward.three_reloads();
    assert_eq!(report.failed(), 0, "{report}");
    // Whoever starts HAProxy later is not told of today.
    assert_eq!(
        ward.state_file().lines().count(),
        2,
        "{}",
        ward.state_file()
    );

    // It is found as soon as it lives.
    ward.dead.serve().unwrap();
    wait_until("a check that succeeds", || !ward.is_down());
    ward.scene.is_answered_by(&["t0", "t1", "t2", "dead"]);
    ward.reload();
    ward.scene.is_answered_by(&["t0", "t1", "t2", "dead"]);
}

/// What the test above would count, if nothing were handed over.
#[test]
fn without_the_file_of_states_a_reload_costs_requests() {
    let mut ward = Ward::new();
    let head = ward.scene.host.path("templates/fragments/head.cfg.tera");
    let text = fs::read_to_string(&head).unwrap();
    let kept = text.lines().filter(|line| !line.contains("server-state"));
    let kept: Vec<&str> = kept.collect();
    assert!(text.contains(FILE));
    fs::write(&head, kept.join("\n")).unwrap();
    let report = ward.three_reloads();
    assert!(
        report.failures.contains_key(&Failure::Status(503)),
        "{report}"
    );
}

#[test]
fn a_file_of_states_that_is_wrong_or_of_others_does_no_harm() {
    let mut ward = Ward::new();
    let path = ward.scene.host.path("run/server-state");
    ward.scene.refresh(&[]).expect(0);
    let own = ward.state_file();
    // One that others write is theirs, also where it is none that HAProxy can read.
    for text in ["hello\n\0", "1\n# be_id be_name\n3 b 11 s1 x y z\n"] {
        fs::write(&path, text).unwrap();
        ward.reload();
        assert_eq!(ward.state_file(), text);
        let done = ward.scene.host.status().expect(0);
        assert!(!done.stdout.contains("haproxy warns"), "{}", done.stdout);
    }
    fs::write(&path, "").unwrap();
    ward.reload();
    assert_eq!(ward.state_file(), own);
    fs::remove_file(&path).unwrap();
    ward.reload();
    assert_eq!(ward.state_file(), own);
    // Nobody can write it.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    ward.reload();
    ward.scene.host.kill();
    let done = ward.scene.refresh(&[]).expect(0);
    done.says(&["HAProxy was started"]);
    assert!(path.is_dir());
}
