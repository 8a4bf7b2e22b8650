//! Whole outputs, kept as files in `tests/cases`: `UPDATE=1` rewrites them.
//!
//! A case is a folder with `why` (one sentence), `args`, what Marathon answered (`apps.json` or
//! `tasks.txt`), and the expected `haproxy.cfg` and `stderr`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Test, assert_accepted};

#[test]
fn every_case_comes_out_as_it_is_kept() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut different = String::new();
    let cases = cases();
    assert!(cases.len() >= 8, "found only {} cases", cases.len());
    for case in cases {
        for (name, text) in outputs(&case) {
            let kept = case.join(name);
            if update {
                fs::write(&kept, &text).unwrap();
            }
            let expected = fs::read_to_string(&kept).unwrap_or_default();
            if text != expected {
                writeln!(
                    different,
                    "{}\n--- expected\n{expected}\n--- got\n{text}",
                    kept.display()
                )
                .unwrap();
            }
        }
    }
    assert!(different.is_empty(), "{different}");
}

#[test]
fn haproxy_accepts_every_kept_file() {
    for case in cases() {
        let text = fs::read_to_string(case.join("haproxy.cfg")).unwrap();
        // Names in cases stand for agents that nobody has to resolve.
        let resolvable = text.replace(" agent-", " 10.9.9.");
        assert_accepted(&resolvable);
    }
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    cases
}

fn outputs(case: &Path) -> [(&'static str, String); 2] {
    let answer = ["apps.json", "tasks.txt"]
        .into_iter()
        .map(|name| case.join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{} has no answer", case.display()));
    let args = fs::read_to_string(case.join("args")).unwrap();
    let mut args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
    args.push(format!("--marathon=file:{}", answer.display()));
    let done = Test::new().args(args).run().expect(0);
    let told = without_times(&done.stderr.replace(&case.display().to_string(), "CASE"));
    [("haproxy.cfg", done.stdout), ("stderr", told)]
}

/// A log that goes to a file tells the time, which is another one in every run.
fn without_times(log: &str) -> String {
    log.lines()
        .map(|line| match line.split_once(' ') {
            Some((time, rest)) if time.ends_with('Z') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect()
}
