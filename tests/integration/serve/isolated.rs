//! What one owner wrote wrongly costs that service alone, also where marathon-lb stopped as a whole.

use serde_json::json;

use super::{Ports, Scene};

const HOST: (&str, &str) = ("HAPROXY_0_VHOST", "bad.test");

#[test]
fn a_bad_service_is_left_out_and_the_others_serve() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[HOST, ("HAPROXY_0_AUTH", "realm:user")], "three parts"),
        (&[HOST, ("HAPROXY_0_PORT", "http")], "expected an integer"),
        (&[HOST, ("HAPROXY_0_BACKEND_WEIGHT", "heavy")], "integer"),
        (
            &[HOST, ("HAPROXY_0_BACKEND_HEAD", "backend {nonsense}\n")],
            "no value is named `nonsense`",
        ),
        (
            &[HOST, ("HAPROXY_0_HTTP_FRONTEND_ACL", "  acl x {\n")],
            "HAPROXY_0_HTTP_FRONTEND_ACL",
        ),
        (
            &[HOST, ("HAPROXY_0_MODE", "tcp")],
            "found `bad.test`, while `HAPROXY_0_MODE` says tcp",
        ),
        // What only HAProxy can judge.
        (&[HOST, ("HAPROXY_0_BALANCE", "fair")], "balance only"),
        (
            &[HOST, ("HAPROXY_0_HTTP_BACKEND_REVPROXY_PATH", "/a%20b")],
            "Maybe you want to write a single '%'",
        ),
    ];
    let mut scene = Scene::new();
    for host in ["one.test", "two.test"] {
        let name = host.split('.').next().unwrap();
        scene.app(&format!("/{name}"), &[name], &[("HAPROXY_0_VHOST", host)]);
    }
    for (labels, told) in cases {
        let bad = json!({"tasks": [super::task("/not/good", "bad", 31001)]});
        scene.app_with("/not/good", &[], labels, &bad);
        scene.write().expect(0).says(&["app `/not/good`", told]);
        let served = scene.serve();
        served.http().get("bad.test", "/").expect(503);
        for (host, app) in [("one.test", "one"), ("two.test", "two")] {
            assert_eq!(served.http().get(host, "/").by(), app, "{told}");
            assert_eq!(served.https().get(host, "/").by(), app, "{told}");
        }
        scene = served.end();
        scene.apps.pop();
    }
}

/// marathon-lb wrote both, and HAProxy gave connections to either at random.
#[test]
fn an_app_cannot_take_a_port_of_the_file_itself() {
    for flags in [&[][..], &["--group-https-by-vhost"]] {
        let mut scene = Scene::new().flags(flags);
        // Of this scene alone: all processes of a machine share the sockets behind port 443.
        let host = format!("good-{}.test", scene.ports.https);
        scene.app("/good", &["good"], &[("HAPROXY_0_VHOST", &host)]);
        let Ports {
            http,
            https,
            stats,
            app_id,
        } = scene.ports;
        for port in [http, https, stats, app_id] {
            let id = format!("/thief/{port}");
            scene.app_on(port, &id, &["thief"], &[HOST], &json!({}));
        }
        let sections = [
            (http, "frontend marathon_http_in"),
            (https, "frontend marathon_https_in"),
            (stats, "listen stats"),
            (app_id, "frontend marathon_http_appid_in"),
        ];
        let mut done = scene.write().expect(0);
        for (port, section) in sections {
            done = done.says(&[&format!("port {port} is held by `{section}`")]);
        }
        let served = scene.serve();
        assert!(!served.cfg.contains("thief"), "{}", served.cfg);
        for _ in 0..4 {
            assert_eq!(served.http().get(&host, "/").by(), "good");
            assert_eq!(served.https().get(&host, "/").by(), "good");
            assert_eq!(served.app_id("/good").by(), "good");
            assert!(served.servers("thief").is_empty());
        }
        // Whoever wants no judgement gets none.
        let scene = served.end().flags(&["--skip-validation", "--dry"]);
        let text = scene.write().expect(0).stdout;
        assert!(text.contains(&format!(
            "bind 127.0.0.1:{stats}\n  mode http\n  use_backend"
        )));
    }
}
