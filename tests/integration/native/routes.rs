//! Which app is found for a host and a path.

use super::{Scene, both};

#[test]
fn the_more_precise_name_wins() {
    let mut scene = Scene::new().with_https();
    // In an order of names that says nothing about the outcome.
    scene.app("/a-below", &[("VHOST", "*.test")]);
    scene.app("/b-exact", &[("VHOST", "www.test,*.deep.test")]);
    scene.app("/c-path", &[("VHOST", "www.test"), ("PATH", "/api")]);
    scene.app("/d-longer", &[("VHOST", "www.test"), ("PATH", "/api/v2")]);
    scene.app("/e-deep", &[("VHOST", "*.deep.test"), ("PATH", "/x")]);
    scene.app("/f-above", &[("VHOST", "*.test"), ("PATH", "/x/y")]);
    scene.app("/g-path", &[("PATH", "/only")]);
    scene.app("/h-path", &[("PATH", "/only/longer /other")]);
    scene.app("/i-host", &[("VHOST", "half.test"), ("PATH", "/half")]);
    both(&scene, |served| {
        for (host, path, app) in [
            ("www.test", "/", "b-exact"),
            ("www.test", "/other/api", "b-exact"),
            ("www.test", "/API", "b-exact"),
            ("www.test", "/api", "c-path"),
            ("www.test", "/apis?x=1", "c-path"),
            ("www.test", "/api/v1", "c-path"),
            ("www.test", "/api/v2", "d-longer"),
            ("www.test", "/api/v2/z", "d-longer"),
            // The exact host has no such path, and yet counts more than another's.
            ("www.test", "/only", "b-exact"),
            ("other.test", "/", "a-below"),
            ("a.b.other.test", "/api", "a-below"),
            ("other.test", "/x/y/z", "f-above"),
            ("a.deep.test", "/", "b-exact"),
            ("a.deep.test", "/x", "e-deep"),
            // The longer end of the host counts more than the longer path.
            ("a.deep.test", "/x/y", "e-deep"),
            ("deep.test", "/x", "a-below"),
            // A host whose own paths do not fit is one of those below.
            ("half.test", "/half", "i-host"),
            ("half.test", "/", "a-below"),
            ("elsewhere", "/only", "g-path"),
            ("elsewhere", "/only/longer/1", "h-path"),
            ("elsewhere", "/other", "h-path"),
        ] {
            served.leads(host, path, app);
            let tls = served.https().sni("default.test").get(host, path);
            assert_eq!(tls.by(), app, "https {host}{path}");
        }
        served.leads_nowhere("elsewhere", "/");
        served.leads_nowhere("test", "/x");
        served.leads_nowhere("www.test.other", "/api");
    });
}

#[test]
fn neither_case_nor_port_nor_last_dot_of_a_host_counts() {
    let mut scene = Scene::new();
    scene.app("/www", &[("VHOST", "WWW.test.")]);
    both(&scene, |served| {
        for host in ["www.test", "www.test:80", "Www.TEST.:8080", "www.test."] {
            served.leads(host, "/", "www");
        }
        served.leads_nowhere("www.test:x", "/");
    });
}

#[test]
fn an_address_is_a_host_and_a_port_is_none() {
    let mut scene = Scene::new();
    scene.app("/six", &[("VHOST", "[::1],FE80::1")]);
    scene.app("/four", &[("VHOST", "127.0.0.1")]);
    scene.app("/port", &[("VHOST", "[::2]:80,port.test:8080,two.test")]);
    both(&scene, |served| {
        let ask = |host: &str| served.http().sni("any.test").get(host, "/");
        for (host, app) in [
            ("[::1]", "six"),
            ("[::1]:80", "six"),
            ("[fe80::1]:8080", "six"),
            ("127.0.0.1:80", "four"),
            ("two.test", "port"),
        ] {
            assert_eq!(ask(host).by(), app, "{host}");
        }
        for host in ["[::2]", "[::2]:80", "port.test", "port.test:8080"] {
            ask(host).expect(503);
        }
        let told = "app `/port`: label `HAPROXY_0_VHOST`: found `[::2]:80`, `port.test:8080`, \
                    expected a host without a port: that of a request does not count; no request \
                    is led there";
        assert!(served.told.contains(told), "{}", served.told);
    });
}

