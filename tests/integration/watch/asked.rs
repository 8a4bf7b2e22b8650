//! What a watcher answers: HAProxy, which forwards marathon-lb's pages, `status`, and metrics.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::App;
use nix::sys::signal::Signal;
use nix::unistd::{Group, Uid};
use serde_json::Value;

use super::Watcher;
use crate::host::{Host, SOON, Web, block_on, moved, wait_until};
use crate::serve::at;
use crate::serve::request::{Answer, Ask};
use crate::support::swap_in;

/// marathon-lb's pages through its HAProxy.
struct Scene {
    host: Host,
    web: Web,
    watcher: Watcher,
    ask: Ask,
}

impl Scene {
    fn new(host: Host, more: &[&str]) -> Self {
        let web = Web::start();
        let here = |app: App| {
            let app = app.label("HAPROXY_0_BIND_ADDR", "127.0.0.1");
            app.label("HAPROXY_0_MODE", "http")
        };
        web.marathon.change_app("/web", here).unwrap();
        let more = [&["--sse"], more].concat();
        let watcher = Watcher::start(host.marathon_lb_command(&web.url(), &more));
        watcher.says("installed `");
        block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
        let installed = host.installed();
        let (_, stats) = installed
            .split_once("listen stats\n  bind 127.0.0.1:")
            .unwrap();
        let port: u16 = stats.lines().next().unwrap().parse().unwrap();
        Self {
            host,
            web,
            watcher,
            ask: Ask::http(at(port)),
        }
    }

    #[track_caller]
    fn get(&self, page: &str) -> Answer {
        self.ask.get("lb", page)
    }
}

fn labelled() -> Host {
    Host::labelled(free_ports(1).unwrap()[0])
}

fn socket(host: &Host) -> PathBuf {
    host.path("run/marathon-bridge.sock")
}

