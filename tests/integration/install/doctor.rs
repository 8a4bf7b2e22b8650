//! `doctor` on a host that falls ill by and by.

use super::private_root::{Told, run};
use super::units::with_systemd;

#[test]
fn each_thing_that_is_wrong_is_told_with_what_mends_it() {
    let script = with_systemd(
        r#"
echo "== before"; /opt/bridge doctor 2>&1 || echo "exit $?"
/opt/bridge install file:/srv/apps.json > /dev/null 2>&1
echo "== well"; haproxy-marathon-bridge doctor 2>&1 || echo "exit $?"
echo "== version"; haproxy -v | sed -n '1s/^HA-*Proxy version \([0-9]*\.[0-9]*\).*/\1/p'
echo "== json"; haproxy-marathon-bridge doctor --json
sed -i '/ haproxy$/d' /etc/haproxy-marathon-bridge/haproxy.d/user.cfg
haproxy-marathon-bridge refresh > /dev/null 2>&1
echo "== as root"; haproxy-marathon-bridge doctor 2>&1 || echo "exit $?"
master=$(head -n 1 /run/haproxy.pid)
kill -TERM $master
while [ -e /proc/$master ]; do sleep 0.05; done
rm /srv/on.haproxy-marathon-bridge.service
echo '  frobnicate' >> /etc/haproxy/haproxy.cfg
echo 'file:/srv/nothing.json' > /etc/haproxy-marathon-bridge/marathons
chown nobody /etc/haproxy
echo "== ill"; haproxy-marathon-bridge doctor 2>&1 || echo "exit $?"
install -m 644 /etc/haproxy/haproxy.cfg /srv/other.cfg
sed -i '/frobnicate/d; s/^  description .*/  description other/' /srv/other.cfg
haproxy -D -f /srv/other.cfg -p /srv/other.pid
echo "== other"; haproxy-marathon-bridge doctor 2>&1 || echo "exit $?"
kill -TERM $(cat /srv/other.pid)
rm -rf /run/haproxy
echo 'master-socket = "/run/haproxy/master.sock"' >> /etc/haproxy-marathon-bridge/config.toml
echo "== no folder"; haproxy-marathon-bridge doctor 2>&1 || echo "exit $?"
line=/etc/cron.d/haproxy-marathon-bridge
printf '#* * * * * root /usr/local/bin/haproxy-marathon-bridge refresh\n' > $line
echo "== no line"; haproxy-marathon-bridge doctor 2>&1 || true
printf 'PATH=/bin\n* * * * * root /opt/nowhere refresh\n' > $line
echo "== nowhere"; haproxy-marathon-bridge doctor 2>&1 || true
chmod 666 $line
echo "== for all"; haproxy-marathon-bridge doctor 2>&1 || true
echo 'frobnicate = 1' >> /etc/haproxy-marathon-bridge/config.toml
echo "== options"; haproxy-marathon-bridge doctor --json 2>/dev/null || true
echo "== uninstall"; haproxy-marathon-bridge uninstall 2>&1 || echo "exit $?"
echo "== left"; ls $line /etc/haproxy-marathon-bridge 2> /dev/null || true
"#,
    );
    let Some(told) = run(&script) else { return };
    let before = [
        "note  program   it is not installed",
        "BAD   marathon  no Marathon given",
        "to mend it: /opt/bridge install HOST:PORT",
        "BAD   turns     nobody takes any",
        "exit 1",
    ];
    told.says("before", &before);
    // "HAProxy version", and "HA-Proxy version" before 2.4.
    let version = format!("ok    haproxy   HAProxy {}", told.part("version"));
    let well = [
        "ok    program   `/usr/local/bin/haproxy-marathon-bridge`",
        version.as_str(),
        ", with TLS",
        "ok    file      HAProxy accepts `/etc/haproxy/haproxy.cfg`",
        "ok    process   pid ",
        "told of a new file by `systemctl reload haproxy`",
        "ok    socket    `/run/haproxy/",
        "ok    access    `/etc/haproxy` can be written",
        "ok    marathon  `file:/srv/apps.json` answers, with 1 apps",
        "ok    turns     by service, as `/etc/systemd/system/haproxy-marathon-bridge.service` says",
        "ok    last turn /etc/haproxy/haproxy.cfg: all is well",
        "all is well",
    ];
    told.says("well", &well);
    for it in ["exit", "serves as root"] {
        assert!(!told.part("well").contains(it), "{told:#?}");
    }
    told.says("as root", &["note  process   pid ", " serves as root\n"]);
    assert!(!told.part("as root").contains("exit"), "{told:#?}");
    let json: serde_json::Value = serde_json::from_str(told.part("json")).unwrap();
    assert_eq!(json["ok"], true);
    let findings = json["findings"].as_array().unwrap();
    let is_known =
        |finding: &serde_json::Value| finding["about"] == "turns" && finding["grade"] == "ok";
    assert!(findings.iter().any(is_known), "{json:#}");
    let ill = [
        "BAD   file      HAProxy refuses `/etc/haproxy/haproxy.cfg`: ",
        "BAD   process   no HAProxy runs `/etc/haproxy/haproxy.cfg`",
        "to mend it: systemctl enable --now haproxy\n",
        "BAD   socket    nobody answers at `/run/haproxy/",
        "the unit `haproxy-marathon-bridge.service` may write to what is root's alone",
        "to mend it: chown root /etc/haproxy\n",
        "BAD   marathon  ",
        "nothing.json",
        "as `/etc/systemd/system/haproxy-marathon-bridge.service` says, but that does not run",
        "to mend it: systemctl enable --now haproxy-marathon-bridge.service\n",
        "BAD   last turn ",
        "things are wrong",
        "exit 1",
    ];
    told.says("ill", &ill);
    other_faults_are_told(&told);
}

fn other_faults_are_told(told: &Told) {
    told.says(
        "other",
        &[
            "no HAProxy runs `/etc/haproxy/haproxy.cfg`, but pid ",
            " runs `/srv/other.cfg`",
            "its description is `other`, expected `",
        ],
    );
    told.says(
        "no folder",
        &[
            "nobody answers at `/run/haproxy/master.sock`, which `master-socket` names: there is no folder",
            "to mend it: install -d -o haproxy -g haproxy -m 2775 /run/haproxy",
        ],
    );
    for (part, says) in [
        ("no line", "but no line in it calls this program"),
        ("nowhere", "but it calls `/opt/nowhere`, which is not there"),
        ("for all", "it has mode 0666"),
    ] {
        told.says(
            part,
            &[
                "BAD   turns     by cron, as `/etc/cron.d/haproxy-marathon-bridge`",
                says,
            ],
        );
    }
    let json: serde_json::Value = serde_json::from_str(told.part("options")).unwrap();
    let about: Vec<&str> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["about"].as_str().unwrap())
        .collect();
    assert_eq!(about[..2], ["options", "program"], "{json:#}");
    told.says("uninstall", &["frobnicate", "is passed over"]);
    assert!(!told.part("uninstall").contains("exit"), "{told:#?}");
    assert_eq!(
        told.part("left"),
        "/etc/haproxy-marathon-bridge:\nconfig.toml\ncron-file.before-haproxy-marathon-bridge\nhaproxy.d\n\
         marathons"
    );
}
