//! The calls of the bash script `haproxy-marathon-bridge`, as people and cron jobs make them.

use std::fmt::Write as _;
use std::process::Command;

use haproxy_marathon_bridge::demo::marathon::{App, Ending, Era, Fault, Marathon, Task, TaskState};

use crate::host::{Host, Web};
use crate::support::{Done, Test, assert_accepted};

/// What stood before the apps, byte for byte: people compare it, and scripts cut it off.
const HEADER: &str = "\
global
  daemon
  log 127.0.0.1 local0
  log 127.0.0.1 local1 notice
  maxconn 4096

defaults
  log            global
  retries             3
  maxconn          2000
  timeout connect  5000
  timeout client  50000
  timeout server  50000

listen stats
  bind 127.0.0.1:9090
  balance
  mode http
  stats enable
  stats auth admin:admin
";

/// The section of one app and service port; `servers` in the order in which they have to come.
fn section(app: &str, service_port: u16, servers: &[&str]) -> String {
    let mut text = format!(
        "\nlisten {app}-{service_port}\n  bind 0.0.0.0:{service_port}\n  mode tcp\n  \
         option tcplog\n  balance leastconn\n"
    );
    // The script counted down.
    for (number, address) in (1..=servers.len()).rev().zip(servers) {
        writeln!(text, "  server {app}-{number} {address} check").unwrap();
    }
    text
}

/// Apps with and without ports and tasks; tasks that are on their way out, where `era` tells.
fn cluster(era: Era) -> Marathon {
    let marathon = Marathon::start(era).unwrap();
    let web = App::new("/web").bridge().service_port(10080);
    let web = web.task(Task::new("10.0.0.9").port(9999));
    let mut web = web.task(Task::new("10.0.0.10").port(31002));
    if era >= Era::V1_1 {
        let leaving = Task::new("10.0.0.1").port(31009);
        web = web.task(leaving.in_state(TaskState::Killing));
        let coming = Task::new("10.0.0.1").port(31010);
        web = web.task(coming.in_state(TaskState::Staging));
    }
    marathon.deploy(web);
    let frontend = App::new("/product/front-end");
    let frontend = frontend.service_port(10001).service_port(10002);
    let frontend = frontend.task(Task::new("agent-2").port(31000).port(31001));
    let frontend = frontend.task(Task::new("agent-1").port(31005).port(31006));
    marathon.deploy(frontend);
    marathon.deploy(App::new("/batch").task(Task::new("10.0.0.3")));
    marathon.deploy(App::new("/idle").bridge().service_port(10003));
    marathon
}

fn expected() -> String {
    let agents = |one: u16, two: u16| [format!("agent-1:{one}"), format!("agent-2:{two}")];
    let [first, second] = [agents(31005, 31000), agents(31006, 31001)];
    [
        HEADER.to_owned(),
        section("idle", 10003, &[]),
        section(
            "product_front-end",
            10001,
            &first.each_ref().map(String::as_str),
        ),
        section(
            "product_front-end",
            10002,
            &second.each_ref().map(String::as_str),
        ),
        // Bytewise: the longer address comes first.
        section("web", 10080, &["10.0.0.10:31002", "10.0.0.9:9999"]),
    ]
    .concat()
}

fn call<S: AsRef<str>>(words: &[S]) -> Done {
    Test::new().call(words.iter().map(AsRef::as_ref))
}

fn host_of(marathon: &Marathon) -> String {
    marathon.address().to_string()
}

#[test]
fn the_file_is_that_of_the_script_from_every_marathon_there_was() {
    for era in Era::ALL {
        let marathon = cluster(era);
        let done = call(&[host_of(&marathon)]).expect(0);
        assert_eq!(done.stdout, expected(), "{era:?}");
        let has_text = era < Era::V1_10;
        assert_eq!(marathon.requests("/v2/tasks"), 1, "{era:?}");
        assert_eq!(marathon.requests("/v2/apps") == 0, has_text, "{era:?}");
    }
    assert_accepted(&expected().replace(" agent-", " 10.9.9."));
}