/// Without HAProxy: the whole answer.
#[track_caller]
fn asked(host: &Host, question: &str) -> String {
    let mut stream = UnixStream::connect(socket(host)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "{question} HTTP/1.1\r\nhost: watcher\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_pages_of_marathon_lb_come_through_its_haproxy() {
    let scene = Scene::new(labelled(), &["--haproxy-map"]);
    let plain = |page: &str| {
        let answer = scene.get(page).expect(200);
        assert_eq!(answer.header("Content-Type"), Some("text/plain"), "{page}");
        let length = answer.body.len().to_string();
        assert_eq!(answer.header("Content-Length"), Some(length.as_str()));
        answer.body
    };
    assert_eq!(plain("/_haproxy_getconfig"), scene.host.installed());
    for (page, map) in [
        ("/_haproxy_getvhostmap", "domain2backend.map"),
        ("/_haproxy_getappmap", "app2backend.map"),
    ] {
        let kept = scene.host.cfg().with_file_name(map);
        assert_eq!(plain(page), fs::read_to_string(kept).unwrap(), "{page}");
    }
    assert!(plain("/_haproxy_getappmap").contains("web"));
    let pids = plain("/_haproxy_getpids");
    let pid = scene.host.pid().to_string();
    assert!(pids.split(' ').any(|found| found == pid), "{pids}");
    // This one HAProxy answers itself, and the watcher where somebody asks it.
    scene.get("/_haproxy_health_check").expect(200);
    let answer = asked(&scene.host, "GET /_haproxy_health_check");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[test]
fn what_is_missing_is_told_as_marathon_lb_did() {
    let scene = Scene::new(labelled(), &[]);
    for page in ["/_haproxy_getvhostmap", "/_haproxy_getappmap"] {
        assert_eq!(scene.get(page).expect(200).body, "", "{page}");
    }
    let other = asked(&scene.host, "GET /_haproxy_getother");
    assert!(other.starts_with("HTTP/1.1 404 "), "{other}");
    let other = asked(&scene.host, "POST /status");
    assert!(other.starts_with("HTTP/1.1 405 "), "{other}");
    // All methods will do for its own pages.
    let posted = asked(&scene.host, "POST /_haproxy_getconfig");
    assert!(posted.starts_with("HTTP/1.1 200 "), "{posted}");
}

#[test]
fn a_signal_by_a_page_does_what_the_signal_does() {
    let mut scene = Scene::new(labelled(), &[]);
    scene.web.marathon.mute_events(true);
    scene.web.scale_up();
    let answer = scene.get("/_mlb_signal/hup").expect(200);
    assert_eq!(answer.body, "Sent SIGHUP signal to marathon-lb");
    scene.watcher.says("installed `");
    let address = scene.web.newest_address();
    assert!(scene.host.installed().contains(&address));
    let reloads = scene.host.reloads();
    let answer = scene.get("/_mlb_signal/usr1").expect(200);
    assert_eq!(answer.body, "Sent SIGUSR1 signal to marathon-lb");
    scene
        .watcher
        .says("HAProxy was brought to the installed files again");
    assert_eq!(scene.host.reloads(), reloads + 1);
}

#[test]
fn the_socket_goes_with_its_watcher() {
    let mut scene = Scene::new(labelled(), &[]);
    scene.get("/_haproxy_getpids").expect(200);
    scene.watcher.send(Signal::SIGTERM);
    assert_eq!(scene.watcher.ended().0.code(), Some(0));
    assert!(!socket(&scene.host).exists());
    let answer = scene.get("/_haproxy_getpids").expect(503);
    assert!(answer.body.contains("No haproxy-marathon-bridge watches"));
}

/// As HAProxy's packages run it: started by root, and then a user of its own.
#[test]
fn a_haproxy_that_gave_up_root_may_connect_and_strangers_may_not() {
    let host = labelled();
    let group = Group::from_name("haproxy").unwrap();
    let is_root = Uid::effective().is_root();
    if is_root && group.is_some() {
        for folder in ["", "run", "etc"] {
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(host.path(folder), mode).unwrap();
        }
        let file = "templates/fragments/head.cfg.tera";
        let head = fs::read_to_string(host.path(file)).unwrap();
        let first = "global\n  log /dev/log local0\n";
        let user = format!("{first}  user haproxy\n  group haproxy\n");
        host.write(file, &moved(&head, first, &user));
    }
    let scene = Scene::new(host, &[]);
    let body = scene.get("/_haproxy_getconfig").expect(200).body;
    assert_eq!(body, scene.host.installed());
    let facts = fs::metadata(socket(&scene.host)).unwrap();
    assert_eq!(facts.permissions().mode() & 0o007, 0);
}

#[test]
fn a_socket_of_a_killed_watcher_is_replaced_and_one_of_a_living_one_is_not() {
    let (host, web) = (Host::new(), Web::start());
    drop(Watcher::serving(&host, &web, &[]));
    let file = fs::metadata(socket(&host)).unwrap();
    assert!(file.file_type().is_socket());
    let second = Watcher::of(&host, &web, &["--log-level", "debug"]);
    second.says("answers at `");
    let answer = asked(&host, "GET /status");
    let pid = format!("\"pid\": {}", second.id());
    assert!(answer.contains(&pid), "{answer}");

    let (other, web) = (Host::new(), Web::start());
    let place = socket(&host).display().to_string();
    let third = Watcher::of(&other, &web, &["--admin-socket", &place]);
    let told = third.says("installed `").join("\n");
    let pid = format!("another process (pid {})", second.id());
    for part in ["nobody is answered at `", &pid, "its socket stays"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    drop(third);
    assert!(asked(&host, "GET /status").starts_with("HTTP/1.1 200 "));
}

#[test]
fn where_no_socket_can_be_the_watcher_says_so_once_and_goes_on() {
    let (host, mut web) = (Host::new(), Web::start());
    let place = host.path("missing/a.sock").display().to_string();
    let watcher = Watcher::of(&host, &web, &["--admin-socket", &place]);
    let mut said = watcher.says("installed `");
    web.scale_up();
    said.extend(watcher.says("installed `"));
    let told: Vec<_> = said.iter().filter(|line| line.contains(&place)).collect();
    assert_eq!(told.len(), 1, "{said:#?}");
    for part in ["warn: ", "missing`: entity not found", "--admin-socket"] {
        assert!(told[0].contains(part), "{part}: {told:#?}");
    }

    let (host, web) = (Host::new(), Web::start());
    let watcher = Watcher::serving(&host, &web, &["--admin-socket", "none"]);
    assert!(!socket(&host).exists());
    let pid = format!("watcher       pid {} since ", watcher.id());
    host.status().prints(&[&pid, "does not answer at `"]);
    // Nobody else is believed there.
    let _stranger = UnixListener::bind(socket(&host)).unwrap();
    host.status()
        .prints(&[&pid, "another process listens there"]);
}

#[test]
fn status_asks_the_watcher_and_tells_from_the_state_without_it() {
    let (host, mut web) = (Host::new(), Web::start());
    let watcher = Watcher::serving(&host, &web, &["--resync", "1h"]);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    web.scale_up();
    watcher.says("installed `");
    let told = || host.status().expect(0).stdout;
    let pid = format!("watcher       pid {} since ", watcher.id());
    let from = format!("events        from {} since ", web.marathon.url());
    wait_until("the end of the turn", || told().contains("2 applied"));
    let text = told();
    for part in [&pid, &from, "all is well", " so far, the last at "] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // The page has what `status --json` has.
    let answer = asked(&host, "GET /status");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/json"), "{head}");
    let page: Value = serde_json::from_str(body).unwrap();
    let facts = &page["watcher"];
    assert_eq!(facts["events_from"], web.marathon.url());
    assert_eq!(facts["turns"]["applied"], 2);
    assert_eq!(facts["pending"], "nothing");
    assert_eq!(facts["served"]["servers"], 2);
    assert_eq!(page["last_turn"]["outcome"], "applied");
    assert_eq!(page["ok"], true);

    drop(watcher);
    let text = told();
    assert!(!text.contains("watcher"), "{text}");
}

/// The value of a metric.
#[track_caller]
pub(crate) fn metric(host: &Host, name: &str) -> u64 {
    let answer = asked(host, "GET /metrics");
    let begin = format!("haproxy_marathon_bridge_{name} ");
    let mut lines = answer.lines();
    let value = lines.find_map(|line| line.strip_prefix(begin.as_str()));
    let value = value.unwrap_or_else(|| panic!("{name} is missing: {answer}"));
    value.parse().unwrap()
}

/// They only grow: whoever scrapes them takes a fall for another start.
#[test]
fn metrics_go_on_counting_after_the_options_were_edited() {
    let (host, mut web) = (Host::new(), Web::start());
    let options = host.write("options.toml", "");
    let flags = ["--resync", "1h", "--config", options.to_str().unwrap()];
    let watcher = Watcher::serving(&host, &web, &flags);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    web.scale_up();
    watcher.says("installed `");
    for timeout in [20, 21] {
        let all = "fetches_total{of=\"all\"}";
        let (fetched, events) = (metric(&host, all), metric(&host, "events_total"));
        assert!(1 <= fetched && 1 < events, "{fetched} {events}");
        swap_in(&options, &format!("reload-timeout = \"{timeout}s\"\n"));
        watcher.says("the options were read again");
        // The stream of before has ended by then.
        wait_until("the fetch with the new options", || {
            fetched < metric(&host, all)
        });
        assert!(events <= metric(&host, "events_total"));
        web.scale_up();
        watcher.says("installed `");
        wait_until("the event", || events < metric(&host, "events_total"));
    }
}

#[test]
fn metrics_count_what_the_watcher_did() {
    let (host, mut web) = (Host::new(), Web::start());
    let watcher = Watcher::serving(&host, &web, &["--resync", "1h"]);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    web.scale_up();
    watcher.says("installed `");
    let value = |name: &str| metric(&host, name);
    wait_until("the end of the turn", || {
        value("turns_total{outcome=\"applied\"}") == 2
    });
    assert_eq!(value("reloads_total"), 2);
    assert_eq!(value("services"), 1);
    assert_eq!(value("servers"), 2);
    assert_eq!(value("events_attached"), 1);
    assert_eq!(value("fetches_total{of=\"all\"}"), 1);
    assert!(value("fetches_total{of=\"app\"}") >= 1);
    assert!(value("fetched_bytes_total") > 100);
    assert!(value("events_total") > 1);
    assert!(value("last_good_turn_age_seconds") < SOON.as_secs());
}
