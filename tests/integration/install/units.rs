//! The units: systemd's own judgement of them, and what they run.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::commands_of_the_document;
use super::private_root::{apps, run};
use crate::support::Done;

/// As systemd has it, times ten.
const EXPOSURE: &str = "--threshold=20";

fn packaging() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd")
}

/// The units in a folder, with a program that is there.
fn units() -> (TempDir, Vec<String>) {
    let folder = TempDir::new().unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(packaging()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let text = text.replace(
            "/usr/local/bin/haproxy-marathon-bridge",
            env!("CARGO_BIN_EXE_haproxy-marathon-bridge"),
        );
        fs::write(folder.path().join(&name), text).unwrap();
        names.push(name);
    }
    names.sort();
    (folder, names)
}

fn analyze(folder: &TempDir, words: &[&str]) -> Done {
    let mut command = Command::new("systemd-analyze");
    command.args(words).current_dir(folder.path());
    let done = Done::of(command);
    assert!(
        done.status.success(),
        "{words:?}: {}{}",
        done.stdout,
        done.stderr
    );
    done
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let (folder, names) = units();
    assert_eq!(names.len(), 3);
    for name in &names {
        let done = analyze(&folder, &["verify", &format!("./{name}")]);
        assert_eq!(done.stderr, "", "{name}");
    }
}

#[test]
fn the_services_are_exposed_to_little() {
    let (folder, names) = units();
    for name in names.iter().filter(|name| name.ends_with(".service")) {
        let file = format!("./{name}");
        analyze(
            &folder,
            &["security", "--offline=true", EXPOSURE, "--no-pager", &file],
        );
    }
}

/// Both need the same of the host.
#[test]
fn both_services_live_in_the_same_sandbox() {
    let sandbox = |name: &str| {
        let text = fs::read_to_string(packaging().join(name)).unwrap();
        let begin = text.find("# HAProxy has to be").unwrap();
        let end = text.find("\n[Install]").unwrap_or(text.len());
        text[begin..end].trim_end().to_owned()
    };
    assert_eq!(
        sandbox("haproxy-marathon-bridge.service"),
        sandbox("haproxy-marathon-bridge-refresh.service")
    );
}

/// In the place of systemd: it records what it is told, runs HAProxy as its unit does, and tells it of
/// a reload as its unit does.
const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$*" >> /srv/systemctl.log
case "$*" in
    "is-enabled --quiet "* | "is-active --quiet "*) [ -e "/srv/on.$3" ] ;;
    "enable --now haproxy")
        haproxy -c -q -f /etc/haproxy/haproxy.cfg || exit 1
        : > /srv/on.haproxy
        setsid haproxy -Ws -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid -S /run/haproxy-master.sock \
            < /dev/null > /srv/haproxy.log 2>&1 &
        until [ -s /run/haproxy.pid ]; do sleep 0.05; done ;;
    "enable --now "*) : > "/srv/on.$3" ;;
    "disable --now "*) rm "/srv/on.$3" ;;
    show*)
        if [ -e /srv/on.haproxy ]; then
            echo ActiveState=active; echo "MainPID=$(head -n 1 /run/haproxy.pid)"
        else
            echo ActiveState=inactive; echo MainPID=0
        fi ;;
    "reload haproxy") kill -USR2 "$(head -n 1 /run/haproxy.pid)" ;;
esac
"#;

/// A host on which systemd runs, as far as anybody can tell.
pub(super) fn with_systemd(rest: &str) -> String {
    format!(
        "mkdir -p /run/systemd/system\n\
         install -d -o haproxy -g haproxy -m 2775 /run/haproxy\n\
         rm -f /usr/bin/systemctl /bin/systemctl\n\
         cat > /usr/bin/systemctl << 'END'\n{SYSTEMCTL}END\n\
         chmod 755 /usr/bin/systemctl\n\
         printf '%s' '{apps}' > /srv/apps.json\n{rest}",
        apps = apps(10080)
    )
}

