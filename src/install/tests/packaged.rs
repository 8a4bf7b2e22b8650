//! What a package of ours brought is used, as far as it fits the host.

use super::hosts::{DEBIAN, Mind, by, wish};
use crate::config::Schedule;

use crate::install::{Facts, HAPROXY, Removal, SERVICE, Wish, has_user, install, uninstall};

const OPTIONS: &str = "/etc/haproxy-marathon-bridge/config.toml";
const SERVES_AS: &str = "/etc/haproxy-marathon-bridge/haproxy.d/user.cfg";
const UNIT: &str = "/etc/systemd/system/haproxy-marathon-bridge.service";

/// With the unit as `packaging/stage` makes it.
fn packaged() -> Mind {
    let mut mind = Mind::systemd(DEBIAN);
    for (name, text) in [
        (
            "haproxy-marathon-bridge.service",
            include_str!("../../../packaging/systemd/haproxy-marathon-bridge.service"),
        ),
        (
            "haproxy-marathon-bridge-refresh.service",
            include_str!("../../../packaging/systemd/haproxy-marathon-bridge-refresh.service"),
        ),
        (
            "haproxy-marathon-bridge-refresh.timer",
            include_str!("../../../packaging/systemd/haproxy-marathon-bridge-refresh.timer"),
        ),
    ] {
        let (_, rest) = text.split_once('\n').unwrap();
        let rest = rest.replace("/usr/local/bin/", "/usr/bin/");
        let path = format!("/usr/lib/systemd/system/{name}");
        mind.put(&path, &format!("# As packaged.\n{rest}"));
    }
    mind
}

fn packaged_facts(mind: &Mind) -> Facts {
    Facts::of(
        mind,
        false,
        "/usr/bin/haproxy-marathon-bridge".as_ref(),
        HAPROXY.as_ref(),
    )
}

fn install_packaged(mind: &mut Mind, wish: &Wish) -> Vec<String> {
    let plan = install(&packaged_facts(mind), wish).unwrap();
    mind.follow(&plan);
    plan.notes
}

#[test]
fn a_package_of_ours_brought_program_and_units() {
    let mind = packaged();
    let plan = install(&packaged_facts(&mind), &wish()).unwrap();
    let told: Vec<String> = plan.actions.iter().map(ToString::to_string).collect();
    let told = told.join("\n");
    assert!(
        !told.contains("/usr/local") && !told.contains("write the unit"),
        "{told}"
    );
    assert!(
        told.contains("`/usr/bin/haproxy-marathon-bridge refresh`"),
        "{told}"
    );
}

/// The unit of the package may write to /etc/haproxy alone, and wants a group `haproxy`.
#[test]
fn where_the_unit_of_the_package_does_not_fit_another_one_is_written() {
    let mut elsewhere = packaged();
    install_packaged(
        &mut elsewhere,
        &Wish {
            config: "/srv/lb/haproxy.cfg".into(),
            ..wish()
        },
    );
    let unit = elsewhere.text(UNIT).unwrap();
    for line in [
        "ReadWritePaths=/srv/lb\n",
        "ExecStart=/usr/bin/haproxy-marathon-bridge watch\n",
    ] {
        assert!(unit.contains(line), "{unit}");
    }

    let mut without_group = packaged()
        .with("/usr/sbin/haproxy", "")
        .with("/lib/systemd/system/haproxy.service", "");
    install_packaged(&mut without_group, &by(Schedule::Timer));
    let of = |name: &str| without_group.text(&format!("/etc/systemd/system/{name}"));
    let unit = of("haproxy-marathon-bridge-refresh.service").unwrap();
    assert!(!unit.contains("SupplementaryGroups="), "{unit}");
    assert_eq!(of("haproxy-marathon-bridge-refresh.timer"), None);
}

/// systemd prefers it, and it runs the program of then.
#[test]
fn the_unit_of_an_earlier_installation_makes_way_for_that_of_the_package() {
    let mut mind = packaged();
    mind.install(&wish());
    assert!(mind.text(UNIT).unwrap().contains("/usr/local/bin/"));
    install_packaged(&mut mind, &wish());
    assert_eq!(mind.text(UNIT), None);
    let ran = |mind: &Mind, line: &str| mind.ran.iter().any(|ran| ran == line);
    assert!(ran(&mind, "systemctl daemon-reload"), "{:?}", mind.ran);
    let restart = "systemctl try-restart haproxy-marathon-bridge.service";
    assert!(ran(&mind, restart), "{:?}", mind.ran);
    install_packaged(&mut mind, &wish());
    assert_eq!(mind.ran, ["/usr/bin/haproxy-marathon-bridge refresh"]);

    // One that tells of no package, though the program lies where packages put theirs.
    let mut copied = Mind::systemd(DEBIAN);
    copied.install(&wish());
    assert_eq!(packaged_facts(&copied).packaged, None);
}

#[test]
fn a_unit_that_somebody_wrote_is_kept_and_told() {
    let own = "[Service]\nExecStart=/opt/own watch\n";
    let elsewhere = Wish {
        config: "/srv/lb/haproxy.cfg".into(),
        ..wish()
    };
    // Whether the unit of the package fits, or does not, or there is no package.
    for wish in [wish(), elsewhere] {
        let mut mind = packaged().with(UNIT, own);
        let notes = install_packaged(&mut mind, &wish);
        assert_eq!(mind.text(UNIT).unwrap(), own);
        let is_told = |note: &String| note.contains("somebody else wrote it");
        assert!(notes.iter().any(is_told), "{notes:?}");
    }
    let mut mind = Mind::systemd(DEBIAN).with(UNIT, own);
    mind.install(&wish());
    assert_eq!(mind.text(UNIT).unwrap(), own);
}

/// The package's tool would ask about it at the next upgrade.
#[test]
fn options_of_the_package_are_left_as_they_are() {
    let options = include_str!("../../../packaging/etc/config.toml");
    let serves_as = include_str!("../../../packaging/etc/haproxy.d/user.cfg");
    for schedule in [Schedule::Service, Schedule::Cron] {
        let mut mind = packaged().with(OPTIONS, options).with(SERVES_AS, serves_as);
        let notes = install_packaged(&mut mind, &by(schedule));
        assert!(
            !notes.iter().any(|note| note.contains("config.toml")),
            "{notes:?}"
        );
        let removal = Removal {
            purge: false,
            config: wish().config,
            copies: Vec::new(),
            state_dir: wish().state_dir,
        };
        let removed = uninstall(&packaged_facts(&mind), &removal);
        mind.follow(&removed);
        assert_eq!(mind.text(OPTIONS).unwrap(), options);
        assert_eq!(mind.text(SERVES_AS).unwrap(), serves_as);
    }
}

/// Wherever systemd finds the unit and what is dropped in.
#[test]
fn the_user_of_a_unit_is_found_where_it_is_named() {
    assert!(!has_user(&packaged(), SERVICE));
    for folder in ["/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib"] {
        let drop_in = format!("{folder}/systemd/system/{SERVICE}.d/user.conf");
        assert!(
            has_user(&packaged().with(&drop_in, "[Service]\nUser=joe\n"), SERVICE),
            "{folder}"
        );
        let remark = packaged().with(&drop_in, "[Service]\n#User=joe\n");
        assert!(!has_user(&remark, SERVICE), "{folder}");
    }
    assert!(has_user(
        &packaged().with(UNIT, "[Service]\n User=joe\n"),
        SERVICE
    ));
}
