//! When `watch` takes a turn, and where it answers.

use super::super::command::ANSWERED;
use super::super::{
    CALLBACK_LISTEN, CALLBACK_URL, Command, Definition, Fallback, Form, Heading, One, POLL, Takes,
};
use super::{put, value};

pub(super) static WATCHING: &[Definition] = &[
    Definition {
        name: "debounce",
        short: None,
        takes: Takes::One(
            value("MIN:MAX", Form::Text),
            One(|c, text| put(&mut c.watch.debounce, value::debounce(text))),
        ),
        fallback: Fallback::Value("100ms:2s"),
        summary: "How long changes are gathered before they are applied together",
        details: "After a time without any, the first change is applied at once. Those that follow \
                  are gathered until none has come for MIN, and no longer than MAX.",
        heading: Heading::Watch,
        commands: &[Command::Watch],
    },
    Definition {
        name: "resync",
        short: None,
        takes: Takes::One(
            value("TIME", Form::Text),
            One(|c, text| put(&mut c.watch.resync, value::wait(text))),
        ),
        fallback: Fallback::Value("5m"),
        summary: "How often everything is asked while no event comes",
        details: "Up to a fifth less, so that not all hosts ask at once. While Marathon tells no \
                  events, everything is asked every 15 s.",
        heading: Heading::Watch,
        commands: &[Command::Watch],
    },
    Definition {
        name: POLL,
        short: None,
        takes: Takes::One(
            value("TIME", Form::Text),
            One(|c, text| put(&mut c.watch.poll, value::wait(text).map(Some))),
        ),
        fallback: Fallback::Nothing,
        summary: "Ask for everything this often and follow no events",
        details: "",
        heading: Heading::Watch,
        commands: &[Command::Watch],
    },
    Definition {
        name: "max-backoff",
        short: None,
        takes: Takes::One(
            value("TIME", Form::Text),
            One(|c, text| put(&mut c.marathon.max_backoff, value::wait(text))),
        ),
        fallback: Fallback::Value("30s"),
        summary: "The longest pause before Marathon is asked for its events again",
        details: "Pauses double from half a second, and up to half of each is left to chance.",
        heading: Heading::Watch,
        commands: &[Command::Watch],
    },
    Definition {
        name: CALLBACK_URL,
        short: None,
        takes: Takes::One(
            value("URL", Form::Url),
            One(|c, text| put(&mut c.watch.callback_url, value::callback(text).map(Some))),
        ),
        fallback: Fallback::Nothing,
        summary: "Have a Marathon up to 1.4 send its events here",
        details: "For a Marathon whose stream of events cannot be reached; it has to run with \
                  --event_subscriber http_callback. A secret part is added to the path, by which \
                  Marathon is known.",
        heading: Heading::Watch,
        commands: &[Command::Watch],
    },
    Definition {
        name: CALLBACK_LISTEN,
        short: None,
        takes: Takes::One(
            value("ADDRESS:PORT", Form::Text),
            One(|c, text| {
                put(
                    &mut c.watch.callback_listen,
                    value::socket_address(text).map(Some),
                )
            }),
        ),
        fallback: Fallback::Rule("0.0.0.0 and the port of --callback-url"),
        summary: "Where Marathon's events are taken in for --callback-url",
        details: "",
        heading: Heading::Watch,
        commands: &[Command::Watch],
    },
    Definition {
        name: "admin-socket",
        short: None,
        takes: Takes::One(
            value("PATH", Form::File),
            One(|c, text| put(&mut c.watch.admin_socket, value::socket_path(text))),
        ),
        fallback: Fallback::Value("/var/run/haproxy/marathon-bridge.sock"),
        summary: "Where a watcher answers HAProxy, `status` and metrics, or none",
        details: "A Unix socket for root, the user of the watcher and the group haproxy. Files of \
                  the native set and of marathon-lb's name it, so that it has to be the same for all \
                  commands; the native one leads to none whose path has more than 97 bytes.",
        heading: Heading::Watch,
        commands: ANSWERED,
    },
];
