//! The table itself.

use super::access;
use super::command::{
    ALL, APPLYING, ASKING, Command, OF_A_FILE, RENDERING, USING_HAPROXY, WEIGHING, WRITING_STATE,
};
use super::{CONFIG, INSECURE, MARATHON, MARATHON_CA_CERT, RELOAD, RELOAD_COMMAND, STATE_DIR};
use super::{Definition, Fallback, Form, Heading, Many, One, Switch, Takes, Value};
use crate::config::value::{self, Expected};
use crate::config::{LogDestination, LogFormat, LogLevel, ReloadMethod, TemplateSet};

const TEMPLATE_SETS: [(&str, TemplateSet); 1] = [("bridge", TemplateSet::Bridge)];

const RELOAD_METHODS: [(&str, ReloadMethod); 6] = [
    ("auto", ReloadMethod::Auto),
    ("sf", ReloadMethod::Sf),
    ("master", ReloadMethod::Master),
    ("systemd", ReloadMethod::Systemd),
    ("command", ReloadMethod::Command),
    ("none", ReloadMethod::None),
];

const LOG_LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

const LOG_DESTINATIONS: [(&str, LogDestination); 3] = [
    ("stderr", LogDestination::Stderr),
    ("syslog", LogDestination::Syslog),
    ("journald", LogDestination::Journald),
];

const LOG_FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

/// Whether `text` names a method of reloading.
pub(in crate::config) fn is_reload_method(text: &str) -> bool {
    RELOAD_METHODS.iter().any(|&(word, _)| word == text)
}

const fn one_of(words: &'static [&'static str]) -> Form {
    Form::OneOf(words)
}

const fn value(name: &'static str, form: Form) -> Value {
    Value { name, form }
}

/// Puts what was read into its field.
fn put<T>(field: &mut T, read: Result<T, Expected>) -> Result<(), Expected> {
    *field = read?;
    Ok(())
}

