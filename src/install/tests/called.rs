//! How a line of cron's calls this program: by which options, from where, and as whom.

use super::hosts::{DEBIAN, Mind, by};
use crate::config::{DEFAULT_FILE, Schedule};
use crate::install::{Taken, in_use, taken_by};

const TURN: &str = "* * * * * /usr/local/bin/haproxy-marathon-bridge refresh";

/// The first line of a crontab of root's that takes turns, on a host with this file of options.
fn taken(options: &str, crontab: &str) -> Taken {
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&by(Schedule::Cron));
    mind.put(DEFAULT_FILE, options);
    mind.put("/srv/other.toml", "template-set = \"bridge\"\n");
    mind.put("/etc/environment", "LANG=C\n");
    taken_by(&mind, crontab, Some("root")).remove(0)
}

fn set(options: &str, crontab: &str) -> String {
    taken(options, crontab).set.unwrap()
}

#[test]
fn a_line_writes_as_the_set_that_its_options_come_to() {
    const LB: &str = "template-set = \"marathon-lb\"\n";
    assert_eq!(set("", TURN), "native");
    assert_eq!(set(LB, TURN), "marathon-lb");
    // What is wrong elsewhere in it is told elsewhere.
    assert_eq!(set(&format!("nonsense = 1\n{LB}"), TURN), "marathon-lb");
    let call = "/usr/local/bin/haproxy-marathon-bridge refresh";
    for (crontab, expected) in [
        (format!("HMB_TEMPLATE_SET=bridge\n{TURN}"), "bridge"),
        (format!("HMB_TEMPLATE_SET = 'bridge' \n{TURN}"), "bridge"),
        (format!("{TURN}\nHMB_TEMPLATE_SET=bridge\n"), "marathon-lb"),
        (format!("HMB_CONFIG=/srv/other.toml\n{TURN}"), "bridge"),
        (format!("HMB_CONFIG=/srv/none.toml\n{TURN}"), "native"),
        (
            format!("HMB_TEMPLATE_SET=bridge\n{TURN} --template-set native"),
            "native",
        ),
        (format!("{TURN} --config=/srv/other.toml"), "bridge"),
        (format!("{TURN} --config '/srv/other.toml'"), "bridge"),
        (
            format!("* * * * * HMB_TEMPLATE_SET=bridge {call}"),
            "bridge",
        ),
        (
            format!("* * * * * HMB_TEMPLATE_SET=\"bridge\" {call}"),
            "bridge",
        ),
        (
            format!("* * * * * env A='b c' HMB_TEMPLATE_SET=bridge {call}"),
            "bridge",
        ),
        (
            format!("* * * * * export HMB_TEMPLATE_SET=bridge; {call}"),
            "bridge",
        ),
        (
            format!("* * * * * HMB_TEMPLATE_SET=bridge true; {call}"),
            "marathon-lb",
        ),
        (
            format!("* * * * * HMB_TEMPLATE_SET=bridge sudo {call}"),
            "marathon-lb",
        ),
        (
            format!("* * * * * HMB_TEMPLATE_SET=bridge sudo -E {call}"),
            "bridge",
        ),
        (
            format!("* * * * * sudo HMB_TEMPLATE_SET=bridge {call}"),
            "bridge",
        ),
        (
            format!("HMB_TEMPLATE_SET=bridge\n* * * * * env -i {call}"),
            "marathon-lb",
        ),
    ] {
        assert_eq!(set(LB, &crontab), expected, "{crontab}");
    }
    let file = "haproxy-config = \"/srv/b.cfg\"\n";
    assert_eq!(
        taken(file, TURN).file.as_deref(),
        Some("/srv/b.cfg".as_ref())
    );
}

#[test]
fn two_lines_of_one_file_are_of_one_set_where_their_options_say_so() {
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&by(Schedule::Cron));
    mind.put(DEFAULT_FILE, "template-set = \"marathon-lb\"\n");
    let line = "* * * * * root /usr/local/bin/haproxy-marathon-bridge refresh";
    let fault = |mind: &mut Mind, text: &str| {
        mind.put("/etc/cron.d/haproxy-marathon-bridge", text);
        in_use(mind, &mind.facts()).remove(0).fault
    };
    let same = format!("{line}\n{line} --template-set marathon-lb\n");
    assert_eq!(fault(&mut mind, &same), None);
    let other = format!("{line} --template-set native\n{line}\n");
    let (why, _) = fault(&mut mind, &other).unwrap();
    assert!(
        why.contains("as the set native has it, another as marathon-lb"),
        "{why}"
    );
}

