//! `pause`, `resume` and `rollback`.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::{Duration, Instant};

use haproxy_marathon_bridge::apply::{Acquired, Kind, LockPlaces, acquire};
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::state::Folder;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::{Host, SOON, assert_says, done};

#[test]
fn while_paused_refresh_tells_what_it_would_do_and_applies_nothing() {
    let host = Host::serving(&[("/web", 10001, 1)]);
    host.call(&["refresh"]).expect(0);
    let before = host.installed();
    host.call(&["pause", "--reason", "the night shift"])
        .expect(0);
    let again = host.call(&["pause"]).expect(0);
    assert_says(&again.stderr, &["already", "joe", "the night shift"]);

    host.call(&["refresh"]).expect(0);
    assert_eq!(host.status().1["last_turn"]["outcome"], "unchanged");
    host.serve(&[("/web", 10001, 3)]);
    let told = host.call(&["refresh"]).expect(0);
    assert_says(
        &told.stderr,
        &[
            "paused since",
            "joe",
            "the night shift",
            "listen web-10001: servers 1 → 3",
        ],
    );
    assert_eq!(host.installed(), before);
    let status = host.call(&["status"]).expect(0);
    assert_says(&status.stdout, &[": paused\n", "by joe (the night shift)"]);
    let (_, json) = host.status();
    assert_eq!(json["last_turn"]["outcome"], "paused");
    assert_eq!(json["paused"]["by"], "joe");
    assert_says(&host.call(&["diff"]).expect(1).stderr, &["paused since"]);

    host.call(&["resume"]).expect(0);
    assert_says(&host.call(&["resume"]).expect(0).stderr, &["is not paused"]);
    host.call(&["refresh"]).expect(0);
    assert_says(&host.installed(), &["server web-3"]);
}

#[test]
fn each_rollback_goes_one_good_set_back_and_pauses() {
    let host = Host::serving(&[("/a", 10001, 1)]);
    let mut texts = Vec::new();
    for apps in [
        &[("/a", 10001, 1)][..],
        &[("/a", 10001, 1), ("/b", 10002, 1)],
        &[("/a", 10001, 1), ("/b", 10002, 1), ("/c", 10003, 1)],
    ] {
        host.serve(apps);
        host.call(&["refresh"]).expect(0);
        texts.push(host.installed());
    }
    let back = host.call(&["rollback"]).expect(0);
    assert_says(
        &back.stderr,
        &["listen c-10003 is gone", "rolled back", "resume"],
    );
    assert_eq!(host.installed(), texts[1]);
    let (code, json) = host.status();
    assert_eq!(
        (code, &json["last_turn"]["outcome"]),
        (0, &json!("rolled-back"))
    );
    assert_eq!(json["paused"]["reason"], "rolled back");

    host.call(&["refresh"]).expect(0);
    assert_eq!(host.installed(), texts[1], "the next turn must not undo it");
    host.call(&["rollback"]).expect(0);
    assert_eq!(host.installed(), texts[0]);
    let end = host.call(&["rollback"]).expect(1);
    assert_says(&end.stderr, &["no good files are kept besides"]);
    assert_eq!(host.installed(), texts[0]);

    host.call(&["resume"]).expect(0);
    host.call(&["refresh"]).expect(0);
    assert_eq!(host.installed(), texts[2]);
    host.call(&["rollback", "--no-pause"]).expect(0);
    assert_eq!(
        host.installed(),
        texts[0],
        "what was gone back from is no good set"
    );
    host.call(&["refresh"]).expect(0);
    assert_eq!(host.installed(), texts[2]);
}

#[test]
fn a_rollback_from_a_file_that_somebody_edited_goes_to_the_newest_good_set() {
    let host = Host::serving(&[("/a", 10001, 1)]);
    host.call(&["refresh"]).expect(0);
    let good = host.installed();
    fs::write(host.path("etc/haproxy.cfg"), format!("{good}# by hand\n")).unwrap();
    host.call(&["rollback"]).expect(0);
    assert_eq!(host.installed(), good);
}

