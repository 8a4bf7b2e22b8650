//! What `doctor` says of turns that nobody takes, or that somebody takes whom we do not know.

use super::private_root::{apps, run};
use super::units::with_systemd;

/// Each with what is wrong, and what of the advice has to stand there.
const LINES: [(&str, &str, &str, &str); 6] = [
    (
        "owner",
        "chown nobody $line",
        "expected root",
        "chown root /etc/cron.d/haproxy-marathon-bridge",
    ),
    (
        "end",
        "printf '%s' \"$(cat $line)\" > $line",
        "its last line does not end",
        "echo >> /etc/cron.d/haproxy-marathon-bridge",
    ),
    (
        "unknown",
        "sed -i 's/ root / nobody-here /' $line",
        "no user `nobody-here`",
        "install --cron",
    ),
    (
        "minute",
        "sed -i 's/^\\* /61 /' $line",
        "found `61` as minute, expected 0 to 59",
        "install --cron",
    ),
    (
        "may not",
        "sed -i 's/ root / nobody /' $line",
        "the user `nobody`, who may not write to `/etc/haproxy`",
        "root in the place of nobody",
    ),
    (
        "bridge",
        "sed -i 's/^\\* /61 /; s/refresh .*/logged refresh_system_haproxy/' $line",
        "found `61` as minute",
        "to mend it: haproxy-marathon-bridge install_cronjob\n",
    ),
];

#[test]
fn a_line_that_cron_leaves_out_has_no_turns_taken() {
    let mut script = format!(
        "printf '%s' '{}' > /srv/apps.json\nline=/etc/cron.d/haproxy-marathon-bridge\n\
         /opt/bridge install --cron file:/srv/apps.json > /srv/log 2>&1\ncp -p $line /srv/line\n\
         echo '== well'; haproxy-marathon-bridge doctor 2>&1 || true\n",
        apps(10080)
    );
    for (name, change, ..) in LINES {
        script += change;
        script += "\necho '== ";
        script += name;
        script +=
            "'; haproxy-marathon-bridge doctor 2>&1 || echo \"exit $?\"\ncp -p /srv/line $line\n";
    }
    let Some(told) = run(&script) else { return };
    told.says("well", &["ok    turns     by cron, as "]);
    for (name, _, says, fix) in LINES {
        told.says(name, &[says, fix, "exit 1"]);
    }
}

#[test]
fn lines_in_crontabs_of_users_are_told_of() {
    let script = format!(
        r#"
printf '%s' '{apps}' > /srv/apps.json
/opt/bridge install --cron file:/srv/apps.json > /srv/log 2>&1
mkdir -p /var/spool/cron/crontabs
mine=/var/spool/cron/crontabs/root
echo '* * * * * /usr/local/bin/haproxy-marathon-bridge refresh' > $mine
echo '*/5 * * * * /opt/servicerouter.py -m http://joe:s3cret@m1:8080' >> $mine
echo "== both"; haproxy-marathon-bridge doctor 2>&1 || true
ours=/etc/cron.d/haproxy-marathon-bridge
cp $mine /srv/mine
echo '* * * * * /usr/local/bin/haproxy-marathon-bridge refresh_system_haproxy $(cat /x)' >> $mine
echo "== undone"; haproxy-marathon-bridge doctor 2>&1 || echo "exit $?"
cp /srv/mine $mine
mv $ours /etc/cron.d/other
echo '* * * * * root python /opt/marathon_lb.py -m http://m1:8080' >> /etc/crontab
sed -i 1d $mine
echo "== elsewhere"; haproxy-marathon-bridge doctor 2>&1 || echo "exit $?"
mv /srv/mine $mine
rm /etc/cron.d/other
echo "== alone"; haproxy-marathon-bridge doctor 2>&1 || true
sed -i 1d $mine
echo '@yearly haproxy-marathon-bridge refresh' >> $mine
echo "== other"; haproxy-marathon-bridge doctor 2>&1 || true
"#,
        apps = apps(10080)
    );
    let Some(told) = run(&script) else { return };
    let router = "the crontab of `root` has `servicerouter.py` write a haproxy.cfg: `*/5 ";
    told.says(
        "both",
        &[
            "ok    turns     by cron, as ",
            "note  turns     the crontab of `root` has them taken too, where one would do: `* * ",
            router,
            "to mend it: take it out of the crontab of `root`: `crontab -u root -e`",
        ],
    );
    told.says(
        "undone",
        &[
            "BAD   turns     the crontab of `root` has them taken too, as the set bridge, and others as \
             native: each undoes what the other wrote: `* * ",
            "exit 1",
        ],
    );
    told.says(
        "elsewhere",
        &[
            "note  turns     by `/etc/cron.d/other` alone: `* * ",
            "note  turns     `/etc/crontab` has `marathon_lb.py` write a haproxy.cfg: `* * ",
        ],
    );
    assert!(
        !told.part("elsewhere").contains("nobody takes any"),
        "{told:#?}"
    );
    told.says(
        "alone",
        &["note  turns     by the crontab of `root` alone", router],
    );
    told.says(
        "other",
        &[
            "BAD   turns     nobody takes any",
            router,
            "the crontab of `root` would have them taken, but it does so at `@yearly` only",
        ],
    );
    for part in ["both", "alone", "other"] {
        assert!(!told.part(part).contains("s3cret"), "{told:#?}");
    }
}

