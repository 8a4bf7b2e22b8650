//! The entry point of the container at the paths of the image, as the user of the image, on the ports
//! and with the templates that everybody gets. In the place of the image stands this system.

use std::path::Path;

use super::private_root::{apps, run};

#[test]
fn the_entry_point_serves_at_its_own_paths_without_root() {
    let entry = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/container/run");
    let script = format!(
        r#"
# As Docker does for a network of the container's own.
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
cp /opt/bridge /usr/local/bin/haproxy-marathon-bridge
rm -rf /marathon-lb /run/haproxy
install -d -o haproxy -g haproxy /marathon-lb /run/haproxy /var/lib/haproxy-marathon-bridge
install -m 755 {entry} /marathon-lb/run
chown haproxy /etc/ssl
printf '%s' '{before}' > /srv/apps.json
await() {{
    tries=0
    until "$@" > /dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 300 ]; then echo "$*"; cat /srv/log; exit 1; fi
        sleep 0.1
    done
}}
cd /marathon-lb
PORTS=80,443,9090,9091 setpriv --reuid=haproxy --regid=haproxy --init-groups --bounding-set=-all \
    ./run sse --group '*' --marathon file:/srv/apps.json > /srv/log 2>&1 &
started=$!
await ./run health
echo "== certificate"
openssl s_client -connect 127.0.0.1:443 < /dev/null 2> /dev/null | sed -n 's/^subject=//p'
await test -S /run/haproxy/marathon-bridge.sock
master=$(cat /run/haproxy/haproxy.pid)
printf '%s' '{after}' > /srv/apps.json
await grep -q 'a new process took over' /srv/log
echo "== file"; grep -c 10081 haproxy.cfg; stat -c %U haproxy.cfg
echo "== master"; cat /run/haproxy/haproxy.pid | grep -x $master | sed 's/.*/same/'; stat -c %U /proc/$master/exe /proc/$master
echo "== left over"; cat /proc/[0-9]*/stat | grep -c ') Z ' || true
kill -TERM $started
echo "== end"; wait $started; echo $?
echo "== gone"; cat /proc/[0-9]*/comm | grep -c haproxy || true
"#,
        entry = entry.display(),
        before = apps(10080),
        after = apps(10081)
    );
    let Some(told) = run(&script) else { return };
    assert_eq!(told.part("certificate"), "CN = *");
    let lines: Vec<&str> = told.part("file").lines().collect();
    assert_ne!(lines[0], "0");
    assert_eq!(lines[1], "haproxy");
    assert!(told.part("master").starts_with("same\n"), "{told:#?}");
    assert!(!told.part("master").contains("root"), "{told:#?}");
    assert_eq!(told.part("left over"), "0");
    assert_eq!(told.part("end"), "0");
    assert_eq!(told.part("gone"), "0");
}