/// What the unit says, with the powers that it leaves, where it lets us write.
#[test]
fn the_service_follows_marathon_with_the_powers_that_its_unit_leaves() {
    let script = with_systemd(&format!(
        r#"
echo "== install"; /opt/bridge install file:/srv/apps.json 2>&1
echo "== told"; cat /srv/systemctl.log
unit=/etc/systemd/system/haproxy-marathon-bridge.service
of() {{ sed -n "s/^$1=//p" $unit; }}
powers=$(of CapabilityBoundingSet | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')
mkdir -p /var/lib/haproxy-marathon-bridge
master=$(head -n 1 /run/haproxy.pid)
: > /srv/systemctl.log
unshare --mount sh -euc '
    for folder in '"$(of ReadWritePaths | sed 's/^-//' | tr '\n' ' ')"' /var/lib/haproxy-marathon-bridge; do
        mount --bind $folder $folder
    done
    mount -o remount,bind,ro /
    export STATE_DIRECTORY=/var/lib/haproxy-marathon-bridge
    exec "$@"' sh \
    setpriv --bounding-set="-all,$powers" --no-new-privs --groups="$(of SupplementaryGroups)" \
    $(of ExecStart) 2> /srv/watch.log &
watcher=$!
await() {{
    tries=0
    until "$@" > /dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 300 ]; then cat /srv/watch.log /srv/haproxy.log; exit 1; fi
        sleep 0.1
    done
}}
await test -S /run/haproxy/marathon-bridge.sock
echo "== socket"; stat -c '%G %a' /run/haproxy/marathon-bridge.sock
printf '%s' '{other}' > /srv/apps.json
await grep -q 10081 /etc/haproxy/haproxy.cfg
await grep -q '^reload haproxy' /srv/systemctl.log
await sh -c 'grep -q "installed .*haproxy.cfg" /srv/watch.log'
echo "== powers"; sed -n 's/^CapEff:[[:space:]]*//p' /proc/$watcher/status
echo "== reloads"; grep -c '^reload haproxy' /srv/systemctl.log
echo "== master"; [ "$master" = "$(head -n 1 /run/haproxy.pid)" ] && echo same
echo "== workers"
for status in /proc/[0-9]*/status; do
    if grep -q "^PPid:[[:space:]]*$master$" $status; then sed -n 's/^Uid:[[:space:]]*//p' $status; fi
done
id -u haproxy
kill -TERM $watcher
echo "== end"; wait $watcher; echo $?
echo "== log"; cat /srv/watch.log
"#,
        other = apps(10081)
    ));
    let Some(told) = run(&script) else { return };
    let asked = told.part("told").lines();
    let done: Vec<&str> = asked
        .filter(|line| !line.starts_with("is-") && !line.starts_with("show"))
        .collect();
    assert_eq!(
        done,
        [
            "daemon-reload",
            "enable --now haproxy",
            "enable --now haproxy-marathon-bridge.service"
        ]
    );
    assert_eq!(told.part("socket"), "haproxy 660");
    // CAP_NET_BIND_SERVICE, and nothing else.
    assert_eq!(told.part("powers"), "0000000000000400");
    assert_eq!(told.part("reloads"), "1");
    assert_eq!(told.part("master"), "same");
    // The master is root's, to open ports for the next worker; who serves is not.
    let mut uids = told.part("workers").lines().rev();
    let user = uids.next().unwrap();
    let workers: Vec<&str> = uids.collect();
    assert!(!workers.is_empty() && user != "0", "{told:#?}");
    for uid in workers {
        assert!(uid.starts_with(&format!("{user}\t{user}\t")), "{uid}");
    }
    assert_eq!(told.part("end"), "0", "{told:#?}");
    let log = told.part("log");
    assert!(
        !log.contains(" warn: ") && !log.contains(" error: "),
        "{log}"
    );
}

#[test]
fn the_timer_is_started_and_what_it_runs_is_one_turn() {
    let script = with_systemd(&format!(
        r#"
echo "== install"; /opt/bridge install --timer file:/srv/apps.json 2>&1
echo "== told"; cat /srv/systemctl.log
printf '%s' '{other}' > /srv/apps.json
echo "== run"
$(sed -n 's/^ExecStart=//p' /etc/systemd/system/haproxy-marathon-bridge-refresh.service) 2>&1
echo "== file"; cat /etc/haproxy/haproxy.cfg
echo "== uninstall"; haproxy-marathon-bridge uninstall 2>&1
echo "== taken back"; tail -n 2 /srv/systemctl.log; ls /etc/systemd/system | grep -c marathon || true
"#,
        other = apps(10081)
    ));
    let Some(told) = run(&script) else { return };
    told.says(
        "told",
        &["enable --now haproxy-marathon-bridge-refresh.timer"],
    );
    told.says("run", &["installed `/etc/haproxy/haproxy.cfg`"]);
    told.says("file", &["10081"]);
    assert_eq!(
        told.part("taken back"),
        "disable --now haproxy-marathon-bridge-refresh.timer\ndaemon-reload\n0"
    );
}

fn unprivileged() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/unprivileged")
}

#[test]
fn systemd_finds_no_fault_with_the_example_of_a_user_of_its_own() {
    let (folder, _) = units();
    let dropin = |unit: &str, name: &str| {
        let place = folder.path().join(format!("{unit}.d"));
        fs::create_dir(&place).unwrap();
        fs::copy(unprivileged().join(name), place.join(name)).unwrap();
    };
    let haproxy = "[Service]\nExecStart=/bin/true -f $CONFIG $EXTRAOPTS\n";
    fs::write(folder.path().join("haproxy.service"), haproxy).unwrap();
    dropin("haproxy.service", "haproxy.conf");
    dropin(
        "haproxy-marathon-bridge.service",
        "haproxy-marathon-bridge.conf",
    );
    for name in ["haproxy.service", "haproxy-marathon-bridge.service"] {
        let done = analyze(&folder, &["verify", &format!("./{name}")]);
        assert_eq!(done.stderr, "", "{name}");
    }
    let security = ["security", "--offline=true", "--threshold=16", "--no-pager"];
    analyze(
        &folder,
        &[&security[..], &["./haproxy-marathon-bridge.service"]].concat(),
    );
}

