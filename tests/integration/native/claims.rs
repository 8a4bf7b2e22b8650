//! Who has a place that several want, and that nobody is led past who named a request more
//! precisely.

use reqwest::Method;
use serde_json::json;

use super::turns::{Ending, refresh};
use super::{Ask, Scene, at, both};

/// Those from `first` on were last changed in that year, which may differ from that of the others.
fn dated(scene: &mut Scene, first: usize, year: &str) {
    for (nth, app) in scene.apps.iter_mut().enumerate() {
        let year = if nth < first { "2016" } else { year };
        let date = format!("{year}-01-01T00:00:00.000Z");
        app["versionInfo"] = json!({"lastConfigChangeAt": date});
    }
}

/// A rule stands where its host and path put it, whatever else it asks of a request.
#[test]
fn what_is_asked_beside_host_and_path_puts_nobody_before_a_more_precise_place() {
    let mut scene = Scene::new().with_https();
    scene.app("/a/www", &[("VHOST", "www.test,bare.test")]);
    scene.app("/a/form", &[("VHOST", "www.test"), ("PATH", "/form")]);
    scene.app("/a/in", &[("VHOST", "*.in.test"), ("PATH", "/deep")]);
    scene.app("/a/api", &[("PATH", "/api/v2")]);
    // Each of these would take everybody's requests.
    scene.app("/b/get", &[("PATH", "/"), ("METHOD", "GET")]);
    scene.app("/b/rest", &[("PATH", "-i /")]);
    scene.app("/d/head", &[("PATH", "/api"), ("HEADER", "X-Any")]);
    scene.app("/e/wide", &[("VHOST", "*.test"), ("METHOD", "GET,POST")]);
    scene.app("/e/tail", &[("VHOST", "*.test"), ("PATH", "-i /Deep")]);
    // Of one folder with the holder.
    scene.app("/a/canary", &[("VHOST", "www.test"), ("HEADER", "X-Any")]);
    both(&scene, |served| {
        for (host, path, plain, with_header) in [
            ("www.test", "/", "a/www", "a/canary"),
            ("www.test", "/api/v2", "a/www", "a/canary"),
            ("www.test", "/form/1", "a/form", "a/form"),
            ("bare.test", "/api", "a/www", "a/www"),
            ("x.in.test", "/deep", "a/in", "a/in"),
            ("x.in.test", "/dEEP", "e/tail", "e/tail"),
            ("x.in.test", "/api", "e/wide", "e/wide"),
            ("y.test", "/api/v2", "e/wide", "e/wide"),
            ("y.test", "/deep", "e/tail", "e/tail"),
            ("elsewhere", "/api/v2", "a/api", "a/api"),
            ("elsewhere", "/api/v1", "b/get", "d/head"),
            ("elsewhere", "/x", "b/get", "b/get"),
        ] {
            let asks = [served.http(), served.https().sni("default.test")];
            for ask in asks {
                assert_eq!(ask.get(host, path).by(), plain, "{host}{path}");
                let answer = ask.header("X-Any", "1").get(host, path);
                assert_eq!(answer.by(), with_header, "{host}{path}");
            }
        }
        let other = served.http().method(Method::PUT);
        assert_eq!(other.get("elsewhere", "/x").by(), "b/rest");
        assert_eq!(other.get("y.test", "/x").by(), "b/rest");
        assert_eq!(other.get("www.test", "/x").by(), "a/www");
        let other = other.method(Method::POST);
        assert_eq!(other.get("y.test", "/x").by(), "e/wide");
        assert!(!served.told.contains("warn"), "{}", served.told);
    });
}

