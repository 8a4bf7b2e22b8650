//! Labels that name what HAProxy cannot read to its end: a pipe, a device, a file that is too large.

use std::fs::{self, File};
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::json;

use crate::support::{Test, assert_accepted};

fn certificate() -> String {
    format!("{}/tests/certificate.pem", env!("CARGO_MANIFEST_DIR"))
}

/// `/good`, and `/bad` that says this.
fn apps(labels: &[(&str, &str)]) -> String {
    let app = |id: &str, port: u16, said: &[(&str, &str)]| {
        let mut labels = json!({"HAPROXY_GROUP": "x"});
        for (name, text) in said {
            labels[format!("HAPROXY_0_{name}")] = json!(text);
        }
        json!({
            "id": id,
            "labels": labels,
            "ports": [port],
            "tasks": [{"id": "t", "host": "10.0.0.1", "ports": [31000], "state": "TASK_RUNNING"}],
        })
    };
    let own = certificate();
    let good = [("VHOST", "good.example.com"), ("SSL_CERT", own.as_str())];
    json!({"apps": [app("/good", 10001, &good), app("/bad", 10002, labels)]}).to_string()
}

fn turn(test: &Test, apps: &str, words: &[&str]) -> crate::support::Done {
    fs::write(test.path().join("apps.json"), apps).unwrap();
    let common = ["--marathon=file:apps.json", "--haproxy-config=haproxy.cfg"];
    test.call([words, &common].concat())
}

const NATIVE: [&str; 3] = ["refresh", "--reload=none", "--template-labels=all"];
const MARATHON_LB: [&str; 5] = [
    "marathon-lb",
    "--group=x",
    "--command=true",
    "--syslog-socket=/dev/null",
    concat!(
        "--ssl-certs=",
        env!("CARGO_MANIFEST_DIR"),
        "/tests/certificate.pem"
    ),
];

fn make(folder: &Path) {
    mkfifo(&folder.join("pipe"), Mode::S_IRWXU).unwrap();
    fs::create_dir(folder.join("folder")).unwrap();
    let large = File::create(folder.join("folder/large.pem")).unwrap();
    large.set_len(1 << 40).unwrap();
}

/// HAProxy would be waited for for a minute, in every turn, and name nobody.
#[test]
fn a_certificate_without_an_end_takes_out_its_own_service_alone() {
    for words in [&NATIVE[..], &MARATHON_LB] {
        let test = Test::new();
        make(test.path());
        let path = |name: &str| test.path().join(name).display().to_string();
        for (label, value, found) in [
            ("SSL_CERT", "/dev/zero".to_owned(), "`/dev/zero`, a device"),
            ("SSL_CERT", path("pipe"), "pipe`, a pipe"),
            (
                "SSL_CERT",
                path("folder"),
                "folder`, a folder with `large.pem`, a file of 1099511627776 bytes",
            ),
            (
                "SSL_CERT",
                "/proc/kmsg".to_owned(),
                "`/proc/kmsg`, a file that the kernel makes",
            ),
            (
                "BIND_OPTIONS",
                format!("ssl crt {} ca-file {}", certificate(), path("pipe")),
                "pipe`, a pipe",
            ),
        ] {
            let labels = [("VHOST", "bad.example.com"), (label, value.as_str())];
            let done = turn(&test, &apps(&labels), words).expect(0);
            done.says(&[
                &format!("app `/bad`: label `HAPROXY_0_{label}`: found `"),
                found,
                ", expected a file of at most 64 MiB, a folder of such, or a list of at most 10000 lines and \
                 4 MiB; service port 10002 left out",
            ]);
            let cfg = test.cfg();
            assert!(
                cfg.contains("backend good_10001") && !cfg.contains("bad_10002"),
                "{cfg}"
            );
            assert_accepted(&cfg);
        }
        // A text of a label may name files too.
        let line = format!("  acl x src -f {}\n", path("pipe"));
        let labels = [("MODE", "http"), ("BACKEND_HTTP_OPTIONS", &*line)];
        let done = turn(&test, &apps(&labels), words).expect(0);
        done.says(&["app `/bad`: ", "pipe`, a pipe", "left out"]);
    }
}

