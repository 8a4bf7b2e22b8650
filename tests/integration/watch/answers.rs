//! Whatever Marathon answers, or does not: what is in service stays, it is said once, and what was
//! missed is made up for without a signal.

use std::collections::BTreeSet;
use std::fs;

use haproxy_marathon_bridge::demo::marathon::{Ending, Fault};
use nix::sys::signal::Signal;

use super::Watcher;
use super::load::Load;
use crate::host::{Host, SOON, Web, block_on, wait_until};
use crate::support::count;
use std::time::Duration;

/// Answers that do not come are not waited for long.
const IMPATIENT: &[&str] = &[
    "--resync",
    "1h",
    "--connect-timeout",
    "300ms",
    "--read-timeout",
    "300ms",
    "--fetch-timeout",
    "1s",
    "--max-body",
    "1MiB",
];

/// Each in turn hits all that Marathon says, the stream of events included, while a task comes.
#[track_caller]
fn outlive(faults: impl IntoIterator<Item = (&'static str, Fault, &'static str)>) {
    let host = Host::new();
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, IMPATIENT);
    let load = Load::on(web.target());
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    for (name, fault, part) in faults {
        let before = host.installed();
        web.marathon.inject(fault);
        web.marathon.close_event_streams();
        watcher.send(Signal::SIGHUP);
        let mut said = watcher.says("error: Marathon gave no usable answer");
        assert!(said[said.len() - 1].contains(part), "{name}: {said:#?}");
        web.scale_up();
        assert_eq!(host.installed(), before, "{name}");
        web.marathon.clear_faults();
        said.extend(watcher.says("installed `"));
        let told: BTreeSet<&str> = said
            .iter()
            .filter_map(|line| line.split_once(' '))
            .map(|(_, words)| words)
            .collect();
        assert_eq!(told.len(), said.len(), "{name}: {said:#?}");
        let over = said
            .iter()
            .filter(|line| line.contains("over: Marathon gave"));
        assert_eq!(over.count(), 1, "{name}: {said:#?}");
        assert!(host.installed().contains(&web.newest_address()), "{name}");
    }
    load.assert_lossless();
}

#[test]
fn refusals_are_outlived() {
    outlive([
        ("down for a moment", Fault::Status(503), "503"),
        ("a fault of its own", Fault::Status(500), "500"),
        ("another password", Fault::Unauthorized, "401"),
        ("an error page", Fault::Html(502), "502"),
        (
            "a page that is no answer",
            Fault::WrongContentType,
            "text/html",
        ),
        (
            "a redirect in circles",
            Fault::Redirect("/v2/apps".to_owned()),
            "redirect",
        ),
        ("a reset", Fault::Reset, "broke off"),
    ]);
}

#[test]
fn answers_that_do_not_come_to_an_end_are_outlived() {
    let cut = |ending| Fault::Truncated {
        at_bytes: 30,
        ending,
    };
    outlive([
        ("no head", Fault::Hang, "300ms"),
        (
            "half a body",
            Fault::HangInBody { after_bytes: 30 },
            "300ms",
        ),
        (
            "a trickle",
            Fault::Slow {
                bytes_per_chunk: 1,
                pause: Duration::from_millis(100),
            },
            "1s",
        ),
        ("less than was promised", cut(Ending::ShortOfLength), ""),
        ("no last chunk", cut(Ending::ShortOfLastChunk), ""),
    ]);
}

#[test]
fn answers_that_make_no_sense_are_outlived() {
    let cut = Fault::Truncated {
        at_bytes: 30,
        ending: Ending::Unnoticed,
    };
    outlive([
        ("garbage", Fault::Garbage, ""),
        ("nothing", Fault::Empty, ""),
        ("half of it, in good order", cut, ""),
        ("more than may be", Fault::Huge { bytes: 2 << 20 }, "1"),
    ]);
}

/// Nothing comes any more, and nothing ends.
#[test]
fn a_stream_that_is_half_open_is_given_up() {
    // It is given 30 s, three times what Marathon needs between two signs of life.
    if std::env::var_os("HMB_TEST_ALL").is_none() {
        return;
    }
    let host = Host::new();
    let mut web = Web::start();
    web.marathon.set_heartbeat(Duration::from_secs(3600));
    let watcher = Watcher::serving(&host, &web, IMPATIENT);
    let load = Load::on(web.target());
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    web.marathon.mute_events(true);
    web.scale_up();
    watcher.says_within("Marathon tells no events", SOON * 3);
    web.marathon.mute_events(false);
    watcher.says_within("installed `", SOON * 2);
    load.assert_lossless();
}

