//! A check that HAProxy does not end keeps nobody waiting but those whom it is about.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use haproxy_marathon_bridge::demo::backend::Instance;
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};

use super::cluster::{Scene, TOLD, Watcher, on_loopback};
use crate::host::{Host, wait_until, wait_within};
use crate::support::{Done, haproxy};
use crate::watch::servers::checks;

/// A HAProxy that is at the check of a file with `/late` until somebody says `go`.
pub(super) fn slow(host: &Host) -> String {
    let go = host.path("go");
    let waits = format!("while [ ! -e {} ]; do sleep 0.1; done", go.display());
    late_in(host, &waits)
}

/// One that does this first where the file has `/late`.
fn late_in(host: &Host, first: &str) -> String {
    let only = format!("if grep -q 'backend late' \"$3\"; then\n    {first}\n  fi");
    late(host, &only)
}

/// One whose checks do not end while there is a file `hang`, whatever they are of.
pub(super) fn hanging(host: &Host) -> String {
    let hang = host.path("hang");
    let waits = format!("while [ -e {} ]; do sleep 0.1; done", hang.display());
    late(host, &waits)
}

/// One whose checks are counted, and do this first.
pub(super) fn late(host: &Host, first: &str) -> String {
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *-c*)\n  echo check >>{checks}\n  {first};;\nesac\n\
         exec {real} \"$@\"\n",
        checks = host.path("checks").display(),
        real = haproxy().display(),
    );
    let program = host.write("slow", &script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program.display().to_string()
}

pub(super) fn deploy_late(scene: &Scene) {
    let app = on_loopback("/late").task(Task::local(1));
    scene.marathon.deploy(app);
}

/// A task more, and gone again.
pub(super) fn come_and_go(scene: &mut Scene, watcher: &Watcher) {
    let (name, id) = scene.scale_up();
    watcher.says(TOLD);
    scene.is_answered_by(&["t0", &name]);
    scene.marathon.fail_task(&id).unwrap();
    watcher.says(TOLD);
}

/// Somebody edits what all of the file is about, and HAProxy takes long to look at it.
fn edit(scene: &Scene, watcher: &Watcher) {
    let head = scene.host.path("templates/fragments/head.cfg.tera");
    let text = fs::read_to_string(&head).unwrap();
    fs::write(&head, text.replace("  retries 3", "  retries 2")).unwrap();
    watcher.says(GOES_ON);
}

pub(super) const GOES_ON: &str = "takes long and goes on to look at the new one";

#[test]
fn tasks_come_and_go_at_runtime_while_a_check_goes_on() {
    let mut scene = Scene::new(&[]);
    let haproxy = slow(&scene.host);
    let watcher = Watcher::start(&scene, &["--haproxy", &haproxy, "--resync", "1h"]);
    let pid = scene.host.pid();
    deploy_late(&scene);
    watcher.says(GOES_ON);
    let checked = checks(&scene.host);

    let (name, id) = scene.scale_up();
    watcher.says(TOLD);
    assert_eq!(checks(&scene.host), checked, "nothing runs on the way");
    scene.is_answered_by(&["t0", &name]);
    scene.marathon.fail_task(&id).unwrap();
    watcher.says(TOLD);
    assert_eq!(scene.host.haproxies(), [pid]);
    scene.is_answered_by(&["t0"]);
    assert!(!scene.host.installed().contains("backend late"));

    // And what waited is installed with the tasks of now.
    let (name, _) = scene.scale_up();
    watcher.says(TOLD);
    fs::write(scene.host.path("go"), "").unwrap();
    watcher.says("took over");
    assert!(scene.host.installed().contains("backend late"));
    scene.is_answered_by(&["t0", &name]);
    watcher.end();
}

#[test]
fn what_was_checked_beside_is_not_checked_again() {
    let scene = Scene::new(&[]);
    let haproxy = slow(&scene.host);
    let watcher = Watcher::start(&scene, &["--haproxy", &haproxy, "--resync", "1h"]);
    let checked = checks(&scene.host);
    deploy_late(&scene);
    watcher.says(GOES_ON);
    fs::write(scene.host.path("go"), "").unwrap();
    watcher.says("took over");
    assert_eq!(checks(&scene.host), checked + 1);
    assert!(scene.host.installed().contains("backend late"));
    wait_until("a good status", || scene.host.status().status.success());
    watcher.end();
}