#[test]
fn a_rollback_that_was_killed_before_its_reload_is_finished_by_the_next() {
    let host = Host::serving(&[("/a", 10001, 1)]);
    let mut texts = Vec::new();
    for apps in [
        &[("/a", 10001, 1)][..],
        &[("/b", 10002, 1)],
        &[("/c", 10003, 1)],
    ] {
        host.serve(apps);
        host.call(&["refresh"]).expect(0);
        texts.push(host.installed());
    }
    let mut killed = host.command(&["rollback"]);
    let killed = done(killed.env("HMB_RELOAD_COMMAND", "kill -9 $PPID"));
    assert_eq!(killed.status.code(), None, "{killed:#?}");
    assert_eq!(host.installed(), texts[1]);
    assert_eq!(host.status().0, 1, "a reload is still to come");
    host.call(&["refresh"]).expect(0);
    host.call(&["rollback"]).expect(0);
    assert_eq!(host.installed(), texts[1]);
    assert_eq!(host.status().0, 0);
}

#[test]
fn a_rollback_that_cannot_be_done_leaves_everything_as_it_was() {
    let host = Host::serving(&[("/a", 10001, 1)]);
    host.call(&["refresh"]).expect(0);
    host.serve(&[("/a", 10001, 1), ("/b", 10002, 1)]);
    host.call(&["refresh"]).expect(0);
    let before = host.installed();

    let mut failing = host.command(&["rollback"]);
    let failed = done(failing.env("HMB_RELOAD_COMMAND", "exit 3")).expect(1);
    assert_says(&failed.stderr, &["the reload failed", "stays as it is"]);
    assert_eq!(host.installed(), before);

    // A program that refuses every file.
    let refusing = host.path("refusing");
    let script = "#!/bin/sh\n[ \"$1\" = -v ] && exec haproxy -v\n\
                  echo '[ALERT]    (1) : config : out of luck' >&2\nexit 1\n";
    fs::write(&refusing, script).unwrap();
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&refusing, mode).unwrap();
    let mut refused = host.command(&["rollback"]);
    let refused = done(refused.env("HMB_HAPROXY", &refusing)).expect(1);
    assert_says(&refused.stderr, &["refuses the files of", "out of luck"]);
    assert_eq!(host.installed(), before);

    // HAProxy may have been brought there all the same, and has to be brought back.
    let (code, json) = host.status();
    assert_eq!((code, &json["paused"]), (1, &Value::Null));
    assert_says(json["pending"]["last_error"].as_str().unwrap(), &["exit"]);
    host.call(&["refresh"]).expect(0);
    let (code, json) = host.status();
    assert_eq!((code, &json["pending"]), (0, &Value::Null));
    assert_eq!(json["last_turn"]["outcome"], "applied");
    assert_eq!(host.installed(), before);
    host.call(&["rollback"]).expect(0);
    assert_ne!(host.installed(), before);
}

/// Else the next turn would undo it, and the operator would have been told that it does not.
#[test]
fn a_rollback_after_which_turns_cannot_be_paused_is_not_begun() {
    let host = Host::serving(&[("/a", 10001, 1)]);
    host.call(&["refresh"]).expect(0);
    host.serve(&[("/a", 10001, 1), ("/b", 10002, 1)]);
    host.call(&["refresh"]).expect(0);
    let before = host.installed();
    let folder = Folder::of(&host.path("state"), &host.path("etc/haproxy.cfg"));
    let in_the_way = folder.path().join(".paused.json.new");
    fs::create_dir(&in_the_way).unwrap();
    let failed = host.call(&["rollback"]).expect(1);
    assert_says(
        &failed.stderr,
        &[
            "turns cannot be paused; nothing was done",
            ".paused.json.new",
        ],
    );
    let failed = host.call(&["pause"]).expect(1);
    assert_says(&failed.stderr, &["nothing is paused", ".paused.json.new"]);
    assert_eq!(host.installed(), before);
    let (code, json) = host.status();
    assert_eq!((code, &json["paused"]), (0, &Value::Null));

    fs::remove_dir(in_the_way).unwrap();
    host.call(&["rollback"]).expect(0);
    assert_ne!(host.installed(), before);
}

/// Pause and resume depend on nothing that is remembered.
#[test]
fn a_pause_holds_and_ends_beside_a_state_that_is_corrupt_or_of_a_newer_program() {
    let host = Host::serving(&[("/a", 10001, 1)]);
    host.call(&["refresh"]).expect(0);
    let before = host.installed();
    let folder = Folder::of(&host.path("state"), &host.path("etc/haproxy.cfg"));
    let state = folder.path().join("state.json");
    for text in ["{", r#"{"format": 2}"#] {
        host.serve(&[("/a", 10001, 1)]);
        fs::write(&state, text).unwrap();
        host.call(&["pause"]).expect(0);
        host.serve(&[("/a", 10001, 2)]);
        let paused = host.call(&["refresh"]).expect(0);
        assert_says(&paused.stderr, &["paused since", "would be applied"]);
        assert_eq!(host.installed(), before);
        host.call(&["resume"]).expect(0);
        fs::remove_file(&state).unwrap();
    }
}

