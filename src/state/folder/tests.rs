mod operators;

use std::collections::{BTreeMap, BTreeSet};

use nix::errno::Errno;

use super::super::{
    Applied, CertificatesRead, Down, Fetch, GuardMemory, Lacking, LastTurn, Leftovers, Paused,
    Pending, Quarantined, ReadinessMemory, Refusal, RefusedStarts, Seen, Time, TurnOutcome,
};
use super::*;
use crate::cluster::AppId;
use crate::disk::{Fault, FaultyDisk, MemoryDisk, OsDisk, PowerCut, Step};

fn folder() -> Folder {
    Folder::of(Path::new("/var/lib/hmb"), Path::new("/nowhere/haproxy.cfg"))
}

fn certificates_read(at: Time, digest: Digest) -> CertificatesRead {
    CertificatesRead {
        pid: Some(1),
        at,
        seen: digest,
        held: digest,
    }
}

fn seen(digest: Digest) -> Seen {
    Seen {
        drained: Some(digest),
        answer: digest,
        asked: Some(digest),
        decisions: digest,
        cfg_hash: digest,
    }
}

fn full() -> State {
    let time = Time::at(SystemTime::UNIX_EPOCH);
    let digest = Digest::of(b"cfg");
    State {
        applied: Some(Applied {
            cfg_hash: digest,
            map_hashes: BTreeMap::from([("domain2backend.map".to_owned(), digest)]),
            structure_hash: Some("0123".to_owned()),
            at: time,
            how: "sf".to_owned(),
            unproved: false,
            started_by_us: true,
            down: Some(Down::HasEnded),
            haproxy_pid: Some(1),
            silent_since: Some(time),
            stand_ins: BTreeMap::new(),
            used_spares: BTreeSet::from(["spare-p-1".to_owned()]),
            spare_backends: 2,
        }),
        told: Some(Digest::of(b"told")),
        reloaded_at: Some(time),
        refused_starts: Some(RefusedStarts { at: time, turns: 2 }),
        unmended: Some("`web/t1`: its id is 7".to_owned()),
        pending: Some(Pending {
            refused: true,
            none_ran: true,
            alone_hash: Some(Digest::of(b"alone")),
            cfg_hash: digest,
            attempts: 1,
            last_error: "no answer".to_owned(),
            next_try_at: time,
            structure_hash: Some("0123".to_owned()),
        }),
        last_turn: Some(LastTurn {
            wait_for_files: 1,
            at: time,
            outcome: TurnOutcome::ReloadFailed,
            detail: None,
            warnings: vec!["one".to_owned()],
            haproxy_warnings: Vec::new(),
            marathon: Some("http://m:8080".to_owned()),
            change: Some("listen a-1 is new".to_owned()),
            held: Some("the answer lacks much".to_owned()),
        }),
        last_good_marathon: Some("http://m:8080".to_owned()),
        as_of: Some(time),
        guard: GuardMemory {
            fetches: vec![Fetch {
                at: time,
                lacking: BTreeMap::from([
                    ("a:80".to_owned(), Lacking::Whole),
                    (
                        "b:80".to_owned(),
                        Lacking::Servers(BTreeSet::from(["h:1".to_owned()])),
                    ),
                ]),
            }],
        },
        incumbents: BTreeMap::from([(10_000, AppId::new("/a"))]),
        places: BTreeMap::from([("www.example.com/a".into(), AppId::new("/a"))]),
        certificates: vec!["/etc/ssl/a.pem".into()],
        service_ports: BTreeMap::from([(AppId::new("/a"), BTreeMap::from([(10_000, 3)]))]),
        addresses: BTreeMap::from([("agent".into(), "10.0.0.1".parse().unwrap())]),
        certificates_read: Some(certificates_read(time, digest)),
        // It has a file of its own.
        drained: Vec::new(),
        seen: Some(seen(digest)),
        paused: Some(Paused {
            since: time,
            by: "root".to_owned(),
            reason: Some("a bad deployment".to_owned()),
        }),
        answer: Some(KeptAnswer {
            essence: digest,
            cfg_hash: digest,
        }),
        quarantined: vec![Quarantined {
            app: "/a".to_owned(),
            index: 1,
            service_port: 10_000,
            written_port: Some(10_000),
            since: time,
            asked_at: time,
            said: digest,
            decisions: digest,
            why: Refusal {
                subject: "label `HAPROXY_1_PORT`".to_owned(),
                found: "`80a`".to_owned(),
                expected: "a port number".to_owned(),
            },
            is_open: true,
            unnamed: 2,
            starts: 3,
            last_good: Some(BTreeMap::from([("HAPROXY_1_PORT".into(), "80".into())])),
        }],
        leftovers: Leftovers::default(),
        readiness: ReadinessMemory {
            ready: BTreeSet::from(["one".into()]),
            waiting: BTreeMap::from([("two".into(), time)]),
        },
    }
}