/// What Marathon tells in one answer is parted.
#[test]
fn tasks_that_came_with_what_is_checked_do_not_wait_for_it() {
    let mut scene = Scene::new(&[]);
    let haproxy = slow(&scene.host);
    let watcher = Watcher::start(&scene, &["--haproxy", &haproxy, "--resync", "1h"]);
    let pid = scene.host.pid();
    scene.marathon.down();
    deploy_late(&scene);
    let (name, _) = scene.scale_up();
    scene.marathon.up().unwrap();
    watcher.says("servers alone, while the rest has to wait: 1 server changed at runtime");
    scene.is_answered_by(&["t0", &name]);
    assert!(!scene.host.installed().contains("backend late"));
    // From then on they are followed as ever.
    let (next, _) = scene.scale_up();
    watcher.says(TOLD);
    scene.is_answered_by(&["t0", &name, &next]);
    assert_eq!(scene.host.haproxies(), [pid]);
    watcher.end();
}

/// HAProxy refuses all of it at once, and looks at what is left of it for longer than a turn waits.
#[test]
fn what_is_left_of_a_refused_file_is_installed_however_long_its_check_takes() {
    let mut scene = Scene::new(&[]);
    let haproxy = late_in(&scene.host, "grep -q bogus \"$3\" || sleep 6");
    let flags = ["--haproxy", &haproxy, "--resync", "1h"];
    let watcher = Watcher::start(
        &scene,
        &[&flags[..], &["--template-labels", "all"]].concat(),
    );
    scene.marathon.down();
    let bad = on_loopback("/bad").label("HAPROXY_0_MODE", "http");
    let bad = bad.label("HAPROXY_0_BACKEND_HTTP_OPTIONS", "  bogus\n");
    scene.marathon.deploy(bad.task(Task::local(1)));
    deploy_late(&scene);
    scene.marathon.up().unwrap();
    let words = watcher.says("took over");
    let installed = scene.host.installed();
    assert!(
        installed.contains("backend late") && !installed.contains("backend bad"),
        "{words:#?}\n{installed}"
    );
    watcher.end();
}

/// Longer than a check is waited for, and than it takes to give up who is to blame.
#[test]
fn tasks_are_followed_however_long_every_check_hangs() {
    let mut scene = Scene::new(&[]);
    let haproxy = hanging(&scene.host);
    let desk = scene.host.path("run/desk.sock").display().to_string();
    let flags = ["--haproxy", &haproxy, "--admin-socket", &desk];
    let watcher = Watcher::start(&scene, &[&flags[..], &["--resync", "1h"]].concat());
    let status = |scene: &Scene| {
        let mut command = scene.host.status_command();
        command.args(["--admin-socket", &desk]);
        Done::of(command)
    };
    let pid = scene.host.pid();
    fs::write(scene.host.path("hang"), "").unwrap();
    deploy_late(&scene);
    watcher.says(GOES_ON);
    let follow = |scene: &mut Scene| {
        come_and_go(scene, &watcher);
        scene.is_answered_by(&["t0"]);
        assert_eq!(scene.host.haproxies(), [pid]);
    };
    follow(&mut scene);
    status(&scene).expect(0);
    // And that it does not end is no secret.
    let is_bad = || !status(&scene).status.success();
    wait_within(2 * Duration::from_secs(60), "a bad status", is_bad);
    status(&scene).prints(&["does not come to an end", "checking      `haproxy -c`"]);
    follow(&mut scene);
    let is_refused = || scene.host.state()["last_turn"]["outcome"] == "rejected";
    wait_within(Duration::from_secs(60), "a refusal", is_refused);
    follow(&mut scene);
    status(&scene).expect(1);

    fs::remove_file(scene.host.path("hang")).unwrap();
    watcher.says("took over");
    assert!(scene.host.installed().contains("backend late"));
    wait_until("a good status", || status(&scene).status.success());
    scene.is_answered_by(&["t0"]);
    watcher.end();
}

/// A certificate that a section of the operator's names: once it is broken, HAProxy refuses every file.
pub(super) struct Certificate {
    path: PathBuf,
    good: Vec<u8>,
}

impl Certificate {
    pub(super) fn of(scene: &Scene) -> Self {
        let host = &scene.host;
        let pem = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificate.pem");
        let good = fs::read(pem).unwrap();
        let path = host.path("own.pem");
        fs::write(&path, &good).unwrap();
        let head = host.path("templates/fragments/head.cfg.tera");
        let section = format!(
            "\nlisten tls\n  bind 127.0.0.1:{port} ssl crt {}\n  mode tcp\n",
            path.display(),
            port = free_ports(1).unwrap()[0],
        );
        let text = fs::read_to_string(&head).unwrap();
        fs::write(head, text + &section).unwrap();
        Self { path, good }
    }

    pub(super) fn is_broken(&self) {
        fs::write(&self.path, "no certificate").unwrap();
    }

    pub(super) fn is_mended(&self) {
        fs::write(&self.path, &self.good).unwrap();
    }
}

/// What is told of it.
pub(super) const REFUSES: &str = "`haproxy -c` refuses the new file";

