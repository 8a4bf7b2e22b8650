//! Names that do not resolve any more, Marathon's and those of agents: what is in service stays, it is
//! said once, and what was missed is made up for without a signal.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Era, Marathon, Task};
use nix::sys::signal::Signal;

use super::Watcher;
use crate::host::{Host, SOON, block_on};
use crate::support::count;

/// The names of a test.
struct Names {
    library: PathBuf,
    file: PathBuf,
}

impl Names {
    fn of(host: &Host) -> Self {
        let source =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/integration/watch/names.c");
        let library = host.path("names.so");
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(source)
            .arg("-ldl");
        assert!(compiler.status().unwrap().success());
        let file = host.path("names");
        Self { library, file }
    }

    fn are(&self, names: &[&str]) {
        let lines = names.iter().map(|name| format!("{name} 127.0.0.1\n"));
        let new = self.file.with_extension("new");
        fs::write(&new, lines.collect::<String>()).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    fn are_gone(&self) {
        fs::remove_file(&self.file).unwrap();
    }
}

#[test]
fn names_may_be_gone_for_a_while() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let names = Names::of(&host);
    names.are(&["marathon.test", "a.test"]);
    let mut marathon = Marathon::start(Era::V1_8).unwrap();
    let on = |agent: &str, port| Task::new(agent).port(port);
    let app = App::new("/web").service_port(free_ports(1).unwrap()[0]);
    marathon.deploy(app.task(on("a.test", 31_001)));
    let url = [marathon.url().replace("127.0.0.1", "marathon.test")];
    let mut watch = host.watch_command(&url, &["--resync", "2s"]);
    watch
        .env("LD_PRELOAD", &names.library)
        .env("NAMES", &names.file);
    let watcher = Watcher::start(watch);
    watcher.says("installed `");
    let before = host.installed();
    assert!(before.contains("127.0.0.1:31001"), "{before}");
    block_on(marathon.wait_event_streams(1, SOON)).unwrap();

    // All of them.
    let before = host.installed();
    names.are_gone();
    // A connection that is open needs no name.
    marathon.down();
    marathon.up().unwrap();
    let mut said = watcher.says("warn: Marathon tells no events");
    watcher.send(Signal::SIGHUP);
    said.extend(watcher.says("error: Marathon gave no usable answer"));
    marathon.scale_up("/web", [on("a.test", 31_002)]).unwrap();
    watcher.send(Signal::SIGHUP);
    assert_eq!(host.installed(), before);
    names.are(&["marathon.test", "a.test"]);
    said.extend(watcher.says_within("installed `", SOON * 2));
    assert!(host.installed().contains("127.0.0.1:31002"));
    for part in ["error: ", "over: Marathon gave no usable answer"] {
        assert_eq!(count(&said, part), 1, "{part}: {said:#?}");
    }
    block_on(marathon.wait_event_streams(1, SOON)).unwrap();

    // Those of agents: what is known of them goes on to count.
    names.are(&["marathon.test"]);
    marathon.scale_up("/web", [on("b.test", 31_003)]).unwrap();
    let mut said = watcher.says("`b.test`");
    marathon.scale_up("/web", [on("a.test", 31_004)]).unwrap();
    said.extend(watcher.says("installed `"));
    let installed = host.installed();
    for port in [31_001, 31_002, 31_004] {
        assert!(
            installed.contains(&format!("127.0.0.1:{port}")),
            "{installed}"
        );
    }
    assert!(!installed.contains("31003"), "{installed}");
    names.are(&["marathon.test", "a.test", "b.test"]);
    said.extend(watcher.says_within("installed `", SOON * 2));
    assert!(host.installed().contains("127.0.0.1:31003"));
    said.extend(watcher.said());
    let told = said
        .iter()
        .filter(|line| line.contains("warn: ") && line.contains("`b.test`"));
    assert_eq!(told.count(), 1, "{said:#?}");
}