/// As it is saved in `state.json`.
fn unpaused() -> State {
    State {
        paused: None,
        ..full()
    }
}

/// A disk on which `state.json` holds this text.
fn disk_with(text: &str) -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.put(&folder().state_path(), text.as_bytes());
    disk
}

#[test]
fn what_was_saved_is_loaded_by_the_next_run() {
    let disk = MemoryDisk::new();
    let (mut writable, state, warning) = Writable::open(&disk, folder());
    assert_eq!((state, warning), (State::default(), None));
    let mut state = full();
    writable
        .pause(&disk, state.paused.as_ref().unwrap())
        .unwrap();
    let kept = state.answer.unwrap();
    assert_eq!(writable.keep_answer(&disk, &mut state, b"apps", kept), None);
    assert_eq!(state, full());
    assert_eq!(folder().load(&disk), (full(), None));
    let snapshot = folder().load_snapshot(&disk).unwrap();
    assert_eq!(snapshot.bytes, b"apps");
    assert_eq!(
        disk.look(&folder().state_path()).unwrap().unwrap().mode,
        0o600
    );
}

#[test]
fn the_folder_is_for_nobody_else() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::of(&dir.path().join("a/b"), Path::new("/nowhere/haproxy.cfg"));
    let (writable, _, warning) = Writable::open(&OsDisk, folder);
    assert_eq!(warning, None);
    let mode = fs::metadata(writable.path().unwrap())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o700);
}

#[test]
fn an_unchanged_state_is_not_written_again_not_even_by_the_next_run() {
    let disk = FaultyDisk::new(MemoryDisk::new(), Fault::None);
    let (mut writable, _, _) = Writable::open(&disk, folder());
    writable.save(&disk, &full());
    let steps = disk.steps();
    writable.save(&disk, &full());
    assert_eq!(disk.steps(), steps);

    let before = disk.inner().look(&folder().state_path()).unwrap();
    let (mut writable, state, _) = Writable::open(&disk, folder());
    writable.save(&disk, &state);
    assert_eq!(disk.inner().look(&folder().state_path()).unwrap(), before);
}

#[test]
fn a_file_of_a_newer_program_is_never_overwritten() {
    let text = r#"{"format": 2, "applied": "by other rules"}"#;
    let disk = disk_with(text);
    let (mut writable, state, warning) = Writable::open(&disk, folder());
    assert_eq!(state, State::default());
    let warning = warning.unwrap();
    assert!(
        warning.contains("format 2, expected at most 1"),
        "{warning}"
    );
    assert_eq!(writable.save(&disk, &full()), None);
    assert_eq!(disk.text(&folder().state_path()).unwrap(), text);
}

