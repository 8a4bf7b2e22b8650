//! Hosts and paths that are led elsewhere: the maps of the running HAProxy become others.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::thread;

use haproxy_marathon_bridge::apply::runtime::{
    Fallback, Limits, MapText, Renewed, Serving, Text, Told, tell,
};
use haproxy_marathon_bridge::demo::backend::Backend;
use haproxy_marathon_bridge::demo::client::Requests;
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};
use haproxy_marathon_bridge::haproxy::socket::ask;
use haproxy_marathon_bridge::haproxy::structure_hash;

use super::cluster::{Scene, Watcher, without_retries};
use super::{LONG, instance};
use crate::host::block_on;

/// One more app, without a host of its own yet.
fn app(scene: &mut Scene, id: &str, more: impl FnOnce(App) -> App) {
    let port = free_ports(1).unwrap()[0];
    let backend: Backend = instance(id.trim_start_matches('/'));
    let app = App::new(id)
        .service_port(port)
        .label("HAPROXY_0_BIND_ADDR", "127.0.0.1");
    let task = Task::local(backend.port());
    scene.backends.push(backend);
    scene.marathon.deploy(more(app).task(task));
}

fn labelled(scene: &Scene, id: &str, name: &str, value: &str) {
    let change = |app: App| app.label(name, value);
    scene.marathon.change_app(id, change).unwrap();
}

/// Who answers there.
fn led(scene: &Scene, host: &str, path: &str) -> String {
    let target = ([127, 0, 0, 1], scene.http).into();
    let requests = Requests::http(target).host(host).path(path).workers(1);
    let client = requests.timeout(LONG).start().unwrap();
    block_on(client.answered_more(1, LONG)).unwrap();
    let report = block_on(client.stop());
    let mut names = report.instances.keys();
    let first = names.next().unwrap().clone();
    assert_eq!(names.next(), None, "{report}");
    first
}

fn say(scene: &Scene, command: &str) -> String {
    let socket = scene.host.path("run/admin.sock");
    block_on(ask(&socket, command, LONG)).unwrap()
}

/// The rows of a map as HAProxy has them.
fn rows(scene: &Scene, name: &str) -> Vec<String> {
    let path = scene.host.path("etc").join(name);
    let reply = say(scene, &format!("show map {}", path.display()));
    let rows = reply.lines().filter_map(|line| line.split_once(' '));
    rows.map(|(_, row)| row.to_owned()).collect()
}

fn file(scene: &Scene, name: &str) -> Vec<String> {
    let text = fs::read_to_string(scene.host.path("etc").join(name)).unwrap();
    text.lines().map(str::to_owned).collect()
}

const VHOST: &str = "HAPROXY_0_VHOST";

#[test]
fn a_host_that_moves_to_another_app_is_led_there_by_the_same_process() {
    let mut scene = Scene::new(&[]);
    app(&mut scene, "/other", |app| app.label(VHOST, "other.test"));
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    assert_eq!(led(&scene, "web.test", "/"), "t0");
    assert_eq!(led(&scene, "other.test", "/"), "other");

    labelled(&scene, "/web", VHOST, "new.test");
    labelled(&scene, "/other", VHOST, "web.test,other.test");
    let done = scene.refresh(&[]).expect(0);
    done.says(&["(maps changed)", "1 map changed at runtime"]);
    for (host, name) in [
        ("web.test", "other"),
        ("other.test", "other"),
        ("new.test", "t0"),
    ] {
        assert_eq!(led(&scene, host, "/"), name, "{host}");
    }
    assert_eq!(scene.host.haproxies(), [pid]);
    let quiet = scene.host.untouched(|| scene.refresh(&[]).expect(0));
    assert_eq!(quiet.stderr, "");
    // Whoever starts HAProxy has the same.
    scene.host.kill();
    scene.refresh(&[]).expect(0).says(&["HAProxy was started"]);
    assert_eq!(led(&scene, "web.test", "/"), "other");
}

