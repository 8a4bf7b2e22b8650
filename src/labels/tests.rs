use proptest::prelude::*;

use super::*;

/// As the command line of marathon-lb reads them.
fn parse(settings: &Settings, app: &AppId, index: usize) -> (ServiceOptions, Vec<Warning>) {
    super::parse(settings, app, index, Values::Verbatim)
}

fn read(labels: &[(&str, &str)], index: usize) -> (ServiceOptions, Vec<Warning>) {
    let settings = labels
        .iter()
        .map(|(name, text)| ((*name).into(), (*text).into()))
        .collect();
    parse(&settings, &AppId::new("/a"), index)
}

fn options(labels: &[(&str, &str)]) -> ServiceOptions {
    let (options, warnings) = read(labels, 0);
    assert_eq!(warnings, []);
    options
}

#[test]
fn nothing_said_is_nothing_wanted() {
    assert_eq!(options(&[]), ServiceOptions::default());
    assert_eq!(
        options(&[("HAPROXY_1_VHOST", "x"), ("OTHER", "y")]),
        options(&[])
    );
}

#[test]
fn positions_do_not_mix() {
    let labels = [
        ("HAPROXY_1_PATH", "/one"),
        ("HAPROXY_10_PATH", "/ten"),
        ("HAPROXY_1_BALANCE", "first"),
    ];
    let path = |index| read(&labels, index).0.path;
    assert_eq!(path(1).as_deref(), Some("/one"));
    assert_eq!(path(10).as_deref(), Some("/ten"));
    assert_eq!(path(0), None);
}

#[test]
fn only_four_words_are_true() {
    for (text, want) in [
        ("true", true),
        ("T", true),
        ("Yes", true),
        ("y", true),
        ("1", false),
        ("on", false),
        (" true", false),
        ("", false),
        ("false", false),
    ] {
        assert_eq!(
            options(&[("HAPROXY_0_STICKY", text)]).sticky,
            want,
            "{text}"
        );
        assert_eq!(
            options(&[("HAPROXY_0_ENABLED", text)]).enabled,
            Some(want),
            "{text}"
        );
    }
}

#[test]
fn integers_are_read_as_python_read_them() {
    for (text, want) in [
        ("7", Some(7)),
        (" -7\n", Some(-7)),
        ("+7", Some(7)),
        ("1_000", Some(1000)),
        ("007", Some(7)),
        ("", None),
        ("7.0", None),
        ("1__0", None),
        ("_1", None),
        ("1_", None),
        ("0x10", None),
        ("- 7", None),
        ("99999999999999999999", None),
    ] {
        let (options, warnings) = read(&[("HAPROXY_0_BACKEND_WEIGHT", text)], 0);
        assert_eq!(
            (warnings.is_empty(), options.weight),
            (want.is_some(), want.unwrap_or(0)),
            "{text}"
        );
    }
}

#[test]
fn a_path_lifts_a_weight_of_zero() {
    let weight = |labels: &[_]| options(labels).weight;
    assert_eq!(weight(&[("HAPROXY_0_PATH", "/a")]), 1);
    assert_eq!(
        weight(&[("HAPROXY_0_PATH", "/a"), ("HAPROXY_0_BACKEND_WEIGHT", "0")]),
        1
    );
    assert_eq!(
        weight(&[("HAPROXY_0_PATH", "/a"), ("HAPROXY_0_BACKEND_WEIGHT", "-1")]),
        -1
    );
    assert_eq!(
        weight(&[("HAPROXY_0_PATH", "/a"), ("HAPROXY_0_BACKEND_WEIGHT", "5")]),
        5
    );
}

#[test]
fn vhosts_are_lower_cased_and_not_trimmed() {
    let of = |text| {
        let options = options(&[("HAPROXY_0_VHOST", text)]);
        options
            .vhosts()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("Web.Example.COM, www"), ["web.example.com", " www"]);
    assert_eq!(of("a,"), ["a", ""]);
    assert_eq!(of(""), [""; 0]);
}

#[test]
fn what_is_more_than_a_word_is_told_where_one_is_meant() {
    let told = |label: &str, text: &str| {
        let options = options(&[(&format!("HAPROXY_0_{label}"), text)]);
        let doubtful = doubtful(&options);
        doubtful
            .iter()
            .map(|(name, text)| format!("{name} {text}"))
            .collect::<Vec<_>>()
    };
    for (label, text) in [
        ("VHOST", "a.test, b.test"),
        ("VHOST", ""),
        ("PATH", "-i /a /b"),
        ("BALANCE", "uri whole"),
        ("BIND_OPTIONS", "ssl crt /a"),
        ("BIND_ADDR", "10.0.0.1:80,10.0.0.2"),
        ("SSL_CERT", "/a crt /b"),
    ] {
        assert_eq!(told(label, text), [""; 0], "{label}={text}");
    }
    for (label, text, want) in [
        ("VHOST", "a.test,b.test c", "VHOST b.test c"),
        ("VHOST", "a\"", "VHOST a\""),
        ("PATH", "-f /etc/passwd", "PATH -f /etc/passwd"),
        ("PATH", "/a#b", "PATH /a#b"),
        (
            "HTTP_BACKEND_REDIR",
            "/x code 302",
            "HTTP_BACKEND_REDIR /x code 302",
        ),
    ] {
        assert_eq!(told(label, text), [want], "{label}={text}");
    }
}

