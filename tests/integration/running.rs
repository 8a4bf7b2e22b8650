//! Whether a HAProxy that ended is noticed and started again, and by which marks it is known.

use std::fs;
use std::process::Command;

use haproxy_marathon_bridge::haproxy::Proc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::{Host, Web, wait_until};
use crate::support::{Done, haproxy};

#[test]
fn auto_starts_again_what_we_started_ourselves() {
    let mut web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let auto = ["--reload", "auto"];
    for turn in 0..2 {
        host.kill();
        if turn == 1 {
            web.scale_up();
        }
        let done = host.refresh(&web.url(), &auto).expect(0);
        done.says(&["HAProxy was started"]);
        web.connect();
    }
    let done = host.untouched(|| host.refresh(&web.url(), &auto).expect(0));
    assert_eq!(done.stderr, "");
}

/// What somebody else started is his to start.
#[test]
fn that_haproxy_does_not_run_is_told_once_where_the_method_starts_none_and_when_it_is_over() {
    let web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    host.kill();
    let master = ["--reload", "master"];
    let done = host.refresh(&web.url(), &master).expect(0);
    done.says(&["warn", "HAProxy does not run, and"]);
    let done = host.untouched(|| host.refresh(&web.url(), &master).expect(0));
    assert_eq!(done.stderr, "");
    assert!(host.haproxies().is_empty());
    assert!(host.state()["applied"]["haproxy_pid"].is_null());

    // Whoever looks after it starts it.
    start_by_hand(&host, &[]);
    let done = host.untouched(|| host.refresh(&web.url(), &master).expect(0));
    let pid = host.pid();
    done.says(&[&format!(
        "over: HAProxy did not run; it was started (pid {pid})"
    )]);
    assert_eq!(host.state()["applied"]["haproxy_pid"], pid);
    assert_eq!(host.state()["applied"]["unproved"], false);
    let done = host.untouched(|| host.refresh(&web.url(), &master).expect(0));
    assert_eq!(done.stderr, "");
    host.kill();
    let done = host.refresh(&web.url(), &master).expect(0);
    done.says(&["HAProxy does not run, and"]);
}

/// Whoever changes to `sf` wants to see it run.
#[test]
fn a_way_to_reload_that_starts_haproxy_starts_one_that_was_found_not_to_run() {
    let web = Web::start();
    let host = Host::new();
    let done = host.refresh(&web.url(), &["--reload", "auto"]).expect(0);
    done.says(&["does not run and was not started"]);
    let done = host.refresh(&web.url(), &["--reload", "sf"]).expect(0);
    done.says(&["HAProxy was started"]);
    web.connect();

    host.kill();
    let done = host.refresh(&web.url(), &["--reload", "master"]).expect(0);
    done.says(&["HAProxy does not run, and"]);
    let done = host.refresh(&web.url(), &["--reload", "sf"]).expect(0);
    done.says(&["HAProxy was started"]);
    web.connect();
    let done = host.untouched(|| host.refresh(&web.url(), &[]).expect(0));
    assert_eq!(done.stderr, "");
}

/// Starts HAProxy as somebody else would, with what he gives it besides.
pub(crate) fn start_by_hand(host: &Host, more: &[&str]) {
    let mut start = Command::new(haproxy());
    start.arg("-D").arg("-f").arg(host.cfg());
    start.arg("-p").arg(host.path("run/pid")).args(more);
    let done = Done::of(start).expect(0);
    assert_eq!(done.stdout, "");
}

/// Memory that is lost must not cost what it was for.
#[test]
fn a_haproxy_that_ends_is_started_also_where_the_memory_of_it_was_lost() {
    let web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let lose: [fn(&Host); 3] = [
        |host| fs::write(host.state_folder().join("state.json"), "x{").unwrap(),
        |host| fs::remove_dir_all(host.state_folder()).unwrap(),
        |host| {
            fs::remove_dir_all(host.state_folder()).unwrap();
            host.kill();
        },
    ];
    for lose in lose {
        lose(&host);
        host.refresh(&web.url(), &[]).expect(0);
        assert_eq!(host.state()["applied"]["haproxy_pid"], host.pid());
        host.status().expect(0);
        host.kill();
        host.status().expect(1);
        let done = host.refresh(&web.url(), &[]).expect(0);
        done.says(&["HAProxy was started"]);
        web.connect();
        host.status().expect(0);
    }
}

#[test]
fn that_it_ended_is_told_also_where_the_memory_of_it_was_lost() {
    let web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let master = ["--reload", "master"];
    fs::remove_file(host.state_folder().join("state.json")).unwrap();
    host.kill();
    let done = host.refresh(&web.url(), &master).expect(0);
    done.says(&["warn", "HAProxy does not run, and"]);
    host.status()
        .expect(1)
        .prints(&["the one that ran before has ended"]);
    let done = host.untouched(|| host.refresh(&web.url(), &master).expect(0));
    assert_eq!(done.stderr, "");
}

