//! Whether cron has turns taken by the file for it.

use super::hosts::{DEBIAN, Mind, by};
use crate::config::Schedule;
use crate::install::{in_use, taken_by};

const FILE: &str = "/etc/cron.d/haproxy-marathon-bridge";

/// What is wrong with a file of this text, and what mends it.
fn fault(text: &str) -> Option<(String, String)> {
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&by(Schedule::Cron));
    mind.put(FILE, text);
    in_use(&mind, &mind.facts()).remove(0).fault
}

#[test]
fn times_that_cron_reads_are_no_fault() {
    for time in [
        "* * * * *",
        "*/5 0-23/2 1,15,31 jan-Mar MON-fri",
        "59 23 31 12 7",
        "0~30 ~ * * sun",
        "@hourly",
        "@reboot",
    ] {
        let text = format!("MAILTO = \"\"\n{time} root haproxy-marathon-bridge refresh\n");
        assert_eq!(fault(&text), None, "{time}");
    }
}

#[test]
fn what_cron_leaves_out_is_told() {
    for (time, says) in [
        ("61 * * * *", "found `61` as minute, expected 0 to 59"),
        ("* 24 * * *", "found `24` as hour"),
        ("* * 0 * *", "found `0` as day of the month"),
        ("* * * 13 *", "found `13` as month"),
        ("* * * * 8", "found `8` as day of the week"),
        ("*/0 * * * *", "found `*/0` as minute"),
        ("1,,2 * * * *", "found `1,,2` as minute"),
        ("often * * * *", "found `often` as minute"),
        ("@often", "found the time `@often`"),
    ] {
        let (why, _) = fault(&format!("{time} root haproxy-marathon-bridge refresh\n")).unwrap();
        assert!(why.contains(says), "{time}: {why}");
    }
    for (text, says) in [
        (
            "* * * * * root haproxy-marathon-bridge refresh",
            "last line does not end",
        ),
        (
            "* * * * * nobody-here haproxy-marathon-bridge refresh\n",
            "no user `nobody-here`",
        ),
        ("* * * * *\n", "ends before a command"),
        ("* * * * * root\n", "ends before a command"),
        ("# nothing\n", "no line in it"),
    ] {
        let (why, _) = fault(text).unwrap();
        assert!(why.contains(says), "{text}: {why}");
    }
}

#[test]
fn jobs_of_others_take_no_turns_and_say_nothing_of_ours() {
    const OTHERS: &str = "* * * * * root refresh_system_haproxy\n";
    let (why, fix) = fault(OTHERS).unwrap();
    assert!(why.contains("no line in it calls this program"), "{why}");
    assert!(fix.ends_with("install --cron"), "{fix}");
    let both = format!("{OTHERS}* * * * * root haproxy-marathon-bridge refresh\n");
    assert_eq!(fault(&both), None);
    let mut mind = Mind::systemd(DEBIAN);
    mind.put(FILE, &both.replacen("root", "daemon", 1));
    let user = in_use(&mind, &mind.facts()).remove(0).user;
    assert_eq!(user.as_deref(), Some("root"));
    let gone = both.replace(" haproxy-m", " /gone/haproxy-m");
    let (why, _) = fault(&gone).unwrap();
    assert!(
        why.contains("`/gone/haproxy-marathon-bridge`, which"),
        "{why}"
    );
}

#[test]
fn a_crontab_names_no_user_and_may_have_a_predecessor_run() {
    let text = "MAILTO=x\n#* * * * * haproxy-marathon-bridge refresh\n0 1 * * * backup\n\
                * * * * * /usr/local/bin/haproxy-marathon-bridge refresh\n\
                @reboot haproxy-marathon-bridge refresh_system_haproxy\n\
                */5 * * * * python /opt/servicerouter.py -m http://m1:8080\n\
                * * * * * haproxy-marathon-bridge status\n";
    let taken = taken_by(text);
    let by: Vec<Option<&str>> = taken.iter().map(|taken| taken.by).collect();
    assert_eq!(by, [None, None, Some("servicerouter.py")]);
    assert!(taken[1].line.starts_with("@reboot "), "{taken:?}");
}

/// Alpine's own, which reads no `/etc/cron.d`.
#[test]
fn a_crond_of_busybox_that_runs_has_no_turns_taken() {
    let runs = |mind: &Mind| in_use(mind, &mind.facts()).remove(0).runs;
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&by(Schedule::Cron));
    mind.put("/proc/7/comm", "crond\n");
    assert!(runs(&mind.clone().linked("/proc/7/exe", "/usr/sbin/crond")));
    assert!(!runs(&mind.linked("/proc/7/exe", "/bin/busybox")));
}
