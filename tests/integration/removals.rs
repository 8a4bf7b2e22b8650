//! Removals that are held back where labels made the file, from which they cannot be read back.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use haproxy_marathon_bridge::state::Folder;
use serde_json::{Value, json};

use crate::support::{Done, Test};

/// Apps `/a0`, `/a1` … with a host each and two tasks.
fn apps(numbers: impl IntoIterator<Item = u16>) -> String {
    let app = |number: u16| {
        let task = |task: u16| {
            json!({
                "id": format!("a{number}.{task}"),
                "host": format!("10.0.0.{}", number + 1),
                "ports": [31000 + task],
                "state": "TASK_RUNNING",
            })
        };
        json!({
            "id": format!("/a{number}"),
            "labels": {"HAPROXY_GROUP": "x", "HAPROXY_0_VHOST": format!("h{number}.example.com")},
            "networks": [{"mode": "host"}],
            "portDefinitions": [{"port": 10000 + number}],
            "instances": 2,
            "tasks": [task(0), task(1)],
        })
    };
    let apps: Vec<Value> = numbers.into_iter().map(app).collect();
    json!({ "apps": apps }).to_string()
}

fn host() -> Test {
    Test::new().args([
        "marathon-lb",
        "-m=file:apps.json",
        "--group=x",
        "--haproxy-map",
        "--haproxy-config=haproxy.cfg",
        "--skip-validation",
        "--haproxy-version=2.6",
        "--command=true",
        "--syslog-socket=/dev/null",
        "--log-level=INFO",
    ])
}

fn turn(test: &Test, apps: &str) -> Done {
    fs::write(test.path().join("apps.json"), apps).unwrap();
    test.run().expect(0)
}

/// Names of the apps that are served, as hosts lead to them.
fn served(test: &Test) -> String {
    let map = fs::read_to_string(test.path().join("domain2backend.map")).unwrap();
    let backends = map.lines().filter_map(|row| row.split(['.', ' ']).next());
    backends.collect::<Vec<_>>().join(" ")
}

#[test]
fn what_the_answer_lacks_stays_with_all_its_labels_and_what_is_new_comes() {
    let test = host();
    turn(&test, &apps(0..6));
    let before = test.cfg();
    assert_eq!(served(&test), "h0 h1 h2 h3 h4 h5");
    turn(&test, &apps([0, 9])).says(&["the answer lacks 5 of 6 service ports"]);
    assert_eq!(served(&test), "h0 h1 h2 h3 h4 h5 h9");
    let after = test.cfg();
    for line in before.lines() {
        assert!(after.contains(line), "{line}");
    }
    turn(&test, &apps(0..6));
    assert_eq!(
        served(&test),
        "h0 h1 h2 h3 h4 h5",
        "one that came may go again"
    );
}

/// Sections bear the name of a deployment, and the answer has those of its apps.
#[test]
fn apps_of_deployments_stay_as_others_do() {
    let deployed = |numbers: &[u16]| {
        let mut answer: Value = serde_json::from_str(&apps(numbers.iter().copied())).unwrap();
        for app in answer["apps"].as_array_mut().unwrap() {
            let id = app["id"].as_str().unwrap().to_owned();
            app["labels"]["HAPROXY_DEPLOYMENT_GROUP"] = id.clone().into();
            app["id"] = format!("{id}-blue").into();
        }
        answer.to_string()
    };
    let test = host();
    turn(&test, &deployed(&[0, 1, 2, 3, 4, 5]));
    turn(&test, &deployed(&[0, 9])).says(&["the answer lacks 5 of 6 service ports"]);
    assert_eq!(served(&test), "h0 h1 h2 h3 h4 h5 h9");
}

/// An answer can say in many ways that nobody serves.
#[test]
fn whatever_takes_most_away_is_held() {
    type Spoil = fn(&mut Value);
    let ways: [(&str, Spoil); 6] = [
        ("tasks that start", |app| {
            for task in app["tasks"].as_array_mut().unwrap() {
                task["state"] = json!("TASK_STAGING");
            }
        }),
        ("no tasks", |app| app["tasks"] = json!([])),
        ("no ports", |app| app["portDefinitions"] = json!([])),
        ("nothing but an id", |app| *app = json!({"id": app["id"]})),
        ("another group", |app| {
            app["labels"]["HAPROXY_GROUP"] = json!("y");
        }),
        ("not enabled", |app| {
            app["labels"]["HAPROXY_0_ENABLED"] = json!("false");
        }),
    ];
    for (way, spoil) in ways {
        let test = host();
        turn(&test, &apps(0..8));
        let before = test.cfg();
        let mut fresh: Value = serde_json::from_str(&apps(0..8)).unwrap();
        for app in &mut fresh["apps"].as_array_mut().unwrap()[..5] {
            spoil(app);
        }
        turn(&test, &fresh.to_string()).says(&["the answer lacks 5 of 8 service ports"]);
        let after = test.cfg();
        assert_eq!(after, before, "{way}");
    }
}

