//! What becomes of turns and commands when the copies of good files are damaged.

use std::fs;
use std::path::PathBuf;

use haproxy_marathon_bridge::state::Folder;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::json;

use super::{Host, assert_says, done};

const ONE: &[(&str, u16, u16)] = &[("/a", 10001, 1)];
const TWO: &[(&str, u16, u16)] = &[("/a", 10001, 1), ("/b", 10002, 1)];
const THREE: &[(&str, u16, u16)] = &[("/a", 10001, 1), ("/b", 10002, 1), ("/c", 10003, 1)];

/// Something that may happen to the folder of the good files.
type Damage = fn(&Host);

fn kept(host: &Host) -> PathBuf {
    let folder = Folder::of(&host.path("state"), &host.path("etc/haproxy.cfg"));
    folder.path().join("last-good")
}

fn copies(host: &Host) -> Vec<PathBuf> {
    let names = fs::read_dir(kept(host)).unwrap();
    let mut paths: Vec<PathBuf> = names.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| !path.ends_with("files.json"));
    assert!(!paths.is_empty());
    paths
}

fn spoil_copies(host: &Host) {
    for copy in copies(host) {
        fs::write(copy, "global\n").unwrap();
    }
}

fn lose_copies(host: &Host) {
    for copy in copies(host) {
        fs::remove_file(copy).unwrap();
    }
}

fn spoil_list(host: &Host) {
    fs::write(kept(host).join("files.json"), "garbage{").unwrap();
}

fn pipe_for_list(host: &Host) {
    let list = kept(host).join("files.json");
    fs::remove_file(&list).unwrap();
    mkfifo(&list, Mode::S_IRWXU).unwrap();
}

fn folder_for_list(host: &Host) {
    let list = kept(host).join("files.json");
    fs::remove_file(&list).unwrap();
    fs::create_dir(&list).unwrap();
}

fn file_for_folder(host: &Host) {
    fs::remove_dir_all(kept(host)).unwrap();
    fs::write(kept(host), "").unwrap();
}

/// These are mended by whoever keeps files next.
const MENDABLE: [Damage; 4] = [spoil_copies, lose_copies, spoil_list, pipe_for_list];
/// These are for an operator.
const LASTING: [Damage; 2] = [folder_for_list, file_for_folder];

/// No turn went through any more, for good.
#[test]
fn a_turn_needs_no_copies_and_the_next_good_one_mends_them() {
    for (number, damage) in MENDABLE.iter().chain(&LASTING).enumerate() {
        let host = Host::serving(ONE);
        host.call(&["refresh"]).expect(0);
        damage(&host);
        let told = host.call(&["status"]).expect(1);
        assert_says(
            &told.stdout,
            &["something is wrong", "cannot be used", "last-good"],
        );
        assert_eq!(host.status().1["last_turn"]["outcome"], "applied");
        host.serve(TWO);
        host.call(&["diff"]).expect(1);
        host.call(&["check"]).expect(0);
        let turn = host.call(&["refresh"]).expect(0);
        assert_says(&turn.stderr, &["installed `", "last-good"]);
        assert_says(&host.installed(), &["listen b-10002"]);
        let warnings = turn.stderr.matches(" warn: ").count();
        assert_eq!(warnings, 1, "{number}: {turn:#?}");
        if number < MENDABLE.len() {
            assert_eq!(host.call(&["refresh"]).expect(0).stderr, "", "{number}");
            let (code, json) = host.status();
            assert_eq!((code, &json["good_sets_unusable"]), (0, &json!([])));
            host.serve(THREE);
            host.call(&["refresh"]).expect(0);
            host.call(&["rollback"]).expect(0);
            assert!(!host.installed().contains("listen c-10003"));
        } else {
            host.serve(THREE);
            host.call(&["refresh"]).expect(0);
            assert_says(&host.installed(), &["listen c-10003"]);
        }
    }
}

/// A turn in which nothing is to be done is a good one, too.
#[test]
fn a_copy_is_kept_anew_though_nothing_changes() {
    for damage in MENDABLE {
        let host = Host::serving(ONE);
        host.call(&["refresh"]).expect(0);
        damage(&host);
        host.call(&["status"]).expect(1);
        let mended = host.call(&["refresh"]).expect(0);
        assert_says(&mended.stderr, &["last-good"]);
        host.call(&["status"]).expect(0);
        assert_eq!(host.call(&["refresh"]).expect(0).stderr, "");
    }
}

