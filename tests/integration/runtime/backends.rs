//! Whole apps that come and go: HAProxy from 3.4 on is told of their backends, older ones are reloaded.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Duration;

use haproxy_marathon_bridge::apply::runtime::{
    Fallback, Limits, MapText, Serving, Text, Told, tell,
};
use haproxy_marathon_bridge::demo::client::{Client, Requests};
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};
use haproxy_marathon_bridge::haproxy::socket::ask;
use haproxy_marathon_bridge::haproxy::structure_hash;

use super::cluster::{Scene, Watcher, without_retries};
use super::{LONG, instance};
use crate::host::block_on;
use crate::support::{Done, haproxy_version};

/// The file for a HAProxy that can be told, whichever one runs: what it is able to do is found out.
const FOR_3_4: [&str; 2] = ["--no-service-ports", "--haproxy-version=3.4"];

pub(super) fn can_be_told() -> bool {
    haproxy_version().adds_backends()
}

pub(super) fn deploy(scene: &mut Scene, id: &str, more: impl FnOnce(App) -> App) {
    let name = id.trim_start_matches('/');
    let backend = instance(name);
    let app = App::new(id)
        .service_port(free_ports(1).unwrap()[0])
        .label("HAPROXY_0_VHOST", &format!("{name}.test"))
        .label("HAPROXY_0_BIND_ADDR", "127.0.0.1");
    let app = more(app).task(Task::local(backend.port()));
    scene.marathon.deploy(app);
    scene.backends.push(backend);
}

pub(super) fn client(scene: &Scene, host: &str) -> Client {
    let target = ([127, 0, 0, 1], scene.http).into();
    let requests = Requests::http(target).host(host).workers(2).keep_alive();
    let requests = requests.pause(Duration::from_millis(1)).timeout(LONG);
    requests.start().unwrap()
}

#[track_caller]
pub(super) fn is_served(scene: &Scene, host: &str, by: &str) {
    let client = client(scene, host);
    block_on(client.answered_by_each(&[by], LONG)).unwrap();
    let report = block_on(client.stop());
    assert_eq!(report.failed(), 0, "{report}");
}

pub(super) fn say(scene: &Scene, command: &str) -> String {
    let socket = scene.host.path("run/admin.sock");
    block_on(ask(&socket, command, LONG)).unwrap()
}

fn listed(scene: &Scene, app: &str) -> bool {
    let begin = format!("{app}_");
    let backends = say(scene, "show backend");
    backends.lines().any(|name| name.starts_with(&begin))
}

/// A turn that brings or takes backends: at runtime where HAProxy can be told, else by a reload that
/// says why.
#[track_caller]
fn turn(scene: &Scene, told: &str) -> Done {
    let pid = scene.host.pid();
    let done = scene.refresh(&FOR_3_4).expect(0);
    if can_be_told() {
        assert_eq!(scene.host.haproxies(), [pid]);
        done.says(&[told, "changed at runtime"])
    } else {
        assert_ne!(scene.host.pid(), pid);
        done.says(&[
            "a reload is needed, since backends cannot be changed at runtime",
            "before 3.4 HAProxy takes away no backend",
            "took over",
        ])
    }
}

#[test]
fn an_app_comes_and_goes_as_far_as_haproxy_can_be_told() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&FOR_3_4).expect(0);
    deploy(&mut scene, "/other", |app| app);
    let done = turn(&scene, "1 backend, 1 server and 2 maps");
    done.says(&["backend other_", " is new"]);
    is_served(&scene, "other.test", "other");
    is_served(&scene, "web.test", "t0");
    let quiet = scene.host.untouched(|| scene.refresh(&FOR_3_4).expect(0));
    assert_eq!(quiet.stderr, "");
    // It is a backend as all others.
    let more = instance("more");
    scene
        .marathon
        .scale_up("/other", [Task::local(more.port())])
        .unwrap();
    let pid = scene.host.pid();
    let done = scene.refresh(&FOR_3_4).expect(0);
    done.says(&["servers 1 → 2", "1 server changed at runtime"]);
    is_served(&scene, "other.test", "more");
    assert_eq!(scene.host.haproxies(), [pid]);
    // Whoever starts HAProxy has the same.
    scene.host.kill();
    let done = scene.refresh(&FOR_3_4).expect(0);
    done.says(&["HAProxy was started"]);
    is_served(&scene, "other.test", "other");

    scene.marathon.remove_app("/other").unwrap();
    if can_be_told() {
        turn(&scene, "1 backend, 2 servers and 2 maps");
    } else {
        // Who is left over harms nobody.
        scene.refresh(&FOR_3_4).expect(0).says(&["is gone"]);
    }
    assert!(!listed(&scene, "other"));
    is_served(&scene, "web.test", "t0");
    let quiet = scene.host.untouched(|| scene.refresh(&FOR_3_4).expect(0));
    assert_eq!(quiet.stderr, "");
    // The name is free again.
    deploy(&mut scene, "/other", |app| app);
    turn(&scene, "1 backend, 1 server and 2 maps");
    is_served(&scene, "other.test", "other");
}

