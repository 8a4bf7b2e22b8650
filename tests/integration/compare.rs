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
        "listen web-10080 differs\n\
         \x20 - balance source    (not the script's own text: changed by hand, or by a template)\n\
         \x20 + balance leastconn\n",
        "listen old-1 is only there: Marathon has no app of this name now\n  - mode tcp\n",
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

#[test]
fn a_file_without_end_is_refused_and_one_in_another_encoding_read() {
    let test = test();
    test.call(["compare", MARATHON, "/dev/zero"])
        .expect(2)
        .says(&["`/dev/zero` cannot be read"]);
    let own = test.call(["generate", MARATHON]).expect(0).stdout;
    let latin = [b"# caf\xe9\n".as_slice(), own.as_bytes()].concat();
    std::fs::write(test.path().join("latin.cfg"), latin).unwrap();
    test.call(["compare", MARATHON, "latin.cfg"]).expect(0);
}

/// An app with one task at this address.
fn app(id: &str, port: u16, labels: &str, address: &str, more: &str) -> String {
    let (host, task_port) = address.split_once(':').unwrap();
    format!(
        r#"{{"id": "/{id}", "instances": 1, "ports": [{port}], "labels": {{{labels}}}, "tasks": [{{
        "id": "{id}.1", "host": "{host}", "ports": [{task_port}], "state": "TASK_RUNNING",
        "startedAt": "2026-02-01T10:00:00.000Z"{more}}}]}}"#
    )
}

