//! What an app owner may try against the others: each is known to pass `haproxy -c`, or to break the
//! file for everybody. The native commands refuse it, say so in five parts, and serve the rest.

mod claims;
mod shares;
mod templates;
mod values;

use serde_json::{Value, json};

use crate::support::{Done, Test};

/// Other apps, which must be served whatever happens, and `/m/bad` in their middle.
fn apps(labels: &[(&str, &str)], fields: &Value) -> String {
    let app = |id: &str, port: u16, labels: &[(&str, &str)], fields: &Value| {
        let mut all = json!({"HAPROXY_GROUP": "x"});
        for (name, text) in labels {
            all[name] = json!(text);
        }
        let mut app = json!({
            "id": id,
            "labels": all,
            "ports": [port],
            "tasks": [{"id": "t.1", "host": "10.0.0.1", "ports": [31000], "state": "TASK_RUNNING"}],
        });
        for (name, value) in fields.as_object().into_iter().flatten() {
            app[name] = value.clone();
        }
        app
    };
    let good = |id: &str, port: u16, host: &str| {
        let labels = [("HAPROXY_0_VHOST", host), ("HAPROXY_0_PATH", "-i /a /b")];
        app(id, port, &labels, &Value::Null)
    };
    let apps = [
        good("/a", 10001, "a.example.com"),
        app("/m/bad", 10002, labels, fields),
        good("/z", 10003, "z.example.com"),
    ];
    json!({ "apps": apps }).to_string()
}

fn certificate() -> String {
    format!("{}/tests/certificate.pem", env!("CARGO_MANIFEST_DIR"))
}

fn generate(apps: &str, more: &[&str]) -> Done {
    let test = Test::new().file("apps.json", apps);
    let certs = format!("--ssl-certs={}", certificate());
    let words = ["generate", "--marathon=file:apps.json", &certs];
    let is_other = more.iter().any(|word| word.starts_with("--template-set"));
    let set: &[&str] = if is_other {
        &[]
    } else {
        &["--template-set=marathon-lb"]
    };
    test.call([&words[..], set, more].concat()).expect(0)
}

/// What marathon-lb made of the same apps.
fn verbatim(apps: &str, more: &[&str]) -> Done {
    let test = Test::new().file("apps.json", apps);
    let certs = format!("--ssl-certs={}", certificate());
    test.dry(&[&[certs.as_str()], more].concat()).expect(0)
}

/// Whether the two others are there with all that is theirs, and whether the third is.
#[track_caller]
fn others_are_served(cfg: &str) {
    for (name, host) in [("a_10001", "a.example.com"), ("z_10003", "z.example.com")] {
        for line in [
            format!("backend {name}"),
            format!("frontend {name}"),
            format!("  use_backend {name} if {{ ssl_fc_sni {host} }} path_{name}"),
            format!("  acl path_{name} path_beg -i /a /b"),
        ] {
            assert!(
                cfg.lines().any(|own| own == line),
                "{line} is missing in\n{cfg}"
            );
        }
    }
}
