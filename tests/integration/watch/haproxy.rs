//! A HAProxy that ends is missed, whether Marathon answers or not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Watcher, full_disk};
use crate::host::{Host, Web, wait_until};
use crate::support::haproxy;

/// As the machine's memory killer would.
fn kill_haproxy(host: &Host) -> u32 {
    let pid = host.pid();
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap();
    pid
}

#[test]
fn one_that_we_started_is_started_again_with_the_files_that_it_ran() {
    let host = Host::new();
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, &["--resync", "1h"]);
    let killed = kill_haproxy(&host);
    let said = watcher.says("HAProxy had ended, and was brought to the files that it ran");
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_ne!(host.pid(), killed);
    assert_eq!(web.connect().ask(), "web-0");

    web.marathon.down();
    watcher.says("Marathon tells no events");
    kill_haproxy(&host);
    watcher.says("HAProxy had ended, and was brought to the files that it ran");
    assert_eq!(web.connect().ask(), "web-0");
    web.marathon.up().unwrap();
    web.scale_up();
    watcher.says("installed `");
}

#[test]
fn one_that_others_start_is_missed_once_and_greeted_once() {
    let host = Host::new();
    let web = Web::start();
    let mut haproxy = Command::new(haproxy());
    haproxy.arg("-D").arg("-p").arg(host.path("run/pid"));
    haproxy.arg("-f").arg(host.cfg());
    host.refresh(&web.url(), &[]).expect(0);
    let watcher = Watcher::of(&host, &web, &["--resync", "1h", "--reload", "master"]);
    let asked = web.marathon.requests("/v2/apps");
    wait_until("the first turn", || {
        asked < web.marathon.requests("/v2/apps")
    });

    kill_haproxy(&host);
    let said = watcher.says("HAProxy does not run any more");
    assert!(said.iter().all(|line| !line.contains("error")), "{said:#?}");
    assert!(haproxy.status().unwrap().success());
    let said = watcher.says("over: HAProxy did not run; it was started");
    assert_eq!(said.len(), 1, "{said:#?}");

    // Somebody else restarts it.
    kill_haproxy(&host);
    assert!(haproxy.status().unwrap().success());
    let said = watcher.says("HAProxy runs as pid");
    assert!(said.len() <= 2, "{said:#?}");
}

const BACK: &str = "HAProxy had ended, and was brought to the files that it ran";

/// A HAProxy that accepts a second server and does not start with it.
fn that_starts_with_one_server(host: &Host) -> PathBuf {
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' -D '*) grep -q 'server web-2 ' {} && exit 1;; esac\n\
         exec {} \"$@\"\n",
        host.cfg().display(),
        haproxy().display()
    );
    let program = host.write("bin/haproxy", &script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

fn times(lines: &[String], part: &str) -> usize {
    lines.iter().filter(|line| line.contains(part)).count()
}

#[test]
fn one_that_ends_while_a_set_waits_that_cannot_be_started_is_started_with_the_files_that_it_ran() {
    let host = Host::new();
    let mut web = Web::start();
    let program = that_starts_with_one_server(&host);
    let flags = ["--resync", "1h", "--haproxy", program.to_str().unwrap()];
    let watcher = Watcher::serving(&host, &web, &flags);
    web.scale_up();
    watcher.says("the reload failed");
    for _ in 0..2 {
        let killed = kill_haproxy(&host);
        let said = watcher.says(BACK);
        assert_eq!(times(&said, "HAProxy had ended"), 1, "{said:#?}");
        assert_ne!(host.pid(), killed);
        assert_eq!(web.connect().ask(), "web-0");
    }
    assert!(host.state()["pending"].is_object());

    // Nor does a watcher that starts, or a run of its own, leave it so.
    drop(watcher);
    host.kill();
    let watcher = Watcher::of(&host, &web, &flags);
    watcher.says(BACK);
    assert_eq!(web.connect().ask(), "web-0");
    drop(watcher);
    host.kill();
    let flags = ["--haproxy", program.to_str().unwrap()];
    host.refresh(&web.url(), &flags).expect(1).says(&[BACK]);
    assert_eq!(web.connect().ask(), "web-0");

    // What waits is not forgotten by that.
    fs::write(
        &program,
        format!("#!/bin/sh\nexec {} \"$@\"\n", haproxy().display()),
    )
    .unwrap();
    let again = [&flags[..], &["--retry-now"]].concat();
    host.refresh(&web.url(), &again).expect(0);
    assert!(host.installed().contains("server web-2 "));
}

#[test]
fn one_that_ends_while_the_disk_is_full_and_a_change_waits_is_started_with_the_installed_files() {
    let Some(mut scene) = full_disk::Scene::new(Host::new(), &[]) else {
        return;
    };
    scene.fill();
    scene.web.scale_up();
    scene.watcher.says("the new files cannot be installed");
    kill_haproxy(&scene.host);
    scene.watcher.says(BACK);
    assert_eq!(scene.web.connect().ask(), "web-0");
    scene.free();
    scene.watcher.says("installed `");
}

#[test]
fn that_one_ended_is_said_once_where_nothing_can_start_it() {
    let host = Host::new();
    let web = Web::start();
    let program = that_starts_with_one_server(&host);
    let flags = ["--resync", "1h", "--haproxy", program.to_str().unwrap()];
    let watcher = Watcher::serving(&host, &web, &flags);
    let aside = host.path("bin/aside");
    fs::rename(&program, &aside).unwrap();
    kill_haproxy(&host);
    let ended = "HAProxy has ended, and cannot be started";
    watcher.says(ended);
    fs::rename(&aside, &program).unwrap();
    let said = watcher.says(&format!("over: {ended}"));
    assert_eq!(times(&said, ended), 1, "{said:#?}");
    assert_eq!(web.connect().ask(), "web-0");
}

/// Who looks in the course of it finds other files, and another process, and no fault.
#[test]
fn a_reload_of_the_watcher_itself_is_no_alarm() {
    let host = Host::new();
    let mut web = Web::start();
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' -sf '*) {haproxy} \"$@\" || exit 1; : > {begun}; \
         while [ ! -e {end} ]; do sleep 0.05; done; exit 0;; esac\nexec {haproxy} \"$@\"\n",
        haproxy = haproxy().display(),
        begun = host.path("begun").display(),
        end = host.path("end").display(),
    );
    let program = host.write("bin/haproxy", &script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let flags = ["--resync", "1h", "--haproxy", program.to_str().unwrap()];
    let watcher = Watcher::serving(&host, &web, &flags);
    wait_until("a good status", || host.status().status.success());
    web.scale_up();
    wait_until("the reload", || host.path("begun").exists());
    let told = host.status().expect(0);
    let told = told.prints(&["all is well", "at work", "on a reload"]);
    assert!(!told.stdout.contains("somebody else"), "{}", told.stdout);
    host.write("end", "");
    watcher.says("installed `");
    let told = host.status().expect(0);
    assert!(!told.stdout.contains("at work"), "{}", told.stdout);
}
