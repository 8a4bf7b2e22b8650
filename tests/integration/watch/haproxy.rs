//! A HAProxy that ends is missed, whether Marathon answers or not.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Watcher;
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
