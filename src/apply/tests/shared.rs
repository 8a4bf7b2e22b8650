//! Several runs at work on one configuration, which no lock keeps apart.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use super::host::{Host, Way, flat, set};
use crate::apply::{Installation, Recovered, install, recover};
use crate::disk::{Fault, FaultyDisk, OsDisk};

fn shared(way: Way, host: &Host) -> Installation {
    let mut at = way.installation(host);
    at.shares_folder();
    at
}

/// Temporary files beside the configuration.
fn staged(host: &Host) -> Vec<String> {
    let mut names = host.names("haproxy");
    names.retain(|name| name.contains(".hmb-"));
    names
}

/// Whatever the second run does while the first has its file ready, it is not what the first
/// installs.
#[test]
fn no_two_runs_write_one_file() {
    let way = Way::CfgOnly;
    for steps in 0.. {
        let host = Host::real();
        way.prepare(&host);
        let first = FaultyDisk::new(OsDisk, Fault::KilledAfter(steps));
        let done = install(&first, &shared(way, &host), &way.wanted(&host), &[]).is_ok();
        let of_first = staged(&host);
        let other = set("other\n".to_owned(), &[]);
        install(&OsDisk, &shared(way, &host), &other, &[]).unwrap();
        assert_eq!(host.text("haproxy.cfg").unwrap(), "other\n");
        assert_eq!(staged(&host), of_first, "after {steps} steps");
        if done {
            assert!(steps > 3);
            break;
        }
    }
}

#[test]
fn a_run_that_is_alone_leaves_the_files_of_others_until_they_are_old() {
    let host = Host::real();
    let way = Way::CfgOnly;
    way.prepare(&host);
    let path = shared(way, &host).staged(&host.path("haproxy.cfg"), 0);
    let at = way.installation(&host);
    fs::write(&path, "at work").unwrap();
    assert_eq!(recover(&OsDisk, &at).unwrap().recovered, Recovered::Nothing);
    assert!(path.exists());
    let old = SystemTime::now() - Duration::from_secs(2 * 60 * 60);
    File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_modified(old))
        .unwrap();
    assert_eq!(
        recover(&OsDisk, &at).unwrap().recovered,
        Recovered::TidiedUp
    );
    assert!(!path.exists());
}

#[test]
fn a_run_that_may_not_be_alone_leaves_the_files_of_one_that_is() {
    let host = Host::real();
    let way = Way::CfgOnly;
    way.prepare(&host);
    let path = way.installation(&host).staged(&host.path("haproxy.cfg"), 0);
    fs::write(&path, "at work").unwrap();
    install(&OsDisk, &shared(way, &host), &way.wanted(&host), &[]).unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), "at work");
}

#[test]
fn the_journal_leads_to_the_files_of_a_run_that_was_killed() {
    let mut finished = 0;
    for way in [Way::WithMaps, Way::InPlace] {
        for steps in 0.. {
            let host = Host::memory();
            way.prepare(&host);
            let killed = FaultyDisk::new(&host.disk, Fault::KilledAfter(steps));
            let wanted = way.wanted(&host);
            let done = install(&killed, &shared(way, &host), &wanted, &way.obsolete());
            let recovery = recover(&*host.disk, &shared(way, &host)).unwrap();
            way.assert_all_or_nothing(&host, &format!("killed after {steps} steps"));
            if recovery.recovered == Recovered::Finished {
                assert_eq!(host.set(), flat(wanted));
                finished += 1;
            }
            if done.is_ok() {
                break;
            }
        }
    }
    assert!(finished > 10, "{finished}");
}