/// What its section says that none before said has to be read.
#[test]
fn an_app_that_says_what_no_other_does_needs_a_reload() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&FOR_3_4).expect(0);
    for (id, name, value) in [
        ("/timed", "HAPROXY_0_TIMEOUT_SERVER", "7s"),
        (
            "/listed",
            "HAPROXY_0_BACKEND_NETWORK_ALLOWED_ACL",
            "127.0.0.0/8",
        ),
    ] {
        let pid = scene.host.pid();
        deploy(&mut scene, id, |app| app.label(name, value));
        let done = scene.refresh(&FOR_3_4).expect(0);
        assert_ne!(scene.host.pid(), pid);
        done.says(&["is new", "took over"]);
        is_served(&scene, &format!("{}.test", &id[1..]), &id[1..]);
    }
    // The second one of a kind needs none any more.
    deploy(&mut scene, "/too", |app| {
        app.label("HAPROXY_0_TIMEOUT_SERVER", "7s")
    });
    turn(&scene, "1 backend, 1 server and 2 maps");
    is_served(&scene, "too.test", "too");
    // Without a host it has a port of its own, and that has to be opened.
    deploy(&mut scene, "/port", |app| {
        app.without_label("HAPROXY_0_VHOST")
    });
    let done = scene.refresh(&FOR_3_4).expect(0);
    done.says(&["frontend port_", "took over"]);
}

#[test]
fn a_process_that_somebody_else_started_is_told_of_apps_too() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&FOR_3_4).expect(0);
    deploy(&mut scene, "/one", |app| app);
    turn(&scene, "1 backend");
    scene.is_reloaded_by_others();
    deploy(&mut scene, "/two", |app| app);
    turn(&scene, "1 backend");
    for name in ["one", "two"] {
        is_served(&scene, &format!("{name}.test"), name);
    }
}

#[test]
fn a_backend_that_somebody_else_takes_away_is_put_back() {
    let mut scene = Scene::new(&[]);
    scene.refresh(&FOR_3_4).expect(0);
    deploy(&mut scene, "/other", |app| app);
    turn(&scene, "1 backend");
    let cfg = scene.host.installed();
    let title = cfg.lines().find(|line| line.starts_with("backend other_"));
    let words: Vec<&str> = title.unwrap().split(' ').collect();
    let (name, profile) = (words[1], words[3]);
    let pid = scene.host.pid();
    // It may be from another file that HAProxy reads beside ours.
    let reply = say(&scene, &format!("add backend foreign from {profile}"));
    if !can_be_told() {
        // Then nobody can take one away either.
        assert!(reply.starts_with("Unknown command"), "{reply}");
        assert_eq!(scene.refresh(&FOR_3_4).expect(0).stderr, "");
        return;
    }
    assert_eq!(reply.trim(), "New backend registered.");
    assert_eq!(scene.refresh(&FOR_3_4).expect(0).stderr, "");
    assert!(say(&scene, "show backend").contains("foreign"));

    let states = say(&scene, &format!("show servers state {name}"));
    let state = states.lines().nth(2).unwrap();
    let server = state.split(' ').nth(3).unwrap();
    say(&scene, &format!("unpublish backend {name}"));
    say(&scene, &format!("set server {name}/{server} state maint"));
    let reply = say(&scene, &format!("del server {name}/{server}"));
    assert_eq!(reply.trim(), "Server deleted.");
    let reply = say(&scene, &format!("del backend {name}"));
    assert!(reply.trim().ends_with("Backend deleted."), "{reply}");
    let done = scene.refresh(&FOR_3_4).expect(0);
    done.says(&["somebody else changed", name]);
    is_served(&scene, "other.test", "other");
    assert_eq!(scene.host.haproxies(), [pid]);
}

