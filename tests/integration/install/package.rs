//! The Debian package in a clean tree, from installation to purge: `make test-packages` makes both and
//! names them.

use std::fmt::Write as _;

use super::private_root::{Told, apps, made, run, run_in};

/// What the tree is asked at each stage.
pub(super) const QUESTIONS: &str = r#"
apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" < /dev/null 2>&1
}
await() {
    tries=0
    until "$@" > /dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 450 ]; then echo "never: $*" >&2; exit 1; fi
        sleep 0.2
    done
}
# What starts with the host or by itself, and every watcher.
starts() {
    find /etc/cron* /etc/rc*.d /etc/systemd /etc/init.d -name '*marathon*'
    cat /proc/[0-9]*/cmdline 2> /dev/null | tr '\0' ' ' | grep -o 'haproxy-marathon-bridg[e] watch' || true
}
left() { find / -xdev -path /opt -prune -o -name '*haproxy-marathon-bridge*' -print | sort; }
# Whether HAProxy takes connections at the service port of the last answer.
serves() { bash -c 'exec 3<> /dev/tcp/127.0.0.1/10082' && echo yes; }
status() { dpkg-query --show --showformat='${Status} ${Version}\n' haproxy-marathon-bridge; }
own=/etc/haproxy-marathon-bridge
shipped=/usr/share/doc/haproxy-marathon-bridge/templates
"#;

const CONFFILES: [&str; 2] = [
    "/etc/haproxy-marathon-bridge/config.toml",
    "/etc/haproxy-marathon-bridge/haproxy.d/user.cfg",
];

#[test]
fn it_is_installed_used_upgraded_removed_and_purged() {
    let (Some(now), Some(later), Some(tree)) =
        (made("HMB_DEB"), made("HMB_DEB_LATER"), made("HMB_TREE"))
    else {
        return;
    };
    let script = format!(
        r#"{QUESTIONS}
printf '%s' '{before}' > /srv/apps.json
echo "== clean"; for name in haproxy cron systemctl; do command -v $name || true; done
echo "== installed"; apt install /opt/now.deb
echo "== status"; status
echo "== asked for"; dpkg-query --show --showformat='${{db:Status-Abbrev}}\n' haproxy
echo "== starts"; starts
echo "== conffiles"; dpkg-query --show --showformat='${{Conffiles}}\n' haproxy-marathon-bridge
echo "== program"; haproxy-marathon-bridge --version
echo "== manual"; gzip -dc /usr/share/man/man8/haproxy-marathon-bridge.8.gz | grep -c dry
echo "== configured"; haproxy-marathon-bridge install --cron file:/srv/apps.json 2>&1
echo "== again"; haproxy-marathon-bridge install --cron 2>&1 | grep '^done'
echo "== served"; grep -x 'backend web_10080' /etc/haproxy/haproxy.cfg
echo "== well"; haproxy-marathon-bridge doctor 2>&1
printf '%s' '{after}' > /srv/apps.json
echo "== followed by cron"; await grep -q web_10081 /etc/haproxy/haproxy.cfg; echo yes

mkdir -p $own/templates/fragments
sed 's/tarpit 60s/tarpit 61s/' $shipped/native/fragments/head.cfg.tera > $own/templates/{head}
echo "template-dir = \"$own/templates\"" >> $own/config.toml
before=$(starts)
echo "== upgraded"; apt install /opt/later.deb
echo "== later status"; status
echo "== edited"; tail -n 1 $own/config.toml; ls $own
echo "== as it came"; tail -n 1 $own/haproxy.d/user.cfg
echo "== starts the same"; [ "$before" = "$(starts)" ] && echo yes
printf '%s' '{last}' > /srv/apps.json
echo "== followed after"; await grep -q web_10082 /etc/haproxy/haproxy.cfg
grep -o 'timeout tarpit.*' /etc/haproxy/haproxy.cfg

echo "== removed"; apt remove haproxy-marathon-bridge
echo "== after removal"; starts; ls /usr/bin/haproxy-marathon-bridge 2> /dev/null || echo gone
find $own -type f
echo "== serves"; serves
echo "== purged"; apt purge haproxy-marathon-bridge
echo "== left"; left; find $own -type f
echo "== serves still"; serves
"#,
        before = apps(10080),
        after = apps(10081),
        last = apps(10082),
        head = "fragments/head.cfg.tera",
    );
    let files = [("now.deb", &*now), ("later.deb", &*later)];
    let Some(told) = run_in(&tree, &files, &script) else {
        panic!("a package needs a root of its own to be tested in: call this as root");
    };
    assert_eq!(told.part("clean"), "", "the tree is not clean");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        told.part("status"),
        format!("install ok installed {version}")
    );
    assert_eq!(told.part("asked for"), "ii");
    assert_eq!(told.part("starts"), "");
    assert_eq!(
        told.part("program"),
        format!("haproxy-marathon-bridge {version}")
    );
    assert_ne!(told.part("manual"), "0");
    is_configured(&told);
    assert_eq!(told.part("followed by cron"), "yes");
    is_upgraded(&told);
    is_gone(&told);
}

