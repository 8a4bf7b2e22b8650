//! Who may put text of its own in the place of templates, and what is told to whoever may not; and
//! whose apps one deployment may be made of.

use std::collections::BTreeMap;

use crate::cluster::{App, AppId, Members, Warning};
use crate::config::{TemplateLabels, Values};
use crate::labels::ServiceOptions;

/// An app of a deployment bears a name that its owner gave: here is which apps of Marathon it is.
#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<AppId, Vec<AppId>>);

impl Origins {
    /// As they were merged.
    pub(super) fn of(origins: BTreeMap<AppId, Vec<AppId>>) -> Self {
        Self(origins)
    }

    /// Which apps of Marathon it is.
    pub(super) fn apps<'a>(&'a self, app: &'a App) -> &'a [AppId] {
        let own = std::slice::from_ref(&app.id);
        self.0.get(&app.id).map_or(own, Vec::as_slice)
    }

    /// Whether all of it lies in the folder.
    fn lie_in(&self, app: &App, folder: &str) -> bool {
        let mut ids = self.apps(app).iter();
        let folder = folder.trim_end_matches('/');
        ids.all(|id| {
            let rest = id.as_str().strip_prefix(folder);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// Whose apps may be one deployment. The command lines of others keep their rule, by which everybody
/// joins and drains everybody.
pub(super) fn members(values: Values) -> Members {
    match values {
        Values::Typed => Members::OfFolder,
        Values::Verbatim => Members::OfAll,
    }
}

/// Whether the labels of a service port may replace templates.
pub(super) fn may_replace(
    templates: &TemplateLabels,
    app: &App,
    options: &ServiceOptions,
    origins: &Origins,
) -> bool {
    match templates {
        TemplateLabels::All => true,
        TemplateLabels::None => false,
        TemplateLabels::Of(groups) => groups.iter().any(|group| {
            if group.starts_with('/') {
                origins.lie_in(app, group)
            } else {
                options.groups.iter().any(|own| **own == **group)
            }
        }),
    }
}

/// What is told of each label that is of no use.
pub(super) fn unused(
    app: &AppId,
    index: usize,
    options: &ServiceOptions,
    templates: &TemplateLabels,
) -> Vec<Warning> {
    let expected = match templates {
        TemplateLabels::Of(groups) => format!(
            "such a label only of {}, as --template-labels says",
            groups.join(", ")
        ),
        _ => "no such label without --template-labels".to_owned(),
    };
    let warning = |template: &crate::labels::Template| Warning {
        app: Some(app.clone()),
        subject: format!("label `HAPROXY_{index}_{}`", template.name()),
        found: "a text in the place of a template".to_owned(),
        expected: expected.clone(),
        effect: "not used".to_owned(),
    };
    options.overrides.keys().map(warning).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cluster::fixtures::app;
    use crate::cluster::{Network, merge_deployments};

    #[test]
    fn a_folder_is_marathons_and_no_label_leads_into_it() {
        let named = |id: &str, group: Option<&str>| {
            let mut app = app(id, Network::Host);
            let label = |group: &str| ("HAPROXY_DEPLOYMENT_GROUP".into(), group.into());
            app.labels.extend(group.map(label));
            Arc::new(app)
        };
        let apps = [
            named("/ops/blue", Some("/ops/web")),
            named("/ops/green", Some("/ops/web")),
            named("/ops/x", Some("/ops/y")),
            named("/evil", Some("/ops/y")),
            named("/evil/2", Some("/ops")),
            // An app of this name has it already.
            named("/ops/b", None),
            named("/evil/3", Some("/ops/b")),
        ];
        let merged = merge_deployments(&apps, members(Values::Verbatim));
        let origins = Origins::of(merged.origins);
        let options = ServiceOptions {
            groups: vec!["staff".into()],
            ..ServiceOptions::default()
        };
        let may = |groups: &[&str], id: &str| {
            let groups = groups.iter().map(ToString::to_string).collect();
            let templates = TemplateLabels::Of(groups);
            may_replace(&templates, &named(id, None), &options, &origins)
        };
        for (groups, id, want) in [
            (&["/ops"][..], "/ops/a", true),
            (&["/ops/"], "/ops/a", true),
            (&["/ops"], "/ops/b", true),
            (&["/"], "/any", true),
            (&["/ops"], "/opsy/a", false),
            (&["/ops"], "/a/ops", false),
            (&["/ops"], "/ops/web", true),
            (&["/ops"], "/ops/y", false),
            (&["/ops"], "/ops", false),
            (&["staff"], "/a", true),
            (&["other", "/ops"], "/a", false),
        ] {
            assert_eq!(may(groups, id), want, "{groups:?} {id}");
        }
    }
}
