//! The command lines of `marathon_lb.py` and `servicerouter.py`, as scripts call them.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use haproxy_marathon_bridge::haproxy::structure_hash;

use crate::support::{Done, Test};

/// Two apps of a saved answer.
const APPS: &str = r#"{"apps": [{
    "id": "/web", "ports": [10001], "labels": {"HAPROXY_GROUP": "external"},
    "tasks": [{"id": "web.1", "appId": "/web", "host": "10.0.0.1", "ports": [31001],
        "state": "TASK_RUNNING", "startedAt": "2016-01-01T00:00:00.000Z"}]
}]}"#;

fn marathon_lb(words: &[&str]) -> Done {
    Test::new().call([&["marathon-lb"], words].concat())
}

fn servicerouter(words: &[&str]) -> Done {
    Test::new().call([&["servicerouter"], words].concat())
}

/// Started under `name`, as by the link that a package leaves.
fn started_as(name: &str, words: &[&str]) -> Done {
    let test = Test::new();
    let link = test.path().join(name);
    symlink(env!("CARGO_BIN_EXE_haproxy-marathon-bridge"), &link).unwrap();
    let mut command = Command::new(link);
    command
        .env_clear()
        .args(words)
        .current_dir(test.path())
        .env("HMB_STATE_DIR", test.path().join("state"));
    Done::of(command)
}

#[test]
fn wrong_usage_is_told_as_argparse_tells_it() {
    for (words, problem) in [
        (
            &["--grou"][..],
            "ambiguous option: --grou could match --group, --group-https-by-vhost",
        ),
        (&["--group"], "argument --group: expected one argument"),
        (
            &["-m"],
            "argument --marathon/-m: expected at least one argument",
        ),
        (&["--nonsense"], "unrecognized arguments: --nonsense"),
        (
            &["--reload-interval", "soon"],
            "argument --reload-interval: invalid int value: 'soon'",
        ),
        // What is wrong together comes after what is wrong by itself, in this order.
        (
            &["--min-serv-port-ip-per-task", "0"],
            "--min-serv-port-ip-per-task and --max-serv-port-ip-per-task: only one of them is 0, \
             expected both (no ports are assigned) or neither",
        ),
        (
            &["--min-serv-port-ip-per-task", "10200"],
            "--min-serv-port-ip-per-task is above --max-serv-port-ip-per-task",
        ),
        (
            &[],
            "argument --group is required: please specify at least one group",
        ),
        (
            &["--sse", "--dry"],
            "argument --group is required: please specify at least one group",
        ),
    ] {
        let done = started_as("marathon_lb.py", words).expect(2);
        assert_eq!(done.stdout, "", "{words:?}");
        assert!(
            done.stderr.starts_with("usage: marathon_lb.py [-h] "),
            "{}",
            done.stderr
        );
        let last = done.stderr.lines().last();
        let error = format!("marathon_lb.py: error: {problem}");
        assert_eq!(last, Some(error.as_str()), "{words:?}");
    }
    servicerouter(&[]).expect(2).says(&[
        "haproxy-marathon-bridge servicerouter: error: argument --marathon/-m: is required",
    ]);
}

#[test]
fn the_name_it_is_started_under_chooses_the_command_line() {
    for (name, program) in [
        ("marathon_lb.py", "marathon_lb.py"),
        ("marathon-lb", "marathon-lb"),
        ("servicerouter.py", "servicerouter.py"),
    ] {
        let done = started_as(name, &["--help"]).expect(0);
        assert!(done.stdout.starts_with(&format!("usage: {program} ")));
        assert_eq!(done.stderr, "");
    }
    let other = started_as("marathon", &["marathon-lb", "-h"]).expect(0);
    assert!(
        other
            .stdout
            .starts_with("usage: haproxy-marathon-bridge marathon-lb [-h]"),
        "{}",
        other.stdout
    );
}

#[test]
fn the_long_help_needs_nothing_and_comes_before_every_check() {
    for words in [
        &["--longhelp"][..],
        &[
            "--long",
            "--min-serv-port-ip-per-task",
            "0",
            "--log-level",
            "loud",
        ],
    ] {
        let done = marathon_lb(words).expect(0);
        assert!(
            done.stdout.contains("--max-reload-retries"),
            "{}",
            done.stdout
        );
        assert_eq!(done.stderr, "");
    }
    assert!(
        servicerouter(&["--longhelp"])
            .expect(0)
            .stdout
            .contains("--listening")
    );
}

#[test]
fn what_only_the_program_could_judge_is_exit_1() {
    for (words, told) in [
        (&["--log-level", "loud"][..], "Invalid log level: loud\n"),
        (
            &["--auth-credentials", "joe:s3:cret"],
            "Please provide marathon credentials in user:pass format\n",
        ),
        (
            &["--auth-credentials", "s3cret"],
            "Please provide marathon credentials in user:pass format\n",
        ),
    ] {
        let done = marathon_lb(&[&["--group", "*"], words].concat()).expect(1);
        assert_eq!(done.stderr, told, "{words:?}");
        assert_eq!(done.stdout, "");
    }
}