#[test]
fn a_file_of_an_older_format_is_read_and_saved_in_ours() {
    let disk = disk_with(r#"{"format": 0, "last_good_marathon": "http://m:8080", "gone": [1]}"#);
    let (mut writable, state, warning) = Writable::open(&disk, folder());
    assert_eq!(warning, None);
    let expected = State {
        last_good_marathon: Some("http://m:8080".to_owned()),
        ..State::default()
    };
    assert_eq!(state, expected);
    writable.save(&disk, &state);
    let saved = disk.text(&folder().state_path()).unwrap();
    assert!(saved.starts_with("{\n  \"format\": 1,\n"), "{saved}");
}

#[test]
fn a_corrupt_file_costs_one_warning_and_is_replaced() {
    for text in [
        "",
        "{",
        "\0\0\0",
        "[]",
        r#"{"format": 1, "incumbents": {"x": "/a"}}"#,
    ] {
        let disk = disk_with(text);
        let (mut writable, state, warning) = Writable::open(&disk, folder());
        assert_eq!(state, State::default());
        let warning = warning.unwrap();
        assert!(warning.contains("is not what was written"), "{warning}");
        assert_eq!(writable.save(&disk, &unpaused()), None);
        assert_eq!(folder().load(&disk), (unpaused(), None));
        let copy = folder().path().join("state.json.corrupt");
        assert_eq!(disk.text(&copy).unwrap(), text);
        assert!(warning.contains(copy.to_str().unwrap()), "{warning}");
    }
}

/// A state that counts on an answer which the installed files were not made of would put back what
/// is long gone, and drop what is served.
#[test]
fn whatever_ends_it_half_way_the_state_counts_on_the_answer_beside_it_or_on_none() {
    use nix::errno::Errno;
    let [old, new] = ["the old answer", "the new answer"];
    let kept = |text: &str| KeptAnswer {
        essence: Digest::of(text.as_bytes()),
        cfg_hash: Digest::of(b"global"),
    };
    let mut counted = [0; 3];
    let cuts = [None, Some(PowerCut::LosesNames), Some(PowerCut::KeepsNames)];
    let faults = [
        |step| Fault::KilledAfter(step - 1),
        |step| Fault::Once(step, Errno::ENOSPC),
        |step| Fault::From(step, Errno::EIO),
    ];
    for (cut, fault) in cuts.iter().flat_map(|cut| faults.map(|fault| (cut, fault))) {
        for step in 1.. {
            let disk = MemoryDisk::new();
            let (mut writable, mut state, _) = Writable::open(&disk, folder());
            writable.keep_answer(&disk, &mut state, old.as_bytes(), kept(old));
            state.last_good_marathon = Some("another".to_owned());
            let breaking = FaultyDisk::new(&disk, fault(step));
            writable.keep_answer(&breaking, &mut state, new.as_bytes(), kept(new));
            let steps = breaking.steps();
            if let Some(cut) = cut {
                disk.power_cut(*cut);
            }

            let (state, warning) = folder().load(&disk);
            assert_eq!(warning, None);
            let lies = folder().load_snapshot(&disk).unwrap().bytes;
            if let Some(counts_on) = state.answer {
                let counts_on = counts_on.essence;
                assert_eq!(counts_on, Digest::of(&lies), "{:?} {cut:?}", fault(step));
            }
            counted[match state.answer {
                None => 0,
                Some(answer) if answer == kept(old) => 1,
                Some(_) => 2,
            }] += 1;
            if steps < step {
                break;
            }
        }
    }
    assert!(counted.iter().all(|count| *count > 0), "{counted:?}");
}

#[test]
fn a_folder_that_cannot_be_made_costs_one_warning() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let folder = Folder::of(&dir.path().join("file"), Path::new("/nowhere/haproxy.cfg"));
    let (mut writable, state, warning) = Writable::open(&OsDisk, folder);
    assert_eq!(state, State::default());
    let told = warning.as_deref().unwrap();
    assert!(told.contains(&*dir.path().to_string_lossy()));
    assert_eq!(writable.path(), None);
    assert!(writable.unsaved().is_some());
    let mut state = full();
    let kept = state.answer.unwrap();
    let unkept = writable.keep_answer(&OsDisk, &mut state, b"apps", kept);
    assert_eq!(unkept, warning, "the same is told in the same words");
    assert!(writable.unsaved().unwrap().contains("a file stands where"));
    assert_eq!(state.answer, None);
}

