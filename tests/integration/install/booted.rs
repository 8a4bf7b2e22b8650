//! The package under systemd itself: a clean tree that is started as a system, beside a Marathon with
//! tasks that answer. `make test-packages` makes both and names them.

use std::fs;
use std::io;
use std::path::PathBuf;

use haproxy_marathon_bridge::demo::backend::Instance;
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};

use super::commands_of_the_document;
use super::package::QUESTIONS;
use super::private_root::{Told, made, run_in};
use crate::host::Web;

/// Starts a system that runs /srv/script as one of its services. What it is, it is to itself alone: it
/// may change no setting of this kernel, and its groups of processes lie in one of their own.
const BOOT: &str = r#"
# HAProxy's unit and ours are reloaded by the /bin/kill of procps, which whole systems have.
apt install systemd procps > /srv/boot.log
systemctl --quiet mask getty.target systemd-logind.service systemd-networkd.service \
    systemd-timesyncd.service systemd-resolved.service
cat > /etc/systemd/system/script.service << 'END'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash -eu /srv/script
StandardOutput=file:/srv/told
StandardError=file:/srv/errors
ExecStopPost=/bin/sh -c 'journalctl --no-pager --lines=80 > /srv/journal; touch /srv/end'
END
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -s ../script.service /etc/systemd/system/multi-user.target.wants/

mkfifo /srv/ask
exec 9<> /srv/ask
HMB_MARATHON_OF=/srv/marathon /opt/tests --exact install::booted::the_marathon_of_a_system \
    <&9 > /srv/marathon.log 2>&1 &
await test -s /srv/marathon

mount -t sysfs none /sys
mount -t cgroup2 none /sys/fs/cgroup
group=/sys/fs/cgroup/marathon-bridge-$(cat /proc/sys/kernel/random/uuid)
mkdir $group
ended() {
    kill -KILL $system 2> /dev/null || true
    wait $system || true
    echo 0 > /sys/fs/cgroup/cgroup.procs
    await grep -q 'populated 0' $group/cgroup.events
    find $group -depth -type d -exec rmdir {} +
}
echo 0 > $group/cgroup.procs
env -i container=test PATH="$PATH" \
    setpriv --bounding-set=-sys_time,-sys_boot,-sys_module,-sys_rawio,-syslog \
    unshare --pid --fork --kill-child --mount --mount-proc --cgroup --uts --ipc /bin/sh -euc '
        umount /sys/fs/cgroup
        mount --bind /proc/sys /proc/sys
        mount -o remount,bind,ro /proc/sys
        mount -o remount,bind,ro /sys
        mount -t cgroup2 none /sys/fs/cgroup
        exec /lib/systemd/systemd --system --unit=multi-user.target' < /dev/null > /srv/boot.log 2>&1 &
system=$!
trap ended EXIT
tries=0
until [ -e /srv/end ]; do
    tries=$((tries + 1))
    if [ $tries -gt 3000 ] || ! kill -0 $system 2> /dev/null; then
        echo "the system does not run to its end" >&2
        break
    fi
    sleep 0.1
done
cat /srv/told
if ! tail -n 1 /srv/told | grep -qx '== end'; then
    cat /srv/boot.log /srv/marathon.log /srv/journal /srv/errors >&2 || true
    exit 1
fi
"#;

/// What the script of a system asks it.
const ASKED: &str = r#"
bridge=haproxy-marathon-bridge
cfg=${cfg:-/etc/haproxy/haproxy.cfg}
of() { systemctl show --property=$2 --value $1; }
is() { systemctl $@ 2>&1 || true; }
worker() { cat /proc/$1/task/$1/children; }
# The instance that answers at the service port of /web.
answer() (
    exec 3<> /dev/tcp/127.0.0.1/$(tail -n 1 /srv/marathon)
    echo who >&3
    timeout 5 head -n 1 <&3
)
answers() { [ "$(answer)" = $1 ]; }
differs() { [ "$(eval "$1")" != "$2" ]; }
"#;

