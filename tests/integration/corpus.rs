//! What marathon-lb 1.15 itself wrote for a few hundred clusters, byte for byte.
//!
//! The corpus is no part of the project: the test runs it where it lies beside the project, and says
//! so where it does not. A case is a folder with the answer of Marathon (`apps.json`), the flags,
//! environment and template files (`case.json`), and what came of it, from the first section that is
//! not the HEAD on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use similar::TextDiff;

use crate::support::Test;

/// So much of each difference is shown.
const SHOWN_LINES: usize = 30;

/// Has `judge` look at each case, on as many threads as there are processors; `false` where there is
/// no corpus.
fn for_each_case(judge: impl Fn(&Path) + Sync) -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/cases");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("no corpus lies beside the project: nothing was looked at");
        return false;
    };
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty(), "{} is empty", folder.display());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    judge(case);
                }
            });
        }
    });
    true
}

fn name_of(case: &Path) -> String {
    case.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn the_corpus_comes_out_byte_for_byte() {
    let (cases, compared) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let different = Mutex::new(BTreeMap::new());
    for_each_case(|case| {
        cases.fetch_add(1, Ordering::Relaxed);
        let modes = [false, true];
        for maps in modes.into_iter().filter(|&maps| is_kept(case, maps)) {
            compared.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}{}", name_of(case), if maps { " with maps" } else { "" });
            if let Err(difference) = compare(case, maps) {
                different.lock().unwrap().insert(name, difference);
            }
        }
    });
    let (cases, compared) = (cases.into_inner(), compared.into_inner());
    let different = different.into_inner().unwrap();
    assert!(compared >= cases, "{compared} of {cases}");
    let told: String = different
        .iter()
        .map(|(name, difference)| format!("--- {name}\n{difference}\n"))
        .collect();
    assert!(
        different.is_empty(),
        "{} of {compared} differ:\n{told}",
        different.len()
    );
}

/// What `check` finds in the clusters of the corpus, case by case: labels and hosts of some contradict
/// each other, or are wrong on purpose, and some name what this host does not have. Everything else
/// would be a false alarm, and what is missing an alarm that is not raised any more. `UPDATE=1` writes
/// it anew, for somebody to judge what changed.
const ALARMS: &str = "tests/integration/corpus_alarms.txt";

/// Files that are not on this host, and a port that is none, in HAProxy's words.
const REFUSALS: [&str; 3] = [
    "unable to stat SSL certificate from file",
    "invalid port '70000'",
    "found in configuration",
];