/// The text form is gone since 1.10, and nobody should see it by the file.
#[test]
fn text_and_json_give_the_same_file() {
    for era in Era::ALL {
        for fault in [Fault::Status(406), Fault::Status(404)] {
            let marathon = cluster(era);
            marathon.inject(fault.on("/v2/tasks"));
            let done = call(&[host_of(&marathon)]).expect(0);
            assert_eq!(done.stdout, expected(), "{era:?}");
            assert_eq!(marathon.requests("/v2/apps"), 1, "{era:?}");
        }
    }
    let marathon = cluster(Era::V1_4);
    let list = r#"{"tasks": []}"#;
    marathon.serve_saved("/v2/tasks", "application/json", list);
    let done = call(&[host_of(&marathon)]).expect(0);
    assert_eq!(done.stdout, expected(), "a proxy that serves JSON only");
}

/// Up to 1.4 the text leaves out apps in container networks, and up to 1.8 it calls ports that the
/// agent does not have 0: JSON knows better.
#[test]
fn json_also_knows_the_addresses_of_containers() {
    let app = |era| {
        let marathon = Marathon::start(era).unwrap();
        let app = App::new("/own").container_network("dcos");
        let task = Task::new("10.0.0.1").address([9, 0, 0, 5].into());
        marathon.deploy(app.service_port(10005).task(task));
        marathon
    };
    let with_address = [HEADER.to_owned(), section("own", 10005, &["9.0.0.5:8080"])].concat();
    for era in [Era::V1_4, Era::V1_11] {
        let marathon = app(era);
        let done = call(&[host_of(&marathon)]).expect(0);
        assert_eq!(done.stdout, with_address, "{era:?}");
    }
    let done = call(&[host_of(&app(Era::V1_8))]).expect(0);
    let without = [HEADER.to_owned(), section("own", 10005, &[])].concat();
    assert_eq!(done.stdout, without);
    done.says(&["app `/own`", "10.0.0.1:0"]);
}

#[test]
fn a_host_may_be_written_as_curl_took_it() {
    let marathon = cluster(Era::V0_10);
    let address = host_of(&marathon);
    for host in [
        address.clone(),
        format!("{address}/"),
        format!("http://{address}"),
        format!("http://{address}/"),
        format!("HTTP://{address}"),
    ] {
        assert_eq!(call(&[&host]).expect(0).stdout, expected(), "{host}");
    }
    // Behind a proxy that passes on what lies below a path.
    let to = format!("http://{address}/v2/tasks");
    marathon.inject(Fault::Redirect(to).on("/some/where/v2/tasks"));
    for host in [
        format!("{address}/some/where"),
        format!("{address}/some/where/"),
    ] {
        assert_eq!(call(&[&host]).expect(0).stdout, expected(), "{host}");
    }
}

#[test]
fn credentials_stand_in_the_url_and_nowhere_else() {
    let marathon = cluster(Era::V1_8);
    // `joe:s3cret`
    marathon.require_authorization(Some("Basic am9lOnMzY3JldA=="));
    let address = host_of(&marathon);
    for host in [
        format!("joe:s3cret@{address}"),
        format!("http://joe:s3cret@{address}/"),
    ] {
        assert_eq!(call(&[host]).expect(0).stdout, expected());
    }
    for (host, reason) in [
        (address.clone(), "credentials are missing"),
        (format!("joe:wr0ng@{address}"), "credentials were refused"),
    ] {
        let done = call(&[host]).expect(1).says(&["401", reason, &address]);
        assert_eq!(done.stdout, "");
        assert!(!done.stderr.contains("wr0ng"), "{done:?}");
    }
}

#[test]
fn hosts_are_asked_in_order_until_one_answers() {
    let marathon = cluster(Era::V1_4);
    let mut others = [
        marathon.another_node().unwrap(),
        marathon.another_node().unwrap(),
    ];
    let hosts = [&others[0], &others[1], &marathon].map(host_of);
    call(&hosts).expect(0);
    assert_eq!((others[0].all_requests(), others[1].all_requests()), (1, 0));
    others[0].down();
    others[1].inject(Fault::Html(502));
    assert_eq!(call(&hosts).expect(0).stdout, expected());
    assert_eq!((others[1].all_requests(), marathon.all_requests()), (1, 1));
}