/// Each with what is done to a file of cron's, which of our lines is in it, what is told and what mends it.
const FILES: [(&str, &str, &str, &str); 7] = [
    (
        "mode",
        "chmod 664 $other",
        "`/etc/cron.d/other` would have them taken, but cron leaves the file out: it has mode 0664",
        "chmod 644 /etc/cron.d/other, or take it out of",
    ),
    (
        "owner",
        "chown nobody $other",
        "belongs to the user 65534, expected root",
        "chown root /etc/cron.d/other",
    ),
    (
        "end",
        "printf '%s' \"$(cat $other)\" > $other",
        "its last line does not end",
        "echo >> /etc/cron.d/other",
    ),
    (
        "return",
        "sed -i 's/$/\\r/' $other",
        "its line 1 ends in a carriage return",
        "sed -i 's/\\r$//' /etc/cron.d/other",
    ),
    (
        "name",
        "mv $other $other.sh",
        "`/etc/cron.d/other.sh` would have them taken, but cron leaves the file out: its name has a `.`",
        "mv /etc/cron.d/other.sh /etc/cron.d/other_sh",
    ),
    (
        "path",
        "sed -i '/^PATH/d; s|/usr/local/bin/haproxy|haproxy|' $other",
        "cron looks for `haproxy-marathon-bridge` in `/usr/bin:/bin`",
        "`/usr/local/bin/haproxy-marathon-bridge` in its place",
    ),
    (
        "crontab",
        "cat $other >> /etc/crontab; chmod 666 /etc/crontab; rm $other",
        "`/etc/crontab` would have them taken, but cron leaves the file out: it has mode 0666",
        "chmod 644 /etc/crontab",
    ),
];

#[test]
fn a_file_of_others_that_cron_leaves_out_is_told_of_with_its_mend() {
    let mut script = format!(
        "printf '%s' '{}' > /srv/apps.json\nother=/etc/cron.d/other\n\
         /opt/bridge install --cron file:/srv/apps.json > /srv/log 2>&1\n\
         mv /etc/cron.d/haproxy-marathon-bridge /srv/line\n",
        apps(10080)
    );
    for (name, change, ..) in FILES {
        script += "cp -p /srv/line $other\n";
        script += change;
        script += "\necho '== ";
        script += name;
        script += "'; haproxy-marathon-bridge doctor 2>&1 || echo \"exit $?\"\nrm -f $other*\n";
    }
    let Some(told) = run(&script) else { return };
    for (name, _, says, fix) in FILES {
        told.says(name, &["nobody takes any\n", says, fix, "exit 1"]);
    }
}