/// A file that most of them name is nobody's in particular.
#[test]
fn what_most_of_them_name_leaves_all_as_it_is() {
    let test = Test::new();
    let path = test.path().join("all.pem").display().to_string();
    fs::copy(certificate(), &path).unwrap();
    let all = |task: u16| {
        let app = |number: u16| {
            json!({
                "id": format!("/a{number}"),
                "labels": {"HAPROXY_0_SSL_CERT": path, "HAPROXY_0_MODE": "http"},
                "ports": [10000 + number],
                "tasks": [{"id": "t", "host": "10.0.0.1", "ports": [task], "state": "TASK_RUNNING"}],
            })
        };
        json!({"apps": (0..6).map(app).collect::<Vec<_>>()}).to_string()
    };
    turn(&test, &all(31000), &NATIVE).expect(0);
    let before = test.cfg();
    fs::remove_file(&path).unwrap();
    mkfifo(Path::new(&path), Mode::S_IRWXU).unwrap();
    let done = turn(&test, &all(31001), &NATIVE).expect(1);
    done.says(&[
        "most of what is served names `",
        "all.pem`, a pipe",
        "stays as it is",
    ]);
    let after = test.cfg();
    assert_eq!(before, after);
}

/// It is nobody's of the apps.
#[test]
fn what_the_operator_names_without_an_end_is_told_and_not_waited_for() {
    let test = Test::new();
    let path = test.path().join("own.pem");
    fs::copy(certificate(), &path).unwrap();
    let own = format!("--ssl-certs={}", path.display());
    let words = [&NATIVE[..], &[&own]].concat();
    let labels = |host: &'static str| [("VHOST", host)];
    turn(&test, &apps(&labels("one.example.com")), &words).expect(0);
    let before = test.cfg();
    assert!(before.contains("own.pem"), "{before}");
    fs::remove_file(&path).unwrap();
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    let done = turn(&test, &apps(&labels("two.example.com")), &words).expect(1);
    assert!(!done.stderr.contains("app `"), "{}", done.stderr);
    done.says(&[
        "own.pem` is a pipe, expected what has an end",
        "stays as it is",
    ]);
    assert_eq!(before, test.cfg());
}

/// The service keeps what it was served with.
#[test]
fn who_was_served_is_served_as_before() {
    let test = Test::new();
    make(test.path());
    let own = certificate();
    let labels = [("VHOST", "bad.example.com"), ("SSL_CERT", own.as_str())];
    turn(&test, &apps(&labels), &NATIVE).expect(0);
    let before = test.cfg();
    assert!(before.contains("backend bad_10002"));
    let labels = [("VHOST", "bad.example.com"), ("SSL_CERT", "/dev/zero")];
    let done = turn(&test, &apps(&labels), &NATIVE).expect(0);
    done.says(&["`/dev/zero`, a device", "is served as it was before"]);
    let after = test.cfg();
    assert_eq!(before, after);
}

/// HAProxy reads what lies beside a certificate, and what a list of certificates names.
#[test]
fn what_is_read_with_a_certificate_has_to_end_too() {
    let test = Test::new();
    let path = |name: &str| test.path().join(name).display().to_string();
    let pipe = |name: &str| mkfifo(&test.path().join(name), Mode::S_IRWXU).unwrap();
    fs::create_dir(path("folder")).unwrap();
    for name in ["own.pem", "listed.pem", "folder/own.pem"] {
        fs::copy(certificate(), path(name)).unwrap();
    }
    fs::write(path("list"), format!("{} [alpn h2]\n", path("listed.pem"))).unwrap();
    let list = format!("ssl crt-list {}", path("list"));
    let labels =
        |label: &'static str, value: &str| apps(&[("VHOST", "bad.example.com"), (label, value)]);
    for (words, label, value, beside, found) in [
        (
            &NATIVE[..],
            "SSL_CERT",
            path("own.pem"),
            "own.pem.ocsp",
            "own.pem`, a certificate with `own.pem.ocsp` beside it, a pipe",
        ),
        (
            &NATIVE[..],
            "SSL_CERT",
            path("folder"),
            "folder/own.pem.sctl",
            "folder`, a folder with `own.pem.sctl`, a pipe",
        ),
        (
            &MARATHON_LB[..],
            "BIND_OPTIONS",
            list,
            "listed.pem.issuer",
            "list`, a list whose line 1 names what is no file of a disk, or is too large",
        ),
    ] {
        let is_served = || {
            let cfg = fs::read_to_string(path("haproxy.cfg")).unwrap();
            assert_accepted(&cfg);
            cfg.contains("backend bad_10002")
        };
        turn(&test, &labels(label, &value), words).expect(0);
        assert!(is_served(), "{label}");
        fs::remove_file(path("haproxy.cfg")).unwrap();
        pipe(beside);
        let done = turn(&test, &labels(label, &value), words).expect(0);
        done.says(&[
            &format!("app `/bad`: label `HAPROXY_0_{label}`: found `"),
            found,
        ]);
        fs::remove_file(path(beside)).unwrap();
    }
}
