//! `refresh` and `watch`, which tell HAProxy of tasks that come and go.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use haproxy_marathon_bridge::demo::backend::{Backend, Instance};
use haproxy_marathon_bridge::demo::client::{Client, Requests};
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Era, Marathon, Task};
use haproxy_marathon_bridge::haproxy::servers::states;
use haproxy_marathon_bridge::haproxy::socket::ask;

use super::{LONG, instance};
use crate::host::{Host, SOON, block_on, wait_until};
use crate::support::{Done, haproxy};

/// A cluster, and the host that serves it at `web.test`.
struct Scene {
    host: Host,
    marathon: Marathon,
    http: u16,
    backends: Vec<Backend>,
}

impl Scene {
    /// Of one task.
    fn new(labels: &[(&str, &str)]) -> Self {
        let free = free_ports(2).unwrap();
        let app = App::new("/web")
            .service_port(free[1])
            .label("HAPROXY_0_VHOST", "web.test")
            .label("HAPROXY_0_BIND_ADDR", "127.0.0.1");
        let labelled = |app: App, (name, value): &(&str, &str)| app.label(name, value);
        let app = labels.iter().fold(app, labelled);
        let first = instance("t0");
        let marathon = Marathon::start(Era::V1_8).unwrap();
        marathon.deploy(app.task(Task::local(first.port())));
        Self {
            host: Host::native(free[0]),
            marathon,
            http: free[0],
            backends: vec![first],
        }
    }

    /// One more task; its name.
    fn scale_up(&mut self) -> (String, String) {
        let name = format!("t{}", self.backends.len());
        let backend = Instance::http(&name).start().unwrap();
        let task = Task::local(backend.port());
        self.backends.push(backend);
        let id = self.marathon.scale_up("/web", [task]).unwrap().remove(0);
        (name, id)
    }

    fn refresh(&self, more: &[&str]) -> Done {
        self.host.refresh(&[self.marathon.url()], more)
    }

    fn client(&self) -> Client {
        let target = ([127, 0, 0, 1], self.http).into();
        let requests = Requests::http(target).host("web.test").workers(4);
        let requests = requests.keep_alive().timeout(LONG);
        requests.pause(Duration::from_millis(2)).start().unwrap()
    }

    fn is_answered_by(&self, names: &[&str]) {
        let client = self.client();
        block_on(client.answered_by_each(names, LONG)).unwrap();
        let report = block_on(client.stop());
        assert_eq!(report.failed(), 0, "{report}");
        let others = report
            .instances
            .keys()
            .filter(|name| !names.contains(&name.as_str()));
        assert_eq!(others.count(), 0, "{report:?}");
    }

    fn servers(&self) -> usize {
        let socket = self.host.path("run/admin.sock");
        let reply = block_on(ask(&socket, "show servers state", LONG)).unwrap();
        let states = states(&reply).unwrap();
        states
            .iter()
            .filter(|state| state.backend.starts_with("web_"))
            .count()
    }
}

const TOLD: &str = "1 server changed at runtime";

#[test]
fn a_refresh_tells_haproxy_of_tasks_that_came_or_went() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    let (name, id) = scene.scale_up();
    scene.refresh(&[]).expect(0).says(&["servers 1 → 2", TOLD]);
    scene.is_answered_by(&["t0", &name]);
    assert_eq!(scene.host.state()["applied"]["how"], TOLD);
    assert_eq!(scene.host.state()["applied"]["haproxy_pid"], pid);
    let quiet = scene.host.untouched(|| scene.refresh(&[]).expect(0));
    assert_eq!(quiet.stderr, "");
    scene.host.status().expect(0);

    scene.marathon.fail_task(&id).unwrap();
    scene.refresh(&[]).expect(0).says(&["servers 2 → 1", TOLD]);
    scene.is_answered_by(&["t0"]);
    assert_eq!(scene.servers(), 1);
    assert_eq!(scene.host.haproxies(), [pid]);
    // Whoever starts HAProxy has the same.
    scene.host.kill();
    scene.refresh(&[]).expect(0).says(&["HAProxy was started"]);
    scene.is_answered_by(&["t0"]);
}

#[test]
fn with_off_haproxy_is_reloaded_for_every_change() {
    let mut scene = Scene::new(&[]);
    let off = ["--runtime-api", "off"];
    scene.refresh(&off).expect(0);
    let pid = scene.host.pid();
    scene.scale_up();
    scene.refresh(&off).expect(0).says(&["took over"]);
    assert_ne!(scene.host.pid(), pid);
    scene.is_answered_by(&["t0", "t1"]);
}

/// HAProxy 2.6 takes no cookie for a server that is added.
#[test]
fn what_cannot_be_told_is_brought_by_a_reload_and_the_reason_is_said() {
    let mut scene = Scene::new(&[("HAPROXY_0_STICKY", "true")]);
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    let (_, id) = scene.scale_up();
    let why = ["a reload is needed", "takes no `cookie`", "took over"];
    scene.refresh(&[]).expect(0).says(&why);
    assert_ne!(scene.host.pid(), pid);
    scene.is_answered_by(&["t0", "t1"]);
    // Nothing keeps it from being told of one that goes.
    let pid = scene.host.pid();
    scene.marathon.fail_task(&id).unwrap();
    scene.refresh(&[]).expect(0).says(&[TOLD]);
    assert_eq!(scene.host.pid(), pid);
    scene.is_answered_by(&["t0"]);
}