/// Words in front of the program may name it, too.
#[test]
fn the_program_behind_others_that_run_it_is_found_by_its_place() {
    for front in [
        "sudo",
        "sudo -n -u root --",
        "nice -n 10",
        "nice -10",
        "ionice -c3 nice",
        "flock -n /run/haproxy-marathon-bridge",
        "flock -w 5 /run/lock/haproxy-marathon-bridge",
        "timeout -k 5 50",
        "env A=b",
        "chronic",
        "systemd-cat -t haproxy-marathon-bridge",
        "systemd-cat --identifier haproxy-marathon-bridge nice",
        "if true; then",
        "flock -n /run/haproxy-marathon-bridge -c '",
        "sh -c '",
    ] {
        let end = if front.ends_with('\'') { "'" } else { "" };
        let call = "/gone/haproxy-marathon-bridge refresh";
        let mind = Mind::systemd(DEBIAN);
        for (named, user) in [("", Some("root")), ("root ", None)] {
            let line = format!("* * * * * {named}{front} {call}{end}");
            let taken = taken_by(&mind, &line, user);
            let fault = format!("{:?}", taken[0].fault);
            assert!(
                fault.contains("it calls `/gone/haproxy-marathon-bridge`, which is not there"),
                "{line}: {fault}"
            );
        }
    }
    for line in [
        "* * * * * root cp /opt/haproxy-marathon-bridge refresh",
        "* * * * * root sudo cp /opt/haproxy-marathon-bridge refresh",
        "* * * * * root flock /run/haproxy-marathon-bridge refresh",
    ] {
        assert_eq!(taken_by(&Mind::systemd(DEBIAN), line, None), [], "{line}");
    }
}

#[test]
fn sudo_says_as_whom_a_line_runs() {
    for (front, user) in [
        ("", "joe"),
        ("sudo", "root"),
        ("sudo -u haproxy", "haproxy"),
        ("sudo -nu haproxy", "haproxy"),
        ("sudo --user=haproxy nice", "haproxy"),
        ("nice", "joe"),
    ] {
        let line = format!("* * * * * {front} haproxy-marathon-bridge refresh");
        let taken = taken_by(&Mind::systemd(DEBIAN), &line, Some("joe"));
        assert_eq!(taken[0].user, user, "{front}");
    }
}

#[test]
fn a_bare_name_is_looked_for_where_cron_does() {
    let bare = "* * * * * haproxy-marathon-bridge refresh";
    let fault = |crontab: &str| taken("", crontab).fault.map(|fault| format!("{fault:?}"));
    let told = fault(bare).unwrap_or_default();
    assert!(
        told.contains(
            "cron looks for `haproxy-marathon-bridge` in `/usr/bin:/bin`, and it is \
             `/usr/local/bin/haproxy-marathon-bridge`"
        ),
        "{told}"
    );
    assert!(told.contains("PATH=/usr/local/bin:/usr/bin:/bin"), "{told}");
    for (crontab, is_found) in [
        (TURN.to_owned(), true),
        (format!("PATH=/usr/local/bin:/usr/bin\n{bare}"), true),
        (format!("PATH = \"/usr/local/bin:/usr/bin\"\n{bare}"), true),
        (format!("{bare}\nPATH=/usr/local/bin\n"), false),
        (format!("PATH=/usr/bin:/bin\n{bare}"), false),
        // cron expands nothing.
        (format!("PATH=$PATH:/usr/local/bin:/x$HOME\n{bare}"), true),
        (format!("PATH=$HOME/../usr/local/bin\n{bare}"), false),
        (
            "* * * * * PATH=/usr/local/bin haproxy-marathon-bridge refresh".to_owned(),
            true,
        ),
        (
            "* * * * * PATH=$PATH:/usr/local/bin haproxy-marathon-bridge refresh".to_owned(),
            true,
        ),
        (
            "* * * * * PATH=$HOME/bin haproxy-marathon-bridge refresh".to_owned(),
            true,
        ),
        (
            "* * * * * cd /x && haproxy-marathon-bridge refresh".to_owned(),
            false,
        ),
        (
            "* * * * * nice haproxy-marathon-bridge refresh".to_owned(),
            false,
        ),
        // It has a path of its own.
        (
            "* * * * * sudo haproxy-marathon-bridge refresh".to_owned(),
            true,
        ),
    ] {
        assert_eq!(fault(&crontab).is_none(), is_found, "{crontab}");
    }
    // The package's is where all look.
    let mind = Mind::systemd(DEBIAN).with("/usr/bin/haproxy-marathon-bridge", "");
    assert!(taken_by(&mind, bare, Some("root"))[0].fault.is_none());
    // It hands its own on.
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&by(Schedule::Cron));
    for mind in [
        mind.clone()
            .with("/proc/7/comm", "crond\n")
            .with("/proc/7/cmdline", "crond\0-n\0-P\0"),
        mind.with("/proc/7/comm", "crond\n")
            .linked("/proc/7/exe", "/bin/busybox"),
    ] {
        assert!(taken_by(&mind, bare, Some("root"))[0].fault.is_none());
    }
}

#[test]
fn our_own_file_is_looked_at_by_cron_s_path_too() {
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&by(Schedule::Cron));
    let line = "* * * * * root haproxy-marathon-bridge refresh\n";
    mind.put("/etc/cron.d/haproxy-marathon-bridge", line);
    let (why, fix) = in_use(&mind, &mind.facts())
        .remove(0)
        .fault
        .unwrap_or_default();
    assert!(why.contains("in `/usr/bin:/bin`"), "{why}");
    assert!(fix.ends_with("install --cron"), "{fix}");
}
