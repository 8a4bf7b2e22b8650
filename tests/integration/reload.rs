//! What becomes of a change that HAProxy does not take, and of the ways to tell it of one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::App;
use haproxy_marathon_bridge::haproxy::Version;
use serde_json::Value;

use crate::host::{Host, Web, wait_until};
use crate::support::{haproxy, haproxy_version};

/// A command that notes its calls and does as the file `status` says.
fn command(host: &Host) -> String {
    host.write("status", "0");
    let calls = host.path("calls");
    let script = format!(
        "echo called >> {}\necho no such service >&2\nexit $(cat {})\n",
        calls.display(),
        host.path("status").display()
    );
    format!("sh {}", host.write("reload.sh", &script).display())
}

fn calls(host: &Host) -> usize {
    let text = fs::read_to_string(host.path("calls")).unwrap_or_default();
    text.lines().count()
}

#[test]
fn a_reload_command_is_run_once_for_each_change() {
    let mut web = Web::start();
    let host = Host::new();
    let args = ["--reload", "command", "--reload-command", &command(&host)];
    for turn in 1..=3 {
        host.refresh(&web.url(), &args).expect(0);
        assert_eq!(calls(&host), turn);
        host.untouched(|| host.refresh(&web.url(), &args).expect(0));
        assert_eq!(calls(&host), turn, "nothing changed");
        web.scale_up();
    }
}

/// HAProxy works in another folder than we do.
#[test]
fn a_relative_state_folder_is_the_same_for_haproxy() {
    let (host, mut web) = (Host::new(), Web::start());
    let args = ["--state-dir", "own/state"];
    host.refresh(&web.url(), &args).expect(0);
    let mut talk = web.connect();
    let first = host.pid();
    web.scale_up();
    let said = host.refresh(&web.url(), &args).expect(0).stderr;
    assert!(said.contains("a new process took over"), "{said}");
    assert_ne!(host.pid(), first);
    assert_eq!(talk.ask(), "web-0");
    assert!(host.path("own/state").is_dir());
    let state = fs::read_dir(host.path("own/state")).unwrap();
    let folder = state.map(|entry| entry.unwrap().path()).next().unwrap();
    let runtime = fs::read_to_string(folder.join("runtime.cfg")).unwrap();
    assert!(runtime.contains(&folder.display().to_string()), "{runtime}");
}

/// The script left the new file, saw no difference in the next run, and never tried again.
#[test]
fn a_reload_that_fails_is_undone_and_tried_again() {
    let mut web = Web::start();
    let host = Host::new();
    let args = ["--reload-command", &command(&host), "--reload", "command"];
    host.refresh(&web.url(), &args).expect(0);
    let good = host.installed();
    web.scale_up();
    host.write("status", "3");
    let failed = ["reload failed", "reload.sh", "no such service"];
    host.refresh(&web.url(), &args).expect(1).says(&failed);
    assert_eq!(host.installed(), good);
    let state = host.state();
    assert_eq!(state["pending"]["attempts"], 1, "{state}");
    assert_eq!(state["last_turn"]["outcome"], "reload-failed", "{state}");

    // Not before its time.
    let done = host.untouched(|| host.refresh(&web.url(), &args));
    done.expect(1)
        .says(&["attempt 2 follows at", "no such service"]);
    assert_eq!(calls(&host), 2);

    let at_once = [&args[..], &["--retry-now"]].concat();
    let again = [
        "2 reloads failed",
        "no such service",
        "attempt 3 follows at",
    ];
    host.refresh(&web.url(), &at_once).expect(1).says(&again);
    assert_eq!(host.state()["pending"]["attempts"], 2);
    assert_eq!((host.installed(), calls(&host)), (good, 3));

    the_pause_passes(&host);
    host.write("status", "0");
    host.refresh(&web.url(), &args).expect(0);
    assert!(host.installed().contains("server web-2 "));
    let state = host.state();
    assert!(state["pending"].is_null(), "{state}");
    assert_eq!(state["last_turn"]["outcome"], "applied", "{state}");
}

/// Else an attempt that takes longer than the pause is followed by the next at once, for ever.
#[test]
fn the_pause_begins_when_the_attempt_has_ended() {
    let web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &["--reload", "none"]).expect(0);
    web.marathon
        .deploy(App::new("/other").service_port(free_ports(1).unwrap()[0]));
    let slow = ["--reload", "command", "--reload-command", "sleep 2; exit 1"];
    host.refresh(&web.url(), &slow).expect(1);
    let state = host.state();
    let time = |text: &Value| humantime::parse_rfc3339(text.as_str().unwrap()).unwrap();
    let pause = time(&state["pending"]["next_try_at"])
        .duration_since(time(&state["last_turn"]["at"]))
        .unwrap();
    assert!(pause >= Duration::from_secs(17), "{pause:?}");
}