#[test]
fn a_watcher_follows_apps_under_load_and_loses_no_request() {
    let mut scene = Scene::new(&[]);
    without_retries(&scene.host.path("templates/fragments/head.cfg.tera"));
    let watcher = Watcher::start(&scene, &FOR_3_4);
    let pid = scene.host.pid();
    let web = client(&scene, "web.test");
    for round in 0..5 {
        let id = format!("/app-{round}");
        deploy(&mut scene, &id, |app| app);
        watcher.says("installed `");
        let own = client(&scene, &format!("app-{round}.test"));
        block_on(own.answered_by_each(&[&id[1..]], LONG)).unwrap();
        let report = block_on(own.stop());
        assert_eq!(report.failed(), 0, "{report}: {:?}", report.incidents);
        if round > 0 {
            let before = format!("/app-{}", round - 1);
            scene.marathon.remove_app(&before).unwrap();
            watcher.says("installed `");
        }
    }
    let report = block_on(web.stop());
    assert_eq!(report.failed(), 0, "{report}: {:?}", report.incidents);
    if can_be_told() {
        assert_eq!(scene.host.haproxies(), [pid]);
        assert!(!listed(&scene, "app-0"));
    }
    assert!(listed(&scene, "app-4"));
    watcher.end();
}

/// A process of which nobody knows what it can do: it answers with the first of `replies` whose words a
/// command begins with, else with nothing. Of several ones, which a form feed parts, the last counts from
/// then on.
async fn told_by(
    replies: &'static [(&'static str, &'static str)],
    before: &str,
    after: &str,
    maps: &[MapText<'_>],
) -> (Result<Told, Fallback>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let body = "defaults p\n  mode http\n  balance roundrobin\n";
    let hash = structure_hash(&format!("global\n{body}"));
    let top = format!("global\n  description {hash}\n{body}");
    let info = format!("Version: 3.4.0\nPid: 7\nStopping: 0\ndescription: {hash}\n");
    let process = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut heard = Vec::new();
        for command in BufReader::new(stream.try_clone().unwrap()).lines() {
            let Ok(command) = command else { break };
            let known = replies.iter().find(|(begin, _)| command.starts_with(begin));
            let reply = match (&*command, known) {
                ("show info", _) => &*info,
                (_, Some((begin, replies))) => {
                    let asked = |command: &&String| command.starts_with(begin);
                    let before = heard.iter().filter(asked).count();
                    let all: Vec<&str> = replies.split('\u{c}').collect();
                    all[before.min(all.len() - 1)]
                }
                (_, None) => "",
            };
            heard.push(command);
            // Whoever has heard enough is gone.
            if write!(&stream, "{reply}\n> ").is_err() {
                break;
            }
        }
        heard.retain(|command| !matches!(&**command, "prompt" | "show info"));
        heard
    });
    let serving = Serving {
        socket: &socket,
        pid: 7,
        master: None,
        limits: Limits {
            command: LONG,
            idle: Duration::from_millis(20),
            moves: LONG,
            whole: LONG,
        },
    };
    let (before, after) = (format!("{top}{before}"), format!("{top}{after}"));
    let names = ["b", "c"].map(str::to_owned).into();
    let text = Text {
        cfg: &after,
        structure: None,
        before: Some(&before),
        sections: Some(&names),
        maps,
        certificates: &[],
    };
    let told = tell(serving, text).await;
    fs::remove_file(&socket).unwrap();
    (told, process.join().unwrap())
}

const NONE: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state \
                    srv_uweight srv_check_result srv_check_state srv_port srv_check_port\n";

#[tokio::test]
async fn a_backend_comes_before_anybody_is_led_there() {
    let replies: &[_] = &[
        ("show backend", "# name\nc\n"),
        (
            "add backend",
            "Server c/x is gone.\nNew backend registered.\n",
        ),
        ("publish backend", "Backend published.\n"),
        ("show servers state", NONE),
    ];
    let c = "backend c from p\n";
    let (told, heard) = told_by(replies, c, &format!("{c}backend b from p\n"), &[]).await;
    let told = told.unwrap();
    assert_eq!(told.to_string(), "1 backend changed at runtime");
    assert_eq!(told.backends, ["b"]);
    assert_eq!(
        heard,
        [
            "show backend",
            "add backend b from p",
            "show servers state b",
            "show servers state c",
            "publish backend b",
            "show servers state b",
            "show servers state c",
        ]
    );
}

