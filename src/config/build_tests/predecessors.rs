use std::time::Duration;

use super::*;
use crate::config::{
    CommandLine, Credentials, LogDestination, LogFormat, LogLevel, ReloadCommand, SettingsFrom,
    TemplateLabels, TemplateSet,
};

/// What the options of a predecessor make of it.
fn built(
    command_line: CommandLine,
    flags: &[(&str, &str)],
    environment: &[(&str, &str)],
) -> Result<Built, Mistakes> {
    let table = option::of_predecessor(command_line);
    let mut layer = Layer::default();
    for (name, text) in flags {
        let option = table.iter().find(|option| option.name == *name).unwrap();
        layer.add(option, (*text).to_owned(), Origin::Predecessor);
    }
    let system = System {
        environment: environment
            .iter()
            .map(|(k, v)| (k.into(), v.into()))
            .collect(),
        read: Box::new(|path| match path.to_str() {
            Some("/credentials" | "/example/password") => Ok("joe:s3cret\n".to_owned()),
            Some("/wrong") => Ok("joe:s3:cret\n".to_owned()),
            Some("/example/nobody") => Ok("\njoe:s3cret\n".to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }),
        ..System::host()
    };
    let request = Request {
        policy: Policy::of(command_line),
        needs_marathon: false,
        flags: layer,
    };
    build(&request, &system)
}

fn marathon_lb(flags: &[(&str, &str)], environment: &[(&str, &str)]) -> Config {
    built(CommandLine::MarathonLb, flags, environment)
        .unwrap()
        .config
}

fn mistake(flags: &[(&str, &str)]) -> String {
    built(CommandLine::MarathonLb, flags, &[])
        .unwrap_err()
        .to_string()
}

#[test]
fn marathon_lb_has_its_own_defaults() {
    let config = marathon_lb(&[], &[]);
    assert_eq!(config.marathon.urls, ["http://master.mesos:8080"]);
    assert!(config.marathon.insecure);
    assert_eq!(config.marathon.max_backoff, Duration::from_secs(300));
    assert_eq!(config.groups, [""; 0]);
    assert_eq!(config.haproxy.config, Path::new("/etc/haproxy/haproxy.cfg"));
    assert_eq!(config.apps.settings_from, SettingsFrom::Labels);
    assert_eq!(config.apps.auto_ports.range(), Some(10050..=10100));
    assert!(!config.apps.health_check && !config.apps.strict_mode);
    assert_eq!(config.frontends.ssl_certs, ["/etc/ssl/cert.pem"]);
    assert!(!config.frontends.maps && config.frontends.bind_http_https);
    assert_eq!(config.templates.set, TemplateSet::MarathonLb);
    assert_eq!(config.templates.labels, TemplateLabels::All);
    assert_eq!(
        config.templates.files.as_deref(),
        Some(Path::new("templates"))
    );
    assert_eq!(config.reload.method, ReloadMethod::Auto);
    assert_eq!(config.reload.max_retries, Some(10));
    assert_eq!(config.reload.interval, Duration::from_secs(10));
    assert!(!config.reload.runtime_api);
    assert_eq!(config.state.archive_versions, 5);
    assert!(!config.dry && !config.validation.skip && !config.validation.skip_cleanup);
    assert_eq!(config.log.destination, LogDestination::StderrAndSyslog);
    assert_eq!(config.log.format, LogFormat::Python);
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.log.pattern, "%(asctime)-15s %(name)s: %(message)s");
    assert_eq!(config.log.logger, "marathon_lb");
}

#[test]
fn servicerouter_has_its_own_defaults() {
    let built = built(CommandLine::Servicerouter, &[("marathon", "m1:8080")], &[]);
    let config = built.unwrap().config;
    assert_eq!(config.marathon.urls, ["m1:8080"]);
    assert!(!config.marathon.insecure);
    assert_eq!(config.groups, [""; 0]);
    assert_eq!(config.apps.settings_from, SettingsFrom::Env);
    assert_eq!(config.templates.set, TemplateSet::Servicerouter);
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.log.pattern, "%(name)s: %(message)s");
    assert_eq!(config.log.logger, "servicerouter");
}

#[test]
fn every_option_of_the_predecessors_can_be_read_and_its_default_too() {
    for command_line in [CommandLine::MarathonLb, CommandLine::Servicerouter] {
        for option in option::of_predecessor(command_line) {
            let text = match option.name {
                "log-level" => "info",
                "haproxy-version" => "2.4",
                "auth-credentials" => "joe:s3cret",
                "dcos-auth-credentials" => ACCOUNT,
                "marathon-auth-credential-file" => "/credentials",
                _ if matches!(option.takes, option::Takes::Nothing(_)) => "true",
                _ => "10060",
            };
            let built = built(command_line, &[(option.name, text)], &[]);
            built.unwrap_or_else(|mistakes| panic!("{}: {mistakes}", option.name));
        }
    }
}

