//! The tables say what argparse of Python 3.11 makes of the same options and words.

use super::*;
use crate::config::option;

const MARATHON_LB: Parser<'_> = Parser {
    program: "marathon_lb.py",
    about: "Reads what it is told",
    options: option::MARATHON_LB,
    takes_several: "marathon",
    ours: &["haproxy-version", "runtime-api"],
};

const SERVICEROUTER: Parser<'_> = Parser {
    program: "servicerouter.py",
    about: "Reads what it is told",
    options: option::SERVICEROUTER,
    takes_several: "marathon",
    ours: &[],
};

/// `! problem`, `help`, or each option with its values.
fn read(parser: Parser<'_>, words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    match parser.parse(&words) {
        Ok(Parsed::Help) => "help".to_owned(),
        Ok(Parsed::Given(given)) => given
            .iter()
            .map(|(option, values)| match values.as_slice() {
                [] => option.name.to_owned(),
                values => format!("{}={}", option.name, values.join("|")),
            })
            .collect::<Vec<_>>()
            .join(" "),
        Err(text) => {
            let head = format!("{}{}: error: ", parser.usage(), parser.program);
            format!("! {}", text.strip_prefix(&head).unwrap())
        }
    }
}

type Table = &'static [(&'static [&'static str], &'static str)];

