//! Services that are led to by their names alone, and backends that take what they say from profiles.

use std::fs;
use std::net::{TcpListener, TcpStream};

use haproxy_marathon_bridge::demo::free_ports;

use super::turns::{Ending, refresh};
use super::{Ask, Scene, at, both};
use crate::support::haproxy_version;

#[test]
fn who_has_a_host_or_path_needs_no_port() {
    let mut scene = Scene::new().with_https().flags(&["--no-service-ports"]);
    let led = [
        scene.app("/www", &[("VHOST", "www.test")]),
        scene.app("/docs", &[("PATH", "/docs"), ("MODE", "http")]),
    ];
    let alone = scene.app("/alone", &[("MODE", "http")]);
    let tcp = scene.app(
        "/tcp",
        &[
            ("MODE", "tcp"),
            ("VHOST", "tcp.test"),
            ("SNI_PASSTHROUGH", "true"),
        ],
    );
    both(&scene, |served| {
        served.leads("www.test", "/", "www");
        served.leads("other.test", "/docs", "docs");
        assert_eq!(served.https().get("www.test", "/").by(), "www");
        assert_eq!(served.app_id("/www").get("any.test", "/").by(), "www");
        for port in led {
            assert!(TcpStream::connect(at(port)).is_err(), "{port}");
        }
        assert_eq!(Ask::http(at(alone)).get("any.test", "/").by(), "alone");
        assert!(TcpStream::connect(at(tcp)).is_ok());
    });
}

#[test]
fn without_ports_80_and_443_services_keep_their_own() {
    let flags = ["--no-service-ports", "--dont-bind-http-https"];
    let mut scene = Scene::new().flags(&flags);
    let port = scene.app("/www", &[("VHOST", "www.test")]);
    let _served = scene.serve(true);
    assert_eq!(Ask::http(at(port)).get("www.test", "/").by(), "www");
}

/// With a profile as without one. Every HAProxy of which the file is written for 3.4 reads it.
#[test]
fn a_backend_with_a_profile_does_what_it_did_without() {
    if !haproxy_version().adds_servers() {
        // For those no profile is ever written, and they do not read one.
        return;
    }
    let flags = ["--no-service-ports", "--haproxy-version=3.4"];
    let mut scene = Scene::new().with_https().flags(&flags);
    scene.app("/www", &[("VHOST", "www.test")]);
    let labels = [
        ("VHOST", "sticky.test"),
        ("STICKY", "true"),
        ("USE_HSTS", "true"),
        ("REDIRECT_TO_HTTPS", "true"),
        ("TIMEOUT_SERVER", "7s"),
        ("COMPRESSION", "true"),
    ];
    scene.app("/sticky", &labels);
    both(&scene, |served| {
        let cfg = served.cfg();
        assert_eq!(cfg.matches("\ndefaults profile-").count(), 2, "{cfg}");
        assert_eq!(cfg.matches(" from profile-").count(), 2, "{cfg}");
        let answer = served
            .http()
            .header("X-Forwarded-Proto", "https")
            .get("www.test", "/");
        assert_eq!(answer.by(), "www");
        assert_eq!(answer.received("X-Forwarded-Proto"), ["http"]);
        assert_eq!(answer.received("X-Forwarded-For"), ["127.0.0.1"]);
        assert_eq!(answer.header("Strict-Transport-Security"), None);
        served.http().get("sticky.test", "/").expect(301);
        let answer = served.https().get("sticky.test", "/");
        assert_eq!(answer.by(), "sticky");
        assert!(answer.header("Strict-Transport-Security").is_some());
        assert!(
            answer
                .header("Set-Cookie")
                .unwrap()
                .contains("mesosphere_server_id=")
        );
        assert_eq!(answer.received("X-Forwarded-Proto"), ["https"]);
        served.leads_nowhere("none.test", "/");
    });
}

