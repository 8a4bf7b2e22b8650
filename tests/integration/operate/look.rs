//! `diff`, `check` and `status`, which change nothing.

use std::fs;
use std::time::{Duration, SystemTime};

use haproxy_marathon_bridge::state::{Folder, Time};
use serde_json::{Value, json};

use super::{Host, assert_says, done};

#[test]
fn diff_shows_what_refresh_would_change_and_why_and_changes_nothing() {
    let host = Host::serving(&[("/web", 10001, 1)]);
    let first = host.call(&["diff"]).expect(1);
    assert_says(&first.stdout, &["--- /dev/null\n", "\n+listen web-10001\n"]);
    assert_says(&first.stderr, &["no file was installed"]);
    assert!(!host.path("state").exists());
    assert!(!host.path("etc/haproxy.cfg").exists());

    host.call(&["refresh"]).expect(0);
    let same = host.call(&["diff"]).expect(0);
    assert_eq!((same.stdout.as_str(), same.stderr.as_str()), ("", ""));

    host.serve(&[("/web", 10001, 2)]);
    let before = host.installed();
    let grown = host.call(&["diff"]).expect(1);
    assert_says(
        &grown.stdout,
        &["etc/haproxy.cfg (wanted)\n", "\n+  server web-2"],
    );
    assert_says(&grown.stderr, &["listen web-10001: servers 1 → 2"]);
    assert!(!grown.stdout.contains('\u{1b}'), "no colours in a pipe");
    let machines = host.call(&["diff", "--json"]).expect(1);
    let machines: Value = serde_json::from_str(&machines.stdout).unwrap();
    assert_eq!(
        (&machines["same"], &machines["change"]),
        (&json!(false), &json!("servers"))
    );
    assert_eq!(machines["diff"], grown.stdout);
    assert_says(
        machines["why"].as_str().unwrap(),
        &["listen web-10001: servers 1 → 2"],
    );
    assert_eq!(host.installed(), before);

    fs::remove_file(host.path("apps.json")).unwrap();
    let trouble = host.call(&["diff"]).expect(2);
    assert_says(&trouble.stderr, &["apps.json"]);
}

#[test]
fn diff_tells_of_a_reload_that_is_still_to_come() {
    let host = Host::serving(&[("/web", 10001, 1)]);
    let mut failing = host.command(&["refresh"]);
    done(failing.env("HMB_RELOAD_COMMAND", "exit 1")).expect(1);
    let waiting = host.call(&["diff"]).expect(1);
    assert_says(&waiting.stderr, &["HAProxy was not brought to run them"]);
}

