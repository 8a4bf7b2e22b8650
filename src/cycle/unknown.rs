//! Labels of served apps that nobody reads: misspelt ones, and those of ports that the app has not.

use std::collections::BTreeMap;

use super::plan::Plan;
use crate::cluster::{App, AppId, LONGEST_NAME, Warning, cut};
use crate::labels;

impl Plan {
    /// Warnings for labels that are called as ours are, and are none.
    #[must_use]
    pub fn unread_labels(&self) -> Vec<Warning> {
        let Some(said) = &self.draft.wanted.said else {
            return Vec::new();
        };
        // An app has more ports than are written where they are found out by its tasks.
        let mut apps: BTreeMap<&AppId, (&App, usize)> = BTreeMap::new();
        for ((_, index), spoken) in &said.options {
            let app = &*spoken.app;
            let (_, ports) = apps.entry(&app.id).or_insert((app, 0));
            *ports = (*ports).max(index + 1);
        }
        let all = apps.into_values().flat_map(|(app, ports)| {
            let is_port = move |position| position < ports || app.written_port(position).is_some();
            let names = app.labels.keys().filter(|name| name.starts_with("HAPROXY"));
            names.filter_map(move |name| {
                let (found, expected) = fault(name, is_port)?;
                Some(Warning {
                    app: Some(app.id.clone()),
                    subject: format!("label `{}`", cut(name, LONGEST_NAME).escape_debug()),
                    found: found.to_owned(),
                    expected: expected.to_owned(),
                    effect: "not used".to_owned(),
                })
            })
        });
        all.collect()
    }
}

fn fault(name: &str, is_port: impl Fn(usize) -> bool) -> Option<(&'static str, &'static str)> {
    if !labels::is_known(name) {
        return Some((
            "a name that no label has",
            "`HAPROXY_<name>` or `HAPROXY_{n}_<name>` with a name that is known, in capitals",
        ));
    }
    let position = labels::position(name)?;
    (!position.parse().is_ok_and(is_port)).then_some((
        "a position at which the app has no port",
        "one of the app's ports, counted from 0",
    ))
}