/// With the copies gone, the next best is what lay there.
#[test]
fn a_failed_reload_puts_back_what_was_installed_where_no_copy_can_be_used() {
    for damage in MENDABLE.iter().chain(&LASTING) {
        let host = Host::serving(TWO);
        host.call(&["refresh"]).expect(0);
        damage(&host);
        // Somebody wrote in it, so that it is not what HAProxy runs.
        let by_hand = format!("{}# by hand\n", host.installed());
        fs::write(host.path("etc/haproxy.cfg"), &by_hand).unwrap();
        host.serve(THREE);
        let mut failing = host.command(&["refresh"]);
        let failed = done(failing.env("HMB_RELOAD_COMMAND", "exit 1")).expect(1);
        assert_says(&failed.stderr, &["the reload failed", "last-good"]);
        assert_eq!(host.installed(), by_hand);
        assert_eq!(host.status().1["last_turn"]["outcome"], "reload-failed");
    }
}

#[test]
fn rollback_passes_over_a_set_that_cannot_be_used() {
    let host = Host::serving(ONE);
    host.call(&["refresh"]).expect(0);
    let (first, old) = (host.installed(), copies(&host));
    host.serve(TWO);
    host.call(&["refresh"]).expect(0);
    let mut middle = copies(&host);
    middle.retain(|copy| !old.contains(copy));
    host.serve(THREE);
    host.call(&["refresh"]).expect(0);
    for copy in middle {
        fs::write(copy, "global\n").unwrap();
    }
    let told = host.call(&["status"]).expect(1);
    assert_says(&told.stdout, &["it is not what was kept"]);
    let back = host.call(&["rollback"]).expect(0);
    assert_says(&back.stderr, &["passed over", "it is not what was kept"]);
    assert_eq!(host.installed(), first);

    spoil_list(&host);
    let failed = host.call(&["rollback"]).expect(1);
    assert_says(&failed.stderr, &["cannot be used", "nothing was done"]);
    assert_eq!(host.installed(), first);
}

/// A reload that fails, and takes the folder of the files away before anything can be put back.
fn fail_for_good(host: &Host) -> String {
    let (etc, away) = (host.path("etc"), host.path("away"));
    let mut failing = host.command(&["refresh"]);
    let script = format!("mv {} {}; exit 1", etc.display(), away.display());
    let failed = done(failing.env("HMB_RELOAD_COMMAND", script)).expect(1);
    let told = ["the reload failed", "cannot be installed again"];
    assert_says(&failed.stderr, &told);
    fs::rename(away, etc).unwrap();
    host.installed()
}

/// A restart of HAProxy for any other reason would read what could not be started.
#[test]
fn files_that_could_not_be_put_back_are_put_back_by_the_next_turn_whatever_it_does() {
    let wait: fn(&Host) -> i32 = |_| 1;
    let pause = |host: &Host| {
        host.call(&["pause"]).expect(0);
        0
    };
    let marathon_fails = |host: &Host| {
        fs::remove_file(host.path("apps.json")).unwrap();
        1
    };
    for prepare in [wait, pause, marathon_fails] {
        let host = Host::serving(ONE);
        host.call(&["refresh"]).expect(0);
        let good = host.installed();
        host.serve(TWO);
        assert_ne!(fail_for_good(&host), good);
        let code = prepare(&host);
        let back = host.call(&["refresh"]).expect(code);
        assert_says(&back.stderr, &["could not be brought", "installed again"]);
        assert_eq!(host.installed(), good);
        assert_eq!(host.status().1["installed"], "as-applied");
        let again = host.call(&["refresh"]).expect(code);
        assert!(!again.stderr.contains("installed again"), "{again:#?}");

        host.call(&["resume"]).expect(0);
        host.serve(TWO);
        host.call(&["refresh", "--retry-now"]).expect(0);
        assert_says(&host.installed(), &["listen b-10002"]);
    }
}

#[test]
fn what_somebody_wrote_meanwhile_is_not_put_back() {
    let host = Host::serving(ONE);
    host.call(&["refresh"]).expect(0);
    host.serve(TWO);
    let by_hand = format!("{}# by hand\n", fail_for_good(&host));
    fs::write(host.path("etc/haproxy.cfg"), &by_hand).unwrap();
    host.call(&["refresh"]).expect(1);
    host.call(&["pause"]).expect(0);
    host.call(&["refresh"]).expect(0);
    assert_eq!(host.installed(), by_hand);
}

#[test]
fn without_a_copy_nothing_is_put_back_and_the_turn_says_so() {
    let host = Host::serving(ONE);
    host.call(&["refresh"]).expect(0);
    host.serve(TWO);
    let failed = fail_for_good(&host);
    spoil_copies(&host);
    let told = host.call(&["refresh"]).expect(1);
    assert_says(&told.stderr, &["could not be brought", "cannot be used"]);
    assert_eq!(host.installed(), failed);
}
