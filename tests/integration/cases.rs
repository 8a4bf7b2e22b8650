//! Whole outputs, kept as files in `tests/cases`: `UPDATE=1` rewrites them.
//!
//! A case is a folder with `why` (one sentence), `args`, what Marathon answered (`apps.json` or
//! `tasks.txt`), where needed `env` (a variable on each line) and `templates/`, and the expected
//! `haproxy.cfg`, maps and `stderr`. `@CERTIFICATE@` is one that exists, `@MAPS@` the folder of the
//! maps.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Test, assert_accepted};

const CERTIFICATE: &str = "@CERTIFICATE@";
const MAPS: &str = "@MAPS@";

/// A case for a HAProxy that knew directives which later ones refuse.
const OLD: &str = "--haproxy-version=2.0";

#[test]
fn every_case_comes_out_as_it_is_kept() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut different = String::new();
    let cases = cases();
    assert!(cases.len() >= 20, "found only {} cases", cases.len());
    for case in cases {
        for (name, text) in outputs(&case) {
            let kept = case.join(&name);
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
        if fs::read_to_string(case.join("args")).unwrap().contains(OLD) {
            continue;
        }
        // Names in cases stand for agents that nobody has to resolve.
        let text = text.replace(" agent-", " 10.9.9.");
        assert_accepted(&with_certificate(&text).replace(MAPS, case.to_str().unwrap()));
    }
}

fn certificate() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificate.pem");
    file.to_str().unwrap().to_owned()
}

fn with_certificate(text: &str) -> String {
    text.replace(CERTIFICATE, &certificate())
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

/// Name and text of everything that comes out.
fn outputs(case: &Path) -> Vec<(String, String)> {
    let answer = ["apps.json", "tasks.txt"]
        .into_iter()
        .map(|name| case.join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{} has no answer", case.display()));
    let args = fs::read_to_string(case.join("args")).unwrap();
    let mut args: Vec<String> = with_certificate(&args)
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    if !is_of_predecessor(&args) {
        args.push(format!("--marathon=file:{}", answer.display()));
        if args.iter().any(|arg| arg.contains(MAPS)) {
            return in_folder(&args);
        }
        let done = Test::new().args(args).run().expect(0);
        let told = without_times(&done.stderr.replace(&case.display().to_string(), "CASE"));
        let mut text = without_paths(&done.stdout);
        if text != done.stdout {
            text = without_structure(&text);
        }
        return vec![
            ("haproxy.cfg".to_owned(), text),
            ("stderr".to_owned(), told),
        ];
    }
    let answer = with_certificate(&fs::read_to_string(answer).unwrap());
    let mut test = Test::new().file("apps.json", answer);
    args.push("--marathon=file:apps.json".to_owned());
    let env = fs::read_to_string(case.join("env")).unwrap_or_default();
    for line in env.lines() {
        let (name, value) = line.split_once('=').unwrap();
        test = test.env(name, value);
    }
    for entry in fs::read_dir(case.join("templates")).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let template = with_certificate(&fs::read_to_string(&path).unwrap());
        test = test.file(&format!("templates/{name}"), template);
    }
    installed(test, args)
}

/// What `generate` writes into a folder, which the arguments name as that of the maps.
fn in_folder(args: &[String]) -> Vec<(String, String)> {
    let test = Test::new();
    let out = test.path().join("out").display().to_string();
    let args = args.iter().map(|arg| arg.replace(MAPS, &out));
    let test = test.args(args);
    let done = test.run().expect(0);
    let told = done.stderr.lines().filter(|line| !line.contains(" info: "));
    let told: String = told.map(|line| format!("{line}\n")).collect();
    let mut outputs = vec![("stderr".to_owned(), without_times(&told))];
    for entry in fs::read_dir(&out).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let written = without_paths(&fs::read_to_string(&path).unwrap());
        outputs.push((name, without_structure(&written.replace(&out, MAPS))));
    }
    outputs.sort();
    outputs
}

/// The hash is that of the whole text, in which folders have another name each time.
fn without_structure(text: &str) -> String {
    const DESCRIPTION: &str = "  description ";
    text.lines()
        .map(|line| match line.strip_prefix(DESCRIPTION) {
            Some(_) => format!("{DESCRIPTION}@STRUCTURE@\n"),
            None => format!("{line}\n"),
        })
        .collect()
}

fn without_paths(text: &str) -> String {
    text.replace(&certificate(), CERTIFICATE)
}

/// Whether files come out of the command line, not a text.
fn is_of_predecessor(args: &[String]) -> bool {
    matches!(args[0].as_str(), "marathon-lb" | "servicerouter")
}

/// What one of the predecessors' command lines installs, and whom it warns.
fn installed(test: Test, mut args: Vec<String>) -> Vec<(String, String)> {
    let out = test.path().join("out");
    fs::create_dir(&out).unwrap();
    args.extend([
        format!("--haproxy-config={}", out.join("haproxy.cfg").display()),
        "--syslog-socket=/dev/null".to_owned(),
        "--log-format=%(levelname)s %(message)s".to_owned(),
    ]);
    if args[0] == "marathon-lb" {
        args.extend(["--command=true", "--log-level=WARNING"].map(str::to_owned));
    }
    let test = test.args(args);
    let done = test.run().expect(0);
    let shown = |text: &str| {
        text.replace(&out.display().to_string(), MAPS)
            .replace(&certificate(), CERTIFICATE)
    };
    let mut outputs = vec![("stderr".to_owned(), shown(&without_news(&done.stderr)))];
    for entry in fs::read_dir(&out).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        outputs.push((name, shown(&fs::read_to_string(&path).unwrap())));
    }
    outputs.sort();
    outputs
}

/// What goes on, which servicerouter tells at all times, is left out, and so are HAProxy's own
/// words, which are others in each version.
fn without_news(log: &str) -> String {
    const REFUSES: &str = "what `haproxy -c` refuses: ";
    let is_news = |line: &&str| line.starts_with("INFO") || line.starts_with("DEBUG");
    let mut told = String::new();
    for line in log.lines().filter(|line| !is_news(line)) {
        let words = line
            .split_once(REFUSES)
            .and_then(|(before, after)| Some((before, after.rsplit_once(", expected ")?)));
        match words {
            Some((before, (_, after))) => writeln!(told, "{before}{REFUSES}…, expected {after}"),
            None => writeln!(told, "{line}"),
        }
        .unwrap();
    }
    told
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
