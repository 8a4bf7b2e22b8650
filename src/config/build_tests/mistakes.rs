use super::*;
use crate::config::option;

#[test]
fn every_option_says_where_it_is_wrong() {
    for option in option::all() {
        let (_, wrong) = examples(option.name);
        let shown = if option.is_secret() { "***" } else { wrong };
        let name = option.name;
        let variable = option.variable();
        let flags = Given {
            flags: &[(name, wrong)],
            list: Some("m1"),
            ..Given::default()
        };
        let found = flags.mistakes();
        let place = format!("option `--{name}`: found {shown:?}, expected ");
        assert!(found.iter().any(|m| m.starts_with(&place)), "{found:#?}");

        let environment = Given {
            environment: &[(&variable, wrong)],
            list: Some("m1"),
            ..Given::default()
        };
        // Blanks part the values of those that add up.
        let shown = if option.is_repeatable() { "" } else { shown };
        let place = format!("environment variable `{variable}`: found {shown:?}, expected ");
        match (option.name, environment.build()) {
            ("group", built) => assert_eq!(built.unwrap().config.groups, ["a", "b"]),
            ("marathon", built) => assert!(built.unwrap_err().to_string().contains("HMB_MARATHON")),
            (_, built) => {
                let found = built.unwrap_err();
                assert!(
                    found.0.iter().any(|m| m.to_string().starts_with(&place)),
                    "{found}"
                );
            }
        }
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let given = Given {
        flags: &[("max-body", "lots"), ("haproxy-version", "two")],
        environment: &[
            ("HMB_LOG_LEVEL", "loud"),
            ("HMB_INSECURE", "maybe"),
            ("HMB_MARATHON", "http://m1:8080 zk://joe:secret@m2"),
        ],
        file: Some("reload = \"fast\"\nmarathom = \"m1\"\nconnect-timeout = 0\ngroup = true\n"),
        ..Given::default()
    };
    assert_eq!(
        given.mistakes(),
        [
            "/etc/haproxy-marathon-bridge/config.toml:1: key `reload`: found \"fast\", expected one of auto, sf, master, systemd, command, none",
            "/etc/haproxy-marathon-bridge/config.toml:2: key `marathom`: unknown, did you mean `marathon`?",
            "/etc/haproxy-marathon-bridge/config.toml:3: key `connect-timeout`: found \"0\", expected a time such as 10s, or a number of seconds, above zero and at most 1h",
            "/etc/haproxy-marathon-bridge/config.toml:4: key `group`: found true or false, expected a text in quotes or a list of them",
            "environment variable `HMB_INSECURE`: found \"maybe\", expected true or false",
            "environment variable `HMB_LOG_LEVEL`: found \"loud\", expected one of error, warn, info, debug, trace",
            "environment variable `HMB_MARATHON`: found \"zk://***@m2\", expected one Marathon as http://host:port, https://host:port, host:port or file:PATH",
            "option `--haproxy-version`: found \"two\", expected HAProxy's version as X.Y such as 2.6",
            "option `--max-body`: found \"lots\", expected a size above zero such as 256MiB, or a number of bytes",
        ]
    );
}

#[test]
fn a_wrong_value_is_told_even_where_a_stronger_place_overrules_it() {
    let given = Given {
        flags: &[M1, ("reload", "none")],
        environment: &[("HMB_RELOAD", "fast")],
        ..Given::default()
    };
    assert_eq!(
        given.mistakes(),
        [
            "environment variable `HMB_RELOAD`: found \"fast\", expected one of auto, sf, master, systemd, command, none"
        ]
    );
}

#[test]
fn a_callback_that_would_go_without_effect_is_told() {
    let url = ("callback-url", "http://here:8000");
    let listen = ("callback-listen", "127.0.0.1:8000");
    for (flags, told) in [
        (&[M1, url][..], None),
        (&[M1, url, listen], None),
        (
            &[M1, url, ("poll", "5s")],
            Some("`callback-url` is given beside `poll`"),
        ),
        (
            &[M1, listen],
            Some("`callback-listen` is given, but no `callback-url`"),
        ),
    ] {
        let given = Given {
            flags,
            ..Given::default()
        };
        let found = given.build().err().map(|found| found.to_string());
        match (told, &found) {
            (None, None) => (),
            (Some(told), Some(found)) if found.contains(told) => (),
            _ => panic!("{flags:?}: {found:?}"),
        }
    }
    // servicerouter is called back at an address of its own, or takes one turn.
    let given = Given {
        command_line: Some(CommandLine::Servicerouter),
        environment: &[
            ("HMB_CALLBACK_LISTEN", "127.0.0.1:8000"),
            ("HMB_POLL", "5s"),
        ],
        needs_no_marathon: true,
        ..Given::default()
    };
    assert_eq!(given.config().watch.callback_url, None);
}

#[test]
fn no_marathon_at_all_names_every_way_to_give_one() {
    for (list, state) in [
        (None, "which does not exist"),
        (Some("# nobody\n\n"), "which is empty"),
    ] {
        let given = Given {
            list,
            ..Given::default()
        };
        assert_eq!(
            given.mistakes(),
            [format!(
                "no Marathon given, expected one of: option `--marathon URL` (`HOST:PORT` for the \
                 calls of the bash bridge), environment variable `HMB_MARATHON`, key `marathon` in \
                 /etc/haproxy-marathon-bridge/config.toml or the file of `--config`, or the list \
                 /etc/haproxy-marathon-bridge/marathons {state}"
            )]
        );
    }
    let without = Given {
        needs_no_marathon: true,
        ..Given::default()
    };
    assert_eq!(without.config().marathon.urls, Vec::<String>::new());
}

#[test]
fn a_file_with_broken_lines_is_not_blamed_for_missing_keys() {
    let given = Given {
        file: Some("marathon = [\"m1\"\n"),
        ..Given::default()
    };
    let found = given.mistakes();
    assert!(
        found
            .iter()
            .all(|m| m.starts_with("/etc/haproxy-marathon-bridge/config.toml:")),
        "{found:#?}"
    );
}

#[test]
fn foreign_variables_with_our_prefix_are_warned_of_and_ignored() {
    let given = Given {
        flags: &[M1],
        environment: &[
            ("HMB_RELAOD", "joe:secret@x"),
            ("HMB_COLOUR", "red"),
            ("OTHER", "x"),
        ],
        ..Given::default()
    };
    assert_eq!(
        given.build().unwrap().warnings,
        [
            "environment variable `HMB_COLOUR`: no option has that name; ignored",
            "environment variable `HMB_RELAOD`: unknown, did you mean `HMB_RELOAD`? ignored",
        ]
    );
}

#[test]
fn no_password_is_shown_whatever_is_wrong_with_its_address() {
    for address in [
        "ftp://joe:s3cret@m1",
        "http://joe:s3cret@",
        "http://joe:s3cret,s3cret@m1",
        "http://joe:s3cret s3cret@m1",
        "joe:s3cret s3cret@m1",
        "http://joe:s3cret/s3cret@m1:x",
        "http://joe:s3cret@m1:99999",
        "http://joe:s3cret\n@m1",
    ] {
        let file =
            format!("marathon = {address:?}\nmarathon-url = {address:?}\nreload = {address:?}");
        let broken = format!("marathon = {address}");
        for given in [
            Given {
                flags: &[("marathon", address)],
                ..Given::default()
            },
            Given {
                flags: &[("marathon", address), ("reload", "fast")],
                ..Given::default()
            },
            Given {
                environment: &[("HMB_MARATHON", address)],
                ..Given::default()
            },
            Given {
                file: Some(&file),
                ..Given::default()
            },
            Given {
                file: Some(&broken),
                ..Given::default()
            },
            Given {
                list: Some(address),
                ..Given::default()
            },
        ] {
            let said = match given.build() {
                Ok(built) => format!("{built:?}"),
                Err(mistakes) => format!("{mistakes} {mistakes:?}"),
            };
            assert!(!said.contains("s3cret"), "{address}: {said}");
        }
    }
    let right = Given {
        flags: &[("marathon", "http://joe:s3cret@m1")],
        ..Given::default()
    };
    assert!(format!("{:?}", right.config()).contains("http://***@m1"));
    let mut layer = Layer::default();
    let marathon = option::named("marathon").unwrap();
    layer.add(marathon, "http://joe:s3cret@m1".to_owned(), Origin::Flag);
    assert!(!format!("{layer:?}").contains("s3cret"));
}

#[test]
fn the_table_is_sound() {
    let mut names: Vec<&str> = option::all().map(|option| option.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), option::all().count(), "a name is taken twice");
    for option in option::all() {
        assert_eq!(
            option.commands.is_empty(),
            option.is_secret(),
            "{}: a command takes it if it can be shown to everybody",
            option.name
        );
        assert!(!option.summary.ends_with('.'), "{}", option.name);
        let is_plain = option
            .name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c == '-');
        assert!(is_plain, "{}: cannot be a variable", option.name);
    }
    assert_eq!(
        option::named("template-set").unwrap().default_text(),
        Some("native; bridge for the calls of the bash bridge"),
        "the default that is shown must be the one of the native policy: {:?}",
        Policy::of(CommandLine::Native).template_set
    );
}
