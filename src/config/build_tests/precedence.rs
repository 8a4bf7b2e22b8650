use super::*;
use crate::config::Schedule;
use crate::config::option::{self, Takes};

#[test]
#[expect(clippy::too_many_lines, reason = "it is one picture of all decisions")]
fn every_default_of_the_table_counts() {
    let config = Given {
        flags: &[M1],
        ..Given::default()
    }
    .config();
    insta::assert_debug_snapshot!(config, @r#"
    Config {
        policy: Policy {
            command_line: Native,
            serving_tasks: RunningOrOutOfSight,
            names: Numeric,
            asks_text_first: false,
            verifies_tls: true,
            groups: Given,
            repeated_marathon: Append,
            ports: Discovery,
            values: Typed,
            settings_from: Labels,
            template_labels: false,
            template_set: Native,
            template_files: None,
            template_variables: false,
            maps: true,
            runtime_api: true,
            log: Stderr,
            log_level: Info,
            log_format: Text,
            logger: "haproxy-marathon-bridge",
            wrong_value: 2,
        },
        marathon: Marathon {
            urls: [
                "m1:8080",
            ],
            ca_cert: None,
            insecure: false,
            client_cert: None,
            client_key: None,
            proxy_from_environment: false,
            connect_timeout: 3s,
            read_timeout: 10s,
            fetch_timeout: 45s,
            max_body: 268435456,
            credentials: None,
            max_backoff: 30s,
        },
        groups: [
            "*",
        ],
        apps: Apps {
            health_check: false,
            strict_mode: false,
            serve_scaled_to_zero: false,
            settings_from: Labels,
            auto_ports: AutoPorts {
                low: 10050,
                high: 10100,
            },
            own_app: None,
        },
        frontends: Frontends {
            maps: true,
            ssl_certs: [],
            bind_http_https: true,
            service_ports: true,
            spare_backends: 0,
            group_https_by_vhost: false,
            accept_proxy: false,
            default_backend: None,
            server_slots: 0,
            slots_everywhere: false,
        },
        haproxy: Haproxy {
            program: "haproxy",
            version: None,
            config: "/etc/haproxy/haproxy.cfg",
            stats_socket: None,
            master_socket: None,
            pid_file: "/run/haproxy.pid",
        },
        templates: Templates {
            set: Native,
            dir: None,
            extra: None,
            files: None,
            variables: [],
            labels: None,
        },
        validation: Validation {
            skip: false,
            skip_cleanup: false,
        },
        out_dir: None,
        dry: false,
        reload: Reload {
            method: Auto,
            command: None,
            timeout: 30s,
            max_retries: Some(
                0,
            ),
            interval: 10s,
            runtime_api: true,
            apart: 2s,
        },
        watch: Watch {
            debounce: (
                100ms,
                2s,
            ),
            resync: 300s,
            poll: None,
            callback_url: None,
            callback_listen: None,
            admin_socket: Some(
                "/var/run/haproxy/marathon-bridge.sock",
            ),
        },
        state: State {
            dir: "/var/lib/haproxy-marathon-bridge",
            lock_file: None,
            archive_versions: 5,
        },
        allow_removal: false,
        json: false,
        html: false,
        stay: false,
        retry_now: false,
        max_age: 900s,
        reason: None,
        install: Install {
            root: None,
            dry_run: false,
            purge: false,
            file_names_marathons: false,
            cron: false,
            timer: false,
            service: false,
        },
        in_place: false,
        no_pause: false,
        log: Log {
            destination: Stderr,
            syslog_socket: "/dev/log",
            level: Info,
            format: Text,
            pattern: "",
            logger: "haproxy-marathon-bridge",
        },
    }
    "#);
}

#[test]
fn options_win_over_environment_over_file_over_defaults() {
    for (flag, variable, file, group) in [
        (Some("flag"), Some("variable"), Some("file"), "flag"),
        (None, Some("variable"), Some("file"), "variable"),
        (None, Some(""), Some("file"), "file"),
        (None, None, Some("file"), "file"),
        (Some("flag"), None, Some("file"), "flag"),
        (None, None, None, "*"),
    ] {
        let flags: Vec<_> = [M1]
            .into_iter()
            .chain(flag.map(|text| ("group", text)))
            .collect();
        let environment: Vec<_> = variable
            .map(|text| ("HMB_GROUP", text))
            .into_iter()
            .collect();
        let file = file.map(|text| format!("group = \"{text}\""));
        let given = Given {
            flags: &flags,
            environment: &environment,
            file: file.as_deref(),
            ..Given::default()
        };
        assert_eq!(given.config().groups, [group]);
    }
}

#[test]
fn values_add_up_within_a_place_and_never_across_places() {
    let given = Given {
        flags: &[("marathon", "f1"), ("marathon", "f2")],
        environment: &[("HMB_MARATHON", "e1,e2  e3"), ("HMB_GROUP", "a, b\nc")],
        file: Some("marathon = [\"c1\"]\ngroup = \"x\""),
        list: Some("l1"),
        ..Given::default()
    };
    let config = given.config();
    assert_eq!(config.marathon.urls, ["f1", "f2"]);
    assert_eq!(config.groups, ["a", "b", "c"]);
}

#[test]
fn a_switch_can_be_turned_off_by_a_stronger_place() {
    for (flag, variable, file, is_on) in [
        (None, None, "true", true),
        (None, Some("off"), "true", false),
        (Some("true"), Some("off"), "false", true),
        (Some("false"), Some("1"), "true", false),
    ] {
        let flags: Vec<_> = [M1]
            .into_iter()
            .chain(flag.map(|text| ("allow-removal", text)))
            .collect();
        let environment: Vec<_> = variable
            .map(|text| ("HMB_ALLOW_REMOVAL", text))
            .into_iter()
            .collect();
        let file = format!("allow-removal = {file}");
        let given = Given {
            flags: &flags,
            environment: &environment,
            file: Some(&file),
            ..Given::default()
        };
        assert_eq!(given.config().allow_removal, is_on);
    }
}

#[test]
fn of_those_who_may_take_turns_one_is_named_by_the_strongest_place() {
    let given = |flags: &'static [(&str, &str)]| Given {
        flags,
        environment: &[("HMB_SERVICE", "true")],
        needs_no_marathon: true,
        ..Given::default()
    };
    for (flags, schedule) in [
        (&[][..], Some(Schedule::Service)),
        (&[("cron", "true")], Some(Schedule::Cron)),
        (
            &[("timer", "true"), ("cron", "false")],
            Some(Schedule::Timer),
        ),
        (&[("service", "false")], None),
    ] {
        let install = given(flags).config().install;
        assert_eq!(install.schedule(), schedule, "{flags:?}");
    }
    let mistakes = given(&[("timer", "true"), ("cron", "true")])
        .build()
        .unwrap_err();
    let text = "`cron` and `timer` are given, expected one of them at most";
    assert_eq!(mistakes.to_string(), text);
}

