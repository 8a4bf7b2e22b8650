//! The template sets that are compiled in, and what may replace their parts.

mod marathon_lb;

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use self::marathon_lb::{MARATHON_LB, NATIVE, SERVICEROUTER};
use super::fragments;
use crate::config::TemplateSet;
use crate::labels::Template;

/// A file that replaces a template of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Name of the template, the file's name without `.tera`: `listen.cfg`.
    pub name: String,
    /// Where it was read, for messages.
    pub file: String,
    /// What it says.
    pub text: String,
}

const BRIDGE: &[(&str, &str)] = &[
    (
        "haproxy.cfg",
        include_str!("../../../templates/bridge/haproxy.cfg.tera"),
    ),
    (
        "header.cfg",
        include_str!("../../../templates/bridge/header.cfg.tera"),
    ),
    (
        "listen.cfg",
        include_str!("../../../templates/bridge/listen.cfg.tera"),
    ),
];

/// Later ones replace earlier ones of the same name.
const fn built_in(set: TemplateSet) -> &'static [&'static [(&'static str, &'static str)]] {
    match set {
        TemplateSet::Bridge => &[BRIDGE],
        TemplateSet::MarathonLb => &[MARATHON_LB],
        TemplateSet::Servicerouter => &[MARATHON_LB, SERVICEROUTER],
        TemplateSet::Native => &[MARATHON_LB, NATIVE],
    }
}

/// Names of the templates of `set`; a file in `--template-dir` replaces one when it bears its name
/// and `.tera`.
pub fn template_names(set: TemplateSet) -> impl Iterator<Item = &'static str> {
    // Those which nothing is made of, but which marathon-lb's set needs to be whole.
    let unused = Template::ALL.iter().copied();
    let unused = unused.filter(move |template| {
        set == TemplateSet::Native && fragments::is_of_shared_frontend(*template)
    });
    let unused: Vec<String> = unused.map(fragments::file_name).collect();
    all_names(set)
        .into_iter()
        .filter(move |name| !unused.iter().any(|unused| unused == name))
}

fn all_names(set: TemplateSet) -> BTreeSet<&'static str> {
    let parts = built_in(set).iter().copied().flatten();
    parts.map(|(name, _)| *name).collect()
}

pub(super) fn templates(
    set: TemplateSet,
    overrides: &[Override],
) -> Result<Vec<(&'static str, &str)>> {
    for file in overrides {
        if !template_names(set).any(|name| name == file.name) {
            let names: Vec<_> = template_names(set)
                .map(|name| format!("{name}.tera"))
                .collect();
            bail!(
                "template `{}`: expected one of {}",
                file.file,
                names.join(", ")
            );
        }
    }
    let text = |name: &str| {
        let own = overrides.iter().find(|file| file.name == name);
        let given = || {
            let parts = built_in(set).iter().rev().copied().flatten();
            parts
                .clone()
                .find(|(own, _)| *own == name)
                .map(|(_, text)| *text)
        };
        own.map(|file| file.text.as_str()).or_else(given)
    };
    Ok(all_names(set)
        .into_iter()
        .filter_map(|name| Some((name, text(name)?)))
        .collect())
}

/// Tera knows templates by their names; people look for files.
pub(super) fn with_file(message: &str, overrides: &[Override]) -> String {
    let mut message = message.to_owned();
    for file in overrides {
        message = message.replace(&format!("--> {}", file.name), &format!("--> {}", file.file));
    }
    message
}
