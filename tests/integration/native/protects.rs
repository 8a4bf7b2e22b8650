//! What protects a service holds on every way that leads to it.

use std::fs;

use super::{Ask, Scene, Served, at, both};

const HSTS: &str = "Strict-Transport-Security";

/// All ways to an app.
fn ways(served: &Served<'_>, app: &str, port: u16) -> Vec<(&'static str, Ask)> {
    vec![
        ("port 80", served.http()),
        ("port 443", served.https()),
        ("9091", served.app_id(app)),
        ("the service port", Ask::http(at(port))),
    ]
}

/// Realm, user and password of a label, which is "open sesame".
fn login() -> String {
    let output = std::process::Command::new("openssl")
        .args(["passwd", "-5", "-salt", "salt", "open sesame"])
        .output()
        .unwrap();
    let password = String::from_utf8(output.stdout).unwrap();
    format!("Only for us, #1:ali:{}", password.trim())
}

#[test]
fn a_password_is_asked_for_on_every_way() {
    let mut scene = Scene::new().with_https();
    let auth = login();
    let port = scene.app("/secret", &[("VHOST", "auth.test"), ("AUTH", &auth)]);
    scene.app("/open", &[("VHOST", "open.test")]);
    both(&scene, |served| {
        for (way, ask) in ways(served, "/secret", port) {
            let answer = ask.get("auth.test", "/in").expect(401);
            let realm = answer.header("WWW-Authenticate").unwrap();
            assert_eq!(realm, "Basic realm=\"Only for us, #1\"", "{way}");
            let wrong = ask.clone().login("ali", "open barley");
            wrong.get("auth.test", "/in").expect(401);
            let right = ask.login("ali", "open sesame").get("auth.test", "/in");
            assert_eq!(right.by(), "secret", "{way}");
        }
        served.leads("open.test", "/", "open");
    });
}

#[test]
fn a_password_that_nobody_can_be_asked_for_leaves_the_service_out() {
    let mut scene = Scene::new();
    let auth = login();
    let port = scene.app("/tcp", &[("MODE", "tcp"), ("AUTH", &auth)]);
    scene.app("/www", &[("VHOST", "www.test")]);
    both(&scene, |served| {
        served.leads("www.test", "/", "www");
        assert!(std::net::TcpStream::connect(at(port)).is_err());
        let told = format!(
            "app `/tcp`: label `HAPROXY_0_AUTH`: found the mode is tcp, in which nobody can log in, \
             expected mode http; service port {port} left out"
        );
        assert!(served.told.contains(&told), "{}", served.told);
    });
}

#[test]
fn only_the_networks_that_are_allowed_are_served() {
    let mut scene = Scene::new().with_https();
    let allow = |networks| ("BACKEND_NETWORK_ALLOWED_ACL", networks);
    let closed = scene.app("/closed", &[("VHOST", "no.test"), allow("10.0.0.0/8 ::1")]);
    let open = scene.app("/open", &[("VHOST", "yes.test"), allow("127.0.0.0/8")]);
    let tcp_closed = scene.app("/tcp-closed", &[allow("10.0.0.0/8")]);
    let tcp_open = scene.app("/tcp-open", &[allow("127.0.0.1 10.0.0.0/8")]);
    both(&scene, |served| {
        for (_, ask) in ways(served, "/closed", closed) {
            ask.get("no.test", "/").expect(403);
        }
        for (way, ask) in ways(served, "/open", open) {
            let answer = ask.get("yes.test", "/");
            assert_eq!(answer.by(), "open", "{way}");
            // What follows the list is not skipped for who is allowed.
            assert_eq!(answer.received("X-Forwarded-Port").len(), 1, "{way}");
        }
        let direct = |port| Ask::http(at(port)).try_get("any.test", "/");
        assert!(direct(tcp_closed).is_err());
        assert_eq!(direct(tcp_open).unwrap().by(), "tcp-open");
    });
}

