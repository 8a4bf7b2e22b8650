//! marathon-lb's `--sse`, whose own reload command is run.

use std::fs;
use std::process::Command;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::App;
use nix::sys::signal::Signal;

use super::{NEVER, Watcher, fetches};
use crate::host::{Host, SOON, Web, block_on, moved, wait_until};

/// An app that is served on loopback.
fn web() -> Web {
    let web = Web::start();
    let here = |app: App| app.label("HAPROXY_0_BIND_ADDR", "127.0.0.1");
    web.marathon.change_app("/web", here).unwrap();
    web
}

/// One that serves, after one reload.
fn serving(host: &Host, web: &Web, more: &[&str]) -> Watcher {
    let more = [&["--sse"], more].concat();
    let watcher = Watcher::start(host.marathon_lb_command(&web.url(), &more));
    watcher.says("installed `");
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    assert_eq!(host.reloads(), 1);
    watcher
}

#[test]
fn an_event_leads_to_its_reload_command_and_its_own_form_of_log() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let mut web = web();
    let mut watcher = serving(&host, &web, &["--log-format", "lb|%(message)s"]);
    assert_eq!(web.connect().ask(), "web-0");
    web.scale_up();
    let said = watcher.says("installed `");
    assert!(said.iter().all(|line| line.starts_with("lb|")), "{said:#?}");
    let installed = host.installed();
    assert!(installed.contains(&web.newest_address()), "{installed}");
    assert_eq!(host.reloads(), 2);
    assert_eq!(web.connect().ask().len(), "web-0".len());
    watcher.send(Signal::SIGTERM);
    let (status, words) = watcher.ended();
    assert_eq!(status.code(), Some(0), "{words:#?}");
}

#[test]
fn with_the_runtime_api_tasks_come_and_go_without_its_reload_command() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let mut web = web();
    let watcher = serving(&host, &web, &["--runtime-api"]);
    let pid = host.pid();
    let task = web.scale_up();
    watcher.says("1 server changed at runtime");
    assert_eq!(web.connect().ask().len(), "web-0".len());
    web.marathon.fail_task(&task).unwrap();
    watcher.says("1 server changed at runtime");
    assert_eq!(web.connect().ask(), "web-0");
    assert_eq!(host.reloads(), 1);
    assert_eq!(host.haproxies(), [pid]);
    // What is more than that has it run.
    let least = |app: App| app.label("HAPROXY_0_BALANCE", "leastconn");
    web.marathon.change_app("/web", least).unwrap();
    watcher.says("reload: ");
    assert_eq!(host.reloads(), 2);
}

#[test]
fn the_native_watcher_tells_of_tasks_in_the_set_of_marathon_lb_too() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let mut web = web();
    let watcher = Watcher::serving(&host, &web, NEVER);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let pid = host.pid();
    let task = web.scale_up();
    watcher.says("1 server changed at runtime");
    assert_eq!(web.connect().ask().len(), "web-0".len());
    web.marathon.fail_task(&task).unwrap();
    watcher.says("1 server changed at runtime");
    assert_eq!(host.haproxies(), [pid]);
    // Who looks sees the file that the watcher has made.
    host.look("diff", &web.url()).expect(0);
}

#[test]
fn why_no_task_comes_without_a_reload_is_said_at_the_start() {
    const WHY: &str =
        "is reloaded for each task that comes or goes, in spite of `runtime-api` auto";
    let web = web();
    let is_said = |change: &dyn Fn(&str) -> String, more: &[&str]| {
        let host = Host::labelled(free_ports(1).unwrap()[0]);
        let head = "templates/fragments/head.cfg.tera";
        let text = fs::read_to_string(host.path(head)).unwrap();
        host.write(head, &change(&text));
        let watcher = Watcher::of(&host, &web, &[NEVER, more].concat());
        let said = watcher.says("installed `");
        said.iter().any(|line| line.contains(WHY))
    };
    let unmarked = |text: &str| moved(text, "  description {{ structure }}\n", "");
    assert!(is_said(&unmarked, &[]));
    assert!(!is_said(&unmarked, &["--runtime-api", "off"]));
    assert!(!is_said(&str::to_owned, &[]));
}

/// Nobody tells which process a command has started.
#[test]
fn a_haproxy_of_the_reload_command_that_ended_is_missed() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let web = web();
    let watcher = serving(&host, &web, &[]);
    wait_until("a good status", || host.status().status.success());
    host.kill();
    watcher.says("HAProxy does not run any more");
    host.status().expect(1).prints(&["has ended"]);
    // It is for whoever looks after it to start it.
    assert_eq!(host.reloads(), 1);
    let started = Command::new(host.path("reload.sh")).status().unwrap();
    assert!(started.success());
    watcher.says("over: HAProxy did not run; it was started");
    wait_until("a good status", || host.status().status.success());
}

#[test]
fn hup_asks_for_everything_and_usr1_reloads_without_a_question() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let mut web = web();
    let watcher = serving(&host, &web, &[]);
    web.marathon.mute_events(true);
    web.scale_up();
    let before = fetches(&web);
    watcher.send(Signal::SIGHUP);
    watcher.says("installed `");
    assert!(fetches(&web) > before);
    assert_eq!(host.reloads(), 2);

    let (asked, installed) = (web.marathon.requests("/v2/apps"), host.installed());
    watcher.send(Signal::SIGUSR1);
    watcher.says("HAProxy was brought to the installed files again");
    assert_eq!(host.reloads(), 3);
    assert_eq!(web.marathon.requests("/v2/apps"), asked);
    assert_eq!(host.installed(), installed);
}

#[test]
fn a_dry_run_prints_once_whether_it_should_follow_or_not() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let web = web();
    let mut command = host.marathon_lb_command(&web.url(), &["--sse", "--dry"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("backend web_"), "{printed}");
    assert!(fs::metadata(host.cfg()).is_err());
    assert_eq!(host.reloads(), 0);
}
