//! What an installation does, and does not do again.

use super::hosts::{DEBIAN, Mind, by, wish};
use crate::config::{ReloadMethod, Schedule};

use crate::install::{Facts, HAPROXY, Init, Step, Wish, install};

fn actions(mind: &Mind, wish: &Wish) -> Vec<String> {
    let plan = install(&mind.facts(), wish).unwrap();
    plan.actions.iter().map(ToString::to_string).collect()
}

#[test]
fn a_fresh_host_with_systemd_gets_haproxy_and_a_service() {
    insta::assert_snapshot!(actions(&Mind::systemd(DEBIAN), &wish()).join("\n"), @"
    install the package `haproxy`: `apt-get update && env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends haproxy`
    keep `/usr/local/bin/haproxy-marathon-bridge` as `/usr/local/bin/haproxy-marathon-bridge.before-haproxy-marathon-bridge`, unless it is ours
    copy this program to `/usr/local/bin/haproxy-marathon-bridge`
    write the list of Marathons `/etc/haproxy-marathon-bridge/marathons`: m1:8080
    have HAProxy serve as the user `haproxy`: `/etc/haproxy-marathon-bridge/haproxy.d/user.cfg`
    write a file of options `/etc/haproxy-marathon-bridge/config.toml`
    keep `/etc/haproxy/haproxy.cfg` as `/etc/haproxy/haproxy.cfg.before-haproxy-marathon-bridge`, unless it is ours
    keep `/etc/cron.d/haproxy-marathon-bridge` as `/etc/haproxy-marathon-bridge/cron-file.before-haproxy-marathon-bridge`, unless it is ours
    remove `/etc/cron.d/haproxy-marathon-bridge`
    stop `haproxy-marathon-bridge-refresh.timer`, and start it no more: `systemctl disable --now haproxy-marathon-bridge-refresh.timer`
    remove `/etc/systemd/system/timers.target.wants/haproxy-marathon-bridge-refresh.timer`
    remove `/etc/systemd/system/haproxy-marathon-bridge-refresh.timer`
    remove `/etc/systemd/system/haproxy-marathon-bridge-refresh.service`
    write the unit `/etc/systemd/system/haproxy-marathon-bridge.service`
    have systemd read its units: `systemctl daemon-reload`
    write ENABLED=1 in the place of ENABLED=0 into `/etc/default/haproxy`
    have the folder of HAProxy's sockets made: `/etc/tmpfiles.d/haproxy-marathon-bridge.conf`
    bring HAProxy in step once: `/usr/local/bin/haproxy-marathon-bridge refresh`
    start `haproxy`, now and with the host: `systemctl enable --now haproxy`
    restart `haproxy-marathon-bridge.service` as it is now: `systemctl try-restart haproxy-marathon-bridge.service`
    start `haproxy-marathon-bridge.service`, now and with the host: `systemctl enable --now haproxy-marathon-bridge.service`
    ");
}

#[test]
fn each_distribution_brings_haproxy_and_cron_its_own_way() {
    for (os_release, files, haproxy, cron) in [
        (
            "ID=ubuntu\n",
            &["/var/lib/apt/lists/x_Packages"][..],
            "env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends haproxy",
            "cron",
        ),
        (
            "ID=rocky\nID_LIKE=\"rhel\"\n",
            &[],
            "yum install -y haproxy",
            "crond",
        ),
        // dnf alone is there.
        (
            "ID=ol\n",
            &["/usr/bin/dnf"],
            "dnf install -y haproxy",
            "crond",
        ),
        ("ID=amzn\n", &[], "yum install -y haproxy", "crond"),
        ("ID=fedora\n", &[], "dnf install -y haproxy", "crond"),
        (
            "ID=sles\n",
            &[],
            "zypper --non-interactive install --auto-agree-with-licenses haproxy",
            "cron",
        ),
        (
            "ID=alpine\n",
            &["/var/cache/apk/APKINDEX.1.tar.gz"],
            "apk add haproxy",
            "cronie",
        ),
        (
            "ID=arch\n",
            &["/var/lib/pacman/sync/core.db"],
            "pacman -S --needed --noconfirm haproxy",
            "cronie",
        ),
        // Systems older than os-release.
        (
            "",
            &["/etc/SuSE-release"],
            "zypper --non-interactive install --auto-agree-with-licenses haproxy",
            "cron",
        ),
        (
            "",
            &["/etc/redhat-release"],
            "yum install -y haproxy",
            "crond",
        ),
        (
            "ID=unheard-of\n",
            &["/usr/bin/pacman", "/var/lib/pacman/sync/core.db"],
            "pacman -S --needed --noconfirm haproxy",
            "cronie",
        ),
    ] {
        let mut mind = Mind::systemd(os_release);
        for file in files {
            mind.put(file, "");
        }
        mind.install(&by(Schedule::Cron));
        let enabled = format!("systemctl enable --now {cron}");
        assert_eq!(
            mind.ran,
            [
                haproxy,
                "systemd-tmpfiles --create /etc/tmpfiles.d/haproxy-marathon-bridge.conf",
                "/usr/local/bin/haproxy-marathon-bridge refresh",
                "systemctl enable --now haproxy",
                enabled.as_str()
            ],
            "{os_release}"
        );
    }
    let mut amazon =
        Mind::systemd("").with("/etc/system-release", "Amazon Linux AMI release 2013.03");
    amazon.install(&by(Schedule::Cron));
    assert_eq!(amazon.ran[0], "yum install -y haproxy");
}

#[test]
fn a_fresh_image_learns_first_which_packages_there_are() {
    for (os_release, update) in [
        (DEBIAN, "apt-get update"),
        ("ID=alpine\n", "apk update"),
        ("ID=arch\n", "pacman -Sy --noconfirm"),
    ] {
        let mut mind = Mind::systemd(os_release);
        mind.install(&wish());
        assert_eq!(mind.ran[0], update);
        assert!(mind.ran[1].ends_with(" haproxy"), "{:#?}", mind.ran);
    }
}

#[test]
fn a_second_call_changes_nothing() {
    for schedule in [Schedule::Cron, Schedule::Timer, Schedule::Service] {
        let mut mind = Mind::systemd(DEBIAN);
        let (done, _) = mind.install(&by(schedule));
        assert!(done.failed == 0 && done.done > 5, "{done:?}");
        let (done, steps) = mind.install(&by(schedule));
        assert_eq!((done.done, done.failed), (1, 0), "{steps:#?}");
        // Which finds by itself that nothing is to be done.
        assert_eq!(mind.ran, ["/usr/local/bin/haproxy-marathon-bridge refresh"]);
        assert_eq!(mind.changed, [""; 0]);
    }
}

#[test]
fn what_failed_and_what_is_left_is_told_and_a_second_call_goes_on() {
    let mut mind = Mind::systemd(DEBIAN);
    mind.fails = Some("systemctl enable --now haproxy");
    let (done, steps) = mind.install(&wish());
    assert_eq!((done.failed, done.left), (1, 1), "{steps:#?}");
    let failed = steps.iter().find_map(|(action, step)| match step {
        Step::Failed(why) => Some((action.as_str(), why.as_str())),
        _ => None,
    });
    let (action, why) = failed.unwrap();
    assert!(action.starts_with("start `haproxy`"), "{action}");
    assert_eq!(why, "exit status: 1\nno such luck");
    let service = "systemctl enable --now haproxy-marathon-bridge.service";
    assert!(!mind.ran.iter().any(|line| line == service));

    mind.fails = None;
    mind.install(&wish());
    assert_eq!(
        mind.ran,
        [
            "/usr/local/bin/haproxy-marathon-bridge refresh",
            "systemctl enable --now haproxy",
            "systemctl enable --now haproxy-marathon-bridge.service",
        ]
    );
}

/// Marathon may well be away at this moment; cron and watcher get over it.
#[test]
fn a_first_turn_that_fails_does_not_keep_the_service_from_being_started() {
    let mut mind = Mind::systemd(DEBIAN);
    mind.fails = Some("/usr/local/bin/haproxy-marathon-bridge refresh");
    let (done, _) = mind.install(&wish());
    assert_eq!((done.failed, done.left), (1, 0));
    let last = "systemctl enable --now haproxy-marathon-bridge.service";
    assert_eq!(mind.ran.last().unwrap(), last);
}

#[test]
fn hosts_replace_the_list_and_none_keeps_it() {
    const LIST: &str = "/etc/haproxy-marathon-bridge/marathons";
    let none = || Wish {
        hosts: Vec::new(),
        ..wish()
    };
    let mut mind = Mind::systemd(DEBIAN).with(LIST, "# ours\nold:8080\n");
    mind.install(&none());
    assert_eq!(mind.text(LIST).unwrap(), "# ours\nold:8080\n");
    mind.install(&wish());
    assert_eq!(mind.text(LIST).unwrap(), "m1:8080\n");

    for list in [None, Some(""), Some("# nobody yet\n")] {
        let mut mind = Mind::systemd(DEBIAN);
        if let Some(text) = list {
            mind.put(LIST, text);
        }
        let why = install(&mind.facts(), &none()).unwrap_err();
        assert!(
            why.contains("no Marathon is known") && why.contains("HOST:PORT"),
            "{why}"
        );
        let by_options = Wish {
            options_name_marathons: true,
            ..none()
        };
        assert!(install(&mind.facts(), &by_options).is_ok());
    }
}

#[test]
fn a_list_with_a_password_is_for_root_alone_and_not_told() {
    let mut mind = Mind::systemd(DEBIAN);
    let secret = Wish {
        hosts: vec!["http://joe:s3cret@m1:8080".to_owned()],
        ..wish()
    };
    let (_, steps) = mind.install(&secret);
    assert_eq!(mind.mode("/etc/haproxy-marathon-bridge/marathons"), 0o600);
    assert!(!format!("{steps:?}").contains("s3cret"), "{steps:#?}");
}

#[test]
fn the_file_of_before_is_kept_once() {
    const KEPT: &str = "/etc/haproxy/haproxy.cfg.before-haproxy-marathon-bridge";
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&wish());
    assert_eq!(mind.text(KEPT).unwrap(), "of the package");
    mind.install(&wish());
    assert_eq!(mind.changed, [""; 0]);
}