#[test]
fn every_option_means_the_same_wherever_it_is_given() {
    let plain = format!(
        "{:?}",
        Given {
            flags: &[M1],
            ..Given::default()
        }
        .config()
    );
    for option in option::all() {
        let (text, _) = examples(option.name);
        // The first cannot stand in a file, and the others not alone.
        let cannot = ["config", "marathon-client-key", "callback-listen"];
        if cannot.contains(&option.name) {
            continue;
        }
        let variable = option.variable();
        let key = match option.takes {
            Takes::Nothing(_) => format!("{} = {text}", option.name),
            Takes::One(..) => format!("{} = '{text}'", option.name),
            Takes::Many(..) => format!("{} = [\"{text}\"]", option.name),
        };
        let list = Some("m1:8080");
        let by_flag = Given {
            flags: &[(option.name, text)],
            list,
            ..Given::default()
        };
        let by_variable = Given {
            environment: &[(&variable, text)],
            list,
            ..Given::default()
        };
        let by_key = Given {
            file: Some(&key),
            list,
            ..Given::default()
        };
        let [by_flag, by_variable, by_key] = [by_flag, by_variable, by_key].map(|given| {
            let mut config = given.config();
            // It says where one stands, and not what it means.
            config.install.file_names_marathons = false;
            format!("{config:?}")
        });
        assert_eq!(by_flag, by_variable, "{}", option.name);
        assert_eq!(by_flag, by_key, "{}", option.name);
        assert_ne!(by_flag, plain, "{}", option.name);
    }
}

