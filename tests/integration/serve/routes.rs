//! Port 80 without maps, service ports, and routing by app id.

use std::net::TcpStream;

use serde_json::json;

use super::{Scene, at};
use crate::host::ask_once;
use haproxy_marathon_bridge::demo::backend::Instance;

#[test]
fn a_host_leads_to_its_app_and_to_no_other() {
    let mut scene = Scene::new();
    let shop = scene.app("/shop", &["shop"], &[("HAPROXY_0_VHOST", "shop.test")]);
    scene.app("/blog", &["blog"], &[("HAPROXY_0_VHOST", "Blog.TEST")]);
    scene.app("/no/host", &["plain"], &[("HAPROXY_0_MODE", "http")]);
    let served = scene.serve();
    for _ in 0..3 {
        assert_eq!(served.http().get("shop.test", "/").by(), "shop");
        assert_eq!(served.http().get("blog.test", "/").by(), "blog");
    }
    // Case never counts, neither in the label nor in the request.
    assert_eq!(served.http().get("SHOP.Test", "/a/b?c=1").by(), "shop");
    assert_eq!(served.http().get("BLOG.test", "/").by(), "blog");
    for host in [
        "other.test",
        "shop.test.other",
        "www.shop.test",
        "shop.test:80",
        "plain",
    ] {
        served.http().get(host, "/").expect(503);
    }
    let answer = served.http().get("shop.test", "/a/b?c=1");
    assert_eq!(answer.request_line(), "GET /a/b?c=1 HTTP/1.1");
    assert_eq!(answer.received("X-Forwarded-For"), ["127.0.0.1"]);
    let port = served.scene.ports.http.to_string();
    assert_eq!(answer.received("X-Forwarded-Port"), [port]);
    assert_eq!(answer.received("X-Forwarded-Proto"), [""; 0]);
    // A service port leads to its app whatever the host is.
    let direct = super::Ask::http(at(shop));
    assert_eq!(direct.get("blog.test", "/").by(), "shop");
}

#[test]
fn each_of_several_hosts_leads_to_the_app() {
    let mut scene = Scene::new();
    let hosts = "one.test,Two.test,three.test";
    scene.app("/all", &["all"], &[("HAPROXY_0_VHOST", hosts)]);
    scene.app("/four", &["four"], &[("HAPROXY_0_VHOST", "four.test")]);
    let served = scene.serve();
    for host in ["one.test", "two.test", "three.test"] {
        assert_eq!(served.http().get(host, "/").by(), "all", "{host}");
    }
    assert_eq!(served.http().get("four.test", "/").by(), "four");
}

#[test]
fn a_path_leads_to_its_app_on_its_host_only() {
    let mut scene = Scene::new();
    let host = ("HAPROXY_0_VHOST", "www.test");
    scene.app("/a/root", &["root"], &[host]);
    scene.app("/b/api", &["api"], &[host, ("HAPROXY_0_PATH", "/api")]);
    let several = ("HAPROXY_0_PATH", "-i /one /two");
    scene.app("/c/several", &["several"], &[host, several]);
    let hosts = ("HAPROXY_0_VHOST", "x.test,y.test");
    scene.app("/d/hosts", &["hosts"], &[hosts, ("HAPROXY_0_PATH", "/api")]);
    let served = scene.serve();
    let by = |host, path| served.http().get(host, path).by().to_owned();
    // The app without a path has the lower weight, though it comes first by name.
    assert_eq!(by("www.test", "/"), "root");
    assert_eq!(by("www.test", "/other/api"), "root");
    assert_eq!(by("www.test", "/API"), "root");
    for path in ["/api", "/api/", "/api/x?y=1", "/apis"] {
        assert_eq!(by("www.test", path), "api", "{path}");
    }
    for path in ["/one", "/ONE/x", "/two"] {
        assert_eq!(by("www.test", path), "several", "{path}");
    }
    for host in ["x.test", "y.test"] {
        assert_eq!(by(host, "/api/1"), "hosts", "{host}");
        served.http().get(host, "/").expect(503);
    }
    served.http().get("z.test", "/api").expect(503);
}