#[test]
fn a_change_of_more_than_servers_is_brought_by_a_reload() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    scene.scale_up();
    let balance = |app: App| app.label("HAPROXY_0_BALANCE", "leastconn");
    scene.marathon.change_app("/web", balance).unwrap();
    scene
        .refresh(&[])
        .expect(0)
        .says(&["backend web", "took over"]);
    assert_ne!(scene.host.pid(), pid);
}

#[test]
fn a_socket_that_is_gone_costs_a_reload_and_nothing_else() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    fs::remove_file(scene.host.path("run/admin.sock")).unwrap();
    scene.scale_up();
    let done = scene.refresh(&[]).expect(0);
    done.says(&["a reload is needed", "admin.sock", "took over"]);
    scene.is_answered_by(&["t0", "t1"]);
    scene.scale_up();
    scene.refresh(&[]).expect(0).says(&[TOLD]);
}

/// Others may have told the process before something that the next one never heard.
#[test]
fn a_process_that_somebody_else_reloaded_is_told_of_all_that_differs() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    scene.scale_up();
    scene.refresh(&[]).expect(0).says(&[TOLD]);
    let old = scene.host.pid();
    let mut reload = Command::new(haproxy());
    reload.arg("-D").arg("-f").arg(scene.host.cfg());
    reload.arg("-p").arg(scene.host.path("run/pid"));
    reload.args(["-sf", &old.to_string()]);
    Done::of(reload).expect(0);
    wait_until("the end of the old process", || {
        !scene.host.haproxies().contains(&old)
    });
    let pid = scene.host.pid();
    scene.is_answered_by(&["t0", "t1"]);
    scene.scale_up();
    scene.refresh(&[]).expect(0).says(&[TOLD]);
    assert_eq!(scene.host.haproxies(), [pid]);
    scene.is_answered_by(&["t0", "t1", "t2"]);
}

/// A kill between the file and the socket leaves a file that HAProxy was not brought to.
#[test]
fn a_turn_that_was_broken_off_is_made_good_by_a_reload() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    let path = scene.host.path("run/admin.sock");
    // Nobody answers, and the turn waits.
    let hidden = scene.host.path("run/hidden.sock");
    fs::rename(&path, &hidden).unwrap();
    let silent = std::os::unix::net::UnixListener::bind(&path).unwrap();
    scene.scale_up();
    let url = [scene.marathon.url()];
    let mut command = scene.host.refresh_command(&url, &[]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let (stream, _) = silent.accept().unwrap();
    assert!(
        scene
            .host
            .installed()
            .contains(&scene.backends[1].address().to_string())
    );
    child.kill().unwrap();
    child.wait().unwrap();
    drop((stream, silent));
    fs::remove_file(&path).unwrap();
    fs::rename(&hidden, &path).unwrap();
    scene.refresh(&[]).expect(0).says(&["took over"]);
    scene.is_answered_by(&["t0", "t1"]);
}

/// A watcher that ends with its test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a watcher says.
fn lines(child: &mut Child) -> Receiver<String> {
    let log = BufReader::new(child.stderr.take().unwrap());
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

#[track_caller]
fn says(lines: &Receiver<String>, part: &str) {
    let mut all = Vec::new();
    loop {
        match lines.recv_timeout(SOON) {
            Ok(line) if line.contains(part) => return,
            Ok(line) => all.push(line),
            Err(error) => panic!("`{part}`: {error}; it said {all:#?}"),
        }
    }
}

/// `retries 0`, so that HAProxy does not make up for us.
fn without_retries(template: &Path) {
    let text = fs::read_to_string(template).unwrap();
    assert!(text.contains("  retries 3\n") && text.contains("  retry-on "));
    let kept = text.lines().filter(|line| !line.contains("retry-on"));
    let text: Vec<&str> = kept.collect();
    let text = text.join("\n").replace("  retries 3", "  retries 0");
    fs::write(template, text).unwrap();
}

#[test]
fn a_watcher_follows_tasks_without_a_reload_and_loses_no_request() {
    let mut scene = Scene::new(&[]);
    without_retries(&scene.host.path("templates/fragments/head.cfg.tera"));
    let mut command = scene
        .host
        .watch_command(&[scene.marathon.url()], &["--debounce", "5ms:50ms"]);
    let mut child = Ending(command.stderr(Stdio::piped()).spawn().unwrap());
    let said = lines(&mut child.0);
    says(&said, "installed `");
    let pid = scene.host.pid();
    block_on(scene.marathon.wait_event_streams(1, SOON)).unwrap();
    let client = scene.client();
    let mut ids = Vec::new();
    for _ in 0..10 {
        let (name, id) = scene.scale_up();
        says(&said, TOLD);
        block_on(client.answered_by_each(&[&name], LONG)).unwrap();
        ids.push(id);
        if ids.len() > 2 {
            // Its process goes on: what counts here is that nobody is sent to one that is gone.
            scene.marathon.fail_task(&ids.remove(0)).unwrap();
            says(&said, TOLD);
        }
    }
    assert_eq!(scene.host.haproxies(), [pid]);
    let report = block_on(client.stop());
    assert_eq!(report.failed(), 0, "{report}: {:?}", report.incidents);
    assert_eq!(scene.servers(), 3);
}
