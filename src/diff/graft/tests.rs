use super::super::{Change, compare};
use super::*;

const RUNNING: &str = "\
global
  description a
backend a
  balance roundrobin
  server x h:1
  server y h:2
  # remark
backend b
  server x h:3
backend c
  server x h:4
";

#[test]
fn servers_are_taken_and_nothing_else() {
    let wanted = "\
global
  description b
backend a
  balance roundrobin
  server x h:1
  server z h:9
backend b
  balance leastconn
  server x h:5
backend d
  server x h:6
";
    let grafted = with_servers_of(RUNNING, wanted).text;
    let expected = RUNNING.replace("server y h:2", "server z h:9");
    let expected = expected.replace("h:3", "h:5");
    // Whoever is not wanted any more serves nobody.
    assert_eq!(grafted, expected.replace("  server x h:4\n", ""));
    let change = compare(Some(RUNNING), &grafted);
    assert!(matches!(change, Change::Servers(_)), "{change}");
}

#[test]
fn what_needs_no_graft_stays_as_it_is() {
    assert_eq!(with_servers_of(RUNNING, RUNNING).text, RUNNING);
    // All of them may go.
    let wanted = RUNNING.replace("  server x h:3\n", "");
    assert_eq!(with_servers_of(RUNNING, &wanted).text, wanted);
}

#[test]
fn what_a_server_says_beside_its_address_is_known_or_has_to_wait() {
    let running = "backend a\n  server x h:1 check port 7 inter 3s id 4\nbackend b\n";
    for (line, taken) in [
        (
            "server y h:2 check port 8 inter 3s id 5",
            ["y h:2 check port 8 inter 3s id 5"; 2],
        ),
        (
            "server y h:2 check port 8 inter 4s bogus id 5",
            ["y h:2 check port 8 inter 3s id 5", ""],
        ),
        ("server y h:2 bogus", ["", ""]),
        // It serves, whatever else is to be said of it.
        (
            "server z h:1 bogus",
            ["x h:1 check port 7 inter 3s id 4", ""],
        ),
    ] {
        let written = |line: &str| {
            if line.is_empty() {
                String::new()
            } else {
                format!("  server {line}\n")
            }
        };
        let [in_a, in_b] = taken.map(written);
        let wanted = format!("backend a\n  {line}\nbackend b\n  {line}\n");
        let expected = format!("backend a\n{in_a}backend b\n{in_b}");
        assert_eq!(with_servers_of(running, &wanted).text, expected, "{line}");
    }
}

#[test]
fn a_backend_that_is_gone_keeps_what_its_app_has_elsewhere() {
    let running = "backend a_1\n  server x h:1\n  server y h:2\nbackend b_1\n  server x h:3\n";
    let wanted = "backend a_2\n  server x h:1\nbackend c_1\n  server z h:3\n";
    let expected = "backend a_1\n  server x h:1\nbackend b_1\n";
    assert_eq!(with_servers_of(running, wanted).text, expected);
}

#[test]
fn a_backend_is_known_by_its_name_and_slots_stay() {
    let running = "backend a from p1\n  server x h:1\nbackend s\n  server slot_1 h:2 id 1\n  \
                   server slot_2 127.0.0.1:1 id 2 disabled\n";
    let wanted = "backend a from p2\n  server y h:3\n";
    let expected = running.replace("server x h:1", "server y h:3");
    // Their lines stay, and nobody is in them.
    let expected = expected.replace("h:2 id 1", "127.0.0.1:1 id 1 disabled");
    assert_eq!(with_servers_of(running, wanted).text, expected);
}

#[test]
fn slots_change_hands() {
    let running = "backend s\n  server slot_1 h:2 id 1 check inter 9s\n  \
                   server slot_2 127.0.0.1:1 id 2 check inter 9s disabled\n";
    let wanted = "backend s\n  server slot_1 127.0.0.1:1 id 1 disabled\n  \
                  server slot_2 h:3 id 2 bogus\n";
    let expected = "backend s\n  server slot_1 127.0.0.1:1 id 1 check inter 9s disabled\n  \
                    server slot_2 h:3 id 2 check inter 9s\n";
    assert_eq!(with_servers_of(running, wanted).text, expected);
}

