//! Judgements of the real HAProxy.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::copy::{replace_path, with_origin};
use super::*;
use crate::haproxy::program;

const LIMIT: Duration = Duration::from_secs(30);

const HEAD: &str = "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  \
    timeout server 1s\n";

fn haproxy() -> PathBuf {
    program::find(Path::new("haproxy")).unwrap()
}

fn maps(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

fn candidate<'a>(text: &'a str, maps: &'a BTreeMap<String, String>) -> Candidate<'a> {
    Candidate {
        config: Path::new("/live/haproxy.cfg"),
        text,
        maps,
        map_dir: Path::new("/live"),
        extra: &[],
        scratch: None,
    }
}

async fn judge(text: &str, rows: &[(&str, &str)]) -> Verdict {
    check(&haproxy(), &candidate(text, &maps(rows)), LIMIT)
        .await
        .unwrap()
}

/// A program that runs `script`; `cp` writes it, so that no other test's child inherits the file
/// while it is open for writing, which would make it busy.
fn program_of(folder: &Path, script: &str) -> PathBuf {
    let (source, program) = (folder.join("source"), folder.join("haproxy"));
    fs::write(&source, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&source, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(
        Command::new("cp")
            .args([&source, &program])
            .status()
            .unwrap()
            .success()
    );
    program
}

#[tokio::test]
async fn a_good_file_is_accepted_with_its_warnings() {
    let text = format!("{HEAD}frontend f\n  bind 127.0.0.1:1\n  option httplog\n");
    let Verdict::Accepted { warnings } = judge(&text, &[]).await else {
        panic!("rejected")
    };
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert_eq!(warning.severity, Severity::Warning);
    assert_eq!(warning.proxies, ["f"]);
}

#[tokio::test]
async fn a_fault_is_told_with_its_line_and_the_live_name_of_the_file() {
    let text = format!("{HEAD}frontend f\n  bind 127.0.0.1:1\n  nonsense here\n");
    let Verdict::Rejected { messages, output } = judge(&text, &[]).await else {
        panic!("accepted")
    };
    assert_eq!(messages[0].file.as_deref(), Some("/live/haproxy.cfg"));
    assert_eq!(messages[0].line, Some(8));
    assert!(output.contains("parsing [/live/haproxy.cfg:8] : unknown keyword 'nonsense'"));
    assert!(!output.contains("bridge.check."), "{output}");
}

#[tokio::test]
async fn a_fault_without_a_line_is_told_with_its_proxy() {
    let text = format!("{HEAD}frontend f\n  bind 127.0.0.1:1\n  default_backend app_10001\n");
    let Verdict::Rejected { messages, .. } = judge(&text, &[]).await else {
        panic!("accepted")
    };
    assert_eq!(
        (
            messages[0].line,
            messages[0].proxies.first().map(String::as_str)
        ),
        (None, Some("f"))
    );
}

#[tokio::test]
async fn the_candidates_maps_are_judged_and_not_the_live_ones() {
    let text = format!(
        "{HEAD}frontend f\n  bind 127.0.0.1:1\n  \
         use_backend %[src,map_ip(/live/a.map)]\n"
    );
    assert!(matches!(
        judge(&text, &[("a.map", "1.2.3.4 x\n")]).await,
        Verdict::Accepted { .. }
    ));

    let Verdict::Rejected { output, .. } = judge(&text, &[("a.map", "nobody x\n")]).await else {
        panic!("accepted")
    };
    assert!(
        output.contains("at line 1 of file '/live/a.map'"),
        "{output}"
    );
    assert!(
        matches!(judge(&text, &[]).await, Verdict::Rejected { .. }),
        "no such map anywhere"
    );
}

#[tokio::test]
async fn a_file_without_a_listener_is_rejected_though_it_has_no_error() {
    let Verdict::Rejected { messages, output } = judge("global\n  maxconn 10\n", &[]).await else {
        panic!("accepted")
    };
    assert!(output.contains("no listener"), "{output}");
    assert!(
        messages.len() == 1 && messages[0].text.contains("no listener"),
        "{messages:?}"
    );
}

#[tokio::test]
async fn extra_files_are_judged_along() {
    let folder = tempfile::tempdir().unwrap();
    let extra = folder.path().join("runtime.cfg");
    let text = format!("{HEAD}frontend f\n  bind 127.0.0.1:1\n");
    let none = BTreeMap::new();
    let files = [extra.clone()];
    let candidate = Candidate {
        extra: &files,
        ..candidate(&text, &none)
    };
    fs::write(&extra, "global\n  maxconn 10\n").unwrap();
    let verdict = check(&haproxy(), &candidate, LIMIT).await.unwrap();
    assert!(matches!(verdict, Verdict::Accepted { .. }), "{verdict:?}");

    fs::write(&extra, "global\n  maxcorn 10\n").unwrap();
    let Verdict::Rejected { messages, .. } = check(&haproxy(), &candidate, LIMIT).await.unwrap()
    else {
        panic!("accepted")
    };
    assert_eq!(messages[0].file.as_deref(), extra.to_str());
}

#[tokio::test]
async fn the_copy_is_private_and_goes_away() {
    let scratch = tempfile::tempdir().unwrap();
    let text = format!("{HEAD}frontend f\n  bind 127.0.0.1:1\n");
    let none = BTreeMap::new();
    let candidate = Candidate {
        scratch: Some(scratch.path()),
        ..candidate(&text, &none)
    };
    let copy = Copy::write(&candidate).unwrap();
    let mode = fs::metadata(copy.config.parent().unwrap())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    drop(copy);
    check(&haproxy(), &candidate, LIMIT).await.unwrap();
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

/// As HAProxy 2.6 does of a replacement that it cannot read.
#[tokio::test]
async fn who_tells_of_a_fault_and_dies_has_refused() {
    let folder = tempfile::tempdir().unwrap();
    let told = "[ALERT]    (1) : config : backend 'b' : error detected";
    let program = program_of(folder.path(), &format!("echo \"{told}\" >&2; kill -11 $$"));
    let none = BTreeMap::new();
    let verdict = check(&program, &candidate("global\n", &none), LIMIT).await;
    let Verdict::Rejected { messages, .. } = verdict.unwrap() else {
        panic!("accepted")
    };
    assert_eq!(messages[0].proxies, ["b"]);
}

#[tokio::test]
async fn no_verdict_is_an_error_and_no_rejection() {
    let folder = tempfile::tempdir().unwrap();
    let none = BTreeMap::new();
    let candidate = candidate("global\n", &none);

    let missing = check(&folder.path().join("none"), &candidate, LIMIT)
        .await
        .unwrap_err();
    assert!(
        matches!(missing, CheckError::Run(RunError::Start { .. })),
        "{missing}"
    );

    let killed = program_of(folder.path(), "echo half; kill -9 $$");
    let killed = check(&killed, &candidate, LIMIT).await.unwrap_err();
    assert!(
        killed
            .to_string()
            .ends_with("was killed by signal 9 (SIGKILL); it printed: half"),
        "{killed}"
    );
}

/// Else one label that has HAProxy read where nothing comes from would stop all.
#[tokio::test]
async fn who_comes_to_no_end_has_refused_without_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let none = BTreeMap::new();
    let told = "[WARNING]  (1) : config : odd";
    let hangs = program_of(
        folder.path(),
        &format!("echo '{told}' >&2; exec sleep 1000"),
    );
    let limit = Duration::from_millis(300);
    let verdict = check(&hangs, &candidate("global\n", &none), limit).await;
    let Verdict::Rejected { messages, output } = verdict.unwrap() else {
        panic!("accepted")
    };
    let alerts: Vec<_> = messages
        .iter()
        .filter(|message| message.severity == Severity::Alert)
        .map(|message| (message.line, message.text.as_str()))
        .collect();
    assert_eq!(alerts, [(None, "`haproxy -c` did not end within 300ms")]);
    assert!(output.contains("odd"), "{output}");
}

/// A state folder on a full disk keeps nothing from being judged.
#[tokio::test]
async fn a_copy_that_cannot_lie_in_our_folder_lies_where_temporary_files_go() {
    let none = BTreeMap::new();
    let text = format!("{HEAD}frontend f\n  bind 127.0.0.1:1\n");
    let candidate = Candidate {
        scratch: Some(Path::new("/nowhere")),
        ..candidate(&text, &none)
    };
    let verdict = check(&haproxy(), &candidate, LIMIT).await.unwrap();
    assert!(matches!(verdict, Verdict::Accepted { .. }), "{verdict:?}");
}

#[test]
fn only_whole_paths_are_replaced() {
    for (text, want) in [
        ("map(/l/a.map)", "map(/c/a.map)"),
        ("-f /l/a.map\n-f /l/a.map\n", "-f /c/a.map\n-f /c/a.map\n"),
        ("/l/a.map.bak", "/l/a.map.bak"),
        ("/x/l/a.map", "/x/l/a.map"),
        ("/l/a.map/l/a.map", "/l/a.map/l/a.map"),
        ("map(/l/a.map,none)", "map(/c/a.map,none)"),
    ] {
        assert_eq!(replace_path(text, "/l/a.map", "/c/a.map"), want, "{text}");
    }
}

#[test]
fn paths_relative_to_the_file_stay_relative_to_the_live_one() {
    let text = "global\n  default-path config\n  maxconn 1\n";
    let want = "global\ndefault-path origin /live\n  maxconn 1\n";
    assert_eq!(with_origin(text, Path::new("/live/haproxy.cfg")), want);
    let text = "global\n  default-path parent\n";
    assert_eq!(
        with_origin(text, Path::new("/live/x/a.cfg")),
        "global\ndefault-path origin /live\n"
    );
}

#[tokio::test]
async fn a_failure_that_tells_no_reason_is_told_by_its_status_and_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let program = program_of(folder.path(), "echo no library >&2; exit 127");
    let maps = BTreeMap::new();
    let verdict = check(&program, &candidate(HEAD, &maps), LIMIT)
        .await
        .unwrap();
    let Verdict::Rejected { messages, .. } = verdict else {
        panic!("{verdict:?}");
    };
    let [message] = &*messages else {
        panic!("{messages:?}");
    };
    assert_eq!(message.severity, Severity::Alert);
    assert!(
        message.text.contains("127") && message.text.ends_with("no library"),
        "{message}"
    );
}
