//! What operators said: pauses and drains.

use super::*;

/// Else a bad night begins with turns that an operator had stopped.
#[test]
fn a_pause_outlives_a_state_that_is_lost_corrupt_or_of_a_newer_program() {
    for text in [None, Some("{"), Some(r#"{"format": 2}"#)] {
        let disk = text.map_or_else(MemoryDisk::new, disk_with);
        let (mut writable, _, _) = Writable::open(&disk, folder());
        let paused = full().paused.unwrap();
        writable.pause(&disk, &paused).unwrap();
        writable.save(&disk, &State::default());
        let (mut writable, state, _) = Writable::open(&disk, folder());
        assert_eq!(state.paused, Some(paused));
        writable.resume(&disk).unwrap();
        writable.resume(&disk).unwrap();
        assert_eq!(folder().load(&disk).0.paused, None);
    }
}

#[test]
fn a_pause_that_cannot_be_read_is_one() {
    let disk = MemoryDisk::new();
    disk.put(&folder().pause_path(), b"at night");
    let paused = folder().load(&disk).0.paused.unwrap().to_string();
    assert!(paused.contains("by somebody (`"), "{paused}");
    assert!(
        paused.contains("paused.json` is not what was written"),
        "{paused}"
    );
}

#[test]
fn a_pause_that_cannot_be_written_is_none() {
    let disk = MemoryDisk::new();
    let (mut writable, _, _) = Writable::open(&disk, folder());
    let full_disk = FaultyDisk::new(&disk, Fault::From(1, nix::errno::Errno::ENOSPC));
    let error = writable
        .pause(&full_disk, &full().paused.unwrap())
        .unwrap_err();
    assert!(error.to_string().contains(".paused.json.new"), "{error}");
    assert_eq!(folder().load(&disk).0.paused, None);
}

#[test]
fn a_pause_that_failed_is_none_and_one_that_is_killed_is_whole_or_none() {
    let paused = full().paused.unwrap();
    let mut failed = 0;
    for step in 1..10 {
        for fault in [Fault::Once(step, Errno::ENOSPC), Fault::KilledAfter(step)] {
            let disk = MemoryDisk::new();
            disk.put_folder(folder().path());
            let faulty = FaultyDisk::new(&disk, fault);
            let (mut writable, _, _) = Writable::open(&disk, folder());
            let done = writable.pause(&faulty, &paused);
            let (state, _) = folder().load(&disk);
            match (&done, fault) {
                (Ok(()), _) => assert_eq!(state.paused.as_ref(), Some(&paused), "{fault:?}"),
                (Err(_), Fault::KilledAfter(_)) => {
                    let whole = state.paused.is_none_or(|found| found == paused);
                    assert!(whole, "{fault:?}");
                }
                (Err(_), _) => assert_eq!(state.paused, None, "{fault:?}"),
            }
            failed += usize::from(done.is_err());
        }
    }
    assert!(failed > 6, "{failed}");
}

/// It is all that tells what operators wanted.
#[test]
fn drains_that_cannot_be_read_are_kept_before_others_are_written() {
    let disk = MemoryDisk::new();
    disk.put(&folder().drained_path(), b"at night");
    let (mut writable, state, warning) = Writable::open(&disk, folder());
    assert_eq!(state.drained, []);
    let warning = warning.unwrap();
    assert!(warning.contains("; nothing is drained, but"), "{warning}");
    let mut drained = vec![Drained {
        what: "10.0.0.1".to_owned(),
        since: Time::at(SystemTime::UNIX_EPOCH),
        by: "joe".to_owned(),
        reason: None,
    }];
    let stuck = FaultyDisk::new(&disk, Fault::Every(Step::Rename, Errno::EIO));
    writable.drain(&stuck, &drained).unwrap_err();
    let kept = disk.text(&folder().drained_path()).unwrap();
    assert_eq!(kept, "at night");

    let full = FaultyDisk::new(&disk, Fault::Every(Step::Write, Errno::ENOSPC));
    writable.drain(&full, &drained).unwrap_err();
    let kept = disk.text(&folder().drained_path()).unwrap();
    assert_eq!(kept, "at night");
    for killed_after in 0.. {
        let disk = MemoryDisk::new();
        disk.put(&folder().drained_path(), b"at night");
        let (mut writable, ..) = Writable::open(&disk, folder());
        let dying = FaultyDisk::new(&disk, Fault::KilledAfter(killed_after));
        let is_done = writable.drain(&dying, &drained).is_ok();
        let left = disk.text(&folder().drained_path()).unwrap();
        let is_new = folder().drained(&disk) == Ok(drained.clone());
        assert!(is_new || left == "at night", "{killed_after}: {left}");
        if is_done {
            assert!(is_new);
            break;
        }
    }

    let aside = writable.drain(&disk, &drained).unwrap().unwrap();
    assert_eq!(disk.text(&aside).unwrap(), "at night");
    assert_eq!(folder().drained(&disk), Ok(drained.clone()));
    drained[0].what.push('1');
    assert_eq!(writable.drain(&disk, &drained).unwrap(), None);
    assert_eq!(folder().drained(&disk), Ok(drained));
}
