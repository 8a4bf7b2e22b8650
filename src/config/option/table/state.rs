//! What is remembered, and what is held back.

use super::super::command::{APPLYING, Command, JUDGING, OF_A_FILE, WEIGHING, WRITING_STATE};
use super::super::{Definition, Fallback, Form, Heading, One, STATE_DIR, Switch, Takes};
use super::{put, value};

pub(super) static STATE: &[Definition] = &[
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
        name: "archive-versions",
        short: None,
        takes: Takes::One(
            value("NUMBER", Form::Text),
            One(|c, text| put(&mut c.state.archive_versions, value::count(text))),
        ),
        fallback: Fallback::Value("5"),
        summary: "How many good sets of files are kept to go back to",
        details: "",
        heading: Heading::State,
        commands: APPLYING,
    },
    Definition {
        name: "allow-removal",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.allow_removal = on)),
        fallback: Fallback::Value("false"),
        summary: "Apply an answer that takes away most of what is served",
        details: "Without it such an answer is held back until Marathon has repeated it.",
        heading: Heading::State,
        commands: WEIGHING,
    },
    Definition {
        name: "retry-now",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.retry_now = on)),
        fallback: Fallback::Value("false"),
        summary: "Try a reload that failed, and what HAProxy refused, again at once",
        details: "Without it the pause between two reloads grows from 15 s to 10 min, and what HAProxy \
                  refused of a service port is asked again after 10 min, or first after 1 min where HAProxy named nobody. Other files than those that \
                  failed never wait.",
        heading: Heading::State,
        commands: &[Command::Refresh],
    },
    Definition {
        name: "max-age",
        short: None,
        takes: Takes::One(
            value("TIME", Form::Text),
            One(|c, text| put(&mut c.max_age, value::age(text))),
        ),
        fallback: Fallback::Value("15m"),
        summary: "How old the last turn may be until that, too, is wrong; 0s: of any age",
        details: "For a cron job that does not run any more. A watcher that answers says itself how it \
                  is; of one that does not, the last turn may be as old as its --resync and five \
                  minutes.",
        heading: Heading::State,
        commands: JUDGING,
    },
    Definition {
        name: "no-pause",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.no_pause = on)),
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
        commands: &[Command::Rollback, Command::Pause, Command::Drain],
    },
];
