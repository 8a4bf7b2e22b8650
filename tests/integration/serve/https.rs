//! Port 443 as one frontend, and the way there from port 80.

use std::fs;

use super::{Scene, Served};

/// The certificate of this name.
fn der(served: &Served, name: &str) -> Vec<u8> {
    fs::read(served.scene.path(&format!("{name}.der"))).unwrap()
}

#[test]
fn the_host_of_the_handshake_chooses_certificate_and_app() {
    let mut scene = Scene::new();
    let (one, two) = (scene.certificate("one.test"), scene.certificate("two.test"));
    scene.flags = vec!["--ssl-certs".to_owned(), format!("{one},{two}")];
    scene.app("/one", &["one"], &[("HAPROXY_0_VHOST", "one.test")]);
    scene.app(
        "/two",
        &["two"],
        &[("HAPROXY_0_VHOST", "Two.test,three.test")],
    );
    let served = scene.serve();
    for (host, app, certificate) in [
        ("one.test", "one", "one.test"),
        ("two.test", "two", "two.test"),
        // The first one is for hosts without their own.
        ("three.test", "two", "one.test"),
    ] {
        let answer = served.https().get(host, "/");
        assert_eq!(answer.by(), app, "{host}");
        assert_eq!(answer.received("X-Forwarded-Proto"), ["https"]);
        let presented = answer.certificate.unwrap();
        assert!(presented == der(&served, certificate), "{host}");
    }
    served.https().get("four.test", "/").expect(503);
    // The handshake counts, not the header.
    let crossed = served.https().sni("two.test").get("one.test", "/");
    assert_eq!(crossed.by(), "two");
}

#[test]
fn a_redirect_leads_to_the_same_place_by_https() {
    let mut scene = Scene::new();
    let redirect = ("HAPROXY_0_REDIRECT_TO_HTTPS", "true");
    let host = |host| ("HAPROXY_0_VHOST", host);
    scene.app("/one", &["one"], &[host("one.test"), redirect]);
    scene.app("/two", &["two"], &[host("two.test,three.test"), redirect]);
    scene.app("/plain", &["plain"], &[host("plain.test")]);
    for flags in [&[][..], &["--haproxy-map"]] {
        let served = scene.flags(flags).serve();
        for (host, app) in [
            ("one.test", "one"),
            ("two.test", "two"),
            ("three.test", "two"),
        ] {
            let answer = served.http().get(host, "/a?b=1").expect(301);
            let location = format!("https://{host}/a?b=1");
            assert_eq!(answer.header("Location"), Some(&*location));
            assert_eq!(served.https().get(host, "/a").by(), app);
        }
        assert_eq!(served.http().get("plain.test", "/").by(), "plain");
        served.http().get("four.test", "/").expect(503);
        scene = served.end();
    }
}

#[test]
fn a_redirect_with_a_path_is_for_that_path() {
    let mut scene = Scene::new();
    let redirect = ("HAPROXY_0_REDIRECT_TO_HTTPS", "true");
    let host = |host| ("HAPROXY_0_VHOST", host);
    let path = ("HAPROXY_0_PATH", "/safe");
    scene.app("/a/one", &["one"], &[host("one.test"), redirect, path]);
    scene.app(
        "/a/two",
        &["two"],
        &[host("two.test,three.test"), redirect, path],
    );
    scene.app("/b/open", &["open"], &[host("one.test,two.test")]);
    let served = scene.serve();
    for (host, app) in [("one.test", "one"), ("two.test", "two")] {
        let answer = served.http().get(host, "/safe/x").expect(301);
        let location = format!("https://{host}/safe/x");
        assert_eq!(answer.header("Location"), Some(&*location));
        assert_eq!(served.http().get(host, "/").by(), "open");
        assert_eq!(served.https().get(host, "/safe/x").by(), app);
        assert_eq!(served.https().get(host, "/").by(), "open");
    }
    served.http().get("three.test", "/safe").expect(301);
    served.http().get("three.test", "/").expect(503);
}

#[test]
fn a_service_port_with_a_certificate_speaks_tls() {
    let mut scene = Scene::new();
    let certificate = scene.certificate("own.test");
    let port = scene.app(
        "/own",
        &["own"],
        &[
            ("HAPROXY_0_MODE", "http"),
            ("HAPROXY_0_SSL_CERT", &certificate),
            ("HAPROXY_0_BIND_OPTIONS", "no-tlsv11 ssl-min-ver TLSv1.2"),
        ],
    );
    let served = scene.serve();
    let answer = super::Ask::https(super::at(port)).get("any.test", "/");
    assert_eq!(answer.by(), "own");
    assert_eq!(answer.received("X-Forwarded-Proto"), ["https"]);
    assert!(answer.certificate.unwrap() == der(&served, "own.test"));
}
