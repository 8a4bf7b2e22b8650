//! The Debian package, from installation to purge: `make test-packages` makes it and names it in
//! `HMB_DEB`.

use std::fs;
use std::path::PathBuf;

use super::private_root::{apps, run, run_with};

#[test]
fn it_is_installed_used_upgraded_removed_and_purged() {
    let Some(package) = std::env::var_os("HMB_DEB") else {
        return;
    };
    let package = fs::canonicalize(PathBuf::from(package)).unwrap();
    let script = format!(
        r#"
printf '%s' '{before}' > /srv/apps.json
echo "== installed"; dpkg -i /opt/file 2>&1
echo "== nothing runs"; ls /etc/cron.d/haproxy-marathon-bridge 2>&1 || echo none
echo "== program"; haproxy-marathon-bridge --version
echo "== manual"; gzip -dc /usr/share/man/man8/haproxy-marathon-bridge.8.gz | grep -c dry
echo "== used"; haproxy-marathon-bridge install --cron file:/srv/apps.json 2>&1
echo "== cron"; cat /etc/cron.d/haproxy-marathon-bridge
echo "== served"; grep -o 'web_10080$' /etc/haproxy/haproxy.cfg | head -n 1
echo "== upgraded"; dpkg -i /opt/file 2>&1
echo "== kept"; ls /etc/cron.d/haproxy-marathon-bridge /etc/haproxy-marathon-bridge/config.toml \
    /etc/haproxy-marathon-bridge/marathons
echo "== removed"; dpkg -r haproxy-marathon-bridge 2>&1
ls /usr/bin/haproxy-marathon-bridge /etc/cron.d/haproxy-marathon-bridge 2> /dev/null || echo gone
ls /etc/haproxy-marathon-bridge/marathons
service haproxy status
echo "== purged"; dpkg -P haproxy-marathon-bridge 2>&1
ls -d /etc/haproxy-marathon-bridge /var/lib/haproxy-marathon-bridge 2> /dev/null || echo gone
service haproxy status
"#,
        before = apps(10080)
    );
    let Some(told) = run_with(&script, Some(&package)) else {
        panic!("a package needs a root of its own to be tested in");
    };
    told.says("installed", &["Setting up haproxy-marathon-bridge"]);
    assert!(told.part("nothing runs").ends_with("none"), "{told:#?}");
    told.says("program", &["haproxy-marathon-bridge 0."]);
    told.says(
        "used",
        &["done    bring HAProxy in step once: `/usr/bin/haproxy-marathon-bridge refresh`"],
    );
    assert!(
        !told.part("used").contains("copy this program"),
        "{told:#?}"
    );
    told.says(
        "cron",
        &["root /usr/bin/haproxy-marathon-bridge refresh --log syslog"],
    );
    assert_eq!(told.part("served"), "web_10080");
    assert_eq!(told.part("kept").lines().count(), 3);
    told.says(
        "removed",
        &["gone\n/etc/haproxy-marathon-bridge/marathons", "is running"],
    );
    told.says("purged", &["gone", "is running"]);
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

#[test]
fn a_package_takes_its_own_units_and_state_alone() {
    let removals = [
        (
            "prerm",
            include_str!("../../../packaging/deb/prerm"),
            "remove",
        ),
        ("preun", include_str!("../../../packaging/rpm/preun"), "0"),
    ];
    let calls: String = removals
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
sh -e /srv/postrm purge 2> /dev/null
echo "== purged"; find $state; ls -d /etc/haproxy-marathon-bridge 2> /dev/null || echo gone
rm -r $state/haproxy
sh -e /srv/postrm purge 2> /dev/null
echo "== empty"; ls -d $state 2> /dev/null || echo gone
"#;
    let Some(told) = run(&format!("{PREPARED}{calls}{postrm}{purge}")) else {
        return;
    };
    for (name, ..) in removals {
        let local = told.part(&format!("{name} /usr/local/bin"));
        assert_eq!(local, "haproxy-marathon-bridge.service\n0");
        assert_eq!(told.part(&format!("{name} /usr/bin")), "1");
    }
    let state = "/var/lib/haproxy-marathon-bridge";
    assert_eq!(
        told.part("purged"),
        format!("{state}\n{state}/haproxy\n{state}/haproxy/haproxy.cfg\ngone")
    );
    assert_eq!(told.part("empty"), "gone");
}
