//! When `watch` takes a turn.

use super::super::{Command, Definition, Fallback, Form, Heading, One, Takes};
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
        name: "poll",
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
];
