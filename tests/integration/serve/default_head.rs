//! The HEAD that everybody gets who gives none.

use std::fs;
use std::process::Command;

use nix::unistd::Uid;

use super::{Ask, Scene, at, certificate, default_head};
use crate::support::{Test, haproxy, haproxy_version};

/// What a watcher answers.
const OF_A_WATCHER: [&str; 6] = [
    "/_haproxy_getconfig",
    "/_haproxy_getvhostmap",
    "/_haproxy_getappmap",
    "/_haproxy_getpids",
    "/_mlb_signal/hup",
    "/_mlb_signal/usr1",
];

/// What HAProxy answers by itself.
const OF_HAPROXY: [&str; 2] = ["/_haproxy_health_check", "/metrics"];

#[test]
fn the_installed_haproxy_accepts_it() {
    for more in [&[][..], &["--haproxy-map"]] {
        let test = Test::new()
            .file("etc/.keep", "")
            .file("apps.json", r#"{"apps": []}"#);
        certificate(&test, "cert", "any.test");
        let words = [
            "marathon-lb",
            "--group=*",
            "-mfile:apps.json",
            "--syslog-socket=/dev/null",
            "--haproxy-config=etc/haproxy.cfg",
            "--command=true",
            "--ssl-certs=cert.pem",
        ];
        test.call([&words[..], more].concat()).expect(0);
        let output = Command::new(haproxy())
            .args(["-c", "-f", "etc/haproxy.cfg"])
            .current_dir(test.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
    }
}

#[test]
fn it_names_no_file_that_no_package_ships() {
    let head = default_head(&Test::new(), &[]);
    let mut paths: Vec<&str> = head
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .collect();
    for page in OF_A_WATCHER.iter().chain(&OF_HAPROXY) {
        assert!(paths.contains(page), "{page} is missing");
        paths.retain(|path| path != page);
    }
    paths.sort_unstable();
    paths.dedup();
    let sockets = [
        "/dev/log",
        "/var/run/haproxy/marathon-bridge.sock",
        "/var/run/haproxy/socket",
    ];
    assert_eq!(paths, sockets);
    for word in ["lua", "server-state"] {
        assert!(!head.contains(word), "{word}");
    }
}

#[test]
fn its_pages_answer_and_say_why_if_nobody_watches() {
    let served = Scene::new().serve();
    let ask = Ask::http(at(served.scene.ports.stats));
    for page in OF_HAPROXY {
        ask.get("lb", page).expect(200);
    }
    let metrics = ask.get("lb", "/metrics");
    assert!(metrics.body.contains("haproxy_process_"), "{metrics:?}");
    let stats = ask.get("lb", "/haproxy?stats").expect(200);
    assert!(stats.body.contains("marathon_http_in"), "{stats:?}");
    for page in OF_A_WATCHER {
        let answer = ask.get("lb", page).expect(503);
        assert_eq!(answer.header("Content-Type"), Some("text/plain"));
        for part in ["No haproxy-marathon-bridge watches", "--sse"] {
            assert!(answer.body.contains(part), "{answer:?}");
        }
    }
    ask.get("lb", "/_haproxy_getother").expect(503);
}

/// `maxconn 50000` asks for more files than many a host grants.
#[test]
fn it_starts_where_files_are_short() {
    let scene = Scene::new();
    scene.write().expect(0);
    let text = fs::read_to_string(scene.cfg()).unwrap();
    let start = |text: &str| {
        fs::write(scene.path("etc/short.cfg"), text).unwrap();
        let mut command = Command::new("sh");
        // Root could raise the limit again.
        let drop = if Uid::effective().is_root() {
            "setpriv --bounding-set -all --inh-caps -all"
        } else {
            ""
        };
        command
            .args(["-c", &format!("ulimit -n 2000; exec {drop} \"$@\""), "sh"])
            .arg(haproxy())
            .args(["-D", "-f", "etc/short.cfg", "-p", "run/pid"])
            .current_dir(scene.test.path());
        command.output().unwrap()
    };
    if haproxy_version().has_strict_limits() {
        let strict = start(&text.replace("  no strict-limits\n", ""));
        let told = String::from_utf8_lossy(&strict.stderr);
        assert!(!strict.status.success(), "{told}");
        assert!(told.contains("Cannot raise FD limit"), "{told}");
    }
    let output = start(&text);
    let haproxy = super::Haproxy {
        pid_file: scene.path("run/pid"),
    };
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let ask = Ask::http(at(scene.ports.stats));
    ask.get("lb", "/_haproxy_health_check").expect(200);
    drop(haproxy);
}

#[test]
fn a_head_that_would_lose_connections_is_refused() {
    let socket = "stats socket /run/haproxy.sock expose-fd listeners";
    for (head, told) in [
        (
            format!("global\n  daemon\n  {socket}\n"),
            ["holds `daemon`", "expected none"],
        ),
        (
            format!("global\n  {socket}\n\tmaxconn 1 daemon # late\n"),
            ["holds `daemon`", "expected none"],
        ),
        (
            "global\n  stats socket /run/haproxy.sock\n".to_owned(),
            ["lacks `expose-fd listeners`", "stats socket"],
        ),
        (
            "defaults\n  timeout connect 3s\n".to_owned(),
            ["lacks `expose-fd listeners`", "stats socket"],
        ),
    ] {
        let scene = Scene::new();
        let test = scene.test.env("HAPROXY_HEAD", &head);
        let scene = Scene { test, ..scene };
        let done = scene.write().expect(1);
        done.says(&["HAPROXY_HEAD"]).says(&told);
        assert!(!scene.cfg().exists(), "{head}");
    }
    // A part of a longer word is none.
    let scene = Scene::new();
    let head = format!("global\n  {socket}\n  log-tag daemons\n");
    let test = scene.test.env("HAPROXY_HEAD", head);
    Scene { test, ..scene }.write().expect(0);
}

#[test]
fn default_options_are_trimmed_sorted_and_each_there_once() {
    let options = |given: Option<&str>| {
        let test = match given {
            Some(given) => Test::new().env("HAPROXY_GLOBAL_DEFAULT_OPTIONS", given),
            None => Test::new(),
        };
        let head = default_head(&test.file("etc/.keep", ""), &[]);
        let options = head
            .lines()
            .filter_map(|line| line.strip_prefix("  option "));
        let options: Vec<String> = options.map(str::to_owned).collect();
        options
    };
    let padded = |name: &&str| format!("           {name}");
    let lines = |names: &[&str]| names.iter().map(padded).collect::<Vec<_>>();
    let default = lines(&["dontlognull", "http-server-close", "redispatch"]);
    assert_eq!(options(None), default);
    let given = " redispatch,tcplog , dontlognull,redispatch,,";
    let sorted = lines(&["dontlognull", "redispatch", "tcplog"]);
    assert_eq!(options(Some(given)), sorted);
    // marathon-lb wrote one without a name here, which HAProxy refuses.
    assert_eq!(options(Some("")), lines(&[]));
}