fn is_configured(told: &Told) {
    let conffiles = told.part("conffiles").lines();
    let names: Vec<&str> = conffiles
        .filter_map(|line| line.split_ascii_whitespace().next())
        .collect();
    assert_eq!(names, CONFFILES);
    told.says(
        "configured",
        &[
            "done    start `cron`, now and with the host: `",
            "done    write the line for cron `/etc/cron.d/haproxy-marathon-bridge`",
            "done    bring HAProxy in step once: `/usr/bin/haproxy-marathon-bridge refresh`",
        ],
    );
    for it in [
        "copy this program",
        "write a file of options",
        "write the unit",
    ] {
        let it = format!("done    {it}");
        assert!(!told.part("configured").contains(&it), "{told:#?}");
    }
    assert_eq!(told.part("again").lines().count(), 1, "{told:#?}");
    assert_eq!(told.part("served"), "backend web_10080");
    told.says("well", &["ok    turns     by cron, as", "all is well"]);
}

fn is_upgraded(told: &Told) {
    told.says("later status", &["install ok installed 99."]);
    told.says(
        "edited",
        &["template-dir = \"", "config.toml.dpkg-dist", "templates"],
    );
    assert_eq!(told.part("as it came"), "# Said by a later version.");
    assert_eq!(told.part("starts the same"), "yes");
    assert_eq!(told.part("followed after"), "timeout tarpit 61s");
}

fn is_gone(told: &Told) {
    let own = "/etc/haproxy-marathon-bridge";
    let left = told.part("after removal");
    assert!(left.starts_with("gone\n"), "{told:#?}");
    for name in [
        "config.toml",
        "marathons",
        "templates/fragments/head.cfg.tera",
    ] {
        assert!(left.contains(&format!("{own}/{name}")), "{told:#?}");
    }
    assert_eq!(told.part("serves"), "yes");
    // What somebody put there beside what is ours, and HAProxy's file of before.
    assert_eq!(
        told.part("left"),
        format!(
            "{own}\n/etc/haproxy/haproxy.cfg.before-haproxy-marathon-bridge\n\
             {own}/templates/fragments/head.cfg.tera"
        )
    );
    assert_eq!(told.part("serves still"), "yes");
}

const PREPARED: &str = r#"
mkdir -p /run/systemd/system /etc/systemd/system
rm -f /usr/bin/systemctl /bin/systemctl
printf '#!/bin/sh\necho "$*" >> /srv/systemctl.log\nexit 1\n' > /usr/bin/systemctl
chmod 755 /usr/bin/systemctl
units() { ls /etc/systemd/system | grep marathon || true; }
unit() {
    printf '# Written by `haproxy-marathon-bridge install`; more\nExecStart=%s watch\n' "$2" \
        > /etc/systemd/system/$1
}
"#;

