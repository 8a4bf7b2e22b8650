//! A Marathon of old that sends its events to an address.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{Era, Fault};
use nix::sys::signal::Signal;

use super::{Watcher, fetches};
use crate::host::{Host, SOON, Web, block_on};

const SUBSCRIPTIONS: &str = "/v2/eventSubscriptions";

/// Options, and the address without its secret.
fn callback() -> (Vec<String>, String) {
    let port = free_ports(1).unwrap()[0];
    let url = format!("http://127.0.0.1:{port}");
    let options = [
        "--callback-url",
        &url,
        "--callback-listen",
        &format!("127.0.0.1:{port}"),
    ];
    (options.map(str::to_owned).into(), url)
}

fn watcher(host: &Host, web: &Web, options: &[String], more: &[&str]) -> Watcher {
    let options = options.iter().map(String::as_str);
    let options: Vec<&str> = options.chain(more.iter().copied()).collect();
    Watcher::of(host, web, &options)
}

#[test]
fn changes_come_by_callback_from_a_marathon_up_to_1_4() {
    for era in [Era::V0_10, Era::V1_4] {
        let (host, mut web, (options, url)) = (Host::new(), Web::of(era), callback());
        let mut watcher = watcher(&host, &web, &options, &["--resync", "1h"]);
        watcher.says("installed `");
        block_on(web.marathon.wait_callbacks(1, SOON)).unwrap();
        assert!(web.marathon.callbacks()[0].starts_with(&format!("{url}/hmb-")));
        assert_eq!(web.marathon.requests("/v2/events"), 0);

        web.scale_up();
        watcher.says("installed `");
        assert!(host.installed().contains(&web.newest_address()));

        watcher.send(Signal::SIGTERM);
        let (status, words) = watcher.ended();
        assert_eq!(status.code(), Some(0), "{words:#?}");
        assert_eq!(
            web.marathon.callbacks(),
            [""; 0],
            "it takes its address back"
        );
    }
}

/// The port is the same before and after.
#[test]
fn events_go_on_to_come_after_an_edit_of_the_options() {
    let (host, mut web, (options, _)) = (Host::new(), Web::of(Era::V1_4), callback());
    let file = host.write("config.toml", "");
    let more = ["--resync", "1h", "--config", file.to_str().unwrap()];
    let watcher = watcher(&host, &web, &options, &more);
    watcher.says("installed `");
    block_on(web.marathon.wait_callbacks(1, SOON)).unwrap();
    for (edit, words) in [
        ("reload-timeout = \"20s\"\n", "the options were read again"),
        // It is followed, and left again.
        ("haproxy = \"no-haproxy\"\n", "is not put to use"),
    ] {
        fs::write(&file, edit).unwrap();
        let said = watcher.says(words);
        assert!(!said.join("\n").contains("listened on"), "{said:#?}");
        block_on(web.marathon.wait_callbacks(1, SOON)).unwrap();
        web.scale_up();
        let said = watcher.says("installed `");
        let installed = host.installed();
        assert!(installed.contains(&web.newest_address()), "{said:#?}");
    }
}

/// A port says nothing when it becomes free.
#[test]
fn an_edit_that_a_taken_port_kept_out_is_tried_again() {
    let (host, web, (_, url)) = (Host::new(), Web::of(Era::V1_4), callback());
    let other = TcpListener::bind(url.strip_prefix("http://").unwrap()).unwrap();
    let file = host.write("config.toml", "");
    let more = ["--resync", "1h", "--config", file.to_str().unwrap()];
    let watcher = watcher(&host, &web, &[], &more);
    watcher.says("installed `");
    let listen = other.local_addr().unwrap();
    let edit = format!("callback-url = \"{url}\"\ncallback-listen = \"{listen}\"\n");
    fs::write(&file, edit).unwrap();
    let said = watcher.says("is not put to use");
    assert!(said.last().unwrap().contains("cannot be listened on"));
    drop(other);
    watcher.send(Signal::SIGHUP);
    watcher.says("the options were read again");
    block_on(web.marathon.wait_callbacks(1, SOON)).unwrap();
}

