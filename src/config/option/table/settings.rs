//! The file of options, and the log.

use super::super::command::{ALL, Command, TELLING_MACHINES};
use super::super::{CONFIG, Definition, Fallback, Form, Heading, One, Switch, Takes};
use super::{one_of, put, value};
use crate::config::{LogDestination, LogFormat, LogLevel};

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

pub(super) static SETTINGS: &[Definition] = &[
    Definition {
        name: "json",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.json = on)),
        fallback: Fallback::Value("false"),
        summary: "Print a JSON object for machines",
        details: "Its keys stay as they are; new ones may be added. Where nothing can be found out, \
                  nothing is printed, and the log says why.",
        heading: Heading::Settings,
        commands: TELLING_MACHINES,
    },
    Definition {
        name: "html",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.html = on)),
        fallback: Fallback::Value("false"),
        summary: "Print a page for a browser",
        details: "One document that needs nothing else, with the services and what HAProxy counts of \
                  them, whatever --json says. A watcher answers with the same at `/` on its socket, \
                  with its log; our own set has it at http://127.0.0.1:9090/marathon-bridge/ on \
                  HAProxy's host.",
        heading: Heading::Settings,
        commands: &[Command::Status],
    },
    Definition {
        name: "stay",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.stay = on)),
        fallback: Fallback::Value("false"),
        summary: "Keep the demo running until it is interrupted",
        details: "",
        heading: Heading::Settings,
        commands: &[Command::Demo],
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
        fallback: Fallback::Rule("stderr"),
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
        fallback: Fallback::Rule("info"),
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
