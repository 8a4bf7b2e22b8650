//! Port 443 over turns of `refresh`: whose certificates it shows, and who has the port.

use std::fs;
use std::net::{TcpListener, TcpStream};

use haproxy_marathon_bridge::demo::free_ports;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::json;

use super::turns::{Ending, Tasks, quarantined, refresh};
use super::{Ask, Scene, at};

/// A certificate that another app brings opens port 443, unless somebody has it.
#[test]
fn who_has_port_443_keeps_it_though_another_app_brings_a_certificate() {
    let mut scene = Scene::new();
    let certificate = scene.certificate("tls.test");
    scene.app("/edge", &[("MODE", "http")]);
    scene.apps[0]["ports"][0] = scene.https.into();
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    let port = Ask::http(at(scene.https));
    assert_eq!(port.get("any.test", "/").by(), "edge");
    scene.app("/tls", &[("VHOST", "tls.test"), ("SSL_CERT", &certificate)]);
    let told = format!(
        "app `/tls`: label `HAPROXY_0_SSL_CERT`: found port {}, which it opens, is held by app `/edge`",
        scene.https
    );
    let http = Ask::http(at(scene.http));
    refresh(&scene).expect(0).says(&[&told]);
    for _ in 0..2 {
        assert_eq!(port.get("any.test", "/").by(), "edge");
        assert_eq!(http.get("tls.test", "/").by(), "tls");
        refresh(&scene).expect(0);
    }
    assert_eq!(quarantined(&scene), json!([]));
    // Once the port is free it opens, and who comes back finds it taken.
    let edge = scene.apps.remove(0);
    // Certificates of service ports open nothing.
    let own_port = [("MODE", "tcp"), ("SSL_CERT", certificate.as_str())];
    scene.app("/alone", &own_port);
    scene.apps.rotate_right(1);
    let done = refresh(&scene).expect(0).says(&["over: ", &told]);
    let https = Ask::https(at(scene.https));
    assert_eq!(https.get("tls.test", "/").by(), "tls", "{done:#?}");
    scene.apps.insert(0, edge);
    let told = format!(
        "app `/edge`: service port {0}: found port {0} is held by `frontend marathon_https_in`, \
         which label `HAPROXY_0_SSL_CERT` of app `/tls` opens",
        scene.https
    );
    for _ in 0..2 {
        let done = refresh(&scene).expect(0);
        assert_eq!(https.get("tls.test", "/").by(), "tls", "{done:#?}");
    }
    assert_eq!(quarantined(&scene)[0]["is_open"], true);
    scene.apps.pop();
    let done = refresh(&scene).expect(0).says(&["over: ", &told]);
    assert_eq!(port.get("any.test", "/").by(), "edge", "{done:#?}");
    assert_eq!(quarantined(&scene), json!([]));
}

/// Who opens port 443 and is refused costs nobody the port, not for a turn either.
#[test]
fn who_falls_out_gives_port_443_back_in_the_same_turn() {
    for moves in [false, true] {
        let mut scene = Scene::new();
        let own = scene.app("/edge", &[("MODE", "http")]);
        let _ending = Ending(scene.cfg());
        if moves {
            refresh(&scene).expect(0);
            assert_eq!(Ask::http(at(own)).get("any.test", "/").by(), "edge");
        }
        scene.apps[0]["labels"]["HAPROXY_0_PORT"] = scene.https.to_string().into();
        scene.app(
            "/tls",
            &[("VHOST", "tls.test"), ("SSL_CERT", "/nowhere/tls.pem")],
        );
        let port = Ask::http(at(scene.https));
        for _ in 0..2 {
            let done = refresh(&scene).expect(0);
            assert!(!done.stderr.contains("app `/edge`"), "{done:#?}");
            assert_eq!(port.get("any.test", "/").by(), "edge", "{done:#?}");
        }
        assert_eq!(quarantined(&scene).as_array().unwrap().len(), 1);
    }
}