/// A HEAD of the operator's from before there were profiles has no place for them.
#[test]
fn without_a_place_in_head_there_are_no_profiles() {
    if !haproxy_version().adds_servers() {
        // For those no profile is ever written, and they do not read one.
        return;
    }
    let mut scene = Scene::new().flags(&["--no-service-ports", "--haproxy-version=3.4"]);
    scene.app("/www", &[("VHOST", "www.test")]);
    let head = scene.test.path().join("templates/fragments/head.cfg.tera");
    let text = std::fs::read_to_string(&head).unwrap();
    assert!(text.contains("{{ profiles }}"));
    std::fs::write(&head, text.replace("{{ profiles }}", "")).unwrap();
    let served = scene.serve(true);
    assert!(!served.cfg().contains(" from "), "{}", served.cfg());
    served.leads("www.test", "/", "www");
}

/// What is lost is its only way, where it has no port of its own.
#[test]
fn who_loses_his_host_hears_that_nothing_leads_to_him_any_more() {
    const SHUT_OUT: &str = "its requests go to the holder; with --no-service-ports no host, path or port \
                            of its own leads to this one any more";
    let mut scene = Scene::new();
    scene.app("/a", &[("VHOST", "one.test")]);
    scene.app("/b", &[("VHOST", "one.test")]);
    // This one has another host, and this one a port.
    scene.app("/c", &[("VHOST", "one.test,two.test")]);
    scene.app("/d", &[("MODE", "http")]);
    let told = scene.try_write(true).expect(0).stderr;
    assert!(!told.contains("--no-service-ports"), "{told}");
    let scene = scene.flags(&["--no-service-ports"]);
    let told = scene.try_write(true).expect(0).stderr;
    let of = |app: &str| {
        let app = format!("app `{app}`");
        let lines = told
            .lines()
            .filter(|line| line.contains(&format!("{app}: ")));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert!(of("/b").contains(SHUT_OUT), "{told}");
    let lost = of("/c");
    assert!(lost.contains("its requests go to the holder"), "{told}");
    assert!(!lost.contains("--no-service-ports"), "{told}");
}

/// Nothing listens on the number of whoever has a name, whose else it may be.
#[test]
fn a_number_that_others_have_too_costs_nobody_who_has_a_name() {
    let mut scene = Scene::new();
    let port = scene.app("/e", &[("VHOST", "three.test")]).to_string();
    scene.app("/f", &[("VHOST", "four.test"), ("PORT", &port)]);
    let tcp = scene.app("/tcp", &[("MODE", "tcp")]).to_string();
    scene.app("/g", &[("VHOST", "five.test"), ("PORT", &tcp)]);
    // A port of HAProxy's own.
    let http = scene.http.to_string();
    scene.app("/h", &[("VHOST", "six.test"), ("PORT", &http)]);
    let told = scene.try_write(true).expect(0).stderr;
    for (app, holder) in [
        ("/f", "app `/e`"),
        ("/tcp", "app `/g`"),
        ("/h", "`frontend "),
    ] {
        let (app, held) = (format!("app `{app}`: "), format!("is held by {holder}"));
        let mut lines = told.lines();
        assert!(
            lines.any(|line| line.contains(&app) && line.contains(&held)),
            "{told}"
        );
    }
    let scene = scene.flags(&["--no-service-ports"]);
    let told = scene.try_write(true).expect(0).stderr;
    assert!(!told.contains("is held by"), "{told}");
    both(&scene, |served| {
        for (host, by) in [("three", "e"), ("four", "f"), ("five", "g"), ("six", "h")] {
            served.leads(&format!("{host}.test"), "/", by);
        }
        let tcp = tcp.parse().unwrap();
        assert_eq!(Ask::http(at(tcp)).get("any.test", "/").by(), "tcp");
    });
}

/// As nothing else does that is a name alone.
#[test]
fn a_name_with_the_number_of_port_443_keeps_that_from_nobody() {
    let mut scene = Scene::new().flags(&["--no-service-ports"]);
    let certificate = scene.certificate("tls.test");
    let https = scene.https.to_string();
    scene.app("/edge", &[("VHOST", "edge.test"), ("PORT", &https)]);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    scene.app("/tls", &[("VHOST", "tls.test"), ("SSL_CERT", &certificate)]);
    for _ in 0..2 {
        let done = refresh(&scene).expect(0);
        assert!(!done.stderr.contains("is held by"), "{done:#?}");
        let https = Ask::https(at(scene.https));
        for by in ["tls", "edge"] {
            assert_eq!(https.get(&format!("{by}.test"), "/").by(), by);
        }
    }
}

/// Who has it for a name wants no port, whoever else of this host or of the apps listens there.
#[test]
fn a_number_that_others_listen_on_costs_nobody_who_has_it_for_a_name() {
    let flags = ["--no-service-ports", "--template-labels=all"];
    let mut scene = Scene::new().flags(&flags);
    let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    scene.app("/www", &[("VHOST", "www.test"), ("PORT", &port)]);
    scene.app("/tcp", &[("MODE", "tcp"), ("PORT", &port)]);
    let free = free_ports(1).unwrap()[0];
    let number = free.to_string();
    scene.app("/docs", &[("VHOST", "docs.test"), ("PORT", &number)]);
    let glue = format!("  bind 127.0.0.1:{free}\n  use_backend {{backend}}\n");
    let more = [("MODE", "tcp"), ("FRONTEND_BACKEND_GLUE", &*glue)];
    let alone = scene.app("/alone", &more);
    let _ending = Ending(scene.cfg());
    let done = refresh(&scene).expect(0);
    let done = done.says(&[&format!(
        "app `/tcp`: service port {port}: found port {port} is held by"
    )]);
    assert_eq!(done.stderr.matches("is held by").count(), 1, "{done:#?}");
    assert!(!done.stderr.contains(", held by"), "{done:#?}");
    let http = Ask::http(at(scene.http));
    for by in ["www", "docs"] {
        assert_eq!(http.get(&format!("{by}.test"), "/").by(), by);
    }
    for port in [alone, free] {
        assert_eq!(Ask::http(at(port)).get("any.test", "/").by(), "alone");
    }
}

/// Another who has the number for a name does not serve in the place of who listens there.
#[test]
fn a_name_with_the_number_of_a_port_does_not_stand_for_that() {
    let flags = ["--no-service-ports", "--template-labels=all"];
    let mut scene = Scene::new().flags(&flags);
    scene.grudge();
    let tcp = [
        ("MODE", "tcp"),
        ("BACKEND_TCP_HEALTHCHECK_OPTIONS", "  # poison 1\n"),
    ];
    let port = scene.app("/tcp", &tcp);
    scene.app(
        "/www",
        &[("VHOST", "www.test"), ("PORT", &port.to_string())],
    );
    let _ending = Ending(scene.cfg());
    scene.grudges("nothing");
    refresh(&scene).expect(0);
    let ask = Ask::http(at(port));
    assert_eq!(ask.get("any.test", "/").by(), "tcp");
    scene.grudges("poison");
    scene.apps[0]["labels"]["HAPROXY_0_BACKEND_TCP_HEALTHCHECK_OPTIONS"] = "  # poison 2\n".into();
    let done = refresh(&scene);
    assert_eq!(ask.get("any.test", "/").by(), "tcp", "{done:#?}");
}

/// It stands in the frontend of all alone, and is its owner's all the same.
#[test]
fn a_broken_certificate_of_one_who_is_led_holds_nobody_up() {
    let mut scene = Scene::new().flags(&["--no-service-ports"]);
    for number in 0..4 {
        let host = format!("h{number}.test");
        let path = scene.certificate(&host);
        scene.app(
            &format!("/h{number}"),
            &[("VHOST", &host), ("SSL_CERT", &path)],
        );
    }
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    let broken = scene.test.path().join("h1.test.pem.broken");
    fs::write(&broken, "no certificate").unwrap();
    scene.apps[1]["labels"]["HAPROXY_0_SSL_CERT"] = broken.display().to_string().into();
    scene.app("/new", &[("VHOST", "new.test")]);
    let done = refresh(&scene).expect(0);
    let done = done.says(&["app `/h1`: label `HAPROXY_0_SSL_CERT`: "]);
    assert_eq!(done.stderr.matches("app `/").count(), 1, "{done:#?}");
    let http = Ask::http(at(scene.http));
    for by in ["h0", "h1", "new"] {
        assert_eq!(http.get(&format!("{by}.test"), "/").by(), by);
    }
    // The same of a file that was good.
    fs::write(scene.test.path().join("h2.test.pem"), "none either").unwrap();
    scene.app("/newer", &[("VHOST", "newer.test")]);
    refresh(&scene).expect(0).says(&["app `/h2`: "]);
    for by in ["h0", "h1", "newer"] {
        assert_eq!(http.get(&format!("{by}.test"), "/").by(), by);
    }
}

/// Its words hold the path of the other.
#[test]
fn a_slash_behind_the_certificate_of_another_app_is_no_fault_of_that_app() {
    for flags in [&[][..], &["--no-service-ports"]] {
        let mut scene = Scene::new().flags(flags);
        for by in ["victim", "by", "on"] {
            let host = format!("{by}.test");
            let certificate = scene.certificate(&host);
            let labels = [("VHOST", host.as_str()), ("SSL_CERT", certificate.as_str())];
            scene.app(&format!("/{by}"), &labels);
        }
        let _ending = Ending(scene.cfg());
        refresh(&scene).expect(0);
        let path = scene.test.path().join("victim.test.pem/");
        let path = path.display().to_string();
        scene.app("/evil/e", &[("VHOST", "e.test"), ("SSL_CERT", &path)]);
        let done = refresh(&scene).expect(0);
        assert!(done.stderr.contains("app `/evil/e`"), "{done:#?}");
        assert!(!done.stderr.contains("app `/victim`"), "{done:#?}");
        let http = Ask::http(at(scene.http));
        assert_eq!(http.get("victim.test", "/").by(), "victim");
    }
}

/// Whoever takes it says what stands there.
#[test]
fn a_profile_that_haproxy_refuses_is_that_of_those_who_take_it() {
    if !haproxy_version().adds_servers() {
        return;
    }
    let flags = ["--no-service-ports", "--haproxy-version=3.4"];
    let mut scene = Scene::new().flags(&flags);
    for by in ["by", "on", "of"] {
        scene.app(&format!("/{by}"), &[("VHOST", &format!("{by}.test"))]);
    }
    scene.grudge();
    let grudge = scene.test.path().join("grudge");
    let script = fs::read_to_string(&grudge).unwrap();
    let names =
        "config : parsing [$cfg:$(grep -n poison \"$cfg\" | cut -d: -f1)] : out of luck\" >&2";
    let script = script.replace("config : out of luck' >&2", names);
    fs::write(&grudge, script.replace("echo '[", "echo \"[")).unwrap();
    scene.grudges("poison");
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0);
    scene.apps[0]["labels"]["HAPROXY_0_BALANCE"] = "url_param poison".into();
    scene.app("/new", &[("VHOST", "new.test")]);
    let done = refresh(&scene).expect(0);
    let done = done.says(&["app `/by`: ", "out of luck", "is served as it was before"]);
    assert_eq!(done.stderr.matches("app `/").count(), 1, "{done:#?}");
    let http = Ask::http(at(scene.http));
    for by in ["by", "new"] {
        assert_eq!(http.get(&format!("{by}.test"), "/").by(), by);
    }
}