#[test]
fn a_rollback_brings_the_running_haproxy_back() {
    let ports = free_ports(2).unwrap();
    let host = Host::serving(&[("/a", ports[0], 1)]);
    let by_sf = |words: &[&str]| {
        let mut command = host.test.command();
        done(command.args(words).args(["--reload", "sf"]))
    };
    let is_open = |port: u16| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    by_sf(&["refresh"]).expect(0);
    assert!(is_open(ports[0]) && !is_open(ports[1]));

    // One that was killed is missed, and started again though nothing changed.
    let (code, json) = host.status();
    assert_eq!(
        (code, &json["haproxy_process"]["found"]),
        (0, &json!("as-known"))
    );
    let pid = json["applied"]["haproxy_pid"].as_i64().unwrap();
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
    wait_until("HAProxy to end", || host.status().0 == 1);
    // Who does not start it tells of it once, and it is no better for that.
    host.call(&["refresh", "--reload", "none"]).expect(0);
    host.call(&["refresh", "--reload", "none"]).expect(0);
    let down = host.call(&["status"]).expect(1);
    assert_says(
        &down.stdout,
        &["something is wrong", "the one that ran before has ended"],
    );
    by_sf(&["refresh"]).expect(0);
    assert!(is_open(ports[0]));
    assert_eq!(host.status().0, 0);

    host.serve(&[("/a", ports[0], 1), ("/b", ports[1], 1)]);
    by_sf(&["refresh"]).expect(0);
    assert!(is_open(ports[0]) && is_open(ports[1]));
    by_sf(&["rollback"]).expect(0);
    wait_until("the old process to let go of the port", || {
        !is_open(ports[1])
    });
    assert!(is_open(ports[0]));
    let (code, json) = host.status();
    assert_eq!(
        (code, &json["haproxy_process"]["found"]),
        (0, &json!("as-known"))
    );
}

/// A pause is about files. That nobody serves is said all the same, once.
#[test]
fn a_haproxy_that_ends_while_turns_are_paused_is_told_of_and_started_when_they_go_on() {
    let port = free_ports(1).unwrap()[0];
    let host = Host::serving(&[("/a", port, 1)]);
    let by_sf = |words: &[&str]| {
        let mut command = host.test.command();
        done(command.args(words).args(["--reload", "sf"]))
    };
    by_sf(&["refresh"]).expect(0);
    host.call(&["pause"]).expect(0);
    let (_, json) = host.status();
    let pid = json["applied"]["haproxy_pid"].as_i64().unwrap();
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
    wait_until("HAProxy to end", || host.status().0 == 1);
    by_sf(&["refresh"]).says(&["HAProxy does not run any more; while turns are paused"]);
    let again = by_sf(&["refresh"]).expect(0);
    assert!(!again.stderr.contains("does not run"), "{again:#?}");
    host.call(&["status"]).expect(1);
    host.call(&["resume"]).expect(0);
    by_sf(&["refresh"]).expect(0).says(&["HAProxy was started"]);
    assert_eq!(host.status().0, 0);
}

/// A watcher holds the lock for life, and that of the folder for the time of a turn.
#[test]
fn beside_a_watcher_operators_work_between_its_turns() {
    let host = Host::serving(&[("/a", 10001, 1)]);
    host.call(&["refresh"]).expect(0);
    let cfg = host.path("etc/haproxy.cfg");
    let folder = Folder::of(&host.path("state"), &cfg);
    let places = LockPlaces::new(&folder.path().join("lock"), &cfg);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let lock = runtime
        .block_on(acquire(&places, Kind::Watcher, SOON))
        .unwrap();
    assert!(matches!(lock, Acquired::Locked(_)));
    let end = host.call(&["rollback"]).expect(1);
    assert_says(&end.stderr, &["no good files are kept besides"]);
    for word in ["pause", "resume"] {
        let heard = host.call(&[word]).expect(0);
        assert_says(&heard.stderr, &["the watcher", "heeds that from now on"]);
    }
    host.call(&["status"]).expect(0);
    host.call(&["diff"]).expect(0);
}

#[track_caller]
fn wait_until(what: &str, mut come: impl FnMut() -> bool) {
    let began = Instant::now();
    while !come() {
        assert!(began.elapsed() < SOON, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