#[test]
fn the_group_of_a_service_replaces_that_of_the_app() {
    let app = ("HAPROXY_GROUP", "external, internal");
    let is_in = |labels: &[_], asked: &[&str]| {
        let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
        options(labels).is_in(&asked)
    };
    assert!(is_in(&[app], &["external"]));
    assert!(
        !is_in(&[app], &["internal"]),
        "a blank is a part of the name"
    );
    assert!(!is_in(&[app, ("HAPROXY_0_GROUP", "")], &["external"]));
    assert!(is_in(&[app, ("HAPROXY_0_GROUP", "x,y")], &["z", "y"]));
    assert!(is_in(&[], &["*"]));
    assert!(!is_in(&[], &["external"]));
    assert!(
        !is_in(&[("HAPROXY_GROUP", "*")], &["external"]),
        "an app cannot ask for everything"
    );
}

#[test]
fn templates_keep_their_lines_and_lose_carriage_returns() {
    let got = options(&[(
        "HAPROXY_0_BACKEND_HEAD",
        "\r\nbackend {backend}\\n\r\n  x\n",
    )]);
    assert_eq!(
        &*got.overrides[&Template::BackendHead],
        "\nbackend {backend}\\n\n  x\n"
    );
    for inert in [
        "HEAD",
        "MAP_HTTP_FRONTEND_ACL",
        "HTTPS_FRONTEND_AUTH_ACL_ONLY",
    ] {
        let label = format!("HAPROXY_0_{inert}");
        assert_eq!(
            options(&[(&label, "x")]),
            ServiceOptions::default(),
            "{inert}"
        );
    }
    assert_eq!(
        options(&[("HAPROXY_0_HTTP_BACKEND_REDIR", "/x")])
            .redir
            .as_deref(),
        Some("/x")
    );
}

#[test]
fn each_label_that_cannot_be_read_is_named_and_the_rest_stands() {
    let (options, warnings) = read(
        &[
            ("HAPROXY_0_AUTH", "realm:user:secret:more"),
            ("HAPROXY_0_BALANCE", "first\n  server evil 10.0.0.1:1"),
            ("HAPROXY_0_PATH", "/ok"),
            ("HAPROXY_0_PORT", "-1"),
            ("HAPROXY_0_BACKEND_HEALTHCHECK_PORT_INDEX", "one"),
        ],
        0,
    );
    assert_eq!(options.path.as_deref(), Some("/ok"));
    let told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 4);
    assert!(
        told[0].contains("label `HAPROXY_0_AUTH`: found 4 parts"),
        "{}",
        told[0]
    );
    assert!(!told[0].contains("secret"), "{}", told[0]);
    assert!(
        told[1].contains(
            "`HAPROXY_0_BACKEND_HEALTHCHECK_PORT_INDEX`: found `one`, expected an integer"
        )
    );
    assert!(
        told[2].contains("without control characters"),
        "{}",
        told[2]
    );
    assert!(told[3].contains("expected a port number"), "{}", told[3]);
}

#[test]
fn the_table_has_every_label_that_is_read() {
    let documented = |reach: Reach| LABELS.iter().filter(move |label| label.reach == reach);
    for label in documented(Reach::Service) {
        for values in [Values::Verbatim, Values::Typed] {
            let mut options = ServiceOptions::default();
            let read = options.set(label.name, label.example, values);
            assert!(read.is_ok(), "{}", label.name);
            assert_ne!(options, ServiceOptions::default(), "{} is read", label.name);
        }
    }
    assert!(LABELS.iter().all(|label| !label.form.is_empty()));
    assert_eq!(documented(Reach::Service).count(), 20);
    assert_eq!(documented(Reach::App).count(), 8);
    let of_templates = Template::ALL
        .iter()
        .filter(|t| t.definition().scope == Scope::Service);
    assert_eq!((Template::ALL.len(), of_templates.count()), (53, 35));
}

/// Labels of two positions, with values that hold anything.
fn any_labels() -> impl Strategy<Value = Settings> {
    let names: Vec<&str> = LABELS
        .iter()
        .filter(|label| label.reach == Reach::Service)
        .map(|label| label.name)
        .chain(["BACKEND_HEAD", "HTTP_FRONTEND_ACL", "NOBODY_KNOWS_IT"])
        .collect();
    let value = prop_oneof![
        any::<String>(),
        "[a-z0-9:,. /_+-]{0,12}",
        "[ +-]?[0-9_]{1,20} ?"
    ];
    let label = (0..2_usize, proptest::sample::select(names), value);
    proptest::collection::vec(label, 0..12).prop_map(|labels| {
        let label = |(index, name, value): (usize, &str, String)| {
            (format!("HAPROXY_{index}_{name}").into(), value.into())
        };
        labels.into_iter().map(label).collect()
    })
}

