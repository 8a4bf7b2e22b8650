//! An installation is stopped, or fails, at every step that it takes.

mod host;
mod kept;
mod shared;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

use nix::errno::Errno;

use super::*;
use crate::disk::{Disk, Fault, FaultyDisk, OsDisk, PowerCut, Step};
use crate::proxy::native::crt_list_name;
use crate::state::Time;
use host::{APPS, DOMAINS, GONE, Host, Way, flat, set};

fn now() -> Time {
    Time::at(std::time::SystemTime::UNIX_EPOCH)
}

#[test]
fn after_a_kill_at_any_step_the_files_serve_and_the_next_run_completes() {
    for way in Way::ALL {
        for (host, cut) in [
            (Host::real as fn() -> Host, None),
            (Host::memory, None),
            (Host::memory, Some(PowerCut::LosesNames)),
            (Host::memory, Some(PowerCut::KeepsNames)),
        ] {
            for steps in 0.. {
                let host = host();
                way.prepare(&host);
                let disk = FaultyDisk::new(&host.disk, Fault::KilledAfter(steps));
                let done = way.install(&host, &disk);
                if let (Some(memory), Some(cut)) = (&host.memory, cut) {
                    memory.power_cut(cut);
                }
                let when = format!("killed after {steps} steps, {cut:?}");
                if way != Way::InPlace {
                    way.assert_serves(&host, &when);
                }
                recover(&*host.disk, &way.installation(&host)).unwrap();
                way.assert_serves(&host, &when);
                if way != Way::WithoutState {
                    way.assert_all_or_nothing(&host, &when);
                }
                way.assert_completes(&host, &when);
                if done.is_ok() {
                    assert!(steps > 5);
                    break;
                }
            }
        }
    }
}

#[test]
fn a_recovery_that_is_killed_itself_can_be_begun_again() {
    for way in Way::ALL {
        let mut finished = 0;
        for (installed, recovered) in (0..50).flat_map(|i| (0..20).map(move |r| (i, r))) {
            let host = Host::memory();
            way.prepare(&host);
            let at = way.installation(&host);
            let killed = FaultyDisk::new(&host.disk, Fault::KilledAfter(installed));
            let _ = way.install(&host, &killed);
            let killed = FaultyDisk::new(&host.disk, Fault::KilledAfter(recovered));
            let first = recover(&killed, &at);
            let when = format!("killed after {installed}, and again after {recovered} steps");
            if way != Way::InPlace || first.is_ok() {
                way.assert_serves(&host, &when);
            }
            let second = recover(&*host.disk, &at).unwrap();
            assert!(second.warnings.is_empty(), "{when}: {:?}", second.warnings);
            assert!(
                !matches!(second.recovered, Recovered::Left(_)),
                "{when}: {second:?}"
            );
            finished += usize::from(second.recovered == Recovered::Finished);
            way.assert_serves(&host, &when);
            way.assert_completes(&host, &when);
        }
        let journalled = !matches!(way, Way::CfgOnly | Way::WithoutState);
        assert_eq!(finished > 0, journalled, "{way:?}");
    }
}

/// The real disk is slow at syncing; one way through it shows that the simulated one is like it.
fn hosts(way: Way) -> Vec<fn() -> Host> {
    match way {
        Way::WithMaps => vec![Host::memory, Host::real],
        _ => vec![Host::memory],
    }
}

/// Also where nothing is remembered; what an operator has there is his.
#[test]
fn lists_that_the_file_of_before_names_alone_go_with_it() {
    let (way, host) = (Way::WithLists, Host::memory());
    way.prepare(&host);
    let own = host.path("own.crt-list");
    host.put(&own, "");
    let naming = format!("# {}\n{}", own.display(), host.text("haproxy.cfg").unwrap());
    host.put(&host.path("haproxy.cfg"), &naming);
    install(
        &*host.disk,
        &way.installation(&host),
        &way.wanted(&host),
        &[],
    )
    .unwrap();
    assert_eq!(host.set(), flat(way.wanted(&host)));
    assert!(host.text("own.crt-list").is_some());
}