#[test]
fn check_raises_the_alarms_of_the_corpus_and_no_others() {
    let told = Mutex::new(BTreeSet::new());
    let false_ones = Mutex::new(Vec::new());
    let is_there = for_each_case(|case| {
        let (all, wrong) = alarms(case);
        told.lock().unwrap().extend(all);
        false_ones.lock().unwrap().extend(wrong);
    });
    if !is_there {
        return;
    }
    let (told, wrong) = (told.into_inner().unwrap(), false_ones.into_inner().unwrap());
    assert!(wrong.is_empty(), "{wrong:#?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(ALARMS);
    if std::env::var_os("UPDATE").is_some() {
        let text: String = told.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&path, text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    let kept: BTreeSet<String> = kept.lines().map(str::to_owned).collect();
    let (new, gone): (Vec<_>, Vec<_>) = (
        told.difference(&kept).collect(),
        kept.difference(&told).collect(),
    );
    assert!(
        new.is_empty() && gone.is_empty(),
        "{} alarms more: {new:#?}\n{} less: {gone:#?}",
        new.len(),
        gone.len()
    );
}

/// What `check` says of a case, and what of it cannot be true.
fn alarms(case: &Path) -> (BTreeSet<String>, Vec<String>) {
    let answer = case.join("apps.json");
    let test = Test::new();
    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificate.pem");
    let done = test.call([
        "check",
        &format!("--marathon=file:{}", answer.display()),
        "--haproxy-config=haproxy.cfg",
        &format!("--ssl-certs={certificate}"),
        "--template-labels=all",
    ]);
    let apps: Value = serde_json::from_slice(&fs::read(&answer).unwrap()).unwrap();
    let name = name_of(case);
    let lines = || done.stderr.lines();
    let said = lines().map(|line| format!("{name}: {}", essence(line)));
    let wrong = lines().filter(|line| !is_clash(line, &apps));
    let mut wrong: Vec<String> = wrong.map(|line| format!("{name}: {line}")).collect();
    // Nothing to complain of is exit 0.
    let complains = [" warn: ", " error: "]
        .iter()
        .any(|word| done.stderr.contains(word));
    if done.status.code() != Some(0) && !complains {
        wrong.push(format!("{name}: {done:?}"));
    }
    (said.collect(), wrong)
}

/// Before HAProxy's own words, which hold names of this host.
const REFUSED: &str = "found what `haproxy -c` refuses: ";

/// What is wrong and what was found, without the time, the advice, and the words of this host.
fn essence(line: &str) -> String {
    let (_, said) = line.split_once("Z ").unwrap_or(("", line));
    if said.starts_with("error: ") {
        let mut known = REFUSALS.iter();
        if let Some(known) = known.find(|known| said.contains(**known)) {
            return format!("error: {known}");
        }
    }
    if let Some((owner, words)) = said.split_once(REFUSED) {
        let mut known = REFUSALS.iter();
        if let Some(known) = known.find(|known| words.contains(**known)) {
            return format!("{owner}{REFUSED}{known}");
        }
    }
    let said = said.split(", expected ").next().unwrap_or_default();
    let said = said.split(" (failed to lookup").next().unwrap_or_default();
    said.to_owned()
}

/// Whether the hosts that are said to be held are those that the holder asks for.
fn is_clash(line: &str, apps: &Value) -> bool {
    let Some((places, holder)) = line
        .split_once("_VHOST`: found `")
        .or_else(|| line.split_once("_PATH`: found `"))
        .and_then(|(_, rest)| rest.split_once(" held by app `"))
    else {
        return true;
    };
    let holder = holder.split('`').next().unwrap();
    let mut all = apps["apps"].as_array().into_iter().flatten();
    let app = all.find(|app| app["id"] == holder);
    let labels = app.and_then(|app| app["labels"].as_object());
    let hosts: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter(|(name, _)| name.ends_with("_VHOST"))
        .flat_map(|(_, hosts)| hosts.as_str().unwrap_or_default().split(','))
        .map(str::trim)
        .collect();
    let places = places.split('`').filter(|part| part.contains('.'));
    places
        .map(|place| place.split('/').next().unwrap())
        .all(|host| hosts.iter().any(|own| own.eq_ignore_ascii_case(host)))
}

fn expected(case: &Path, maps: bool) -> PathBuf {
    case.join(if maps {
        "expected-map-mode.cfg"
    } else {
        "expected.cfg"
    })
}

fn is_kept(case: &Path, maps: bool) -> bool {
    // A case that has no output at all is broken, and is not passed over.
    !maps || expected(case, maps).exists()
}

fn compare(case: &Path, maps: bool) -> Result<(), String> {
    let about: Value = serde_json::from_slice(&fs::read(case.join("case.json")).unwrap()).unwrap();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let flags = about["args"].as_array().unwrap().iter().map(word);
    let all = [
        "marathon-lb",
        "--skip-validation",
        "--command=true",
        "--max-reload-retries=1",
        "--reload-interval=0",
        "--haproxy-version=2.0",
        "--syslog-socket=/dev/null",
        "-m",
    ];
    let mut test = Test::new();
    let out = test.path().join("out");
    fs::create_dir(&out).unwrap();
    let places = [
        format!("file:{}", case.join("apps.json").display()),
        format!("--haproxy-config={}", out.join("haproxy.cfg").display()),
    ];
    let args = all
        .map(str::to_owned)
        .into_iter()
        .chain(places)
        .chain(flags);
    test = test.args(args.chain(maps.then(|| "--haproxy-map".to_owned())));
    for (name, value) in about["env"].as_object().into_iter().flatten() {
        test = test.env(name, word(value));
    }
    for (name, value) in about["templates"].as_object().into_iter().flatten() {
        test = test.file(&format!("templates/{name}"), word(value));
    }
    let done = test.run();
    if !done.status.success() {
        return Err(format!("{}\n{}", done.status, done.stderr));
    }
    let mut difference = String::new();
    let mut look = |name: &str, expected: &Path| {
        let got = fs::read_to_string(out.join(name)).unwrap_or_default();
        let got = behind_head(&got).replace(&out.display().to_string(), "@DIR@");
        let want = fs::read_to_string(expected).unwrap();
        if got != want {
            writeln!(difference, "{}", shown(&want, &got)).unwrap();
        }
    };
    look("haproxy.cfg", &expected(case, maps));
    if maps {
        for map in ["domain2backend.map", "app2backend.map"] {
            look(map, &case.join(map));
        }
    }
    if difference.is_empty() {
        Ok(())
    } else {
        let note = about["note"].as_str().unwrap_or_default();
        Err(format!("({note})\n{difference}"))
    }
}

/// The file from its first section that services have a part in.
fn behind_head(cfg: &str) -> &str {
    let starts = |line: &str| line.starts_with("userlist ") || line.starts_with("frontend ");
    let mut at = 0;
    for line in cfg.split_inclusive('\n') {
        if starts(line) {
            return &cfg[at..];
        }
        at += line.len();
    }
    cfg
}

fn shown(want: &str, got: &str) -> String {
    let diff = TextDiff::from_lines(want, got);
    let text = diff.unified_diff().context_radius(1).to_string();
    let mut lines: Vec<&str> = text.lines().take(SHOWN_LINES + 1).collect();
    if lines.len() > SHOWN_LINES {
        lines[SHOWN_LINES] = "…";
    }
    lines.join("\n")
}
