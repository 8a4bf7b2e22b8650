//! What somebody else put where something of ours goes.

use super::hosts::{DEBIAN, Mind, by, wish};
use crate::config::Schedule;
use crate::disk::Digest;
use crate::install::{Removal, Step, Wish, all_copies, install, uninstall};

const CONFIG: &str = "/etc/haproxy/haproxy.cfg";
const COPY: &str = "/etc/haproxy/haproxy.cfg.before-haproxy-marathon-bridge";
const PROGRAM: &str = "/usr/local/bin/haproxy-marathon-bridge";
const CRON: &str = "/etc/cron.d/haproxy-marathon-bridge";
const CRON_COPY: &str = "/etc/haproxy-marathon-bridge/cron-file.before-haproxy-marathon-bridge";
const UNIT: &str = "/etc/systemd/system/haproxy-marathon-bridge.service";

fn remove(mind: &mut Mind) -> (Vec<(String, Step)>, String) {
    let removal = Removal {
        purge: true,
        config: CONFIG.into(),
        state_dir: "/var/lib/haproxy-marathon-bridge".into(),
        copies: all_copies(mind, CONFIG.as_ref()),
    };
    let plan = uninstall(&mind.facts(), &removal);
    let (_, steps) = mind.follow(&plan);
    (steps, plan.notes.join("\n"))
}

#[test]
fn each_haproxy_cfg_that_is_not_ours_gets_a_copy_of_its_own() {
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&wish());
    for (number, text) in [(2, "of the operator"), (3, "of another day")] {
        mind.put(CONFIG, text);
        let plan = install(&mind.facts(), &wish()).unwrap();
        let name = format!("{COPY}.{number}");
        let told = format!("as `{name}`");
        let foretold = plan.rehearse(&mind).into_iter();
        assert!(
            foretold
                .map(|(_, step)| step)
                .any(|step| step == Step::ToDo(told.clone())),
            "{plan:#?}"
        );
        let (_, steps) = mind.follow(&plan);
        assert!(
            steps
                .iter()
                .any(|(_, step)| *step == Step::Done(told.clone())),
            "{steps:#?}"
        );
        assert_eq!(mind.text(&name).unwrap(), text);
        mind.install(&wish());
        assert_eq!(mind.changed, [""; 0]);
    }
    assert_eq!(mind.text(COPY).unwrap(), "of the package");
    let (_, notes) = remove(&mut mind);
    for name in [COPY, &format!("{COPY}.2"), &format!("{COPY}.3")] {
        assert!(notes.contains(&format!("`{name}`")), "{notes}");
        assert!(mind.text(name).is_some());
    }
}

#[test]
fn a_haproxy_cfg_that_a_turn_installed_gets_no_copy() {
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&wish());
    mind.put(CONFIG, "ours");
    let knows = Wish {
        installed: [Digest::of(b"ours")].into(),
        ..wish()
    };
    mind.install(&knows);
    assert_eq!(mind.changed, [""; 0]);
}

#[test]
fn where_no_copy_is_uninstall_says_so() {
    let mut mind = Mind::systemd(DEBIAN);
    let (_, notes) = remove(&mut mind);
    assert!(notes.contains("no copy is there"), "{notes}");
}

#[test]
fn a_script_at_the_place_of_the_program_is_kept() {
    const SCRIPT: &str = "#!/bin/bash\necho old\n";
    let mut mind = Mind::systemd(DEBIAN).with(PROGRAM, SCRIPT);
    mind.install(&wish());
    assert_eq!(mind.text(PROGRAM).unwrap(), "program");
    let copy = format!("{PROGRAM}.before-haproxy-marathon-bridge");
    assert_eq!(mind.text(&copy).unwrap(), SCRIPT);
    let (_, notes) = remove(&mut mind);
    assert!(notes.contains(&copy), "{notes}");
    assert_eq!(mind.text(&copy).unwrap(), SCRIPT);
}

