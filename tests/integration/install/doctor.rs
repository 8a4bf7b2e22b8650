//! `doctor` on a host that falls ill by and by.

use super::private_root::run;
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
master=$(head -n 1 /run/haproxy.pid)
kill -TERM $master
while [ -e /proc/$master ]; do sleep 0.05; done
rm /srv/on.haproxy-marathon-bridge.service
echo '  frobnicate' >> /etc/haproxy/haproxy.cfg
echo 'file:/srv/nothing.json' > /etc/haproxy-marathon-bridge/marathons
chown nobody /etc/haproxy
echo "== ill"; haproxy-marathon-bridge doctor 2>&1 || echo "exit $?"
"#,
    );
    let Some(told) = run(&script) else { return };
    let before = [
        "note  program   it is not installed",
        "BAD   marathon  no Marathon given",
        "to mend it: haproxy-marathon-bridge install HOST:PORT",
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
    assert!(!told.part("well").contains("exit"), "{told:#?}");
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
}
