//! Rolling deployments of apps with readiness checks: no request reaches a task that is not ready, and
//! none is lost.

use std::time::{Duration, SystemTime};

use haproxy_marathon_bridge::demo::backend::{Backend, Instance};
use haproxy_marathon_bridge::demo::client::{Client, Requests};
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Era, Marathon, Task, TaskState};

use nix::sys::signal::Signal;
use serde_json::json;

use super::Watcher;
use crate::host::{Host, SOON, block_on, wait_until};

/// The app, a host that serves it, and who asks it all along.
struct Scene {
    host: Host,
    marathon: Marathon,
    port: u16,
    http: u16,
}

impl Scene {
    fn new() -> Self {
        let free = free_ports(2).unwrap();
        Self {
            host: Host::native(free[0]),
            marathon: Marathon::start(Era::V1_8).unwrap(),
            port: free[1],
            http: free[0],
        }
    }

    fn app(&self) -> App {
        App::new("/web")
            .service_port(self.port)
            .label("HAPROXY_0_VHOST", "web.test")
            .label("HAPROXY_0_BIND_ADDR", "127.0.0.1")
            .readiness_check()
    }

    fn watcher(&self, more: &[&str]) -> Watcher {
        let more = [&["--resync", "1h"], more].concat();
        let command = self.host.watch_command(&[self.marathon.url()], &more);
        Watcher::start(command)
    }

    fn requests(&self) -> Client {
        let target = ([127, 0, 0, 1], self.http).into();
        let requests = Requests::http(target).host("web.test").workers(4);
        requests.pause(Duration::from_millis(2)).start().unwrap()
    }

    /// Until the installed file has or lacks this backend.
    fn wait_for(&self, backend: &Backend, is_there: bool) {
        let address = backend.address().to_string();
        let what = format!("{} to be there: {is_there}", backend.name());
        wait_until(&what, || {
            self.host.installed().contains(&address) == is_there
        });
    }
}

/// A task that starts at this moment; the clock of the built-in Marathon is another one.
fn starting(backend: &Backend) -> Task {
    let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    Task::local(backend.port()).field("startedAt", json!(now))
}

fn answers(client: &Client, of: &Backend) -> u64 {
    client.report().answers_of(of.name())
}

/// So many more answers come, of whoever.
fn asks_on(client: &Client, more: u64) {
    let before = client.report().answered;
    wait_until("more answers", || client.report().answered >= before + more);
}

/// As Marathon does it: a new task, its word that it is ready, an old one less; and in the midst a new
/// leader, who knows of no results.
#[test]
fn old_tasks_serve_until_new_ones_are_ready_whoever_leads() {
    let scene = Scene::new();
    let marathon = &scene.marathon;
    let olds = ["old-0", "old-1"].map(|name| Instance::http(name).start().unwrap());
    let news = ["new-0", "new-1"].map(|name| Instance::http(name).start().unwrap());
    let local = |backend: &Backend| Task::local(backend.port());
    let first = scene.app().task(local(&olds[0])).task(local(&olds[1]));
    marathon.deploy(first);
    let app = marathon.app("/web").unwrap();
    let old_ids: Vec<String> = app
        .tasks()
        .iter()
        .map(|task| task.id().to_owned())
        .collect();
    let watcher = scene.watcher(&[]);
    watcher.says("installed `");
    block_on(marathon.wait_event_streams(1, SOON)).unwrap();
    let client = scene.requests();
    asks_on(&client, 50);

    let new_ids = marathon.roll_out(
        scene
            .app()
            .label("A", "b")
            .task(starting(&news[0]))
            .task(starting(&news[1])),
    );
    // Before anything is known of them, and while it is no.
    asks_on(&client, 100);
    for id in &new_ids {
        marathon.set_ready(id, Some(false)).unwrap();
    }
    watcher.send(Signal::SIGHUP);
    asks_on(&client, 100);

    // The first is ready, and takes the place of an old one.
    marathon.set_ready(&new_ids[0], Some(true)).unwrap();
    marathon.begin_kill(&old_ids[0]).unwrap();
    scene.wait_for(&news[0], true);
    scene.wait_for(&olds[0], false);
    wait_until("an answer of the first new task", || {
        answers(&client, &news[0]) > 0
    });
    marathon.end_task(&old_ids[0], TaskState::Killed).unwrap();
    asks_on(&client, 100);
    assert_eq!(answers(&client, &news[1]), 0);

    // Another leader: no results, and the stream of events begins anew.
    let before = marathon.requests("/v2/apps");
    marathon.lead();
    block_on(marathon.wait_requests("/v2/apps", before + 1, SOON)).unwrap();
    asks_on(&client, 200);
    for (backend, is_there) in [(&olds[1], true), (&news[0], true), (&news[1], false)] {
        scene.wait_for(backend, is_there);
    }
    // It asks them anew, and is not content at once.
    for id in &new_ids {
        marathon.set_ready(id, Some(false)).unwrap();
    }
    let before = marathon.requests("/v2/apps");
    watcher.send(Signal::SIGHUP);
    block_on(marathon.wait_requests("/v2/apps", before + 1, SOON)).unwrap();
    asks_on(&client, 200);
    scene.wait_for(&news[0], true);
    assert_eq!(answers(&client, &news[1]), 0);

    for id in &new_ids {
        marathon.set_ready(id, Some(true)).unwrap();
    }
    marathon.begin_kill(&old_ids[1]).unwrap();
    scene.wait_for(&news[1], true);
    scene.wait_for(&olds[1], false);
    marathon.end_task(&old_ids[1], TaskState::Killed).unwrap();
    marathon.finish("/web").unwrap();
    wait_until("an answer of the second new task", || {
        answers(&client, &news[1]) > 0
    });
    asks_on(&client, 100);
    let report = block_on(client.stop());
    assert_eq!(report.failed(), 0, "{report}");
}