/// A task that comes and a host that is led there are one turn, and no request sees one without the
/// other.
#[test]
fn a_watcher_moves_hosts_and_paths_under_load_and_loses_no_request() {
    let mut scene = Scene::new(&[]);
    without_retries(&scene.host.path("templates/fragments/head.cfg.tera"));
    app(&mut scene, "/other", |app| app.label(VHOST, "other.test"));
    let watcher = Watcher::start(&scene, &[]);
    let pid = scene.host.pid();
    let client = scene.client();
    block_on(client.answered_by_each(&["t0"], LONG)).unwrap();
    let target = ([127, 0, 0, 1], scene.http).into();
    let path = Requests::http(target).host("web.test").path("/part/x");
    let path = path.workers(2).keep_alive().timeout(LONG).start().unwrap();
    for _ in 0..3 {
        // From a host in one map to a path in another, and back.
        labelled(&scene, "/other", VHOST, "web.test");
        labelled(&scene, "/other", "HAPROXY_0_PATH", "/part");
        block_on(path.answered_by_each(&["other"], LONG)).unwrap();
        labelled(&scene, "/other", VHOST, "other.test");
        labelled(&scene, "/other", "HAPROXY_0_PATH", "/");
        block_on(path.answered_by_each(&["t0"], LONG)).unwrap();
    }
    scene.scale_up();
    // The last move may be told in the same turn.
    watcher.says("1 server changed at runtime|1 server and 2 maps changed at runtime");
    for client in [client, path] {
        let report = block_on(client.stop());
        assert_eq!(report.failed(), 0, "{report}: {:?}", report.incidents);
    }
    assert_eq!(scene.host.haproxies(), [pid]);
}

#[test]
fn maps_of_thousands_of_rows_are_told_in_parts() {
    let mut scene = Scene::new(&[]);
    let hosts = |app: usize, mark: &str| -> String {
        let hosts = (0..750).map(|n| format!("{mark}-{n}.app-{app}.test"));
        hosts.collect::<Vec<_>>().join(",")
    };
    for n in 0..4 {
        let label = hosts(n, "a-host-with-a-long-name");
        app(&mut scene, &format!("/app-{n}"), |app| {
            app.label(VHOST, &label)
        });
    }
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    for n in 0..4 {
        labelled(
            &scene,
            &format!("/app-{n}"),
            VHOST,
            &hosts((n + 1) % 4, "another"),
        );
    }
    let done = scene.refresh(&[]).expect(0);
    done.says(&["1 map changed at runtime"]);
    let file = file(&scene, "domain2backend.map");
    assert_eq!(file.len(), 3001);
    assert!(file.join("\n").len() > 3 * 16_384, "several buffers");
    assert_eq!(rows(&scene, "domain2backend.map"), file);
    assert_eq!(led(&scene, "another-749.app-1.test", "/"), "app-0");
    assert_eq!(scene.host.haproxies(), [pid]);
}

/// Somebody between us and HAProxy who does not let maps be changed, and is gone after that.
fn forbidding(scene: &Scene) -> thread::JoinHandle<()> {
    let path = scene.host.path("run/admin.sock");
    let hidden = scene.host.path("run/hidden.sock");
    fs::rename(&path, &hidden).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        while let Some(Ok(command)) = lines.next() {
            let reply = if command.ends_with(" <<") {
                while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                "+ ".to_owned()
            } else if command == "prompt" {
                String::new()
            } else if command.starts_with("commit map ") {
                fs::rename(&hidden, &path).unwrap();
                "Permission denied\n".to_owned()
            } else {
                block_on(ask(&hidden, &command, LONG)).unwrap()
            };
            (&stream)
                .write_all(format!("{reply}\n> ").as_bytes())
                .unwrap();
        }
    })
}

#[test]
fn maps_that_haproxy_does_not_let_us_change_are_brought_by_a_reload() {
    let mut scene = Scene::new(&[]);
    app(&mut scene, "/other", |app| app.label(VHOST, "other.test"));
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    let between = forbidding(&scene);
    labelled(&scene, "/other", VHOST, "moved.test");
    let why = [
        "a reload is needed, since maps cannot be changed at runtime",
        "domain2backend.map",
        "`commit map` was answered with `Permission denied`",
        "took over",
    ];
    scene.refresh(&[]).expect(0).says(&why);
    between.join().unwrap();
    assert_ne!(scene.host.pid(), pid);
    assert_eq!(led(&scene, "moved.test", "/"), "other");
}