/// Whoever put it there, it is served.
#[test]
fn what_an_older_memory_does_not_know_is_held_too() {
    let test = host();
    turn(&test, &apps(0..2));
    let state = state_folder(&test);
    let old = ["state.json", "snapshot.json", "ran"].map(|name| {
        let path = state.join(name);
        (path.clone(), fs::read(path).unwrap())
    });
    turn(&test, &apps(0..8));
    for (path, content) in old {
        fs::write(path, content).unwrap();
    }
    turn(&test, &apps([0])).says(&["the answer lacks 7 of 8 service ports"]);
    assert_eq!(served(&test), "h0 h1 h2 h3 h4 h5 h6 h7");
}

/// What is held now may be held for minutes, in which tasks come and go.
#[test]
fn changes_go_on_being_applied_while_a_removal_is_held() {
    let test = host();
    turn(&test, &apps(0..6));
    turn(&test, &apps([0, 9])).says(&["the answer lacks 5 of 6 service ports"]);
    turn(&test, &apps([0, 9, 10])).says(&["the answer lacks 5 of 7 service ports"]);
    assert_eq!(served(&test), "h0 h1 h10 h2 h3 h4 h5 h9");
    turn(&test, &apps([1, 9, 10])).says(&["the answer lacks 5 of 8 service ports"]);
    assert_eq!(served(&test), "h0 h1 h10 h2 h3 h4 h5 h9");
    turn(&test, &apps([0, 1, 2, 3, 4, 5, 10]));
    assert_eq!(served(&test), "h0 h1 h10 h2 h3 h4 h5");
}

#[test]
fn without_the_last_good_answer_nothing_is_changed() {
    let test = host();
    turn(&test, &apps(0..6));
    let before = test.cfg();
    fs::remove_dir_all(test.path().join("state")).unwrap();
    let told = [
        "the answer lacks 5 of 6 service ports",
        "is not kept",
        "nothing at all is applied",
        "(1 so far) or --allow-removal",
    ];
    turn(&test, &apps([0, 9])).says(&told);
    assert_eq!(served(&test), "h0 h1 h2 h3 h4 h5");
    assert_eq!(test.cfg(), before);
    // Nobody may take it for a host where nothing is to be done.
    let command = |word: &str| {
        let theirs = test.command();
        let mut command = Command::new(theirs.get_program());
        command.current_dir(test.path());
        command.envs(
            theirs
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        );
        command
            .env("HMB_MARATHON", "file:apps.json")
            .env("HMB_HAPROXY_CONFIG", "haproxy.cfg")
            .env("HMB_TEMPLATE_SET", "marathon-lb")
            .env("HMB_GROUP", "x");
        command.arg(word);
        Done::of(command)
    };
    command("diff").expect(1).says(&told);
    let checked = command("check").expect(1).says(&told);
    let also = "a removal is held back, and everything else with it";
    assert!(checked.stdout.contains(also), "{checked:#?}");
    let status = command("status").expect(1).stdout;
    assert!(status.contains("nothing may be applied") && status.contains("nothing at all"));
}

#[test]
fn an_allowed_removal_goes_at_once() {
    let test = host().env("HMB_ALLOW_REMOVAL", "true");
    turn(&test, &apps(0..6));
    turn(&test, &apps([0, 9]));
    assert_eq!(served(&test), "h0 h9");
}

/// It is in the last answer, which is all that an answer is.
#[test]
fn what_was_never_served_is_not_put_back() {
    let test = host();
    let mut all: Value = serde_json::from_str(&apps(0..7)).unwrap();
    all["apps"][6]["labels"]["HAPROXY_GROUP"] = json!("y");
    turn(&test, &all.to_string());
    assert_eq!(served(&test), "h0 h1 h2 h3 h4 h5");
    let mut fresh: Value = serde_json::from_str(&apps([0, 6])).unwrap();
    fresh["apps"][1]["tasks"][0]["host"] = json!("10.0.1.1");
    fresh["apps"][1]["tasks"][1]["host"] = json!("10.0.1.1");
    turn(&test, &fresh.to_string()).says(&["the answer lacks 5 of 6 service ports"]);
    assert_eq!(served(&test), "h0 h1 h2 h3 h4 h5 h6");
    let cfg = test.cfg();
    assert!(cfg.contains(" 10.0.1.1:31000 ") && !cfg.contains(" 10.0.0.7:31000 "));
}

/// A task of another app may have its place by now.
#[test]
fn a_task_whose_place_is_taken_does_not_come_back() {
    let test = host();
    turn(&test, &apps(0..6));
    let mut fresh: Value = serde_json::from_str(&apps([0, 9])).unwrap();
    fresh["apps"][1]["tasks"][0]["host"] = json!("10.0.0.6");
    turn(&test, &fresh.to_string()).says(&["the answer lacks"]);
    let cfg = test.cfg();
    let section = |name: &str| {
        let from = cfg.find(&format!("\nbackend {name}\n")).unwrap();
        let rest = &cfg[from + 1..];
        rest[..rest.find("\n\n").unwrap_or(rest.len())].to_owned()
    };
    assert!(section("a9_10009").contains(" 10.0.0.6:31000 "));
    assert!(!section("a5_10005").contains(" 10.0.0.6:31000 "));
    assert!(section("a5_10005").contains(" 10.0.0.6:31001 "));
}

