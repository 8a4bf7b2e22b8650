//! Several watchers of one Marathon, as where several load balancers stand behind one address.

use std::fs;

use super::{Watcher, fetches};
use crate::host::{Host, Web, wait_until};

/// Requests that a watcher may make for an event: the first one of a burst is answered at once, and
/// what follows it together.
const PER_EVENT: u64 = 2;
const EVENTS: u64 = 4;

#[test]
fn several_watchers_write_the_same_bytes_and_ask_for_what_changed_alone() {
    let mut web = Web::start();
    let hosts = [Host::new(), Host::new(), Host::new()];
    // Their statistics would be on ports of their own, and one port cannot be served three times here.
    let templates = format!("--template-dir={}", hosts[0].path("templates").display());
    let more = [
        "--reload",
        "none",
        "--resync",
        "1h",
        "--log-level",
        "debug",
        &templates,
    ];
    let mut watchers = Vec::new();
    for (host, so_many) in hosts.iter().zip(1_u64..) {
        let watcher = Watcher::of(host, &web, &more);
        // Its first turn answers the attachment.
        watcher.says("follows the events");
        watcher.says("installed `");
        watchers.push(watcher);
        let (whole, all) = (fetches(&web), web.marathon.all_requests());
        let at_work = &hosts[..watchers.len()];
        for _ in 0..EVENTS {
            web.scale_up();
            let address = web.newest_address();
            for host in at_work {
                wait_until("the new task in each file", || {
                    host.installed().contains(&address)
                });
            }
        }
        assert_eq!(fetches(&web), whole, "with {so_many}");
        let asked = web.marathon.all_requests() - all;
        assert!(
            asked <= so_many * EVENTS * PER_EVENT,
            "with {so_many}: {asked}"
        );
        let first = fs::read(hosts[0].cfg()).unwrap();
        for host in at_work {
            assert!(fs::read(host.cfg()).unwrap() == first, "the files differ");
        }
    }
}
