use super::*;
use crate::cluster::AppId;
use crate::labels::{Auth, ServiceOptions};
use crate::proxy::native::fixtures::weighted;

/// An app that names `shop`.
fn service(app: &str, weight: &str, servers: u16) -> Service {
    let mut service = weighted(weight, servers);
    let mut options = ServiceOptions::clone(&service.options);
    options.own.insert("MERGE", "shop".into());
    service.options = Arc::new(options);
    service.owner.app = AppId::new(app);
    for server in &mut service.servers {
        server.name = format!("{app}-{}", server.port);
    }
    service
}

fn with(mut service: Service, change: impl FnOnce(&mut ServiceOptions)) -> Service {
    let mut options = ServiceOptions::clone(&service.options);
    change(&mut options);
    service.options = Arc::new(options);
    service
}

/// The servers of each service with their weights, and what is told.
fn merged(services: Vec<Service>) -> (Vec<String>, Vec<String>) {
    let mut services: Vec<_> = services.into_iter().map(Arc::new).collect();
    let mut warnings = Vec::new();
    merge(&mut services, &mut warnings);
    let server = |server: &Server| match server.weight {
        Some(weight) => format!(" {}:{weight}", server.name),
        None => format!(" {}", server.name),
    };
    let shown = services.iter().map(|service| {
        let servers: String = service.servers.iter().map(server).collect();
        format!("{}{servers}", service.owner.app)
    });
    let told = warnings.iter().map(ToString::to_string);
    (shown.collect(), told.collect())
}

#[test]
fn apps_of_one_folder_are_one_service() {
    let all = ["/shop/a", "/shop/b", "/shop/c/d"].map(|app| service(app, "1", 1));
    let (services, told) = merged(all.to_vec());
    let want = [
        "/shop/a /shop/a-1:1 /shop/b-1:1",
        "/shop/b /shop/b-1",
        "/shop/c/d /shop/c/d-1",
    ];
    assert_eq!(services, want);
    assert_eq!(told, [""; 0], "one name in two folders is two names");
}

#[test]
fn apps_without_a_folder_share_the_one_of_all() {
    let (services, told) = merged(["/web", "/web-canary"].map(|a| service(a, "1", 1)).to_vec());
    assert_eq!(services[0], "/web /web-1:1 /web-canary-1:1");
    assert_eq!(told, [""; 0]);
}

#[test]
fn each_protection_that_differs_keeps_an_app_apart_and_nobody_out() {
    type Change = fn(&mut ServiceOptions);
    let changes: [(&str, Change); 4] = [
        ("AUTH", |options| {
            options.auth = Some(Auth {
                realm: "r".into(),
                user: "u".into(),
                password: "secret".into(),
            });
        }),
        ("BACKEND_NETWORK_ALLOWED_ACL", |options| {
            options.networks_allowed = vec!["10.0.0.0/8".into()];
        }),
        ("REDIRECT_TO_HTTPS", |options| {
            options.redirect_to_https = true;
        }),
        ("USE_HSTS", |options| {
            options.use_hsts = true;
        }),
    ];
    let of_mode = |service: Service| Service {
        mode: "tcp".into(),
        ..service
    };
    let others = changes.map(|(label, change)| (label, with(service("/b", "1", 1), change)));
    let others = others
        .into_iter()
        .chain([("MODE", of_mode(service("/b", "1", 1)))]);
    for (label, other) in others {
        let all = vec![service("/a", "1", 1), other, service("/c", "1", 1)];
        let (services, told) = merged(all);
        assert_eq!(services, ["/a /a-1:1 /c-1:1", "/b /b-1", "/c /c-1"]);
        let want = format!(
            "app `/b`: label `HAPROXY_0_MERGE`: found another {label} than app `/a`, service port \
             10000, the first of `shop`, expected the same; not merged: service port 10000 is served \
             on its own"
        );
        assert_eq!(told, [want]);
    }
}

#[test]
fn who_is_about_to_end_gives_its_share_to_the_rest_of_its_app() {
    let mut stable = service("/a", "3", 2);
    stable.servers[0].draining = true;
    let (services, told) = merged(vec![stable, service("/b", "1", 1)]);
    assert_eq!(services[0], "/a /a-1:3 /a-2:3 /b-1:1");
    assert_eq!(told, [""; 0]);
    // And who has nobody leaves all to the others.
    let (services, told) = merged(vec![service("/a", "9", 0), service("/b", "1", 2)]);
    assert_eq!(services[0], "/a /b-1:1 /b-2:1");
    assert_eq!(told, [""; 0]);
}

#[test]
fn of_many_tasks_as_many_serve_as_the_share_allows() {
    let (services, told) = merged(vec![service("/a", "99", 1), service("/b", "1", 3)]);
    assert_eq!(services[0], "/a /a-1:198 /b-1:1 /b-2:1 /b-3:0");
    assert_eq!(told, [""; 0]);
}

#[test]
fn shares_that_weights_cannot_give_are_told_of() {
    let (_, told) = merged(vec![service("/a", "999", 1), service("/b", "1", 9)]);
    let want = "app `/b`: label `HAPROXY_0_WEIGHT`: found a share of 0.1 % of the requests to app \
                `/a`, service port 10000, expected one that weights from 0 to 256 of each server can \
                give; it gets 0.389 %";
    assert_eq!(told, [want]);
    let (services, told) = merged(vec![service("/a", "0", 1), service("/b", "0", 1)]);
    assert_eq!(services[0], "/a /a-1:0 /b-1:0");
    let want = "app `/a`: label `HAPROXY_0_WEIGHT`: found 0, as of all apps that it is merged with \
                and that have tasks, expected a share above 0 of one of them; none of their tasks \
                gets requests as one of them";
    assert_eq!(told, [want]);
}

#[test]
fn a_place_that_two_apps_have_is_one_server() {
    let mut other = service("/b", "1", 1);
    other.servers[0].name = "/a-1".to_owned();
    let (services, _) = merged(vec![service("/a", "1", 1), other]);
    assert_eq!(services[0], "/a /a-1:1");
}
