//! Port 443 with a TLS frontend of its own for each host.
//!
//! The sections are joined by abstract sockets, which all processes of a machine share: hosts bear
//! the number of a port that is this test's own.

use std::fs;

use super::backends::AUTH;
use super::{Answer, Scene, Served};

/// A name of a host that no other test uses.
fn host(scene: &Scene, name: &str) -> String {
    format!("{name}-{}.test", scene.ports.https)
}

fn vhost(hosts: &str) -> (&str, &str) {
    ("HAPROXY_0_VHOST", hosts)
}

fn ssl_cert(path: &str) -> (&str, &str) {
    ("HAPROXY_0_SSL_CERT", path)
}

fn presented(served: &Served, answer: &Answer, name: &str) -> bool {
    let expected = fs::read(served.scene.path(&format!("{name}.der"))).unwrap();
    answer.certificate.as_ref() == Some(&expected)
}

#[track_caller]
fn assert_hung_up(served: &Served, host: &str) {
    match served.https().try_get(host, "/") {
        Ok(answer) => panic!("{host}: {answer:#?}"),
        Err(error) => assert!(!error.is_timeout(), "{host}: {error:?}"),
    }
}

#[test]
fn each_host_has_its_certificates_and_its_rules() {
    let mut scene = Scene::new().flags(&["--group-https-by-vhost"]);
    let [one, two, three, four] = ["one", "Two", "three", "four"].map(|name| host(&scene, name));
    let two_lower = two.to_lowercase();
    let own = scene.certificate(&one);
    let shared = scene.certificate(&two_lower);
    scene.app("/one", &["one"], &[vhost(&one), ssl_cert(&own)]);
    scene.app(
        "/one/api",
        &["api"],
        &[vhost(&one), ("HAPROXY_0_PATH", "/api")],
    );
    let several = format!("{two},{three}");
    let options = ("HAPROXY_0_BIND_OPTIONS", "ssl-min-ver TLSv1.2");
    scene.app(
        "/several",
        &["several"],
        &[vhost(&several), ssl_cert(&shared), options],
    );
    let auth = ("HAPROXY_0_AUTH", AUTH);
    scene.app("/four", &["four"], &[vhost(&four), auth]);
    let served = scene.serve();
    assert!(served.cfg.contains("accept-proxy ssl"), "{}", served.cfg);
    for (host, path, app, certificate) in [
        (&one, "/", "one", &*one),
        (&one, "/api/x", "api", &*one),
        (&two_lower, "/", "several", &*two_lower),
        (&three, "/x?y=1", "several", &*two_lower),
    ] {
        let answer = served.https().get(host, path);
        assert_eq!(answer.by(), app, "{host}{path}");
        assert!(presented(&served, &answer, certificate), "{host}{path}");
        assert_eq!(answer.received("X-Forwarded-Proto"), ["https"]);
        // The inner connection tells whom it serves.
        assert_eq!(answer.received("X-Forwarded-For"), ["127.0.0.1"]);
        let port = served.scene.ports.https.to_string();
        assert_eq!(answer.received("X-Forwarded-Port"), [port]);
    }
    // Without a certificate of its own, that of all.
    let asked = served.https().get(&four, "/").expect(401);
    assert!(presented(&served, &asked, "default"));
    let right = served.https().login("ali", "open sesame").get(&four, "/");
    assert_eq!(right.by(), "four");
    // Port 80 is the same as ever.
    assert_eq!(served.http().get(&one, "/api").by(), "api");
    // A host without a rule has no certificate to be met with.
    assert_hung_up(&served, &host(&served.scene, "five"));
}

/// Kept as marathon-lb has it, and documented: one host holds the only lookup.
#[test]
fn together_with_maps_only_rules_of_a_host_itself_work() {
    let mut scene = Scene::new().flags(&["--group-https-by-vhost", "--haproxy-map"]);
    let [first, second, certified, path, secret] =
        ["first", "second", "certified", "path", "secret"].map(|name| host(&scene, name));
    let certificate = scene.certificate(&certified);
    scene.app("/a", &["a"], &[vhost(&first)]);
    scene.app("/b", &["b"], &[vhost(&second)]);
    scene.app("/c", &["c"], &[vhost(&certified), ssl_cert(&certificate)]);
    scene.app("/d", &["d"], &[vhost(&path), ("HAPROXY_0_PATH", "/")]);
    scene.app("/e", &["e"], &[vhost(&secret), ("HAPROXY_0_AUTH", AUTH)]);
    let served = scene.serve();
    assert_eq!(served.https().get(&first, "/").by(), "a");
    assert_eq!(served.https().get(&path, "/").by(), "d");
    let login = served.https().login("ali", "open sesame");
    assert_eq!(login.get(&secret, "/").by(), "e");
    assert_hung_up(&served, &second);
    let answer = served.https().get(&certified, "/").expect(503);
    assert!(presented(&served, &answer, &certified));
    // Port 80 is not concerned.
    for (host, app) in [(&second, "b"), (&certified, "c")] {
        assert_eq!(served.http().get(host, "/").by(), app);
    }
}
