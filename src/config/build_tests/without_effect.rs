//! Options that do nothing without another, or beside one.

use super::*;

const M1: (&str, &str) = ("marathon", "http://m1:8080");

fn warnings(flags: &[(&str, &str)]) -> Vec<String> {
    let flags = [&[M1], flags].concat();
    let given = Given {
        flags: &flags,
        ..Given::default()
    };
    given.build().unwrap().warnings
}

#[test]
fn an_option_that_does_nothing_without_another_is_told_with_both_names() {
    assert_eq!(
        warnings(&[("spare-backends", "2")]),
        [
            "option `--spare-backends` is given without `no-service-ports`, expected both or none of \
             them; no backends are kept for apps that come"
        ]
    );
    assert_eq!(
        warnings(&[("slots-everywhere", "true")]),
        [
            "option `--slots-everywhere` is given without `server-slots`, expected both or none of \
             them; only what a label SERVER_SLOTS asks for is kept free"
        ]
    );
}

#[test]
fn each_is_told_once_where_it_stands() {
    let given = Given {
        flags: &[("no-service-ports", "true"), ("no-maps", "true")],
        file: Some("marathon = 'http://m1:8080'\nspare-backends = 2\nruntime-api = 'off'\n"),
        ..Given::default()
    };
    assert_eq!(
        given.build().unwrap().warnings,
        [
            "/etc/haproxy-marathon-bridge/config.toml:2: key `spare-backends` is given beside \
             `no-maps`, expected only one of them; backends are kept, but only a reload can lead \
             requests to them"
        ]
    );
}

#[test]
fn whoever_has_what_he_needs_or_asks_for_nothing_hears_nothing() {
    for flags in [
        &[("spare-backends", "2"), ("no-service-ports", "true")][..],
        &[("spare-backends", "0")],
        &[("server-slots", "2"), ("slots-everywhere", "true")],
        &[("slots-everywhere", "false")],
        &[
            ("no-service-ports", "false"),
            ("dont-bind-http-https", "true"),
        ],
        &[("reloads-apart", "0s"), ("runtime-api", "off")],
        &[("template-set", "native"), ("default-backend", "/site")],
        &[("reload-interval", "5s"), ("max-reload-retries", "3")],
        &[("log", "journald")],
        &[("poll", "30s")],
    ] {
        assert_eq!(warnings(flags), [""; 0], "{flags:?}");
    }
}

#[test]
fn each_other_one_is_told_too() {
    let bridge = ("template-set", "bridge");
    let unbound = ("dont-bind-http-https", "true");
    let off = ("runtime-api", "off");
    let poll = ("poll", "30s");
    for (own, other) in [
        (("serve-scaled-to-zero", "true"), bridge),
        (("no-service-ports", "true"), bridge),
        (("default-backend", "/site"), bridge),
        (("accept-proxy", "true"), bridge),
        (("server-slots", "2"), bridge),
        (("extra-config", "/etc/more"), bridge),
        (("ssl-certs", "/etc/certs"), unbound),
        (("no-service-ports", "true"), unbound),
        (("default-backend", "/site"), unbound),
        (("accept-proxy", "true"), unbound),
        (("group-https-by-vhost", "true"), unbound),
        (("server-slots", "2"), off),
        (("reloads-apart", "5s"), off),
        (("max-backoff", "5s"), poll),
        (("resync", "5m"), poll),
        (("log-format", "json"), ("log", "journald")),
    ] {
        let [warning] = &warnings(&[own, other])[..] else {
            panic!("{own:?} {other:?}");
        };
        let names = [format!("`--{}`", own.0), format!("`{}`", other.0)];
        let all = names.iter().all(|name| warning.contains(name.as_str()));
        assert!(
            all || other == bridge && warning.contains("`template-set`"),
            "{warning}"
        );
    }
    let [warning] = &warnings(&[("reload-interval", "5s")])[..] else {
        panic!();
    };
    assert!(
        warning.contains("without `max-reload-retries`"),
        "{warning}"
    );
}

/// They have files, and calls, that are for others.
#[test]
fn predecessors_and_commands_that_write_nothing_hear_nothing() {
    let of = |command_line, needs_no_marathon| {
        let given = Given {
            file: Some(
                "marathon = 'http://m1:8080'\nextra-config = '/etc/more'\nslots-everywhere = true\n",
            ),
            command_line: Some(command_line),
            needs_no_marathon,
            ..Given::default()
        };
        given.build().unwrap().warnings
    };
    assert_eq!(of(CommandLine::Native, true), [""; 0]);
    assert_eq!(of(CommandLine::Bridge, true), [""; 0]);
    assert_eq!(of(CommandLine::Native, false).len(), 1);
    let bridge = of(CommandLine::Bridge, false);
    assert!(
        bridge.iter().all(|told| !told.contains("extra-config")),
        "{bridge:?}"
    );
}
