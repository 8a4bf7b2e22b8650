//! Answers that are none. Whatever Marathon gives instead of one, the run says which address gave
//! what, exits 1, prints nothing else, and leaves HAProxy and its files alone.

use std::process::Command;
use std::time::Duration;

use haproxy_marathon_bridge::demo::marathon::{App, Ending, Era, Fault, Marathon, Task};

use crate::host::{Host, Web};
use crate::support::{Done, Test};

/// Short, since some faults last as long as they are waited for.
const LIMITS: [&str; 4] = ["--read-timeout", "500ms", "--fetch-timeout", "1s"];

const MAX_BODY: &str = "1MiB";

/// Every way to fail, and what has to be said of it.
fn faults() -> Vec<(Fault, &'static str)> {
    let cut = |ending| Fault::Truncated {
        at_bytes: 100,
        ending,
    };
    let slow = Fault::Slow {
        bytes_per_chunk: 1,
        pause: Duration::from_millis(50),
    };
    vec![
        (Fault::Garbage, "no UTF-8 text"),
        (Fault::Html(200), "found text/html"),
        (cut(Ending::ShortOfLength), "broke off"),
        (cut(Ending::ShortOfLastChunk), "broke off"),
        (cut(Ending::Unnoticed), "no complete JSON"),
        (Fault::Status(500), "500 Internal Server Error"),
        (Fault::Html(503), "503 Service Unavailable"),
        (Fault::Hang, "nothing came for 500ms"),
        (
            Fault::HangInBody { after_bytes: 100 },
            "nothing came for 500ms",
        ),
        (slow, "not complete after 1s"),
        (Fault::Empty, "the answer is empty"),
        (
            Fault::Huge { bytes: 300_000_000 },
            "more than 1048576 bytes",
        ),
        (Fault::WrongContentType, "found text/html"),
        (Fault::Unauthorized, "401 Unauthorized"),
        (
            Fault::Redirect("/v2/apps".to_owned()),
            "more than 5 redirects",
        ),
        (
            Fault::Redirect("ftp://x/".to_owned()),
            "redirect to no HTTP address",
        ),
        (Fault::Reset, "broke off"),
    ]
}

