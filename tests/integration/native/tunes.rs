//! How servers are treated, how clients come in, and what operators add.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use haproxy_marathon_bridge::demo::free_ports;

use super::{Ask, Scene, at, both};
use crate::support::haproxy;

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Reads the head of a request, and says the same to each.
fn answers(listener: TcpListener, answer: &'static str) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines();
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
            {}
            let _ = (&stream).write_all(answer.as_bytes());
        }
    });
}

/// What is told of a file that is as it should be would hide what is not.
#[test]
fn haproxy_has_nothing_to_say_of_what_is_right() {
    let mut scene = Scene::new().with_https().flags(&["--accept-proxy"]);
    let http = [
        ("VHOST", "a.test,*.b.test"),
        ("PATH", "/x"),
        ("REDIRECT_TO_HTTPS", "true"),
        ("USE_HSTS", "true"),
        ("STICKY", "true"),
        ("COMPRESSION", "true"),
        ("HTTP_BACKEND_PROXYPASS_PATH", "/x"),
        ("HTTP_BACKEND_REVPROXY_PATH", "/x"),
        ("HTTP_BACKEND_REDIR", "/x"),
    ];
    let all = [
        ("BACKEND_NETWORK_ALLOWED_ACL", "10.0.0.0/8"),
        ("TIMEOUT_CONNECT", "1s"),
        ("TIMEOUT_SERVER", "1m"),
        ("TIMEOUT_QUEUE", "1s"),
        ("TIMEOUT_TUNNEL", "1h"),
        ("MAXCONN", "10"),
        ("SEND_PROXY", "v2"),
        ("BALANCE", "leastconn"),
    ];
    let auth = ("AUTH", "realm:ali:rlR4XJ1i8.hsE");
    scene.app("/http", &[&http[..], &all, &[auth]].concat());
    scene.app(
        "/header",
        &[("VHOST", "h.test"), ("HEADER", "X: 1"), ("METHOD", "GET")],
    );
    scene.app("/tcp", &all);
    for maps in [true, false] {
        assert_eq!(scene.write(maps).stderr.matches("warn:").count(), 0);
        let mut check = std::process::Command::new(haproxy());
        let check = check.arg("-c").arg("-f").arg(scene.cfg()).output().unwrap();
        let told = String::from_utf8_lossy(&check.stderr);
        assert!(
            check.status.success() && !told.contains("WARNING"),
            "{told}"
        );
    }
}

#[test]
fn what_is_said_of_http_is_not_used_elsewhere() {
    let mut scene = Scene::new().with_https();
    let tcp = [
        ("STICKY", "true"),
        ("USE_HSTS", "true"),
        ("REDIRECT_TO_HTTPS", "true"),
    ];
    let port = scene.app("/tcp", &tcp);
    both(&scene, |served| {
        assert_eq!(Ask::http(at(port)).get("any.test", "/").by(), "tcp");
        for (label, _) in tcp {
            let told = format!(
                "app `/tcp`: label `HAPROXY_0_{label}`: found the mode is tcp, expected mode http; \
                 not used"
            );
            assert!(served.told.contains(&told), "{}", served.told);
        }
        assert!(!served.cfg().contains("cookie"), "HAProxy would warn of it");
    });
}

#[test]
fn a_silent_server_is_waited_for_as_long_as_its_owner_says() {
    let mut scene = Scene::new();
    let (_silent, port) = listener();
    let time = ("TIMEOUT_SERVER", "50ms");
    scene.app_at("/silent", port, &[("VHOST", "silent.test"), time]);
    both(&scene, |served| {
        served.http().get("silent.test", "/").expect(504);
    });
}