#[test]
fn a_watcher_that_somebody_started_takes_turns() {
    let script = format!(
        r#"
printf '%s' '{apps}' > /srv/apps.json
printf 'file:/srv/apps.json\n' > /srv/marathons
cp /opt/bridge /usr/local/bin/haproxy-marathon-bridge
mkdir -p /etc/haproxy-marathon-bridge
cp /srv/marathons /etc/haproxy-marathon-bridge/marathons
service haproxy start > /srv/log 2>&1
/opt/bridge refresh > /srv/log 2>&1
/opt/bridge watch 2> /srv/watch.log &
watcher=$!
tries=0
until grep -q watching /srv/watch.log || /opt/bridge status | grep -q "pid $watcher"; do
    tries=$((tries + 1))
    if [ $tries -gt 300 ]; then cat /srv/watch.log; exit 1; fi
    sleep 0.1
done
echo "== by hand"; /opt/bridge doctor 2>&1 || true
echo "== of another folder"; HMB_STATE_DIR=/srv/other /opt/bridge doctor 2>&1 || true
kill -TERM $watcher
wait $watcher || true
echo "== nobody"; /opt/bridge doctor 2>&1 || true
/opt/bridge pause > /srv/log 2>&1
echo "== paused"; /opt/bridge doctor 2>&1 || true
"#,
        apps = apps(10080)
    );
    let Some(told) = run(&script) else { return };
    let by_hand = "note  turns     by a watcher, pid ";
    told.says("by hand", &[by_hand, "`/opt/bridge watch`"]);
    assert!(
        !told.part("by hand").contains("nobody takes any"),
        "{told:#?}"
    );
    told.says("of another folder", &[by_hand, "`/opt/bridge watch`"]);
    told.says("nobody", &["BAD   turns     nobody takes any"]);
    told.says(
        "paused",
        &[
            "note  turns     they change nothing: paused since ",
            "to mend it: haproxy-marathon-bridge resume\n",
        ],
    );
}

/// Whoever does as he is told has the same schedule and the same file afterwards.
#[test]
fn what_is_to_be_typed_keeps_what_is_there() {
    let script = format!(
        r#"
printf '%s' '{apps}' > /srv/apps.json
/opt/bridge install_haproxy_system file:/srv/apps.json > /srv/log 2>&1
: > /etc/haproxy-marathon-bridge/marathons
echo "== list"; haproxy-marathon-bridge doctor 2>&1 || true
echo 'file:/srv/apps.json' > /etc/haproxy-marathon-bridge/marathons
rm /etc/cron.d/haproxy-marathon-bridge
rm -rf /var/lib/haproxy-marathon-bridge
echo "== of the script"; haproxy-marathon-bridge doctor 2>&1 || true
HMB_TEMPLATE_SET=marathon-lb haproxy-marathon-bridge generate > /etc/haproxy/haproxy.cfg 2> /srv/log
echo "== of marathon-lb"; haproxy-marathon-bridge doctor 2>&1 || true
"#,
        apps = apps(10080)
    );
    let Some(told) = run(&script) else { return };
    told.says(
        "list",
        &["to mend it: haproxy-marathon-bridge install_cronjob HOST:PORT\n"],
    );
    told.says(
        "of the script",
        &[
            "nobody takes any\n",
            "to mend it: haproxy-marathon-bridge install_cronjob\n",
        ],
    );
    told.says(
        "of marathon-lb",
        &["haproxy-marathon-bridge compare /etc/haproxy/haproxy.cfg shows first what would change"],
    );
}

#[test]
fn what_does_not_start_with_the_host_is_told() {
    let script = with_systemd(
        r#"
/opt/bridge install file:/srv/apps.json > /srv/log 2>&1
sed -i 's/"is-enabled --quiet "\* | //; /^case/a "is-enabled --quiet "*) exit 1 ;;' /usr/bin/systemctl
echo "== not enabled"; haproxy-marathon-bridge doctor 2>&1 || echo "exit $?"
"#,
    );
    let Some(told) = run(&script) else { return };
    told.says(
        "not enabled",
        &[
            "note  process   systemd does not start `haproxy` with the host",
            "says, but that does not start with the host\n",
            "exit 1",
        ],
    );
}