/// Every option, in the order in which they are shown.
pub static TABLE: &[Definition] = &[
    Definition {
        name: MARATHON,
        short: Some('m'),
        takes: Takes::Many(
            value("URL", Form::Url),
            Many {
                list: |c| &mut c.marathon.urls,
                check: value::marathon,
            },
        ),
        fallback: Fallback::Rule("the list in /etc/haproxy-marathon-bridge/marathons"),
        summary: "A Marathon of the cluster",
        details: "Give it once for each node: they are asked in this order until one answers. The \
                  scheme is optional (then http), a path may follow, and `file:PATH` reads a saved \
                  answer. User and password may stand before the host (write a comma in them as \
                  %2C), but everybody can read them in the process list: the file or the list is a \
                  better place.",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    Definition {
        name: "group",
        short: None,
        takes: Takes::Many(
            value("NAME", Form::Text),
            Many {
                list: |c| &mut c.groups,
                check: value::group,
            },
        ),
        fallback: Fallback::Value("*"),
        summary: "Serve the apps of this group",
        details: "Give it once for each group; * stands for all apps, with and without a group. \
                  The calls of the bash bridge serve everything, whatever is said here.",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    Definition {
        name: MARATHON_CA_CERT,
        short: None,
        takes: Takes::One(
            value("FILE", Form::File),
            One(|c, text| put(&mut c.marathon.ca_cert, value::path(text).map(Some))),
        ),
        fallback: Fallback::Rule("the certificates of the system"),
        summary: "Trust the certificates in this PEM file, and no others",
        details: "For the calls of the bash bridge it also turns verification on.",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    Definition {
        name: INSECURE,
        short: None,
        takes: Takes::Nothing(Switch(|c| &mut c.marathon.insecure)),
        fallback: Fallback::Rule("false; true for the calls of the bash bridge"),
        summary: "Do not verify Marathon's certificate",
        details: "",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    Definition {
        name: "proxy-from-environment",
        short: None,
        takes: Takes::Nothing(Switch(|c| &mut c.marathon.proxy_from_environment)),
        fallback: Fallback::Value("false"),
        summary: "Ask Marathon through the proxy of http_proxy and https_proxy",
        details: "",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    Definition {
        name: "connect-timeout",
        short: None,
        takes: Takes::One(
            value("TIME", Form::Text),
            One(|c, text| put(&mut c.marathon.connect_timeout, value::wait(text))),
        ),
        fallback: Fallback::Value("3s"),
        summary: "How long a connection to Marathon may take",
        details: "",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    Definition {
        name: "read-timeout",
        short: None,
        takes: Takes::One(
            value("TIME", Form::Text),
            One(|c, text| put(&mut c.marathon.read_timeout, value::wait(text))),
        ),
        fallback: Fallback::Value("10s"),
        summary: "How long Marathon may be silent within an answer",
        details: "",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    Definition {
        name: "fetch-timeout",
        short: None,
        takes: Takes::One(
            value("TIME", Form::Text),
            One(|c, text| put(&mut c.marathon.fetch_timeout, value::wait(text))),
        ),
        fallback: Fallback::Value("45s"),
        summary: "How long the whole answer may take",
        details: "",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    Definition {
        name: "max-body",
        short: None,
        takes: Takes::One(
            value("SIZE", Form::Text),
            One(|c, text| put(&mut c.marathon.max_body, value::size(text))),
        ),
        fallback: Fallback::Value("256MiB"),
        summary: "How large an answer may be once it is decompressed",
        details: "With KiB, MiB or GiB, or in bytes.",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    access::CREDENTIALS_FILE,
    access::CREDENTIALS,
    access::TOKEN_FILE,
    access::DCOS_FILE,
    access::CLIENT_CERT,
    access::CLIENT_KEY,
    Definition {
        name: "haproxy-config",
        short: None,
        takes: Takes::One(
            value("PATH", Form::File),
            One(|c, text| put(&mut c.haproxy.config, value::path(text))),
        ),
        fallback: Fallback::Value("/etc/haproxy/haproxy.cfg"),
        summary: "The file that is kept in step; maps lie beside it",
        details: "",
        heading: Heading::Haproxy,
        commands: OF_A_FILE,
    },
    Definition {
        name: "haproxy",
        short: None,
        takes: Takes::One(
            value("PROGRAM", Form::Program),
            One(|c, text| put(&mut c.haproxy.program, value::path(text))),
        ),
        fallback: Fallback::Value("haproxy"),
        summary: "HAProxy's program: it judges each new file, and its version sets the dialect",
        details: "",
        heading: Heading::Haproxy,
        commands: USING_HAPROXY,
    },
    Definition {
        name: "haproxy-version",
        short: None,
        takes: Takes::One(
            value("X.Y", Form::Text),
            One(|c, text| put(&mut c.haproxy.version, value::version(text).map(Some))),
        ),
        fallback: Fallback::Rule("what the program says of itself"),
        summary: "Write for this version of HAProxy",
        details: "",
        heading: Heading::Haproxy,
        commands: USING_HAPROXY,
    },
    Definition {
        name: "stats-socket",
        short: None,
        takes: Takes::One(
            value("PATH", Form::File),
            One(|c, text| put(&mut c.haproxy.stats_socket, value::path(text).map(Some))),
        ),
        fallback: Fallback::Rule("the one that the installed file names"),
        summary: "Where the running HAProxy answers",
        details: "",
        heading: Heading::Haproxy,
        commands: APPLYING,
    },
    Definition {
        name: "master-socket",
        short: None,
        takes: Takes::One(
            value("PATH", Form::File),
            One(|c, text| put(&mut c.haproxy.master_socket, value::path(text).map(Some))),
        ),
        fallback: Fallback::Nothing,
        summary: "Where the master process of the running HAProxy answers",
        details: "",
        heading: Heading::Haproxy,
        commands: APPLYING,
    },
    Definition {
        name: "pid-file",
        short: None,
        takes: Takes::One(
            value("PATH", Form::File),
            One(|c, text| put(&mut c.haproxy.pid_file, value::path(text))),
        ),
        fallback: Fallback::Value("/run/haproxy.pid"),
        summary: "Where the running HAProxy left its process id",
        details: "",
        heading: Heading::Haproxy,
        commands: APPLYING,
    },
    Definition {
        name: "in-place",
        short: None,
        takes: Takes::Nothing(Switch(|c| &mut c.in_place)),
        fallback: Fallback::Value("false"),
        summary: "Write over the installed files instead of replacing them",
        details: "For files that are mounted from elsewhere, as into a container. A HAProxy that \
                  reads a file in that moment finds a part of it.",
        heading: Heading::Haproxy,
        commands: APPLYING,
    },
    Definition {
        name: "template-set",
        short: None,
        takes: Takes::One(
            value("SET", one_of(&const { value::words(&TEMPLATE_SETS) })),
            One(|c, text| put(&mut c.templates.set, value::choice(text, &TEMPLATE_SETS))),
        ),
        fallback: Fallback::Rule("bridge"),
        summary: "What is rendered",
        details: "bridge: a header, and a TCP `listen` for each app and service port.",
        heading: Heading::Templates,
        commands: RENDERING,
    },
    Definition {
        name: "template-dir",
        short: None,
        takes: Takes::One(
            value("DIR", Form::Folder),
            One(|c, text| put(&mut c.templates.dir, value::path(text).map(Some))),
        ),
        fallback: Fallback::Nothing,
        summary: "Templates in this folder replace those of the set, file by file",
        details: "",
        heading: Heading::Templates,
        commands: RENDERING,
    },
    Definition {
        name: "out-dir",
        short: None,
        takes: Takes::One(
            value("DIR", Form::Folder),
            One(|c, text| put(&mut c.out_dir, value::path(text).map(Some))),
        ),
        fallback: Fallback::Rule("standard output"),
        summary: "Write haproxy.cfg and the maps into this folder",
        details: "",
        heading: Heading::Templates,
        commands: &[Command::Generate],
    },
    Definition {
        name: RELOAD,
        short: None,
        takes: Takes::One(
            value("METHOD", one_of(&const { value::words(&RELOAD_METHODS) })),
            One(|c, text| put(&mut c.reload.method, value::choice(text, &RELOAD_METHODS))),
        ),
        fallback: Fallback::Value("auto"),
        summary: "How the running HAProxy is brought to a new file",
        details: "auto: found out on this host. sf: a new process takes over the sockets of the \
                  old one. master: the master process is told. systemd: `systemctl reload \
                  haproxy`. command: --reload-command. none: files are installed, nothing is told.",
        heading: Heading::Reload,
        commands: APPLYING,
    },
    Definition {
        name: RELOAD_COMMAND,
        short: None,
        takes: Takes::One(
            value("COMMAND", Form::CommandLine),
            One(|c, text| put(&mut c.reload.command, value::command(text).map(Some))),
        ),
        fallback: Fallback::Nothing,
        summary: "Run this by `sh -c` to reload; implies --reload command",
        details: "",
        heading: Heading::Reload,
        commands: APPLYING,
    },
    Definition {
        name: "reload-timeout",
        short: None,
        takes: Takes::One(
            value("TIME", Form::Text),
            One(|c, text| put(&mut c.reload.timeout, value::wait(text))),
        ),
        fallback: Fallback::Value("30s"),
        summary: "After this time a reload without proof of success has failed",
        details: "",
        heading: Heading::Reload,
        commands: APPLYING,
    },
    Definition {
        name: STATE_DIR,
        short: None,
        takes: Takes::One(
            value("DIR", Form::Folder),
            One(|c, text| put(&mut c.state.dir, value::path(text))),
        ),
        fallback: Fallback::Rule("$STATE_DIRECTORY, else /var/lib/haproxy-marathon-bridge"),
        summary: "Where the program remembers what it did",
        details: "",
        heading: Heading::State,
        commands: OF_A_FILE,
    },
    Definition {
        name: "lock-file",
        short: None,
        takes: Takes::One(
            value("PATH", Form::File),
            One(|c, text| put(&mut c.state.lock_file, value::path(text).map(Some))),
        ),
        fallback: Fallback::Rule("`lock` in the part of the state folder for this file"),
        summary: "Held while this host is changed",
        details: "",
        heading: Heading::State,
        commands: WRITING_STATE,
    },
    Definition {
        name: "allow-removal",
        short: None,
        takes: Takes::Nothing(Switch(|c| &mut c.allow_removal)),
        fallback: Fallback::Value("false"),
        summary: "Apply an answer that takes away most of what is served",
        details: "Without it such an answer is held back until Marathon has repeated it.",
        heading: Heading::State,
        commands: WEIGHING,
    },
    Definition {
        name: "no-pause",
        short: None,
        takes: Takes::Nothing(Switch(|c| &mut c.no_pause)),
        fallback: Fallback::Value("false"),
        summary: "Let the next turn apply what it finds, be it what was gone back from",
        details: "Without it a rollback pauses: turns apply nothing until `resume`.",
        heading: Heading::State,
        commands: &[Command::Rollback],
    },
    Definition {
        name: "reason",
        short: None,
        takes: Takes::One(
            value("TEXT", Form::Text),
            One(|c, text| put(&mut c.reason, value::sentence(text).map(Some))),
        ),
        fallback: Fallback::Nothing,
        summary: "Why, in a few words for those who ask for the status",
        details: "",
        heading: Heading::State,
        commands: &[Command::Rollback, Command::Pause],
    },
    Definition {
        name: "json",
        short: None,
        takes: Takes::Nothing(Switch(|c| &mut c.json)),
        fallback: Fallback::Value("false"),
        summary: "Print a JSON object for machines",
        details: "Its keys stay as they are; new ones may be added.",
        heading: Heading::Settings,
        commands: &[Command::Status],
    },
    Definition {
        name: CONFIG,
        short: None,
        takes: Takes::One(
            value("FILE", Form::File),
            // It is read before there is a `Config`.
            One(|_, text| value::path(text).map(drop)),
        ),
        fallback: Fallback::Rule("/etc/haproxy-marathon-bridge/config.toml, if it exists"),
        summary: "Read options from this TOML file",
        details: "A key for each option, by its name. Options win over the environment, which \
                  wins over the file.",
        heading: Heading::Settings,
        commands: ALL,
    },
    Definition {
        name: "log",
        short: None,
        takes: Takes::One(
            value("WHERE", one_of(&const { value::words(&LOG_DESTINATIONS) })),
            One(|c, text| {
                put(
                    &mut c.log.destination,
                    value::choice(text, &LOG_DESTINATIONS),
                )
            }),
        ),
        fallback: Fallback::Value("stderr"),
        summary: "Where the log goes",
        details: "syslog: lines of the facility daemon as haproxy-marathon-bridge[PID], with the \
                  priorities err, warning, info and debug. journald: entries with fields of their \
                  own, such as HMB_APP. What does not get through goes to standard error.",
        heading: Heading::Settings,
        commands: ALL,
    },
    Definition {
        name: "syslog-socket",
        short: None,
        takes: Takes::One(
            value("PATH", Form::File),
            One(|c, text| put(&mut c.log.syslog_socket, value::path(text))),
        ),
        fallback: Fallback::Value("/dev/log"),
        summary: "Where syslog listens, for --log syslog and for `logged`",
        details: "Where there is no /dev/log, /var/run/syslog is tried too.",
        heading: Heading::Settings,
        commands: ALL,
    },
    Definition {
        name: "log-level",
        short: None,
        takes: Takes::One(
            value("LEVEL", one_of(&const { value::words(&LOG_LEVELS) })),
            One(|c, text| put(&mut c.log.level, value::choice(text, &LOG_LEVELS))),
        ),
        fallback: Fallback::Value("info"),
        summary: "How much is said in the log",
        details: "",
        heading: Heading::Settings,
        commands: ALL,
    },
    Definition {
        name: "log-format",
        short: None,
        takes: Takes::One(
            value("FORMAT", one_of(&const { value::words(&LOG_FORMATS) })),
            One(|c, text| put(&mut c.log.format, value::choice(text, &LOG_FORMATS))),
        ),
        fallback: Fallback::Value("text"),
        summary: "In which form: text for people, json for machines",
        details: "journald gets fields whatever is said here.",
        heading: Heading::Settings,
        commands: ALL,
    },
];
