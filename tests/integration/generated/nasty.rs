//! Owners who try: labels and texts made of what HAProxy's language is made of. The program is run as
//! it is, and the real HAProxy judges what it installs; that no value left its rule is read from the
//! file, by [`reader`](super::reader) and not by the code under test.

use std::collections::BTreeSet;
use std::fs;

use haproxy_marathon_bridge::labels::{LABELS, Label, NATIVE, Reach, Scope, Template};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use super::certificate;
use super::{reader, rows, rules};
use crate::support::{Test, assert_accepted};

/// Cases by default, and with `HMB_TEST_ALL=1`.
const FEW: u32 = 16;
const MANY: u32 = 200;

/// Of so many attacks on a label one is tried by default.
const STRIDE: usize = 5;

fn is_all() -> bool {
    std::env::var_os("HMB_TEST_ALL").is_some()
}

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
    "X: ",
    "true",
    "shop",
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

/// What ends a value and goes on as something else.
const ATTACKS: &[&str] = &[
    " } or { always_true",
    "} || TRUE #",
    " or TRUE",
    " if TRUE #",
    " unless FALSE",
    "\" if TRUE #",
    "\\",
    " #",
    "'",
    " \"",
    " -f /etc/passwd",
    "\nlisten x\n  bind *:7000\n",
    "\rx",
    " app-1_10101",
    "\tapp-1_10101",
    ",*:80",
    ",*:10101",
    " crt /nonexistent",
    " %[env(PATH)]",
    " ${HOME}",
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
    let mut names = BTreeSet::new();
    let known: Vec<_> = LABELS
        .iter()
        .chain(NATIVE)
        .filter(|l| l.reach == Reach::Service && names.insert(l.name))
        .collect();
    let templates: Vec<Template> = Template::ALL
        .iter()
        .copied()
        .filter(|template| template.definition().scope == Scope::Service)
        .collect();
    let said = bad.iter().map(|(labels, texts)| {
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
        all
    });
    answer_of(said)
}

