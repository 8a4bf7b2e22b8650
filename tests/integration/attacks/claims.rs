//! What two apps cannot both have.

use serde_json::{Value, json};

use super::{apps, generate, others_are_served};

/// Whose requests go elsewhere is told, and where.
#[test]
fn who_loses_a_host_is_told_to_whom() {
    let labels = [
        ("HAPROXY_0_VHOST", "h,z.example.com"),
        ("HAPROXY_0_PATH", "/b /c"),
    ];
    let with_labels = apps(&labels, &Value::Null);
    generate(&with_labels, &[]).says(&[
        "app `/z`: label `HAPROXY_0_VHOST`: found `z.example.com/b`, which app `/m/bad` has, \
         expected a host and a path of its own; requests for `z.example.com/b` reach app `/m/bad`",
    ]);
    let labels = [("HAPROXY_0_VHOST", "h"), ("HAPROXY_0_MODE", "tcp")];
    let done = generate(&apps(&labels, &Value::Null), &[]).says(&[
        "app `/m/bad`: label `HAPROXY_0_VHOST`: found `h`, while `HAPROXY_0_MODE` says tcp, expected \
         mode http, since only requests name hosts; service port 10002 left out",
    ]);
    others_are_served(&done.stdout);
    for port in [80, 443, 9090, 9091] {
        let fields = json!({"ports": [port]});
        let done = generate(&apps(&[], &fields), &[]).says(&[
            &format!("app `/m/bad`: service port {port}: found port {port} is held by `"),
            &format!("expected a port of its own; service port {port} left out"),
        ]);
        others_are_served(&done.stdout);
    }
}
