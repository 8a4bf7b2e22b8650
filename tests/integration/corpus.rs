//! What marathon-lb 1.15 itself wrote for a few hundred clusters, byte for byte.
//!
//! The corpus is no part of the project: the test runs it where it lies beside the project, and says
//! so where it does not. A case is a folder with the answer of Marathon (`apps.json`), the flags,
//! environment and template files (`case.json`), and what came of it, from the first section that is
//! not the HEAD on.

use std::collections::BTreeMap;
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

#[test]
fn the_corpus_comes_out_byte_for_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/cases");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("no corpus lies beside the project: nothing was compared");
        return;
    };
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty(), "{} is empty", folder.display());
    let (next, compared) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let different = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let modes = [false, true]
                        .into_iter()
                        .filter(|&maps| is_kept(case, maps));
                    for maps in modes {
                        compared.fetch_add(1, Ordering::Relaxed);
                        let name = case.file_name().unwrap().to_string_lossy();
                        let name = format!("{name}{}", if maps { " with maps" } else { "" });
                        if let Err(difference) = compare(case, maps) {
                            different.lock().unwrap().insert(name, difference);
                        }
                    }
                }
            });
        }
    });
    let (different, compared) = (different.into_inner().unwrap(), compared.into_inner());
    assert!(compared >= cases.len(), "{compared} of {}", cases.len());
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

/// What `check` may find in clusters of the corpus, since it is so: labels and hosts of some contradict
/// each other, or are wrong on purpose. Everything else would be a false alarm.
const TRUE_ALARMS: [&str; 18] = [
    // Two apps want one thing.
    "held by ",
    "found that it would go before `",
    // No values of their labels.
    "_BALANCE`: found `fastest`, expected an algorithm",
    "_PORT`: found `0`, expected a port",
    "_PORT`: found `notanumber`, expected a port",
    "_MODE`: found `health`, expected `http` or `tcp`",
    "_PATH`: found `/a#b`, expected paths",
    "_AUTH`: found 3 parts, of which the realm is wrong",
    "one is a password: `$6$` and a last part of 4 characters)",
    // Labels of marathon-lb that mean nothing there either, or in another set of templates.
    "_VHOST`: found `web.example.com`, expected none, for the mode is tcp",
    "`: found the mode is tcp, expected mode http; not used",
    "`: found a name that no label has",
    "`: found a position at which the app has no port",
    "`: found a rule of the shared frontends, which this set of templates makes otherwise",
    "_DEPLOYMENT_GROUP`: found ",
    // Tasks without a host that this host can name.
    "found no address",
    "found no host",
    "found `no-such-host.invalid`, expected an IPv4 or IPv6 address",
];

/// Files that are not on this host, and a port that is none.
const REFUSALS: [&str; 3] = [
    "unable to stat SSL certificate from file",
    "invalid port '70000'",
    "found in configuration",
];

#[test]
fn check_raises_no_false_alarm_in_the_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/cases");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("no corpus lies beside the project: nothing was checked");
        return;
    };
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let next = AtomicUsize::new(0);
    let told = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let alarms = alarms(case);
                    told.lock().unwrap().extend(alarms);
                }
            });
        }
    });
    let mut told = told.into_inner().unwrap();
    told.sort();
    assert!(
        told.is_empty(),
        "{} false alarms:\n{}",
        told.len(),
        told.join("\n")
    );
}

/// What `check` says of a case, but for what is true.
fn alarms(case: &Path) -> Vec<String> {
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
    let name = case.file_name().unwrap().to_string_lossy();
    let is_known = |line: &str| {
        let is_refusal = line.contains(" error: ") || line.starts_with(' ');
        let known = if is_refusal {
            &REFUSALS[..]
        } else {
            &TRUE_ALARMS
        };
        known.iter().any(|known| line.contains(known)) && is_clash(line, &apps)
    };
    let lines = done.stderr.lines().filter(|line| !is_known(line));
    let mut all: Vec<String> = lines.map(|line| format!("{name}: {line}")).collect();
    // Nothing to complain of is exit 0.
    let complains = [" warn: ", " error: "]
        .iter()
        .any(|word| done.stderr.contains(word));
    if done.status.code() != Some(0) && !complains {
        all.push(format!("{name}: {done:?}"));
    }
    all
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