/// Of two ends of one host, a longer one that knows only some paths leaves the rest to the shorter.
#[test]
fn what_a_longer_end_of_a_host_leaves_open_is_for_the_shorter() {
    let mut scene = Scene::new();
    scene.app("/wide", &[("VHOST", "*.test")]);
    scene.app("/wide-b", &[("VHOST", "*.test"), ("PATH", "/b")]);
    scene.app("/narrow", &[("VHOST", "*.in.test"), ("PATH", "/a")]);
    scene.app("/tight", &[("VHOST", "*.far.in.test"), ("PATH", "/c")]);
    both(&scene, |served| {
        for (host, path, app) in [
            ("x.in.test", "/a", "narrow"),
            ("x.in.test", "/b", "wide-b"),
            ("x.in.test", "/", "wide"),
            ("x.far.in.test", "/c", "tight"),
            ("x.far.in.test", "/a", "narrow"),
            ("x.far.in.test", "/b", "wide-b"),
            ("x.far.in.test", "/z", "wide"),
        ] {
            served.leads(host, path, app);
        }
    });
}

#[test]
fn a_weight_goes_before_precision_and_a_negative_one_behind() {
    let mut scene = Scene::new();
    let host = ("VHOST", "www.test");
    scene.app("/exact", &[host]);
    scene.app("/path", &[host, ("PATH", "/a/b")]);
    scene.app("/one", &[("PATH", "/a"), ("BACKEND_WEIGHT", "1")]);
    scene.app("/ten", &[("PATH", "/a/b/c"), ("BACKEND_WEIGHT", "10")]);
    scene.app("/last", &[("PATH", "/"), ("BACKEND_WEIGHT", "-1")]);
    scene.app("/least", &[("PATH", "/q"), ("BACKEND_WEIGHT", "-2")]);
    scene.app("/none", &[("PATH", "/q/0"), ("BACKEND_WEIGHT", "0")]);
    both(&scene, |served| {
        for (path, app) in [
            ("/", "exact"),
            ("/a", "one"),
            ("/a/b", "one"),
            ("/a/b/c", "ten"),
        ] {
            served.leads("www.test", path, app);
        }
        served.leads("other.test", "/q", "last");
        served.leads("other.test", "/q/0", "none");
    });
}

#[test]
fn a_path_without_case_is_a_rule_of_its_own() {
    let mut scene = Scene::new();
    let host = ("VHOST", "www.test");
    scene.app("/exact", &[host]);
    scene.app("/any-case", &[host, ("PATH", "-i /Status /health")]);
    both(&scene, |served| {
        served.leads("www.test", "/sTATUS/1", "any-case");
        served.leads("www.test", "/HEALTH", "any-case");
        served.leads("www.test", "/other", "exact");
        served.leads_nowhere("other.test", "/status");
    });
}

#[test]
fn odd_but_right_paths_are_taken_as_they_are() {
    let mut scene = Scene::new();
    scene.app("/odd", &[("PATH", "/its/(1);a=%20&x,~!*+@:")]);
    scene.app("/other", &[("PATH", "/its")]);
    both(&scene, |served| {
        served.leads("www.test", "/its/(1);a=%20&x,~!*+@:/more", "odd");
        served.leads("www.test", "/its/1", "other");
    });
}