fn with_limits(more: &[&'static str]) -> Vec<&'static str> {
    let limits = LIMITS.into_iter().chain(["--max-body", MAX_BODY]);
    limits.chain(more.iter().copied()).collect()
}

#[test]
fn every_bad_answer_is_named_and_changes_nothing() {
    let web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let address = web.marathon.address();
    let secret = [format!("http://joe:s3cret@{address}")];
    let shown = format!("`http://***@{address}`: ");
    let pid = host.pid();
    for (fault, reason) in faults() {
        web.marathon.inject(fault.clone());
        let refreshed = host.untouched(|| host.refresh(&secret, &with_limits(&[])));
        let generated = generate(&secret);
        for done in [refreshed, generated] {
            let done = done.expect(1).says(&[&shown, reason]);
            assert_eq!(done.stdout, "", "{fault:?}");
            assert!(!done.stderr.contains("s3cret"), "{fault:?}: {done:#?}");
        }
        assert_eq!(host.pid(), pid, "{fault:?}");
        web.marathon.clear_faults();
    }
    web.connect();
    host.untouched(|| host.refresh(&web.url(), &[]).expect(0));
}

fn generate(marathons: &[String]) -> Done {
    let mut args = vec!["generate".to_owned()];
    for marathon in marathons {
        args.extend(["--marathon".to_owned(), marathon.clone()]);
    }
    args.extend(with_limits(&[]).into_iter().map(str::to_owned));
    Test::bridge().call(args)
}

#[test]
fn a_marathon_that_is_gone_is_named_and_changes_nothing() {
    let mut web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    web.marathon.down();
    let done = host.untouched(|| host.refresh(&web.url(), &[]));
    let done = done.expect(1).says(&[&web.marathon.url(), "no connection"]);
    assert_eq!(done.stdout, "");
    web.marathon.up().unwrap();
    host.untouched(|| host.refresh(&web.url(), &[]).expect(0));
}

/// JSON of another kind is not a cluster without apps: that would empty HAProxy.
#[test]
fn json_that_is_no_list_of_apps_changes_nothing() {
    let web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    for text in [
        "{}",
        "[]",
        "null",
        "42",
        r#"{"apps": null}"#,
        r#"{"apps": {}}"#,
        r#"{"apps": "none"}"#,
        r#"{"message": "not the leader"}"#,
        r#"{"tasks": []}"#,
        r#"{"apps": []} and more"#,
    ] {
        web.marathon.serve_saved_apps(text);
        let done = host.untouched(|| host.refresh(&web.url(), &[]));
        done.expect(1).says(&[&web.marathon.url(), "found "]);
    }
}

/// A mistake of one team must not take the others' apps away.
#[test]
fn a_field_of_a_wrong_type_costs_its_app_and_no_other() {
    let good = r#"{"id": "/good", "ports": [10001],
        "tasks": [{"host": "10.0.0.1", "ports": [31001]}]}"#;
    let field = |name: &str, value: &str| format!(r#"{{"id": "/bad", "{name}": {value}}}"#);
    let bad = [
        field("ports", r#""10002""#),
        field("ports", "[-1]"),
        field("tasks", "7"),
        field("tasks", r#"[{"host": 3, "ports": [1]}]"#),
        field("tasks", r#"[{"host": "h", "ports": ["x"]}]"#),
        field("labels", r#"["HAPROXY_GROUP"]"#),
        field("container", "[]"),
        field("portDefinitions", "3"),
        field("healthChecks", r#""none""#),
        r#"{"id": 5}"#.to_owned(),
        "17".to_owned(),
        "[]".to_owned(),
    ];
    let marathon = Marathon::start(Era::V1_8).unwrap();
    for bad in bad {
        marathon.serve_saved_apps(&format!(r#"{{"apps": [{bad}, {good}]}}"#));
        let done = Test::bridge().call(["generate", "--marathon", &marathon.url()]);
        let done = done.expect(0).says(&["warn: "]);
        let served: Vec<_> = done
            .stdout
            .lines()
            .filter(|line| line.starts_with("listen "))
            .collect();
        assert_eq!(served, ["listen stats", "listen good-10001"], "{bad}");
    }
}

#[test]
fn another_node_answers_for_one_that_fails_in_any_way() {
    let first = Marathon::start(Era::V1_8).unwrap();
    let app = App::new("/web").service_port(10001);
    first.deploy(app.task(Task::new("10.0.0.1").port(31001)));
    let second = first.another_node().unwrap();
    let right = generate(&[second.url()]).expect(0).stdout;
    assert!(right.contains("listen web-10001"), "{right}");
    for (fault, reason) in faults() {
        first.inject(fault);
        let done = generate(&[first.url(), second.url()]).expect(0);
        let done = done.says(&["warn: ", &first.url(), reason, &second.url()]);
        assert_eq!(done.stdout, right, "{reason}");
        first.clear_faults();
    }
}

/// Else every run of cron would wait for a dead node again.
#[test]
fn the_node_that_answered_last_is_asked_first_by_the_next_run() {
    let web = Web::start();
    let first = &web.marathon;
    let second = first.another_node().unwrap();
    let urls = [first.url(), second.url()];
    let host = Host::new();
    first.inject(Fault::Status(500).times(1));
    host.refresh(&urls, &[]).expect(0);
    assert_eq!((first.all_requests(), second.all_requests()), (1, 1));
    host.refresh(&urls, &[]).expect(0);
    assert_eq!((first.all_requests(), second.all_requests()), (1, 2));
    // And back again, once that one fails.
    second.inject(Fault::Status(500));
    host.refresh(&urls, &[]).expect(0);
    host.refresh(&urls, &[]).expect(0);
    assert_eq!((first.all_requests(), second.all_requests()), (3, 3));
}

/// 300 MB is more than any cluster has to say; the default limit is 256 MiB.
#[test]
fn an_endless_answer_is_given_up_in_bounded_memory() {
    const HUGE: u64 = 300_000_000;
    let marathon = Marathon::start(Era::V1_8).unwrap();
    marathon.inject(Fault::Huge { bytes: HUGE });
    let run = |memory_kib: u32, more: &str| {
        // The shell's limit is on addresses, of which more are taken than memory is used.
        let script = format!("ulimit -v {memory_kib} && exec \"$0\" generate -m \"$1\" {more}");
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        command.arg(env!("CARGO_BIN_EXE_haproxy-marathon-bridge"));
        command.arg(marathon.url());
        Done::of(command)
    };
    run(200_000, "--max-body 1MiB")
        .expect(1)
        .says(&["more than 1048576 bytes"]);
    let read = marathon.bytes("/v2/apps");
    assert!(read < HUGE / 10, "{read} bytes were taken");
    run(700_000, "")
        .expect(1)
        .says(&["more than 268435456 bytes"]);
}