#[test]
fn a_redirect_leads_from_port_80_to_443_and_from_nowhere_else() {
    let mut scene = Scene::new().with_https();
    let redirect = ("REDIRECT_TO_HTTPS", "true");
    let port = scene.app("/safe", &[("VHOST", "safe.test,two.test"), redirect]);
    scene.app("/plain", &[("VHOST", "plain.test")]);
    both(&scene, |served| {
        for host in ["safe.test", "two.test"] {
            let answer = served.http().get(host, "/a?b=1").expect(301);
            let location = format!("https://{host}/a?b=1");
            assert_eq!(answer.header("Location"), Some(&*location));
            // The port of the one is not that of the other.
            let answer = served
                .http()
                .get(&format!("{host}:80"), "/a?b=1")
                .expect(301);
            assert_eq!(answer.header("Location"), Some(&*location));
        }
        for (way, ask) in ways(served, "/safe", port).split_off(1) {
            assert_eq!(ask.get("safe.test", "/").by(), "safe", "{way}");
        }
        served.leads("plain.test", "/", "plain");
    });
}

#[test]
fn nobody_is_led_to_a_port_on_which_nothing_listens() {
    let mut scene = Scene::new();
    let redirect = ("REDIRECT_TO_HTTPS", "true");
    scene.app("/safe", &[("VHOST", "safe.test"), redirect]);
    both(&scene, |served| {
        served.leads("safe.test", "/", "safe");
        let told = "app `/safe`: label `HAPROXY_0_REDIRECT_TO_HTTPS`: found nothing listens on \
                    port 443, expected a certificate";
        assert!(served.told.contains(told), "{}", served.told);
        assert!(std::net::TcpStream::connect(at(served.scene.https)).is_err());
    });
}

/// Another app's certificate opens port 443 for all, but is not what their clients should be led to.
#[test]
fn nobody_is_led_to_the_certificate_of_another_folder() {
    let mut scene = Scene::new();
    let (shop, alone) = (
        scene.certificate("shop.test"),
        scene.certificate("alone.test"),
    );
    let redirect = ("REDIRECT_TO_HTTPS", "true");
    scene.app("/shop/tls", &[("VHOST", "shop.test"), ("SSL_CERT", &shop)]);
    scene.app("/shop/www", &[("VHOST", "www.shop.test"), redirect]);
    scene.app(
        "/alone/www",
        &[("VHOST", "alone.test"), ("SSL_CERT", &alone), redirect],
    );
    scene.app("/other/www", &[("VHOST", "other.test"), redirect]);
    both(&scene, |served| {
        for host in ["www.shop.test", "alone.test"] {
            served.http().get(host, "/").expect(301);
        }
        served.leads("other.test", "/", "other/www");
        let told = "app `/other/www`: label `HAPROXY_0_REDIRECT_TO_HTTPS`: found port 443 has only \
                    certificates of apps outside of folder `/other`, expected a certificate, by \
                    --ssl-certs or a label SSL_CERT; not used: requests on port 80 are served there";
        assert!(served.told.contains(told), "{}", served.told);
        assert_eq!(served.told.matches("warn:").count(), 1, "{}", served.told);
    });
}

#[test]
fn strict_transport_security_is_told_over_tls() {
    let mut scene = Scene::new().with_https();
    scene.app("/hsts", &[("VHOST", "hsts.test"), ("USE_HSTS", "true")]);
    both(&scene, |served| {
        let answer = served.https().get("hsts.test", "/");
        assert_eq!(answer.header(HSTS), Some("max-age=15768000"));
        assert_eq!(answer.received("X-Forwarded-Proto"), ["https"]);
        // RFC 6797, 7.2: never without.
        let answer = served.http().get("hsts.test", "/");
        assert_eq!(answer.header(HSTS), None);
    });
}

/// A certificate in a label opens port 443, and is the one for its host.
#[test]
fn a_host_brings_its_own_certificate() {
    let mut scene = Scene::new();
    let one = scene.certificate("one.test");
    let two = scene.certificate("two.test");
    scene.app("/one", &[("VHOST", "one.test"), ("SSL_CERT", &one)]);
    scene.app("/two", &[("VHOST", "two.test"), ("SSL_CERT", &two)]);
    both(&scene, |served| {
        for name in ["one", "two"] {
            let host = format!("{name}.test");
            let answer = served.https().get(&host, "/");
            assert_eq!(answer.by(), name);
            let der = fs::read(served.scene.test.path().join(format!("{host}.der")));
            assert!(answer.certificate.unwrap() == der.unwrap(), "{host}");
        }
    });
}