#[test]
fn what_nobody_asked_for_goes_to_the_default_backend() {
    let mut scene = Scene::new().flags(&["--default-backend", "/site"]);
    scene.app("/site", &[("MODE", "http")]);
    scene.app("/www", &[("VHOST", "www.test"), ("PATH", "/api")]);
    both(&scene, |served| {
        served.leads("www.test", "/api", "www");
        served.leads("www.test", "/", "site");
        served.leads("nobody.test", "/api", "site");
        assert!(!served.told.contains("warn"), "{}", served.told);
    });
    let port = scene.apps[1]["ports"][0].to_string();
    scene.flags = vec!["--default-backend".to_owned(), format!("/www:{port}")];
    both(&scene, |served| served.leads("nobody.test", "/", "www"));
    scene.flags[1] = "/www:9".to_owned();
    both(&scene, |served| {
        served.leads_nowhere("nobody.test", "/");
        let told = "app `/www`: option `--default-backend /www:9`: found no service port of this \
                    app that is served in mode http, expected one; requests that nobody asked for \
                    are answered with 503";
        assert!(served.told.contains(told), "{}", served.told);
    });
}

#[test]
fn an_app_is_found_by_its_id() {
    let mut scene = Scene::new();
    scene.app("/a/b", &[("MODE", "http")]);
    scene.app("/tcp", &[]);
    both(&scene, |served| {
        assert_eq!(served.app_id("/a/b").get("lb", "/").by(), "a/b");
        assert_eq!(served.app_id("/A/B").get("lb", "/").by(), "a/b");
        served.app_id("/tcp").get("lb", "/").expect(503);
        served.app_id("/a").get("lb", "/").expect(503);
    });
}

/// The one that was changed longer ago has it, and the other is told of both.
#[test]
fn of_two_apps_that_claim_one_place_one_is_served() {
    let mut scene = Scene::new();
    let host = ("VHOST", "www.test,own.test");
    scene.app("/a-new", &[host, ("PATH", "/x")]);
    scene.app("/b-old", &[("VHOST", "www.test"), ("PATH", "/x")]);
    for (app, date) in scene.apps.iter_mut().zip(["2020", "2016"]) {
        let date = format!("{date}-01-01T00:00:00.000Z");
        app["versionInfo"] = serde_json::json!({"lastConfigChangeAt": date});
    }
    let holder = scene.apps[1]["ports"][0].to_string();
    both(&scene, |served| {
        served.leads("www.test", "/x", "b-old");
        served.leads("own.test", "/x", "a-new");
        let told = format!(
            "app `/a-new`: label `HAPROXY_0_PATH`: found `www.test/x` is held by app `/b-old`, \
             service port {holder}, expected"
        );
        assert!(served.told.contains(&told), "{}", served.told);
    });
}

#[test]
fn what_cannot_be_read_leads_nowhere() {
    let mut scene = Scene::new();
    let bad = "/a } or { always_true";
    scene.app("/bad-path", &[("VHOST", "a.test"), ("PATH", bad)]);
    scene.app("/bad-file", &[("PATH", "-f /etc/passwd")]);
    scene.app("/bad-host", &[("VHOST", "a } or { always_true,good.test")]);
    let tcp = scene.app("/bad-mode", &[("VHOST", "t.test"), ("MODE", "tcp")]);
    scene.app("/good", &[("VHOST", "b.test")]);
    both(&scene, |served| {
        served.leads("b.test", "/", "good");
        for host in ["a.test", "good.test", "t.test"] {
            served.leads_nowhere(host, "/a");
        }
        for told in [
            "app `/bad-path`: label `HAPROXY_0_PATH`: found `}` in `/a } or { always_true`, expected",
            "app `/bad-file`: label `HAPROXY_0_PATH`: found `-f` in `-f /etc/passwd`, expected",
            "app `/bad-host`: label `HAPROXY_0_VHOST`: found `a } or { always_true` in `a } or",
            "app `/bad-mode`: label `HAPROXY_0_VHOST`: found `t.test`, expected none, for the mode",
        ] {
            assert!(served.told.contains(told), "{}", served.told);
        }
        let direct = super::Ask::http(super::at(tcp));
        assert_eq!(direct.get("any.test", "/").by(), "bad-mode");
    });
}

