//! `logged`, and `--log`.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{Host, assert_says, done};
use crate::support::Test;

#[test]
fn logged_sends_both_outputs_to_syslog_and_ends_as_the_call_did() {
    let host = Host::serving(&[("/web", 10001, 1), ("/zero", 0, 1)]);
    let syslog = host.syslog();
    let mut command = host.command(&["logged", "config", "file:apps.json"]);
    let well = done(command.env("HMB_SYSLOG_SOCKET", host.path("log"))).expect(0);
    assert_eq!((well.stdout.as_str(), well.stderr.as_str()), ("", ""));
    let messages = syslog.messages();
    let tag = messages[0].split_once('>').unwrap().1;
    let tag = tag.split_once(": ").unwrap().0;
    let pid = tag.strip_prefix("haproxy-marathon-bridge[").unwrap();
    assert!(
        pid.strip_suffix(']').unwrap().parse::<u32>().is_ok(),
        "{tag}"
    );
    for want in [
        format!("<14>{tag}: listen web-10001"),
        format!("<14>{tag}:   mode tcp"),
        format!("<13>{tag}: warn: app `/zero`"),
    ] {
        let is_there = messages.iter().any(|message| message.starts_with(&want));
        assert!(is_there, "{want} is missing in {messages:#?}");
    }

    let mut command = host.command(&["logged", "config", "file:absent.json"]);
    let failed = done(command.env("HMB_SYSLOG_SOCKET", host.path("log"))).expect(1);
    assert_eq!(failed.stderr, "");
    let messages = syslog.messages();
    assert_eq!(messages.len(), 1, "{messages:#?}");
    assert_says(&messages[0], &["<13>", "error: ", "absent.json"]);
}

#[test]
fn what_is_wrong_with_the_options_of_a_logged_call_is_logged_too() {
    let host = Host::serving(&[]);
    let syslog = host.syslog();
    let mut command = host.command(&["logged", "refresh_system_haproxy"]);
    command
        .env("HMB_SYSLOG_SOCKET", host.path("log"))
        .env("HMB_MARATHON", "ftp://m1");
    assert_eq!(done(&mut command).expect(2).stderr, "");
    let messages = syslog.messages();
    assert_says(&messages.join("\n"), &["<13>", "ftp://m1"]);
}

#[test]
fn without_a_syslog_the_lines_of_a_logged_call_go_to_standard_error() {
    let host = Host::serving(&[("/web", 10001, 1)]);
    let mut command = host.command(&["logged", "apps", "file:apps.json"]);
    let mailed = done(command.env("HMB_SYSLOG_SOCKET", host.path("none"))).expect(0);
    assert_eq!(mailed.stdout, "");
    assert_says(&mailed.stderr, &["/none`", "\nlisten web-10001\n"]);
    let complaints = mailed.stderr.matches("does not answer").count();
    assert_eq!(complaints, 1, "{}", mailed.stderr);
}

#[test]
fn a_signal_to_logged_reaches_the_call() {
    let host = Host::new();
    let _syslog = host.syslog();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = silent.local_addr().unwrap().to_string();
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let mut child = host
            .command(&["logged", "config", &address])
            .env("HMB_SYSLOG_SOCKET", host.path("log"))
            .env_remove("HMB_MARATHON")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (_connection, _) = silent.accept().unwrap();
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
    }
}

#[test]
fn the_log_goes_to_syslog_as_lines_with_priorities_or_as_json() {
    let host = Host::serving(&[("/web", 10001, 1), ("/zero", 0, 1)]);
    let syslog = host.syslog();
    let to_syslog = |words: &[&str]| {
        let mut command = host.command(words);
        command.args(["--log", "syslog", "--syslog-socket", "log"]);
        done(&mut command)
    };
    let told = to_syslog(&["refresh"]).expect(0);
    assert_eq!(told.stderr, "");
    let messages = syslog.messages().join("\n");
    assert_says(
        &messages,
        &["<28>haproxy-marathon-bridge[", "]: warn: app `/zero`: "],
    );
    assert_says(
        &messages,
        &["<30>haproxy-marathon-bridge[", "]: info: installed"],
    );

    to_syslog(&["generate", "--log-format", "json"]).expect(0);
    let messages = syslog.messages();
    let object = messages[0].split_once(": ").unwrap().1;
    let object: Value = serde_json::from_str(object).unwrap();
    assert_eq!(object["app"], "/zero");
    assert!(object["effect"].is_string(), "{object}");
}

/// A machine looks it up, whatever people are to read of it.
#[test]
fn an_app_is_told_whole_as_a_field_however_long_its_name_is() {
    let id = format!("/{}", "a".repeat(400));
    let apps = format!(
        r#"{{"apps": [{{"id": "{id}", "ports": [0], "tasks": [{{"host": "127.0.0.1", "ports": [1],
            "state": "TASK_RUNNING"}}]}}]}}"#
    );
    let test = Test::bridge().file("apps.json", apps);
    let words = ["generate", "--marathon=file:apps.json", "--log-format=json"];
    let told = test.call(words).expect(0).stderr;
    let lines = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_app: Vec<Value> = lines.filter(|line| !line["app"].is_null()).collect();
    assert!(!of_app.is_empty(), "{told}");
    for line in of_app {
        assert_eq!(line["app"], *id);
        assert!(!line["message"].as_str().unwrap().contains(&id), "{line}");
    }
}