/// No test: whoever starts a system has this program of tests run once more, as its Marathon. It writes
/// where that is and at which port `/web` is served, and does what it is told line by line.
#[test]
fn the_marathon_of_a_system() {
    let Some(place) = made("HMB_MARATHON_OF") else {
        return;
    };
    let mut web = Web::start();
    let started = place.with_extension("new");
    fs::write(&started, format!("{}\n{}\n", web.url()[0], web.port)).unwrap();
    fs::rename(&started, &place).unwrap();
    let mut others = Vec::new();
    for line in io::stdin().lines() {
        match line.unwrap().as_str() {
            "scale" => drop(web.scale_up()),
            name => {
                let backend = Instance::tcp(name).start().unwrap();
                let app = App::new(&format!("/{name}")).service_port(free_ports(1).unwrap()[0]);
                web.marathon.deploy(app.task(Task::local(backend.port())));
                others.push(backend);
            }
        }
    }
}

/// Runs `script` as a service of a system of its own; `None` where no packages were made.
fn boot(script: &str) -> Option<Told> {
    let paths: Option<Vec<PathBuf>> = ["HMB_DEB", "HMB_DEB_LATER", "HMB_TREE"]
        .into_iter()
        .map(made)
        .collect();
    let paths = paths?;
    let [now, later, tree] = &paths[..] else {
        return None;
    };
    let tests = std::env::current_exe().unwrap();
    let files = [
        ("now.deb", now.as_path()),
        ("later.deb", later),
        ("tests", &tests),
    ];
    let script = format!(
        "{QUESTIONS}\ncat > /srv/script << 'SCRIPT'\n{QUESTIONS}{ASKED}{script}\necho '== end'\n\
         SCRIPT\n{BOOT}"
    );
    let told = run_in(tree, &files, &script);
    assert!(
        told.is_some(),
        "a system needs root to be started in a tree"
    );
    told
}

#[test]
fn the_service_lives_under_systemd() {
    let told = boot(
        r#"
echo "== installed"; apt install /opt/now.deb
echo "== unasked"; is is-enabled $bridge.service $bridge-refresh.timer; is is-active $bridge.service
echo "== configured"; haproxy-marathon-bridge install $(head -n 1 /srv/marathon) 2>&1
echo "== service"; is is-active $bridge; is is-enabled $bridge; of $bridge Type; of $bridge StatusText
echo "== served"; await answers web-0; echo yes
echo "== powers"; grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/$(of $bridge MainPID)/status
echo "== exposure"; systemd-analyze security --no-pager --threshold=20 $bridge.service | tail -n 1
echo "== verified"; systemd-analyze verify /usr/lib/systemd/system/$bridge* 2>&1
echo "== doctor"; haproxy-marathon-bridge doctor 2>&1

master=$(of haproxy MainPID)
serving=$(worker $master)
echo scale > /srv/ask
echo "== told"; await answers web-1; [ "$serving" = "$(worker $master)" ] && echo same
echo other > /srv/ask
echo "== reloaded"; await grep -q '^backend other_' $cfg
await differs "worker $master" "$serving"; [ $master = $(of haproxy MainPID) ] && echo same
await sh -c "journalctl --unit=$bridge | grep -q 'backend other_[0-9]* is new'"
journalctl --unit=$bridge --output=cat | grep -Ei '(warn|error|denied)' || true
echo "== asked anew"; systemctl reload $bridge; echo $?; is is-active $bridge
echo "== once"; systemctl start $bridge-refresh.service; of $bridge-refresh Result

mkdir -p /etc/systemd/system/$bridge.service.d
printf '[Service]\nWatchdogSec=1s\nTimeoutAbortSec=1s\nRestartSec=100ms\n' \
    > /etc/systemd/system/$bridge.service.d/soon.conf
systemctl daemon-reload
systemctl restart $bridge
echo "== watchdog"
for ping in 1 2 3 4; do
    await differs "of $bridge WatchdogTimestampMonotonic" "$(of $bridge WatchdogTimestampMonotonic)"
done
of $bridge NRestarts
kill -STOP $(of $bridge MainPID)
await differs "of $bridge NRestarts" 0
await systemctl is-active $bridge
journalctl --unit=$bridge --output=cat | grep -m 1 -o 'Watchdog timeout'

pid=$(of $bridge MainPID)
echo "== upgraded"; apt install /opt/later.deb
await differs "of $bridge MainPID" $pid; await systemctl is-active $bridge; is is-enabled $bridge
[ $master = $(of haproxy MainPID) ] && echo same
systemctl --quiet disable --now $bridge
echo "== upgraded while off"; apt reinstall /opt/later.deb > /dev/null
is is-active $bridge; is is-enabled $bridge
echo "== by timer"; haproxy-marathon-bridge install --timer > /srv/timer 2>&1 || cat /srv/timer
is is-active $bridge-refresh.timer; is is-enabled $bridge-refresh.timer

echo "== removed"; apt remove $bridge > /dev/null
is is-active $bridge-refresh.timer; find /etc/systemd -name '*marathon*' -not -name '*.d' -not -name soon.conf
is is-active haproxy; test -n "$(answer)" && echo served
echo "== purged"; rm -r /etc/systemd/system/$bridge.service.d; apt purge $bridge > /dev/null; left
"#,
    );
    let Some(told) = told else { return };
    assert_eq!(told.part("unasked"), "disabled\ndisabled\ninactive");
    told.says(
        "configured",
        &["systemctl enable --now haproxy-marathon-bridge.service"],
    );
    assert!(
        !told
            .part("configured")
            .contains("done    write a file of options"),
        "{told:#?}"
    );
    told.says("service", &["active\nenabled\nnotify\n"]);
    assert_eq!(told.part("served"), "yes");
    // CAP_NET_BIND_SERVICE, and nothing else; a filter of system calls.
    for line in [
        "CapEff:\t0000000000000400",
        "CapBnd:\t0000000000000400",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        told.says("powers", &[line]);
    }
    told.says("exposure", &["OK"]);
    assert_eq!(told.part("verified"), "");
    told.says("doctor", &["ok    turns     by service", "all is well"]);
    assert_eq!(told.part("told"), "same");
    assert_eq!(told.part("reloaded"), "same");
    assert_eq!(told.part("asked anew"), "0\nactive");
    assert_eq!(told.part("once"), "success");
    assert_eq!(told.part("watchdog"), "0\nWatchdog timeout");
    told.says("upgraded", &["enabled\nsame"]);
    assert_eq!(told.part("upgraded while off"), "inactive\ndisabled");
    assert_eq!(told.part("by timer"), "active\nenabled");
    assert_eq!(told.part("removed"), "inactive\nactive\nserved");
    assert_eq!(
        told.part("purged"),
        "/etc/haproxy/haproxy.cfg.before-haproxy-marathon-bridge"
    );
}

