//! Clusters whose owners wrote anything at all into their labels.

use serde_json::{Map, Value, json};

use super::random::Random;

/// Each of the labels that hold a value, and one that nobody reads.
const NAMES: [&str; 21] = [
    "GROUP",
    "VHOST",
    "PATH",
    "BACKEND_WEIGHT",
    "ENABLED",
    "MODE",
    "BALANCE",
    "PORT",
    "BIND_ADDR",
    "BIND_OPTIONS",
    "SSL_CERT",
    "STICKY",
    "REDIRECT_TO_HTTPS",
    "USE_HSTS",
    "AUTH",
    "HTTP_BACKEND_PROXYPASS_PATH",
    "HTTP_BACKEND_REVPROXY_PATH",
    "HTTP_BACKEND_REDIR",
    "BACKEND_NETWORK_ALLOWED_ACL",
    "BACKEND_HEALTHCHECK_PORT_INDEX",
    "NONSENSE",
];

const TEMPLATES: [&str; 6] = [
    "HTTP_FRONTEND_ACL",
    "BACKEND_HEAD",
    "BACKEND_SERVER_OPTIONS",
    "BACKEND_HTTP_HEALTHCHECK_OPTIONS",
    "BACKEND_HTTP_OPTIONS",
    "MAP_HTTP_FRONTEND_ACL",
];

const PIECES: [&str; 32] = [
    "a",
    "0",
    "-1",
    "99999999999999999999",
    "10001",
    "ä",
    "\u{1f600}",
    "{",
    "}",
    "{{",
    "{}",
    "{0}",
    "{backend}",
    "{hostname!r:>20}",
    "{healthCheck[path]}",
    "{x.y}",
    "%[src]",
    "#",
    "\"",
    "'",
    "\\",
    ":",
    ",",
    "/",
    " ",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\u{1b}[31m",
    "\u{85}",
    "\u{2028}",
];

/// Apps without any fault of their own, between those that hold garbage: in values, or `in_texts`
/// that replace templates, too.
pub(crate) fn generate(random: &mut Random, in_texts: bool) -> Vec<Value> {
    let count = 2 + random.below(8);
    let app = |number| {
        let is_good = number % 2 == 0;
        let id = if is_good {
            format!("/good-{number}")
        } else {
            format!("/bad-{number}")
        };
        let port = 10_000 + number;
        let mut labels = Map::new();
        labels.insert("HAPROXY_GROUP".into(), json!("external"));
        if is_good {
            labels.insert(
                "HAPROXY_0_VHOST".into(),
                json!(format!("good-{number}.example.com")),
            );
        } else {
            for _ in 0..=random.below(5) {
                let name = if in_texts && random.percent(30) {
                    random.pick(&TEMPLATES)
                } else {
                    random.pick(&NAMES)
                };
                let pieces = 1 + random.below(4);
                let value: String = (0..pieces).map(|_| random.pick(&PIECES)).collect();
                labels.insert(format!("HAPROXY_0_{name}"), json!(value));
            }
        }
        json!({
            "id": id, "ports": [port], "labels": labels,
            "healthChecks": [{
                "protocol": "HTTP", "path": "/", "portIndex": 0, "gracePeriodSeconds": 1,
                "intervalSeconds": 1, "timeoutSeconds": 1, "maxConsecutiveFailures": 1,
            }],
            "tasks": [{"id": "t.1", "host": "10.0.0.1", "ports": [31_000 + number],
                "state": "TASK_RUNNING"}],
        })
    };
    (0..count).map(app).collect()
}