/// Whoever names a list in a line of his own has it for as long as he does, and one that was written for
/// another configuration is that one's.
#[test]
fn lists_of_others_stay_and_so_do_those_that_others_name() {
    let (way, host) = (Way::WithLists, Host::memory());
    way.prepare(&host);
    let text = "/other.pem\n";
    let foreign = host.path(&crt_list_name(text, "other.cfg"));
    host.put(&foreign, text);
    let naming = |cfg: &str| format!("# {}\n{cfg}", foreign.display());
    host.put(
        &host.path("haproxy.cfg"),
        &naming(&host.text("haproxy.cfg").unwrap()),
    );
    let old = lists_named(&way.present(&host));
    let named: String = old
        .iter()
        .map(|name| format!("# crt-list {}\n", host.path(name).display()))
        .collect();
    let mut wanted = way.wanted(&host);
    wanted.cfg = named + &wanted.cfg;
    install(&*host.disk, &way.installation(&host), &wanted, &old).unwrap();
    for name in &old {
        assert!(host.text(name).is_some(), "{name}");
    }
    let foreign = foreign.file_name().unwrap().to_str().unwrap();
    assert!(host.text(foreign).is_some());
}

fn lists_named(files: &FileSet) -> Vec<String> {
    let lists = files.maps.keys().filter(|name| name.ends_with(".crt-list"));
    lists.cloned().collect()
}

#[test]
fn a_disk_that_fails_at_any_step_is_named_and_the_next_run_completes() {
    for way in Way::ALL {
        let whole = Host::memory();
        way.prepare(&whole);
        let counting = FaultyDisk::new(&whole.disk, Fault::None);
        way.install(&whole, &counting).unwrap();
        for step in 1..=counting.steps() {
            for errno in [Errno::ENOSPC, Errno::EIO] {
                for fault in [Fault::Once(step, errno), Fault::From(step, errno)] {
                    for host in hosts(way) {
                        let host = host();
                        way.prepare(&host);
                        let when = format!("{fault:?}");
                        let said = match way.install(&host, &FaultyDisk::new(&host.disk, fault)) {
                            Ok(installed) => installed.warnings.join("; "),
                            Err(error) => error.to_string(),
                        };
                        let path = host.root.to_str().unwrap();
                        assert!(
                            said.contains("cannot ") && said.contains(path),
                            "{when}: {said}"
                        );
                        assert!(
                            said.contains(&format!("os error {}", errno as i32)),
                            "{said}"
                        );
                        // In place, what the disk keeps from being put back stays a part.
                        if way != Way::InPlace || matches!(fault, Fault::Once(..)) {
                            way.assert_serves(&host, &when);
                        }
                        // A fault that is over by then does not keep us from tidying up.
                        if matches!(fault, Fault::Once(..)) && !said.contains("cannot remove") {
                            way.assert_tidy(&host, &when);
                        }
                        way.assert_completes(&host, &when);
                    }
                }
            }
        }
    }
}

#[test]
fn every_set_on_the_way_passes_the_check_of_haproxy() {
    let mut checked = BTreeSet::new();
    for steps in 0.. {
        let host = Host::real();
        let way = Way::WithMaps;
        way.prepare(&host);
        let disk = FaultyDisk::new(OsDisk, Fault::KilledAfter(steps));
        let done = way.install(&host, &disk);
        let root = host.root.to_str().unwrap();
        let set: Vec<String> = host
            .set()
            .into_values()
            .map(|t| t.replace(root, ""))
            .collect();
        if checked.insert(set) {
            let check = Command::new("/usr/sbin/haproxy")
                .args(["-c", "-f"])
                .arg(host.path("haproxy.cfg"))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&check.stderr).into_owned();
            assert!(check.status.success(), "after {steps} steps: {said}");
        }
        if done.is_ok() {
            break;
        }
    }
    // Old, two maps widened, new configuration, two maps narrowed, one map gone.
    assert_eq!(checked.len(), 7);
}

#[test]
fn maps_widen_before_the_configuration_changes_and_narrow_after_it() {
    let host = Host::memory();
    let way = Way::WithMaps;
    way.prepare(&host);
    let mut sets = Vec::new();
    for steps in 0..60 {
        let host = Host::memory();
        way.prepare(&host);
        let _ = way.install(
            &host,
            &FaultyDisk::new(&host.disk, Fault::KilledAfter(steps)),
        );
        let map = |name| host.text(name).unwrap_or_default().replace('\n', ", ");
        let new = host.text("haproxy.cfg").unwrap() == way.wanted(&host).cfg;
        let cfg = if new { "new" } else { "old" };
        let set = format!("{}| {cfg} | {}| {}", map(APPS), map(DOMAINS), map(GONE));
        if sets.last() != Some(&set) {
            sets.push(set);
        }
    }
    let wide = "kept both, moved both, removed old, added new, ";
    assert_eq!(
        sets,
        [
            "/app old, | old | kept both, moved old, removed old, | x old, ".to_owned(),
            "/app old, /new new, | old | kept both, moved old, removed old, | x old, ".to_owned(),
            format!("/app old, /new new, | old | {wide}| x old, "),
            format!("/app old, /new new, | new | {wide}| x old, "),
            format!("/new new, | new | {wide}| x old, "),
            "/new new, | new | added new, kept both, moved both, | x old, ".to_owned(),
            "/new new, | new | added new, kept both, moved both, | ".to_owned(),
        ]
    );
}

