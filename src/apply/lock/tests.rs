use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::pin::pin;
use std::process::Command;

use tokio::time::timeout;

use super::*;

const SHORT: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_secs(30);

fn places(folder: &Path) -> LockPlaces {
    LockPlaces::new(&folder.join("state/lock"), &folder.join("haproxy.cfg"))
}

async fn locked(places: &LockPlaces, kind: Kind) -> Locked {
    match acquire(places, kind, SHORT).await.unwrap() {
        Acquired::Locked(locked) => locked,
        other => panic!("expected the lock, got {other:?}"),
    }
}

#[tokio::test]
async fn a_one_shot_that_finds_a_watcher_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    let _watcher = locked(&places, Kind::Watcher).await;
    let begun = Instant::now();
    match acquire(&places, Kind::OneShot, LONG).await.unwrap() {
        Acquired::HeldByWatcher(holder) => assert_eq!(holder.pid, process::id()),
        other => panic!("expected the watcher, got {other:?}"),
    }
    assert!(begun.elapsed() < LONG / 10);
}

#[tokio::test]
async fn a_one_shot_waits_for_another_and_then_has_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    let first = locked(&places, Kind::OneShot).await;
    let (second, ()) = tokio::join!(acquire(&places, Kind::OneShot, LONG), async {
        drop(first);
    });
    assert!(matches!(second.unwrap(), Acquired::Locked(_)));
}

#[tokio::test]
async fn who_waits_too_long_is_told_who_holds_it() {
    for (holds, wants) in [
        (Kind::OneShot, Kind::OneShot),
        (Kind::OneShot, Kind::Watcher),
        (Kind::Watcher, Kind::Watcher),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let places = places(folder.path());
        let _first = locked(&places, holds).await;
        match acquire(&places, wants, SHORT).await.unwrap() {
            Acquired::TimedOut(Some(holder)) => assert_eq!(holder.kind, holds),
            other => panic!("expected {holds:?} to hold it, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_note_of_a_watcher_that_was_killed_holds_nobody_off() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    drop(locked(&places, Kind::OneShot).await);
    assert_eq!(fs::read_to_string(&places.file).unwrap(), "");
    let stale = r#"{"pid":1,"kind":"watcher","since":"2026-01-01T00:00:00Z"}"#;
    fs::write(&places.file, stale).unwrap();
    let _locked = locked(&places, Kind::OneShot).await;
    let note: Holder = serde_json::from_slice(&fs::read(&places.file).unwrap()).unwrap();
    assert_eq!((note.pid, note.kind), (process::id(), Kind::OneShot));
}

#[tokio::test]
async fn a_program_that_is_started_meanwhile_does_not_inherit_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    let _held = locked(&places, Kind::OneShot).await;
    let listing = Command::new("ls")
        .args(["-l", "/proc/self/fd"])
        .output()
        .unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    assert!(listing.contains("/proc/"), "{listing}");
    assert!(!listing.contains("state/lock"), "{listing}");
}

#[tokio::test]
async fn a_holder_that_has_not_yet_written_its_note_is_not_taken_for_the_last_one() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    let _held = locked(&places, Kind::OneShot).await;
    let note = fs::read(&places.file).unwrap();
    let stale = r#"{"pid":1,"kind":"watcher","since":"2026-01-01T00:00:00Z"}"#;
    fs::write(&places.file, stale).unwrap();
    let (found, ()) = tokio::join!(acquire(&places, Kind::OneShot, SHORT), async {
        fs::write(&places.file, note).unwrap();
    });
    assert!(matches!(found.unwrap(), Acquired::TimedOut(Some(_))));
}

#[test]
fn a_lock_file_that_was_removed_after_it_was_opened_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    let (file, warning) = open(&places).unwrap();
    fs::remove_file(&places.file).unwrap();
    let attempt = lock(&places, file, warning, Kind::OneShot).unwrap();
    assert!(matches!(attempt, Attempt::Held(None)), "{attempt:?}");
    let attempt = super::attempt(&places, Kind::OneShot).unwrap();
    assert!(matches!(attempt, Attempt::Locked(_)), "{attempt:?}");
}

