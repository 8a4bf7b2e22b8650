//! What HAProxy 2.1 took away, `rspadd`, `reqirep` and `rspirep`: their successors do the same,
//! and older versions get the originals.

use serde_json::json;

use super::{Ask, Scene, at, default_head};
use crate::support::Test;

const HSTS: (&str, &str) = ("HAPROXY_0_USE_HSTS", "true");
const HOST: (&str, &str) = ("HAPROXY_0_VHOST", "www.test");
const PROXYPASS: (&str, &str) = ("HAPROXY_0_HTTP_BACKEND_PROXYPASS_PATH", "/prefix");
const REVPROXY: (&str, &str) = ("HAPROXY_0_HTTP_BACKEND_REVPROXY_PATH", "/root");

/// All that came with a directive which is gone.
pub(super) const ALL: [(&str, &str); 4] = [HOST, HSTS, PROXYPASS, REVPROXY];

#[test]
fn hsts_is_on_every_answer_of_its_app() {
    let mut scene = Scene::new();
    let port = scene.app("/www", &["www"], &[HOST, HSTS]);
    scene.app("/other", &["other"], &[("HAPROXY_0_VHOST", "other.test")]);
    let served = scene.serve();
    let hsts = Some("max-age=15768000");
    for ask in [served.http(), served.https(), Ask::http(at(port))] {
        let answer = ask.get("www.test", "/");
        assert_eq!(answer.by(), "www");
        assert_eq!(answer.header("Strict-Transport-Security"), hsts);
        let redirected = ask.header("X-Answer-Location", "/x");
        let answer = redirected.get("www.test", "/").expect(302);
        assert_eq!(answer.header("Strict-Transport-Security"), hsts);
    }
    let answer = served.https().get("other.test", "/");
    assert_eq!(answer.header("Strict-Transport-Security"), None);
}

#[test]
fn proxypass_takes_the_prefix_off_and_names_the_host() {
    let mut scene = Scene::new();
    let port = scene.app("/www", &["www"], &[HOST, PROXYPASS]);
    let served = scene.serve();
    for (path, reached) in [
        ("/prefix", "/"),
        ("/prefix/", "/"),
        ("/prefix/x", "/x"),
        ("/prefix/x?y=1", "/x?y=1"),
        ("/prefix?y=1", "/?y=1"),
        ("/PREFIX/x?y=/prefix/z", "/x?y=/prefix/z"),
        ("/prefix/prefix/x", "/prefix/x"),
        ("/prefix/a%20b", "/a%20b"),
        // The original looked no further than its words.
        ("/prefixes", "/es"),
        ("/", "/"),
        ("/x/prefix/y", "/x/prefix/y"),
        ("/x?y=/prefix", "/x?y=/prefix"),
    ] {
        for ask in [served.http(), served.https()] {
            let answer = ask.get("www.test", path);
            assert_eq!(answer.request_line(), format!("GET {reached} HTTP/1.1"));
            assert_eq!(answer.received("Host"), ["www.test"]);
        }
        // On the service port any host may be asked for, and the backend hears of its own.
        let answer = Ask::http(at(port)).get("any.test:1", path);
        assert_eq!(answer.request_line(), format!("GET {reached} HTTP/1.1"));
        assert_eq!(answer.received("Host"), ["www.test"]);
    }
}