/// A script of a package as a file that can be called.
fn script(name: &str, text: &str) -> String {
    format!("cat > /srv/{name} << 'SCRIPT'\n{text}SCRIPT\n")
}

/// dpkg and rpm take a script that fails for a package that cannot be installed or removed.
#[test]
fn what_systemd_refuses_keeps_no_package_from_coming_and_going() {
    let scripts = [
        (
            "postinst",
            include_str!("../../../packaging/deb/postinst"),
            "configure",
        ),
        (
            "prerm",
            include_str!("../../../packaging/deb/prerm"),
            "remove",
        ),
        (
            "postrm",
            include_str!("../../../packaging/deb/postrm"),
            "remove",
        ),
        ("post", include_str!("../../../packaging/rpm/post"), "1"),
        ("preun", include_str!("../../../packaging/rpm/preun"), "0"),
        ("postun", include_str!("../../../packaging/rpm/postun"), "0"),
    ];
    let calls: String = scripts
        .iter()
        .map(|(name, text, word)| {
            let file = script(name, text);
            format!("{file}echo \"== {name}\"; sh -e /srv/{name} {word} 2>&1; echo \"exit $?\"\n")
        })
        .collect();
    let Some(told) = run(&format!("{PREPARED}{calls}")) else {
        return;
    };
    for (name, ..) in scripts {
        assert!(told.part(name).ends_with("exit 0"), "{told:#?}");
    }
    told.says(
        "postinst",
        &["haproxy-marathon-bridge.service did not come up"],
    );
    told.says(
        "preun",
        &["haproxy-marathon-bridge-refresh.timer could not be stopped"],
    );
}

/// What runs where a package goes: its name, its text, and with what it is called.
const REMOVALS: [(&str, &str, &str); 2] = [
    (
        "prerm",
        include_str!("../../../packaging/deb/prerm"),
        "remove",
    ),
    ("preun", include_str!("../../../packaging/rpm/preun"), "0"),
];

