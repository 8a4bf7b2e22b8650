//! A host without systemd: HAProxy by its init script, turns by cron.

use super::private_root::{apps, run};

/// As the bash script was called.
#[test]
fn install_haproxy_system_starts_haproxy_and_uninstall_leaves_it() {
    let script = format!(
        r#"
printf '%s' '{apps}' > /srv/apps.json
cp /etc/haproxy/haproxy.cfg /srv/before
echo "== install"; /opt/bridge install_haproxy_system file:/srv/apps.json 2>&1
echo "== file"; cat /etc/haproxy/haproxy.cfg
echo "== cron"; cat /etc/cron.d/haproxy-marathon-bridge
echo "== list"; cat /etc/haproxy-marathon-bridge/marathons
echo "== kept"; cmp /srv/before /etc/haproxy/haproxy.cfg.before-haproxy-marathon-bridge && echo same
echo "== runs"; service haproxy status; echo $?
echo "== again"; /usr/local/bin/haproxy-marathon-bridge install_haproxy_system 2>&1
echo "== uninstall"; haproxy-marathon-bridge uninstall --purge 2>&1
echo "== left"; ls -d /usr/local/bin/haproxy-marathon-bridge /etc/cron.d/haproxy-marathon-bridge \
    /etc/haproxy-marathon-bridge /var/lib/haproxy-marathon-bridge 2> /dev/null || echo none
echo "== still"; service haproxy status; echo $?
echo "== served"; grep -c '10080' /etc/haproxy/haproxy.cfg
"#,
        apps = apps(10080)
    );
    let Some(told) = run(&script) else { return };
    told.says(
        "install",
        &[
            "done    copy this program to `/usr/local/bin/haproxy-marathon-bridge`",
            "done    start `haproxy`, now and with the host: `",
            "done    bring HAProxy in step once: \
             `/usr/local/bin/haproxy-marathon-bridge refresh_system_haproxy`\n",
            "installed `/etc/haproxy/haproxy.cfg`",
        ],
    );
    told.says("file", &["bind 0.0.0.0:10080", "127.0.0.1:31000"]);
    assert_eq!(
        told.part("cron").trim_end(),
        include_str!("../../../packaging/cron/bridge").trim_end()
    );
    assert_eq!(told.part("list"), "file:/srv/apps.json");
    assert_eq!(told.part("kept"), "same");
    told.says("runs", &["running", "\n0"]);
    let again: Vec<&str> = told
        .part("again")
        .lines()
        .filter(|line| line.starts_with("done"))
        .collect();
    assert_eq!(again.len(), 1, "{again:#?}");
    assert!(again[0].contains("bring HAProxy in step"), "{again:#?}");
    told.says(
        "uninstall",
        &["HAProxy and `/etc/haproxy/haproxy.cfg` stay as they are"],
    );
    assert_eq!(told.part("left"), "none");
    told.says("still", &["running", "\n0"]);
}

/// The line of cron is run by cron, with nothing but what cron gives it.
fn followed_by_cron(install: &str) {
    if std::env::var_os("HMB_TEST_ALL").is_none() {
        return;
    }
    let script = format!(
        r#"
printf '%s' '{before}' > /srv/apps.json
echo "== install"; /opt/bridge {install} file:/srv/apps.json 2>&1
printf '%s' '{after}' > /srv/apps.json
echo "== followed"
tries=0
until grep 10081 /etc/haproxy/haproxy.cfg; do
    tries=$((tries + 1))
    if [ $tries -gt 450 ]; then cat /etc/cron.d/haproxy-marathon-bridge; exit 1; fi
    sleep 0.2
done
echo "== runs"; service haproxy status
"#,
        before = apps(10080),
        after = apps(10081)
    );
    let Some(told) = run(&script) else { return };
    told.says(
        "install",
        &["with the host: `update-rc.d cron defaults && service cron start`"],
    );
    told.says("followed", &["10081"]);
    told.says("runs", &["running"]);
}

#[test]
fn cron_takes_turns_by_the_line_of_the_bash_script() {
    followed_by_cron("install_haproxy_system");
}

#[test]
fn cron_takes_turns_by_our_own_line() {
    followed_by_cron("install --cron");
}