/// HAProxy cuts off an answer that begins with what it had not yet said of many servers.
#[tokio::test]
async fn what_an_answer_lacks_at_its_end_is_asked_again() {
    let c = "backend c from p\n";
    let more = format!("{c}backend b from p\n");
    let replies: &[_] = &[
        ("show backend", "# name\nb\nc\n"),
        (
            "unpublish backend",
            "Server b/x is gone.\nBack\u{c}Backend unpublished.\n",
        ),
        (
            "del backend",
            "Server b/x is gone.\nServer d\u{c}No such backend.\n",
        ),
        ("show servers state", NONE),
    ];
    let (told, heard) = told_by(replies, &more, c, &[]).await;
    assert_eq!(told.unwrap().backends, ["b"], "{heard:?}");
    let deletions = heard
        .iter()
        .filter(|command| command.starts_with("del backend"));
    assert_eq!(deletions.count(), 2, "{heard:?}");

    let replies: &[_] = &[
        ("show backend", "# name\nc\n\u{c}# name\nb\nc\n"),
        ("add backend", "Server c/x is gone.\nNew back"),
        (
            "publish backend",
            "Server c/x is gone.\nBack\u{c}Backend published.\n",
        ),
        ("show servers state", NONE),
    ];
    let (told, heard) = told_by(replies, c, &more, &[]).await;
    assert_eq!(told.unwrap().backends, ["b"], "{heard:?}");
}

#[tokio::test]
async fn a_backend_that_is_still_in_use_goes_later() {
    let replies: &[_] = &[
        ("show backend", "# name\nb\nc\n"),
        ("unpublish backend", "Backend unpublished.\n"),
        ("del backend", "Backend still used by streams.\n"),
        ("show servers state", NONE),
    ];
    let c = "backend c from p\n";
    let (told, heard) = told_by(replies, &format!("{c}backend b from p\n"), c, &[]).await;
    let told = told.unwrap();
    assert!(told.is_nothing(), "{told}");
    assert_eq!(told.left_backends, ["b"]);
    let heard: Vec<&str> = heard.iter().map(String::as_str).collect();
    assert_eq!(heard[3], "unpublish backend b");
    assert!(heard.contains(&"del backend b"), "{heard:?}");
    assert!(!heard.contains(&"unpublish backend c"), "{heard:?}");
    // One that comes back could have another profile than the one that is left.
    let (told, heard) = told_by(replies, c, &format!("{c}backend b from p\n"), &[]).await;
    let error = told.unwrap_err();
    assert!(error.to_string().contains("still in use"), "{error}");
    assert_eq!(heard, ["show backend", "del backend b"]);
}

#[tokio::test]
async fn what_haproxy_does_not_say_of_backends_is_left_to_a_reload() {
    let c = "backend c from p\n";
    let more = format!("{c}backend b from p\n");
    for (replies, why) in [
        (
            &[("show backend", "Permission denied\n")][..],
            "`show backend`: answered with `Permission denied`",
        ),
        (
            &[
                ("show backend", "# name\nc\n"),
                ("add backend", "Cannot find default proxy.\n"),
            ],
            "`add backend b from p`: answered with `Cannot find default proxy.`",
        ),
        (
            &[
                ("show backend", "# name\nc\n"),
                ("add backend", "New backend registered.\n"),
                ("show servers state", NONE),
                ("publish backend", "No such backend.\n"),
            ],
            "`publish backend b`: answered with `No such backend.`",
        ),
    ] {
        let (told, _) = told_by(replies, c, &more, &[]).await;
        let error = told.unwrap_err();
        let is_of_backends = matches!(error, Fallback::Backend(_) | Fallback::Lead(_));
        assert!(is_of_backends, "{error}");
        assert_eq!(error.to_string(), why);
    }
    // A row may name one that is not there.
    let map = MapText {
        path: "/m".to_owned(),
        text: "k c\n",
        has_changed: true,
    };
    let replies: &[_] = &[("show backend", "# name\nb\n")];
    let (told, heard) = told_by(replies, c, c, &[map]).await;
    let error = told.unwrap_err();
    assert!(matches!(error, Fallback::Backend(_)), "{error}");
    assert_eq!(heard, ["show backend"]);
    // Nobody asks where none comes or goes.
    let (told, heard) = told_by(&[("show servers state", NONE)], c, c, &[]).await;
    assert!(told.unwrap().is_nothing());
    assert_eq!(heard, ["show servers state c"; 2]);
}
