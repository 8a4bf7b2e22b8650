//! `compare`: beside a predecessor's file, and beside one that is shown by HTTP.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use crate::support::Test;

const APPS: &str = r#"{"apps": [{"id": "/web", "ports": [10080], "labels": {"HAPROXY_GROUP": "external"},
    "tasks": [{"host": "127.0.0.1", "ports": [31000], "state": "TASK_RUNNING"}]}]}"#;

fn test() -> Test {
    Test::bridge().file("apps.json", APPS)
}

const MARATHON: &str = "--marathon=file:apps.json";

#[test]
fn what_would_be_written_is_compared_section_by_section() {
    let test = test();
    let own = test.call(["generate", MARATHON]).expect(0).stdout;
    let test = test.file("same.cfg", &own);
    let done = test.call(["compare", MARATHON, "same.cfg"]).expect(0);
    assert!(
        done.stdout.starts_with("4 sections are the same, 0 say"),
        "{done:#?}"
    );

    let other = own.replace("balance leastconn", "balance source") + "\nlisten old-1\n  mode tcp\n";
    let test = test.file("other.cfg", other).file("empty.cfg", "\n");
    let done = test.call(["compare", MARATHON, "other.cfg"]).expect(1);
    done.prints(&[
        "listen web-10080 differs\n  - balance source\n  + balance leastconn\n",
        "listen old-1 is only there\n  - mode tcp\n",
        "3 sections are the same, 0 say it in another way, 1 differ, 1 are only there, 0 are new\n",
    ]);
    for (other, says) in [
        ("empty.cfg", "holds no section"),
        ("missing.cfg", "cannot be read"),
        ("https://lb:9090", "expected http:// or a file"),
    ] {
        test.call(["compare", MARATHON, other])
            .expect(2)
            .says(&[says]);
    }
    test.call(["compare", MARATHON]).expect(2);
}

/// marathon-lb shows its file on the port of the statistics.
#[test]
fn a_predecessor_that_runs_is_asked_for_its_file() {
    let test = test();
    let own = test.call(["generate", MARATHON]).expect(0).stdout;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", own.len());
        stream.write_all((head + &own).as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    test.call(["compare", MARATHON, &url]).expect(0);
    let asked = asked.join().unwrap();
    assert!(
        asked.starts_with("GET /_haproxy_getconfig HTTP/1.1\r\n"),
        "{asked}"
    );
}