#[test]
fn marathon_lb_takes_values_as_they_are() {
    let config = marathon_lb(
        &[
            ("marathon", "http://a b"),
            ("group", " a,b "),
            ("group", "*"),
            ("ssl-certs", "/a.pem, /b.pem,"),
            ("max-reload-retries", "-1"),
            ("reload-interval", "-3"),
            ("archive-versions", "0"),
            ("min-serv-port-ip-per-task", " 1_000 "),
            ("max-serv-port-ip-per-task", "99999"),
            ("marathon-ca-cert", "/ca.pem"),
            ("log-level", "notset"),
        ],
        &[("HMB_GROUP", "x"), ("HMB_LOG_FORMAT", "json")],
    );
    assert_eq!(config.marathon.urls, ["http://a b"]);
    assert_eq!(config.groups, [" a,b ", "*"]);
    assert_eq!(config.frontends.ssl_certs, ["/a.pem", " /b.pem", ""]);
    assert_eq!(config.reload.max_retries, None);
    assert_eq!(config.reload.interval, Duration::ZERO);
    assert_eq!(config.state.archive_versions, 1);
    assert_eq!(config.apps.auto_ports.range(), Some(1000..=65535));
    assert!(!config.marathon.insecure);
    assert_eq!(config.log.level, LogLevel::Warn);
    assert_eq!(config.log.format, LogFormat::Json);
    let off = [
        ("min-serv-port-ip-per-task", "0"),
        ("max-serv-port-ip-per-task", "0"),
    ];
    assert_eq!(marathon_lb(&off, &[]).apps.auto_ports.range(), None);
}

#[test]
fn a_command_of_marathon_lb_is_parted_into_words_and_always_counts() {
    for (flags, environment, words) in [
        (
            &[("command", "/reload.sh 'a b'")][..],
            &[][..],
            Some(&["/reload.sh", "a b"][..]),
        ),
        (
            &[("command", "x")],
            &[("HMB_RELOAD", "none"), ("HMB_RELOAD_COMMAND", "y")],
            Some(&["x"]),
        ),
        (&[("command", "")], &[], None),
        (&[], &[], None),
    ] {
        let config = marathon_lb(flags, environment);
        let expected = words.map(|words| {
            ReloadCommand::Words(words.iter().map(|word| (*word).to_owned()).collect())
        });
        assert_eq!(config.reload.command, expected);
        let is_command = config.reload.method == ReloadMethod::Command;
        assert_eq!(is_command, words.is_some());
    }
}

#[test]
fn what_marathon_lb_refused_is_refused_in_its_words() {
    assert_eq!(mistake(&[("log-level", "loud")]), "Invalid log level: loud");
    let of_credentials = "Please provide marathon credentials in user:pass format";
    for credentials in ["s3cret", "joe:s3:cret"] {
        assert_eq!(
            mistake(&[("auth-credentials", credentials)]),
            of_credentials
        );
    }
    assert_eq!(
        mistake(&[("marathon-auth-credential-file", "/wrong")]),
        of_credentials
    );
    assert!(mistake(&[("command", "a 'b")]).contains("--command"));
    assert!(mistake(&[("haproxy-version", "two")]).contains("--haproxy-version"));
    assert!(mistake(&[("marathon-auth-credential-file", "/none")]).starts_with("/none: "));
}

const ACCOUNT: &str = r#"{"uid":"lb","private_key":"s3cret","login_endpoint":"https://m/login"}"#;

#[test]
fn marathon_lb_takes_a_file_before_plain_sight_before_a_service_account() {
    let file = |path| ("marathon-auth-credential-file", path);
    let plain = ("auth-credentials", "ann:plain");
    let account = ("dcos-auth-credentials", ACCOUNT);
    let variable = ("DCOS_SERVICE_ACCOUNT_CREDENTIAL", ACCOUNT);
    for (flags, environment, who) in [
        (&[][..], &[][..], "nobody"),
        (
            &[file("/example/password"), plain, account],
            &[variable],
            "joe",
        ),
        (
            &[file("/example/nobody"), plain, account],
            &[variable],
            "nobody",
        ),
        (&[plain, account], &[variable], "ann"),
        (&[account], &[], "lb"),
        (&[], &[variable], "lb"),
        (&[("dcos-auth-credentials", "")], &[variable], "nobody"),
        (&[], &[("HMB_AUTH_CREDENTIALS", "eve:e")], "eve"),
        (&[plain], &[("HMB_AUTH_CREDENTIALS", "eve:e")], "ann"),
    ] {
        let got = match marathon_lb(flags, environment).marathon.credentials {
            Credentials::None => "nobody".to_owned(),
            Credentials::Basic { user, .. } => user.expose().to_owned(),
            Credentials::Dcos(account) => account.uid,
            Credentials::Token(_) => "a token".to_owned(),
        };
        assert_eq!(got, who, "{flags:?}");
    }
    let told = mistake(&[("dcos-auth-credentials", "{\"uid\": \"s3cret\"}")]);
    assert!(
        told.contains("no `private_key`") && !told.contains("s3cret"),
        "{told}"
    );
}

#[test]
fn marathon_lb_reads_variables_of_its_own() {
    let config = marathon_lb(
        &[],
        &[
            ("HAPROXY_HEAD", "global\\n"),
            ("HAPROXY_SSL_CERT", "s3cret"),
            ("FRAMEWORK_NAME", "lb"),
            ("DCOS_SERVICE_ACCOUNT_CREDENTIAL", ACCOUNT),
            ("HMB_STATE_DIR", "/s"),
        ],
    );
    assert_eq!(config.templates.variables["HAPROXY_HEAD"], "global\\n");
    assert_eq!(config.apps.own_app.as_deref(), Some("lb"));
    assert_eq!(config.state.dir, Path::new("/s"));
    assert!(matches!(config.marathon.credentials, Credentials::Dcos(_)));
    assert!(!format!("{config:?}").contains("s3cret"));
    let environment = [("HAPROXY_HEAD", "x"), ("FRAMEWORK_NAME", "lb")];
    let other = built(CommandLine::Servicerouter, &[], &environment).unwrap();
    assert!(other.config.templates.variables.is_empty());
    assert_eq!(other.config.apps.own_app, None);
}