const MARATHON_LB_TABLE: Table = &[
    (&[], ""),
    (&["--group", "*"], "group=*"),
    (&["--group=a,b", "--group", " c "], "group=a,b group= c "),
    (
        &["--gro", "x"],
        "! ambiguous option: --gro could match --group, --group-https-by-vhost",
    ),
    (&["--group"], "! argument --group: expected one argument"),
    (
        &["--group", "-x"],
        "! argument --group: expected one argument",
    ),
    (&["--group", "-1"], "group=-1"),
    (&["--group", "-.5"], "group=-.5"),
    (
        &["--group", "-1x"],
        "! argument --group: expected one argument",
    ),
    (&["--group", "-x y"], "group=-x y"),
    (&["--group", "-"], "group=-"),
    (&["--group", ""], "group="),
    (&["--group="], "group="),
    (&["--group=-x"], "group=-x"),
    (
        &["--group", "--", "x"],
        "! argument --group: expected one argument",
    ),
    (&["--group", "x", "--"], "! unrecognized arguments: --"),
    (&["--", "--sse"], "! unrecognized arguments: -- --sse"),
    (
        &["-m", "a", "b", "--sse", "-m", "c"],
        "marathon=a|b sse marathon=c",
    ),
    (&["-ma", "b"], "! unrecognized arguments: b"),
    (&["-m=a"], "marathon=a"),
    (
        &["-m"],
        "! argument --marathon/-m: expected at least one argument",
    ),
    (
        &["--marathon"],
        "! argument --marathon/-m: expected at least one argument",
    ),
    (
        &["-m", "--sse"],
        "! argument --marathon/-m: expected at least one argument",
    ),
    (&["--marathon=a", "b"], "! unrecognized arguments: b"),
    (&["--marathon", "a", "-1", "b c"], "marathon=a|-1|b c"),
    (&["-c", "x y"], "command=x y"),
    (&["-cx"], "command=x"),
    (&["-c=x"], "command=x"),
    (&["-c", "-x y"], "command=-x y"),
    (&["-c", "--x y"], "command=--x y"),
    (
        &["-c", "-x"],
        "! argument --command/-c: expected one argument",
    ),
    (
        &["--command"],
        "! argument --command/-c: expected one argument",
    ),
    (&["-s", "-H", "-d"], "sse health-check dry"),
    (&["-sHd"], "sse health-check dry"),
    (&["-sc", "x"], "sse command=x"),
    (&["-scx", "y"], "! unrecognized arguments: y"),
    (
        &["-sm"],
        "! argument --marathon/-m: expected at least one argument",
    ),
    (
        &["-sHx"],
        "! argument --health-check/-H: ignored explicit argument 'x'",
    ),
    (
        &["-sz"],
        "! argument --sse/-s: ignored explicit argument 'z'",
    ),
    (
        &["-s=x"],
        "! argument --sse/-s: ignored explicit argument 'x'",
    ),
    (
        &["--sse=x"],
        "! argument --sse/-s: ignored explicit argument 'x'",
    ),
    (
        &["--sse="],
        "! argument --sse/-s: ignored explicit argument ''",
    ),
    (&["-sh", "-z"], "help"),
    (&["--health"], "health-check"),
    (
        &["--h"],
        "! ambiguous option: --h could match --help, --haproxy-config, --health-check, --haproxy-map",
    ),
    (
        &["--ha"],
        "! ambiguous option: --ha could match --haproxy-config, --haproxy-map",
    ),
    (
        &["--haproxy-"],
        "! ambiguous option: --haproxy- could match --haproxy-config, --haproxy-map",
    ),
    (&["--haproxy-m"], "haproxy-map"),
    (&["--r", "5"], "reload-interval=5"),
    (
        &["--haproxy-version", "2.6", "--runtime-api"],
        "haproxy-version=2.6 runtime-api",
    ),
    (
        &["--haproxy-vers", "2.6"],
        "! unrecognized arguments: --haproxy-vers 2.6",
    ),
    (
        &["--ma"],
        "! ambiguous option: --ma could match --marathon, --max-reload-retries, --max-serv-port-ip-per-task, --max-backoff, --marathon-auth-credential-file, --marathon-ca-cert",
    ),
    (
        &["--m"],
        "! ambiguous option: --m could match --marathon, --max-reload-retries, --min-serv-port-ip-per-task, --max-serv-port-ip-per-task, --max-backoff, --marathon-auth-credential-file, --marathon-ca-cert",
    ),
    (&["--max-b", "7"], "max-backoff=7"),
    (
        &["--max=7"],
        "! ambiguous option: --max=7 could match --max-reload-retries, --max-serv-port-ip-per-task, --max-backoff",
    ),
    (
        &["--s"],
        "! ambiguous option: --s could match --strict-mode, --sse, --ssl-certs, --skip-validation, --skip-config-cleanup, --syslog-socket",
    ),
    (
        &["--ss"],
        "! ambiguous option: --ss could match --sse, --ssl-certs",
    ),
    (
        &["--skip-v", "--skip-c"],
        "skip-validation skip-config-cleanup",
    ),
    (&["--dr", "--do"], "dry dont-bind-http-https"),
    (
        &["--log=x"],
        "! ambiguous option: --log=x could match --log-format, --log-level",
    ),
    (
        &["--reload-interval", "5", "--reload-interval=-1"],
        "reload-interval=5 reload-interval=-1",
    ),
    (
        &["--reload-interval", "ten"],
        "! argument --reload-interval: invalid int value: 'ten'",
    ),
    (
        &["--reload-interval", "1.5"],
        "! argument --reload-interval: invalid int value: '1.5'",
    ),
    (&["--reload-interval=1_0"], "reload-interval=1_0"),
    (&["--reload-interval", " 7 "], "reload-interval= 7 "),
    (
        &["--reload-interval", ""],
        "! argument --reload-interval: invalid int value: ''",
    ),
    (
        &["--reload-interval", "it's"],
        "! argument --reload-interval: invalid int value: \"it's\"",
    ),
    (
        &["--max-backoff", "a\\b\n"],
        "! argument --max-backoff: invalid int value: 'a\\\\b\\n'",
    ),
    (&["--help"], "help"),
    (&["-h", "--nonsense"], "help"),
    (&["--nonsense", "-h"], "help"),
    (
        &["--max-backoff", "x", "-h"],
        "! argument --max-backoff: invalid int value: 'x'",
    ),
    (
        &["-h", "--m"],
        "! ambiguous option: --m could match --marathon, --max-reload-retries, --min-serv-port-ip-per-task, --max-serv-port-ip-per-task, --max-backoff, --marathon-auth-credential-file, --marathon-ca-cert",
    ),
    (&["x"], "! unrecognized arguments: x"),
    (&["x", "--sse", "y"], "! unrecognized arguments: x y"),
    (&["--nonsense"], "! unrecognized arguments: --nonsense"),
    (
        &["--nonsense=1", "x"],
        "! unrecognized arguments: --nonsense=1 x",
    ),
    (&["-z"], "! unrecognized arguments: -z"),
    (&["-z", "-1"], "! unrecognized arguments: -z -1"),
    (&["-5"], "! unrecognized arguments: -5"),
    (&["--sse", "true"], "! unrecognized arguments: true"),
    (&["--group", "x", "y"], "! unrecognized arguments: y"),
    (&["--auth-credentials", "a:b:c"], "auth-credentials=a:b:c"),
    (&["--log-format", "%(message)s"], "log-format=%(message)s"),
    (
        &["--log-level", "-v"],
        "! argument --log-level: expected one argument",
    ),
];

