//! Which apps are served, and where they say how.

use super::super::command::ASKING;
use super::super::{
    Definition, Fallback, Form, Heading, MAX_AUTO_PORT, MIN_AUTO_PORT, Many, One, Switch, Takes,
};
use super::{one_of, put, value};
use crate::config::SettingsFrom;

const SETTINGS_FROM: [(&str, SettingsFrom); 3] = [
    ("labels", SettingsFrom::Labels),
    ("env", SettingsFrom::Env),
    ("env,labels", SettingsFrom::EnvAndLabels),
];

pub(super) static APPS: &[Definition] = &[
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
        heading: Heading::Apps,
        commands: ASKING,
    },
    Definition {
        name: "settings-from",
        short: None,
        takes: Takes::One(
            value("PLACE", one_of(&const { value::words(&SETTINGS_FROM) })),
            One(|c, text| {
                put(
                    &mut c.apps.settings_from,
                    value::choice(text, &SETTINGS_FROM),
                )
            }),
        ),
        fallback: Fallback::Rule("labels"),
        summary: "Where apps say how they want to be served",
        details: "labels: in their labels. env: in their environment, under the same names, as servicerouter.py had it. env,labels: in both; where both name a setting, the label counts.",
        heading: Heading::Apps,
        commands: ASKING,
    },
    Definition {
        name: "health-check",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.apps.health_check = on)),
        fallback: Fallback::Value("false"),
        summary: "Use only tasks that Marathon reports alive",
        details: "It concerns apps that have health checks in Marathon.",
        heading: Heading::Apps,
        commands: ASKING,
    },
    Definition {
        name: "serve-scaled-to-zero",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.apps.serve_scaled_to_zero = on)),
        fallback: Fallback::Value("false"),
        summary: "Answer for apps without tasks with a page and 503, instead of not at all",
        details: "Their service ports stay open and their host names stay theirs. Template set native only.",
        heading: Heading::Apps,
        commands: ASKING,
    },
    Definition {
        name: "strict-mode",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.apps.strict_mode = on)),
        fallback: Fallback::Value("false"),
        summary: "Serve only what its app enables, as by HAPROXY_0_ENABLED",
        details: "",
        heading: Heading::Apps,
        commands: ASKING,
    },
    Definition {
        name: MIN_AUTO_PORT,
        short: None,
        takes: Takes::One(
            value("PORT", Form::Text),
            One(|c, text| put(&mut c.apps.auto_ports.low, value::port_or_none(text))),
        ),
        fallback: Fallback::Value("10050"),
        summary: "The lowest service port for apps that name none",
        details: "It is for apps whose tasks have addresses of their own. With 0 here and as the highest, such apps get no service port.",
        heading: Heading::Apps,
        commands: ASKING,
    },
    Definition {
        name: MAX_AUTO_PORT,
        short: None,
        takes: Takes::One(
            value("PORT", Form::Text),
            One(|c, text| put(&mut c.apps.auto_ports.high, value::port_or_none(text))),
        ),
        fallback: Fallback::Value("10100"),
        summary: "The highest service port for apps that name none",
        details: "",
        heading: Heading::Apps,
        commands: ASKING,
    },
];