#[test]
fn a_header_and_a_method_choose_among_those_of_one_host() {
    let mut scene = Scene::new();
    let host = ("VHOST", "www.test");
    scene.app("/all", &[host]);
    scene.app("/canary", &[host, ("HEADER", "X-Canary: -f 'yes' #1")]);
    scene.app("/list", &[host, ("HEADER", "X-List: a, b;q=1")]);
    scene.app("/any", &[host, ("HEADER", "X-Any")]);
    scene.app(
        "/both",
        &[host, ("HEADER", "X-Any"), ("METHOD", "GET, HEAD")],
    );
    scene.app("/post", &[host, ("PATH", "/form"), ("METHOD", "POST,PUT")]);
    both(&scene, |served| {
        let with = |name: &str, value: &str| {
            let answer = served.http().header(name, value).get("www.test", "/form");
            answer.by().to_owned()
        };
        assert_eq!(with("X-Other", "1"), "all");
        assert_eq!(with("x-canary", "-f 'yes' #1"), "canary");
        assert_eq!(with("X-Canary", "no"), "all");
        // One of a list, unless the label has a comma itself.
        assert_eq!(with("X-Canary", "no, -f 'yes' #1"), "canary");
        assert_eq!(with("X-List", "a, b;q=1"), "list");
        for other in ["a", "b;q=1", "a, b;q=1, c"] {
            assert_eq!(with("X-List", other), "all");
        }
        // More conditions go first.
        assert_eq!(with("X-Any", "0"), "both");
    });
}

#[test]
fn a_label_of_ours_that_cannot_be_read_leaves_its_service_out_and_no_other() {
    let mut scene = Scene::new();
    let mut told = Vec::new();
    for (index, (label, text, expected)) in [
        (
            "TIMEOUT_SERVER",
            "30",
            "a time such as 500ms, 30s or 2h, above 0",
        ),
        ("TIMEOUT_TUNNEL", "1h\n  server x 1.1.1.1:1", "a time"),
        ("MAXCONN", "0", "a number of connections, above 0"),
        ("SERVER_SLOTS", "101", "a number from 0 to 100"),
        ("SEND_PROXY", "true", "v1 or v2"),
        ("COMPRESSION", "1", "true or false"),
        ("HEADER", "X}: 1", "the name of a header"),
        ("METHOD", "GET } or { always_true", "up to 16 methods in"),
        (
            "METHOD",
            "A,B,C,D,E,F,G,H,I,J,K,L,M,N,O,P,Q",
            "up to 16 methods in capitals",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("/bad-{index}");
        let port = scene.app(&id, &[("VHOST", "bad.test"), (label, text)]);
        let found = text.escape_debug();
        told.push(format!(
            "app `{id}`: label `HAPROXY_0_{label}`: found `{found}`, expected {expected}"
        ));
        told.push(format!("service port {port} left out"));
    }
    scene.app("/good", &[("VHOST", "good.test")]);
    both(&scene, |served| {
        served.leads("good.test", "/", "good");
        served.leads_nowhere("bad.test", "/");
        for told in &told {
            assert!(served.told.contains(told), "{told}\n{}", served.told);
        }
    });
}

/// One that was copied before rules stood in several places would lose them unseen.
#[test]
fn a_template_without_a_place_for_rules_is_told_of() {
    let routing = include_str!("../../../templates/native/routing.cfg.tera");
    let copied = routing.replace("{{ below_rules }}", "");
    assert_ne!(copied, routing);
    let mut scene = Scene::new();
    scene.app("/any", &[("VHOST", "*.a.test")]);
    scene.app("/post", &[("VHOST", "*.a.test"), ("METHOD", "POST")]);
    let told = "template `http_in.cfg`: found no place for `below_rules`, of which there are 1, \
                expected `{{ below_rules }}` in it, or in a template that it includes; no request is \
                led there by them";
    let done = scene.write(true);
    assert!(!done.stderr.contains("no place for"), "{done:#?}");
    scene.test = scene.test.file("templates/routing.cfg.tera", copied);
    let done = scene.write(true).says(&[told]);
    assert_eq!(done.stderr.matches("no place for").count(), 1, "{done:#?}");
}