#[test]
fn who_reloads_haproxy_by_hand_is_recognised() {
    let web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let old = host.pid();
    start_by_hand(&host, &["-sf", &old.to_string()]);
    wait_until("the end of the old process", || {
        !host.haproxies().contains(&old)
    });
    let pid = host.pid();
    let by_hand = format!("pid {pid} since somebody else reloaded it");
    host.status().expect(0).prints(&[&by_hand]);
    let done = host.untouched(|| host.refresh(&web.url(), &[]).expect(0));
    done.says(&[&format!(
        "HAProxy runs as pid {pid} now, no longer as {old}"
    )]);
    host.status().expect(0).prints(&[&format!("pid {pid}\n")]);
    let done = host.untouched(|| host.refresh(&web.url(), &[]).expect(0));
    assert_eq!(done.stderr, "");
}

/// What HAProxy shows for a proof lies in a file of ours, which tells nothing of the one that it read.
#[test]
fn a_file_that_somebody_changes_during_the_reload_is_not_taken_for_proved() {
    let mut web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    web.scale_up();
    let (cfg, pid_file) = (host.cfg(), host.path("run/pid"));
    let edit = format!(
        "echo '# by hand' >> '{cfg}'; '{haproxy}' -D -f '{cfg}' -p '{pid_file}' -sf {pid}",
        cfg = cfg.display(),
        haproxy = haproxy().display(),
        pid_file = pid_file.display(),
        pid = host.pid(),
    );
    let by_command = ["--reload", "command", "--reload-command", &edit];
    let done = host.refresh(&web.url(), &by_command).expect(1);
    done.says(&["somebody else changed", "the next turn installs them again"]);
    host.status().expect(1);
    let done = host.refresh(&web.url(), &[]).expect(0);
    done.says(&["a new process took over"]);
    assert!(!host.installed().contains("by hand"));
    host.status().expect(0);
}

/// Who was not told, or told by a command that did nothing, is told when there is another way.
#[test]
fn a_way_to_reload_that_is_changed_brings_haproxy_to_what_is_installed() {
    let mut web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    web.scale_up();
    host.refresh(&web.url(), &["--reload", "none"]).expect(0);
    let done = host.untouched(|| host.refresh(&web.url(), &["--reload", "none"]).expect(0));
    assert_eq!(done.stderr, "");
    let done = host.refresh(&web.url(), &[]).expect(0);
    done.says(&["a new process took over"]);
    let done = host.untouched(|| host.refresh(&web.url(), &[]).expect(0));
    assert_eq!(done.stderr, "");

    host.kill();
    web.scale_up();
    let by_command = ["--reload", "command", "--reload-command", "true"];
    host.refresh(&web.url(), &by_command).expect(0);
    let done = host.refresh(&web.url(), &[]).expect(0);
    done.says(&["HAProxy was started"]);
    web.connect();
}

/// As a power cut leaves it.
#[test]
fn a_lock_of_our_own_that_holds_garbage_stops_nobody() {
    let web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    fs::write(host.state_folder().join("lock"), [0; 4096]).unwrap();
    let done = host.untouched(|| host.refresh(&web.url(), &[]).expect(0));
    assert_eq!(done.stderr, "");
}

/// Ends every process of a program with another name.
struct Renamed<'h>(&'h Host, Proc);

impl Renamed<'_> {
    fn pids(&self) -> Vec<u32> {
        let all = self.1.using(&self.0.cfg());
        all.iter().map(|process| process.pid).collect()
    }

    fn kill(&self) {
        for pid in self.pids() {
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
    }
}

impl Drop for Renamed<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn a_haproxy_of_another_name_is_known_by_its_program() {
    let mut web = Web::start();
    let host = Host::new();
    let program = host.write("bin/lb-2.x", "");
    fs::copy(haproxy(), &program).unwrap();
    let named = ["--haproxy", program.to_str().unwrap()];
    let renamed = Renamed(&host, Proc::default().with_program(&program));
    host.refresh(&web.url(), &named).expect(0);
    let old = renamed.pids();
    assert_eq!((old.len(), host.haproxies()), (1, vec![]));
    web.scale_up();
    let done = host.refresh(&web.url(), &named).expect(0);
    done.says(&["a new process took over"]);
    wait_until("the end of the old process", || {
        let now = renamed.pids();
        now.len() == 1 && now != old
    });
    web.connect();
    // A process that lives is not started once more, and one that ended is.
    let done = host.untouched(|| host.refresh(&web.url(), &named).expect(0));
    assert_eq!(done.stderr, "");
    renamed.kill();
    host.refresh(&web.url(), &named)
        .expect(0)
        .says(&["HAProxy was started"]);
}
