//! Whether cron has turns taken by the file for it.

use super::hosts::{DEBIAN, Mind, by};
use crate::config::Schedule;
use crate::install::{in_use, taken_by};

const FILE: &str = "/etc/cron.d/haproxy-marathon-bridge";

/// Where `install` puts the program.
const PATH: &str = "PATH=/usr/local/bin:/usr/bin:/bin\n";

/// What is wrong with a file of this text, and what mends it.
fn fault(text: &str) -> Option<(String, String)> {
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&by(Schedule::Cron));
    mind.put(FILE, &format!("{PATH}{text}"));
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
    let text = "MAILTO=x\nPATH=/usr/local/bin:/usr/bin\n#* * * * * haproxy-marathon-bridge refresh\n0 1 * * * backup\n\
                * * * * * /usr/local/bin/haproxy-marathon-bridge refresh\n\
                */5 * * * * haproxy-marathon-bridge refresh_system_haproxy\n\
                */5 * * * * python /opt/servicerouter.py>/dev/null -m http://m1:8080\n\
                * * * * * haproxy-marathon-bridge status\n\
                0 3 * * * cp /opt/marathon_lb.py /backup\n";
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&by(Schedule::Cron));
    let taken = taken_by(&mind, text, Some("root"));
    let by: Vec<Option<&str>> = taken.iter().map(|taken| taken.by).collect();
    assert_eq!(by, [None, None, Some("servicerouter.py")]);
    let sets: Vec<Option<&str>> = taken.iter().map(|taken| taken.set.as_deref()).collect();
    assert_eq!(sets, [Some("native"), Some("bridge"), None]);
    assert!(taken.iter().all(|taken| taken.fault.is_none()), "{taken:?}");
}

#[test]
fn a_line_that_cannot_run_says_why() {
    let mut mind = Mind::systemd(DEBIAN);
    let why = |mind: &Mind, line: &str, user| {
        let taken = taken_by(mind, &format!("{PATH}{line}"), user);
        let fault = taken[0].fault.clone();
        fault.map_or_else(String::new, |fault| fault.why)
    };
    let line = "* * * * * haproxy-marathon-bridge refresh";
    assert!(why(&mind, line, Some("root")).contains("which is not there"));
    mind.install(&by(Schedule::Cron));
    assert_eq!(why(&mind, line, Some("root")), "");
    assert!(why(&mind, line, Some("bob")).contains("no user `bob`"));
    let named = "* * * * * bob haproxy-marathon-bridge refresh";
    assert!(why(&mind, named, None).contains("no user `bob`"));
    for (time, says) in [
        ("@yearly", "at `@yearly` only"),
        ("0 0 30 2 *", "at `0 0 30 2 *` only"),
        ("61 * * * *", "found `61` as minute"),
    ] {
        let line = format!("{time} haproxy-marathon-bridge refresh");
        let why = why(&mind, &line, Some("root"));
        assert!(why.contains(says), "{why}");
    }
    let gone = "* * * * * /gone/haproxy-marathon-bridge refresh";
    assert!(why(&mind, gone, Some("root")).contains("`/gone/haproxy-marathon-bridge`, which"));
}

#[test]
fn a_turn_is_known_in_whatever_words_of_the_shell_it_is_called() {
    for (command, set) in [
        ("haproxy-marathon-bridge refresh", "native"),
        (
            "sh -c \"/usr/local/bin/haproxy-marathon-bridge refresh\"",
            "native",
        ),
        (
            "\"/usr/local/bin/haproxy-marathon-bridge\" refresh",
            "native",
        ),
        ("haproxy-marathon-bridge refresh; true", "native"),
        ("haproxy-marathon-bridge refresh;true", "native"),
        ("haproxy-marathon-bridge refresh>/dev/null 2>&1", "native"),
        ("(haproxy-marathon-bridge refresh)", "native"),
        (
            "test -x /usr/bin/haproxy-marathon-bridge && haproxy-marathon-bridge refresh",
            "native",
        ),
        (
            "haproxy-marathon-bridge refresh --template-set=bridge",
            "bridge",
        ),
        (
            "haproxy-marathon-bridge refresh --template-set marathon-lb",
            "marathon-lb",
        ),
        (
            "haproxy-marathon-bridge logged refresh_system_haproxy $(cat /x)",
            "bridge",
        ),
        (
            "haproxy-marathon-bridge leader:8080 > haproxy.cfg && reload",
            "bridge",
        ),
        (
            "haproxy-marathon-bridge $(cat /x) >/etc/haproxy/haproxy.cfg",
            "bridge",
        ),
        (
            "haproxy-marathon-bridge marathon-lb -m http://m1:8080",
            "marathon-lb",
        ),
        (
            "haproxy-marathon-bridge servicerouter -m http://m1:8080",
            "servicerouter",
        ),
        ("haproxy-marathon-bridge status", ""),
        ("haproxy-marathon-bridge leader:8080 | mail ops", ""),
        (
            "tar cf x.tar /usr/local/bin/haproxy-marathon-bridge refresh",
            "",
        ),
        ("echo haproxy-marathon-bridge; echo refresh", ""),
    ] {
        let line = format!("* * * * * {command}");
        let taken = taken_by(&Mind::systemd(DEBIAN), &line, Some("root"));
        let found = taken.first().and_then(|taken| taken.set.as_deref());
        assert_eq!(found.unwrap_or_default(), set, "{command}");
        if !set.is_empty() {
            let fault = fault(&format!("* * * * * root {command}\n"));
            assert!(
                !fault.is_some_and(|(why, _)| why.contains("no line in it")),
                "{command}"
            );
        }
    }
}

#[test]
fn two_forms_in_one_file_undo_each_other_and_a_carriage_return_is_no_end() {
    let native = "* * * * * root haproxy-marathon-bridge refresh\n";
    let (why, fix) = fault(&format!(
        "{native}* * * * * root haproxy-marathon-bridge refresh_system_haproxy m1:8080\n"
    ))
    .unwrap();
    assert!(
        why.contains("in turns, one as the set native has it, another as bridge"),
        "{why}"
    );
    assert!(fix.starts_with("take all but one"), "{fix}");
    let same = "* * * * * root haproxy-marathon-bridge m1:8080 > /etc/haproxy/haproxy.cfg\n";
    let (why, _) = fault(&format!("{native}{same}")).unwrap();
    assert!(why.contains("another as bridge"), "{why}");
    // Each of two HAProxys has a file of its own.
    let other = "* * * * * root haproxy-marathon-bridge refresh --haproxy-config /srv/b.cfg \
                 --template-set marathon-lb\n";
    assert_eq!(fault(&format!("{native}{other}")), None);
    let (why, fix) = fault(&native.replace('\n', "\r\n")).unwrap();
    assert!(why.contains("carriage return"), "{why}");
    assert!(fix.starts_with("sed -i"), "{fix}");
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
