//! Owners who try: labels and texts made of what HAProxy's language is made of. The program is run as
//! it is, and the real HAProxy judges what it installs; that no value left its rule is read from the
//! file, by [`reader`](super::reader) and not by the code under test.

use std::fs;

use haproxy_marathon_bridge::labels::{LABELS, Reach, Scope, Template};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use super::certificate;
use super::reader;
use crate::support::{Test, assert_accepted};

/// Cases by default, and with `HMB_TEST_ALL=1`.
const FEW: u32 = 24;
const MANY: u32 = 200;

const PIECES: &[&str] = &[
    "\"",
    "'",
    "\\",
    "#",
    "{",
    "}",
    " } or { always_true",
    " || ",
    " or ",
    " unless ",
    " if TRUE",
    "-f ",
    "-m reg .*",
    "--",
    "%[env(PATH)]",
    "%",
    "${HOME}",
    "$",
    ",",
    ":",
    "*",
    "*:80,",
    " ",
    "\t",
    "\n",
    "\r\n",
    "\0",
    "\u{85}",
    "ä",
    "a",
    "or",
    "/",
    "/x",
    "/a%20b",
    "example.com",
    "*.",
    "10.0.0.1",
    "::1",
    "/8",
    "80",
    "0",
    "-1",
    "$6$x$y",
    "r:u:",
    "https://",
    "\nlisten x\n",
    "\n.if 0\n",
    "{backend}",
    "{0}",
    "ssl crt /x",
    "level admin",
    "http",
    "tcp",
    "uri depth 3",
    "hash env(PATH)",
    "-i ",
];

/// What texts are made of that take the place of templates.
const LINES: &[&str] = &[
    "\nbackend {backend}\n",
    "\nfrontend {backend}\n",
    "backend a\n",
    "listen x\n  bind *:7000\n",
    "  'li'sten x\n",
    "  \\x6cisten x\n",
    ".if 0\n",
    "  .endif\n",
    "  \"$HOME\" x\n",
    "global\n",
    "defaults\n",
    "  use_backend {backend}\n",
    "  use_backend {backend}",
    "  acl x path /\n",
    "  acl x path / #",
    "  mode http\n",
    "  bind *:{servicePort}\n",
    "  bind *:80\n",
    "{",
    "}}",
    "{nobody}",
    "{hostname}",
    "  server s 10.0.0.1:1\n",
    "  http-request deny\n",
    "\"",
    "\n",
    "\0",
    "  nonsense\n",
];

type Labels = Vec<(Index, String)>;

fn value(example: bool) -> BoxedStrategy<String> {
    let pieces = vec(select(PIECES), 1..4).prop_map(|pieces| pieces.concat());
    if example {
        pieces.boxed()
    } else {
        any::<String>().boxed()
    }
}

/// A label of the table by its place, and a text: made of pieces, or of the example of the label with
/// pieces around it, for which `@` stands.
fn labels() -> impl Strategy<Value = Labels> {
    let around = (value(true), value(true)).prop_flat_map(|(before, after)| {
        select(vec![
            "@".to_owned(),
            "@".to_owned(),
            format!("@{after}"),
            format!("{before}@"),
            before,
            format!("@{after}"),
        ])
    });
    let text = prop_oneof![8 => around, 1 => value(false)];
    vec((any::<Index>(), text), 0..6)
}

fn texts() -> impl Strategy<Value = Labels> {
    let text = vec(select(LINES), 1..4).prop_map(|lines| lines.concat());
    vec((any::<Index>(), text), 0..3)
}

/// An app on this port; the good one says nothing that could be wrong.
fn app(number: usize, all: &Map<String, Value>) -> Value {
    let port = 10_100 + number;
    json!({
        "id": format!("/app-{number}"),
        "ports": [port],
        "labels": all,
        "healthChecks": [{
            "protocol": "HTTP", "path": "/health", "portIndex": 0, "gracePeriodSeconds": 1,
            "intervalSeconds": 1, "timeoutSeconds": 1, "maxConsecutiveFailures": 1,
        }],
        "tasks": [{"id": format!("app-{number}.1"), "host": "10.0.0.1", "ports": [31_000 + number],
            "state": "TASK_RUNNING"}],
    })
}

/// Between bad ones stands one that is good.
fn answer(bad: &[(Labels, Labels)]) -> String {
    let known: Vec<_> = LABELS
        .iter()
        .filter(|l| l.reach == Reach::Service)
        .collect();
    let templates: Vec<Template> = Template::ALL
        .iter()
        .copied()
        .filter(|template| template.definition().scope == Scope::Service)
        .collect();
    let mut apps = Vec::new();
    for (number, (labels, texts)) in bad.iter().enumerate() {
        let mut all = Map::new();
        for (place, text) in labels {
            let label = place.get(&known);
            // Who is in no group is served all the same here.
            let name = format!("HAPROXY_0_{}", label.name);
            all.insert(name, json!(text.replace('@', label.example)));
        }
        for (place, text) in texts {
            let name = place.get(&templates).name();
            all.insert(format!("HAPROXY_0_{name}"), json!(text));
        }
        // Many rules need a host.
        all.entry("HAPROXY_0_VHOST")
            .or_insert_with(|| json!(format!("bad-{number}.example.com")));
        apps.push(app(2 * number, &all));
        let mut good = Map::new();
        let host = format!("good-{number}.example.com");
        good.insert("HAPROXY_0_VHOST".to_owned(), json!(host));
        apps.push(app(2 * number + 1, &good));
    }
    json!({ "apps": apps }).to_string()
}