/// The set of the bridge stands in for what is rendered: the command line is what counts here.
fn with_apps() -> Test {
    Test::new()
        .file("apps.json", APPS)
        .env("HMB_TEMPLATE_SET", "bridge")
        .env("HMB_TEMPLATE_LABELS", "none")
}

const DRY: [&str; 7] = [
    "marathon-lb",
    "--dry",
    "--group=*",
    "--haproxy-conf=haproxy.cfg",
    "-mfile:apps.json",
    "--syslog-socket=/dev/null",
    "--haproxy-version=2.6",
];

#[test]
fn dry_prints_the_file_and_a_line_feed_if_it_differs_and_changes_nothing() {
    let test = with_apps();
    let done = test.call(DRY).expect(0);
    let cfg = done.stdout.strip_suffix('\n').unwrap();
    assert!(cfg.contains("10.0.0.1:31001"), "{cfg}");
    assert!(cfg.ends_with('\n'));
    for file in ["haproxy.cfg", "domain2backend.map", "state"] {
        assert!(!test.path().join(file).exists(), "{file}");
    }
    let test = test.file("haproxy.cfg", cfg);
    let again = test.call(DRY).expect(0);
    assert_eq!(again.stdout, "");
    assert!(!test.path().join("state").exists());
}

#[test]
fn of_several_lists_of_marathons_the_last_one_counts() {
    let test = with_apps();
    let call = |words: &[&str]| test.call([&DRY[..4], &DRY[5..], words].concat());
    call(&[
        "-m",
        "file:none.json",
        "-m",
        "file:none.json",
        "file:apps.json",
    ])
    .expect(0);
    call(&["-m", "file:apps.json", "-m", "file:none.json"])
        .expect(1)
        .says(&["none.json"]);
}

#[test]
fn the_log_is_in_pythons_form_on_standard_error_and_in_syslog() {
    let test = with_apps();
    let socket = UnixDatagram::bind(test.path().join("log")).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let words = [
        "marathon-lb",
        "--group=*",
        "-m",
        "file:none.json",
        "--haproxy-config=haproxy.cfg",
        "--dry",
        "--syslog-socket=log",
        "--log-level=error",
    ];
    let plain = test.call(words).expect(1);
    let (time, rest) = plain.stderr.split_at("2016-01-01 00:00:00,000".len());
    assert_eq!(&time[10..11], " ", "{time}");
    assert_eq!(&time[19..20], ",", "{time}");
    assert!(rest.starts_with(" marathon_lb: "), "{rest}");
    let mut message = vec![0; 10_000];
    let length = socket.recv(&mut message).unwrap();
    let message = String::from_utf8_lossy(&message[..length]).into_owned();
    // They are written one after the other, each with its own time.
    assert!(message.starts_with("<11>2"), "{message}");
    assert!(message.ends_with(rest.trim_end()), "{message}");

    let own = [&words[..], &["--log-format", "%(levelname)-8s|%(message)s"]].concat();
    let own = test.call(own).expect(1).stderr;
    assert!(own.starts_with("ERROR   |"), "{own}");
    // Nobody listens, and nothing else changes.
    drop(socket);
    std::fs::remove_file(test.path().join("log")).unwrap();
    assert_eq!(test.call(words).expect(1).stderr.lines().count(), 1);
}

/// `add server` takes an administrator, and HAProxy has to tell what it runs.
#[test]
fn the_runtime_api_changes_two_lines_of_the_head() {
    let test = Test::new().file("apps.json", APPS);
    let plain = test.call(DRY).expect(0);
    let told = test.call([&DRY[..], &["--runtime-api"]].concat()).expect(0);
    let lines = |done: &Done| -> Vec<String> {
        let lines = done
            .stdout
            .lines()
            .map(|line| line.replace(" level admin", ""));
        lines
            .filter(|line| !line.starts_with("  description "))
            .collect()
    };
    assert_eq!(lines(&told), lines(&plain));
    assert!(told.stdout.contains(" expose-fd listeners level admin\n"));
    let mark = told
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("  description "));
    // A line feed more is printed.
    let printed = told.stdout.strip_suffix('\n').unwrap();
    assert_eq!(mark.unwrap(), structure_hash(printed));
}

#[test]
fn a_command_runs_without_a_shell_on_each_change_and_on_nothing_else() {
    let test = with_apps()
        .file("note", "#!/bin/sh\nprintf '<%s>' \"$@\" >> \"$0.txt\"\n")
        .env("HMB_PID_FILE", "/nonexistent/haproxy.pid");
    let program = test.path().join("note");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let command = format!("{} 'a b' $HOME \"c;d\"", program.display());
    let words = [
        "marathon-lb",
        "--group=external",
        "-m",
        "file:apps.json",
        "--haproxy-config=haproxy.cfg",
        "--syslog-socket=/dev/null",
        "-c",
        &command,
    ];
    for turn in 0..2 {
        test.call(words).expect(0);
        let noted = std::fs::read_to_string(test.path().join("note.txt")).unwrap();
        assert_eq!(noted, "<a b><$HOME><c;d>", "turn {turn}");
    }
    let cfg = test.cfg();
    assert!(cfg.contains("10.0.0.1:31001"), "{cfg}");
}