/// Within a folder apps may share a place by conditions: a canary. Others may not.
#[test]
fn a_place_is_shared_within_a_folder_only() {
    let mut scene = Scene::new();
    let host = ("VHOST", "www.test");
    scene.app("/shop/all", &[host]);
    scene.app("/shop/canary", &[host, ("HEADER", "X-Canary")]);
    scene.app("/shop/api", &[host, ("PATH", "/api")]);
    let post = ("METHOD", "POST");
    scene.app("/evil/method", &[host, ("METHOD", "GET")]);
    scene.app("/evil/header", &[host, ("HEADER", "Accept")]);
    scene.app("/evil/case", &[host, ("PATH", "-i /API")]);
    scene.app("/shop/sub/post", &[("VHOST", "www.test,own.test"), post]);
    dated(&mut scene, 3, "2020");
    let holder = |scene: &Scene, nth: usize| scene.apps[nth]["ports"][0].to_string();
    let (all, api) = (holder(&scene, 0), holder(&scene, 2));
    both(&scene, |served| {
        served.leads("www.test", "/", "shop/all");
        served.leads("www.test", "/api", "shop/api");
        served.leads("www.test", "/API", "shop/all");
        let canary = served.http().header("X-Canary", "1");
        assert_eq!(canary.get("www.test", "/").by(), "shop/canary");
        let post = served.http().method(Method::POST);
        assert_eq!(post.get("www.test", "/").by(), "shop/all");
        assert_eq!(post.get("own.test", "/").by(), "shop/sub/post");
        for (app, label, place, holder, port) in [
            ("/evil/method", "METHOD", "www.test", "/shop/all", &all),
            ("/evil/header", "HEADER", "www.test", "/shop/all", &all),
            ("/evil/case", "PATH", "www.test/API", "/shop/api", &api),
            ("/shop/sub/post", "METHOD", "www.test", "/shop/all", &all),
        ] {
            let told = format!(
                "app `{app}`: label `HAPROXY_0_{label}`: found `{place}` is held by app `{holder}`, \
                 service port {port}, expected"
            );
            assert!(served.told.contains(&told), "{told}\n{}", served.told);
        }
        assert_eq!(served.told.matches("is held by").count(), 4);
    });
}

/// The path that all requests begin with is no place of its own: nobody takes a held host by it.
#[test]
fn a_path_that_says_nothing_takes_no_host_from_its_holder() {
    let mut scene = Scene::new();
    let (www, wide) = ("www.shop.test", "*.shop.test");
    scene.app("/shop/www", &[("VHOST", www)]);
    scene.app("/shop/wide", &[("VHOST", wide)]);
    let root = ("PATH", "/");
    scene.app(
        "/evil/root",
        &[("VHOST", "www.shop.test,*.shop.test"), root],
    );
    scene.app("/evil/case", &[("VHOST", www), ("PATH", "-i /")]);
    scene.app("/evil/get", &[("VHOST", www), root, ("METHOD", "GET")]);
    scene.app(
        "/evil/header",
        &[("VHOST", wide), root, ("HEADER", "Accept")],
    );
    scene.app("/rest", &[root]);
    dated(&mut scene, 2, "2020");
    both(&scene, |served| {
        let ask = served.http().header("Accept", "text/html");
        for path in ["/", "/a/b"] {
            assert_eq!(ask.get(www, path).by(), "shop/www", "{path}");
            assert_eq!(ask.get("x.shop.test", path).by(), "shop/wide", "{path}");
            assert_eq!(ask.get("elsewhere", path).by(), "rest", "{path}");
        }
        for (app, label, place, holder) in [
            ("/evil/root", "VHOST", www, "/shop/www"),
            ("/evil/root", "VHOST", wide, "/shop/wide"),
            ("/evil/case", "VHOST", www, "/shop/www"),
            ("/evil/get", "METHOD", www, "/shop/www"),
            ("/evil/header", "HEADER", wide, "/shop/wide"),
        ] {
            let told = format!(
                "app `{app}`: label `HAPROXY_0_{label}`: found `{place}` is held by app `{holder}`, "
            );
            assert!(served.told.contains(&told), "{told}\n{}", served.told);
        }
        assert_eq!(served.told.matches("warn:").count(), 5, "{}", served.told);
    });
}

/// Two rules that ask the same of one place: HAProxy takes the first, and the other is told.
#[test]
fn of_two_rules_that_ask_the_same_one_is_served() {
    let mut scene = Scene::new();
    let labels = [("VHOST", "www.test"), ("METHOD", "GET")];
    scene.app("/a-new", &labels);
    scene.app("/b-old", &labels);
    dated(&mut scene, 1, "2012");
    both(&scene, |served| {
        served.leads("www.test", "/", "b-old");
        let told =
            "app `/a-new`: label `HAPROXY_0_METHOD`: found `www.test` is held by app `/b-old`";
        assert!(served.told.contains(told), "{}", served.told);
    });
}