/// HAProxy never left what it runs: another process would cost its clients something for nothing.
#[test]
fn the_way_back_from_a_reload_that_was_refused_needs_none_while_the_same_process_serves() {
    let mut web = Web::start();
    let host = Host::new();
    let program = host.path("haproxy");
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' -D '*) [ -e {} ] && exit 1;; esac\nexec haproxy \"$@\"\n",
        host.path("refuse").display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let args = ["--haproxy", program.to_str().unwrap()];
    host.refresh(&web.url(), &args).expect(0);
    let (pid, good) = (host.pid(), host.installed());
    for is_restarted in [false, true] {
        let task = web.scale_up();
        host.write("refuse", "");
        let refused = host.refresh(&web.url(), &args).expect(1);
        refused.says(&["the reload failed"]);
        assert_eq!(host.installed(), good);
        fs::remove_file(host.path("refuse")).unwrap();
        if is_restarted {
            host.kill();
            let mut start = Command::new("haproxy");
            start.arg("-D").arg("-f").arg(host.cfg());
            let start = start.arg("-p").arg(host.path("run/pid"));
            assert!(start.status().unwrap().success());
        }
        web.marathon.fail_task(&task).unwrap();
        let back = host.refresh(&web.url(), &args).expect(0);
        assert!(host.state()["pending"].is_null());
        assert_eq!(host.installed(), good);
        if is_restarted {
            back.says(&["failed or was broken off", "brought to this one again"]);
        } else {
            back.says(&["over: a reload was refused", "needs none"]);
            assert_eq!((host.pid(), host.haproxies()), (pid, vec![pid]));
        }
        let quiet = host.untouched(|| host.refresh(&web.url(), &args).expect(0));
        assert_eq!(quiet.stderr, "");
    }
}

/// The files of before are in place, and nobody else would start it.
#[test]
fn a_haproxy_that_ends_during_a_reload_that_fails_is_started_with_the_files_that_it_ran() {
    let mut web = Web::start();
    let host = Host::new();
    let program = host.path("haproxy");
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' -sf '*) pid=$(cat {}); kill -9 $pid\n\
         while readlink /proc/$pid/exe > /dev/null; do :; done; exit 1;; esac\n\
         exec haproxy \"$@\"\n",
        host.path("run/pid").display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let args = ["--haproxy", program.to_str().unwrap()];
    host.refresh(&web.url(), &args).expect(0);
    let good = host.installed();
    web.scale_up();
    let done = host.refresh(&web.url(), &args).expect(1);
    done.says(&[
        "the reload failed",
        "HAProxy had ended, and was brought to the files that it ran",
    ]);
    assert_eq!(
        (host.installed(), web.connect().ask()),
        (good, "web-0".to_owned())
    );
    assert_eq!(host.state()["pending"]["attempts"], 1);
}

/// Waiting is for what failed, not for what would mend it.
#[test]
fn another_change_does_not_wait_for_the_one_that_failed() {
    let mut web = Web::start();
    let host = Host::new();
    let args = ["--reload-command", &command(&host), "--reload", "command"];
    host.refresh(&web.url(), &args).expect(0);
    host.write("status", "3");
    let task = web.scale_up();
    host.refresh(&web.url(), &args).expect(1);
    host.write("status", "0");
    web.scale_up();
    host.refresh(&web.url(), &args).expect(0);
    assert!(host.installed().contains("server web-3 "));
    // Nor does the way back to what runs already.
    host.write("status", "3");
    web.marathon.fail_task(&task).unwrap();
    let good = host.installed();
    host.refresh(&web.url(), &args).expect(1);
    assert_eq!(host.installed(), good);
}

#[test]
fn without_a_reload_files_are_installed_and_nobody_is_told() {
    let mut web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let pid = host.pid();
    web.scale_up();
    let none = ["--reload", "none"];
    host.refresh(&web.url(), &none)
        .expect(0)
        .says(&["not told"]);
    assert!(host.installed().contains("server web-2 "));
    assert_eq!((host.pid(), host.haproxies()), (pid, vec![pid]));
}

/// A restart of HAProxy for any other reason would read it.
#[test]
fn a_file_that_the_check_refuses_is_never_installed() {
    let mut web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let (pid, header) = (host.pid(), host.path("templates/header.cfg.tera"));
    let right = fs::read_to_string(&header).unwrap();
    fs::write(
        &header,
        right.replace("  daemon", "  daemon\n  no-such-word"),
    )
    .unwrap();
    web.scale_up();
    let done = host.untouched(|| host.refresh(&web.url(), &[]));
    done.expect(1)
        .says(&["haproxy -c", "no-such-word", "stays as it is"]);
    assert_eq!(host.state()["last_turn"]["outcome"], "rejected");
    assert_eq!(host.haproxies(), [pid]);
    web.connect();
    fs::write(&header, right).unwrap();
    host.refresh(&web.url(), &[]).expect(0);
    assert!(host.installed().contains("server web-2 "));
}

