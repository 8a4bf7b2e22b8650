//! The Debian package, from installation to purge: `make test-packages` makes it and names it in
//! `HMB_DEB`.

use std::fs;
use std::path::PathBuf;

use super::private_root::{apps, run_with};

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