#[test]
fn tasks_are_followed_while_haproxy_refuses_whatever_is_wanted() {
    let mut scene = Scene::new(&[]);
    let certificate = Certificate::of(&scene);
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    let pid = scene.host.pid();
    certificate.is_broken();
    deploy_late(&scene);
    watcher.says(REFUSES);
    for _ in 0..3 {
        come_and_go(&mut scene, &watcher);
        // Servers are no reason to call it well, nor to forget what is to be tried again.
        scene.host.status().expect(1).prints(&["own.pem"]);
    }
    scene.is_answered_by(&["t0"]);
    assert_eq!(scene.host.haproxies(), [pid]);

    certificate.is_mended();
    watcher.says("took over");
    assert!(scene.host.installed().contains("backend late"));
    wait_until("a good status", || scene.host.status().status.success());
    scene.is_answered_by(&["t0"]);
    watcher.end();
}

/// A turn that begins anew, as after a start of the watcher, has nothing that it could go on from.
#[test]
fn one_who_starts_while_files_are_refused_follows_tasks_too() {
    let mut scene = Scene::new(&[]);
    let certificate = Certificate::of(&scene);
    scene.refresh(&[]).expect(0);
    certificate.is_broken();
    deploy_late(&scene);
    let (name, id) = scene.scale_up();
    scene
        .refresh(&[])
        .expect(1)
        .says(&["servers alone, while the rest has to wait: 1 server changed at runtime"]);
    scene.is_answered_by(&["t0", &name]);
    scene.marathon.fail_task(&id).unwrap();
    let watcher = Watcher::start_where(&scene, &[], None, REFUSES);
    scene.is_answered_by(&["t0"]);
    let (name, _) = scene.scale_up();
    watcher.says(TOLD);
    scene.is_answered_by(&["t0", &name]);
    watcher.end();
}

/// An edit that is looked at costs nobody his tasks, and waits for HAProxy and not for Marathon.
#[test]
fn an_edit_whose_check_goes_on_keeps_no_task_waiting() {
    let mut scene = Scene::new(&[]);
    let haproxy = hanging(&scene.host);
    let watcher = Watcher::start(&scene, &["--haproxy", &haproxy, "--resync", "1h"]);
    fs::write(scene.host.path("hang"), "").unwrap();
    edit(&scene, &watcher);
    let (name, _) = scene.scale_up();
    watcher.says(TOLD);
    scene.is_answered_by(&["t0", &name]);
    scene.marathon.down();
    fs::remove_file(scene.host.path("hang")).unwrap();
    let words = watcher.says("took over");
    let waits = words.iter().find(|line| line.contains("wait for Marathon"));
    assert_eq!(waits, None);
    assert!(scene.host.installed().contains("retries 2"));
    watcher.end();
}

/// What was told and never checked is known after a kill.
#[test]
fn a_watcher_that_is_killed_while_something_waits_goes_on_from_there() {
    let mut scene = Scene::new(&[]);
    let haproxy = hanging(&scene.host);
    let flags = ["--haproxy", &haproxy, "--resync", "1h"];
    let mut watcher = Watcher::start(&scene, &flags);
    fs::write(scene.host.path("hang"), "").unwrap();
    deploy_late(&scene);
    watcher.says(GOES_ON);
    let (name, id) = scene.scale_up();
    watcher.says(TOLD);
    scene.is_answered_by(&["t0", &name]);
    watcher.kill();
    scene.is_left();
    scene.marathon.fail_task(&id).unwrap();
    let watcher = Watcher::start_where(&scene, &flags, None, GOES_ON);
    scene.is_answered_by(&["t0"]);
    let (next, _) = scene.scale_up();
    watcher.says(TOLD);
    scene.is_answered_by(&["t0", &next]);

    // And a HAProxy that ends is started with just that.
    scene.host.kill();
    watcher.says("HAProxy had ended, and was brought to the files that it ran");
    scene.is_answered_by(&["t0", &next]);
    watcher.end();
}

/// Their ports may be those of other tasks soon.
#[test]
fn who_is_deleted_while_something_waits_gets_no_more_requests() {
    let mut scene = Scene::new(&[]);
    let other = Instance::http("other").start().unwrap();
    let app = on_loopback("/other").task(Task::local(other.port()));
    scene.marathon.deploy(app);
    let certificate = Certificate::of(&scene);
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    assert!(scene.serves_other_at(other.port()));
    certificate.is_broken();
    deploy_late(&scene);
    watcher.says(REFUSES);
    scene.marathon.remove_app("/other").unwrap();
    watcher.says("servers alone, while the rest has to wait");
    assert!(!scene.serves_other_at(other.port()));
    // All others are followed as before.
    let (name, _) = scene.scale_up();
    watcher.says(TOLD);
    scene.is_answered_by(&["t0", &name]);
    watcher.end();
    // So it is where nothing is known but the text.
    drop(other);
    scene.marathon.remove_app("/web").unwrap();
    scene.refresh(&["--allow-removal"]).expect(1);
    assert_eq!(scene.servers(), 0);
}

