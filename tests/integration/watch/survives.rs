//! Whatever fails is said once, and once when it is over; what is in service stays.

use haproxy_marathon_bridge::demo::marathon::Fault;
use nix::sys::signal::Signal;

use super::{Watcher, fetches};
use crate::host::{Host, SOON, Web, block_on, wait_until};
use crate::support::count;

#[test]
fn a_start_without_marathon_leaves_all_in_service_and_catches_up() {
    let host = Host::new();
    let mut web = Web::start();
    host.refresh(&web.url(), &[]).expect(0);
    web.marathon.down();
    let before = host.installed();
    let watcher = Watcher::of(&host, &web, &[]);
    watcher.says("Marathon gave no usable answer");
    assert_eq!(host.installed(), before);
    assert_eq!(web.connect().ask(), "web-0");
    web.scale_up();
    web.marathon.up().unwrap();
    let said = watcher.says("installed `");
    assert_eq!(
        count(&said, "over: Marathon gave no usable answer"),
        1,
        "{said:#?}"
    );
    assert_eq!(host.installed().matches("  server web-").count(), 2);
}

#[test]
fn a_marathon_that_goes_and_comes_back_is_told_once_each() {
    let host = Host::new();
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, &[]);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let before = host.installed();
    web.marathon.down();
    let mut said = watcher.says("Marathon tells no events");
    watcher.send(Signal::SIGHUP);
    said.extend(watcher.says("gave no usable answer"));
    web.scale_up();
    assert_eq!(host.installed(), before);
    web.marathon.up().unwrap();
    said.extend(watcher.says("installed `"));
    for part in [
        "warn: Marathon tells no events",
        "error: Marathon gave no usable answer",
    ] {
        assert_eq!(count(&said, part), 1, "{part}: {said:#?}");
    }
}

#[test]
fn a_fault_that_stays_is_not_said_again() {
    let host = Host::new();
    let web = Web::start();
    let watcher = Watcher::serving(&host, &web, &["--poll", "20ms"]);
    web.marathon.inject(Fault::Status(500).on("/v2/apps"));
    watcher.says("found status 500");
    let asked = fetches(&web);
    wait_until("another turn", || fetches(&web) > asked + 1);
    assert_eq!(watcher.said(), [""; 0]);
    web.marathon.clear_faults();
    watcher.says("over: ");
}

/// What failed is tried again when it is time, though nothing changes.
#[test]
fn a_reload_that_failed_is_tried_again_by_itself() {
    let host = Host::new();
    let mut web = Web::start();
    let blocker = host.block_starts();
    let watcher = Watcher::of(&host, &web, &["--resync", "1h"]);
    watcher.says("the reload failed");
    drop(blocker);
    let said = watcher.says_within("HAProxy was yet to be brought to it", SOON * 2);
    assert_eq!(count(&said, "the reload failed"), 0, "{said:#?}");
    assert_eq!(web.connect().ask(), "web-0");
    watcher.says("over: the reload failed");
    web.scale_up();
    watcher.says("installed `");
}
