//! Good sets that are kept, and put back.

use nix::errno::Errno;

use super::super::*;
use super::host::{Host, Way, flat};
use super::now;
use crate::disk::{Disk, Fault, FaultyDisk, PowerCut};

/// As a failed reload has it.
fn restore(
    disk: &dyn Disk,
    at: &Installation,
    failed_maps: &[String],
) -> Result<Installed, InstallError> {
    let files = load_last_good(disk, at)?.expect("something was kept");
    let obsolete = failed_maps.iter();
    let obsolete = obsolete.filter(|name| !files.maps.contains_key(*name));
    install(disk, at, &files, &obsolete.cloned().collect::<Vec<_>>())
}

#[test]
fn a_restored_set_serves_at_every_step_and_completes() {
    for (host, kill) in [
        (Host::memory as fn() -> Host, true),
        (Host::real, true),
        (Host::memory, false),
    ] {
        for steps in 1.. {
            let host = host();
            let way = Way::WithMaps;
            way.prepare(&host);
            let at = way.installation(&host);
            keep_last_good(&*host.disk, &at, &way.present(&host), now()).unwrap();
            way.install(&host, &*host.disk).unwrap();
            let fault = if kill {
                Fault::KilledAfter(steps)
            } else {
                Fault::From(steps, Errno::ENOSPC)
            };
            let failed_maps: Vec<String> = way.wanted(&host).maps.into_keys().collect();
            let done = restore(&FaultyDisk::new(&host.disk, fault), &at, &failed_maps);
            way.assert_serves(&host, &format!("restored, {fault:?}"));
            restore(&*host.disk, &at, &failed_maps).unwrap();
            assert_eq!(host.set(), flat(way.present(&host)));
            assert_eq!(host.names("state"), ["last-good"]);
            if done.is_ok_and(|done| done.warnings.is_empty()) {
                break;
            }
        }
    }
}

#[test]
fn what_is_kept_is_the_old_set_or_the_new_one_after_a_kill_at_any_step() {
    for cut in [None, Some(PowerCut::LosesNames), Some(PowerCut::KeepsNames)] {
        for steps in 0.. {
            let host = Host::memory();
            let way = Way::WithMaps;
            let at = way.installation(&host);
            let (old, new) = (way.present(&host), way.wanted(&host));
            assert_eq!(load_last_good(&*host.disk, &at).unwrap(), None);
            keep_last_good(&*host.disk, &at, &old, now()).unwrap();
            let killed = FaultyDisk::new(&host.disk, Fault::KilledAfter(steps));
            let done = keep_last_good(&killed, &at, &new, now());
            if let Some(cut) = cut {
                host.memory.as_ref().unwrap().power_cut(cut);
            }
            let kept = load_last_good(&*host.disk, &at).unwrap().unwrap();
            assert!(kept == old || kept == new, "{steps}");
            keep_last_good(&*host.disk, &at, &old, now()).unwrap();
            keep_last_good(&*host.disk, &at, &new, now()).unwrap();
            assert_eq!(
                load_last_good(&*host.disk, &at).unwrap().as_ref(),
                Some(&new)
            );
            // The list, and both sets with their maps.
            assert_eq!(host.names("state/last-good").len(), 1 + 4 + 3);
            if done.is_ok() {
                assert_eq!(kept, new);
                break;
            }
        }
    }
}

#[test]
fn a_kept_file_that_was_changed_is_not_restored() {
    let host = Host::memory();
    let way = Way::CfgOnly;
    way.prepare(&host);
    let at = way.installation(&host);
    keep_last_good(&*host.disk, &at, &way.wanted(&host), now()).unwrap();
    let before = host.set();
    let copy = &host.names("state/last-good")[1];
    host.put(&host.root.join("state/last-good").join(copy), "global\n");
    let error = restore(&*host.disk, &at, &[]).unwrap_err();
    assert!(
        error.to_string().contains("it is not what was kept"),
        "{error}"
    );
    assert_eq!(host.set(), before);
}