#[test]
fn paths_are_rewritten_for_each_of_several_hosts() {
    let mut scene = Scene::new();
    let hosts = ("VHOST", "one.test,two.test");
    let proxypass = ("HTTP_BACKEND_PROXYPASS_PATH", "/in");
    let revproxy = ("HTTP_BACKEND_REVPROXY_PATH", "/root");
    scene.app("/in", &[hosts, ("PATH", "/in"), proxypass]);
    scene.app("/back", &[hosts, revproxy]);
    scene.app(
        "/redir",
        &[("VHOST", "r1.test,r2.test"), ("HTTP_BACKEND_REDIR", "/x")],
    );
    both(&scene, |served| {
        for host in ["one.test", "two.test"] {
            let answer = served.http().get(host, "/in/a");
            assert_eq!(answer.request_line(), "GET /a HTTP/1.1");
            assert_eq!(answer.received("Host"), [host]);
            let back = |location: &str| {
                let ask = served.http().header("X-Answer-Location", location);
                let answer = ask.get(host, "/").expect(302);
                answer.header("Location").unwrap().to_owned()
            };
            assert_eq!(back(&format!("http://{host}/x")), "/root");
            assert_eq!(back("/x"), "/root");
            assert_eq!(back("http://else.test/x"), "http://else.test/x");
        }
        for host in ["r1.test", "r2.test"] {
            let answer = served.http().get(host, "/").expect(301);
            assert_eq!(answer.header("Location"), Some("/x"));
            served.leads(host, "/x", "redir");
        }
    });
}

/// What lies beside the prefix is none of it.
#[test]
fn a_prefix_is_taken_off_where_a_segment_ends() {
    let mut scene = Scene::new();
    let prefix = |prefix| ("HTTP_BACKEND_PROXYPASS_PATH", prefix);
    scene.app("/pre", &[("VHOST", "pre.test"), prefix("/pre")]);
    scene.app("/deep", &[("VHOST", "deep.test"), prefix("/a/b/")]);
    scene.app("/root", &[("VHOST", "root.test"), prefix("/")]);
    scene.app("/dot", &[("VHOST", "dot.test"), prefix("/v1.0")]);
    both(&scene, |served| {
        for (host, path, reached) in [
            ("pre.test", "/pre", "/"),
            ("pre.test", "/pre/", "/"),
            ("pre.test", "/pre/x/pre/y", "/x/pre/y"),
            ("pre.test", "/pre/x?a=/pre/b", "/x?a=/pre/b"),
            ("pre.test", "/pre?a", "/?a"),
            ("pre.test", "/prefix", "/prefix"),
            ("pre.test", "/prefix/pre/x", "/prefix/pre/x"),
            ("pre.test", "/x", "/x"),
            ("deep.test", "/a/b", "/"),
            ("deep.test", "/a/b/c", "/c"),
            ("deep.test", "/a/bc", "/a/bc"),
            ("root.test", "/a", "/a"),
            ("dot.test", "/v1.0/x", "/x"),
            ("dot.test", "/v1x0/x", "/v1x0/x"),
        ] {
            let answer = served.http().get(host, path);
            let line = format!("GET {reached} HTTP/1.1");
            assert_eq!(answer.request_line(), line, "{host}{path}");
        }
    });
}

/// A client cannot say that it came over TLS.
#[test]
fn a_backend_is_told_by_us_whether_a_client_came_over_tls() {
    let mut scene = Scene::new().with_https();
    let port = scene.app("/www", &[("VHOST", "www.test")]);
    both(&scene, |served| {
        for (way, ask) in ways(served, "/www", port) {
            let (proto, claimed) = match way {
                "port 443" => ("https", "http"),
                _ => ("http", "https"),
            };
            let ask = ask.header("X-Forwarded-Proto", claimed);
            let answer = ask.get("www.test", "/");
            assert_eq!(answer.received("X-Forwarded-Proto"), [proto], "{way}");
        }
    });
}

