//! `explain`: what becomes of an app, and where a request is led.

use serde_json::{Value, json};

use crate::support::{Done, Test};

/// As `openssl passwd -6` makes it.
const PASSWORD: &str = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

fn app(id: &str, port: u16, labels: &Value) -> Value {
    json!({
        "id": id,
        "instances": 1,
        "versionInfo": {"lastConfigChangeAt": if id == "/evil/x" { "2020" } else { "2016" }},
        "labels": labels,
        "ports": [port, port + 1],
        "tasks": [{
            "id": format!("{id}.1"),
            "host": "10.0.0.1",
            "ports": [31000, 31001],
            "state": "TASK_RUNNING",
        }],
    })
}

fn scene() -> Test {
    let host = ("HAPROXY_0_VHOST", "www.shop.test");
    let of_host = |labels: &[(&str, &str)]| {
        let labels = [&[host, ("HAPROXY_1_ENABLED", "false")][..], labels].concat();
        Value::Object(
            labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), json!(v)))
                .collect(),
        )
    };
    let auth = format!("shop:joe:{PASSWORD}");
    let mut idle = app("/shop/idle", 10010, &json!({}));
    idle["tasks"] = json!([]);
    idle["instances"] = 0.into();
    let mut waiting = app("/shop/waiting", 10015, &json!({}));
    waiting["tasks"] = json!([]);
    let apps = json!({"apps": [
        app("/shop/web", 10000, &of_host(&[("HAPROXY_0_AUTH", &auth), ("OTHER", "x")])),
        app("/shop/post", 10002, &of_host(&[("HAPROXY_0_METHOD", "POST")])),
        app("/evil/x", 10004, &of_host(&[])),
        app("/wide", 10006, &json!({"HAPROXY_0_VHOST": "*.wide.test", "HAPROXY_0_PATH": "/a"})),
        app("/bad", 10008, &json!({"HAPROXY_0_BALANCE": "fastest"})),
        idle,
        waiting,
    ]});
    Test::new()
        .file("apps.json", apps.to_string())
        .env("HMB_MARATHON", "file:apps.json")
        .env("HMB_HAPROXY_CONFIG", "etc/haproxy.cfg")
}

fn explain(test: &Test, what: &str) -> Done {
    test.call(["explain", what])
}

#[test]
fn an_app_is_told_what_becomes_of_each_service_port_and_label() {
    let test = scene();
    let done = explain(&test, "/shop/web").expect(0).prints(&[
        "app `/shop/web`, as file:apps.json has it\n\
         service port 10000, at position 0: served as `shop_web_10000` by 1 server\n",
        "  label HAPROXY_0_AUTH: (not shown)\n",
        "  label HAPROXY_0_VHOST: `www.shop.test`\n",
        "  requests for www.shop.test/: `shop_post_10002` of app `/shop/post`, POST by a rule; then \
         `shop_web_10000`, by domain2backend.map\n",
        "etc/domain2backend.map: www.shop.test shop_web_10000\n",
        "etc/app2backend.map: /shop/web shop_web_10000\n",
        " frontend shop_web_10000\n",
        " backend shop_web_10000\n",
        " server ",
        " password (not shown)\n",
        "service port 10001, at position 1: not served: this balancer serves other groups",
    ]);
    assert!(!done.stdout.contains("$6$"), "{done:#?}");
    assert!(done.stderr.is_empty(), "{done:#?}");
    // The numbers are those of the file.
    let generated = test.call(["generate", "--out-dir", "."]).expect(0);
    let cfg = std::fs::read_to_string(test.path().join("haproxy.cfg"));
    let cfg = cfg.unwrap_or_else(|_| panic!("{generated:#?}"));
    let number = cfg
        .lines()
        .position(|line| line == "backend shop_web_10000");
    let line = format!("{:>7} backend shop_web_10000\n", number.unwrap() + 1);
    done.prints(&[&line]);
    assert!(!test.path().join("state").exists());
}

#[test]
fn a_password_behind_a_name_that_no_label_has_is_not_shown() {
    let auth = format!("shop:joe:{PASSWORD}");
    let labels = json!({
        "HAPROXY_0_AUHT": "shop:joe:rlR4XJ1i8.hsE",
        "HAPROXY_0_USER": auth,
        "HAPROXY_0_VHOSTT": "www.shop.test",
    });
    let apps = json!({"apps": [app("/shop/web", 10000, &labels)]});
    let test = scene().file("apps.json", apps.to_string());
    let done = explain(&test, "/shop/web").prints(&[
        "  label HAPROXY_0_AUHT: (not shown), see the warning\n",
        "  label HAPROXY_0_USER: (not shown), see the warning\n",
        "  label HAPROXY_0_VHOSTT: `www.shop.test`, see the warning\n",
    ]);
    for told in [done, test.call(["check"]), test.call(["status", "--json"])] {
        assert!(!format!("{told:?}").contains("$6$"), "{told:#?}");
        assert!(!format!("{told:?}").contains("rlR4XJ"), "{told:#?}");
    }
}

