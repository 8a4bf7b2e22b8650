//! Servers that come and go are installed without a check before, which follows.

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};
use serde_json::Value;

use super::{Watcher, fetches};
use crate::host::{Host, SOON, Web, block_on, wait_until};
use crate::support::{haproxy, swap_in, swap_in_program};

const FLAGS: &[&str] = &["--resync", "1h", "--reload", "none", "--log-level", "debug"];

/// Counts the calls of `haproxy -c`.
pub(crate) fn counting(host: &Host) -> String {
    let real = haproxy_marathon_bridge::haproxy::program::find("haproxy".as_ref()).unwrap();
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *-c*) echo check >>{};; esac\nexec {} \"$@\"\n",
        host.path("checks").display(),
        real.display()
    );
    let program = host.write("counting", &text);
    make_executable(&program);
    program.display().to_string()
}

fn make_executable(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

pub(crate) fn checks(host: &Host) -> usize {
    let text = std::fs::read_to_string(host.path("checks")).unwrap_or_default();
    text.lines().count()
}

pub(crate) fn proved(host: &Host) -> Value {
    host.state()["applied"]["cfg_hash"].clone()
}

#[test]
fn servers_alone_are_installed_first_and_proved_after() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let mut web = Web::start();
    let other = App::new("/other").service_port(free_ports(1).unwrap()[0]);
    web.marathon.deploy(other.task(Task::local(1)));
    let haproxy = counting(&host);
    let watcher = Watcher::serving(&host, &web, &[FLAGS, &["--haproxy", &haproxy]].concat());
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let (whole, checked, before) = (fetches(&web), checks(&host), proved(&host));
    assert!(checked >= 1);

    let task = web.scale_up();
    let said = watcher.says("installed `");
    let last = said.last().unwrap();
    assert!(last.contains("servers 1 → 2"), "{said:#?}");
    assert_eq!(checks(&host), checked, "nothing runs on the way: {said:#?}");
    assert!(host.installed().contains(&web.newest_address()));
    wait_until("the proof", || proved(&host) != before);
    assert_eq!(checks(&host), checked + 1);
    web.marathon.fail_task(&task).unwrap();
    watcher.says("installed `");
    assert!(!host.installed().contains(&web.newest_address()));
    wait_until("the proof", || proved(&host) == before);
    assert_eq!(fetches(&web), whole);

    // Before it is proved, a whole turn finds nothing that HAProxy would be brought to.
    web.scale_up();
    watcher.says("installed `");
    watcher.send(nix::sys::signal::Signal::SIGHUP);
    let said = watcher.says("is as it should be");
    let noise = said.iter().find(|line| line.contains("yet to be brought"));
    assert_eq!(noise, None, "{said:#?}");
    let whole = whole + 1;

    // All of it, made anew, is the same.
    let churned = host.installed();
    watcher.send(nix::sys::signal::Signal::SIGHUP);
    watcher.says("is as it should be");
    assert_eq!(host.installed(), churned);
    assert_eq!(fetches(&web), whole + 1);
}

/// One answer that lacked as much would be held.
#[test]
fn servers_that_go_one_by_one_lead_to_a_whole_turn_before_most_are_gone() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let mut web = Web::start();
    let tasks: Vec<String> = (0..7).map(|_| web.scale_up()).collect();
    let watcher = Watcher::serving(&host, &web, FLAGS);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let whole = fetches(&web);
    for task in &tasks[..4] {
        web.marathon.fail_task(task).unwrap();
        watcher.says("installed `");
    }
    assert_eq!(fetches(&web), whole);
    // Five of eight are most of them.
    web.marathon.fail_task(&tasks[4]).unwrap();
    let said = watcher.says("most servers would be gone since the last whole turn");
    let is_asked = |line: &&String| line.contains("a whole turn is taken");
    assert_eq!(said.iter().filter(is_asked).count(), 1, "{said:#?}");
    wait_until("a whole answer", || fetches(&web) == whole + 1);
}

/// Its check would be of files of which nothing is known any more.
#[test]
fn an_edit_that_changes_nothing_keeps_nothing_from_being_proved() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, FLAGS);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let (whole, before) = (fetches(&web), proved(&host));
    web.scale_up();
    watcher.says("installed `");
    let head = host.path("templates/fragments/head.cfg.tera");
    swap_in(&head, &std::fs::read_to_string(&head).unwrap());
    watcher.says("changed={Templates}");
    wait_until("the proof", || proved(&host) != before);
    assert_eq!(fetches(&web), whole, "it is no reason for a whole turn");
    web.scale_up();
    watcher.says("installed `");
}

/// As in the middle of an upgrade, before the check of what was installed without one.
#[test]
fn a_program_that_tells_no_version_for_a_while_is_awaited() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let mut web = Web::start();
    let program = host.path("haproxy");
    let good = format!("exec {} \"$@\"", haproxy().display());
    swap_in_program(&program, &good);
    let flags = [FLAGS, &["--haproxy", program.to_str().unwrap()]].concat();
    let watcher = Watcher::serving(&host, &web, &flags);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let before = proved(&host);
    web.scale_up();
    watcher.says("installed `");
    let asked = host.path("asked");
    let asks = format!("[ \"$1\" != -v ] || echo >>{}; exit 127", asked.display());
    swap_in_program(&program, &asks);
    // The third turn comes later than the check would.
    let times = || std::fs::read(&asked).map_or(0, |text| text.len());
    wait_until("more turns", || 3 <= times());
    swap_in_program(&program, &good);
    web.scale_up();
    watcher.says("installed `");
    wait_until("the proof", || proved(&host) != before);
}