/// One turn of the program, by its name or as marathon-lb: what it installed.
fn install(answer: &str, bad: usize, words: &[&str]) -> (String, Test) {
    let test = Test::new().file("apps.json", answer);
    let certificate = format!("--ssl-certs={}", certificate());
    let common = [
        "--marathon=file:apps.json",
        "--haproxy-config=haproxy.cfg",
        &certificate,
    ];
    let done = test.call([words, &common].concat());
    assert!(
        !done.stderr.contains("panicked"),
        "{}\n{answer}",
        done.stderr
    );
    let done = done.expect(0);
    let cfg = fs::read_to_string(test.path().join("haproxy.cfg")).unwrap();
    for number in 0..bad {
        let port = 10_101 + 2 * number;
        let (id, name) = (2 * number + 1, format!("app-{}_{port}", 2 * number + 1));
        assert!(
            cfg.contains(&format!("\nbackend {name}\n")),
            "{name}: {done:#?}"
        );
        assert!(
            cfg.contains(&format!("\nfrontend {name}\n")),
            "{name}: {done:#?}"
        );
        let said = done
            .stderr
            .lines()
            .find(|line| line.contains(&format!("`/app-{id}`: ")));
        let is_told = said.is_some_and(|line| !line.contains("a host and a path of its own"));
        assert!(!is_told, "{said:?}");
    }
    (cfg, test)
}

fn judge(cfg: &str, test: &Test) {
    // Maps are named by their place.
    assert_accepted(cfg);
    for map in ["domain2backend.map", "app2backend.map"] {
        let rows = fs::read_to_string(test.path().join(map)).unwrap_or_default();
        for row in rows.lines() {
            let words: Vec<&str> = row.split(' ').collect();
            assert!(
                matches!(words[..], [_, backend] if cfg.contains(&format!("\nbackend {backend}\n"))),
                "{row}"
            );
        }
    }
}

fn check(bad: impl Strategy<Value = (Labels, Labels)>, test: impl Fn(&str, usize, bool, bool)) {
    let is_all = std::env::var_os("HMB_TEST_ALL").is_some();
    let config = ProptestConfig {
        cases: if is_all { MANY } else { FEW },
        max_shrink_iters: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let input = (vec(bad, 1..4), any::<bool>(), any::<bool>());
    TestRunner::new(config)
        .run(&input, |(bad, maps, grouped)| {
            test(&answer(&bad), bad.len(), maps, grouped);
            Ok(())
        })
        .unwrap();
}

const NATIVE: [&str; 4] = [
    "refresh",
    "--template-set=marathon-lb",
    "--reload=none",
    "--template-labels=all",
];

fn with<'w>(words: &[&'w str], flags: &[(bool, &'w str)]) -> Vec<&'w str> {
    let given = flags.iter().filter(|(is_given, _)| *is_given);
    words
        .iter()
        .copied()
        .chain(given.map(|(_, flag)| *flag))
        .collect()
}

#[test]
fn typed_values_stay_within_their_rules() {
    let bad = labels().prop_map(|labels| (labels, Vec::new()));
    check(bad, |answer, bad, maps, grouped| {
        let flags = [(!maps, "--no-maps"), (grouped, "--group-https-by-vhost")];
        let (cfg, test) = install(answer, bad, &with(&NATIVE, &flags));
        judge(&cfg, &test);
        reader::assert_rules(&cfg);
    });
}

#[test]
fn texts_of_owners_stay_within_their_sections() {
    check((labels(), texts()), |answer, bad, maps, grouped| {
        let flags = [(!maps, "--no-maps"), (grouped, "--group-https-by-vhost")];
        let (cfg, test) = install(answer, bad, &with(&NATIVE, &flags));
        judge(&cfg, &test);
        reader::assert_sections(&cfg);
    });
}

#[test]
fn verbatim_values_hurt_nobody_else() {
    check((labels(), texts()), |answer, bad, maps, grouped| {
        let words = [
            "marathon-lb",
            "--group=*",
            "--group=x",
            "--command=true",
            "--syslog-socket=/dev/null",
        ];
        let flags = [(maps, "--haproxy-map"), (grouped, "--group-https-by-vhost")];
        let (cfg, test) = install(answer, bad, &with(&words, &flags));
        assert_accepted(&cfg);
        drop(test);
        reader::assert_sections(&cfg);
    });
}