#[test]
fn a_marathon_that_forgot_is_told_again_and_what_happened_meanwhile_is_fetched() {
    let (host, mut web, (options, _)) = (Host::new(), Web::of(Era::V1_4), callback());
    let watcher = watcher(&host, &web, &options, &["--resync", "1s"]);
    watcher.says("installed `");
    web.marathon.forget_callbacks();
    web.scale_up();
    let said = watcher.says("installed `");
    assert!(
        host.installed().contains(&web.newest_address()),
        "{said:#?}"
    );
    block_on(web.marathon.wait_callbacks(1, SOON)).unwrap();
}

#[test]
fn what_a_killed_watcher_left_is_taken_back_by_the_next() {
    let (host, web, (options, _)) = (Host::new(), Web::of(Era::V1_4), callback());
    let first = watcher(&host, &web, &options, &[]);
    first.says("installed `");
    block_on(web.marathon.wait_callbacks(1, SOON)).unwrap();
    let left = web.marathon.callbacks();
    drop(first);
    let second = watcher(&host, &web, &options, &[]);
    second.says("an address that a run before left");
    let now = web.marathon.callbacks();
    assert!(now.len() == 1 && now != left, "{now:?}");
}

#[test]
fn a_marathon_without_callbacks_is_asked_at_times_and_says_why() {
    for (era, status) in [(Era::V1_8, "404"), (Era::V1_4, "400")] {
        let (host, mut web, (options, _)) = (Host::new(), Web::of(era), callback());
        if status == "400" {
            web.marathon.inject(Fault::Status(400).on(SUBSCRIPTIONS));
        }
        let watcher = watcher(&host, &web, &options, &["--resync", "1h"]);
        let said = watcher.says("tells no events").join("\n");
        for part in [
            status,
            "--event_subscriber http_callback",
            "asked every 15s",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        web.scale_up();
        watcher.says_within("installed `", SOON * 2);
    }
}

#[test]
fn strangers_who_post_there_cause_nothing() {
    let (host, web, (options, url)) = (Host::new(), Web::of(Era::V1_4), callback());
    let watcher = watcher(&host, &web, &options, &["--resync", "1h"]);
    watcher.says("installed `");
    block_on(web.marathon.wait_callbacks(1, SOON)).unwrap();
    let before = fetches(&web);
    let event = r#"{"eventType":"scheduler_registered_event"}"#;
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    write!(
        stream,
        "POST /hmb-0123456789abcdef0123456789abcdef HTTP/1.1\r\nhost: here\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{event}",
        event.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert_eq!(fetches(&web), before);
}

#[test]
fn a_port_that_is_taken_is_told_at_the_start() {
    let (host, web, (options, url)) = (Host::new(), Web::of(Era::V1_4), callback());
    let _other = TcpListener::bind(url.strip_prefix("http://").unwrap()).unwrap();
    let (status, words) = watcher(&host, &web, &options, &[]).ended();
    assert_eq!(status.code(), Some(1));
    let words = words.join("\n");
    for part in ["cannot be listened on", "--callback-listen"] {
        assert!(words.contains(part), "{words}");
    }
}

/// `servicerouter --listening`, which was for the same Marathons.
#[test]
fn servicerouter_is_called_back_too() {
    let (host, mut web, (_, url)) = (Host::new(), Web::of(Era::V0_10), callback());
    let command = host.servicerouter_command(&web.url(), &url);
    let mut watcher = Watcher::start(command);
    watcher.says("installed `");
    block_on(web.marathon.wait_callbacks(1, SOON)).unwrap();
    web.scale_up();
    watcher.says("installed `");
    assert!(host.installed().contains(&web.newest_address()));
    watcher.send(Signal::SIGTERM);
    assert_eq!(watcher.ended().0.code(), Some(0));
    assert_eq!(web.marathon.callbacks(), [""; 0]);
}