/// The app itself ends TLS, with a certificate that only it has.
#[test]
fn tls_of_a_host_is_passed_on_beside_hosts_whose_tls_ends_here() {
    let mut scene = Scene::new().with_https();
    let own = scene.certificate("own.test");
    scene.app("/www", &[("VHOST", "www.test"), ("USE_HSTS", "true")]);
    // What ends TLS in the place of an app is a service port of the same HAProxy.
    let inner = scene.app("/inner", &[("MODE", "http"), ("SSL_CERT", &own)]);
    let pass = ("SNI_PASSTHROUGH", "true");
    let labels = [("MODE", "tcp"), ("VHOST", "own.test,*.own.test"), pass];
    scene.app_at("/own", inner, &labels);
    let networks = ("BACKEND_NETWORK_ALLOWED_ACL", "10.0.0.0/8");
    let labels = [("MODE", "tcp"), ("VHOST", "closed.test"), pass, networks];
    scene.app_at("/closed", inner, &labels);
    scene.app("/http", &[("VHOST", "http.test"), pass]);
    both(&scene, |served| {
        let der = fs::read(served.scene.test.path().join("own.test.der")).unwrap();
        for host in ["own.test", "a.b.own.test", "OWN.test"] {
            let answer = served.https().get(host, "/");
            assert_eq!(answer.by(), "inner", "{host}");
            assert!(answer.certificate.unwrap() == der, "{host}");
        }
        let answer = served.https().get("www.test", "/");
        assert_eq!(answer.by(), "www");
        assert!(answer.header(HSTS).is_some());
        assert_eq!(answer.received("X-Forwarded-For"), ["127.0.0.1"]);
        let port = served.scene.https.to_string();
        assert_eq!(answer.received("X-Forwarded-Port"), [port]);
        assert!(answer.certificate.unwrap() != der);
        assert!(served.https().try_get("closed.test", "/").is_err());
        let told = "app `/http`: label `HAPROXY_0_SNI_PASSTHROUGH`: found `true`, expected none, \
                    for the mode is http";
        assert!(served.told.contains(told), "{}", served.told);
    });
    // Without certificates of ours port 443 is for these hosts alone.
    scene.flags.clear();
    both(&scene, |served| {
        assert_eq!(served.https().get("own.test", "/").by(), "inner");
        assert!(served.https().try_get("www.test", "/").is_err());
    });
}

#[test]
fn an_option_of_another_set_is_told_of() {
    let mut scene = Scene::new().with_https().flags(&["--group-https-by-vhost"]);
    scene.app("/www", &[("VHOST", "www.test")]);
    both(&scene, |served| {
        assert_eq!(served.https().get("www.test", "/").by(), "www");
        let told = "option `--group-https-by-vhost`: found a switch of the set marathon-lb";
        assert!(served.told.contains(told), "{}", served.told);
    });
}

/// Texts of labels that end without a line break, some with a comment.
#[test]
fn a_text_of_a_label_takes_away_no_line_of_the_next() {
    let mut scene = Scene::new().flags(&["--template-labels=all"]);
    let auth = login();
    let head = "backend {backend}\n  mode http\n  balance roundrobin";
    let noted = format!("{head} # note");
    for (id, host, head) in [("/bare", "bare.test", head), ("/note", "note.test", &noted)] {
        scene.app(
            id,
            &[("VHOST", host), ("AUTH", &auth), ("BACKEND_HEAD", head)],
        );
    }
    let acl = "  acl network_allowed src {network_allowed} # x";
    scene.app(
        "/closed",
        &[
            ("VHOST", "closed.test"),
            ("BACKEND_NETWORK_ALLOWED_ACL", "10.0.0.0/8 ::1"),
            ("HTTP_BACKEND_NETWORK_ALLOWED_ACL", acl),
        ],
    );
    let server = "  server {serverName} {host_ipv4}:{port} id {serverId} # x";
    let open = [
        ("VHOST", "open.test"),
        ("MODE", "http"),
        ("STICKY", "true"),
        ("USE_HSTS", "true"),
        (
            "FRONTEND_HEAD",
            "frontend {backend}\n  bind {bindAddr}:{servicePort}\n  mode http # x",
        ),
        ("FRONTEND_BACKEND_GLUE", "  use_backend {backend} # x"),
        ("BACKEND_HSTS_OPTIONS", "  http-response set-header A b # x"),
        ("BACKEND_HTTP_OPTIONS", "  option forwardfor # x"),
        ("BACKEND_STICKY_OPTIONS", "  cookie mine insert # x"),
        ("BACKEND_SERVER_OPTIONS", server),
    ];
    let port = scene.app("/open", &open);
    both(&scene, |served| {
        for host in ["bare.test", "note.test"] {
            served.http().get(host, "/").expect(401);
        }
        served.http().get("closed.test", "/").expect(403);
        for ask in [served.http(), Ask::http(at(port))] {
            let answer = ask.get("open.test", "/");
            assert_eq!(answer.by(), "open");
            assert_eq!(answer.received("X-Forwarded-For").len(), 1);
            assert_eq!(answer.header("A"), Some("b"));
        }
    });
}