/// What serves in the meantime can be refused as well, and has another port.
#[test]
fn who_gave_way_and_is_refused_with_what_served_it_is_out_alone() {
    // HAProxy finds the one, and the other is found before it is asked.
    for is_pipe in [false, true] {
        let mut scene = Scene::new();
        let (own, other) = (
            scene.certificate("own.test"),
            scene.certificate("other.test"),
        );
        let certificate = scene.certificate("tls.test");
        let of = |path: &str| format!("ssl crt {path}");
        scene.app("/edge", &[("MODE", "tcp"), ("BIND_OPTIONS", &of(&own))]);
        // It is not most of what is served.
        scene.app("/by", &[("VHOST", "by.test")]);
        scene.app("/on", &[("VHOST", "on.test")]);
        let _ending = Ending(scene.cfg());
        refresh(&scene).expect(0);
        fs::remove_file(&own).unwrap();
        if is_pipe {
            mkfifo(&*own, Mode::S_IRWXU).unwrap();
        }
        let labels = &mut scene.apps[0]["labels"];
        labels["HAPROXY_0_BIND_OPTIONS"] = of(&other).into();
        labels["HAPROXY_0_PORT"] = scene.https.to_string().into();
        scene.app("/tls", &[("VHOST", "tls.test"), ("SSL_CERT", &certificate)]);
        for _ in 0..2 {
            let done = refresh(&scene).expect(0);
            let tls = Ask::https(at(scene.https)).get("tls.test", "/");
            assert_eq!(tls.by(), "tls", "{done:#?}");
            let cfg = fs::read_to_string(scene.cfg()).unwrap();
            assert!(!cfg.contains("edge_"), "{cfg}");
        }
    }
}

/// Whatever else is refused then: that it has this port and the one of before no more is no loss.
#[test]
fn who_got_port_443_back_is_no_loss_in_the_next_round_either() {
    let mut scene = Scene::new().flags(&["--template-labels=all"]);
    scene.grudge();
    scene.grudges("poison");
    let certificate = scene.certificate("tls.test");
    scene.app("/edge", &[("MODE", "http")]);
    scene.app("/www", &[("VHOST", "www.test")]);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    scene.apps[0]["labels"]["HAPROXY_0_PORT"] = scene.https.to_string().into();
    scene.apps[1]["labels"]["HAPROXY_0_BACKEND_HTTP_OPTIONS"] = "  # poison\n".into();
    let labels = [
        ("VHOST", "tls.test"),
        ("SSL_CERT", &*certificate),
        ("BACKEND_HTTP_OPTIONS", "  nonsense\n"),
    ];
    scene.app("/tls", &labels);
    let done = refresh(&scene)
        .expect(0)
        .says(&["app `/tls`: ", "app `/www`: "]);
    let port = Ask::http(at(scene.https));
    assert_eq!(port.get("any.test", "/").by(), "edge", "{done:#?}");
    let http = Ask::http(at(scene.http));
    assert_eq!(http.get("www.test", "/").by(), "www");
}

/// Of two certificates for one name HAProxy shows the first.
#[test]
fn a_certificate_is_shown_though_another_app_brings_one_for_the_same_name() {
    let mut scene = Scene::new();
    let made = |scene: &Scene, name: &str| {
        crate::serve::certificate(&scene.test, name, "www.test");
        let path = |ending: &str| scene.test.path().join(format!("{name}.{ending}"));
        let der = fs::read(path("der")).unwrap();
        (path("pem").display().to_string(), der)
    };
    let (own, shown) = made(&scene, "z-own");
    let (other, shown_later) = made(&scene, "a-other");
    scene.app("/shop/web", &[("VHOST", "www.test"), ("SSL_CERT", &own)]);
    scene.app("/other/b", &[("VHOST", "b.test")]);
    scene.app("/other/c", &[("VHOST", "c.test")]);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    let https = Ask::https(at(scene.https));
    let presented = |name: &str| https.clone().sni("www.test").get(name, "/").certificate;
    assert_eq!(presented("www.test").as_ref(), Some(&shown));
    // It stands first by its path, by the id of its app and by its age, and has a host of its own.
    let labels = [("VHOST", "evil.test"), ("SSL_CERT", &*other)];
    scene.app("/evil/x", &labels);
    let dates = |scene: &mut Scene, dates: [&str; 4]| {
        for (app, year) in scene.apps.iter_mut().zip(dates) {
            let date = format!("{year}-01-01T00:00:00.000Z");
            app["versionInfo"] = json!({"lastConfigChangeAt": date});
        }
    };
    dates(&mut scene, ["2030", "2012", "2012", "2010"]);
    for _ in 0..2 {
        refresh(&scene).expect(0);
        assert_eq!(presented("www.test").as_ref(), Some(&shown));
        assert_eq!(https.get("evil.test", "/").by(), "evil/x");
    }
    // A moment without tasks changes nothing in that.
    let tasks = Tasks::gone(&mut scene, 0);
    refresh(&scene).expect(0);
    assert_eq!(presented("evil.test").as_ref(), Some(&shown_later));
    tasks.are_back(&mut scene);
    refresh(&scene).expect(0);
    assert_eq!(presented("www.test").as_ref(), Some(&shown));
    // Who has none of its hosts brings nothing.
    scene.apps[3]["labels"]["HAPROXY_0_VHOST"] = "www.test".into();
    refresh(&scene).expect(0);
    let cfg = fs::read_to_string(scene.cfg()).unwrap();
    let port = format!(":{} ", scene.https);
    let mut binds = cfg.lines().filter(|line| line.contains(&port));
    let bind = binds.next().unwrap();
    assert!(bind.contains(&own) && !bind.contains(&other), "{bind}");
    scene.apps[0]["instances"] = 0.into();
    scene.apps[0]["tasks"] = json!([]);
    refresh(&scene).expect(0);
    assert_eq!(presented("www.test").as_ref(), Some(&shown_later));
}

