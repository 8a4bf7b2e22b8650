//! What was on a host before us: it is kept, and keeps nobody from being served.

use super::private_root::{apps, run};
use super::units::with_systemd;

fn with_scripts(rest: &str) -> String {
    format!("printf '%s' '{}' > /srv/apps.json\n{rest}", apps(10080))
}

/// As somebody who went back to a file of his own, and comes again.
#[test]
fn a_haproxy_cfg_that_was_written_after_uninstall_is_kept_as_well() {
    let script = with_scripts(
        r#"
cp /etc/haproxy/haproxy.cfg /srv/first
/opt/bridge install file:/srv/apps.json > /srv/log 2>&1
haproxy-marathon-bridge uninstall > /srv/log 2>&1
printf '%s\n' global '  daemon' 'listen precious' '  mode tcp' '  bind 127.0.0.1:10444' \
    '  timeout connect 1s' '  timeout client 1s' '  timeout server 1s' > /etc/haproxy/haproxy.cfg
cp /etc/haproxy/haproxy.cfg /srv/second
echo "== planned"; /opt/bridge install --dry-run
/opt/bridge install > /srv/log 2>&1
copy=/etc/haproxy/haproxy.cfg.before-haproxy-marathon-bridge
echo "== kept"; cmp /srv/first $copy && cmp /srv/second $copy.2 && echo both
echo "== again"; /opt/bridge install; ls /etc/haproxy
echo "== uninstall"; haproxy-marathon-bridge uninstall --purge
"#,
    );
    let Some(told) = run(&script) else { return };
    let copy = "/etc/haproxy/haproxy.cfg.before-haproxy-marathon-bridge";
    told.says("planned", &[&format!("as `{copy}.2`")]);
    assert_eq!(told.part("kept"), "both");
    told.says("again", &["is so   keep `/etc/haproxy/haproxy.cfg`"]);
    assert!(!told.part("again").contains("bridge.3"), "{told:#?}");
    told.says("uninstall", &[&format!("is kept as `{copy}`, `{copy}.2`")]);
}

#[test]
fn the_script_and_an_edited_line_for_cron_are_kept() {
    let script = with_scripts(
        r#"
bridge=/usr/local/bin/haproxy-marathon-bridge line=/etc/cron.d/haproxy-marathon-bridge
printf '#!/bin/sh\necho old\n' > $bridge
chmod 755 $bridge
printf 'MAILTO=ops\n*/5 * * * * root sleep 9; haproxy-marathon-bridge logged refresh_system_haproxy\n' > $line
/opt/bridge install --cron file:/srv/apps.json > /srv/log 2>&1
echo "== script"; $bridge.before-haproxy-marathon-bridge
echo "== line"; cat /etc/haproxy-marathon-bridge/cron-file.before-haproxy-marathon-bridge
sed -i '1i MAILTO=ops' $line
echo "== edited"; /opt/bridge install --cron; cat $line
"#,
    );
    let Some(told) = run(&script) else { return };
    assert_eq!(told.part("script"), "old");
    told.says("line", &["MAILTO=ops\n*/5"]);
    told.says(
        "edited",
        &[
            "kept    write the line for cron `/etc/cron.d/haproxy-marathon-bridge`\n",
            "\nMAILTO=ops\n",
        ],
    );
}

/// HAProxy's script says of itself that it runs, where it has no file to run with.
#[test]
fn a_haproxy_cfg_that_haproxy_refuses_and_none_at_all_are_no_hindrance() {
    for before in [
        "echo frobnicate >> /etc/haproxy/haproxy.cfg",
        "rm -f /etc/haproxy/haproxy.cfg",
    ] {
        let rest = format!(
            r#"
{before}
echo "== install"; /opt/bridge install file:/srv/apps.json 2>&1 || echo "exit $?"
echo "== runs"; for comm in /proc/[0-9]*/comm; do if grep -qx haproxy $comm; then echo yes; fi; done
echo "== doctor"; haproxy-marathon-bridge doctor 2>&1 || true
"#
        );
        for script in [with_scripts(&rest), with_systemd(&rest)] {
            let Some(told) = run(&script) else { return };
            assert!(!told.part("install").contains("exit"), "{told:#?}");
            told.says("runs", &["yes"]);
            told.says("doctor", &["ok    process   pid "]);
        }
    }
}

/// The unit may write where the link leads, and is asked whether it may.
#[test]
fn where_haproxy_cfg_is_a_link_the_unit_may_write_where_it_leads() {
    let script = with_systemd(
        r#"
unit=/etc/systemd/system/haproxy-marathon-bridge.service
/opt/bridge install file:/srv/apps.json > /srv/log 2>&1
mkdir -p /srv/elsewhere
mv /etc/haproxy/haproxy.cfg /srv/elsewhere/real.cfg
ln -s ../../srv/elsewhere/real.cfg /etc/haproxy/haproxy.cfg
echo 'lock-file = "/srv/locks/lock"' >> /etc/haproxy-marathon-bridge/config.toml
echo "== ill"; haproxy-marathon-bridge doctor 2>&1 || true
/opt/bridge install > /srv/log 2>&1 || true
echo "== unit"; grep ReadWritePaths $unit
echo "== well"; haproxy-marathon-bridge doctor 2>&1 || true
"#,
    );
    let Some(told) = run(&script) else { return };
    let says = "may not write to `/srv/elsewhere` and `/srv/locks`";
    told.says("ill", &[says, "haproxy-marathon-bridge install --service"]);
    told.says(
        "unit",
        &[
            "ReadWritePaths=/etc/haproxy\n",
            "ReadWritePaths=-/srv/elsewhere\n",
            "ReadWritePaths=-/srv/locks\n",
        ],
    );
    assert!(!told.part("well").contains("may not write"), "{told:#?}");
}