#[test]
fn cron_in_the_place_of_a_unit_has_systemd_read_that_it_is_gone() {
    for before in [Schedule::Timer, Schedule::Service] {
        let mut mind = Mind::systemd(DEBIAN);
        mind.install(&by(before));
        mind.install(&by(Schedule::Cron));
        let is_it = |line: &String| line == "systemctl daemon-reload";
        assert!(mind.ran.iter().any(is_it), "{:#?}", mind.ran);
    }
}

#[test]
fn a_turn_that_found_nothing_to_do_is_told_to() {
    let (_, steps) = Mind::systemd(DEBIAN).install(&wish());
    let told = |(_, step): &(String, Step)| matches!(step, Step::Done(told) if told.contains("nothing was to be done"));
    assert!(steps.iter().any(told), "{steps:#?}");
}

#[test]
fn one_schedule_takes_the_place_of_another() {
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&by(Schedule::Cron));
    assert!(mind.text("/etc/cron.d/haproxy-marathon-bridge").is_some());
    mind.install(&by(Schedule::Timer));
    assert!(mind.text("/etc/cron.d/haproxy-marathon-bridge").is_none());
    mind.install(&by(Schedule::Service));
    assert_eq!(
        mind.ran[..2],
        [
            "systemctl disable --now haproxy-marathon-bridge-refresh.timer",
            "systemctl daemon-reload"
        ]
    );
    let units: Vec<_> = mind
        .changed
        .iter()
        .filter(|change| change.contains("systemd"))
        .collect();
    assert_eq!(
        units,
        [
            "remove /etc/systemd/system/haproxy-marathon-bridge-refresh.timer",
            "remove /etc/systemd/system/haproxy-marathon-bridge-refresh.service",
            "write /etc/systemd/system/haproxy-marathon-bridge.service",
        ]
    );
}