fn state_folder(test: &Test) -> PathBuf {
    let cfg = test.path().join("haproxy.cfg");
    Folder::of(&test.path().join("state"), &cfg)
        .path()
        .to_owned()
}

/// What is served would be dropped in favour of what was served long ago.
#[test]
fn an_answer_that_the_installed_files_were_not_made_of_is_never_put_back() {
    let test = host();
    turn(&test, &apps(0..3));
    let in_the_way = state_folder(&test).join(".snapshot.json.new");
    fs::create_dir(&in_the_way).unwrap();
    turn(&test, &apps(0..9)).says(&[".snapshot.json.new"]);
    let all = "h0 h1 h2 h3 h4 h5 h6 h7 h8";
    assert_eq!(served(&test), all);
    turn(&test, &apps([0])).says(&["the answer lacks 8 of 9 service ports"]);
    assert_eq!(served(&test), all);

    // The next answer that is whole is kept, although it changes nothing.
    fs::remove_dir(in_the_way).unwrap();
    turn(&test, &apps(0..9));
    turn(&test, &apps([0, 20])).says(&["the answer lacks 8 of 9 service ports"]);
    assert_eq!(served(&test), all.replacen("h2 ", "h2 h20 ", 1));
}

/// The same where not even that could be remembered.
#[test]
fn nor_where_the_state_is_that_of_an_older_file() {
    let test = host();
    turn(&test, &apps(0..3));
    let in_the_way = state_folder(&test).join(".state.json.new");
    fs::create_dir(&in_the_way).unwrap();
    turn(&test, &apps(0..9)).says(&[".state.json.new"]);
    turn(&test, &apps([0])).says(&["the answer lacks 8 of 9 service ports"]);
    let all = "h0 h1 h2 h3 h4 h5 h6 h7 h8";
    assert_eq!(served(&test), all);

    // The next turn knows what HAProxy runs by its mark, and the answer is still an older one.
    fs::remove_dir(in_the_way).unwrap();
    turn(&test, &apps(0..9));
    turn(&test, &apps([0])).says(&["the answer lacks 8 of 9 service ports"]);
    assert_eq!(served(&test), all);
}

#[test]
fn nor_after_a_rollback() {
    let test = Test::new();
    let by = |words: &[&str]| {
        let mut command = test.command();
        command
            .env("HMB_TEMPLATE_SET", "marathon-lb")
            .env("HMB_MARATHON", "file:apps.json")
            .env("HMB_HAPROXY_CONFIG", "haproxy.cfg")
            .env("HMB_RELOAD_COMMAND", "true")
            .args(words);
        Done::of(command)
    };
    let come = |apps: &str| fs::write(test.path().join("apps.json"), apps).unwrap();
    come(&apps(0..8));
    by(&["refresh"]).expect(0);
    come(&apps([0]));
    by(&["refresh", "--allow-removal"]).expect(0);
    assert_eq!(served(&test), "h0");
    by(&["rollback"]).expect(0);
    let all = "h0 h1 h2 h3 h4 h5 h6 h7";
    assert_eq!(served(&test), all);
    by(&["resume"]).expect(0);
    by(&["refresh"])
        .expect(1)
        .says(&["the answer lacks 7 of 8"]);
    assert_eq!(served(&test), all);
}

/// Ten seconds pass that nobody has to wait for.
fn time_passes(test: &Test) {
    let file = state_folder(test).join("state.json");
    let mut state: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    for fetch in state["guard"]["fetches"].as_array_mut().unwrap() {
        fetch["at"] = json!("2001-01-01T00:00:00Z");
    }
    fs::write(file, state.to_string()).unwrap();
}

#[test]
fn what_enough_answers_agree_on_goes_though_more_is_lacking_by_then() {
    let test = host();
    turn(&test, &apps(0..7));
    for agreeing in ["(1 so far)", "(2 so far)"] {
        turn(&test, &apps(4..7)).says(&["the answer lacks 4 of 7", agreeing]);
        assert_eq!(served(&test), "h0 h1 h2 h3 h4 h5 h6");
        time_passes(&test);
    }
    turn(&test, &apps([])).says(&["the answer lacks 3 of 3", "(1 so far)"]);
    assert_eq!(served(&test), "h4 h5 h6");
}

/// Whoever waits for three fetches would wait for ever.
#[test]
fn that_fetches_cannot_be_counted_is_told_with_the_folder_and_the_reason() {
    let test = host().file("file", "");
    let state = test.path().join("file/state");
    let test = test.env("HMB_STATE_DIR", &state);
    turn(&test, &apps(0..6));
    let folder = Folder::of(&state, &test.path().join("haproxy.cfg"));
    let folder = format!("the state folder `{}`: ", folder.path().display());
    let reason = "a file stands where a folder is expected";
    for _ in 0..2 {
        turn(&test, &apps([0])).says(&[
            "no fetch can be counted",
            &folder,
            reason,
            "only --allow-removal",
        ]);
    }
}