#[test]
fn a_template_that_cannot_be_rendered_changes_nothing() {
    let web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    for name in ["templates/header.cfg.tera", "templates/listen.cfg.tera"] {
        let right = fs::read_to_string(host.path(name)).unwrap();
        for text in [
            "{{ unclosed",
            "{{ no_such_value }}",
            "{% include \"none\" %}",
        ] {
            host.write(name, text);
            let done = host.untouched(|| host.refresh(&web.url(), &[]));
            done.expect(1).says(&[name]);
        }
        host.write(name, &right);
    }
    host.write("templates/listne.cfg.tera", "");
    let done = host.untouched(|| host.refresh(&web.url(), &[]));
    done.expect(1).says(&["listne.cfg.tera", "listen.cfg.tera"]);
}

/// `haproxy -c` does not try to bind.
#[test]
fn a_port_that_the_frame_wants_is_found_taken_at_the_start_and_everything_goes_back() {
    let web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let (pid, good) = (host.pid(), host.installed());
    let taken = host.block_starts();
    let port = taken.local_addr().unwrap().port();
    let mut talk = web.connect();
    let done = host.refresh(&web.url(), &[]).expect(1);
    let frame = match haproxy_version() {
        version if version < Version::new(2, 3) => "Starting proxy frame: ",
        _ => "for proxy frame: ",
    };
    done.says(&[
        "reload failed",
        "annot bind socket",
        frame,
        &format!("127.0.0.1:{port}"),
    ]);
    assert_eq!(host.installed(), good);
    assert_eq!(host.haproxies(), [pid]);
    assert_eq!((host.pid(), talk.ask()), (pid, "web-0".to_owned()));
    web.connect();

    let done = host.untouched(|| host.refresh(&web.url(), &[]));
    done.expect(1).says(&["annot bind socket"]);
    drop((taken, talk));
    the_pause_passes(&host);
    host.refresh(&web.url(), &[]).expect(0);
    assert!(host.installed().contains("listen frame"));
    let new = host.pid();
    wait_until("the end of the old process", || host.haproxies() == [new]);
    web.connect();
}

/// Where nothing ran before, there is nothing to go back to but no file at all.
#[test]
fn a_first_start_that_fails_is_told_and_tried_again() {
    let web = Web::start();
    let host = Host::new();
    let taken = host.block_starts();
    let done = host.refresh(&web.url(), &[]).expect(1);
    done.says(&["reload failed", "annot bind socket"]);
    assert!(host.haproxies().is_empty());
    drop(taken);
    the_pause_passes(&host);
    host.refresh(&web.url(), &[]).expect(0);
    assert_eq!(web.connect().ask(), "web-0");
}

/// A HAProxy that died is noticed by nobody else where no service manager looks after it.
#[test]
fn a_change_starts_haproxy_again_when_it_is_gone() {
    let mut web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    host.kill();
    web.scale_up();
    host.refresh(&web.url(), &[]).expect(0);
    web.connect();
}

#[test]
fn auto_takes_over_from_the_process_of_the_pid_file() {
    let mut web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let old = host.pid();
    web.scale_up();
    let auto = ["--reload", "auto"];
    let done = host.refresh(&web.url(), &auto).expect(0);
    done.says(&["a new process took over"]);
    assert_ne!(host.pid(), old);
    web.connect();
}

fn the_pause_passes(host: &Host) {
    host.edit_state(|state| {
        let next = &mut state["pending"]["next_try_at"];
        assert!(next.is_string(), "{next}");
        *next = "2026-01-01T00:00:00Z".into();
    });
}

/// Whatever a start did to the old process, somebody listens when the turn is over.
#[test]
fn where_a_failed_start_leaves_nobody_who_listens_the_files_of_before_are_served_again() {
    let (host, mut web) = (Host::new(), Web::start());
    host.refresh(&web.url(), &[]).expect(0);
    // With it the old process ends not at once.
    let mut talk = web.connect();
    let fails = host.write("fails", "");
    let real = haproxy();
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = -D ] && [ -e {0} ]; then\n  rm {0}\n  \
         while [ \"$1\" != -sf ]; do shift; done\n  shift\n  kill -USR1 \"$@\"\n  exit 1\nfi\n\
         exec {1} \"$@\"\n",
        fails.display(),
        real.display()
    );
    let program = host.write("program", &script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let args = ["--haproxy", &program.display().to_string()];
    let before = host.installed();
    web.scale_up();
    let done = host.refresh(&web.url(), &args).expect(1);
    done.says(&[
        "does not listen any more on ",
        "another was brought to the files of before: a new process took over",
    ]);
    assert_eq!(host.installed(), before);
    assert_eq!(
        (web.connect().ask(), talk.ask()),
        ("web-0".into(), "web-0".into())
    );
    let again = [&args[..], &["--retry-now"]].concat();
    host.refresh(&web.url(), &again).expect(0);
    host.untouched(|| host.refresh(&web.url(), &args).expect(0));
}