#[test]
fn a_unit_that_somebody_else_wrote_stays_and_is_told_of() {
    const TEXT: &str = "[Service]\nExecStart=/opt/mine watch -m special\n";
    let mut mind = Mind::systemd(DEBIAN).with(UNIT, TEXT);
    for schedule in [Schedule::Cron, Schedule::Timer] {
        let plan = install(&mind.facts(), &by(schedule)).unwrap();
        mind.follow(&plan);
        let is_it = |note: &String| note.contains(UNIT) && note.contains("is kept");
        assert!(plan.notes.iter().any(is_it), "{:#?}", plan.notes);
        assert_eq!(mind.text(UNIT).unwrap(), TEXT);
    }
    let (_, notes) = remove(&mut mind);
    assert!(notes.contains(UNIT), "{notes}");
    assert_eq!(mind.text(UNIT).unwrap(), TEXT);
    let disable = "systemctl disable --now haproxy-marathon-bridge.service";
    assert!(
        !mind.ran.iter().any(|line| line == disable),
        "{:#?}",
        mind.ran
    );
}

/// A copy in /etc/cron.d would be run by some crons.
#[test]
fn a_file_for_cron_of_somebody_elses_is_kept_elsewhere() {
    const TEXT: &str = "*/2 * * * * root sleep 9; HMB_STATE_DIR=/srv/x /opt/hmb refresh\n";
    for schedule in [Schedule::Cron, Schedule::Service] {
        let mut mind = Mind::systemd(DEBIAN).with(CRON, TEXT);
        mind.install(&by(schedule));
        assert_eq!(mind.text(CRON_COPY).as_deref(), Some(TEXT), "{schedule:?}");
        assert_ne!(mind.text(CRON).as_deref(), Some(TEXT));
    }
    let mut mind = Mind::systemd(DEBIAN).with(CRON, TEXT);
    let (steps, notes) = remove(&mut mind);
    assert_eq!(mind.text(CRON_COPY).as_deref(), Some(TEXT), "{steps:#?}");
    assert!(notes.contains(&format!("`{CRON_COPY}`")), "{notes}");
}

#[test]
fn a_line_for_cron_that_has_our_turns_taken_in_other_words_stays() {
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&by(Schedule::Cron));
    let ours = mind.text(CRON).unwrap();
    let own = format!(
        "MAILTO=ops@example.com\n{}",
        ours.replace("* * * * *", "*/2 * * * *")
    );
    mind.put(CRON, &own);
    let (_, steps) = mind.install(&by(Schedule::Cron));
    assert_eq!(mind.text(CRON).unwrap(), own);
    let kept =
        |(_, step): &(String, Step)| matches!(step, Step::Kept(why) if why.contains("changed it"));
    assert!(steps.iter().any(kept), "{steps:#?}");
    assert!(mind.text(CRON_COPY).is_none());

    // The calls of the bash script are others.
    let as_bridge = || Wish {
        as_bridge: true,
        ..by(Schedule::Cron)
    };
    mind.install(&as_bridge());
    assert!(mind.text(CRON).unwrap().contains("refresh_system_haproxy"));
    assert_eq!(mind.text(CRON_COPY).unwrap(), own);

    // What cron leaves out has no turns taken.
    let broken = own.replace("*/2", "61");
    mind.put(CRON, &broken);
    mind.install(&by(Schedule::Cron));
    assert_eq!(mind.text(CRON).unwrap(), ours);
    assert_eq!(mind.text(&format!("{CRON_COPY}.2")).unwrap(), broken);
}

#[test]
fn what_install_wrote_for_cron_gets_no_copy() {
    let mut mind = Mind::systemd(DEBIAN);
    for as_bridge in [false, true, false] {
        mind.install(&Wish {
            as_bridge,
            ..by(Schedule::Cron)
        });
    }
    mind.install(&by(Schedule::Service));
    assert!(mind.text(CRON).is_none() && mind.text(CRON_COPY).is_none());
}

#[test]
fn a_haproxy_cfg_that_is_yet_to_come_is_kept_once_it_is_there() {
    let mind = Mind::systemd(DEBIAN);
    let plan = install(&mind.facts(), &wish()).unwrap();
    let keeps = |text: String| text.starts_with("keep `/etc/haproxy/haproxy.cfg`");
    let mut rehearsed = plan.rehearse(&mind).into_iter();
    let step = rehearsed.find(|(action, _)| keeps(action.to_string()));
    assert!(matches!(step, Some((_, Step::ToDo(_)))), "{step:?}");
}