#[test]
fn an_app_is_told_why_it_is_not_served() {
    let test = scene();
    explain(&test, "/bad").expect(1).prints(&[
        "service port 10008, at position 0: left out, for what the warnings say\n",
        "  label HAPROXY_0_BALANCE: `fastest`, see the warning\n",
        "service port 10009, at position 1: served as `bad_10009` by 1 server\n",
        "warning: app `/bad`: label `HAPROXY_0_BALANCE`: found `fastest`, expected",
    ]);
    explain(&test, "/evil/x").expect(1).prints(&[
        "  requests for www.shop.test/: `shop_post_10002` of app `/shop/post`, POST by a rule; then \
         `shop_web_10000` of app `/shop/web`, by domain2backend.map\n",
        "warning: app `/evil/x`: label `HAPROXY_0_VHOST`: found `www.shop.test` is held by app \
         `/shop/",
    ]);
    explain(&test, "/shop/idle")
        .expect(0)
        .prints(&["service port 10010, at position 0: not served: the app is scaled to zero\n"]);
    explain(&test, "/shop/waiting").expect(0).prints(&[
        "service port 10015, at position 0: not served: none of its tasks can be reached yet\n",
    ]);
    explain(&test, "/none")
        .expect(1)
        .says(&["Marathon (file:apps.json) has no app `/none`"]);
}

#[test]
fn a_request_is_followed_as_haproxy_would_lead_it() {
    let test = scene();
    for (request, code, told) in [
        (
            "WWW.shop.test:8080/x",
            0,
            "`shop_post_10002` of app `/shop/post`, POST by a rule; then `shop_web_10000` of app \
             `/shop/web`, by domain2backend.map\n",
        ),
        (
            "http://b.wide.test/a/b",
            0,
            "`wide_10006` of app `/wide`, by path2backend.map\n",
        ),
        (
            "b.wide.test",
            1,
            "requests for b.wide.test/: nobody asks for them, and they are answered with 503\n",
        ),
    ] {
        explain(&test, request).expect(code).prints(&[told]);
    }
    test.call(["explain"]).expect(2);
    let bridge = test.call(["explain", "a.test", "--template-set=bridge"]);
    bridge
        .expect(1)
        .says(&["in the native set of templates alone"]);
    test.call(["explain", "/shop/web", "--template-set=bridge"])
        .expect(0)
        .prints(&["served as `shop_web-10000` by 1 server\n"]);
}

/// Nobody has to mend it: who has a host is told of longer paths in other folders, and of weights.
#[test]
fn what_is_allowed_is_noted_and_no_complaint() {
    let labels = |host: &str, more: &[(&str, &str)]| {
        let all = [("HAPROXY_0_VHOST", host), ("HAPROXY_1_ENABLED", "false")];
        let all = all.iter().chain(more);
        Value::Object(all.map(|(k, v)| ((*k).to_owned(), json!(v))).collect())
    };
    let merge = [("HAPROXY_0_MERGE", "g")];
    let paths = [("HAPROXY_0_PATH", "/a /b /c /d")];
    let weight = [("HAPROXY_0_BACKEND_WEIGHT", "5")];
    let apps = json!({"apps": [
        app("/v/web", 10000, &labels("v.test", &merge)),
        app("/evil/x", 10010, &labels("v.test", &paths)),
        app("/m/one", 10020, &labels("m.test", &merge)),
        app("/w/web", 10030, &labels("w.test", &[("HAPROXY_0_PATH", "/deep")])),
        app("/w/first", 10040, &labels("w.test", &weight)),
    ]});
    let test = Test::new()
        .file("apps.json", apps.to_string())
        .env("HMB_MARATHON", "file:apps.json")
        .env("HMB_HAPROXY_CONFIG", "etc/haproxy.cfg");
    let below = "note: app `/evil/x`: `v.test/a`, `v.test/b`, `v.test/c` and 1 more, of a host that \
                 app `/v/web` of another folder has, lead there\n";
    let weight = "note: app `/w/first`: label `HAPROXY_0_BACKEND_WEIGHT` goes before `w.test/deep` of \
                  app `/w/web`, service port 10030\n";
    let done = test.call(["check"]).expect(0).prints(&[below, weight]);
    assert!(done.stderr.is_empty(), "{done:#?}");
    for (what, told) in [
        ("/w/first", weight),
        ("/w/web", weight),
        ("/evil/x", below),
        ("/v/web", below),
    ] {
        explain(&test, what).expect(0).prints(&[told]);
    }
}