/// How much a server gets is no word that anybody has to check.
#[test]
fn weight_and_rest_are_those_that_are_wanted() {
    for (running, wanted, expected) in [
        ("x h:1 id 4", "x h:1 id 4 disabled", "x h:1 id 4 disabled"),
        ("x h:1 id 4 disabled", "x h:1 id 4", "x h:1 id 4"),
        (
            "x h:1 bogus",
            "x h:1 other weight 7",
            "x h:1 bogus weight 7",
        ),
        (
            "x h:1 weight 0 bogus",
            "x h:1 weight 9",
            "x h:1 bogus weight 9",
        ),
        // Those of the first beside it say nothing of one that comes.
        (
            "x h:1 weight 0 disabled",
            "y h:2 weight 9",
            "y h:2 weight 9",
        ),
        (
            "x h:1 check port 7 disabled",
            "y h:2 check inter 9s port 8",
            "y h:2 check port 8",
        ),
    ] {
        let [running, wanted, expected] =
            [running, wanted, expected].map(|line| format!("backend a\n  server {line}\n"));
        let grafted = with_servers_of(&running, &wanted);
        assert_eq!((grafted.text, grafted.left_out), (expected, Vec::new()));
    }
}

#[test]
fn drained_servers_are_no_slots() {
    let running = "backend a_1\n  server x h:1 disabled\n  server y h:2\n";
    assert_eq!(with_servers_of(running, "").text, "backend a_1\n");
}

#[test]
fn one_that_nothing_is_known_of_is_written_in_our_own_words_or_named() {
    let of = |line: &str| {
        let wanted = format!("backend a\n  server {line}\n");
        with_servers_of("backend a\n", &wanted)
    };
    for line in [
        "x h:1 id 4 check cookie 0a1b check inter 11s fall 3 port 8080 weight 3 disabled",
        "x h:1 check inter 500ms rise 2",
    ] {
        let grafted = of(line);
        assert_eq!(grafted.text, format!("backend a\n  server {line}\n"));
        assert_eq!(grafted.left_out, []);
    }
    for line in [
        "x h:1 check bogus",
        "x h:1 inter",
        "x h:1 id -4",
        "x h:1 check inter 1s,2",
        "x h:1 cookie a\\",
        "x h:1 ssl",
    ] {
        let grafted = of(line);
        assert_eq!(grafted.text, "backend a\n");
        let left_out = ("a".to_owned(), format!("server {line}"));
        assert_eq!(grafted.left_out, [left_out]);
    }
}

#[test]
fn a_backend_follows_the_one_that_its_app_has_under_another_port() {
    let running = "backend a_1\n  server x h:1\nbackend b_1\n  server x h:2\nbackend b_2\n  \
                   server x h:3\n";
    // All of its tasks are others, and nothing else is gone and new of it.
    let wanted = "backend a_5\n  server n h:9\n";
    let grafted = with_servers_of(running, wanted).text;
    assert!(grafted.starts_with("backend a_1\n  server n h:9\nbackend b_1\nbackend b_2\n"));
    // Which of two is which is known by their servers.
    let wanted = "backend b_3\n  server x h:3\n  server n h:9\nbackend b_4\n  server x h:2\n";
    let expected = running.replace("  server x h:1\n", "");
    let expected = expected.replace("server x h:3\n", "server x h:3\n  server n h:9\n");
    assert_eq!(with_servers_of(running, wanted).text, expected);
}

#[test]
fn those_stay_that_are_at_these_addresses() {
    let expected = RUNNING.replace("  server x h:1\n", "");
    let expected = expected.replace("  server x h:3\n", "");
    let expected = expected.replace("  server x h:4\n", "");
    assert_eq!(with_servers_at(RUNNING, &BTreeSet::from(["h:2"])), expected);
}

#[test]
fn who_cannot_be_taken_away_rests() {
    let wanted = RUNNING.replace("server y h:2", "server z h:9");
    let expected = RUNNING.replace("server y h:2", "server y h:2 disabled");
    assert_eq!(resting_but_those_of(RUNNING, &wanted), expected);
    assert_eq!(resting_but_those_of(&expected, &wanted), expected);
}

#[test]
fn servers_are_those_of_the_other_line_by_line() {
    let other = RUNNING.replace("  server y h:2\n", "");
    let other = other.replace("server x h:3", "server q h:7 disabled");
    let outline = Outline::of(&other);
    assert_eq!(with_lines_of(RUNNING, &outline), other);
    let section = "backend b\n  server x h:3\n";
    let expected = "backend b\n  server q h:7 disabled\n";
    assert_eq!(with_lines_of(section, &outline), expected);
}

#[test]
fn servers_come_back_to_a_section_that_has_none() {
    let emptied = RUNNING.replace("  server x h:1\n  server y h:2\n", "");
    let emptied = emptied.replace("  server x h:4\n", "");
    let grafted = with_servers_of(&emptied, RUNNING).text;
    assert_eq!(grafted, RUNNING);
    assert_eq!(with_servers_of(emptied.trim_end(), RUNNING).text, RUNNING);
    let change = compare(Some(&emptied), &grafted);
    assert!(matches!(change, Change::Servers(_)), "{change}");
}