/// It is no doubt about what is in service.
#[test]
fn an_app_that_changes_beside_an_edit_that_is_checked_keeps_no_task_waiting() {
    let mut scene = Scene::new(&[]);
    scene
        .marathon
        .deploy(on_loopback("/other").task(Task::local(1)));
    let haproxy = hanging(&scene.host);
    let watcher = Watcher::start(&scene, &["--haproxy", &haproxy, "--resync", "1h"]);
    fs::write(scene.host.path("hang"), "").unwrap();
    edit(&scene, &watcher);
    let least = |app: App| app.label("HAPROXY_0_BALANCE", "leastconn");
    scene.marathon.change_app("/other", least).unwrap();
    watcher.says("backend other_");
    for _ in 0..2 {
        come_and_go(&mut scene, &watcher);
    }
    fs::remove_file(scene.host.path("hang")).unwrap();
    watcher.says("took over");
    watcher.end();
}

/// They are to be written in other words, and nobody has checked these.
#[test]
fn no_server_goes_since_more_is_to_be_said_of_it() {
    let mut scene = Scene::new(&[]);
    let certificate = Certificate::of(&scene);
    scene.refresh(&[]).expect(0);
    certificate.is_broken();
    scene.marathon.change_app("/web", App::tcp_check).unwrap();
    let (name, id) = scene.scale_up();
    scene.refresh(&[]).expect(1);
    scene.is_answered_by(&["t0", &name]);
    scene.marathon.fail_task(&id).unwrap();
    scene.refresh(&[]).expect(1);
    scene.is_answered_by(&["t0"]);
    assert!(!scene.host.installed().contains(" check "));
}

/// Its tasks are the same, and its new section has to wait.
#[test]
fn an_app_that_moves_to_another_service_port_is_served_by_its_old_one_meanwhile() {
    let mut scene = Scene::new(&[]);
    // Whoever is the only one is not given up at once.
    for id in ["/a", "/b", "/c"] {
        scene.marathon.deploy(on_loopback(id).task(Task::local(1)));
    }
    let certificate = Certificate::of(&scene);
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    certificate.is_broken();
    let moved = free_ports(1).unwrap()[0].to_string();
    let change = |app: App| app.label("HAPROXY_0_PORT", &moved);
    scene.marathon.change_app("/web", change).unwrap();
    watcher.says(REFUSES);
    scene.is_answered_by(&["t0"]);
    let (name, _) = scene.scale_up();
    watcher.says("1 server changed at runtime");
    scene.is_answered_by(&["t0", &name]);
    watcher.end();
    // So it is for one who starts only now.
    let (next, _) = scene.scale_up();
    scene.refresh(&[]).expect(1);
    scene.is_answered_by(&["t0", &name, &next]);
}

/// Its tasks listen elsewhere, and the service port behind it stands in its place.
#[test]
fn a_service_port_that_went_does_not_lead_to_the_next_of_its_app_meanwhile() {
    let scene = Scene::new(&[]);
    let ports = free_ports(5).unwrap();
    let local = |mut app: App, ports: &[u16]| {
        for (index, port) in ports.iter().enumerate() {
            app = app.service_port(*port);
            app = app.label(&format!("HAPROXY_{index}_BIND_ADDR"), "127.0.0.1");
        }
        app
    };
    for (id, port) in ["/a", "/b", "/c"].iter().zip(&ports[2..]) {
        let app = local(App::new(id), &[*port]);
        scene.marathon.deploy(app.task(Task::local(1)));
    }
    let both = local(App::new("/two"), &ports[..2]);
    scene.marathon.deploy(both.task(Task::local(2).port(3)));
    let certificate = Certificate::of(&scene);
    let watcher = Watcher::start(&scene, &["--resync", "1h"]);
    certificate.is_broken();
    let one = local(App::new("/two"), &ports[1..2]);
    scene.marathon.deploy(one.task(Task::local(4)));
    watcher.says("`haproxy -c` refuses the new file");
    let installed = scene.host.installed();
    let servers_of = |port: u16| {
        let (_, section) = installed
            .split_once(&format!("\nbackend two_{port}\n"))
            .unwrap();
        let section = section.split("\nbackend ").next().unwrap();
        let servers = section.lines().map(str::trim);
        let servers = servers.filter(|line| line.starts_with("server "));
        servers.map(str::to_owned).collect::<Vec<_>>()
    };
    let servers = servers_of(ports[0]);
    let is_next = |line: &String| line.contains("127.0.0.1:4 ");
    assert!(!servers.iter().any(is_next), "{servers:?}");
    watcher.end();
}