#[test]
fn options_that_nobody_changed_follow_and_others_stay() {
    const OPTIONS: &str = "/etc/haproxy-marathon-bridge/config.toml";
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&by(Schedule::Cron));
    let by_cron = mind.text(OPTIONS).unwrap();
    mind.install(&by(Schedule::Service));
    assert!(
        mind.text(OPTIONS)
            .unwrap()
            .contains("\nreload = \"systemd\"\n")
    );
    let own = by_cron.replace("#poll", "poll");
    mind.put(OPTIONS, &own);
    let plan = install(&mind.facts(), &by(Schedule::Service)).unwrap();
    assert!(
        plan.notes
            .iter()
            .any(|note| note.contains("is kept as it is")),
        "{plan:#?}"
    );
    mind.follow(&plan);
    assert_eq!(mind.text(OPTIONS).unwrap(), own);
}

#[test]
fn a_watcher_that_runs_is_restarted_for_another_program_alone() {
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&wish());
    let other = Wish {
        program: "newer program".into(),
        ..wish()
    };
    mind.install(&other);
    let restart = "systemctl try-restart haproxy-marathon-bridge.service";
    assert_eq!(mind.ran.iter().filter(|line| *line == restart).count(), 1);
    mind.install(&other);
    assert!(!mind.ran.contains(&restart.to_owned()));
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_done() {
    let refused = |mind: &Mind, wish: &Wish| install(&mind.facts(), wish).unwrap_err();
    // Built by hand, and run by nobody knows whom.
    let foreign = Mind::systemd(DEBIAN).with("/usr/local/sbin/haproxy", "");
    for schedule in [Schedule::Timer, Schedule::Service] {
        let why = refused(&foreign, &by(schedule));
        assert!(
            why.contains("no unit `haproxy.service`") && why.contains("--cron"),
            "{why}"
        );
        let why = refused(&Mind::bare(DEBIAN), &by(schedule));
        assert!(why.contains("expected systemd"), "{why}");
        let sf = Wish {
            reload: ReloadMethod::Sf,
            ..by(schedule)
        };
        let why = refused(&Mind::systemd(DEBIAN), &sf);
        assert!(why.contains("a child of our unit"), "{why}");
    }
    assert!(install(&foreign.facts(), &by(Schedule::Cron)).is_ok());
    let why = refused(&Mind::systemd("ID=plan9\n"), &wish());
    assert!(why.contains("by hand"), "{why}");
    // Where it is there already, nobody has to bring it.
    let there = Mind::systemd("ID=plan9\n")
        .with("/usr/sbin/haproxy", "")
        .with("/lib/systemd/system/haproxy.service", "");
    assert!(install(&there.facts(), &wish()).is_ok());
}

