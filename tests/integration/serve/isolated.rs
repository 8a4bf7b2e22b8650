//! What one owner wrote wrongly costs that service alone, also where marathon-lb stopped as a whole.

use serde_json::json;

use super::Scene;

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
        // What only HAProxy can judge.
        (&[HOST, ("HAPROXY_0_BALANCE", "fair")], "balance only"),
        (&[HOST, ("HAPROXY_0_MODE", "tcp")], "incompatible tcp"),
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