proptest! {
    #[test]
    fn what_is_read_stays_on_its_line(settings in any_labels()) {
        let (read, _) = parse(&settings, &AppId::new("/a"), 0);
        let ServiceOptions {
            groups: _, enabled: _, vhost, path, weight: _, mode, balance, port: _, bind_addr,
            bind_options, ssl_cert, sticky: _, redirect_to_https: _, use_hsts: _, auth,
            proxypass_path, revproxy_path, redir, networks_allowed, healthcheck_port_index: _,
            overrides: _, priority: _, own: _,
        } = read;
        let single = [
            vhost, path, mode, balance, bind_addr, bind_options, ssl_cert, proxypass_path,
            revproxy_path, redir,
        ];
        let auth = auth.into_iter().flat_map(|auth| [auth.realm, auth.user, auth.password]);
        for text in single.into_iter().flatten().chain(networks_allowed).chain(auth) {
            prop_assert!(!text.contains(char::is_control), "{text:?}");
        }
    }

    #[test]
    fn a_label_that_cannot_be_read_is_named_and_changes_nothing_else(settings in any_labels()) {
        let (read, warnings) = parse(&settings, &AppId::new("/a"), 0);
        let mut readable = settings.clone();
        for warning in &warnings {
            let label = warning.subject.strip_prefix("label `").and_then(|s| s.strip_suffix('`'));
            let label = label.unwrap();
            prop_assert!(label.starts_with("HAPROXY_0_"), "{label}");
            prop_assert!(readable.remove(label).is_some(), "{label}");
        }
        prop_assert_eq!(parse(&readable, &AppId::new("/a"), 0), (read, Vec::new()));
    }
}

/// All else of a password is for HAProxy to judge, but over this it would have everybody wait.
#[test]
fn a_password_that_takes_too_long_is_refused_however_it_is_written() {
    for (user, password) in [
        ("u", "$5$rounds=999999999$salt$hash"),
        ("u", "'$5$rounds=999999999$salt$hash'"),
        ("u", r"$5$rounds\x3d999999999$salt$hash"),
        ("u", "$y$j9T$salt$hash"),
        ("a password $2b$31$hash password x", "plain"),
    ] {
        let text = format!("realm:{user}:{password}");
        let (options, warnings) = read(&[("HAPROXY_0_AUTH", &text)], 0);
        assert!(options.auth.is_none(), "{text}");
        let told = warnings[0].to_string();
        assert!(
            told.contains("the password is wrong") && !told.contains("hash"),
            "{told}"
        );
        assert!(
            told.contains("expected one that HAProxy computes within 50 ms"),
            "{told}"
        );
    }
    for password in [
        "plain",
        "$5$salt$hash",
        "$6$rounds=20000$salt$hash",
        "$apr1$salt$hash",
    ] {
        let text = format!("realm:u:{password}");
        let auth = options(&[("HAPROXY_0_AUTH", &text)]).auth.unwrap();
        assert_eq!(&*auth.password, password);
    }
}

/// Whoever misspells the name of a label has its value shown, and may have it in another one.
#[test]
fn what_looks_like_a_password_is_never_shown() {
    let six = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7O";
    for (name, value) in [
        ("HAPROXY_0_AUTH", "realm:ann:plain"),
        ("HAPROXY_0_AUHT", "realm:ann:rlR4XJ1i8.hsE"),
        ("HAPROXY_0_auth", "realm:ann:plain"),
        ("HAPROXY_AUTH", "ann:rlR4XJ1i8.hsE"),
        ("HAPROXY_0_PASWORD", "rlR4XJ1i8.hsE"),
        ("HAPROXY_0_BASIC_AUTHS", "rlR4XJ1i8.hsE"),
        ("HAPROXY_0_AUTH_USER", "ann:rlR4XJ1i8.hsE"),
        ("HAPROXY_0_USER", six),
        ("HAPROXY_0_USER", "ann:$apr1$salt$hash"),
        (
            "HAPROXY_0_USERS",
            "ann:x bob:'$2y$10$abcdefghijklmnopqrstuv'",
        ),
        ("HAPROXY_0_VHOST", "realm:ann:$y$j9T$salt$hash"),
        ("HAPROXY_0_GROUP", "$argon2id$v=19$m=65536$salt$hash"),
    ] {
        assert!(is_secret(name, value), "{name}");
    }
    for (name, value) in [
        ("HAPROXY_0_VHOST", "www.a.test"),
        ("HAPROXY_0_VHOSTT", "www.a.test"),
        ("HAPROXY_0_PATH", "/abcdefghijkl"),
        ("HAPROXY_0_PATHS", "/price/$5"),
        ("HAPROXY_0_PORTS", "abcdefghijklm"),
        ("HAPROXY_0_BACKEND_REDIRECT", "http://$host$request_uri"),
    ] {
        assert!(!is_secret(name, value), "{name}");
    }
    let (_, warnings) = read(&[("HAPROXY_0_PORT", six)], 0);
    let told = warnings[0].to_string();
    assert!(!told.contains("salt"), "{told}");
}