#[test]
fn a_package_takes_its_own_units_and_state_alone() {
    let calls: String = REMOVALS
        .iter()
        .map(|(name, text, word)| {
            let file = script(name, text);
            format!(
                r#"{file}
for place in /usr/local/bin /usr/bin; do
    unit haproxy-marathon-bridge.service $place/haproxy-marathon-bridge
    : > /srv/systemctl.log
    sh -e /srv/{name} {word} 2> /dev/null
    echo "== {name} $place"; units; grep -c 'disable .*bridge.service' /srv/systemctl.log || true
done
"#
            )
        })
        .collect();
    let postrm = script("postrm", include_str!("../../../packaging/deb/postrm"));
    let purge = r#"
state=/var/lib/haproxy-marathon-bridge
mkdir -p $state/haproxy $state/haproxy.cfg-0123456789abcdef /etc/haproxy-marathon-bridge/haproxy.d
: > $state/haproxy/haproxy.cfg
: > $state/haproxy.cfg-0123456789abcdef/state.json
: > /etc/haproxy-marathon-bridge/haproxy.d/user.cfg
program=/usr/local/bin/haproxy-marathon-bridge
mkdir -p ${program%/*}
: > $program
echo m1:8080 > /etc/haproxy-marathon-bridge/marathons
echo "== of another place"; sh -e /srv/postrm purge 2>&1
ls /etc/haproxy-marathon-bridge/marathons $state/haproxy.cfg-0123456789abcdef
rm $program
sh -e /srv/postrm purge 2> /dev/null
echo "== purged"; find $state; ls -d /etc/haproxy-marathon-bridge 2> /dev/null || echo gone
rm -r $state/haproxy
sh -e /srv/postrm purge 2> /dev/null
echo "== empty"; ls -d $state 2> /dev/null || echo gone
"#;
    let Some(told) = run(&format!("{PREPARED}{calls}{postrm}{purge}")) else {
        return;
    };
    for (name, ..) in REMOVALS {
        let local = told.part(&format!("{name} /usr/local/bin"));
        assert_eq!(local, "haproxy-marathon-bridge.service\n0");
        assert_eq!(told.part(&format!("{name} /usr/bin")), "1");
    }
    told.says(
        "of another place",
        &[
            "memory stay",
            "haproxy-marathon-bridge/marathons",
            "state.json",
        ],
    );
    let state = "/var/lib/haproxy-marathon-bridge";
    assert_eq!(
        told.part("purged"),
        format!("{state}\n{state}/haproxy\n{state}/haproxy/haproxy.cfg\ngone")
    );
    assert_eq!(told.part("empty"), "gone");
}

/// What another installation on this host reads, in whatever way it was changed.
const BESIDE: &str = r"
own=/etc/haproxy-marathon-bridge
other=/usr/local/bin/haproxy-marathon-bridge
mkdir -p ${other%/*} $own/haproxy.d
: > $other
";

/// dpkg takes away the files that it knows as a package's own before it calls anybody.
#[test]
fn what_another_installation_reads_is_put_back_after_the_package_has_gone() {
    let scripts = [
        script("prerm", include_str!("../../../packaging/deb/prerm")),
        script("postrm", include_str!("../../../packaging/deb/postrm")),
        script("postun", include_str!("../../../packaging/rpm/postun")),
    ]
    .concat();
    let calls = r#"
ship() { echo mine > $own/config.toml; chmod 600 $own/config.toml; echo user > $own/haproxy.d/user.cfg; }
gone() { rm -f $own/config.toml $own/haproxy.d/user.cfg; rmdir $own/haproxy.d; }
told() { (cd $own && stat -c '%n %a' config.toml haproxy.d/user.cfg; cat config.toml haproxy.d/user.cfg) 2>&1; }
ship
sh -e /srv/prerm remove 2> /dev/null
sh -e /srv/postrm remove 2> /dev/null
echo more >> $own/config.toml
gone
echo "== purged"; sh -e /srv/postrm purge 2>&1; told; find /var/backups -name 'haproxy-marathon-bridge*'
ship
sh -e /srv/prerm 0 2> /dev/null
gone
echo "== erased"; sh -e /srv/postun 0 2>&1; told; find /var/backups -name 'haproxy-marathon-bridge*'
ship
sh -e /srv/prerm remove 2> /dev/null
rm $other
gone
echo "== alone"; sh -e /srv/postrm purge 2> /dev/null
find $own /var/lib/haproxy-marathon-bridge 2> /dev/null || echo gone
"#;
    let Some(told) = run(&format!("{PREPARED}{BESIDE}{scripts}{calls}")) else {
        return;
    };
    for (part, content) in [("purged", "mine\nmore\nuser"), ("erased", "mine\nuser")] {
        told.says(
            part,
            &[
                "/usr/local/bin/haproxy-marathon-bridge is there",
                "config.toml is put back as it was when the package was removed",
                "haproxy.d/user.cfg is put back",
                &format!("config.toml 600\nhaproxy.d/user.cfg 644\n{content}"),
            ],
        );
        assert!(!told.part(part).contains("/var/backups/h"), "{told:#?}");
    }
    assert_eq!(told.part("alone"), "gone");
}

/// The same by dpkg itself.
#[test]
fn a_purge_beside_another_installation_leaves_what_that_reads() {
    let (Some(now), Some(tree)) = (made("HMB_DEB"), made("HMB_TREE")) else {
        return;
    };
    let script = format!(
        r#"{QUESTIONS}{BESIDE}
apt install /opt/now.deb > /srv/log
echo '# Mine.' >> $own/config.toml
echo "== at once"; apt purge haproxy-marathon-bridge
tail -n 1 $own/config.toml; ls $own/haproxy.d; find /var/backups -name 'haproxy-marathon-bridge*'
apt install /opt/now.deb > /srv/log
echo "== removed"; apt remove haproxy-marathon-bridge; tail -n 1 $own/config.toml
echo '# Later.' >> $own/config.toml
echo "== purged"; dpkg --purge haproxy-marathon-bridge 2>&1
tail -n 1 $own/config.toml; ls $own/haproxy.d; status 2>&1 || true
apt install /opt/now.deb > /srv/log
rm $other
echo "== last"; apt purge haproxy-marathon-bridge > /srv/log; left; ls $own 2> /dev/null || echo gone
"#
    );
    let Some(told) = run_in(&tree, &[("now.deb", &*now)], &script) else {
        panic!("a package needs a root of its own to be tested in: call this as root");
    };
    told.says("at once", &["is put back", "# Mine.\nuser.cfg"]);
    assert!(
        !told.part("at once").contains("/var/backups/h"),
        "{told:#?}"
    );
    told.says("removed", &["# Mine."]);
    told.says("purged", &["is put back", "# Later.\nuser.cfg"]);
    told.says("last", &["gone"]);
}

#[test]
fn a_file_for_cron_goes_as_written_and_is_kept_with_anything_else_in_it() {
    let program = "/usr/bin/haproxy-marathon-bridge";
    let native = include_str!("../../../packaging/cron/native")
        .replace("/usr/local/bin/haproxy-marathon-bridge", program);
    let bridge = include_str!("../../../packaging/cron/bridge")
        .replace("/usr/local/bin/haproxy-marathon-bridge", program);
    let calls = "  * * * * * root /usr/bin/haproxy-marathon-bridge refresh\n";
    let texts = [
        ("native", native.clone(), true),
        ("bridge", bridge.clone(), true),
        (
            "more",
            format!("{native}17 3 * * * root renew-certificates\n"),
            false,
        ),
        (
            "own words",
            format!("MAILTO=ops\n17 3 * * * root renew-certificates\n{calls}"),
            false,
        ),
        (
            "quoted",
            "* * * * * root \"/usr/bin/haproxy-marathon-bridge\" refresh\n".to_owned(),
            false,
        ),
    ];
    let others = [
        "# was:\n  #* * * * * root /usr/bin/haproxy-marathon-bridge refresh\n17 3 * * * root renew\n",
        "* * * * * root /usr/local/bin/haproxy-marathon-bridge refresh\n",
    ];
    let mut calls = String::new();
    for (name, text, word) in &REMOVALS {
        calls += &script(name, text);
        for (what, text, _) in &texts {
            let _ = write!(
                calls,
                "cat > $line << 'TEXT'\n{text}TEXT\ncp $line /srv/before\nrm -f $copy*\n: > $copy\n\
                 echo \"== {name} {what}\"; sh -e /srv/{name} {word} 2>&1 | grep -v stopped || true\n\
                 ls $line $copy.2 2> /dev/null || true; cmp /srv/before $copy.2 2> /dev/null && echo same\n"
            );
        }
        for (number, text) in others.iter().enumerate() {
            let _ = write!(
                calls,
                "cat > $line << 'TEXT'\n{text}TEXT\ncp $line /srv/before\n\
                 echo \"== {name} other {number}\"; sh -e /srv/{name} {word} > /dev/null 2>&1\n\
                 cmp /srv/before $line && echo same\n"
            );
        }
    }
    let prepared = "line=/etc/cron.d/haproxy-marathon-bridge\nmkdir -p /etc/cron.d /etc/haproxy-marathon-bridge\n\
                    copy=/etc/haproxy-marathon-bridge/cron-file.before-haproxy-marathon-bridge\n";
    let Some(told) = run(&format!("{PREPARED}{prepared}{calls}true\n")) else {
        return;
    };
    for (name, ..) in REMOVALS {
        for (what, _, is_gone) in &texts {
            let part = format!("{name} {what}");
            if *is_gone {
                assert_eq!(told.part(&part), "", "{part}");
                continue;
            }
            told.says(&part, &["it is kept as ", "\nsame"]);
            let listed = |line: &str| line == "/etc/cron.d/haproxy-marathon-bridge";
            assert!(!told.part(&part).lines().any(listed), "{told:#?}");
        }
        for number in 0..others.len() {
            assert_eq!(told.part(&format!("{name} other {number}")), "same");
        }
    }
}