#[test]
fn an_app_is_told_with_whom_it_was_merged_and_who_gets_its_paths_of_all_hosts() {
    let merge = |more: &[(&str, &str)]| {
        let all = [("HAPROXY_0_MERGE", "g"), ("HAPROXY_1_ENABLED", "false")];
        let all = all.iter().chain(more);
        Value::Object(all.map(|(k, v)| ((*k).to_owned(), json!(v))).collect())
    };
    let apps = json!({"apps": [
        app("/m/a", 10000, &merge(&[("HAPROXY_0_PATH", "/api /v2")])),
        app("/m/b", 10010, &merge(&[("HAPROXY_0_PATH", "/b")])),
        app("/m/c", 10020, &merge(&[("HAPROXY_0_PATH", "/c"), ("HAPROXY_0_USE_HSTS", "true")])),
    ]});
    let test = Test::new()
        .file("apps.json", apps.to_string())
        .env("HMB_MARATHON", "file:apps.json")
        .env("HMB_HAPROXY_CONFIG", "etc/haproxy.cfg");
    explain(&test, "/m/a").expect(0).prints(&[
        "  one service with `/m/b`\n",
        "  requests for any/api: `m_a_10000`, by path2backend.map\n",
        "  requests for any/v2: `m_a_10000`, by path2backend.map\n",
    ]);
    explain(&test, "/m/b").expect(0).prints(&[
        "  one service with `/m/a`\n",
        "  requests for any/b: `m_a_10000` of app `/m/a`, by path2backend.map\n",
    ]);
    // It is protected in another way, so that it is served on its own.
    let alone = explain(&test, "/m/c").expect(1).prints(&[
        "  requests for any/c: `m_c_10020`, by path2backend.map\n",
        "warning: app `/m/c`: label `HAPROXY_0_MERGE`: found another USE_HSTS than app `/m/a`",
    ]);
    assert!(!alone.stdout.contains("one service with"), "{alone:#?}");
}

#[test]
fn a_request_to_an_app_without_servers_is_not_served() {
    let mut idle = app("/z/web", 10000, &json!({"HAPROXY_0_VHOST": "z.test"}));
    idle["tasks"] = json!([]);
    idle["instances"] = 0.into();
    let test = Test::new()
        .file("apps.json", json!({"apps": [idle]}).to_string())
        .env("HMB_MARATHON", "file:apps.json")
        .env("HMB_SERVE_SCALED_TO_ZERO", "true")
        .env("HMB_HAPROXY_CONFIG", "etc/haproxy.cfg");
    explain(&test, "z.test/").expect(1).prints(&[
        "requests for z.test/: `z_web_10000` of app `/z/web`, by domain2backend.map, which has no \
         servers and answers with 503\n",
    ]);
    explain(&test, "z/web")
        .expect(1)
        .prints(&["note: an id of an app begins with `/`: `explain /z/web` tells of that one\n"]);
    let nothing = explain(&test, "").expect(1);
    nothing.says(&["expected the id of an app, which begins with `/`, or a host"]);
}

#[test]
fn tls_that_is_passed_on_is_told_of_its_host_and_its_app() {
    let labels = |host: &str| {
        json!({
            "HAPROXY_0_MODE": "tcp",
            "HAPROXY_0_VHOST": host,
            "HAPROXY_0_SNI_PASSTHROUGH": "true",
            "HAPROXY_1_ENABLED": "false",
        })
    };
    let apps = json!({"apps": [
        app("/tls", 10000, &labels("tls.test,*.wide.test")),
        app("/plain", 10002, &json!({"HAPROXY_0_VHOST": "in.wide.test"})),
    ]});
    let test = scene().file("apps.json", apps.to_string());
    for host in ["tls.test", "TLS.test:443", "x.wide.test"] {
        explain(&test, host).expect(0).prints(&[
            "/ on port 80: nobody asks for them, and they are answered with 503\n",
            " on port 443: passed on to `tls_10000` of app `/tls`\n",
        ]);
    }
    explain(&test, "/tls").expect(0).prints(&[
        "  requests for tls.test/ on port 80: nobody asks for them",
        "  TLS for tls.test on port 443: passed on to `tls_10000`\n",
        "  TLS for any.wide.test on port 443: passed on to `tls_10000`\n",
    ]);
    // Its own host is named more precisely: its TLS ends here.
    let done = explain(&test, "in.wide.test").expect(0);
    assert!(!done.stdout.contains("passed on"), "{done:#?}");
    explain(&test, "other.test").expect(1);
}