fn apps(all: &[String]) -> String {
    format!(r#"{{"apps": [{}]}}"#, all.join(","))
}

/// Of a file that an earlier cluster was rendered to with other options and texts.
#[test]
fn what_differs_is_told_with_its_reason() {
    const EXTERNAL: &str = r#""HAPROXY_GROUP": "external""#;
    let set = "--template-set=marathon-lb";
    let inner = app(
        "inner",
        10002,
        r#""HAPROXY_GROUP": "internal""#,
        "10.0.0.2:1",
        "",
    );
    let at = |address: &str, labels: &str| {
        let labels = format!("{EXTERNAL}, {labels}");
        app("web", 10001, &labels, address, "")
    };
    let before = apps(&[
        at("10.0.0.1:1", r#""HAPROXY_0_VHOST": "www.test""#),
        inner.clone(),
        app("old", 10003, EXTERNAL, "10.0.0.3:1", ""),
        app("bad", 10004, EXTERNAL, "10.0.0.4:1", ""),
        app("idle", 10005, EXTERNAL, "10.0.0.5:1", ""),
        app("moved", 10006, EXTERNAL, "10.0.0.6:1", ""),
    ]);
    let now = apps(&[
        at(
            "10.0.0.9:1",
            r#""HAPROXY_0_VHOST": "www.test", "HAPROXY_0_BALANCE": "leastconn",
               "HAPROXY_0_BACKEND_HEAD": "backend {backend}\n  balance {balance}\n  mode {mode}\n""#,
        ),
        inner,
        app("bad", 10004, &format!(r#"{EXTERNAL}, "HAPROXY_0_MODE": "smtp""#), "10.0.0.4:1", ""),
        r#"{"id": "/idle", "instances": 0, "ports": [10005], "labels": {"HAPROXY_GROUP": "external"},
            "tasks": []}"#
            .to_owned(),
        app("moved", 10016, EXTERNAL, "10.0.0.6:1", ""),
        app(
            "sick",
            10007,
            EXTERNAL,
            "10.0.0.7:1",
            r#", "healthCheckResults": [{"alive": false, "consecutiveFailures": 3}]"#,
        ),
        app("other", 10008, r#""HAPROXY_GROUP": "third""#, "10.0.0.8:1", ""),
    ]);
    let test = Test::new()
        .file("before.json", before)
        .file("now.json", now);
    let groups = ["--group=external", "--group=internal"];
    let own = test
        .call(
            [
                &["generate", "--marathon=file:before.json", set, "--no-maps"],
                &groups[..],
            ]
            .concat(),
        )
        .expect(0)
        .stdout;
    let own = own
        .replace(
            "  maxconn 50000\n",
            "  maxconn 40000\n  lua-load /marathon-lb/getpids.lua\n",
        )
        .replace(
            "  server 10_0_0_4_1 10.0.0.4:1 id",
            "  server four 10.0.0.4:1 check id",
        );
    let test = test.file("there.cfg", own);
    let call = ["compare", "--marathon=file:now.json", set, "there.cfg"];
    let here = ["--group=external", "--group=third"];
    let done = test.call([&call[..], &here].concat()).expect(1);
    done.prints(&[
        "- lua-load /marathon-lb/getpids.lua    (listed in docs/marathon-lb.md, HEAD)\n",
        "- maxconn 40000    (of a HEAD of its own, or HAPROXY_GLOBAL_DEFAULT_OPTIONS there)\n",
        "+ maxconn 50000    (marathon-lb's default, which nothing replaces here)\n",
        "(maps here, as with --haproxy-map; --no-maps writes rules)\n",
        "backend web_10001 differs: app `/web` has texts of its own in HAPROXY_0_BACKEND_HEAD, which \
         --template-labels none leaves out here\n",
        "- balance roundrobin    (app `/web` says otherwise in HAPROXY_0_BALANCE)\n",
        "+ balance leastconn    (app `/web` says so in HAPROXY_0_BALANCE)\n",
        "(app `/web` has no task there now)\n",
        "(its task runs since 2026-02-01T10:00:00.000Z)\n",
        "backend inner_10002 is only there: app `/inner` is of `internal`, and here --group is \
         `external,third`\n",
        "backend old_10003 is only there: Marathon has no app of this name now\n",
        "backend bad_10004 is only there: app `/bad`: label `HAPROXY_0_MODE`: found",
        "backend idle_10005 is only there: app `/idle`: not served: the app is scaled to zero\n",
        "backend moved_10006 is only there: app `/moved` has no service port 10006 now, found 10016\n",
        "backend sick_10007 is new: of app `/sick` Marathon reports no task alive: it is not there \
         where --health-check is given\n",
        "backend other_10008 is new: app `/other` is of `third`, as no app of the other file: its \
         --group may be another\n",
    ]);
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

/// With profiles a backend says nothing but its servers; without them, as in the file of before, it says
/// all of it.
#[test]
fn what_a_backend_takes_from_a_profile_is_compared_as_its_own() {
    let vhost = |name: &str, more: &str| format!(r#""HAPROXY_0_VHOST": "{name}.test"{more}"#);
    let two = |more: &str| {
        let one = app("one", 10001, &vhost("one", more), "10.0.0.1:1", "");
        apps(&[one, app("two", 10002, &vhost("two", ""), "10.0.0.2:1", "")])
    };
    let test = Test::new().file("apps.json", two(""));
    let before = test.call(["generate", MARATHON, "--haproxy-version=3.0"]);
    let before = before.expect(0).stdout;
    let test = test.file("before.cfg", before);
    let flags = [
        "--haproxy-version=3.0",
        "--no-service-ports",
        "--spare-backends=1",
    ];
    let compare = |test: &Test| {
        let call = ["compare", MARATHON, "before.cfg"];
        test.call([&call[..], &flags].concat()).expect(1).stdout
    };
    let told = compare(&test);
    for section in ["backend one_10001", "backend two_10002", "defaults"] {
        let begins = |line: &str| line.starts_with(section);
        assert!(!told.lines().any(begins), "{told}");
    }
    let spare = told.lines().find(|line| line.starts_with("backend spare-"));
    let reason = "it is kept for an app that comes, by --spare-backends";
    assert!(spare.is_some_and(|line| line.ends_with(reason)), "{told}");

    let test = test.file("apps.json", two(r#", "HAPROXY_0_BALANCE": "leastconn""#));
    let told = compare(&test);
    let differs = "backend one_10001 differs\n\
                   \x20 - balance roundrobin    (app `/one` says otherwise in HAPROXY_0_BALANCE)\n\
                   \x20 + balance leastconn    (app `/one` says so in HAPROXY_0_BALANCE)\n";
    assert!(told.contains(differs), "{told}");
    let is_other = |line: &str| line.starts_with("backend two_10002");
    assert!(!told.lines().any(is_other), "{told}");
}

/// What marathon-lb answers at each of these paths, each once.
fn shown(pages: Vec<(&'static str, String)>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        for _ in 0..pages.len() {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            let path = request.split(' ').nth(1).unwrap().to_owned();
            let body = &pages.iter().find(|(own, _)| *own == path).unwrap().1;
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all((head + body).as_bytes()).unwrap();
        }
    });
    (url, asked)
}

#[test]
fn maps_are_compared_row_by_row_where_they_lie_beside_a_file_or_are_shown() {
    let labels = r#""HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "www.test""#;
    let web = app("web", 10001, labels, "10.0.0.1:1", "");
    let test = Test::new().file("apps.json", apps(&[web]));
    let set = ["--template-set=marathon-lb", "--group=external", MARATHON];
    let there = test.path().join("there");
    std::fs::create_dir(&there).unwrap();
    let generate = ["generate", "--out-dir=there", "--runtime-api=off"];
    test.call([&generate[..], &set].concat()).expect(0);
    let compare = |other: &str| test.call([&["compare", other][..], &set].concat());
    let file = "there/haproxy.cfg";
    compare(file)
        .expect(0)
        .prints(&["2 maps are the same, 0 differ\n"]);

    let read = |name: &str| std::fs::read_to_string(there.join(name)).unwrap();
    let old = read("domain2backend.map").replace("www.test", "old.test");
    std::fs::write(there.join("domain2backend.map"), &old).unwrap();
    let differs = [
        "domain2backend.map differs\n  - old.test ",
        "\n  + www.test ",
        "1 maps are the same, 1 differ\n",
    ];
    compare(file).expect(1).prints(&differs);
    let (url, asked) = shown(vec![
        ("/_haproxy_getconfig", read("haproxy.cfg")),
        ("/_haproxy_getvhostmap", old),
        ("/_haproxy_getappmap", read("app2backend.map")),
    ]);
    compare(&url).expect(1).prints(&differs);
    asked.join().unwrap();
    let (url, asked) = shown(vec![
        ("/lb1/_haproxy_getconfig", read("haproxy.cfg")),
        ("/lb1/_haproxy_getvhostmap", read("domain2backend.map")),
        ("/lb1/_haproxy_getappmap", read("app2backend.map")),
    ]);
    compare(&format!("{url}/lb1/_haproxy_getconfig"))
        .expect(1)
        .prints(&differs);
    asked.join().unwrap();
    let (url, asked) = shown(vec![("/saved.cfg", read("haproxy.cfg"))]);
    compare(&format!("{url}/saved.cfg")).expect(0).prints(&[
        "note: `app2backend.map` is not compared: no page shows it",
        "0 maps are the same, 0 differ, 2 are not compared\n",
    ]);
    asked.join().unwrap();

    // It cannot be told whether one that is not there is the same.
    std::fs::remove_file(there.join("domain2backend.map")).unwrap();
    compare(file).expect(2).prints(&[
        "note: `domain2backend.map` is not compared: ",
        "1 maps are the same, 0 differ, 1 are not compared\n",
    ]);
}