/// As with templates that use a file in another way: it is no map of the process.
#[test]
fn a_map_that_haproxy_does_not_look_up_in_is_no_alarm() {
    let mut scene = Scene::new(&[]);
    let template = scene.host.path("templates/appid_in.cfg.tera");
    let text = fs::read_to_string(&template).unwrap();
    let kept = text
        .lines()
        .filter(|line| !line.contains("app2backend.map"));
    fs::write(&template, kept.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    app(&mut scene, "/other", |app| app.label(VHOST, "other.test"));
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    let quiet = scene.host.untouched(|| scene.refresh(&[]).expect(0));
    assert_eq!(quiet.stderr, "");
    labelled(&scene, "/other", VHOST, "moved.test");
    let done = scene.refresh(&[]).expect(0);
    done.says(&["1 map changed at runtime"]);
    assert_eq!(scene.host.haproxies(), [pid]);
}

#[test]
fn a_socket_that_is_gone_costs_a_reload_where_maps_alone_changed() {
    let mut scene = Scene::new(&[]);
    app(&mut scene, "/other", |app| app.label(VHOST, "other.test"));
    scene.refresh(&[]).expect(0);
    fs::remove_file(scene.host.path("run/admin.sock")).unwrap();
    labelled(&scene, "/other", VHOST, "moved.test");
    let why = ["since maps cannot be changed", "admin.sock", "took over"];
    scene.refresh(&[]).expect(0).says(&why);
    assert_eq!(led(&scene, "moved.test", "/"), "other");
}

#[test]
fn rows_that_somebody_else_changed_are_put_back_and_that_is_said_once() {
    let scene = Scene::new(&[]);
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    let path = scene.host.path("etc/domain2backend.map");
    let path = path.display();
    for command in [
        format!("del map {path} web.test"),
        format!("set map {path} web.test nowhere"),
        format!("add map {path} foreign.test nowhere"),
    ] {
        let reply = say(&scene, &command);
        assert_eq!(reply.trim(), "", "{command}");
        let done = scene.host.untouched(|| scene.refresh(&[]).expect(0));
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        done.says(&[
            "warn",
            "somebody else changed maps of the running HAProxy",
            "domain2backend.map",
        ]);
        assert_eq!(
            rows(&scene, "domain2backend.map"),
            file(&scene, "domain2backend.map")
        );
        let done = scene.host.untouched(|| scene.refresh(&[]).expect(0));
        assert_eq!(done.stderr, "");
    }
    assert_eq!(scene.host.haproxies(), [pid]);
}

const CFG: &str = "global\n  description DESCRIPTION\nbackend a\n";

/// What is told to a process of this version that answers with `replies` to what comes after
/// `show info`.
pub(super) async fn between(
    version: &'static str,
    replies: Vec<String>,
    maps: &[MapText<'_>],
    certificates: &[Renewed],
) -> (Result<Told, Fallback>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let hash = structure_hash(CFG);
    let cfg = CFG.replace("DESCRIPTION", &hash);
    let info = format!("Version: {version}\nPid: 7\nStopping: 0\ndescription: {hash}\n");
    let process = thread::spawn(move || answer(&listener, &info, replies));
    let serving = Serving {
        socket: &socket,
        pid: 7,
        master: None,
        limits: Limits::default(),
    };
    let text = Text {
        cfg: &cfg,
        structure: None,
        before: Some(&cfg),
        sections: Some(&BTreeSet::new()),
        maps,
        certificates,
    };
    let result = tell(serving, text).await;
    (result, process.join().unwrap())
}

/// What was heard after `show info`: commands, with the lines that they take with them.
fn answer(listener: &UnixListener, info: &str, replies: Vec<String>) -> Vec<String> {
    let (stream, _) = listener.accept().unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let first = [String::new(), info.to_owned()];
    let mut heard = Vec::new();
    for reply in first.into_iter().chain(replies).chain([info.to_owned()]) {
        let Some(Ok(mut command)) = lines.next() else {
            break;
        };
        if command.ends_with(" <<") {
            let lines = lines.by_ref().map(Result::unwrap);
            let taken: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            command = format!("{command} {}", taken.join(", "));
        }
        heard.push(command);
        let written = (&stream).write_all(format!("{reply}\n> ").as_bytes());
        if written.is_err() {
            break;
        }
    }
    heard.split_off(2)
}

/// The same of maps with these texts.
async fn told(replies: &[&str], texts: &[(&str, &str)]) -> (Result<Told, Fallback>, Vec<String>) {
    let maps = texts.iter().map(|(path, text)| MapText {
        path: (*path).to_owned(),
        text,
        has_changed: true,
    });
    let maps: Vec<MapText<'_>> = maps.collect();
    let replies = replies.iter().map(|reply| (*reply).to_owned());
    between("2.6.12", replies.collect(), &maps, &[]).await
}

#[tokio::test]
async fn a_version_that_makes_no_map_beside_the_old_one_is_told_nothing() {
    let map = MapText {
        path: "/e/a.map".to_owned(),
        text: "a.test a\n",
        has_changed: true,
    };
    let replies = vec![SHOW.to_owned(), SHOW.to_owned()];
    let (result, heard) = between("2.3.10", replies, std::slice::from_ref(&map), &[]).await;
    let error = result.unwrap_err().to_string();
    assert_eq!(error, "HAProxy 2.3.10 is too old for it, expected 2.4");
    assert_eq!(heard, [""; 0]);
    let replies = vec![SHOW.to_owned()];
    let (result, _) = between("2.4.0", replies, &[map], &[]).await;
    assert!(result.unwrap().is_nothing());
}

const SHOW: &str = "0x1 a.test a\n";
const PREPARED: &str = "New version created: 3\n";

#[tokio::test]
async fn an_answer_that_is_not_the_right_one_ends_it() {
    let cases: [(&[&str], &str, &str); 5] = [
        (
            &["Unknown map identifier. Please use #<id> or <file>.\n"],
            "show map /e/a.map",
            "Unknown map identifier",
        ),
        (
            &[SHOW, "Permission denied\n"],
            "prepare map /e/a.map",
            "Permission denied",
        ),
        (
            &[SHOW, PREPARED, "+ + Unknown map.\n"],
            "add map @3 /e/a.map << b.test a",
            "`Unknown map.`",
        ),
        (
            &[SHOW, PREPARED, "+ + ", "Version number out of range.\n"],
            "commit map @3 /e/a.map",
            "out of range",
        ),
        (
            &[SHOW, PREPARED, "+ + ", "", SHOW],
            "show map /e/a.map",
            "it has other rows",
        ),
    ];
    for (replies, last, why) in cases {
        let (result, heard) = told(replies, &[("/e/a.map", "b.test a\n")]).await;
        let error = result.unwrap_err();
        assert!(matches!(error, Fallback::Map(_)), "{error}");
        let error = error.to_string();
        assert!(error.contains(why) && error.contains("/e/a.map"), "{error}");
        assert_eq!(heard.last().map(String::as_str), Some(last), "{heard:?}");
    }
    let (result, heard) = told(&[], &[("/e/a.map", "a b c\n")]).await;
    let error = result.unwrap_err().to_string();
    assert!(error.contains("not a key with a value: `a b c`"), "{error}");
    assert_eq!(heard, [""; 0]);
}

/// A request looks in one after the other: at no moment may what leads it be gone from both.
#[tokio::test]
async fn where_several_maps_change_rows_go_after_others_have_come() {
    // A path becomes a whole host.
    let replies = &[
        "",
        "0x1 a.test/x a\n",
        PREPARED,
        "+ + ",
        "",
        PREPARED,
        "",
        "0x2 a.test a\n",
        "",
    ];
    let texts = [("/e/domain.map", "a.test a\n"), ("/e/path.map", "")];
    let (result, heard) = told(replies, &texts).await;
    let want = [
        "show map /e/domain.map",
        "show map /e/path.map",
        "prepare map /e/domain.map",
        "add map @3 /e/domain.map << a.test a",
        "commit map @3 /e/domain.map",
        "prepare map /e/path.map",
        "commit map @3 /e/path.map",
        "show map /e/domain.map",
        "show map /e/path.map",
    ];
    assert_eq!(heard[..heard.len() - 1], want, "{result:?}");
    assert_eq!(result.unwrap().maps, ["/e/domain.map", "/e/path.map"]);

    // Rows go from both, and come to both.
    let replies = &[
        "0x1 a.test a\n",
        "0x1 b.test/x b\n",
        PREPARED,
        "+ + + ",
        "",
        PREPARED,
        "+ + + ",
        "",
        PREPARED,
        "+ + ",
        "",
        PREPARED,
        "+ + ",
        "",
        "0x2 b.test b\n",
        "0x2 a.test/x a\n",
    ];
    let texts = [
        ("/e/domain.map", "b.test b\n"),
        ("/e/path.map", "a.test/x a\n"),
    ];
    let (result, heard) = told(replies, &texts).await;
    let adds = heard
        .iter()
        .filter(|command| command.starts_with("add map"));
    let want = [
        "add map @3 /e/domain.map << a.test a, b.test b",
        "add map @3 /e/path.map << b.test/x b, a.test/x a",
        "add map @3 /e/path.map << a.test/x a",
        "add map @3 /e/domain.map << b.test b",
    ];
    assert_eq!(adds.collect::<Vec<_>>(), want, "{result:?}");
    assert_eq!(result.unwrap().to_string(), "2 maps changed at runtime");
}