/// The script had printed its header by then, and `> haproxy.cfg` left just that.
#[test]
fn nothing_is_printed_when_no_host_answers() {
    let marathon = cluster(Era::V1_4);
    let mut gone = marathon.another_node().unwrap();
    gone.down();
    let hosts = [&gone, &marathon].map(host_of);
    let cut = |ending| Fault::Truncated {
        at_bytes: 40,
        ending,
    };
    for fault in [
        Fault::Status(500),
        Fault::Html(200),
        Fault::Garbage,
        Fault::Empty,
        Fault::Reset,
        cut(Ending::ShortOfLength),
        cut(Ending::ShortOfLastChunk),
    ] {
        marathon.inject(fault.clone());
        for call_name in [None, Some("config"), Some("apps")] {
            let words = call_name
                .into_iter()
                .chain(hosts.iter().map(String::as_str));
            let done = Test::new().call(words).expect(1);
            assert_eq!(done.stdout, "", "{fault:?}");
            done.says(&["no connection", &hosts[0], &hosts[1]]);
        }
        marathon.clear_faults();
    }
}

#[test]
fn header_and_apps_are_the_parts_of_config() {
    let marathon = cluster(Era::V1_4);
    let host = host_of(&marathon);
    let header = call(&["header"]).expect(0).stdout;
    assert_eq!(header, HEADER);
    let apps = call(&["apps", &host]).expect(0).stdout;
    assert_eq!(header + &apps, expected());
    for words in [["config", &host], ["main", &host]] {
        assert_eq!(call(&words).expect(0).stdout, expected());
    }
}

#[test]
fn the_line_for_cron_is_that_of_the_script_with_a_path() {
    let line = call(&["cronjob"]).expect(0).stdout;
    assert_eq!(
        line,
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
         * * * * * root /usr/local/bin/haproxy-marathon-bridge logged refresh_system_haproxy \
         $(cat /etc/haproxy-marathon-bridge/marathons)\n"
    );
}

#[test]
fn usage_goes_where_the_script_sent_it() {
    for (words, code) in [
        (vec!["-h"], 0),
        (vec!["--help"], 0),
        (vec![], 1),
        (vec!["main"], 1),
    ] {
        let done = call(&words).expect(code);
        for part in ["HOST:PORT...", "refresh_system_haproxy", "/marathons"] {
            assert!(done.stdout.contains(part), "{words:?}: {done:?}");
        }
        assert_eq!(done.stderr, "");
    }
}

/// A typing error would be asked for its apps, and fail in a way that explains nothing.
#[test]
fn a_word_that_is_no_call_and_no_host_is_wrong_usage() {
    for (word, hint) in [
        ("refresh_system_haproxi", "`refresh_system_haproxy`"),
        ("configs", "`config`"),
        ("marathon", "HOST:PORT"),
        ("--hosts", "--hosts"),
    ] {
        let done = call(&[word]).expect(2).says(&[hint]);
        assert_eq!(done.stdout, "");
    }
}

#[test]
fn options_reach_the_calls_by_the_environment() {
    let marathon = cluster(Era::V1_4);
    let done = Test::new().env("HMB_MARATHON", host_of(&marathon));
    assert_eq!(done.call(["config"]).expect(0).stdout, expected());
    let done = Test::new().env("HMB_GROUP", "external");
    let done = done.call([host_of(&marathon)]).expect(0);
    assert_eq!(done.stdout, expected(), "the script knew no groups");
}

#[test]
fn refresh_system_haproxy_brings_haproxy_in_step() {
    let mut web = Web::start();
    let host = Host::new();
    let urls = [host_of(&web.marathon)];
    let done = host.refresh_system_haproxy(&urls).expect(0);
    assert_eq!(done.stdout, "");
    assert_eq!(web.connect().ask(), "web-0");
    assert_eq!(web.marathon.requests("/v2/apps"), 0, "the text is enough");
    host.untouched(|| host.refresh_system_haproxy(&urls).expect(0));
    web.scale_up();
    let old = host.pid();
    host.refresh_system_haproxy(&urls).expect(0);
    assert_ne!(host.pid(), old);
    assert!(host.installed().contains("server web-2 "));
    web.connect();
}

/// `haproxy-marathon-bridge HOST:PORT | head` is no failure.
#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let marathon = cluster(Era::V1_4);
    let mut command = Command::new("sh");
    let script = "{ \"$0\" \"$1\"; echo \"$?\" >&2; } | true";
    command.args(["-c", script, env!("CARGO_BIN_EXE_haproxy-marathon-bridge")]);
    command.arg(host_of(&marathon));
    assert_eq!(Done::of(command).stderr, "0\n");
}
