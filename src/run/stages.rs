//! The stages of a turn, as the configuration wants them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::config::{Config, GroupRule, Names};
use crate::cycle::{Marathon, Stages};
use crate::disk::Digest;
use crate::marathon::Client;
use crate::render::{Override, Renderer};
use crate::resolve::{Resolver, System};

/// With `names`, host names have to resolve; without, nobody asks.
pub(super) fn stages(
    config: &Config,
    names: Option<(Resolver<System>, Names)>,
) -> Result<Stages<Marathon, System>> {
    let renderer = renderer(config)?;
    let groups = groups(config);
    Ok(Stages {
        decisions: decisions(config, &groups, &renderer),
        source: Marathon {
            client: Client::new(&config.marathon)?,
            text_first: config.policy.asks_text_first,
        },
        serving: config.policy.serving_tasks,
        groups,
        resolver: names,
        renderer,
        allow_removal: config.allow_removal,
    })
}

/// Two runs that differ in none of this make the same files of the same answer.
fn decisions(config: &Config, groups: &[String], renderer: &Renderer) -> Digest {
    let all = (
        env!("CARGO_PKG_VERSION"),
        config.policy,
        groups,
        config.haproxy.version,
        renderer.fingerprint(),
    );
    Digest::of(format!("{all:?}").as_bytes())
}

fn groups(config: &Config) -> Vec<String> {
    if config.policy.groups == GroupRule::Everything {
        return vec!["*".to_owned()];
    }
    config.groups.clone()
}

/// The templates of the set, with those of `--template-dir` in their place.
pub(super) fn renderer(config: &Config) -> Result<Renderer> {
    let overrides = match &config.templates.dir {
        Some(dir) => overrides(dir)?,
        None => Vec::new(),
    };
    Renderer::new(config.templates.set, &overrides)
}

fn overrides(dir: &Path) -> Result<Vec<Override>> {
    let unreadable = || format!("--template-dir `{}` cannot be read", dir.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let Some(name) = name.strip_suffix(".tera") else {
            continue;
        };
        let text = fs::read_to_string(&path)
            .with_context(|| format!("template `{}` cannot be read", path.display()))?;
        files.push(Override {
            name: name.to_owned(),
            file: path.display().to_string(),
            text,
        });
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}
