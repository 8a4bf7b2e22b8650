//! Labels of served apps that nobody reads, most often misspelt ones.

use std::collections::BTreeMap;

use super::plan::Plan;
use crate::cluster::{AppId, Warning};
use crate::labels::{self, Settings};

impl Plan {
    /// Warnings for labels that are called as ours are, and are none.
    #[must_use]
    pub fn unknown_labels(&self) -> Vec<Warning> {
        let said = self.draft.wanted.said.iter();
        let spoken = said.flat_map(|said| said.options.values());
        let apps: BTreeMap<&AppId, &Settings> = spoken
            .map(|spoken| (&spoken.app.id, &spoken.app.labels))
            .collect();
        let all = apps.into_iter().flat_map(|(app, settings)| {
            let names = settings.keys();
            names.map(move |name| (app, &**name))
        });
        let unknown =
            all.filter(|(_, name)| name.starts_with("HAPROXY") && !labels::is_known(name));
        let warning = |(app, name): (&AppId, &str)| Warning {
            app: Some(app.clone()),
            subject: format!("label `{}`", name.escape_debug()),
            found: "a name that no label has".to_owned(),
            expected: "`HAPROXY_<name>` or `HAPROXY_{n}_<name>` with a name that is known, in \
                       capitals"
                .to_owned(),
            effect: "not used".to_owned(),
        };
        unknown.map(warning).collect()
    }
}