/// The commands of the document, then what the units say.
#[test]
fn it_works_as_a_user_of_its_own_as_the_document_says() {
    let commands = commands_of_the_document();
    let files = [
        "haproxy.conf",
        "haproxy-marathon-bridge.conf",
        "sysusers.conf",
    ];
    let files: String = files
        .iter()
        .map(|name| {
            let text = fs::read_to_string(unprivileged().join(name)).unwrap();
            format!("cat > /srv/{name} << 'FILE'\n{text}FILE\n")
        })
        .collect();
    let script = with_systemd(&format!(
        r#"
echo "== install"; /opt/bridge install file:/srv/apps.json 2>&1
{files}
cd /srv
{commands}
echo "== told"; tail -n 1 /srv/systemctl.log
await() {{
    tries=0
    until "$@" > /dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 300 ]; then echo "== never"; echo "$*"; cat /srv/watch.log /srv/haproxy.log; exit 1; fi
        sleep 0.1
    done
}}
old=$(head -n 1 /run/haproxy.pid)
kill -TERM $old
await sh -c "! kill -0 $old"
eval "$(sed -n 's/^Environment=/export /p' /etc/systemd/system/haproxy.service.d/*.conf)"
rm /run/haproxy.pid
setsid haproxy -Ws -f $CONFIG -p /run/haproxy.pid $EXTRAOPTS < /dev/null > /srv/haproxy.log 2>&1 &
await test -s /run/haproxy.pid
master=$(head -n 1 /run/haproxy.pid)
echo "== master's socket"; stat -c '%G %a' /run/haproxy/master.sock
of() {{ sed -n "s/^$1=//p" /etc/systemd/system/haproxy-marathon-bridge.service; }}
user=$(sed -n 's/^User=//p' /etc/systemd/system/haproxy-marathon-bridge.service.d/*.conf)
chown -R $user /var/lib/haproxy-marathon-bridge
unshare --mount sh -euc '
    for folder in /run/haproxy /var/lib/haproxy-marathon-bridge; do mount --bind $folder $folder; done
    mount -o remount,bind,ro /
    export STATE_DIRECTORY=/var/lib/haproxy-marathon-bridge
    exec "$@"' sh \
    setpriv --reuid=$user --regid=$user --groups="$(of SupplementaryGroups)" \
    --bounding-set=-all --no-new-privs $(of ExecStart) 2> /srv/watch.log &
watcher=$!
await test -S /run/haproxy/marathon-bridge.sock
printf '%s' '{other}' > /srv/apps.json
await grep -q 10081 $CONFIG
await sh -c 'grep -q "a new process took over" /srv/watch.log'
echo "== who"; stat -c '%U' $CONFIG; stat -c %U /proc/$watcher
echo "== powers"; sed -n 's/^Cap[EPB].*:[[:space:]]*//p' /proc/$watcher/status | sort -u
echo "== master"; [ "$master" = "$(head -n 1 /run/haproxy.pid)" ] && echo same
echo "== status"; haproxy-marathon-bridge status
echo "== doctor"; haproxy-marathon-bridge doctor 2>&1 || echo "exit $?"
kill -TERM $watcher
echo "== end"; wait $watcher; echo $?
echo "== log"; cat /srv/watch.log
"#,
        other = apps(10081)
    ));
    let Some(told) = run(&script) else { return };
    assert_eq!(told.part("told"), "restart haproxy haproxy-marathon-bridge");
    assert_eq!(told.part("master's socket"), "haproxy 660");
    let user = "haproxy-marathon-bridge";
    assert_eq!(told.part("who"), format!("{user}\n{user}"));
    assert_eq!(told.part("powers"), "0000000000000000");
    assert_eq!(told.part("master"), "same");
    told.says("status", &["/haproxy/haproxy.cfg: all is well"]);
    told.says(
        "doctor",
        &[
            "told of a new file by `reload` on `/run/haproxy/master.sock`",
            "ok    socket    `/run/haproxy/master.sock` answers: a master",
        ],
    );
    for it in ["BAD", "exit", "serves as root"] {
        assert!(!told.part("doctor").contains(it), "{told:#?}");
    }
    assert_eq!(told.part("end"), "0", "{told:#?}");
    let log = told.part("log");
    assert!(
        !log.contains(" warn: ") && !log.contains(" error: "),
        "{log}"
    );
}