/// The first deployment: nobody is served who is not ready, and no event tells who is.
#[test]
fn an_app_whose_tasks_are_not_ready_is_not_served_until_one_is() {
    let scene = Scene::new();
    let marathon = &scene.marathon;
    let backend = Instance::http("first").start().unwrap();
    let app = scene.app().task(Task::local(backend.port()));
    let task = marathon.roll_out(app).remove(0);
    marathon.set_ready(&task, Some(false)).unwrap();
    let other = Instance::http("other").start().unwrap();
    marathon.deploy(
        App::new("/other")
            .service_port(free_ports(1).unwrap()[0])
            .label("HAPROXY_0_BIND_ADDR", "127.0.0.1")
            .task(Task::local(other.port())),
    );
    let watcher = scene.watcher(&[]);
    watcher.says("installed `");
    scene.wait_for(&other, true);
    scene.wait_for(&backend, false);
    marathon.set_ready(&task, Some(true)).unwrap();
    marathon.finish("/web").unwrap();
    scene.wait_for(&backend, true);
    let client = scene.requests();
    asks_on(&client, 10);
    let report = block_on(client.stop());
    assert_eq!(report.answers_of("first"), report.answered, "{report}");
}

/// `refresh` remembers between its runs what Marathon said, and so does not depend on one leader.
#[test]
fn what_was_said_of_readiness_outlives_a_run() {
    let scene = Scene::new();
    let marathon = &scene.marathon;
    let old = Instance::http("old").start().unwrap();
    let new = Instance::http("new").start().unwrap();
    marathon.deploy(scene.app().task(Task::local(old.port())));
    let refresh = || scene.host.refresh(&[marathon.url()], &[]).expect(0);
    refresh();
    let task = marathon
        .roll_out(scene.app().task(Task::local(new.port())))
        .remove(0);
    marathon.set_ready(&task, Some(false)).unwrap();
    refresh();
    scene.wait_for(&new, false);
    let look = scene.host.look("check", &[marathon.url()]).expect(0);
    let waits = "; 1 task of `/web` waits for its readiness check";
    assert!(look.stdout.contains(waits), "{}", look.stdout);
    marathon.lead();
    refresh();
    scene.wait_for(&new, false);
    scene.wait_for(&old, true);
    marathon.set_ready(&task, Some(true)).unwrap();
    refresh();
    scene.wait_for(&new, true);
    let asked = marathon.seen().pop().unwrap().query;
    assert_eq!(
        asked,
        "embed=apps.tasks&embed=apps.deployments&embed=apps.readiness"
    );
    Host::labelled(free_ports(1).unwrap()[0]).refresh(&[marathon.url()], &[]);
    assert_eq!(marathon.seen().pop().unwrap().query, "embed=apps.tasks");
}
