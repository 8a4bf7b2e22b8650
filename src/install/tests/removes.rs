//! What is taken back, and what stays.

use super::hosts::{DEBIAN, Mind, by};
use crate::config::Schedule;
use crate::install::{Removal, Step, uninstall};

const OPTIONS: &str = "/etc/haproxy-marathon-bridge/config.toml";
const LIST: &str = "/etc/haproxy-marathon-bridge/marathons";
const STATE: &str = "/var/lib/haproxy-marathon-bridge";

fn removal(purge: bool) -> Removal {
    Removal {
        purge,
        config: "/etc/haproxy/haproxy.cfg".into(),
        state_dir: STATE.into(),
        copies: Vec::new(),
    }
}

fn installed(schedule: Schedule) -> Mind {
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&by(schedule));
    mind.put(
        &format!("{STATE}/haproxy.cfg-0123456789abcdef/state.json"),
        "{}",
    );
    mind
}

fn remove(mind: &mut Mind, purge: bool) -> Vec<(String, Step)> {
    let plan = uninstall(&mind.facts(), &removal(purge));
    let (done, steps) = mind.follow(&plan);
    assert_eq!(done.failed, 0, "{steps:#?}");
    steps
}

#[test]
fn what_install_did_is_taken_back_and_haproxy_stays() {
    for (schedule, files, stopped) in [
        (
            Schedule::Cron,
            &["/etc/cron.d/haproxy-marathon-bridge"][..],
            None,
        ),
        (
            Schedule::Timer,
            &[
                "/etc/systemd/system/haproxy-marathon-bridge-refresh.timer",
                "/etc/systemd/system/haproxy-marathon-bridge-refresh.service",
            ],
            Some("systemctl disable --now haproxy-marathon-bridge-refresh.timer"),
        ),
        (
            Schedule::Service,
            &["/etc/systemd/system/haproxy-marathon-bridge.service"],
            Some("systemctl disable --now haproxy-marathon-bridge.service"),
        ),
    ] {
        let mut mind = installed(schedule);
        for file in files {
            assert!(mind.text(file).is_some(), "{file}");
        }
        remove(&mut mind, false);
        for file in files
            .iter()
            .chain(&["/usr/local/bin/haproxy-marathon-bridge", OPTIONS])
        {
            assert!(mind.text(file).is_none(), "{file}");
        }
        for file in ["/etc/haproxy/haproxy.cfg", "/usr/sbin/haproxy", LIST] {
            assert!(mind.text(file).is_some(), "{file}");
        }
        let wanted: Vec<&str> = stopped
            .into_iter()
            .chain(stopped.map(|_| "systemctl daemon-reload"))
            .collect();
        assert_eq!(mind.ran, wanted);
        remove(&mut mind, false);
        assert!(mind.ran.is_empty() && mind.changed.is_empty(), "{mind:#?}");
    }
}

#[test]
fn options_that_somebody_changed_stay_and_are_told() {
    let mut mind = installed(Schedule::Service);
    let changed = mind.text(OPTIONS).unwrap().replace("#poll", "poll");
    mind.put(OPTIONS, &changed);
    let steps = remove(&mut mind, false);
    assert_eq!(mind.text(OPTIONS).unwrap(), changed);
    let kept =
        |(_, step): &(String, Step)| matches!(step, Step::Kept(why) if why.contains("--purge"));
    assert!(steps.iter().any(kept), "{steps:#?}");
}

#[test]
fn purge_takes_what_people_wrote_and_what_is_remembered_and_nothing_else() {
    let mut mind = installed(Schedule::Cron);
    let changed = mind.text(OPTIONS).unwrap() + "poll = \"1m\"\n";
    mind.put(OPTIONS, &changed);
    mind.put("/etc/haproxy-marathon-bridge/credentials", "joe:x");
    mind.put(&format!("{STATE}/somebody-elses"), "");
    let steps = remove(&mut mind, true);
    assert!(mind.text(OPTIONS).is_none() && mind.text(LIST).is_none());
    let state = format!("{STATE}/haproxy.cfg-0123456789abcdef/state.json");
    assert!(mind.text(&state).is_none());
    for kept in [
        "/etc/haproxy-marathon-bridge/credentials",
        &format!("{STATE}/somebody-elses"),
        "/etc/haproxy/haproxy.cfg.before-haproxy-marathon-bridge",
    ] {
        assert!(mind.text(kept).is_some(), "{kept}");
    }
    let told = |(_, step): &(String, Step)| matches!(step, Step::Done(told) if told.contains("`credentials` is in it"));
    assert!(steps.iter().any(told), "{steps:#?}");
}

#[test]
fn the_bash_script_of_the_same_name_is_not_ours() {
    let mut mind =
        Mind::systemd(DEBIAN).with("/usr/local/bin/haproxy-marathon-bridge", "#!/bin/bash\n");
    remove(&mut mind, true);
    assert!(
        mind.text("/usr/local/bin/haproxy-marathon-bridge")
            .is_some()
    );
}
