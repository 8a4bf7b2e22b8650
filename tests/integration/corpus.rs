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
