//! HAProxy as an installation finds it: its program, user, group and folder of sockets.

use super::hosts::{DEBIAN, Mind, by, wish};
use crate::config::Schedule;
use crate::install::{Facts, Wish, install};

/// As one that was built by hand, which no package brings.
#[test]
fn a_haproxy_that_the_options_name_takes_the_place_of_the_package() {
    let own = "/opt/haproxy/sbin/haproxy";
    let plan = |mind: &Mind| {
        let facts = Facts::of(mind, false, "/x".as_ref(), own.as_ref());
        install(&facts, &by(Schedule::Cron))
    };
    let why = plan(&Mind::systemd(DEBIAN).with("/usr/sbin/haproxy", "")).unwrap_err();
    assert!(why.contains(own), "{why}");
    let plan = plan(&Mind::systemd(DEBIAN).with(own, "")).unwrap();
    let mut told = plan.actions.iter().map(ToString::to_string);
    assert!(!told.any(|told| told.contains("package `haproxy`")));
}

#[test]
fn units_name_no_group_that_there_is_not() {
    const UNIT: &str = "/etc/systemd/system/haproxy-marathon-bridge.service";
    let there = Mind::systemd(DEBIAN)
        .with("/usr/sbin/haproxy", "")
        .with("/lib/systemd/system/haproxy.service", "");
    let mut without = there.clone();
    without.install(&wish());
    assert!(!without.text(UNIT).unwrap().contains("SupplementaryGroups="));
    let mut with = there.with("/etc/group", "root:x:0:\nhaproxy:x:99:\n");
    let elsewhere = Wish {
        config: "/srv/lb/haproxy.cfg".into(),
        state_dir: "/srv/state".into(),
        ..wish()
    };
    with.install(&elsewhere);
    let unit = with.text(UNIT).unwrap();
    for line in [
        "SupplementaryGroups=haproxy\n",
        "ReadWritePaths=/srv/lb\nReadWritePaths=-/srv/state\n",
    ] {
        assert!(unit.contains(line), "{unit}");
    }
}

#[test]
fn haproxy_serves_as_its_own_user_where_there_is_one() {
    const FILE: &str = "/etc/haproxy-marathon-bridge/haproxy.d/user.cfg";
    const OPTIONS: &str = "/etc/haproxy-marathon-bridge/config.toml";
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&wish());
    assert!(mind.text(FILE).unwrap().contains("\n  user haproxy\n"));
    let names_it = "\nextra-config = \"/etc/haproxy-marathon-bridge/haproxy.d\"\n";
    assert!(mind.text(OPTIONS).unwrap().contains(names_it));
    // Another user is the operator's choice.
    mind.put(FILE, "global\n  user lb\n");
    mind.install(&wish());
    assert!(mind.changed.is_empty(), "{:?}", mind.changed);

    let there = Mind::systemd(DEBIAN)
        .with("/usr/sbin/haproxy", "")
        .with("/lib/systemd/system/haproxy.service", "")
        .with("/etc/group", "haproxy:x:9:\n");
    let mut without = there.clone();
    without.install(&wish());
    assert!(without.text(FILE).is_none());
    assert!(!without.text(OPTIONS).unwrap().contains(names_it));
    let own = there
        .with("/etc/passwd", "haproxy:x:9:9::/:/bin/false\n")
        .with(OPTIONS, "poll = \"1m\"\n");
    let plan = install(&own.facts(), &wish()).unwrap();
    let notes = plan.notes.join("\n");
    assert!(
        notes.contains("HAProxy serves as root unless") && notes.contains(FILE),
        "{notes}"
    );
}

/// Elsewhere than on Debian nothing makes it, and HAProxy could not listen there.
#[test]
fn haproxys_sockets_have_a_folder() {
    const FILE: &str = "/etc/tmpfiles.d/haproxy-marathon-bridge.conf";
    let made = |mut mind: Mind| {
        mind.install(&wish());
        mind.text(FILE).is_some()
    };
    let host = || Mind::systemd(DEBIAN);
    assert!(made(host()));
    assert!(made(host().with(
        "/usr/lib/tmpfiles.d/x.conf",
        "d /run/haproxy-of-another 0755\n"
    )));
    assert!(!made(host().with(
        "/usr/lib/tmpfiles.d/haproxy.conf",
        "d /run/haproxy 2775 haproxy haproxy -\n"
    )));
    assert!(!made(
        host()
            .with("/usr/sbin/haproxy", "")
            .with("/etc/group", "haproxy:x:9:\n")
            .with(
                "/usr/lib/systemd/system/haproxy.service",
                "[Service]\nRuntimeDirectory=haproxy\n"
            )
    ));
}