#[test]
fn the_calls_of_the_bash_script_install_its_line_for_cron() {
    let mut mind = Mind::systemd(DEBIAN);
    mind.install(&Wish {
        as_bridge: true,
        haproxy: false,
        ..by(Schedule::Cron)
    });
    let line = mind.text("/etc/cron.d/haproxy-marathon-bridge").unwrap();
    assert_eq!(line, include_str!("../../../packaging/cron/bridge"));
    assert_eq!(
        mind.ran,
        [
            "/usr/local/bin/haproxy-marathon-bridge refresh_system_haproxy",
            "systemctl enable --now cron"
        ]
    );
}

#[test]
fn init_scripts_and_openrc_are_spoken_to_in_their_words() {
    let of = |init: &str| {
        let mut mind = Mind::bare(DEBIAN).with("/usr/sbin/cron", "").with(init, "");
        mind.put("/etc/default/haproxy", "# x\nENABLED=0\n");
        mind.install(&wish());
        assert_eq!(
            mind.text("/etc/default/haproxy").unwrap(),
            "# x\nENABLED=1\n"
        );
        mind.ran[3..5].to_vec()
    };
    let scripts = ["update-rc.d haproxy defaults", "service haproxy start"];
    assert_eq!(of("/etc/init.d/README"), scripts);
    let openrc = ["rc-update add haproxy default", "rc-service haproxy start"];
    assert_eq!(of("/sbin/openrc-run"), openrc);
}

/// Alpine's own crond does not read /etc/cron.d.
#[test]
fn the_crond_of_busybox_does_not_do() {
    let facts = |mind: &Mind| Facts::of(mind, false, "/x".as_ref(), HAPROXY.as_ref());
    let alpine = Mind::bare("ID=alpine\n").linked("/usr/sbin/crond", "/bin/busybox");
    assert!(!facts(&alpine).cron);
    let (_, steps) = alpine.clone().install(&wish());
    assert!(
        steps
            .iter()
            .any(|(action, _)| action.contains("apk add cronie")),
        "{steps:#?}"
    );
    assert!(facts(&Mind::bare("").with("/usr/sbin/crond", "")).cron);
    assert_eq!(facts(&alpine).init, Init::Nobody);
}

#[test]
fn in_an_empty_tree_the_packages_are_left_to_whoever_fills_it() {
    let facts = Facts::of(&Mind::bare(""), true, "/x".as_ref(), HAPROXY.as_ref());
    let plan = install(&facts, &by(Schedule::Cron)).unwrap();
    let later = plan.later.join("\n");
    assert!(
        later.contains("package `haproxy`") && later.contains("package `cron`"),
        "{later}"
    );
}

#[test]
fn in_a_tree_no_command_is_run_and_what_is_left_is_told() {
    let mind = Mind::bare(DEBIAN).with("/usr/lib/systemd/systemd", "");
    let facts = Facts::of(&mind, true, "/x".as_ref(), HAPROXY.as_ref());
    let plan = install(&facts, &wish()).unwrap();
    let mut tree = mind;
    tree.follow(&plan);
    assert_eq!(tree.ran, [""; 0]);
    let link = "/etc/systemd/system/multi-user.target.wants/haproxy-marathon-bridge.service";
    assert!(
        tree.changed.contains(&format!("link {link}")),
        "{:#?}",
        tree.changed
    );
    let later = plan.later.join("\n");
    assert!(
        later.contains("apt-get install -y --no-install-recommends haproxy"),
        "{later}"
    );
    assert!(later.contains("start HAProxy with the host"), "{later}");
}
