//! How the running HAProxy is brought to new files.

use super::super::command::{APPLYING, Command, REACHING_HAPROXY, TELLING};
use super::super::{Definition, Fallback, Form, Heading, One, RELOAD, RELOAD_COMMAND, Takes};
use super::{one_of, put, value};
use crate::config::{ReloadCommand, ReloadMethod};

const RELOAD_METHODS: [(&str, ReloadMethod); 6] = [
    ("auto", ReloadMethod::Auto),
    ("sf", ReloadMethod::Sf),
    ("master", ReloadMethod::Master),
    ("systemd", ReloadMethod::Systemd),
    ("command", ReloadMethod::Command),
    ("none", ReloadMethod::None),
];

const RUNTIME_API: [(&str, bool); 2] = [("auto", true), ("off", false)];

/// Whether `text` names a method of reloading.
pub(in crate::config) fn is_reload_method(text: &str) -> bool {
    RELOAD_METHODS.iter().any(|&(word, _)| word == text)
}

pub(super) static RELOADING: &[Definition] = &[
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
        commands: REACHING_HAPROXY,
    },
    Definition {
        name: "runtime-api",
        short: None,
        takes: Takes::One(
            value("WHEN", one_of(&const { value::words(&RUNTIME_API) })),
            One(|c, text| put(&mut c.reload.runtime_api, value::choice(text, &RUNTIME_API))),
        ),
        fallback: Fallback::Rule(
            "auto; off for the command lines of marathon-lb and servicerouter.py",
        ),
        summary: "Whether HAProxy is told of tasks that come and go without a reload",
        details: "auto: on its stats socket, where nothing but servers, rows of \
                  maps and certificates changed, and HAProxy can do it: from 2.6 on, and from 2.2 on \
                  with --server-slots; else it is reloaded, and the log says why. The file of the sets \
                  native and marathon-lb is made for it. off: it is reloaded for every change.",
        heading: Heading::Reload,
        commands: TELLING,
    },
    Definition {
        name: "reloads-apart",
        short: None,
        takes: Takes::One(
            value("TIME", Form::Text),
            One(|c, text| put(&mut c.reload.apart, value::age(text))),
        ),
        fallback: Fallback::Value("2s"),
        summary: "The least time between two reloads, while HAProxy is told of servers",
        details: "Up to a half more, so that not all hosts reload at once. What comes meanwhile is \
                  brought by the next one; servers do not wait for it. With 0s, and without \
                  --runtime-api auto, none waits.",
        heading: Heading::Reload,
        commands: &[Command::Watch],
    },
    Definition {
        name: RELOAD_COMMAND,
        short: None,
        takes: Takes::One(
            value("COMMAND", Form::CommandLine),
            One(|c, text| {
                put(
                    &mut c.reload.command,
                    value::command(text).map(|line| Some(ReloadCommand::Shell(line))),
                )
            }),
        ),
        fallback: Fallback::Nothing,
        summary: "Run this by `sh -c` to reload; implies --reload command",
        details: "",
        heading: Heading::Reload,
        commands: REACHING_HAPROXY,
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
        details: "A HAProxy that is started by this program has 5s at least, since it tries for 2s \
                  to listen and could be lost where it is killed meanwhile. Every other command is \
                  ended after this time: give it more than it takes.",
        heading: Heading::Reload,
        commands: APPLYING,
    },
    Definition {
        name: "max-reload-retries",
        short: None,
        takes: Takes::One(
            value("NUMBER", Form::Text),
            One(|c, text| put(&mut c.reload.max_retries, value::number(text).map(Some))),
        ),
        fallback: Fallback::Value("0"),
        summary: "How often a reload that failed is tried again at once",
        details: "It is tried again in later turns whatever is said here.",
        heading: Heading::Reload,
        commands: APPLYING,
    },
    Definition {
        name: "reload-interval",
        short: None,
        takes: Takes::One(
            value("TIME", Form::Text),
            One(|c, text| put(&mut c.reload.interval, value::wait(text))),
        ),
        fallback: Fallback::Value("10s"),
        summary: "How long each of these tries is given",
        details: "",
        heading: Heading::Reload,
        commands: APPLYING,
    },
];
