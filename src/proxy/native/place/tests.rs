use std::sync::Arc;

use super::super::fixtures::service;
use super::*;
use crate::cluster::AppId;
use crate::labels::ServiceOptions;

#[test]
fn hosts_are_read() {
    let exact = |name: &str| Ok(Host::Exact(name.into()));
    let below = |suffix: &str| Ok(Host::below(suffix.to_owned()));
    for (text, read) in [
        ("www.example.com", exact("www.example.com")),
        ("www.example.com.", exact("www.example.com")),
        ("under_score", exact("under_score")),
        ("*.example.com", below(".example.com")),
        ("*.com", below(".com")),
        ("10.0.0.1", exact("10.0.0.1")),
        ("[::1]", exact("[::1]")),
        ("fe80::1", exact("[fe80::1]")),
    ] {
        assert_eq!(Host::read(text), read, "{text}");
    }
    for text in [
        "*",
        "*.",
        "*example.com",
        "a.*.com",
        "a..b",
        ".a",
        "a:80",
        "[::1]:80",
        "[::1",
        "[a]",
        "[10.0.0.1]",
        "a b",
        "a }",
        "-f",
        "-f\u{a0}x",
        "bücher.de",
        "a/b",
        "#",
        "",
    ] {
        assert!(Host::read(text).is_err(), "{text}");
    }
}

#[test]
fn paths_are_read() {
    let words = |text: &str| {
        let (ignores_case, paths) = paths(text).ok()?;
        let paths: Vec<String> = paths.iter().map(|path| path.text().to_owned()).collect();
        Some((ignores_case, paths.join(" ")))
    };
    for (text, read) in [
        ("/api", Some((false, "/api"))),
        ("  /a   /b ", Some((false, "/a /b"))),
        ("/a /b /long /a", Some((false, "/long /a /b"))),
        ("-i /a /b", Some((true, "/a /b"))),
        ("/it's/%20(1)", Some((false, "/it's/%20(1)"))),
        ("api", None),
        ("-i", None),
        ("/a -i", None),
        ("-f /etc/passwd", None),
        ("-m reg /", None),
        ("/a } or { always_true", None),
        ("/a\\", None),
        ("/a#", None),
        ("/\"a\"", None),
    ] {
        let read = read.map(|(ignores, paths): (bool, &str)| (ignores, paths.to_owned()));
        assert_eq!(words(text), read, "{text}");
    }
}

fn wished(vhost: &str, path: &str, weight: i64) -> (Vec<String>, Vec<Warning>) {
    let mut service = service("/app");
    service.options = Arc::new(ServiceOptions {
        vhost: (!vhost.is_empty()).then(|| vhost.into()),
        path: (!path.is_empty()).then(|| path.into()),
        priority: (weight != 0).then_some(weight),
        ..ServiceOptions::default()
    });
    let mut warnings = Vec::new();
    let wish = wish(&service, Conditions::default(), &mut warnings);
    let places = wish.places.iter();
    let shown = places.map(|Place { host, path }| format!("{host}{}", path.text()));
    (shown.collect(), warnings)
}

fn many(number: usize, each: impl Fn(usize) -> String, between: &str) -> String {
    (0..number).map(each).collect::<Vec<_>>().join(between)
}

fn hosts_of(number: usize) -> String {
    many(number, |nth| format!("h{nth}.test"), ",")
}

fn paths_of(number: usize) -> String {
    many(number, |nth| format!("/p{nth}"), " ")
}

#[test]
fn the_path_of_all_requests_is_none_beside_a_host() {
    for (vhost, path, places) in [
        ("a.test", "/", &["a.test"][..]),
        ("a.test", "-i /", &["a.test"]),
        (
            "*.test,a.test",
            "/ /b",
            &["a.test/b", "a.test", "*.test/b", "*.test"],
        ),
        ("", "/", &["/"]),
        ("", "", &[]),
    ] {
        assert_eq!(
            wished(vhost, path, 0),
            (strings(places), vec![]),
            "{vhost}{path}"
        );
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn who_names_more_than_the_most_is_led_none_and_told_once() {
    let (hosts, paths) = (hosts_of(1_000), paths_of(1_000));
    for (vhost, path, weight, label, found, most) in [
        (
            &*hosts,
            "/ /b",
            0,
            "VHOST",
            "2000 pairs of host and path",
            1_000,
        ),
        (
            "a.test,b.test",
            &*paths,
            0,
            "PATH",
            "2000 pairs of host and path",
            1_000,
        ),
        (
            "a.test",
            &*format!("-i {}", paths_of(51)),
            0,
            "PATH",
            "51 pairs of host and path with `-i`, HEADER, METHOD or BACKEND_WEIGHT",
            50,
        ),
        (
            &*hosts_of(51),
            "",
            -1,
            "VHOST",
            "51 pairs of host and path with `-i`, HEADER, METHOD or BACKEND_WEIGHT",
            50,
        ),
    ] {
        let told = Warning {
            app: Some(AppId::new("/app")),
            subject: format!("label `HAPROXY_0_{label}`"),
            found: found.to_owned(),
            expected: format!("at most {most}"),
            effect: NOBODY_IS_LED.to_owned(),
        };
        assert_eq!(wished(vhost, path, weight), (vec![], vec![told]));
    }
    for (vhost, path, weight, number) in [
        (&*hosts, "", 0, 1_000),
        // The same ones again are no more.
        (&*format!("{hosts},{hosts}"), "/ /", 0, 1_000),
        ("", &*paths, 0, 1_000),
        (&*hosts_of(50), "", 7, 50),
        ("", &*format!("-i {}", paths_of(50)), 0, 50),
        // Without letters there is no case to ignore.
        (&*hosts_of(51), "-i /1", 0, 51),
    ] {
        let (places, warnings) = wished(vhost, path, weight);
        assert_eq!((places.len(), warnings), (number, vec![]));
    }
}

#[test]
fn of_many_hosts_that_are_none_the_first_are_named() {
    let wrong = many(5_000, |nth| format!("-{nth}"), ",");
    let (places, warnings) = wished(&format!("a.test:80,{wrong},b.test"), "", 0);
    assert_eq!(places, ["b.test"]);
    let [warning] = &warnings[..] else {
        panic!("{} warnings", warnings.len());
    };
    assert_eq!(warning.found, "`a.test:80`, `-0`, `-1` and 4998 more");
    assert_eq!(
        warning.expected,
        "a host without a port: that of a request does not count; host names of letters, \
         digits, `-`, `_` and dots, or `*.` before one"
    );
}