/// The head of an answer, and not a byte after it: by all that Marathon says, nothing is told.
#[test]
fn a_stream_on_which_nothing_ever_comes_is_told_once_and_asked_around() {
    if std::env::var_os("HMB_TEST_ALL").is_none() {
        return;
    }
    let host = Host::new();
    let mut web = Web::start();
    web.marathon.set_heartbeat(Duration::from_secs(3600));
    web.marathon.mute_events(true);
    let watcher = Watcher::serving(&host, &web, IMPATIENT);
    let mut said = Vec::new();
    for _ in 0..6 {
        let began = std::time::Instant::now();
        web.scale_up();
        said.extend(watcher.says("installed `"));
        assert!(began.elapsed() < Duration::from_secs(17), "{said:#?}");
    }
    let told = said
        .iter()
        .filter(|line| line.contains("Marathon tells no events"));
    assert_eq!(told.count(), 1, "{said:#?}");
}

/// A password is changed while nodes are gone: both are worth a word, and neither two.
#[test]
fn another_reason_why_no_events_come_is_told_once_it_has_lasted() {
    let host = Host::new();
    let web = Web::start();
    let words = [IMPATIENT, &["--max-backoff", "200ms"]].concat();
    let watcher = Watcher::serving(&host, &web, &words);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    web.marathon.inject(Fault::Status(503).on("/v2/events"));
    web.marathon.close_event_streams();
    watcher.says("the stream of events ended");
    let mut said = watcher.says("found status 503");
    web.marathon.clear_faults();
    web.marathon.inject(Fault::Unauthorized.on("/v2/events"));
    said.extend(watcher.says_within("found status 401", SOON * 2));
    web.marathon.clear_faults();
    said.extend(watcher.says_within("over: Marathon tells no events", SOON * 2));
    for part in ["503", "401", "over: "] {
        assert_eq!(
            said.iter().filter(|l| l.contains(part)).count(),
            1,
            "{said:#?}"
        );
    }
}

/// As behind a proxy that ends each after a while.
#[test]
fn streams_that_keep_ending_are_told_of_thrice_and_no_more() {
    let host = Host::new();
    let mut web = Web::start();
    let words = [IMPATIENT, &["--max-backoff", "200ms"]].concat();
    let watcher = Watcher::serving(&host, &web, &words);
    for _ in 0..8 {
        block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
        let asked = web.marathon.requests("/v2/events");
        web.marathon.close_event_streams();
        wait_until("another stream", || {
            asked < web.marathon.requests("/v2/events")
        });
    }
    web.scale_up();
    let said = watcher.says("installed `");
    let told = count(&said, "Marathon tells no events");
    assert!((1..=3).contains(&told), "{said:#?}");
}

/// What comes on the stream is not kept.
#[test]
fn an_event_of_a_gigabyte_costs_no_memory() {
    let host = Host::new();
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, &["--resync", "1h"]);
    let load = Load::on(web.target());
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let huge = Fault::HugeEvent { bytes: 1 << 30 };
    web.marathon.inject(huge.on("/v2/events").times(3));
    web.marathon.close_event_streams();
    watcher.says("Marathon tells no events");
    web.scale_up();
    watcher.says("installed `");
    watcher.says_within("was too large to be read", SOON * 3);
    let status = fs::read_to_string(format!("/proc/{}/status", watcher.id())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 128 << 10, "{kilobytes} kB");
    load.assert_lossless();
}

/// Another node leads, then none answers, then the first one leads again.
#[test]
fn leaders_may_change_and_all_be_gone() {
    let host = Host::new();
    let mut web = Web::start();
    let mut standby = web.marathon.another_node().unwrap();
    let urls = [web.marathon.url(), standby.url()];
    let watcher = Watcher::start(host.watch_command(&urls, IMPATIENT));
    watcher.says("installed `");
    let load = Load::on(web.target());
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    standby.lead();
    web.scale_up();
    watcher.says("installed `");
    web.marathon.down();
    web.scale_up();
    watcher.says("installed `");
    standby.down();
    let mut said = watcher.says("Marathon tells no events");
    watcher.send(Signal::SIGHUP);
    said.extend(watcher.says("error: Marathon gave no usable answer"));
    web.scale_up();
    web.marathon.up().unwrap();
    web.marathon.lead();
    said.extend(watcher.says("installed `"));
    for part in [
        "warn: Marathon tells no events",
        "over: Marathon gave no usable answer",
    ] {
        let count = said.iter().filter(|line| line.contains(part)).count();
        assert_eq!(count, 1, "{part}: {said:#?}");
    }
    load.assert_lossless();
}

/// A standby is the only node that is known: it sends to the leader, or asks it.
#[test]
fn a_standby_alone_will_do() {
    let host = Host::new();
    let mut web = Web::start();
    let standby = web.marathon.another_node().unwrap();
    let watcher = Watcher::start(host.watch_command(&[standby.url()], IMPATIENT));
    watcher.says("installed `");
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    web.scale_up();
    watcher.says("installed `");
}
