//! The template sets that are compiled in, and what may replace their parts.

use anyhow::{Result, bail};

use crate::config::TemplateSet;

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
        include_str!("../../templates/bridge/haproxy.cfg.tera"),
    ),
    (
        "header.cfg",
        include_str!("../../templates/bridge/header.cfg.tera"),
    ),
    (
        "listen.cfg",
        include_str!("../../templates/bridge/listen.cfg.tera"),
    ),
];

const fn built_in(set: TemplateSet) -> &'static [(&'static str, &'static str)] {
    match set {
        TemplateSet::Bridge => BRIDGE,
        TemplateSet::MarathonLb | TemplateSet::Servicerouter => &[],
    }
}

/// Names of the templates of `set`; a file in `--template-dir` replaces one when it bears its name
/// and `.tera`.
pub fn template_names(set: TemplateSet) -> impl Iterator<Item = &'static str> {
    built_in(set).iter().map(|(name, _)| *name)
}

pub(super) fn templates(set: TemplateSet, overrides: &[Override]) -> Result<Vec<(&str, &str)>> {
    if built_in(set).is_empty() {
        bail!("this template set comes with a later version");
    }
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
    Ok(built_in(set)
        .iter()
        .map(|&(name, text)| {
            let own = overrides.iter().find(|file| file.name == name);
            (name, own.map_or(text, |file| &file.text))
        })
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
