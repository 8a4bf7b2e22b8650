//! HAProxy on this host, and the file that is kept in step.

use super::super::command::{
    APPLYING, Command, OF_A_FILE, REACHING_HAPROXY, SEEKING_HAPROXY, USING_HAPROXY,
    WRITING_ITS_DIALECT,
};
use super::super::{Definition, Fallback, Form, Heading, One, Switch, Takes};
use super::{put, value};

pub(super) static HAPROXY: &[Definition] = &[
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
        commands: WRITING_ITS_DIALECT,
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
        commands: REACHING_HAPROXY,
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
        commands: REACHING_HAPROXY,
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
        commands: SEEKING_HAPROXY,
    },
    Definition {
        name: "in-place",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.in_place = on)),
        fallback: Fallback::Value("false"),
        summary: "Write over the installed files instead of replacing them",
        details: "For files that are mounted from elsewhere, as into a container. A HAProxy that \
                  reads a file in that moment finds a part of it.",
        heading: Heading::Haproxy,
        commands: APPLYING,
    },
    Definition {
        name: "skip-validation",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.validation.skip = on)),
        fallback: Fallback::Value("false"),
        summary: "Do not ask HAProxy whether it would take the files",
        details: "A file that it refuses takes everything down at the next start.",
        heading: Heading::Haproxy,
        commands: &[Command::Refresh, Command::Watch],
    },
    Definition {
        name: "skip-config-cleanup",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.validation.skip_cleanup = on)),
        fallback: Fallback::Value("false"),
        summary: "When HAProxy refuses the files, keep the old ones and leave no app out",
        details: "",
        heading: Heading::Haproxy,
        commands: &[Command::Refresh, Command::Watch],
    },
];
