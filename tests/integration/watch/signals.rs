//! What operators send.

use haproxy_marathon_bridge::demo::marathon::Fault;
use nix::sys::signal::Signal;

use super::{Watcher, fetches};
use crate::host::{Host, SOON, Web, block_on};

#[test]
fn hup_asks_for_everything_at_once() {
    let host = Host::new();
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, &["--resync", "1h"]);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let before = fetches(&web);
    web.marathon.mute_events(true);
    web.scale_up();
    watcher.send(Signal::SIGHUP);
    watcher.says("installed `");
    assert_eq!(fetches(&web), before + 1);
}

#[test]
fn usr1_has_haproxy_read_the_installed_files_again() {
    let host = Host::new();
    let web = Web::start();
    let watcher = Watcher::serving(&host, &web, &[]);
    let (before, installed) = (host.pid(), host.installed());
    watcher.send(Signal::SIGUSR1);
    watcher.says("HAProxy was brought to the installed files again");
    assert_ne!(host.pid(), before);
    assert_eq!(host.installed(), installed);
    assert_eq!(web.connect().ask(), "web-0");
    assert_eq!(host.state()["pending"], serde_json::Value::Null);
}

#[test]
fn term_and_int_end_it_well_and_haproxy_serves_on() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let host = Host::new();
        let web = Web::start();
        let mut watcher = Watcher::serving(&host, &web, &[]);
        watcher.send(signal);
        let (status, words) = watcher.ended();
        assert_eq!(status.code(), Some(0), "{words:#?}");
        assert_eq!(web.connect().ask(), "web-0");
        // And the lock is free.
        host.refresh(&web.url(), &[]).expect(0);
    }
}

/// A turn that gets nowhere does not keep it.
#[test]
fn it_ends_also_while_marathon_hangs() {
    let host = Host::new();
    let web = Web::start();
    web.marathon.inject(Fault::Hang.on("/v2/apps"));
    let mut watcher = Watcher::of(&host, &web, &[]);
    block_on(web.marathon.wait_requests("/v2/apps", 1, SOON)).unwrap();
    watcher.send(Signal::SIGTERM);
    let (status, words) = watcher.ended();
    assert_eq!(status.code(), Some(0), "{words:#?}");
}

#[test]
fn one_shots_leave_the_work_to_it() {
    let host = Host::new();
    let web = Web::start();
    let _watcher = Watcher::serving(&host, &web, &[]);
    let done = host.untouched(|| host.refresh(&web.url(), &[]));
    done.expect(0).says(&["is kept in step by a watcher"]);
}
