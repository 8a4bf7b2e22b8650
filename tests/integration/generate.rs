//! `generate`: what would be installed, and nothing else.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use haproxy_marathon_bridge::demo::marathon::{App, Era, Fault, Marathon, Task};

use crate::support::{Test, assert_accepted};

fn cluster() -> Marathon {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    let app = App::new("/web").service_port(10001);
    let app = app.label("HAPROXY_GROUP", "external");
    marathon.deploy(app.task(Task::new("10.0.0.1").port(31000)));
    let app = App::new("/db").service_port(10002);
    marathon.deploy(app.task(Task::new("no-such-host.invalid").port(31001)));
    marathon
}

fn names(test: &Test) -> Vec<String> {
    let entries = fs::read_dir(test.path()).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_file_is_printed_and_nothing_is_written() {
    let marathon = cluster();
    let test = Test::bridge();
    let first = test.call(["generate", "-m", &marathon.url()]).expect(0);
    assert_eq!(first.stderr, "");
    assert!(
        first.stdout.contains("listen web-10001"),
        "{}",
        first.stdout
    );
    assert!(names(&test).is_empty(), "not even a state");
    let second = test.call(["generate", "-m", &marathon.url()]).expect(0);
    assert_eq!(first.stdout, second.stdout);
    // Names are left to whoever installs the file.
    let resolvable = first.stdout.replace("no-such-host.invalid", "10.0.0.9");
    assert_ne!(resolvable, first.stdout);
    assert_accepted(&resolvable);
}

#[test]
fn a_saved_answer_stands_in_for_marathon() {
    let marathon = cluster();
    let live = Test::bridge()
        .call(["generate", "-m", &marathon.url()])
        .expect(0);
    let saved = body_of_apps(&marathon);
    let test = Test::bridge().file("my apps.json", saved);
    let read = test.call(["generate", "-m", "file:my apps.json"]).expect(0);
    assert_eq!(read.stdout, live.stdout);
    let gone = test.call(["generate", "-m", "file:none.json"]).expect(1);
    assert_eq!(gone.stdout, "");
    gone.says(&["file:none.json", "No such file"]);
}

/// The body as any client gets it.
fn body_of_apps(marathon: &Marathon) -> String {
    let mut stream = TcpStream::connect(marathon.address()).unwrap();
    let request = "GET /v2/apps?embed=apps.tasks HTTP/1.0\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn a_folder_gets_the_files_and_standard_output_nothing() {
    let marathon = cluster();
    let test = Test::bridge();
    let url = marathon.url();
    let printed = test.call(["generate", "-m", &url]).expect(0).stdout;
    let args = ["generate", "-m", &url, "--out-dir", "new/folder"];
    for _ in 0..2 {
        assert_eq!(test.call(args).expect(0).stdout, "");
        let written = test.path().join("new/folder");
        assert_eq!(fs::read_dir(&written).unwrap().count(), 1);
        let cfg = fs::read_to_string(written.join("haproxy.cfg")).unwrap();
        assert_eq!(cfg, printed);
    }
    assert_eq!(names(&test), ["new"]);
}

#[test]
fn a_folder_keeps_its_files_when_there_is_no_answer() {
    let marathon = cluster();
    let test = Test::bridge().file("out/haproxy.cfg", "old");
    marathon.inject(Fault::Status(500));
    let args = ["generate", "-m", &marathon.url(), "--out-dir", "out"];
    test.call(args).expect(1).says(&[&marathon.url(), "500"]);
    let kept = fs::read_to_string(test.path().join("out/haproxy.cfg")).unwrap();
    assert_eq!(kept, "old");
}

#[test]
fn neither_haproxy_nor_its_files_are_needed() {
    let marathon = cluster();
    let args = [
        "generate",
        "-m",
        &marathon.url(),
        "--haproxy",
        "/nonexistent",
    ];
    let done = Test::bridge().call(args).expect(0);
    assert!(done.stdout.contains("listen web-10001"));
}

#[test]
fn only_the_groups_that_were_asked_for_are_printed() {
    let marathon = cluster();
    let args = ["generate", "-m", &marathon.url(), "--group", "external"];
    let done = Test::bridge().call(args).expect(0);
    assert!(done.stdout.contains("listen web-10001"));
    assert!(!done.stdout.contains("listen db-10002"));
}