fn answer_of(bad: impl Iterator<Item = Map<String, Value>>) -> String {
    let mut apps = Vec::new();
    for (number, mut all) in bad.enumerate() {
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

/// An app for each label of `table` and each attack behind its example, or a sample of them, and how
/// many these are. What the label needs is beside it.
fn attacks(table: &[&[Label]]) -> (String, usize) {
    let mut names = BTreeSet::new();
    let labels = table.iter().copied().flatten();
    let labels = labels.filter(|l| l.reach == Reach::Service && names.insert(l.name));
    let stride = if is_all() { 1 } else { STRIDE };
    let mut bad = Vec::new();
    for (place, label) in labels.enumerate() {
        for attack in ATTACKS.iter().skip(place % stride).step_by(stride) {
            let mut all = Map::new();
            let mut say = |name: &str, text: &str| {
                all.insert(format!("HAPROXY_0_{name}"), json!(text));
            };
            match label.name {
                "SNI_PASSTHROUGH" => say("MODE", "tcp"),
                "BIND_OPTIONS" => say("SSL_CERT", &certificate()),
                "REDIRECT_TO_HTTPS" | "HTTP_BACKEND_REDIR" => say("PATH", "/own"),
                _ => (),
            }
            let example = match label.name {
                "SSL_CERT" => certificate(),
                "VHOST" => format!("bad-{}.example.com", bad.len()),
                "MODE" => "http".to_owned(),
                name if name.ends_with("PORT") => (20_000 + bad.len()).to_string(),
                _ => label.example.to_owned(),
            };
            say(label.name, &format!("{example}{attack}"));
            bad.push(all);
        }
    }
    let count = bad.len();
    (answer_of(bad.into_iter()), count)
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
    let cfg = test.cfg();
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
        // Nobody takes its host, and of the others who is not served is named.
        let host = format!("good-{number}.example.com");
        let map = fs::read_to_string(test.path().join("domain2backend.map"));
        let is_led = match map {
            Ok(map) => map.contains(&format!("{host} {name}\n")),
            Err(_) => cfg.lines().any(|line| line.contains(&host)),
        };
        assert!(is_led, "{host}: {done:#?}");
        let bad = format!("app-{}_", 2 * number);
        assert!(
            cfg.contains(&format!("\nbackend {bad}"))
                || done
                    .stderr
                    .contains(&format!("app `/app-{}`: ", 2 * number))
                || answer.contains("_0_ENABLED")
                || answer.contains("_0_GROUP"),
            "{bad}: {done:#?}"
        );
        let is_told = said.is_some_and(|line| !line.contains("a host and "));
        assert!(!is_told, "{said:?}");
    }
    (cfg, test)
}

fn judge(cfg: &str, test: &Test) {
    // Maps are named by their place.
    assert_accepted(cfg);
    let files = fs::read_dir(test.path()).unwrap().map(Result::unwrap);
    let maps = files.filter_map(|file| {
        let name = file.file_name().into_string().unwrap();
        let is_map = file.path().extension().is_some_and(|end| end == "map");
        is_map.then(|| (name, fs::read_to_string(file.path()).unwrap()))
    });
    rows::assert_whole(cfg, &maps.collect());
}

fn check(bad: impl Strategy<Value = (Labels, Labels)>, test: impl Fn(&str, usize, bool, bool)) {
    let config = ProptestConfig {
        cases: if is_all() { MANY } else { FEW },
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

const MARATHON_LB: [&str; 4] = [
    "refresh",
    "--template-set=marathon-lb",
    "--reload=none",
    "--template-labels=all",
];

const NATIVE_SET: [&str; 3] = ["refresh", "--reload=none", "--template-labels=all"];

const VERBATIM: [&str; 5] = [
    "marathon-lb",
    "--group=*",
    "--group=x",
    "--command=true",
    "--syslog-socket=/dev/null",
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
        let (cfg, test) = install(answer, bad, &with(&MARATHON_LB, &flags));
        judge(&cfg, &test);
        reader::assert_rules(&cfg, &rules::marathon_lb());
    });
}

#[test]
fn every_label_of_the_native_set_withstands_every_attack() {
    let (answer, bad) = attacks(&[LABELS, NATIVE]);
    for flag in [&[][..], &["--no-maps"]] {
        let (cfg, test) = install(&answer, bad, &[&NATIVE_SET, flag].concat());
        judge(&cfg, &test);
        reader::assert_rules(&cfg, &rules::native());
    }
}

#[test]
fn every_verbatim_label_withstands_every_attack() {
    let (answer, bad) = attacks(&[LABELS]);
    for flag in [&[][..], &["--haproxy-map"]] {
        let (cfg, test) = install(&answer, bad, &[&VERBATIM, flag].concat());
        judge(&cfg, &test);
        reader::assert_loose_rules(&cfg, &rules::marathon_lb());
    }
}

#[test]
fn typed_values_of_the_native_set_stay_within_their_rules() {
    let bad = labels().prop_map(|labels| (labels, Vec::new()));
    check(bad, |answer, bad, maps, is_idle| {
        let flags = [(!maps, "--no-maps"), (is_idle, "--serve-scaled-to-zero")];
        let (cfg, test) = install(answer, bad, &with(&NATIVE_SET, &flags));
        judge(&cfg, &test);
        reader::assert_rules(&cfg, &rules::native());
    });
}

#[test]
fn texts_of_owners_in_the_native_set_stay_within_their_sections() {
    check((labels(), texts()), |answer, bad, maps, _| {
        let flags = [(!maps, "--no-maps")];
        let (cfg, test) = install(answer, bad, &with(&NATIVE_SET, &flags));
        judge(&cfg, &test);
        reader::assert_sections(&cfg);
    });
}

#[test]
fn texts_of_owners_stay_within_their_sections() {
    check((labels(), texts()), |answer, bad, maps, grouped| {
        let flags = [(!maps, "--no-maps"), (grouped, "--group-https-by-vhost")];
        let (cfg, test) = install(answer, bad, &with(&MARATHON_LB, &flags));
        judge(&cfg, &test);
        reader::assert_sections(&cfg);
    });
}

#[test]
fn verbatim_values_stay_within_their_rules() {
    let bad = labels().prop_map(|labels| (labels, Vec::new()));
    check(bad, |answer, bad, maps, _| {
        let words = with(&VERBATIM, &[(maps, "--haproxy-map")]);
        let (cfg, test) = install(answer, bad, &words);
        judge(&cfg, &test);
        reader::assert_loose_rules(&cfg, &rules::marathon_lb());
    });
}

#[test]
fn verbatim_values_hurt_nobody_else() {
    check((labels(), texts()), |answer, bad, maps, grouped| {
        let flags = [(maps, "--haproxy-map"), (grouped, "--group-https-by-vhost")];
        let (cfg, test) = install(answer, bad, &with(&VERBATIM, &flags));
        judge(&cfg, &test);
        reader::assert_sections(&cfg);
    });
}