/// Within a folder who goes first by weight is let.
#[test]
fn a_weight_goes_before_the_folder_without_a_warning() {
    let mut scene = Scene::new();
    let weight = ("BACKEND_WEIGHT", "10");
    scene.app("/a", &[("VHOST", "www.a.test,b.test")]);
    scene.app("/deep", &[("VHOST", "c.test"), ("PATH", "/deep")]);
    scene.app("/first", &[("VHOST", "*.a.test,b.test"), weight]);
    // It would be first all the same.
    scene.app("/longer", &[("VHOST", "b.test"), ("PATH", "/x"), weight]);
    scene.app("/alone", &[("VHOST", "d.test"), weight]);
    scene.app("/over", &[("VHOST", "c.test"), weight]);
    both(&scene, |served| {
        served.leads("www.a.test", "/", "first");
        served.leads("b.test", "/", "first");
        served.leads("b.test", "/x", "longer");
        served.leads("c.test", "/deep", "over");
        // That is what weights are for: `check` and `explain` tell of it, and nobody warns.
        assert!(!served.told.contains("warn:"), "{}", served.told);
    });
}

/// Weights order the apps of one folder; from others they take nothing.
#[test]
fn a_weight_takes_nothing_from_another_folder() {
    let mut scene = Scene::new();
    let weight = |weight| ("BACKEND_WEIGHT", weight);
    scene.app("/shop/www", &[("VHOST", "www.shop.test")]);
    scene.app("/shop/first", &[("VHOST", "*.shop.test"), weight("5")]);
    scene.app("/evil/any", &[("PATH", "/"), weight("10")]);
    scene.app("/evil/host", &[("VHOST", "www.shop.test"), weight("10")]);
    scene.app("/evil/deep", &[("VHOST", "evil.test"), ("PATH", "/a")]);
    scene.app("/evil/over", &[("VHOST", "evil.test"), weight("3")]);
    dated(&mut scene, 2, "2020");
    let www = scene.apps[0]["ports"][0].to_string();
    both(&scene, |served| {
        served.leads("www.shop.test", "/", "shop/first");
        served.leads("x.shop.test", "/", "shop/first");
        served.leads("evil.test", "/a", "evil/over");
        served.leads("free.test", "/", "evil/any");
        for told in [
            format!(
                "app `/evil/any`: label `HAPROXY_0_BACKEND_WEIGHT`: found that it would go before \
                 `www.shop.test` of app `/shop/www`, service port {www}, and others, expected to go \
                 before apps of folder `/evil` alone; not used there"
            ),
            format!(
                "app `/evil/host`: label `HAPROXY_0_VHOST`: found `www.shop.test` is held by app \
                 `/shop/www`, service port {www}, expected a host and path of its own: a \
                 BACKEND_WEIGHT counts within a folder alone; its requests go to the holder"
            ),
        ] {
            assert!(served.told.contains(&told), "{told}\n{}", served.told);
        }
        assert_eq!(served.told.matches("warn:").count(), 2, "{}", served.told);
    });
}

/// A host of an app whose TLS ends here is not taken by one who passes TLS on, neither by name nor
/// by the end of it; and the other way round.
#[test]
fn nobody_takes_a_host_from_its_holder_by_passing_tls_on() {
    let mut scene = Scene::new().with_https();
    let own = scene.certificate("own.test");
    scene.app("/shop/www", &[("VHOST", "www.test,*.shop.test")]);
    let own = [("MODE", "http"), ("SSL_CERT", &*own)];
    let inner = scene.app("/inner", &own);
    let pass = ("SNI_PASSTHROUGH", "true");
    let tcp = |hosts| [("MODE", "tcp"), ("VHOST", hosts), pass];
    let tls = "tls.test,*.tls.test,both.test";
    scene.app_at("/held/tls", inner, &tcp(tls));
    scene.app("/held/plain", &[("VHOST", "both.test")]);
    scene.app_at(
        "/evil/tls",
        inner,
        &tcp("www.test,*.test,*.shop.test,tls.test"),
    );
    scene.app(
        "/evil/http",
        &[("VHOST", "tls.test,*.tls.test"), ("PATH", "/x")],
    );
    scene.app("/late", &[("VHOST", "a.tls.test")]);
    dated(&mut scene, 4, "2020");
    let port = |nth: usize| scene.apps[nth]["ports"][0].to_string();
    let (www, held) = (port(0), port(2));
    both(&scene, |served| {
        for (host, app) in [
            ("www.test", "shop/www"),
            ("x.shop.test", "shop/www"),
            ("tls.test", "inner"),
            ("x.tls.test", "inner"),
            // Named more precisely than by its end.
            ("a.tls.test", "late"),
            ("both.test", "inner"),
            ("free.test", "inner"),
        ] {
            assert_eq!(served.https().get(host, "/x").by(), app, "{host}");
        }
        // On port 80 nothing of that counts.
        served.leads("both.test", "/", "held/plain");
        served.leads("tls.test", "/x", "evil/http");
        for told in [
            format!(
                "app `/evil/tls`: label `HAPROXY_0_VHOST`: found `www.test`, `*.shop.test` are held \
                 by app `/shop/www`, service port {www}, expected"
            ),
            "found `tls.test` is held by app `/held/tls`".to_owned(),
            format!(
                "app `/evil/http`: label `HAPROXY_0_VHOST`: found `tls.test`, whose TLS is passed \
                 on to app `/held/tls`, service port {held}, expected"
            ),
        ] {
            assert!(served.told.contains(&told), "{told}\n{}", served.told);
        }
        assert_eq!(served.told.matches("warn:").count(), 4, "{}", served.told);
    });
    // Where no TLS ends here, a host that has a holder is still nobody else's.
    scene.flags.clear();
    both(&scene, |served| {
        assert_eq!(served.https().get("free.test", "/").by(), "inner");
        for host in ["www.test", "x.shop.test", "a.tls.test"] {
            assert!(served.https().try_get(host, "/").is_err(), "{host}");
        }
        let mut check = std::process::Command::new(crate::support::haproxy());
        let check = check.arg("-c").arg("-f").arg(served.scene.cfg());
        let told = check.output().unwrap().stderr;
        let told = String::from_utf8_lossy(&told);
        assert!(!told.contains("WARNING"), "{told}");
    });
}

