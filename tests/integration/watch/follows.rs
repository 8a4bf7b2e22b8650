//! What changes in Marathon is served at once, and what does not costs nothing.

use std::fs;
use std::time::Duration;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Fault, Task};
use nix::sys::signal::Signal;
use serde_json::json;

use super::{NEVER, Watcher, fetches};
use crate::host::{Host, SOON, Web, block_on, wait_until};

/// One that talks, and has taken its first turn, which came after it was attached.
fn settled(host: &Host, web: &Web, more: &[&str]) -> Watcher {
    let more = [NEVER, &["--log-level", "debug"], more].concat();
    let watcher = Watcher::of(host, web, &more);
    watcher.says("follows the events");
    watcher.says("installed `");
    watcher
}

#[test]
fn tasks_and_apps_that_come_and_go_are_followed_by_their_events() {
    let host = Host::new();
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, NEVER);
    assert_eq!(web.connect().ask(), "web-0");
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();

    let task = web.scale_up();
    watcher.says("installed `");
    assert_eq!(host.installed().matches("  server web-").count(), 2);
    web.marathon.fail_task(&task).unwrap();
    watcher.says("installed `");
    assert_eq!(host.installed().matches("  server web-").count(), 1);

    let port = free_ports(1).unwrap()[0];
    web.marathon
        .deploy(App::new("/other").service_port(port).task(Task::local(1)));
    watcher.says("installed `");
    assert!(host.installed().contains("listen other-"));
    web.marathon.remove_app("/other").unwrap();
    watcher.says("installed `");
    assert!(!host.installed().contains("listen other-"));
    assert_eq!(web.connect().ask(), "web-0");
}

#[test]
fn a_burst_of_events_makes_few_turns() {
    let host = Host::new();
    let web = Web::start();
    let watcher = settled(&host, &web, &["--debounce", "1s:20s"]);
    let before = fetches(&web);
    for number in 0..500 {
        let app = format!("/app-{}", number % 200);
        web.marathon
            .publish("app_terminated_event", json!({ "appId": app }));
    }
    watcher.says("is as it should be");
    assert_eq!(fetches(&web) - before, 1);
}

#[test]
fn a_quiet_cluster_makes_no_requests_and_no_lines() {
    let host = Host::new();
    let web = Web::start();
    web.marathon.set_heartbeat(Duration::from_millis(20));
    let watcher = Watcher::serving(&host, &web, NEVER);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    // The first turn answers the attachment.
    assert_eq!(fetches(&web), 1);
    let (requests, bytes) = (
        web.marathon.all_requests(),
        web.marathon.bytes("/v2/events"),
    );
    block_on(web.marathon.wait_bytes("/v2/events", bytes + 500, SOON)).unwrap();
    assert_eq!(web.marathon.all_requests(), requests);
    assert_eq!(watcher.said(), [""; 0]);
}

#[test]
fn where_events_are_not_wanted_everything_is_asked_at_times() {
    let host = Host::new();
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, &["--poll", "50ms"]);
    web.scale_up();
    watcher.says("installed `");
    let asked = fetches(&web);
    wait_until("more polls", || fetches(&web) > asked + 2);
    assert_eq!(web.marathon.requests("/v2/events"), 0);
    assert_eq!(watcher.said(), [""; 0]);
}

#[test]
fn a_marathon_without_events_is_asked_at_times_and_that_is_said_once() {
    let host = Host::new();
    let mut web = Web::start();
    web.marathon.inject(Fault::Status(404).on("/v2/events"));
    let watcher = Watcher::serving(&host, &web, NEVER);
    block_on(web.marathon.wait_requests("/v2/events", 3, SOON)).unwrap();
    web.scale_up();
    let said = watcher.says_within("installed `", SOON * 2);
    let told = said.iter().filter(|line| line.contains("tells no events"));
    assert!(told.count() <= 1, "{said:#?}");
}

#[test]
fn an_event_costs_the_app_that_it_names_and_no_other() {
    let http = free_ports(1).unwrap()[0];
    for (host, keeps) in [(Host::new(), false), (Host::labelled(http), true)] {
        let mut web = Web::start();
        let other = App::new("/other").service_port(free_ports(1).unwrap()[0]);
        web.marathon.deploy(other.task(Task::local(1)));
        // An answer is kept by turns that reload.
        let watcher = settled(&host, &web, &["--runtime-api", "off"]);
        let whole = fetches(&web);
        let task = web.scale_up();
        watcher.says("installed `");
        let port = web.newest_address();
        assert!(host.installed().contains(&port), "{}", host.installed());
        assert_eq!(fetches(&web), whole);
        assert!(web.marathon.requests("/v2/apps/web") >= 1);
        assert_eq!(web.marathon.requests("/v2/apps/other"), 0);
        if keeps {
            let kept = fs::read_to_string(host.state_folder().join("snapshot.json")).unwrap();
            assert!(kept.contains(&task) && kept.contains("/other"), "{kept}");
        }

        // The whole answer says the same, and the last word is its own.
        watcher.send(Signal::SIGHUP);
        watcher.says("is as it should be");
        web.marathon.fail_task(&task).unwrap();
        watcher.says("installed `");
        assert!(!host.installed().contains(&port));
        assert_eq!(fetches(&web), whole + 1);

        // One that is gone, and one that is new, of whose place only the whole tells.
        web.marathon.remove_app("/other").unwrap();
        watcher.says("installed `");
        assert!(!host.installed().contains("other"), "{}", host.installed());
        assert_eq!(fetches(&web), whole + 1);
        let new = App::new("/new").service_port(free_ports(1).unwrap()[0]);
        web.marathon.deploy(new.task(Task::local(1)));
        watcher.says("installed `");
        assert!(fetches(&web) > whole + 1);
    }
}

#[test]
fn where_an_app_cannot_be_asked_for_everything_is() {
    let host = Host::new();
    let mut web = Web::start();
    let watcher = settled(&host, &web, &[]);
    let whole = fetches(&web);
    web.marathon.inject(Fault::Status(500).on("/v2/apps/web"));
    web.scale_up();
    watcher.says("installed `");
    assert!(fetches(&web) > whole);
    assert_eq!(host.installed().matches("  server web-").count(), 2);
}
