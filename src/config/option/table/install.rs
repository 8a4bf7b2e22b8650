//! How this program is put on a host.

use super::super::command::Command;
use super::super::{
    CRON, Definition, Fallback, Form, Heading, One, ROOT, SERVICE, Switch, TIMER, Takes,
};
use super::{put, value};

const INSTALLING: &[Command] = &[Command::Install, Command::Uninstall];

pub(super) static INSTALLATION: &[Definition] = &[
    Definition {
        name: CRON,
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.install.cron = on)),
        fallback: Fallback::Value("false"),
        summary: "Have cron take a turn every minute",
        details: "Of --cron, --timer and --service one at most; without them --service where systemd \
                  runs, else --cron.",
        heading: Heading::Install,
        commands: &[Command::Install],
    },
    Definition {
        name: TIMER,
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.install.timer = on)),
        fallback: Fallback::Value("false"),
        summary: "Have a timer of systemd take a turn every minute",
        details: "",
        heading: Heading::Install,
        commands: &[Command::Install],
    },
    Definition {
        name: SERVICE,
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.install.service = on)),
        fallback: Fallback::Value("false"),
        summary: "Have a service of systemd follow Marathon: it runs `watch`",
        details: "",
        heading: Heading::Install,
        commands: &[Command::Install],
    },
    Definition {
        name: "dry-run",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.install.dry_run = on)),
        fallback: Fallback::Value("false"),
        summary: "Tell what would be done, and do nothing",
        details: "",
        heading: Heading::Install,
        commands: INSTALLING,
    },
    Definition {
        name: ROOT,
        short: None,
        takes: Takes::One(
            value("DIR", Form::Folder),
            One(|c, text| put(&mut c.install.root, value::path(text).map(Some))),
        ),
        fallback: Fallback::Nothing,
        summary: "Install into this tree of a system, as for an image",
        details: "Files alone are written, and no command is run; what is left to the system that the \
                  tree becomes is told.",
        heading: Heading::Install,
        commands: INSTALLING,
    },
    Definition {
        name: "purge",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.install.purge = on)),
        fallback: Fallback::Value("false"),
        summary: "Remove also the options, the list of Marathons, and what is remembered",
        details: "",
        heading: Heading::Install,
        commands: &[Command::Uninstall],
    },
];