/// HAProxy takes a certificate with the name of the host before one with `*.`, wherever they stand.
#[test]
fn a_newcomer_shows_no_certificate_for_hosts_of_another_folder_that_have_one() {
    let mut scene = Scene::new();
    let made = |scene: &Scene, name: &str, hosts: &str| {
        crate::serve::certificate(&scene.test, name, hosts);
        let path = |ending: &str| scene.test.path().join(format!("{name}.{ending}"));
        let der = fs::read(path("der")).unwrap();
        (path("pem").display().to_string(), der)
    };
    let (wide, shown) = made(&scene, "wide", "*.shop.test");
    let (evil, _) = made(&scene, "evil", "evil.test,www.shop.test");
    let (good, good_shown) = made(&scene, "good", "good.test,api.good.test");
    scene = scene.flags(&["--ssl-certs", &wide]);
    scene.app("/shop/web", &[("VHOST", "www.shop.test")]);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    scene.app("/evil/x", &[("VHOST", "evil.test"), ("SSL_CERT", &evil)]);
    // For a host of another folder that has none, it is better than none.
    scene.app("/good/x", &[("VHOST", "good.test"), ("SSL_CERT", &good)]);
    scene.app("/api/x", &[("VHOST", "api.good.test")]);
    for (app, year) in scene.apps.iter_mut().zip(["2030", "2010", "2010", "2030"]) {
        let date = format!("{year}-01-01T00:00:00.000Z");
        app["versionInfo"] = json!({"lastConfigChangeAt": date});
    }
    let https = Ask::https(at(scene.https));
    let presented = |name: &str| https.clone().sni(name).get(name, "/").certificate;
    for turn in 0..2 {
        let done = refresh(&scene).expect(0);
        // It is told once.
        let told = [
            "app `/evil/x`: label `HAPROXY_0_SSL_CERT`: found `",
            "evil.pem`, which bears the name `www.shop.test` of a host of app `/shop/web`, for which \
             `",
            "wide.pem` is there, expected a certificate of hosts of its own folder; not used on port \
             443",
        ];
        if turn == 0 {
            done.says(&told);
        } else {
            assert!(!done.stderr.contains("bears the name"), "{}", done.stderr);
        }
        assert_eq!(presented("www.shop.test").as_ref(), Some(&shown));
        assert_eq!(presented("evil.test").as_ref(), Some(&shown));
        assert_eq!(presented("good.test").as_ref(), Some(&good_shown));
        assert_eq!(presented("api.good.test").as_ref(), Some(&good_shown));
        assert_eq!(https.get("evil.test", "/").by(), "evil/x");
    }
    // Nor does it come back by a refusal, after which what was said before counts.
    let broken = scene.test.path().join("broken.pem");
    fs::write(&broken, "no certificate\n").unwrap();
    scene.apps[1]["labels"]["HAPROXY_0_SSL_CERT"] = json!(broken);
    for _ in 0..2 {
        refresh(&scene).expect(0);
        assert_eq!(presented("www.shop.test").as_ref(), Some(&shown));
        assert_eq!(https.get("evil.test", "/").by(), "evil/x");
    }
}

