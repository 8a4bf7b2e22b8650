//! What Marathons of each time tell of the same story: an app gets a task, another one comes, and a
//! third goes.

use std::fs;
use std::path::Path;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Era, Marathon, Task};
use nix::sys::signal::Signal;

use super::Watcher;
use crate::host::{Host, SOON, block_on, wait_until};

#[test]
fn the_events_of_every_time_lead_to_what_a_whole_turn_would_make() {
    for (name, era) in [
        ("0.8", Era::V0_10),
        ("1.1", Era::V1_1),
        ("1.4", Era::V1_4),
        ("1.5", Era::V1_5),
        ("1.10", Era::V1_10),
    ] {
        let ports = free_ports(3).unwrap();
        let app = |id: &str, port| App::new(id).service_port(port);
        let marathon = Marathon::start(era).unwrap();
        marathon.deploy(app("/web", ports[0]).task(Task::local(1)));
        marathon.deploy(app("/old", ports[1]).task(Task::local(2)));
        let host = Host::new();
        let url = [marathon.url()];
        let mut watcher = Watcher::start(host.watch_command(&url, &["--resync", "1h"]));
        watcher.says("installed `");
        block_on(marathon.wait_event_streams(1, SOON)).unwrap();

        // Its own words would be in the way.
        marathon.mute_events(true);
        marathon.scale_up("/web", [Task::local(3)]).unwrap();
        marathon.deploy(app("/new", ports[2]).task(Task::local(4)));
        marathon.remove_app("/old").unwrap();
        let file = format!("tests/streams/{name}.sse");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let stream = fs::read_to_string(file).unwrap().replace('\n', "\r\n");
        marathon.send_raw_events(stream.as_bytes());
        wait_until(name, || {
            let installed = host.installed();
            let servers = installed.matches("  server web-").count();
            servers == 2 && installed.contains("listen new-") && !installed.contains("listen old-")
        });
        watcher.send(Signal::SIGTERM);
        watcher.ended();
        host.untouched(|| host.refresh(&url, &[])).expect(0);
    }
}