/// The commands of the document, as they stand there.
#[test]
fn it_is_a_user_of_its_own_as_the_document_says() {
    let commands = commands_of_the_document();
    let told = boot(&format!(
        r#"
apt install /opt/now.deb > /dev/null
haproxy-marathon-bridge install $(head -n 1 /srv/marathon) > /dev/null 2>&1
cd /usr/share/doc/$bridge/examples/unprivileged
{commands}
cfg=/var/lib/$bridge/haproxy/haproxy.cfg
await systemctl is-active $bridge
await answers web-0
master=$(of haproxy MainPID)
serving=$(worker $master)
echo scale > /srv/ask
echo "== told"; await answers web-1; [ "$serving" = "$(worker $master)" ] && echo same
echo other > /srv/ask
await grep -q '^backend other_' $cfg
echo "== reloaded"; await differs "worker $master" "$serving"; [ $master = $(of haproxy MainPID) ] && echo same
echo "== who"; stat -c %U $cfg /proc/$(of $bridge MainPID)
echo "== powers"; grep -E '^Cap(Eff|Bnd):' /proc/$(of $bridge MainPID)/status
echo "== doctor"; haproxy-marathon-bridge doctor 2>&1
"#
    ));
    let Some(told) = told else { return };
    assert_eq!(told.part("told"), "same");
    assert_eq!(told.part("reloaded"), "same");
    let user = "haproxy-marathon-bridge";
    assert_eq!(told.part("who"), format!("{user}\n{user}"));
    let none = "0000000000000000";
    assert_eq!(
        told.part("powers"),
        format!("CapEff:\t{none}\nCapBnd:\t{none}")
    );
    told.says("doctor", &["ok    turns     by service", "all is well"]);
    assert!(!told.part("doctor").contains("serves as root"), "{told:#?}");
}