#[test]
fn the_heavier_rule_is_tried_first() {
    let mut scene = Scene::new();
    let host = ("HAPROXY_0_VHOST", "www.test");
    let weight = |weight| ("HAPROXY_0_BACKEND_WEIGHT", weight);
    let path = |path| ("HAPROXY_0_PATH", path);
    scene.app("/a", &["a"], &[host, path("/x")]);
    scene.app("/b", &["b"], &[host, path("/x/y"), weight("2")]);
    scene.app("/c", &["c"], &[host, path("/x/y/z"), weight("10")]);
    // Heavier than every path: its host wins for all of them.
    let other = ("HAPROXY_0_VHOST", "other.test");
    scene.app("/d", &["d"], &[other, path("/x")]);
    scene.app("/e", &["e"], &[other, weight("5")]);
    let served = scene.serve();
    for (path, app) in [("/x", "a"), ("/x/y", "b"), ("/x/y/z", "c")] {
        assert_eq!(served.http().get("www.test", path).by(), app, "{path}");
        assert_eq!(served.https().get("www.test", path).by(), app, "{path}");
        assert_eq!(served.http().get("other.test", path).by(), "e", "{path}");
        assert_eq!(served.https().get("other.test", path).by(), "e", "{path}");
    }
}

#[test]
fn an_app_is_reached_by_its_id() {
    for flags in [&[][..], &["--haproxy-map"]] {
        let mut scene = Scene::new().flags(flags);
        scene.app("/shop/web", &["web"], &[("HAPROXY_0_VHOST", "shop.test")]);
        scene.app("/shop/api", &["api"], &[("HAPROXY_0_MODE", "http")]);
        scene.app("/shop/db", &["db"], &[("HAPROXY_0_MODE", "tcp")]);
        let served = scene.serve();
        assert_eq!(served.app_id("/shop/web").by(), "web", "{flags:?}");
        assert_eq!(served.app_id("/Shop/API").by(), "api", "{flags:?}");
        for unknown in ["/shop", "/shop/db", "/shop/web/x", "shop/web", ""] {
            served.app_id(unknown).expect(503);
        }
    }
}

#[test]
fn without_ports_80_and_443_the_rest_is_served() {
    for flags in [&[][..], &["--haproxy-map"]] {
        let mut scene = Scene::new().flags(flags).flags(&["--dont-bind-http-https"]);
        let web = scene.app("/web", &["web"], &[("HAPROXY_0_VHOST", "web.test")]);
        let served = scene.serve();
        let Err(refused) = served.http().try_get("web.test", "/") else {
            panic!("port 80 answers");
        };
        assert!(refused.is_connect(), "{refused:?}");
        assert_eq!(super::Ask::http(at(web)).get("x", "/").by(), "web");
        assert_eq!(served.app_id("/web").by(), "web");
    }
}

#[test]
fn a_tcp_service_passes_bytes() {
    let database = Instance::tcp("db-1").start().unwrap();
    let mut scene = Scene::new();
    let tasks = [super::task("/db", "db-1", database.port())];
    let port = scene.app_with("/db", &[], &[], &json!({"tasks": tasks}));
    let served = scene.serve();
    assert!(served.cfg.contains("  mode tcp\n"), "{}", served.cfg);
    assert_eq!(ask_once(at(port)).as_deref(), Some("db-1"));
}

#[test]
fn of_an_app_with_two_ports_each_has_its_own_rules() {
    let mut scene = Scene::new();
    let [web, admin] = ["web", "admin"].map(super::echo::Echo::start);
    let ports = haproxy_marathon_bridge::demo::free_ports(2).unwrap();
    let mut task = super::task("/two", "1", web.port());
    task["ports"] = json!([web.port(), admin.port()]);
    scene.app_on(
        ports[0],
        "/two",
        &[],
        &[
            ("HAPROXY_0_VHOST", "web.test"),
            ("HAPROXY_1_VHOST", "admin.test"),
            ("HAPROXY_1_BIND_ADDR", "127.0.0.1"),
            ("HAPROXY_1_ENABLED", "true"),
        ],
        &json!({"ports": ports, "tasks": [task]}),
    );
    let served = scene.serve();
    assert_eq!(served.http().get("web.test", "/").by(), "web");
    assert_eq!(served.http().get("admin.test", "/").by(), "admin");
    assert_eq!(super::Ask::http(at(ports[1])).get("x", "/").by(), "admin");
    // The first one stands for the app.
    assert_eq!(served.app_id("/two").by(), "web");
}

#[test]
fn what_is_switched_off_is_not_served() {
    let mut scene = Scene::new();
    let host = |host| ("HAPROXY_0_VHOST", host);
    let off = ("HAPROXY_0_ENABLED", "false");
    let port = scene.app("/off", &["off"], &[host("off.test"), off]);
    scene.app("/on", &["on"], &[host("on.test")]);
    let served = scene.serve();
    assert_eq!(served.http().get("on.test", "/").by(), "on");
    served.http().get("off.test", "/").expect(503);
    assert!(TcpStream::connect(at(port)).is_err());
}