#[test]
fn files_that_are_right_are_not_touched() {
    for host in [Host::memory(), Host::real()] {
        let way = Way::WithMaps;
        way.prepare(&host);
        way.install(&host, &*host.disk).unwrap();
        let look = |name: &str| host.disk.look(&host.path(name)).unwrap().unwrap();
        let before = [look("haproxy.cfg"), look(DOMAINS), look(APPS)];
        let counting = FaultyDisk::new(&host.disk, Fault::None);
        let at = way.installation(&host);
        let mut files = way.wanted(&host);
        assert!(
            differences(&counting, &at, &files, &way.obsolete())
                .unwrap()
                .is_empty()
        );
        assert!(way.install(&host, &counting).unwrap().changed.is_empty());
        assert_eq!(counting.steps(), 0);
        assert_eq!([look("haproxy.cfg"), look(DOMAINS), look(APPS)], before);

        files
            .maps
            .insert(APPS.to_owned(), "/other new\n".to_owned());
        assert_eq!(
            differences(&counting, &at, &files, &[]).unwrap(),
            [host.path(APPS)]
        );
        let installed = install(&counting, &at, &files, &[]).unwrap();
        assert_eq!(installed.changed, [host.path(APPS)]);
        assert_eq!([look("haproxy.cfg"), look(DOMAINS)], before[..2]);
    }
}

