//! What of HAProxy the maps of this set rely on, asked of the real one.

use std::fmt::Write as _;

use haproxy_marathon_bridge::demo::free_ports;

use super::{Ask, at};
use crate::serve::Haproxy;
use crate::support::Test;

/// What a `return` makes of expressions, for a host and a path.
#[track_caller]
fn evaluate(maps: &[(&str, &str)], rules: &str, host: &str, path: &str) -> String {
    let port = free_ports(1).unwrap()[0];
    let mut test = Test::new().file("run/.keep", "");
    for (name, rows) in maps {
        test = test.file(&format!("etc/{name}"), rows);
    }
    let folder = test.path().join("etc").display().to_string();
    let mut cfg = format!(
        "defaults\n  mode http\n  timeout client 9s\n  timeout server 9s\n  timeout connect 9s\n\
         frontend f\n  bind 127.0.0.1:{port}\n"
    );
    writeln!(cfg, "{}", rules.replace('@', &folder)).unwrap();
    let test = test.file("etc/haproxy.cfg", cfg);
    let haproxy = Haproxy::start(&test);
    let answer = Ask::http(at(port)).get(host, path).expect(200);
    drop(haproxy);
    answer.body
}

fn look_up(converter: &str) -> String {
    format!(
        "  http-request set-var(txn.path) path\n  \
         http-request set-var(txn.found) {converter}\n  \
         http-request return status 200 content-type text/plain lf-string %[var(txn.found)]"
    )
}

/// A tree: neither the order of the file nor that of names counts.
#[test]
fn the_longest_beginning_in_a_map_wins() {
    let rules = look_up("req.hdr(host),concat(,txn.path),map_beg(@/m.map)");
    for rows in [
        "www/a short\nwww/a/b long\nwww/ root\n",
        "www/a/b long\nwww/a short\nwww/ root\n",
        "www/ root\nwww/a/b long\nwww/a short\n",
    ] {
        for (path, found) in [("/a/b/c", "long"), ("/a/c", "short"), ("/c", "root")] {
            let got = evaluate(&[("m.map", rows)], &rules, "www", path);
            assert_eq!(got, found, "{path} in {rows}");
        }
    }
}

/// A list: the first line that fits, however short.
#[test]
fn of_ends_in_a_map_the_first_wins() {
    let rules = look_up("req.hdr(host),map_end(@/m.map)");
    for (rows, found) in [
        (".test short\n.in.test long\n", "short"),
        (".in.test long\n.test short\n", "long"),
    ] {
        let got = evaluate(&[("m.map", rows)], &rules, "a.in.test", "/");
        assert_eq!(got, found, "{rows}");
    }
}

/// So that what is found by one lookup is not lost by the next, which is only made where nothing
/// was found.
#[test]
fn a_lookup_that_finds_nothing_leaves_the_variable_as_it_was() {
    let rules = "  http-request set-var(txn.found) str(before)\n  \
                 http-request set-var(txn.found) path,map_beg(@/m.map)\n  \
                 http-request set-var(txn.other) var(txn.none),concat(,txn.found),map_beg(@/m.map)\n  \
                 http-request return status 200 content-type text/plain lf-string \
                 %[var(txn.found)],%[var(txn.other)]";
    let got = evaluate(&[("m.map", "/x y\n")], rules, "www", "/a");
    assert_eq!(got, "before,");
}
