//! What operators do beside a watcher.

use std::fs;
use std::time::{Duration, SystemTime};

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};
use haproxy_marathon_bridge::state::Time;
use nix::sys::signal::Signal;
use serde_json::json;

use super::Watcher;
use crate::host::{Host, Web, wait_until};

#[test]
fn a_pause_holds_from_the_next_turn_on_and_its_end_is_heeded_at_once() {
    let host = Host::new();
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, &["--resync", "1h"]);
    let paused = host.operate(&["pause", "--reason", "the night shift"]);
    paused
        .expect(0)
        .says(&["the watcher", "heeds that from now on"]);
    let before = host.installed();
    web.scale_up();
    let said = watcher.says("would be applied");
    assert!(
        said[said.len() - 1].contains("the night shift"),
        "{said:#?}"
    );
    assert_eq!(host.installed(), before);
    host.operate(&["resume"]).expect(0);
    watcher.says("installed `");
    watcher.says("over: paused");
}

#[test]
fn a_second_watcher_says_for_whom_it_waits() {
    let host = Host::new();
    let web = Web::start();
    let watcher = Watcher::serving(&host, &web, &[]);
    let second = Watcher::of(&host, &web, &["--log-level", "debug"]);
    let said = second.says("waits up to 30 s for its end");
    let pid = format!("another watcher (pid {})", watcher.id());
    assert!(said[said.len() - 1].contains(&pid), "{said:#?}");
    drop(watcher);
    second.says("answers at `");
}

#[test]
fn a_rollback_is_not_undone_before_the_pause_ends() {
    let host = Host::new();
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, &["--resync", "1h"]);
    let first = host.installed();
    let port = free_ports(1).unwrap()[0];
    let other = App::new("/other").service_port(port);
    web.marathon.deploy(other.task(Task::local(1)));
    watcher.says("installed `");
    let second = host.installed();

    host.operate(&["rollback"]).expect(0);
    watcher.says("would be applied");
    assert_eq!(host.installed(), first);
    assert_eq!(web.connect().ask(), "web-0");
    // What the watcher remembers is what the rollback left.
    assert_eq!(host.state()["pending"], serde_json::Value::Null);
    host.operate(&["resume"]).expect(0);
    watcher.says("installed `");
    assert_eq!(host.installed(), second);
    web.scale_up();
    watcher.says("installed `");
}

#[test]
fn drains_that_cannot_be_read_hold_in_a_watcher_and_are_kept() {
    let host = Host::new();
    let mut web = Web::start();
    web.scale_up();
    let watcher = Watcher::serving(&host, &web, &["--resync", "1h"]);
    let drained = web.newest_address();
    host.operate(&["drain", &drained]).expect(0);
    watcher.says("servers 2 → 1");
    fs::write(host.state_folder().join("drained.json"), "at night").unwrap();
    watcher.send(Signal::SIGHUP);
    watcher.says("drained.json` is not what was written");
    web.scale_up();
    watcher.says("installed `");
    assert!(!host.installed().contains(&drained));
    let status = host.status().expect(1);
    status.prints(&[
        "something is wrong",
        "drained.json` is not what",
        "nothing is drained, but for what a watcher",
    ]);
    let undrained = host.operate(&["undrain", &drained]).expect(1);
    undrained.says(&["nothing was changed: mend it, or remove it"]);

    let done = host.operate(&["drain", "10.0.0.1"]).expect(0);
    done.says(&["is kept in `", "drained.json.corrupt`"]);
    watcher.says("over: `");
    watcher.says("installed `");
    assert!(host.installed().contains(&drained));
    let kept = host.state_folder().join("drained.json.corrupt");
    assert_eq!(fs::read_to_string(kept).unwrap(), "at night");
}

/// It takes turns when something happens, and says itself how it is.
#[test]
fn a_watcher_that_answers_is_well_however_long_ago_its_last_turn_was() {
    let host = Host::new();
    let web = Web::start();
    let watcher = Watcher::serving(&host, &web, &["--resync", "1h"]);
    wait_until("the end of all turns", || {
        let told = host.status();
        told.status.success() && !told.stdout.contains("to be asked")
    });
    let ago = Time::at(SystemTime::now() - Duration::from_secs(16 * 60));
    host.edit_state(|state| state["last_turn"]["at"] = json!(ago));
    host.status().expect(0).prints(&["all is well", "16m"]);
    let doctor = host.operate(&["doctor"]);
    doctor.prints(&[&format!(
        "ok    last turn {}: all is well",
        host.cfg().display()
    )]);
    drop(watcher);
    let told = host.status().expect(1);
    told.prints(&["no turn was taken for too long"]);
}