#[test]
fn revproxy_leads_redirects_of_the_backend_to_the_root_path() {
    let mut scene = Scene::new();
    scene.app("/www", &["www"], &[HOST, REVPROXY]);
    // What the pattern found may be used.
    let kept = ("HAPROXY_0_HTTP_BACKEND_REVPROXY_PATH", r"/root\3");
    scene.app(
        "/kept",
        &["kept"],
        &[("HAPROXY_0_VHOST", "kept.test"), kept],
    );
    let percent = ("HAPROXY_0_HTTP_BACKEND_REVPROXY_PATH", "/a%%20b");
    scene.app(
        "/percent",
        &["percent"],
        &[("HAPROXY_0_VHOST", "percent.test"), percent],
    );
    let served = scene.serve();
    let location = |host: &str, location: &str| {
        let ask = served.http().header("X-Answer-Location", location);
        let answer = ask.get(host, "/").expect(302);
        answer.header("Location").unwrap().to_owned()
    };
    for own in [
        "http://www.test/x",
        "https://www.test/x?y=1",
        "http://www.test:8080/",
        "HTTP://WWW.test/x",
        "/x",
    ] {
        assert_eq!(location("www.test", own), "/root", "{own}");
    }
    for foreign in [
        "http://other.test/x",
        "https://www.test.other/x",
        "http://other.test/http://www.test/",
        "http://www.test",
        "x",
    ] {
        assert_eq!(location("www.test", foreign), foreign);
    }
    assert_eq!(
        location("kept.test", "http://kept.test:80/a/b"),
        "/root/a/b"
    );
    assert_eq!(location("percent.test", "/x"), "/a%20b");
    let answer = served.http().get("www.test", "/");
    assert_eq!((answer.by(), answer.header("Location")), ("www", None));
}

#[test]
fn redir_leads_from_the_root_of_the_host() {
    let mut scene = Scene::new();
    let redir = ("HAPROXY_0_HTTP_BACKEND_REDIR", "/start");
    let port = scene.app("/www", &["www"], &[HOST, redir]);
    let served = scene.serve();
    for ask in [served.http(), served.https()] {
        let answer = ask.get("www.test", "/").expect(301);
        assert_eq!(answer.header("Location"), Some("/start"));
        for path in ["/start", "/x"] {
            let answer = ask.get("www.test", path);
            assert_eq!(answer.request_line(), format!("GET {path} HTTP/1.1"));
        }
    }
    assert_eq!(Ask::http(at(port)).get("other.test", "/").by(), "www");
}

/// All together on one service, where each could spoil another's work.
#[test]
fn they_work_side_by_side() {
    let mut scene = Scene::new();
    let path = ("HAPROXY_0_PATH", "/prefix");
    let sticky = ("HAPROXY_0_STICKY", "true");
    let labels = [HOST, HSTS, PROXYPASS, REVPROXY, path, sticky];
    scene.app("/www", &["www"], &labels);
    let served = scene.serve();
    let ask = served.https().header("X-Answer-Location", "/x");
    let answer = ask.get("www.test", "/prefix/y").expect(302);
    assert_eq!(answer.request_line(), "GET /y HTTP/1.1");
    assert_eq!(answer.header("Location"), Some("/root"));
    assert!(answer.header("Strict-Transport-Security").is_some());
    assert!(answer.header("Set-Cookie").is_some());
}

#[test]
fn before_2_1_the_originals_stand_there() {
    let mut scene = Scene::new().flags(&["--dry", "--haproxy-version", "2.0"]);
    let redir = ("HAPROXY_0_HTTP_BACKEND_REDIR", "/start");
    let backends = json!({"tasks": [super::task("/www", "www", 31001)]});
    let labels = [HOST, HSTS, PROXYPASS, REVPROXY, redir];
    let port = scene.app_with("/www", &[], &labels, &backends);
    let text = scene.write().expect(0).stdout;
    let (_, backend) = text.split_once(&format!("\nbackend www_{port}\n")).unwrap();
    let (options, _) = backend.split_once("  server ").unwrap();
    assert_eq!(
        options,
        r#"  balance roundrobin
  mode http
  rspadd  Strict-Transport-Security:\ max-age=15768000
  option forwardfor
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request add-header X-Forwarded-Proto https if { ssl_fc }
  http-request set-header Host www.test
  reqirep  "^([^ :]*)\ /prefix/?(.*)" "\1\ /\2"
  acl hdr_location res.hdr(Location) -m found
  rspirep "^Location: (https?://www.test(:[0-9]+)?)?(/.*)" "Location:   /root" if hdr_location
  acl is_root path -i /
  acl is_domain hdr(host) -i www.test
  redirect code 301 location /start if is_domain is_root
"#
    );
    let head = default_head(&Test::new(), &["--haproxy-version", "2.0"]);
    for gone in ["no strict-limits", "http-error"] {
        assert!(!head.contains(gone), "{gone} is no word of 2.0: {head}");
    }
}
