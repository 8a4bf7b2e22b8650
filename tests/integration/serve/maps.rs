//! Hosts and app ids in map files.

use std::fs;

use super::Scene;

#[test]
fn the_map_leads_hosts_to_their_apps() {
    let mut scene = Scene::new().flags(&["--haproxy-map"]);
    let host = |host| ("HAPROXY_0_VHOST", host);
    scene.app("/a", &["a"], &[host("a.test")]);
    scene.app("/b", &["b"], &[host("B.test,c.test")]);
    let served = scene.serve();
    let map = fs::read_to_string(served.scene.path("etc/domain2backend.map")).unwrap();
    assert_eq!(map.lines().count(), 3, "{map}");
    assert!(served.cfg.contains("domain2backend.map"), "{}", served.cfg);
    for (host, app) in [
        ("a.test", "a"),
        // Unlike without maps, a port does not count.
        ("a.test:8080", "a"),
        ("A.TEST", "a"),
        ("b.test", "b"),
        ("C.test", "b"),
    ] {
        assert_eq!(served.http().get(host, "/").by(), app, "{host}");
        let name = host.split(':').next().unwrap();
        assert_eq!(served.https().get(name, "/").by(), app, "{host}");
    }
    for host in ["d.test", "x.a.test", "a.test.d"] {
        served.http().get(host, "/").expect(503);
        served.https().get(host, "/").expect(503);
    }
}

/// HAProxy tries no rule behind a lookup: what needs a rule of its own stands before it.
#[test]
fn what_no_map_can_say_comes_before_the_lookup() {
    let mut scene = Scene::new().flags(&["--haproxy-map"]);
    let host = |host| ("HAPROXY_0_VHOST", host);
    let path = ("HAPROXY_0_PATH", "/api");
    let auth = ("HAPROXY_0_AUTH", super::backends::AUTH);
    let redirect = ("HAPROXY_0_REDIRECT_TO_HTTPS", "true");
    scene.app("/a/root", &["root"], &[host("www.test")]);
    scene.app("/b/api", &["api"], &[host("www.test"), path]);
    scene.app("/c/auth", &["auth"], &[host("auth.test"), auth]);
    scene.app("/d/safe", &["safe"], &[host("safe.test"), redirect]);
    scene.app("/e/last", &["last"], &[host("last.test")]);
    let served = scene.serve();
    for ask in [served.http(), served.https()] {
        assert_eq!(ask.get("www.test", "/").by(), "root");
        assert_eq!(ask.get("www.test", "/api/x").by(), "api");
        ask.get("auth.test", "/").expect(401);
        assert_eq!(ask.get("last.test", "/").by(), "last");
    }
    served.http().get("safe.test", "/").expect(301);
    assert_eq!(served.https().get("safe.test", "/").by(), "safe");
}

/// Both files name a service that the other does not, in turn.
#[test]
fn a_change_of_hosts_changes_who_is_reached() {
    let mut scene = Scene::new().flags(&["--haproxy-map"]);
    scene.app("/a", &["a"], &[("HAPROXY_0_VHOST", "a.test")]);
    let served = scene.serve();
    assert_eq!(served.http().get("a.test", "/").by(), "a");
    let mut scene = served.end();
    scene.app("/b", &["b"], &[("HAPROXY_0_VHOST", "a.test")]);
    scene.apps[0]["labels"]["HAPROXY_0_VHOST"] = "b.test".into();
    let served = scene.serve();
    assert_eq!(served.http().get("a.test", "/").by(), "b");
    assert_eq!(served.http().get("b.test", "/").by(), "a");
}