#[tokio::test]
async fn without_a_place_for_the_file_the_folder_of_the_configuration_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("state"), "a file").unwrap();
    let places = places(folder.path());
    let first = locked(&places, Kind::Watcher).await;
    let warning = first.warning().unwrap();
    assert!(
        warning.contains("state/lock") && warning.contains("Not a directory"),
        "{warning}"
    );
    assert!(matches!(
        acquire(&places, Kind::OneShot, SHORT).await.unwrap(),
        Acquired::TimedOut(None)
    ));
    drop(first);
    drop(locked(&places, Kind::OneShot).await);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_link_in_the_place_of_the_lock_is_refused_and_its_target_unharmed() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    fs::create_dir(folder.path().join("state")).unwrap();
    let target = folder.path().join("shadow");
    fs::write(&target, "precious").unwrap();
    symlink(&target, &places.file).unwrap();
    let error = acquire(&places, Kind::OneShot, SHORT).await.unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
}

#[tokio::test]
async fn the_lock_file_is_for_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    let _locked = locked(&places, Kind::OneShot).await;
    let mode = fs::metadata(&places.file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[tokio::test]
async fn a_file_that_holds_something_else_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    fs::create_dir(places.file.parent().unwrap()).unwrap();
    fs::write(&places.file, "precious\n").unwrap();
    let error = acquire(&places, Kind::OneShot, SHORT).await.unwrap_err();
    assert!(error.to_string().contains("no lock of ours"), "{error}");
    assert_eq!(fs::read_to_string(&places.file).unwrap(), "precious\n");

    for ours in ["", "{\"pi", "{\"pid\":12,\"kind\""] {
        fs::write(&places.file, ours).unwrap();
        drop(locked(&places, Kind::OneShot).await);
    }
}

/// Of the configuration of `places`, for another state folder.
fn places_beside(folder: &Path) -> LockPlaces {
    LockPlaces::new(&folder.join("other/lock"), &folder.join("haproxy.cfg"))
}

#[tokio::test]
async fn runs_with_two_state_folders_work_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (places(folder.path()), places_beside(folder.path()));
    let first = locked(&one, Kind::OneShot).await;
    assert!(first.is_alone() && first.warning().is_none(), "{first:?}");
    let mut second = pin!(acquire(&other, Kind::OneShot, LONG));
    let early = timeout(SHORT, &mut second).await;
    assert!(early.is_err(), "{early:?}");
    drop(first);
    match second.await.unwrap() {
        Acquired::Locked(second) => assert!(second.is_alone() && second.warning().is_none()),
        late => panic!("expected the lock, got {late:?}"),
    }
}

#[tokio::test]
async fn a_configuration_that_is_a_link_is_locked_where_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["real", "etc"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let (real, link) = ("real/haproxy.cfg", "etc/haproxy.cfg");
    symlink("../real/haproxy.cfg", folder.path().join(link)).unwrap();
    let of = |lock: &str, cfg: &str| {
        LockPlaces::new(&folder.path().join(lock), &folder.path().join(cfg))
    };
    let _first = locked(&of("a/lock", real), Kind::OneShot).await;
    assert!(!locked(&of("b/lock", link), Kind::OneShot).await.is_alone());
}

#[tokio::test]
async fn whoever_locks_the_folder_for_ever_is_told_and_no_longer_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    let stranger = File::open(folder.path()).unwrap();
    let _held = Flock::lock(stranger, FlockArg::LockExclusiveNonblock).unwrap();
    let locked = locked(&places, Kind::OneShot).await;
    assert!(!locked.is_alone());
    let warning = locked.warning().unwrap();
    let shown = folder.path().to_str().unwrap();
    assert!(
        warning.contains(shown) && warning.contains("goes on beside it"),
        "{warning}"
    );
}

#[tokio::test]
async fn a_watcher_keeps_no_other_configuration_of_the_folder_out() {
    let folder = tempfile::tempdir().unwrap();
    let _watcher = locked(&places(folder.path()), Kind::Watcher).await;
    let other = locked(&places_beside(folder.path()), Kind::OneShot).await;
    assert!(other.is_alone());
}

#[tokio::test]
async fn a_watcher_keeps_them_out_for_the_time_of_a_turn() {
    let folder = tempfile::tempdir().unwrap();
    let (places, other) = (places(folder.path()), places_beside(folder.path()));
    let mut watcher = locked(&places, Kind::Watcher).await;
    assert!(!watcher.is_alone());
    watcher.enter_folder(&places, SHORT).await;
    assert!(watcher.is_alone());
    let beside = locked(&other, Kind::OneShot).await;
    assert!(!beside.is_alone());
    drop(beside);
    watcher.leave_folder();
    let beside = locked(&other, Kind::OneShot).await;
    assert!(beside.is_alone());
    watcher.enter_folder(&places, SHORT).await;
    assert!(!watcher.is_alone() && watcher.warning().is_some());
    drop(beside);
    watcher.enter_folder(&places, SHORT).await;
    assert!(watcher.is_alone() && watcher.warning().is_none());
}