#[test]
fn mode_and_owner_are_kept_and_nobody_else_may_write() {
    for (before, after) in [
        (0o640, 0o640),
        (0o600, 0o600),
        (0o666, 0o664),
        (0o4755, 0o755),
    ] {
        let host = Host::real();
        let way = Way::CfgOnly;
        way.prepare(&host);
        let path = host.path("haproxy.cfg");
        // Only root can give files away; for others there is nothing to be kept.
        let owner = if nix::unistd::geteuid().is_root() {
            (33, 44)
        } else {
            let ours = fs::metadata(&path).unwrap();
            (ours.uid(), ours.gid())
        };
        chown(&path, Some(owner.0), Some(owner.1)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
        way.install(&host, &*host.disk).unwrap();
        let facts = fs::metadata(&path).unwrap();
        assert_eq!(facts.mode() & 0o7777, after);
        assert_eq!((facts.uid(), facts.gid()), owner);
    }
}

#[test]
fn new_files_get_the_mode_that_was_asked_for() {
    for in_place in [false, true] {
        let host = Host::real();
        let files = Way::WithMaps.wanted(&host);
        let mut at = Installation::new(&host.path("haproxy.cfg"), None);
        at.new_file_mode = 0o646;
        at.in_place = in_place;
        install(&OsDisk, &at, &files, &[]).unwrap();
        for name in ["haproxy.cfg", APPS] {
            let mode = fs::metadata(host.path(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o644);
        }
    }
}

#[test]
fn whoever_may_not_give_files_away_goes_on_with_a_warning() {
    let host = Host::memory();
    let memory = host.memory.as_ref().unwrap();
    memory.put_as(&host.path("haproxy.cfg"), b"old", 0o640, 33, 44);
    let disk = FaultyDisk::new(&host.disk, Fault::Every(Step::SetOwner, Errno::EPERM));
    let installed = Way::CfgOnly.install(&host, &disk).unwrap();
    let [warning] = &*installed.warnings else {
        panic!("{installed:?}")
    };
    assert!(warning.contains("user 33 and group 44"), "{warning}");
    assert_eq!(
        host.text("haproxy.cfg"),
        Some(Way::CfgOnly.wanted(&host).cfg)
    );
}

#[test]
fn a_mounted_file_is_an_error_that_names_in_place_which_then_works() {
    let host = Host::memory();
    let way = Way::WithMaps;
    way.prepare(&host);
    let mounted = FaultyDisk::new(&host.disk, Fault::Every(Step::Rename, Errno::EBUSY));
    let error = way.install(&host, &mounted).unwrap_err();
    assert!(matches!(error, InstallError::Busy(_)));
    assert!(error.to_string().contains("`--in-place`"), "{error}");
    way.assert_serves(&host, "mounted");
    let mut at = way.installation(&host);
    at.in_place = true;
    install(&mounted, &at, &way.wanted(&host), &way.obsolete()).unwrap();
    way.assert_completes(&host, "mounted");
}

#[test]
fn a_journal_that_is_not_whole_or_not_ours_changes_no_file() {
    for journal in ["", "{", "[]", r#"{"format": 9}"#] {
        let host = Host::memory();
        let way = Way::WithMaps;
        way.prepare(&host);
        host.put(&host.root.join("state/journal"), journal);
        let before = host.set();
        let recovery = recover(&*host.disk, &way.installation(&host)).unwrap();
        assert_eq!(recovery.recovered, Recovered::TidiedUp);
        assert_eq!(host.set(), before);
        assert!(host.names("state").is_empty());
    }
}

#[test]
fn files_that_somebody_changed_after_a_kill_are_left_as_they_are() {
    let mut left = 0;
    for steps in 0..60 {
        let host = Host::memory();
        let way = Way::WithMaps;
        way.prepare(&host);
        let killed = FaultyDisk::new(&host.disk, Fault::KilledAfter(steps));
        let _ = way.install(&host, &killed);
        host.put(&host.path("haproxy.cfg"), "by hand");
        let before = host.set();
        let recovery = recover(&*host.disk, &way.installation(&host)).unwrap();
        left += usize::from(matches!(recovery.recovered, Recovered::Left(_)));
        assert_eq!(host.set(), before);
        way.assert_completes(&host, "changed by hand");
    }
    assert!(left > 0);
}

#[test]
fn content_that_is_not_what_was_staged_is_not_installed() {
    for (way, forged) in [Way::WithMaps, Way::InPlace]
        .into_iter()
        .flat_map(|way| [(way, Some("forged")), (way, None)])
    {
        let mut left = 0;
        for steps in 0..60 {
            let host = Host::memory();
            way.prepare(&host);
            let killed = FaultyDisk::new(&host.disk, Fault::KilledAfter(steps));
            let _ = way.install(&host, &killed);
            for folder in ["haproxy", "state"] {
                for name in host.names(folder) {
                    let path = host.root.join(folder).join(&name);
                    match forged {
                        _ if !name.contains(".hmb-") => (),
                        Some(text) => host.put(&path, text),
                        None => host.disk.remove(&path).unwrap(),
                    }
                }
            }
            let before = host.set();
            let recovery = recover(&*host.disk, &way.installation(&host)).unwrap();
            left += usize::from(matches!(recovery.recovered, Recovered::Left(_)));
            match recovery.recovered {
                // Where only removals remained, nothing was needed from there.
                Recovered::Finished => assert_eq!(host.set(), flat(way.wanted(&host))),
                _ => assert_eq!(host.set(), before),
            }
            way.assert_completes(&host, "forged");
        }
        assert!(left > 0);
    }
}

#[test]
fn temporary_files_of_others_stay() {
    let host = Host::memory();
    let way = Way::WithMaps;
    way.prepare(&host);
    let at = way.installation(&host);
    let ours = at.staged(&host.path("any.map"), 12);
    let ours = ours.file_name().unwrap().to_str().unwrap();
    let strangers = [
        ".haproxy.cfg.hmb-00000000-0".to_owned(),
        ".haproxy.cfg.swp".to_owned(),
        format!("{ours}x"),
        format!("x{ours}"),
        ours.trim_end_matches("12").to_owned(),
        ours.replace("-12", "-7-12"),
        ours.replace("-12", "-7.123-12"),
    ];
    host.put(&host.path(ours), "");
    for name in &strangers {
        host.put(&host.path(name), "");
    }
    recover(&*host.disk, &at).unwrap();
    let names = host.names("haproxy");
    assert!(!names.contains(&ours.to_owned()));
    assert!(
        strangers.iter().all(|name| names.contains(name)),
        "{names:?}"
    );
}

#[test]
fn maps_are_files_beside_the_configuration() {
    let host = Host::memory();
    let at = Installation::new(&host.path("haproxy.cfg"), None);
    for name in ["", ".", "..", "../x.map", "/x.map", "a/x.map", "x.map/"] {
        let files = set(String::new(), &[(name, "")]);
        let error = install(&*host.disk, &at, &files, &[]).unwrap_err();
        assert!(
            matches!(error, InstallError::NotAFileName(_)),
            "{name}: {error}"
        );
    }
    let files = set(String::new(), &[("haproxy.cfg", "")]);
    let error = install(&*host.disk, &at, &files, &[]).unwrap_err();
    assert!(matches!(error, InstallError::SameFile(_)), "{error}");
}