#[test]
fn a_full_disk_costs_a_warning_until_it_ends() {
    let disk = MemoryDisk::new();
    let (mut writable, _, _) = Writable::open(&disk, folder());
    let full_disk = FaultyDisk::new(&disk, Fault::From(1, nix::errno::Errno::ENOSPC));
    let warning = writable.save(&full_disk, &full()).unwrap();
    assert!(warning.contains(".state.json.new"), "{warning}");
    assert_eq!(writable.save(&full_disk, &full()), Some(warning));
    assert!(writable.unsaved().unwrap().contains(".state.json.new"));
    assert_eq!(writable.save(&disk, &full()), None);
    assert_eq!(writable.unsaved(), None);
    assert_eq!(folder().load(&disk).0, unpaused());
    assert!(writable.save(&full_disk, &State::default()).is_some());
}

#[test]
fn a_folder_that_is_taken_away_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::of(dir.path(), Path::new("/etc/haproxy.cfg"));
    let (mut writable, _, _) = Writable::open(&OsDisk, folder.clone());
    assert!(!writable.is_lost(&OsDisk), "nothing was saved yet");
    assert_eq!(writable.save(&OsDisk, &full()), None);
    assert!(!writable.is_lost(&OsDisk));
    fs::remove_dir_all(folder.path()).unwrap();
    assert!(writable.is_lost(&OsDisk));
    assert!(!writable.is_lost(&OsDisk), "that is known by now");
    assert_eq!(writable.save(&OsDisk, &full()), None);
    assert_eq!(folder.load(&OsDisk).0, unpaused());
}

#[test]
fn reading_changes_nothing() {
    let disk = FaultyDisk::new(disk_with("{"), Fault::None);
    let _ = folder().load(&disk);
    let _ = folder().load_snapshot(&disk);
    assert_eq!(disk.steps(), 0);
}

#[test]
fn one_file_has_one_folder_however_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real");
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, dir.path().join("link")).unwrap();
    let of = |cfg: &str| Folder::of(Path::new("/s"), &dir.path().join(cfg));
    assert_eq!(of("real/haproxy.cfg"), of("link/haproxy.cfg"));
    assert_eq!(of("real/haproxy.cfg"), of("real/../link/haproxy.cfg"));
    assert_ne!(of("real/haproxy.cfg"), of("real/other.cfg"));
    assert_ne!(of("real/haproxy.cfg"), of("haproxy.cfg"));
    let name = of("haproxy.cfg")
        .path
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    assert!(name.starts_with("haproxy.cfg-") && name.len() == "haproxy.cfg-".len() + 16);
}

#[test]
fn what_somebody_else_saved_is_read_again_and_what_could_not_be_saved_is_not_undone() {
    let disk = MemoryDisk::new();
    disk.put_folder(Path::new("/var/lib/hmb"));
    let (mut watcher, mut state, _) = Writable::open(&disk, folder());
    assert_eq!(watcher.reread(&disk), None, "nobody has saved anything");
    state.last_good_marathon = Some("http://m:8080".to_owned());
    assert_eq!(watcher.save(&disk, &state), None);
    assert_eq!(watcher.reread(&disk), None);

    let (mut operator, mut other, _) = Writable::open(&disk, folder());
    other.pending = full().pending;
    assert_eq!(operator.save(&disk, &other), None);
    assert_eq!(watcher.reread(&disk), Some(other.clone()));
    assert_eq!(watcher.reread(&disk), None);

    let full_disk = FaultyDisk::new(&disk, Fault::From(1, Errno::ENOSPC));
    other.pending = None;
    assert!(watcher.save(&full_disk, &other).is_some());
    assert_eq!(watcher.reread(&disk), None, "ours is newer");
}
