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
        says(
            served,
            "app `/shop/stable`: label `HAPROXY_0_MERGE`: found `shop` in folder `/shop`, which app \
             `/evil/a` in folder `/evil` names too, expected apps of one folder: only those share \
             requests; each folder is served on its own",
        );
        assert_eq!(served.told.matches("label `").count(), 1, "{}", served.told);
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