/// Who may not have a host on port 443 does not keep it from the app whose folder has it.
#[test]
fn who_stands_back_keeps_nobody_else_from_passing_tls_on() {
    let mut scene = Scene::new().with_https();
    let own = scene.certificate("own.test");
    scene.app("/shop/www", &[("VHOST", "www.test")]);
    let inner = scene.app("/inner", &[("MODE", "http"), ("SSL_CERT", &*own)]);
    let tcp = [
        ("MODE", "tcp"),
        ("VHOST", "www.test"),
        ("SNI_PASSTHROUGH", "true"),
    ];
    // Of what it asks beside the host nothing is seen in a handshake.
    let more = [("BACKEND_WEIGHT", "10"), ("METHOD", "GET")];
    scene.app_at("/evil/tls", inner, &[&tcp[..], &more].concat());
    scene.app_at("/shop/tls", inner, &tcp);
    dated(&mut scene, 2, "2020");
    both(&scene, |served| {
        assert_eq!(served.https().get("www.test", "/").by(), "inner");
        served.leads("www.test", "/", "shop/www");
        let told = "app `/evil/tls`: label `HAPROXY_0_VHOST`: found `www.test` is held by app \
                    `/shop/www`";
        assert!(!served.told.contains("app `/shop/tls`"), "{}", served.told);
        assert!(served.told.contains(told), "{}", served.told);
    });
}

/// A thousand places that another has are one line.
#[test]
fn places_that_one_other_holds_are_told_together() {
    let mut scene = Scene::new();
    let named = |number: usize| (0..number).map(|nth| format!("h{nth}.test"));
    let all = |number| named(number).collect::<Vec<_>>().join(",");
    scene.app("/shop/a", &[("VHOST", &all(100))]);
    scene.app("/shop/b", &[("VHOST", "b.test"), ("PATH", "/x /y")]);
    let hosts = format!("{},b.test", all(102));
    scene.app("/evil/c", &[("VHOST", &hosts)]);
    scene.app("/evil/d", &[("VHOST", "b.test"), ("PATH", "/x /y")]);
    dated(&mut scene, 2, "2020");
    let done = scene.write(true);
    let told = [
        "app `/evil/c`: label `HAPROXY_0_VHOST`: found `h0.test`, `h1.test`, `h10.test` and 97 more \
         are held by app `/shop/a`, service port",
        "app `/evil/d`: label `HAPROXY_0_PATH`: found `b.test/x`, `b.test/y` are held by app \
         `/shop/b`, service port",
    ];
    let done = done.says(&told);
    assert_eq!(done.stderr.matches("held by").count(), 2, "{done:#?}");
}

/// HAProxy would give it every second connection.
#[test]
fn nobody_takes_port_80_where_haproxy_is_not_asked() {
    let mut scene = Scene::new().flags(&["--skip-validation"]);
    scene.app("/www", &[("VHOST", "www.test")]);
    scene.app("/evil", &[("PORT", &scene.http.to_string())]);
    let _ending = Ending(scene.cfg());
    refresh(&scene).expect(0).says(&["app `/evil`: "]);
    let http = Ask::http(at(scene.http));
    for _ in 0..20 {
        assert_eq!(http.get("www.test", "/").by(), "www");
    }
}