#[test]
fn a_server_has_no_more_connections_than_its_owner_says() {
    let mut scene = Scene::new();
    let (silent, port) = listener();
    let labels = [
        ("VHOST", "one.test"),
        ("MAXCONN", "1"),
        ("TIMEOUT_QUEUE", "50ms"),
        ("TIMEOUT_CONNECT", "5s"),
        ("TIMEOUT_TUNNEL", "2h"),
    ];
    scene.app_at("/one", port, &labels);
    // Once only: HAProxy asks again when it ends, and that would wait in the listener.
    let served = scene.serve(true);
    let mut first = TcpStream::connect(at(served.scene.http)).unwrap();
    first
        .write_all(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        .unwrap();
    let held = silent.accept().unwrap();
    served.http().get("one.test", "/").expect(503);
    drop(held);
}

#[test]
fn a_server_is_told_of_the_client_by_the_proxy_protocol() {
    for (version, begin) in [
        ("v1", &b"PROXY TCP4 127.0.0.1 "[..]),
        ("v2", b"\r\n\r\n\0\r\nQUIT\n\x21"),
    ] {
        let mut scene = Scene::new();
        let (backend, port) = listener();
        let service = scene.app_at("/told", port, &[("SEND_PROXY", version)]);
        let served = scene.serve(true);
        let mut client = TcpStream::connect(at(service)).unwrap();
        client.write_all(b"hello").unwrap();
        let (mut accepted, _) = backend.accept().unwrap();
        let mut read = vec![0; begin.len()];
        accepted.read_exact(&mut read).unwrap();
        assert_eq!(read, begin, "{version}");
        drop(served);
    }
}

#[test]
fn text_is_compressed_where_its_owner_says() {
    let mut scene = Scene::new();
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\
                  Connection: close\r\n\r\nhello";
    for (id, host, compressed) in [
        ("/small", "small.test", "true"),
        ("/large", "large.test", "false"),
    ] {
        let (backend, port) = listener();
        answers(backend, answer);
        scene.app_at(id, port, &[("VHOST", host), ("COMPRESSION", compressed)]);
    }
    both(&scene, |served| {
        let encoding = |host: &str| {
            let mut stream = TcpStream::connect(at(served.scene.http)).unwrap();
            let ask = format!(
                "GET / HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(ask.as_bytes()).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            String::from_utf8_lossy(&answer)
                .to_lowercase()
                .contains("content-encoding: gzip")
        };
        assert!(encoding("small.test"));
        assert!(!encoding("large.test"));
    });
}

#[test]
fn a_balancer_in_front_names_the_client_by_the_proxy_protocol() {
    let mut scene = Scene::new().with_https().flags(&["--accept-proxy"]);
    let allow = ("BACKEND_NETWORK_ALLOWED_ACL", "192.0.2.0/24");
    scene.app("/www", &[("VHOST", "www.test"), allow]);
    both(&scene, |served| {
        let ask = |client: &str| {
            let mut stream = TcpStream::connect(at(served.scene.http)).unwrap();
            let ask = format!(
                "PROXY TCP4 {client} 127.0.0.1 1000 80\r\n\
                 GET / HTTP/1.1\r\nHost: www.test\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(ask.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer.to_lowercase()
        };
        let answer = ask("192.0.2.7");
        assert!(answer.contains("x-forwarded-for: 192.0.2.7"), "{answer}");
        assert!(ask("198.51.100.1").starts_with("http/1.1 403"));
        assert!(served.http().try_get("www.test", "/").is_err());
        assert!(served.cfg().contains("alpn h2,http/1.1 accept-proxy"));
    });
}

#[test]
fn sections_of_the_operator_stand_in_the_same_file() {
    let free = free_ports(1).unwrap()[0];
    let mut scene = Scene::new().flags(&["--extra-config", "extra"]);
    let folder = scene.test.path().join("extra");
    fs::create_dir(&folder).unwrap();
    let page =
        format!("frontend page\n  bind 127.0.0.1:{free}\n  mode http\n  use_backend second\n");
    fs::write(folder.join("10-page.cfg"), page).unwrap();
    let second = "backend second\n  mode http\n  http-request return status 200 content-type \
                  text/plain string \"second\\n\"";
    fs::write(folder.join("20-second.cfg"), second).unwrap();
    fs::write(folder.join("README"), "no configuration").unwrap();
    scene.app("/www", &[("VHOST", "www.test")]);
    let port = scene.app("/clash", &[("VHOST", "clash.test")]);
    scene.apps[1]["ports"][0] = free.into();
    assert_ne!(port, free);
    both(&scene, |served| {
        served.leads("www.test", "/", "www");
        let page = Ask::http(at(free));
        assert_eq!(page.get("any.test", "/").by(), "second");
        // Ports of theirs are theirs.
        served.leads_nowhere("clash.test", "/");
        let told = format!("found port {free} is held by `frontend page`");
        assert!(served.told.contains(&told), "{}", served.told);
        assert!(
            served
                .cfg()
                .contains("\n# extra/10-page.cfg\nfrontend page\n")
        );
    });
    // What is wrong with them is found with the rest.
    fs::write(folder.join("30-bad.cfg"), "frontend bad\n  bind nowhere\n").unwrap();
    scene.write(true);
    let mut check = std::process::Command::new(haproxy());
    let check = check.arg("-c").arg("-f").arg(scene.cfg()).output().unwrap();
    let told = String::from_utf8_lossy(&check.stderr);
    assert!(!check.status.success() && told.contains("'bind'"), "{told}");
    fs::remove_dir_all(&folder).unwrap();
    let done = scene.try_write(true);
    done.expect(1)
        .says(&["--extra-config `extra` cannot be read"]);
}

/// HAProxy accepts the first two, and one of them in the section of an app.
#[test]
fn what_operators_add_leaves_the_rest_alone() {
    let mut scene = Scene::new().flags(&["--extra-config", "extra"]);
    let folder = scene.test.path().join("extra");
    fs::create_dir(&folder).unwrap();
    let port = scene.app("/www", &[("VHOST", "www.test")]);
    scene.app("/other", &[("VHOST", "other.test")]);
    // These are of the original templates.
    fs::remove_dir_all(scene.test.path().join("templates")).unwrap();
    fs::create_dir(scene.test.path().join("templates")).unwrap();
    let own = folder.join("own.cfg");
    for (place, port) in [
        ("*:80", 80),
        ("127.0.0.1:9090,127.0.0.1:1", 9090),
        (":9080-9095", 9090),
        ("[::]:443", 443),
    ] {
        fs::write(&own, format!("# own\nfrontend own\n  bind {place}\n")).unwrap();
        let told = format!(
            "--extra-config `extra/own.cfg`, line 3: found a bind on port {port}, which is one of the \
             template set's own, expected another port"
        );
        scene.try_write(true).expect(1).says(&[&told]);
    }
    // Another address is another place.
    fs::write(&own, "frontend own\n  bind 127.0.0.2:9090\n").unwrap();
    scene.try_write(true).expect(0);
    fs::write(&own, "\n# own\n  http-request deny\nfrontend own\n").unwrap();
    let done = scene.try_write(true).expect(1);
    done.says(&[
        "--extra-config `extra/own.cfg`, line 3: found `http-request`, expected a line that opens a \
         section",
    ]);
    let hosts = ["--dont-bind-http-https"];
    fs::write(&own, "frontend own\n  bind 127.0.0.1:80\n").unwrap();
    let scene = scene.flags(&hosts);
    scene.try_write(true).expect(0);
    // The name of an app's sections costs that app alone, and the file is named.
    fs::write(&own, format!("backend www_{port}\n  mode http\n")).unwrap();
    let done = scene.try_write(true).expect(0);
    done.says(&[
        "app `/www`: ",
        &format!("found name `www_{port}` is that of a section in --extra-config `extra/own.cfg`"),
    ]);
    let cfg = fs::read_to_string(scene.cfg()).unwrap();
    assert!(cfg.contains("backend other_"), "{cfg}");
    assert_eq!(cfg.matches(&format!("www_{port}")).count(), 1, "{cfg}");
}

#[test]
fn an_app_that_is_scaled_to_zero_is_answered_for() {
    let mut scene = Scene::new().with_https();
    let port = scene.app("/asleep", &[("VHOST", "asleep.test")]);
    let auth = ("AUTH", "realm:ali:rlR4XJ1i8.hsE");
    scene.app("/locked", &[("VHOST", "locked.test"), auth]);
    let tcp = scene.app("/tcp", &[]);
    scene.app("/rest", &[("VHOST", "*.test")]);
    for app in &mut scene.apps[..3] {
        app["tasks"] = serde_json::json!([]);
        app["instances"] = 0.into();
    }
    both(&scene, |served| served.leads("asleep.test", "/", "rest"));
    let scene = scene.flags(&["--serve-scaled-to-zero"]);
    both(&scene, |served| {
        let ways = [
            served.http(),
            served.https(),
            served.app_id("/asleep"),
            Ask::http(at(port)),
        ];
        for ask in ways {
            let answer = ask.get("asleep.test", "/").expect(503);
            assert_eq!(answer.header("Retry-After"), Some("30"));
            assert!(
                answer.body.contains("No instance of this service"),
                "{answer:?}"
            );
        }
        // What protects it still does.
        served.http().get("locked.test", "/").expect(401);
        served.leads("other.test", "/", "rest");
        // HAProxy hangs up.
        assert!(Ask::http(at(tcp)).try_get("any.test", "/").is_err());
    });
}

#[test]
fn apps_that_are_merged_share_requests_by_weight() {
    let mut scene = Scene::new();
    let merge = ("MERGE", "shop");
    let stable = ("VHOST", "www.test");
    let port = scene.app("/a-stable", &[stable, merge, ("WEIGHT", "3")]);
    let canary = [("VHOST", "canary.test,www.test"), merge, ("WEIGHT", "1")];
    let canary = scene.app("/b-canary", &canary);
    scene.app("/c-dark", &[merge, ("WEIGHT", "0"), ("MODE", "http")]);
    let other = [("VHOST", "www.test"), ("PATH", "/in"), merge];
    let apart = scene.app(
        "/d-open",
        &[&other[..], &[("BACKEND_NETWORK_ALLOWED_ACL", "10.0.0.0/8")]].concat(),
    );
    // How many tasks an app has changes nothing of its share.
    for _ in 0..2 {
        let echo = crate::serve::echo::Echo::start("b-canary");
        let task = crate::serve::task("/b-canary", &echo.port().to_string(), echo.port());
        scene.apps[1]["tasks"].as_array_mut().unwrap().push(task);
        scene.echoes.push(echo);
    }
    both(&scene, |served| {
        let count = |ask: &Ask, host: &str| {
            let answers = (0..48).map(|_| ask.get(host, "/"));
            let of_canary = answers.filter(|answer| match answer.by() {
                "b-canary" => true,
                "a-stable" => false,
                other => panic!("{other}"),
            });
            of_canary.count()
        };
        let direct = Ask::http(at(port));
        for (ask, host) in [
            (&served.http(), "www.test"),
            (&served.http(), "canary.test"),
            (&direct, "any.test"),
        ] {
            let canary = count(ask, host);
            assert!((10..=14).contains(&canary), "{host}: {canary} of 48");
        }
        // By its own port the canary is reached alone.
        assert_eq!(count(&Ask::http(at(canary)), "any.test"), 48);
        assert_eq!(served.app_id("/b-canary").get("lb", "/").by(), "b-canary");
        let told = [
            "app `/d-open`: label `HAPROXY_0_MERGE`: found another BACKEND_NETWORK_ALLOWED_ACL \
             than app `/a-stable`"
                .to_owned(),
            format!("not merged: service port {apart} is served on its own"),
        ];
        for told in told {
            assert!(served.told.contains(&told), "{}", served.told);
        }
        assert!(!served.told.contains("is held by"), "{}", served.told);
    });
}
