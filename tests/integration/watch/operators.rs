//! What operators do beside a watcher.

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};

use super::Watcher;
use crate::host::{Host, Web};

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