const SERVICEROUTER_TABLE: Table = &[
    (&["-m", "a", "-m", "b", "c"], "marathon=a marathon=b|c"),
    (&["-l", "http://h:8000"], "listening=http://h:8000"),
    (&["--listening=x"], "listening=x"),
    (&["--sse"], "! unrecognized arguments: --sse"),
    (
        &["--haproxy-config", "/x", "--group", "a"],
        "haproxy-config=/x group=a",
    ),
    (
        &["--lo"],
        "! ambiguous option: --lo could match --longhelp, --log-format",
    ),
    (
        &["--l"],
        "! ambiguous option: --l could match --longhelp, --listening, --log-format",
    ),
];

#[test]
fn words_are_read_as_argparse_reads_them() {
    for (parser, table) in [
        (MARATHON_LB, MARATHON_LB_TABLE),
        (SERVICEROUTER, SERVICEROUTER_TABLE),
    ] {
        for (words, outcome) in table {
            assert_eq!(read(parser, words), *outcome, "{words:?}");
        }
    }
}

#[test]
fn usage_and_help_are_laid_out_as_argparse_lays_them_out() {
    let usage = SERVICEROUTER.usage();
    assert_eq!(
        usage,
        "\
usage: servicerouter.py [-h] [--longhelp] [--marathon MARATHON [MARATHON ...]]
                        [--listening LISTENING]
                        [--syslog-socket SYSLOG_SOCKET]
                        [--log-format LOG_FORMAT]
                        [--haproxy-config HAPROXY_CONFIG] [--group GROUP]
"
    );
    let help = SERVICEROUTER.help();
    let begin = format!("{usage}\nReads what it is told\n\noptions:\n");
    let options = help.strip_prefix(&begin).unwrap();
    assert!(
        options.starts_with(
            "  -h, --help            show this help message and exit\n  --longhelp            Print"
        ),
        "{options}"
    );
    assert!(options.contains(
        "\n  --marathon MARATHON [MARATHON ...], -m MARATHON [MARATHON ...]\n                        The Marathon"
    ));
    // As in argparse, a part of the usage that is too wide stands as it is.
    let widest = MARATHON_LB
        .help()
        .lines()
        .skip_while(|line| !line.is_empty())
        .map(|line| line.chars().count())
        .max();
    assert!(widest <= Some(80), "{widest:?}");
}

#[test]
fn a_program_with_a_long_name_has_a_line_of_its_own() {
    let long = Parser {
        program: "haproxy-marathon-bridge-of-a-name-that-goes-on-and-on servicerouter",
        ..SERVICEROUTER
    };
    assert!(
        long.usage().starts_with(
            "usage: haproxy-marathon-bridge-of-a-name-that-goes-on-and-on servicerouter\n       [-h] [--longhelp]"
        ),
        "{}",
        long.usage()
    );
}

#[test]
fn what_could_be_credentials_is_not_shown() {
    for words in [
        &[
            "--auth-credential",
            "joe:s3cret",
            "--auth-cred",
            "joe:s3cret",
            "x",
        ][..],
        &["--auth-credentails", "joe:s3cret"],
        &["--auth-credentails=joe:s3cret"],
        &["--auth=joe:s3cret", "--auth-nothing=joe:s3cret"],
        &[
            "--marathon-auth=joe:s3cret",
            "--a=joe:s3cret",
            "--cred=s3cret",
        ],
        &["--", "--auth-credentials", "joe:s3cret"],
    ] {
        let told = read(MARATHON_LB, words);
        let shown = told.strip_prefix('!').unwrap_or_default();
        assert!(!shown.contains("s3cret"), "{words:?}: {told}");
    }
}