#[test]
fn the_list_of_marathons_may_hold_comments_and_blanks() {
    let given = Given {
        list: Some("# old\nm1:8080 m2:8080\r\n\n\thttp://m3/#x # new\n"),
        ..Given::default()
    };
    assert_eq!(
        given.config().marathon.urls,
        ["m1:8080", "m2:8080", "http://m3/#x"]
    );
    let wrong = Given {
        list: Some("m1:8080\nftp://joe:secret@m2\n"),
        ..Given::default()
    };
    assert_eq!(
        wrong.mistakes(),
        [
            "/etc/haproxy-marathon-bridge/marathons:2: found \"ftp://***@m2\", expected one Marathon as http://host:port, https://host:port, host:port or file:PATH"
        ]
    );
}

#[test]
fn the_file_that_is_named_is_read_and_must_exist() {
    let file = Some("marathon = \"m5\"");
    for (flags, environment) in [
        (&[("config", "/x.toml")][..], &[][..]),
        (&[], &[("HMB_CONFIG", "/x.toml")]),
        (&[("config", "/x.toml")], &[("HMB_CONFIG", "/other.toml")]),
    ] {
        let given = Given {
            flags,
            environment,
            file,
            file_path: Some("/x.toml"),
            ..Given::default()
        };
        assert_eq!(given.config().marathon.urls, ["m5"]);
    }
    let missing = Given {
        flags: &[M1, ("config", "/y.toml")],
        ..Given::default()
    };
    assert_eq!(
        missing.mistakes(),
        ["/y.toml: cannot be read as the file of options: entity not found"]
    );
}

#[test]
fn a_reload_command_is_run_unless_something_stronger_says_otherwise() {
    let command = ("reload-command", "true");
    let in_file = "reload-command = \"true\"";
    for (flags, file, method) in [
        (&[M1, command][..], "", ReloadMethod::Command),
        (
            &[M1, command, ("reload", "command")],
            "",
            ReloadMethod::Command,
        ),
        (
            &[M1, command],
            "reload = \"systemd\"",
            ReloadMethod::Command,
        ),
        (&[M1, ("reload", "systemd")], in_file, ReloadMethod::Systemd),
        (&[M1, ("reload", "command")], in_file, ReloadMethod::Command),
        (&[M1], in_file, ReloadMethod::Command),
        (&[M1], "", ReloadMethod::Auto),
    ] {
        let given = Given {
            flags,
            file: Some(file),
            ..Given::default()
        };
        assert_eq!(given.config().reload.method, method, "{flags:?} {file}");
    }
    let without = Given {
        flags: &[M1, ("reload", "command")],
        ..Given::default()
    };
    assert_eq!(
        without.mistakes(),
        ["`reload` is command, but no `reload-command` is given, expected what to run"]
    );
    let both = Given {
        flags: &[M1, command, ("reload", "sf")],
        ..Given::default()
    };
    assert_eq!(
        both.mistakes(),
        [
            "`reload-command` is given beside a `reload` that does not run it, expected `reload` to be command, or only one of them"
        ]
    );
    let wrong = Given {
        flags: &[M1, command, ("reload", "fast")],
        ..Given::default()
    };
    assert_eq!(wrong.mistakes().len(), 1);
}

#[test]
fn the_bridge_serves_everything_and_trusts_as_curl_did_unless_told_otherwise() {
    let command_line = Some(CommandLine::Bridge);
    for (environment, insecure) in [
        (&[("HMB_GROUP", "external")][..], true),
        (&[("HMB_INSECURE", "false")], false),
        (&[("HMB_MARATHON_CA_CERT", "/ca.pem")], false),
        (
            &[
                ("HMB_MARATHON_CA_CERT", "/ca.pem"),
                ("HMB_INSECURE", "true"),
            ],
            true,
        ),
    ] {
        let given = Given {
            flags: &[M1],
            environment,
            command_line,
            ..Given::default()
        };
        let config = given.config();
        assert_eq!(config.groups, ["*"]);
        assert_eq!(config.marathon.insecure, insecure, "{environment:?}");
    }
}

#[test]
fn the_state_folder_is_the_one_given_else_systemds_else_ours() {
    for (environment, dir) in [
        (
            &[("HMB_STATE_DIR", "/s"), ("STATE_DIRECTORY", "/a:/b")][..],
            "/s",
        ),
        (&[("STATE_DIRECTORY", "/a:/b")], "/a"),
        (
            &[("STATE_DIRECTORY", "")],
            "/var/lib/haproxy-marathon-bridge",
        ),
        (&[], "/var/lib/haproxy-marathon-bridge"),
    ] {
        let given = Given {
            flags: &[M1],
            environment,
            ..Given::default()
        };
        assert_eq!(given.config().state.dir, Path::new(dir));
    }
}
