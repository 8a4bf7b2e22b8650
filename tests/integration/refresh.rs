//! `refresh` and the real HAProxy: when it starts, when it is left alone, when it is replaced, and
//! what clients see of that.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};
use std::time::Duration;

use haproxy_marathon_bridge::demo::client::Requests;
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task, TaskState};
use haproxy_marathon_bridge::disk::Digest;

use crate::host::{Host, SOON, Web, block_on, wait_until};
use crate::support::Done;

#[test]
fn the_first_run_starts_haproxy_and_the_next_ones_touch_nothing() {
    let web = Web::start();
    let host = Host::new();
    let done = host.refresh(&web.url(), &[]).expect(0);
    let done = done.says(&["installed", "HAProxy was started (pid "]);
    assert_eq!(done.stdout, "");
    assert_eq!(web.connect().ask(), "web-0");
    let pid = host.pid();
    for _ in 0..2 {
        let done = host.untouched(|| host.refresh(&web.url(), &[]).expect(0));
        assert_eq!(done.stderr, "", "a quiet cluster makes a quiet log");
    }
    assert_eq!(host.haproxies(), [pid]);
}

/// Marathon lists apps and tasks in any order; each shuffle would cost a reload.
#[test]
fn the_same_cluster_in_another_form_touches_nothing() {
    let host = Host::new();
    let [one, two] = free_ports(2).unwrap()[..] else {
        unreachable!()
    };
    let app = |id: &str, port: u16, hosts: &str| {
        let task = |host: char| {
            format!(r#"{{"host": "10.0.0.{host}", "ports": [31000], "state": "TASK_RUNNING"}}"#)
        };
        let tasks: Vec<_> = hosts.chars().map(task).collect();
        format!(
            r#"{{"id": "{id}", "ports": [{port}], "tasks": [{}]}}"#,
            tasks.join(",")
        )
    };
    let (a, b) = (app("/a", one, "12"), app("b", two, "34"));
    let file = host.write("apps.json", &format!(r#"{{"apps": [{a}, {b}]}}"#));
    let url = [format!("file:{}", file.display())];
    host.refresh(&url, &[]).expect(0);
    let (a, b) = (app("a", one, "21"), app("/b", two, "43"));
    host.write("apps.json", &format!(r#"{{"apps": [{b}, null, {a}]}}"#));
    host.untouched(|| host.refresh(&url, &[]).expect(0));
}

#[test]
fn ten_changes_under_load_lose_no_connection() {
    let mut web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let pause = Duration::from_millis(1);
    let requests = Requests::tcp(web.target()).workers(4).pause(pause);
    let client = requests.start().unwrap();
    block_on(client.answered_more(10, SOON)).unwrap();
    let mut added = Vec::new();
    for turn in 0..10 {
        let old = host.pid();
        if turn % 2 == 0 {
            added.push(web.scale_up());
        } else {
            let task = added.pop().unwrap();
            web.marathon.end_task(&task, TaskState::Finished).unwrap();
        }
        let done = host.refresh(&web.url(), &[]).expect(0);
        done.says(&["a new process took over", "servers "]);
        assert_ne!(host.pid(), old);
        block_on(client.answered_more(20, SOON)).unwrap();
    }
    let report = block_on(client.stop());
    assert_eq!(report.failed(), 0, "{report} {:?}", report.incidents);
    let last = host.pid();
    wait_until("the end of old processes", || host.haproxies() == [last]);
}

/// Else every turn of the night replaces the process, until memory is full of old ones.
#[test]
fn a_state_that_cannot_be_saved_costs_no_reload_without_a_change() {
    let mut web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let in_the_way = host.state_folder().join(".state.json.new");
    fs::create_dir(&in_the_way).unwrap();
    for _ in 0..2 {
        web.scale_up();
        let done = host.refresh(&web.url(), &[]).expect(0);
        done.says(&["a new process took over", "the next run will not know"]);
        host.untouched(|| host.refresh(&web.url(), &[]).expect(0));
    }
    fs::remove_dir(in_the_way).unwrap();
    let done = host.untouched(|| host.refresh(&web.url(), &[]).expect(0));
    assert_eq!(done.stderr, "");
    let applied = &host.state()["applied"];
    assert_eq!(
        applied["cfg_hash"],
        Digest::of(host.installed().as_bytes()).to_string()
    );
    assert_eq!(applied["haproxy_pid"], host.pid());

    // What could not be brought to run is no such thing.
    fs::create_dir(host.state_folder().join(".state.json.new")).unwrap();
    let blocker = host.block_starts();
    for _ in 0..2 {
        let done = host.refresh(&web.url(), &[]).expect(1);
        done.says(&["the reload failed"]);
    }
    drop(blocker);
    let done = host.refresh(&web.url(), &[]).expect(0);
    done.says(&["a new process took over"]);
}

/// A file system that went read-only after a fault leaves memory that is older than the files.
#[test]
fn memory_that_cannot_be_written_any_more_costs_no_reload_without_a_change() {
    let mut web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let read_only = |web: &Web| {
        let mut command = Command::new("strace");
        let refresh = host.refresh_command(&web.url(), &[]);
        command.args([
            "-f",
            "-o",
            "/dev/null",
            "-e",
            "trace=access,faccessat,faccessat2",
        ]);
        command.args(["-e", "inject=access,faccessat,faccessat2:error=EROFS"]);
        command.arg(refresh.get_program()).args(refresh.get_args());
        command.env_clear();
        command.envs(
            refresh
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        command.current_dir(host.root());
        Done::of(command)
    };
    let old = ["state.json", "ran"].map(|name| {
        let path = host.state_folder().join(name);
        (path.clone(), fs::read(path).unwrap())
    });
    web.scale_up();
    host.refresh(&web.url(), &[]).expect(0);
    for (path, content) in &old {
        fs::write(path, content).unwrap();
    }
    host.untouched(|| read_only(&web).expect(0));
    // With memory that can be written, it is not known what HAProxy was told.
    for (path, content) in &old {
        fs::write(path, content).unwrap();
    }
    let done = host.refresh(&web.url(), &[]).expect(0);
    done.says(&["was yet to be brought to it"]);
}

/// What a client meets between two sockets on one port is a matter of luck: so it has to be the
/// same one, also when other sections come and go.
#[test]
fn the_listening_socket_itself_is_handed_over() {
    let mut web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let socket = listening(web.port);
    assert_eq!(socket.len(), 1);
    for turn in 0..3 {
        web.scale_up();
        let port = free_ports(1).unwrap()[0];
        let app = App::new(&format!("/new-{turn}")).service_port(port);
        web.marathon.deploy(app.task(Task::local(31000)));
        host.refresh(&web.url(), &[]).expect(0);
        assert_eq!(listening(web.port), socket);
    }
}

/// The sockets that listen on a port of IPv4, by inode.
fn listening(port: u16) -> BTreeSet<String> {
    const LISTEN: &str = "0A";
    let port = format!(":{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().filter_map(|row| {
        let fields: Vec<_> = row.split_ascii_whitespace().collect();
        let listens = fields[1].ends_with(&port) && fields[3] == LISTEN;
        listens.then(|| fields[9].to_owned())
    });
    rows.collect()
}

#[test]
fn a_connection_that_is_open_outlives_the_reload() {
    let mut web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let old = host.pid();
    let mut talk = web.connect();
    web.scale_up();
    host.refresh(&web.url(), &[]).expect(0);
    assert_eq!(talk.ask(), "web-0");
    assert_eq!(host.haproxies().len(), 2, "the old one still has a client");
    drop(talk);
    wait_until("the end of the old process", || {
        !host.haproxies().contains(&old)
    });
    web.connect();
}

#[test]
fn a_link_stays_one_and_its_target_is_replaced() {
    let mut web = Web::start();
    let host = Host::new();
    let target = host.write("real/haproxy.cfg", "# to be replaced\n");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("../real/haproxy.cfg", host.cfg()).unwrap();
    for _ in 0..2 {
        host.refresh(&web.url(), &[]).expect(0);
        assert!(fs::symlink_metadata(host.cfg()).unwrap().is_symlink());
        let text = fs::read_to_string(&target).unwrap();
        assert!(text.contains("listen web-"), "{text}");
        let mode = fs::metadata(&target).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        web.scale_up();
    }
    assert_eq!(fs::read_dir(host.path("real")).unwrap().count(), 1);
}

#[test]
fn runs_that_overlap_come_one_after_the_other() {
    let mut web = Web::start();
    let host = Host::new();
    let told = six_at_once(&web, &host);
    assert_eq!(told.matches("installed `").count(), 1, "{told}");
    let first = host.pid();
    assert_eq!(host.haproxies(), [first]);
    web.scale_up();
    let told = six_at_once(&web, &host);
    assert_eq!(told.matches("installed `").count(), 1, "{told}");
    let second = host.pid();
    assert_ne!(first, second);
    wait_until("one process", || host.haproxies() == [second]);
}

fn six_at_once(web: &Web, host: &Host) -> String {
    let start = |_| {
        let mut run = host.refresh_command(&web.url(), &[]);
        run.stdout(Stdio::piped()).stderr(Stdio::piped());
        run.spawn().unwrap()
    };
    let runs: Vec<_> = (0..6).map(start).collect();
    let mut told = String::new();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        told.push_str(&stderr);
    }
    told
}

#[test]
fn without_haproxy_nothing_is_written() {
    let web = Web::start();
    let host = Host::new();
    let before = host.footprint(".");
    let done = host.refresh(&web.url(), &["--haproxy", "/nonexistent/haproxy"]);
    done.expect(1).says(&[
        "HAProxy is not installed",
        "/nonexistent/haproxy",
        "install",
        "--haproxy",
    ]);
    assert_eq!(host.footprint("."), before);
    assert!(!host.path("state").exists());
}

/// What is remembered is a help, never a need.
#[test]
fn a_state_folder_that_cannot_be_had_costs_a_warning() {
    let mut web = Web::start();
    let host = Host::new();
    let state = host.write("in-the-way", "");
    let args = ["--state-dir", state.to_str().unwrap()];
    host.refresh(&web.url(), &args).expect(0).says(&[
        "warn: ",
        "in-the-way",
        "the next run will not know of this one",
    ]);
    web.connect();
    web.scale_up();
    host.refresh(&web.url(), &args).expect(0);
    assert!(host.installed().contains("server web-2 "));
    host.untouched(|| host.refresh(&web.url(), &args).expect(0));
}

#[test]
fn a_state_that_cannot_be_read_costs_a_warning() {
    let web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let file = host.state_folder().join("state.json");
    for (text, reason) in [
        ("", "is not what was written"),
        ("{\"format\": 1, \"applied\": 7}", "is not what was written"),
        ("\u{0}\u{1}garbage", "is not what was written"),
        ("{\"format\": 999}", "a newer version"),
    ] {
        fs::write(&file, text).unwrap();
        let done = host.untouched(|| host.refresh(&web.url(), &[]));
        done.expect(0).says(&["warn: ", "state.json", reason]);
    }
    assert_eq!(
        host.state()["format"],
        999,
        "a newer program still needs it"
    );
}

#[test]
fn a_name_that_does_not_resolve_is_left_out() {
    let web = Web::start();
    let ports = free_ports(1).unwrap();
    let app = App::new("/lost").service_port(ports[0]);
    let app = app.task(Task::new("no-such-host.invalid").port(31000));
    web.marathon.deploy(app.task(Task::local(31001)));
    let host = Host::new();
    let told = ["warn: ", "no-such-host.invalid", "/lost"];
    host.refresh(&web.url(), &[]).expect(0).says(&told);
    let installed = host.installed();
    assert!(!installed.contains("no-such-host"), "{installed}");
    assert!(installed.contains("server lost-1 127.0.0.1:31001 check"));
    let done = host.untouched(|| host.refresh(&web.url(), &[]).expect(0));
    assert_eq!(done.stderr, "", "it was said");
    host.refresh_system_haproxy(&[web.marathon.address().to_string()])
        .expect(0);
    web.connect();
}

#[test]
fn an_app_that_cannot_be_served_hurts_no_other() {
    let web = Web::start();
    let app = App::new("/greedy").service_port(web.port);
    web.marathon.deploy(app.task(Task::local(31001)));
    let app = App::new("/odd").service_port(0);
    web.marathon.deploy(app.task(Task::local(31002)));
    let host = Host::new();
    let done = host.refresh(&web.url(), &[]).expect(0);
    done.says(&["app `/greedy`", "held by app `/web`", "app `/odd`"]);
    assert_eq!(web.connect().ask(), "web-0");
    web.marathon.remove_app("/odd").unwrap();
    let done = host.untouched(|| host.refresh(&web.url(), &[]).expect(0));
    done.says(&["over: app `/odd`"]);
}

/// An answer that lacks most of what is served is more often a Marathon without its memory.
#[test]
fn the_removal_of_most_apps_waits_for_three_fetches() {
    let web = Web::start();
    for port in free_ports(3).unwrap() {
        let app = App::new(&format!("/app-{port}")).service_port(port);
        web.marathon.deploy(app.task(Task::local(31000)));
    }
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let all = host.installed();
    assert_eq!(all.matches("\nlisten ").count(), 5);
    web.marathon.serve_saved_apps(r#"{"apps": []}"#);
    let held = |agreeing: &str| {
        let done = host.untouched(|| host.refresh(&web.url(), &[]));
        done.expect(1)
            .says(&["lacks 4 of 4 service ports", agreeing, "--allow-removal"]);
    };
    held("(1 so far)");
    // Too close to count.
    held("(1 so far)");
    ten_seconds_pass(&host);
    held("(2 so far)");
    web.connect();
    ten_seconds_pass(&host);
    host.refresh(&web.url(), &[]).expect(0);
    assert_eq!(host.installed().matches("\nlisten ").count(), 1);

    web.marathon.forget_saved();
    host.refresh(&web.url(), &[]).expect(0);
    assert_eq!(host.installed(), all);
    web.marathon.serve_saved_apps(r#"{"apps": []}"#);
    host.refresh(&web.url(), &["--allow-removal"]).expect(0);
    assert_eq!(host.installed().matches("\nlisten ").count(), 1);
}

/// What came is served at once, beside what is held.
#[test]
fn additions_go_through_while_removals_are_held() {
    let web = Web::start();
    let ports = free_ports(4).unwrap();
    for port in &ports[..3] {
        let app = App::new(&format!("/app-{port}")).service_port(*port);
        web.marathon.deploy(app.task(Task::local(31000)));
    }
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let new = format!(
        r#"{{"apps": [{{"id": "/new", "ports": [{}],
            "tasks": [{{"host": "127.0.0.1", "ports": [31005]}}]}}]}}"#,
        ports[3]
    );
    web.marathon.serve_saved_apps(&new);
    let done = host.refresh(&web.url(), &[]).expect(1);
    done.says(&["a new process took over", "lacks 4 of 4 service ports"]);
    let installed = host.installed();
    assert_eq!(installed.matches("\nlisten ").count(), 6, "{installed}");
    assert!(installed.contains(&format!("listen new-{}", ports[3])));
    web.connect();
}

fn ten_seconds_pass(host: &Host) {
    host.edit_state(|state| {
        for fetch in state["guard"]["fetches"].as_array_mut().unwrap() {
            fetch["at"] = "2026-01-01T00:00:00Z".into();
        }
    });
}

/// An answer that is recognised is not read; that must hide nothing that happened beside it.
#[test]
fn the_same_answer_is_only_passed_over_while_nothing_else_changed() {
    let host = Host::new();
    let port = free_ports(1).unwrap()[0];
    let app = format!(
        r#"{{"id": "/a", "ports": [{port}], "tasks": [{{"id": "t", "host": "10.0.0.1", "ports": [31000], "state": "TASK_RUNNING"}}]}}"#
    );
    let file = host.write("apps.json", &format!(r#"{{"apps": [{app}, 17]}}"#));
    let url = [format!("file:{}", file.display())];
    host.refresh(&url, &[])
        .expect(0)
        .says(&["found integer `17`"]);
    let wanted = host.installed();
    let recognised = || host.state()["seen"]["answer"].is_string();
    assert!(recognised());
    let warnings = host.state()["last_turn"]["warnings"].clone();
    assert_eq!(warnings.as_array().unwrap().len(), 1);
    host.refresh(&url, &[]).expect(0);
    assert_eq!(
        host.state()["last_turn"]["warnings"],
        warnings,
        "they still hold"
    );

    // A file that somebody edited is put right.
    fs::write(host.cfg(), wanted.replace("10.0.0.1", "10.0.0.9")).unwrap();
    host.refresh(&url, &[])
        .expect(0)
        .says(&["1 of 1 servers changed"]);
    assert_eq!(host.installed(), wanted);

    // So is one that is gone.
    fs::remove_file(host.cfg()).unwrap();
    host.refresh(&url, &[])
        .expect(0)
        .says(&["no file was installed"]);
    assert_eq!(host.installed(), wanted);

    // Another template makes another file of the same answer.
    let own = "\nlisten {{ listen.name }}\n  bind 127.0.0.1:{{ listen.bind.port }}\n  timeout client 1m\n";
    host.write("templates/listen.cfg.tera", own);
    host.refresh(&url, &[]).expect(0).says(&["changed"]);
    assert!(host.installed().contains("timeout client 1m"));

    // A reload that failed is tried again.
    let failing = ["--reload", "command", "--reload-command", "false"];
    host.write("templates/listen.cfg.tera", &own.replace("1m", "2m"));
    host.refresh(&url, &failing).expect(1);
    assert!(!recognised());
    host.edit_state(|state| state["pending"]["next_try_at"] = "2000-01-01T00:00:00Z".into());
    host.refresh(&url, &[]).expect(0).says(&["installed"]);
    assert!(host.installed().contains("timeout client 2m"));
}
