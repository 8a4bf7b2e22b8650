//! What is rendered, and where it goes.

use super::super::command::{ASKING, Command, RENDERING};
use super::super::{Definition, EXTRA_CONFIG, Fallback, Form, Heading, One, Takes};
use super::{one_of, put, value};
use crate::config::TemplateSet;

const TEMPLATE_SETS: [(&str, TemplateSet); 3] = [
    ("native", TemplateSet::Native),
    ("bridge", TemplateSet::Bridge),
    ("marathon-lb", TemplateSet::MarathonLb),
];

pub(super) static TEMPLATES: &[Definition] = &[
    Definition {
        name: "template-set",
        short: None,
        takes: Takes::One(
            value("SET", one_of(&const { value::words(&TEMPLATE_SETS) })),
            One(|c, text| put(&mut c.templates.set, value::choice(text, &TEMPLATE_SETS))),
        ),
        fallback: Fallback::Rule("native; bridge for the calls of the bash bridge"),
        summary: "What is rendered",
        details: "native: shared frontends that find the app named most precisely, by host and \
                  path, and a frontend and a backend for each app and service port. bridge: a header, and a TCP `listen` for each app and service port. marathon-lb: \
                  as marathon-lb 1.15 wrote them.",
        heading: Heading::Templates,
        commands: ASKING,
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
        name: EXTRA_CONFIG,
        short: None,
        takes: Takes::One(
            value("DIR", Form::Folder),
            One(|c, text| put(&mut c.templates.extra, value::path(text).map(Some))),
        ),
        fallback: Fallback::Nothing,
        summary: "Put the sections of the files *.cfg in this folder at the end of haproxy.cfg",
        details: "In the order of their names; HAProxy checks and runs them with the rest. Template set native only.",
        heading: Heading::Templates,
        commands: ASKING,
    },
    Definition {
        name: "template-labels",
        short: None,
        takes: Takes::One(
            value("WHOSE", Form::Text),
            One(|c, text| put(&mut c.templates.labels, value::template_labels(text))),
        ),
        fallback: Fallback::Rule("none"),
        summary: "Whose labels may replace templates",
        details: "all, none, or groups parted by commas. A group that begins with a slash is a folder \
                  of Marathon, /infra, with all apps in it; any other is one of HAPROXY_GROUP, which \
                  app owners write themselves. Such a label is HAPROXY_0_, or another number, and \
                  the name of a template; its text is in the language of marathon-lb. Who may \
                  write one has a say in the text of the file.",
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
];
