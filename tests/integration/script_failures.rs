//! The failures that the bash script was known for, each by its name in the list of them, and what
//! comes of it now.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use haproxy_marathon_bridge::cli::{self, BridgeCall, Invocation};
use haproxy_marathon_bridge::config::{self, Config, Mistakes, System};
use haproxy_marathon_bridge::demo::client::Requests;
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Ending, Era, Fault, Marathon, Task};

use crate::host::{Host, SOON, Web, block_on, wait_until};
use crate::support::{Done, Test};

/// A Marathon that gives this text, and what the script's call prints of it.
fn print_of(text: &str) -> Done {
    let marathon = Marathon::start(Era::V1_4).unwrap();
    marathon.serve_saved("/v2/tasks", "text/plain", text);
    Test::new().call([marathon.address().to_string()]).expect(0)
}

/// The sections of apps in what was printed, each with its servers.
fn sections(printed: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().nth(2).map(str::to_owned);
    printed
        .split("\nlisten ")
        .skip(2)
        .map(|section| {
            let (name, lines) = section.split_once('\n').unwrap();
            let servers = lines
                .lines()
                .filter(|line| line.starts_with("  server "))
                .filter_map(words);
            [name.to_owned()]
                .into_iter()
                .chain(servers)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

/// Both bodies were put together, which made each `listen` twice: a file that HAProxy refused.
#[test]
fn row_1_half_a_body_from_the_first_host_and_a_whole_one_from_the_second() {
    let first = Marathon::start(Era::V1_4).unwrap();
    for (number, port) in [(1, 10001), (2, 10002)] {
        let app = App::new(&format!("/app-{number}")).service_port(port);
        first.deploy(app.task(Task::new("10.0.0.1").port(31000)));
    }
    let second = first.another_node().unwrap();
    for ending in [Ending::ShortOfLength, Ending::ShortOfLastChunk] {
        // Behind the first line.
        let at_bytes = 30;
        first.inject(Fault::Truncated { at_bytes, ending });
        let hosts = [&first, &second].map(|node| node.address().to_string());
        let done = Test::new().call(&hosts).expect(0).says(&["broke off"]);
        assert_eq!(
            sections(&done.stdout),
            ["app-1-10001 10.0.0.1:31000", "app-2-10002 10.0.0.1:31000"]
        );
        first.clear_faults();
    }
}

/// This one was right, and stays.
#[test]
fn row_2_all_hosts_down() {
    let mut web = Web::start();
    let host = Host::new();
    let mut other = web.marathon.another_node().unwrap();
    let hosts = [&web.marathon, &other].map(|node| node.address().to_string());
    host.refresh_system_haproxy(&hosts).expect(0);
    let pid = host.pid();
    web.marathon.down();
    other.down();
    let done = host.untouched(|| host.refresh_system_haproxy(&hosts));
    done.expect(1)
        .says(&[&hosts[0], &hosts[1], "no connection"]);
    assert_eq!(host.pid(), pid);
    web.connect();
}

/// A list of hosts that is empty, or was never written, ended in bash's `unbound variable`.
#[test]
fn row_3_an_empty_list_of_hosts() {
    for (text, state) in [
        (Some(""), "which is empty"),
        (Some("\n \n# nobody\n"), "which is empty"),
        (None, "which does not exist"),
    ] {
        let told = with_list(text).unwrap_err().to_string();
        for part in ["no Marathon given", "HOST:PORT", "/marathons", state] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    let config = with_list(Some("m1:8080\nm2:8080 m3:8080\n")).unwrap();
    assert_eq!(config.marathon.urls, ["m1:8080", "m2:8080", "m3:8080"]);
}

/// What `refresh_system_haproxy` without hosts makes of a list with this text. The real list is not
/// for a test to write.
fn with_list(text: Option<&str>) -> Result<Config, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    let list: PathBuf = folder.path().join("marathons");
    if let Some(text) = text {
        fs::write(&list, text).unwrap();
    }
    let words = ["haproxy-marathon-bridge", "refresh_system_haproxy"];
    let request = match cli::parse(words.map(Into::into)).unwrap() {
        Invocation::Bridge(BridgeCall::RefreshSystemHaproxy(request)) => request,
        other => panic!("{other:?}"),
    };
    let system = System {
        environment: [].into(),
        default_file: folder.path().join("config.toml"),
        marathons: list,
        ..System::host()
    };
    config::build(&request, &system).map(|built| built.config)
}

/// `set -- $text` put the names of files in the current folder in the place of a `*`.
#[test]
fn row_4_wildcard_characters_in_the_text() {
    let marathon = Marathon::start(Era::V1_4).unwrap();
    let text = "web\t10001\t*\th*:31000\t10.0.0.1:31000\t\n*\t10002\th:1\t\na[bc]\t10003\th:1\t\n";
    marathon.serve_saved("/v2/tasks", "text/plain", text);
    let folder = Test::new().file("h1:31000", "").file("ab", "");
    let done = folder.call([marathon.address().to_string()]).expect(0);
    assert_eq!(sections(&done.stdout), ["web-10001 10.0.0.1:31000"]);
    done.says(&["found `*`", "found `h*:31000`", "found `a[bc]`"]);
}

/// HAProxy refused the second bind, or each got half of the other's connections.
#[test]
fn row_5_two_apps_with_one_service_port() {
    let done = print_of("b\t10001\th2:31000\t\na\t10001\th1:31000\t\n");
    assert_eq!(sections(&done.stdout), ["a-10001 h1:31000"]);
    done.says(&["warn: app `/b`", "10001", "held by app `/a`", "left out"]);
}

/// Marathon before 1.5 gave tasks in another order each time, which cost a reload a minute.
#[test]
fn row_6_tasks_in_another_order() {
    let web = Web::start();
    let host = Host::new();
    let hosts = [web.marathon.address().to_string()];
    let give = |first: &str, second: &str| {
        let lines = [
            format!("web\t{}\t{first}\t{second}\t\n", web.port),
            "idle\tx\t\n".to_owned(),
        ];
        web.marathon
            .serve_saved("/v2/tasks", "text/plain", &lines.concat());
    };
    give("127.0.0.1:31000", "127.0.0.1:31001");
    host.refresh_system_haproxy(&hosts).expect(0);
    let pid = host.pid();
    give("127.0.0.1:31001", "127.0.0.1:31000");
    host.untouched(|| host.refresh_system_haproxy(&hosts).expect(0));
    assert_eq!(host.pid(), pid);
}

/// It was written, its reload failed, and since the file on the disk no longer differed from the
/// next one nothing was done until Marathon changed again.
#[test]
fn row_7_a_configuration_that_haproxy_refuses() {
    let mut web = Web::start();
    let host = Host::new();
    let hosts = [web.marathon.address().to_string()];
    host.refresh_system_haproxy(&hosts).expect(0);
    let header = host.path("templates/header.cfg.tera");
    let right = fs::read_to_string(&header).unwrap();
    fs::write(&header, right.replace("connect  5000", "connect  soon")).unwrap();
    web.scale_up();
    for _ in 0..2 {
        let done = host.untouched(|| host.refresh_system_haproxy(&hosts));
        done.expect(1).says(&["haproxy -c", "timeout connect"]);
        web.connect();
    }
    fs::write(&header, right).unwrap();
    host.refresh_system_haproxy(&hosts).expect(0);
    assert!(host.installed().contains("server web-2 "));
}

/// The file stayed, and the reload was never tried again.
#[test]
fn row_8_a_reload_that_fails() {
    let web = Web::start();
    let host = Host::new();
    let hosts = [web.marathon.address().to_string()];
    host.refresh_system_haproxy(&hosts).expect(0);
    let good = host.installed();
    let port = free_ports(1).unwrap()[0];
    let taken = host.block_starts();
    let app = App::new("/late").service_port(port);
    web.marathon.deploy(app.task(Task::local(31000)));
    for attempts in 1..=2 {
        host.refresh_system_haproxy(&hosts)
            .expect(1)
            .says(&[if attempts == 1 {
                "the reload failed"
            } else {
                "2 reloads failed"
            }]);
        assert_eq!(host.installed(), good);
        let pending = &host.state()["pending"];
        assert_eq!(pending["attempts"], attempts, "{pending}");
        host.edit_state(|state| {
            state["pending"]["next_try_at"] = "2026-01-01T00:00:00Z".into();
        });
    }
    drop(taken);
    host.refresh_system_haproxy(&hosts).expect(0);
    assert!(host.installed().contains(&format!("listen late-{port}")));
}

/// An app without ports and tasks ends behind its blank column.
#[test]
fn row_9_a_line_without_port_and_task() {
    let done = print_of("batch\t \t\nlone\n\n \t \nhosts\t \th1 h2 \nweb\t10001\th:31000\t\n");
    assert_eq!(sections(&done.stdout), ["web-10001 h:31000"]);
    assert_eq!(done.stderr, "");
}

/// `bind 0.0.0.0:0` takes any port there is.
#[test]
fn row_10_port_0() {
    let done = print_of("any\t0\th:31000\t\nweb\t10001\th:0\th:31000\t\n");
    assert_eq!(sections(&done.stdout), ["web-10001 h:31000"]);
    done.says(&["app `/any`", "found `0`", "app `/web`", "found `h:0`"]);
}

/// bash's `read` is false for it.
#[test]
fn row_11_a_last_line_without_its_line_feed() {
    let done = print_of("a\t10001\th:31000\t\nb\t10002\th:31001");
    assert_eq!(
        sections(&done.stdout),
        ["a-10001 h:31000", "b-10002 h:31001"]
    );
}

/// Root wrote through a link that anybody could put at `/tmp/haproxy.cfg`.
#[test]
fn row_12_a_link_where_the_candidate_is_written() {
    let mut web = Web::start();
    let host = Host::new();
    let victim = host.write("victim", "precious");
    for name in [
        "tmp/haproxy.cfg",
        "etc/haproxy.cfg.tmp",
        "etc/.haproxy.cfg.new",
    ] {
        let link = host.path(name);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&victim, link).unwrap();
    }
    for _ in 0..2 {
        let mut run = host.refresh_command(&web.url(), &[]);
        run.env("TMPDIR", host.path("tmp"));
        Done::of(run).expect(0);
        web.scale_up();
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    let left = fs::read_dir(host.path("tmp")).unwrap().count();
    assert_eq!(left, 1, "nothing is left but the link");
    web.connect();
}

/// Between two processes nobody listened, so that a fork dropped SYN packets meanwhile and made
/// clients wait for a second. Here one process hands its listening sockets to the next.
#[test]
fn row_13_connections_during_a_reload() {
    let mut web = Web::start();
    let host = Host::new();
    let hosts = [web.marathon.address().to_string()];
    host.refresh_system_haproxy(&hosts).expect(0);
    let pause = Duration::from_millis(1);
    let requests = Requests::tcp(web.target()).workers(4).pause(pause);
    let client = requests.start().unwrap();
    block_on(client.answered_more(50, SOON)).unwrap();
    for _ in 0..3 {
        let old = host.pid();
        web.scale_up();
        host.refresh_system_haproxy(&hosts).expect(0);
        assert_ne!(host.pid(), old);
        block_on(client.answered_more(50, SOON)).unwrap();
    }
    let report = block_on(client.stop());
    assert_eq!(report.failed(), 0, "{report} {:?}", report.incidents);
    let last = host.pid();
    wait_until("the end of old processes", || host.haproxies() == [last]);
}

/// All sections went, and HAProxy was reloaded with nothing but the header.
#[test]
fn row_14_an_answer_with_an_empty_body() {
    let web = Web::start();
    for port in free_ports(3).unwrap() {
        let app = App::new(&format!("/app-{port}")).service_port(port);
        web.marathon.deploy(app.task(Task::local(31000)));
    }
    let host = Host::new();
    let hosts = [web.marathon.address().to_string()];
    host.refresh_system_haproxy(&hosts).expect(0);
    // No text at all says nothing, and JSON was not better.
    web.marathon.inject(Fault::Empty);
    let done = host.untouched(|| host.refresh_system_haproxy(&hosts));
    done.expect(1).says(&["the answer is empty"]);
    web.marathon.clear_faults();
    // A master that has not loaded its state yet believes that there are no apps.
    web.marathon.serve_saved("/v2/tasks", "text/plain", "");
    web.marathon.serve_saved_apps(r#"{"apps": []}"#);
    let done = host.untouched(|| host.refresh_system_haproxy(&hosts));
    done.expect(1)
        .says(&["lacks 4 of 4 service ports", "(1 so far)"]);
    web.connect();
    web.marathon.forget_saved();
    host.untouched(|| host.refresh_system_haproxy(&hosts).expect(0));
}
