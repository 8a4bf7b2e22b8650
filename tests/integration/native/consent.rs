//! What an app says of another's service: without consent of that one's folder it changes nothing.

use super::{Ask, Scene, Served, at, both};

/// Who answered so many requests, each once, in order.
fn answering(ask: &Ask, host: &str, requests: usize) -> Vec<String> {
    let mut names: Vec<String> = (0..requests)
        .map(|_| ask.get(host, "/").by().to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

#[track_caller]
fn says(served: &Served<'_>, told: &str) {
    assert!(served.told.contains(told), "{}", served.told);
}

/// Adds so many tasks, which answer as the app does.
fn grow(scene: &mut Scene, app: usize, tasks: usize) {
    let id = scene.apps[app]["id"].as_str().unwrap().to_owned();
    for _ in 0..tasks {
        let echo = crate::serve::echo::Echo::start(&id[1..]);
        let task = crate::serve::task(&id, &echo.port().to_string(), echo.port());
        scene.apps[app]["tasks"].as_array_mut().unwrap().push(task);
        scene.echoes.push(echo);
    }
}

fn deploy(scene: &mut Scene, group: &str, started: &str) {
    let labels = &mut scene.apps.last_mut().unwrap()["labels"];
    labels["HAPROXY_DEPLOYMENT_GROUP"] = group.into();
    labels["HAPROXY_DEPLOYMENT_STARTED_AT"] = started.into();
}

const EARLY: &str = "2016-01-01T10:00:00";
const LATE: &str = "2016-01-02T10:00:00";

#[test]
fn an_app_of_another_folder_takes_no_share() {
    let mut scene = Scene::new();
    let merge = ("MERGE", "shop");
    // It stands first, weighs most, and is protected otherwise than all others.
    let evil = [merge, ("WEIGHT", "1000000"), ("MODE", "http")];
    let networks = ("BACKEND_NETWORK_ALLOWED_ACL", "127.0.0.1");
    let evil = scene.app("/evil/a", &[&evil[..], &[networks]].concat());
    let port = scene.app("/shop/stable", &[("VHOST", "www.test"), merge]);
    scene.app("/shop/z-canary", &[("VHOST", "www.test"), merge]);
    both(&scene, |served| {
        for ask in [served.http(), Ask::http(at(port))] {
            let by = answering(&ask, "www.test", 8);
            assert_eq!(by, ["shop/stable", "shop/z-canary"]);
        }
        assert_eq!(answering(&Ask::http(at(evil)), "any.test", 4), ["evil/a"]);
        assert!(!served.told.contains("label `"), "{}", served.told);
    });
}

#[test]
fn who_is_protected_otherwise_than_the_first_is_served_on_its_own() {
    let mut scene = Scene::new();
    let merge = ("MERGE", "shop");
    let first = scene.app("/a", &[("VHOST", "a.test"), merge]);
    let networks = ("BACKEND_NETWORK_ALLOWED_ACL", "127.0.0.0/8");
    let port = scene.app("/b", &[("VHOST", "b.test,a.test"), merge, networks]);
    scene.app("/c", &[("VHOST", "c.test"), merge]);
    both(&scene, |served| {
        for host in ["a.test", "c.test"] {
            assert_eq!(answering(&served.http(), host, 8), ["a", "c"], "{host}");
        }
        for ask in [served.http(), Ask::http(at(port))] {
            assert_eq!(answering(&ask, "b.test", 4), ["b"]);
        }
        let told = format!(
            "app `/b`: label `HAPROXY_0_MERGE`: found another BACKEND_NETWORK_ALLOWED_ACL than app \
             `/a`, service port {first}, the first of `shop`, expected the same; not merged: \
             service port {port} is served on its own"
        );
        says(served, &told);
    });
}

#[test]
fn an_app_of_another_folder_joins_and_drains_no_deployment() {
    let mut scene = Scene::new();
    let host = ("VHOST", "web.test");
    let port = scene.app("/shop/web-blue", &[host]);
    deploy(&mut scene, "web", EARLY);
    grow(&mut scene, 0, 1);
    let evil = scene.app("/evil/x", &[("VHOST", "evil.test")]);
    deploy(&mut scene, "/shop/web", LATE);
    grow(&mut scene, 1, 2);
    both(&scene, |served| {
        let ways = [
            (served.http(), "shop/web-blue"),
            (Ask::http(at(port)), "shop/web-blue"),
            (served.app_id("/shop/web"), "shop/web-blue"),
            (Ask::http(at(evil)), "evil/x"),
            (served.app_id("/evil/x"), "evil/x"),
        ];
        for (ask, app) in ways {
            assert_eq!(answering(&ask, "web.test", 8), [app]);
        }
        assert!(!served.cfg().contains("disabled"), "{}", served.cfg());
        says(
            served,
            "app `/evil/x`: label `HAPROXY_DEPLOYMENT_GROUP`: found `/shop/web`, a deployment of \
             folder `/shop`, to which app `/shop/web-blue` belongs, expected a name in folder \
             `/evil`; served as an app of its own",
        );
    });
}

#[test]
fn apps_of_one_folder_are_one_deployment_with_a_name_in_it() {
    let mut scene = Scene::new();
    let host = ("VHOST", "web.test");
    scene.app("/shop/web-blue", &[host]);
    deploy(&mut scene, "web", EARLY);
    scene.app("/shop/web-green", &[host]);
    deploy(&mut scene, "/shop/web", LATE);
    // The same name elsewhere is another one.
    scene.app("/other/web-green", &[("VHOST", "other.test")]);
    deploy(&mut scene, "web", LATE);
    both(&scene, |served| {
        for ask in [served.http(), served.app_id("/shop/web")] {
            assert_eq!(answering(&ask, "web.test", 4), ["shop/web-green"]);
        }
        for ask in [served.http(), served.app_id("/other/web")] {
            assert_eq!(answering(&ask, "other.test", 4), ["other/web-green"]);
        }
        says(
            served,
            "app `/other/web-green`: label `HAPROXY_DEPLOYMENT_GROUP`: found `web` in folder `/other`, \
             which app `/shop/web-blue` in folder `/shop` names too, expected apps of one \
             folder: only those are one deployment; each folder is served on its own",
        );
    });
}

#[test]
fn a_deployment_with_the_name_of_another_app_is_served_as_its_apps() {
    let mut scene = Scene::new();
    let web = scene.app("/shop/web", &[("VHOST", "web.test")]);
    let blue = scene.app("/shop/blue", &[("VHOST", "blue.test")]);
    deploy(&mut scene, "web", EARLY);
    let green = scene.app("/shop/green", &[("VHOST", "green.test")]);
    deploy(&mut scene, "web", LATE);
    both(&scene, |served| {
        for (name, port) in [("web", web), ("blue", blue), ("green", green)] {
            let app = format!("shop/{name}");
            for ask in [served.http(), Ask::http(at(port))] {
                assert_eq!(ask.get(&format!("{name}.test"), "/").by(), app);
            }
        }
        says(
            served,
            "app `/shop/blue`: label `HAPROXY_DEPLOYMENT_GROUP`: found `/shop/web`, which is the id \
             of an app that is none of the deployment, expected a name that no other app bears; this \
             app and 1 more of the deployment are served on their own",
        );
    });
}

/// More tasks than a share has parts: some of them get nothing.
#[test]
fn a_small_share_stays_small_however_many_tasks_it_has() {
    let mut scene = Scene::new();
    let merge = ("MERGE", "shop");
    scene.app(
        "/a-stable",
        &[("VHOST", "www.test"), merge, ("WEIGHT", "99")],
    );
    scene.app("/b-canary", &[merge, ("MODE", "http"), ("WEIGHT", "1")]);
    grow(&mut scene, 1, 49);
    let served = scene.serve(true);
    let http = served.http();
    let answers = (0..200).map(|_| http.get("www.test", "/"));
    let of_canary = answers.filter(|answer| answer.by() == "b-canary").count();
    assert!((1..=3).contains(&of_canary), "{of_canary} of 200");
    assert!(!served.told.contains("WEIGHT"), "{}", served.told);
}

#[test]
fn a_share_that_haproxy_cannot_give_is_told_of() {
    let mut scene = Scene::new();
    let merge = ("MERGE", "shop");
    scene.app(
        "/a-stable",
        &[("VHOST", "www.test"), merge, ("WEIGHT", "999")],
    );
    scene.app("/b-canary", &[merge, ("MODE", "http"), ("WEIGHT", "1")]);
    let served = scene.serve(true);
    says(
        &served,
        "app `/b-canary`: label `HAPROXY_0_WEIGHT`: found a share of 0.1 % of the requests to app \
         `/a-stable`, service port ",
    );
    says(
        &served,
        "expected one that weights from 0 to 256 of each server can give; it gets 0.389 %",
    );
}

/// Its hosts stay its own, and those that it is merged with answer for it.
#[test]
fn who_is_scaled_to_zero_leaves_its_share_to_the_others() {
    let mut scene = Scene::new().flags(&["--serve-scaled-to-zero"]);
    let merge = ("MERGE", "shop");
    let port = scene.app(
        "/a-stable",
        &[("VHOST", "www.test"), merge, ("WEIGHT", "99")],
    );
    scene.app(
        "/b-canary",
        &[("VHOST", "canary.test"), merge, ("WEIGHT", "1")],
    );
    scene.app("/rest", &[("VHOST", "*.test")]);
    scene.apps[0]["tasks"] = serde_json::json!([]);
    scene.apps[0]["instances"] = 0.into();
    both(&scene, |served| {
        for (ask, host) in [
            (served.http(), "www.test"),
            (served.http(), "canary.test"),
            (Ask::http(at(port)), "any.test"),
        ] {
            assert_eq!(answering(&ask, host, 4), ["b-canary"], "{host}");
        }
        assert!(!served.told.contains("WEIGHT"), "{}", served.told);
    });
}
