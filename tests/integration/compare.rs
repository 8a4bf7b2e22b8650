//! `compare`: beside a predecessor's file, and beside one that is shown by HTTP.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use crate::support::Test;
use crate::tls::{Authority, Door};

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
    ] {
        test.call(["compare", MARATHON, other])
            .expect(2)
            .says(&[says]);
    }
    test.call(["compare", MARATHON]).expect(2);
}

/// Answers one question with `cfg`, on a port of its own: where, and what was asked.
fn predecessor(cfg: String) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = thread::spawn(move || {
        // Whoever does not trust us ends the connection before a word.
        loop {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                request.push(byte[0]);
            }
            if request.is_empty() {
                continue;
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", cfg.len());
            stream.write_all((head + &cfg).as_bytes()).unwrap();
            return String::from_utf8(request).unwrap();
        }
    });
    (address, asked)
}

/// marathon-lb shows its file on the port of the statistics.
#[test]
fn a_predecessor_that_runs_is_asked_for_its_file() {
    let test = test();
    let own = test.call(["generate", MARATHON]).expect(0).stdout;
    let (address, asked) = predecessor(own);
    let url = format!("http://{address}");
    test.call(["compare", MARATHON, &url]).expect(0);
    let asked = asked.join().unwrap();
    assert!(
        asked.starts_with("GET /_haproxy_getconfig HTTP/1.1\r\n"),
        "{asked}"
    );
}

/// Certificates are trusted as Marathon's are, and what is secret is for Marathon alone.
#[test]
fn a_predecessor_behind_tls_is_asked_as_marathon_is() {
    let authority = Authority::new();
    let test = test()
        .file("ca.pem", authority.pem())
        .file("password", "joe:s3cret\n");
    let own = test.call(["generate", MARATHON]).expect(0).stdout;
    let (address, asked) = predecessor(own);
    let door = Door::open(address, &authority, None);
    let url = format!("{}/_haproxy_getconfig", door.url());
    let done = test.call(["compare", MARATHON, &url]).expect(2);
    done.says(&["cannot be asked", "no connection"]);
    let trusted = "--marathon-ca-cert=ca.pem";
    let secret = "--auth-credentials-file=password";
    test.call(["compare", MARATHON, trusted, secret, &url])
        .expect(0);
    let asked = asked.join().unwrap().to_ascii_lowercase();
    assert!(!asked.contains("authorization"), "{asked}");
}