/// A reload that tries the port fails, and every turn would.
#[test]
fn port_443_that_a_label_opens_stays_closed_while_somebody_holds_it() {
    let mut scene = Scene::new();
    let certificate = scene.certificate("a.test");
    let _ending = Ending(scene.cfg());
    let cert = ("SSL_CERT", &*certificate);
    scene.app(
        "/a",
        &[("VHOST", "a.test"), cert, ("REDIRECT_TO_HTTPS", "true")],
    );
    scene.app("/b", &[("VHOST", "b.test")]);
    let other = TcpListener::bind(at(scene.https)).unwrap();
    let told = format!(
        "app `/a`: label `HAPROXY_0_SSL_CERT`: found port {}, which it opens, is held by `",
        scene.https
    );
    let holder = format!(
        "process {}, expected a port on which nobody listens; `frontend marathon_https_in` left \
         out until it is free",
        std::process::id()
    );
    refresh(&scene)
        .expect(0)
        .says(&[&told, &holder, "nothing listens on port 443"]);
    let http = Ask::http(at(scene.http));
    assert_eq!(http.get("a.test", "/").by(), "a");
    assert_eq!(http.get("b.test", "/").by(), "b");
    assert_eq!(refresh(&scene).expect(0).stderr, "", "it was said before");
    drop(other);
    refresh(&scene).expect(0);
    http.get("a.test", "/").expect(301);
    TcpStream::connect(at(scene.https)).unwrap();
}

/// Nothing can be reloaded to, and a try would have the old listeners refuse connections.
#[test]
fn port_80_that_somebody_holds_is_an_error_that_names_the_holder() {
    let mut scene = Scene::new().with_https();
    scene.app("/a", &[("VHOST", "a.test")]);
    let _ending = Ending(scene.cfg());
    for (port, section) in [
        (scene.http, "marathon_http_in"),
        (scene.https, "marathon_https_in"),
    ] {
        let other = TcpListener::bind(at(port)).unwrap();
        refresh(&scene).expect(1).says(&[
            &format!("port {port} of `frontend {section}` is held by `"),
            &format!(
                "process {}, expected a port on which nobody listens; nothing is changed",
                std::process::id()
            ),
        ]);
        assert!(!scene.cfg().exists());
        drop(other);
    }
    refresh(&scene).expect(0);
    assert_eq!(Ask::http(at(scene.http)).get("a.test", "/").by(), "a");
}

/// HAProxy reads 64 words of the line; the others stand in a list.
#[test]
fn an_app_of_many_certificates_keeps_nobody_elses_off_port_443() {
    let mut scene = Scene::new();
    scene.app("/evil", &[("VHOST", "e0.test")]);
    let evil = &mut scene.apps[0];
    let ports = free_ports(40).unwrap();
    evil["tasks"][0]["ports"] = vec![evil["tasks"][0]["ports"][0].clone(); ports.len()].into();
    evil["ports"] = ports.clone().into();
    for place in 0..ports.len() {
        let host = format!("e{place}.test");
        let certificate = scene.certificate(&host);
        let labels = &mut scene.apps[0]["labels"];
        labels[format!("HAPROXY_{place}_BIND_ADDR")] = "127.0.0.1".into();
        labels[format!("HAPROXY_{place}_VHOST")] = host.into();
        labels[format!("HAPROXY_{place}_SSL_CERT")] = certificate.into();
    }
    let _ending = Ending(scene.cfg());
    for app in [None, Some("later"), Some("last")] {
        if let Some(app) = app {
            let host = format!("{app}.test");
            let certificate = scene.certificate(&host);
            let labels = [("VHOST", host.as_str()), ("SSL_CERT", certificate.as_str())];
            scene.app(&format!("/{app}"), &labels);
        }
        let done = refresh(&scene).expect(0);
        assert!(!done.stderr.contains("not shown"), "{done:#?}");
        for name in ["e0", "e28", "e39"].into_iter().chain(app) {
            let host = format!("{name}.test");
            let der = fs::read(scene.test.path().join(format!("{host}.der"))).unwrap();
            let answer = Ask::https(at(scene.https)).sni(&host).get(&host, "/");
            assert_eq!(answer.certificate.as_ref(), Some(&der), "{host}");
            assert_eq!(
                answer.by(),
                app.filter(|app| *app == name).unwrap_or("evil")
            );
        }
    }
    assert_eq!(quarantined(&scene), json!([]));
}