#[test]
fn check_names_the_owner_of_what_is_left_out_and_of_what_is_refused() {
    let host = Host::serving(&[("/web", 10001, 2)]);
    let good = host.call(&["check"]).expect(0);
    assert_says(&good.stdout, &["accepts", "1 service ports, 2 servers"]);

    host.serve(&[("/web", 10001, 2), ("/other", 10001, 1)]);
    let clash = host.call(&["check"]).expect(1);
    assert_says(&clash.stdout, &["accepts", "1 warning"]);
    assert_says(&clash.stderr, &["app `/web`", "10001"]);

    host.serve(&[("/fine", 10002, 1), ("/web", 10001, 2)]);
    let listen = fs::read_to_string(host.path("templates/listen.cfg.tera")).unwrap();
    let bad = format!("{listen}{{% if listen.bind.port == 10001 %}}  bogus word\n{{% endif %}}");
    fs::write(host.path("templates/listen.cfg.tera"), bad).unwrap();
    let refused = host.call(&["check"]).expect(1);
    let left = ["accepts", "1 service ports, 1 servers", "1 warning"];
    assert_says(&refused.stdout, &left);
    assert_says(
        &refused.stderr,
        &[
            "app `/web`: service port 10001: found what `haproxy -c` refuses: ",
            "bogus",
            "expected a section that it accepts; service port 10001 left out",
        ],
    );
    let machines = host.call(&["check", "--log-format", "json"]).expect(1);
    let line = machines.stderr.lines().find(|line| line.contains("bogus"));
    let line: Value = serde_json::from_str(line.unwrap()).unwrap();
    assert_eq!(line["app"], "/web");
    assert_eq!(line["subject"], "service port 10001");

    let object = |words: &[&str]| -> Value {
        serde_json::from_str(&host.call(words).expect(1).stdout).unwrap()
    };
    let checked = object(&["check", "--json"]);
    assert_eq!(
        (&checked["ok"], &checked["accepted"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(
        (&checked["service_ports"], &checked["servers"]),
        (&json!(1), &json!(1))
    );
    let [warning] = checked["warnings"].as_array().unwrap().as_slice() else {
        panic!("{checked}");
    };
    assert_eq!(
        (&warning["app"], &warning["subject"]),
        (&line["app"], &line["subject"])
    );
    assert_says(
        warning["found"].as_str().unwrap(),
        &["`haproxy -c` refuses", "bogus"],
    );

    let header = fs::read_to_string(host.path("templates/header.cfg.tera")).unwrap();
    fs::write(host.path("templates/listen.cfg.tera"), &listen).unwrap();
    fs::write(
        host.path("templates/header.cfg.tera"),
        header + "  bogus word\n",
    )
    .unwrap();
    let refused = object(&["check", "--json"]);
    assert_eq!(refused["accepted"], false, "{refused}");
    let message = &refused["haproxy_says"][0];
    assert_says(message["text"].as_str().unwrap(), &["bogus"]);
    assert_eq!(message["app"], Value::Null);
    assert!(message["line"].as_u64().unwrap() > 1, "{refused}");
    assert!(!host.path("state").exists());
    assert!(!host.path("etc/haproxy.cfg").exists());
}

#[test]
fn status_knows_nothing_before_the_first_turn_and_tells_of_the_last_one_after() {
    let host = Host::serving(&[("/web", 10001, 1)]);
    let nothing = host.call(&["status"]).expect(1);
    assert_says(&nothing.stdout, &["no turn was ever taken"]);
    let (code, json) = host.status();
    assert_eq!((code, &json["last_turn"]), (1, &Value::Null));
    assert!(!host.path("state").exists());

    host.call(&["refresh"]).expect(0);
    let fine = host.call(&["status"]).expect(0);
    assert_says(
        &fine.stdout,
        &[
            "all is well",
            "applied",
            "no file was installed",
            "structure ",
        ],
    );
    let (code, json) = host.status();
    assert_eq!((code, &json["ok"]), (0, &json!(true)));
    assert_eq!(json["last_turn"]["outcome"], "applied");
    assert_eq!(json["installed"], "as-applied");
    assert_eq!(json["good_sets"].as_array().unwrap().len(), 1);

    fs::write(host.path("etc/haproxy.cfg"), "global\n").unwrap();
    let (code, json) = host.status();
    assert_eq!((code, &json["ok"]), (1, &json!(false)));
    assert_eq!(json["installed"], "changed");
    let changed = host.call(&["status"]).expect(1);
    assert_says(
        &changed.stdout,
        &["something is wrong", "other files than those"],
    );

    fs::remove_file(host.path("apps.json")).unwrap();
    host.call(&["refresh"]).expect(1);
    let failed = host.call(&["status"]).expect(1);
    assert_says(
        &failed.stdout,
        &["something is wrong", "failed: ", "apps.json"],
    );
}

/// A turn that does not come so far must not pass for none.
#[test]
fn whatever_a_turn_fails_for_status_tells_of_it() {
    let host = Host::serving(&[("/web", 10001, 1)]);
    host.call(&["refresh", "--haproxy", "no-haproxy"]).expect(1);
    assert!(!host.path("state").exists(), "nothing is written before");
    host.call(&["refresh"]).expect(0);
    fs::create_dir(host.path("broken")).unwrap();
    fs::write(host.path("broken/header.cfg.tera"), "{{ nonsense").unwrap();
    for (words, told) in [
        (&["--template-dir", "broken"][..], "broken/header.cfg.tera"),
        (&["--haproxy", "no-haproxy"], "no-haproxy"),
        (
            &["-m", "https://127.0.0.1:1", "--marathon-ca-cert", "no-cert"],
            "no-cert",
        ),
    ] {
        host.call(&[&["refresh"], words].concat()).expect(1);
        let failed = host.call(&["status"]).expect(1);
        assert_says(&failed.stdout, &["something is wrong", "failed: ", told]);
        host.call(&["refresh"]).expect(0);
        host.call(&["status"]).expect(0);
    }
}

/// A cron job that does not run any more says nothing.
#[test]
fn status_is_not_well_when_no_turn_was_taken_for_too_long() {
    let host = Host::serving(&[("/web", 10001, 1)]);
    host.call(&["refresh"]).expect(0);
    let folder = Folder::of(&host.path("state"), &host.path("etc/haproxy.cfg"));
    let file = folder.path().join("state.json");
    let mut state: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let ago = Time::at(SystemTime::now() - Duration::from_secs(16 * 60));
    state["last_turn"]["at"] = json!(ago);
    fs::write(&file, state.to_string()).unwrap();
    let (code, json) = host.status();
    assert_eq!(
        (code, &json["ok"], &json["is_old"]),
        (1, &json!(false), &json!(true))
    );
    let old = host.call(&["status"]).expect(1);
    assert_says(&old.stdout, &["no turn was taken for too long", "16m"]);
    for age in ["0s", "17m"] {
        host.call(&["status", "--max-age", age]).expect(0);
    }
    // A clock that was set back must not make it fresh.
    let ahead = Time::at(SystemTime::now() + Duration::from_secs(3600));
    state["last_turn"]["at"] = json!(ahead);
    fs::write(&file, state.to_string()).unwrap();
    assert_eq!(host.status().1["is_old"], true);
    let future = host.call(&["status"]).expect(1);
    assert_says(
        &future.stdout,
        &["lies in the future", "the clock was set back"],
    );
}

#[test]
fn status_tells_what_is_held_back_and_which_reload_is_to_come() {
    let apps: Vec<(String, u16, u16)> = (1..6).map(|n| (format!("/a{n}"), 10000 + n, 1)).collect();
    let apps: Vec<(&str, u16, u16)> = apps
        .iter()
        .map(|(id, p, t)| (id.as_str(), *p, *t))
        .collect();
    let host = Host::serving(&apps);
    host.call(&["refresh"]).expect(0);
    host.serve(&apps[..1]);
    host.call(&["refresh"]).expect(1);
    let held = host.call(&["status"]).expect(1);
    assert_says(&held.stdout, &["held back", "4 of 5 service ports"]);
    assert_says(
        host.status().1["last_turn"]["held"].as_str().unwrap(),
        &["4 of 5 service ports"],
    );

    let mut failing = host.command(&["refresh", "--allow-removal"]);
    done(failing.env("HMB_RELOAD_COMMAND", "echo no luck; exit 1")).expect(1);
    let waiting = host.call(&["status"]).expect(1);
    assert_says(
        &waiting.stdout,
        &["the reload failed", "it failed once", "no luck"],
    );
    assert_eq!(host.status().1["pending"]["attempts"], 1);
}

#[test]
fn a_state_that_cannot_be_read_is_not_taken_for_none() {
    let host = Host::serving(&[("/web", 10001, 1)]);
    host.call(&["refresh"]).expect(0);
    let folder = Folder::of(&host.path("state"), &host.path("etc/haproxy.cfg"));
    fs::write(folder.path().join("state.json"), "{").unwrap();
    let unread = host.call(&["status"]).expect(1);
    assert_says(
        &unread.stdout,
        &["the state cannot be read", "is not what was written"],
    );
    let (code, json) = host.status();
    assert_eq!((code, &json["ok"]), (1, &json!(false)));
    assert_says(
        json["unread"].as_str().unwrap(),
        &["is not what was written"],
    );
}

/// Fetches count as one where they are close; lets them have been far apart.
fn spread_fetches(host: &Host) {
    let folder = Folder::of(&host.path("state"), &host.path("etc/haproxy.cfg"));
    let file = folder.path().join("state.json");
    let mut state: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let fetches = state["guard"]["fetches"].as_array_mut().unwrap();
    for (number, fetch) in fetches.iter_mut().enumerate() {
        fetch["at"] = json!(format!("2026-01-01T00:0{number}:00Z"));
    }
    fs::write(file, state.to_string()).unwrap();
}

#[test]
fn a_reload_that_fails_takes_back_no_agreement_and_a_pause_hides_nothing_held() {
    let names: Vec<String> = (1..6).map(|number| format!("/a{number}")).collect();
    let apps: Vec<(&str, u16, u16)> = names
        .iter()
        .zip(10001..)
        .map(|(name, port)| (name.as_str(), port, 1))
        .collect();
    let host = Host::serving(&apps);
    host.call(&["refresh"]).expect(0);
    host.serve(&apps[..1]);
    host.call(&["pause"]).expect(0);
    let both = host.call(&["refresh"]).expect(1);
    assert_says(&both.stderr, &["paused since", "4 of 5 service ports"]);
    host.call(&["resume"]).expect(0);
    spread_fetches(&host);
    host.call(&["refresh"]).expect(1);
    spread_fetches(&host);
    let mut failing = host.command(&["refresh"]);
    let failed = done(failing.env("HMB_RELOAD_COMMAND", "exit 1")).expect(1);
    let waiting = host.call(&["refresh"]).expect(1);
    for told in [&failed, &waiting] {
        let same = ["the reload failed", "of before are in place, and attempt 2"];
        assert_says(&told.stderr, &same);
    }
    assert_says(&host.installed(), &["listen a5-10005"]);
    host.call(&["refresh", "--retry-now"]).expect(0);
    assert!(!host.installed().contains("listen a5-10005"));
    assert_eq!(host.status().0, 0);
    host.serve(&apps);
    host.call(&["refresh"]).expect(0);
    host.serve(&apps[..1]);
    let anew = host.call(&["refresh"]).expect(1);
    assert_says(&anew.stderr, &["(1 so far)"]);
}
