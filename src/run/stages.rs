//! The stages of a turn, as the configuration wants them.

use std::collections::BTreeSet;
use std::mem;
use std::path::Path;
use std::rc::Rc;

use anyhow::Result;

use super::site::{site, waits_for_program};
use crate::cluster::{AppId, HealthMemory, Selection};
use crate::config::{Config, GroupRule, Names, TemplateSet};
use crate::cycle::{Labelled, LastAnswer, Marathon, Recipe, Stages};
use crate::disk::{Digest, OsDisk};
use crate::haproxy::Version;
use crate::marathon::Client;
use crate::proxy::DefaultBackend;
use crate::proxy::marathon_lb::{Flavour, Shape};
use crate::proxy::native::SlotRule;
use crate::render::Renderer;
use crate::resolve::{Resolver, System};
use crate::state::Folder;

/// Of so many tasks the health is remembered while a program runs.
const REMEMBERED_TASKS: usize = 100_000;

/// With `names`, host names have to resolve; without, nobody asks.
pub(super) async fn stages(
    config: &Config,
    names: Option<(Resolver<System>, Names)>,
) -> Result<Stages<Marathon, System>> {
    made(config, names, renderer(config).await?)
}

/// The same for who may wait: where templates or sections of the host's own cannot be used, or HAProxy
/// tells no version, the stages are made without, and it is told why. Nothing of what these make may be
/// installed.
///
/// # Errors
/// Where they cannot be made without either.
pub(super) async fn stages_or_bare(
    config: &Config,
    names: Option<(Resolver<System>, Names)>,
) -> Result<(Stages<Marathon, System>, Option<anyhow::Error>)> {
    let fault = match renderer(config).await {
        Ok(renderer) => return Ok((made(config, names, renderer)?, None)),
        Err(fault) => fault,
    };
    let mut bare = config.clone();
    let templates = &mut bare.templates;
    (templates.dir, templates.files, templates.extra) = (None, None, None);
    // The program may be the fault, or take its time once more not to say.
    bare.haproxy.version = Some((Version::NEWEST.major, Version::NEWEST.minor));
    let stages = made(config, names, renderer(&bare).await?)?;
    Ok((stages, Some(fault)))
}

fn made(
    config: &Config,
    names: Option<(Resolver<System>, Names)>,
    renderer: Renderer,
) -> Result<Stages<Marathon, System>> {
    let recipe = recipe(config, renderer.version());
    Ok(Stages {
        decisions: decisions(config, &recipe, &renderer),
        source: source(config, &recipe)?,
        recipe,
        resolver: names,
        renderer,
        last_answer: Some(last_answer(config)),
        takes_out_what_is_refused: !config.validation.skip_cleanup,
        allow_removal: config.allow_removal,
        is_on_trial: false,
        whole: None,
        in_service: None,
        audited: None,
    })
}

/// What of the stages an edit of options or templates can replace.
pub(super) struct Edited {
    /// Where other options are asked for: the same cluster may be asked in another way, or another one.
    source: Option<Marathon>,
    recipe: Recipe,
    renderer: Renderer,
    /// As in [`Stages`].
    pub(super) decisions: Digest,
    takes_out_what_is_refused: bool,
}

impl Edited {
    /// As options and templates are now.
    ///
    /// # Errors
    /// As [`stages`].
    pub(super) async fn read(config: &Config, asks_anew: bool) -> Result<Self> {
        waits_for_program(config)?;
        let renderer = renderer(config).await?;
        let recipe = recipe(config, renderer.version());
        let source = if asks_anew {
            let mut source = source(config, &recipe)?;
            source.keep();
            Some(source)
        } else {
            None
        };
        Ok(Self {
            source,
            // Before it knows anything, as in the beginning.
            decisions: decisions(config, &recipe, &renderer),
            recipe,
            renderer,
            takes_out_what_is_refused: !config.validation.skip_cleanup,
        })
    }

    /// Puts it into stages that were used already, and gives what was there: what they learnt of tasks
    /// and names stays, and what was kept of the cluster does where it is asked in the same way.
    pub(super) fn put_into(mut self, stages: &mut Stages<Marathon, System>) -> Self {
        if let (Recipe::Labelled(new), Recipe::Labelled(old)) =
            (&mut self.recipe, &mut stages.recipe)
        {
            mem::swap(&mut new.health, &mut old.health);
        }
        if let Some(source) = &mut self.source {
            source.client.count_in(stages.source.client.fetched());
        }
        let refuses = &mut stages.takes_out_what_is_refused;
        Self {
            source: self
                .source
                .map(|source| mem::replace(&mut stages.source, source)),
            recipe: mem::replace(&mut stages.recipe, self.recipe),
            renderer: mem::replace(&mut stages.renderer, self.renderer),
            decisions: mem::replace(&mut stages.decisions, self.decisions),
            takes_out_what_is_refused: mem::replace(refuses, self.takes_out_what_is_refused),
        }
    }

    /// The cluster is asked for at the same addresses, so that what was said there last is known.
    pub(super) fn remembers(&mut self, stages: &Stages<Marathon, System>) {
        let heeds_readiness = |recipe: &Recipe| match recipe {
            Recipe::Bridge { .. } => false,
            Recipe::Labelled(labelled) => labelled.heeds_readiness,
        };
        if heeds_readiness(&self.recipe) == heeds_readiness(&stages.recipe)
            && let Some(source) = &mut self.source
        {
            source.remember(&stages.source);
        }
    }

    /// Whether the cluster was asked in another way.
    pub(super) fn asked_otherwise(&self) -> bool {
        self.source.is_some()
    }

    /// Another edit came before this one, which `later` gives, was settled.
    pub(super) fn before(mut self, later: Self) -> Self {
        self.source = self.source.or(later.source);
        self
    }
}

fn source(config: &Config, recipe: &Recipe) -> Result<Marathon> {
    let text_first = config.policy.asks_text_first && matches!(recipe, Recipe::Bridge { .. });
    let mut client = Client::new(&config.marathon)?;
    if matches!(recipe, Recipe::Labelled(labelled) if labelled.heeds_readiness) {
        client.ask_for_readiness();
    }
    Ok(Marathon::new(client, text_first))
}

/// The templates of the set, with whatever replaces them.
pub(super) async fn renderer(config: &Config) -> Result<Renderer> {
    Renderer::new(&site(config).await?)
}

/// Two runs that differ in none of this make the same files of the same answer.
fn decisions(config: &Config, recipe: &Recipe, renderer: &Renderer) -> Digest {
    let all = (
        env!("CARGO_PKG_VERSION"),
        config.policy,
        recipe,
        config.haproxy.version,
        renderer.fingerprint(),
    );
    Digest::of(format!("{all:?}").as_bytes())
}

/// For a HAProxy of this version.
fn recipe(config: &Config, version: Version) -> Recipe {
    let flavour = match config.templates.set {
        TemplateSet::Bridge => {
            return Recipe::Bridge {
                serving: config.policy.serving_tasks,
                groups: groups(config),
            };
        }
        TemplateSet::MarathonLb => Flavour::MarathonLb,
        TemplateSet::Servicerouter => Flavour::Servicerouter,
        TemplateSet::Native => Flavour::Native,
    };
    let frontends = &config.frontends;
    Recipe::Labelled(Box::new(Labelled {
        selection: Selection {
            health_check: config.apps.health_check,
            knows_deployments: flavour == Flavour::Native,
            auto_ports: config.apps.auto_ports.range(),
        },
        health: HealthMemory::new(REMEMBERED_TASKS),
        heeds_readiness: flavour == Flavour::Native,
        groups: groups(config),
        ungrouped: config.policy.groups == GroupRule::ExactOrUngrouped,
        strict: config.apps.strict_mode,
        settings_from: config.apps.settings_from,
        own_app: config.apps.own_app.clone(),
        template_labels: config.templates.labels.clone(),
        values: config.policy.values,
        shape: Shape {
            maps: frontends.maps,
            binds_http_https: frontends.bind_http_https,
            https_by_vhost: frontends.group_https_by_vhost,
            ssl_certs: frontends
                .ssl_certs
                .iter()
                .map(|path| path.as_str().into())
                .collect(),
            // In our own set no app takes a port of this host or of another, asked or not.
            settles_clashes: !config.validation.skip || flavour == Flavour::Native,
            flavour,
            default_backend: default_backend(config),
            accepts_proxy: frontends.accept_proxy,
            closes_https: false,
            hidden_certificates: BTreeSet::new(),
            listable_certificates: None,
            config: file_name(&config.haproxy.config),
            keeps_idle: config.apps.serve_scaled_to_zero && flavour == Flavour::Native,
            slots: SlotRule {
                spare: frontends.server_slots,
                everywhere: frontends.slots_everywhere || !version.adds_servers(),
            },
            leads_by_name: flavour == Flavour::Native && frontends.leads_by_name(),
        },
    }))
}

/// By which files that lie in one folder differ.
fn file_name(path: &Path) -> Box<str> {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into()
}

fn default_backend(config: &Config) -> Option<DefaultBackend> {
    let (app, port) = config.frontends.default_backend.as_ref()?;
    Some(DefaultBackend {
        app: AppId::new(app),
        service_port: port.map(u32::from),
    })
}

fn groups(config: &Config) -> Vec<String> {
    if config.policy.groups == GroupRule::Everything {
        return vec!["*".to_owned()];
    }
    config.groups.clone()
}

/// The answer that HAProxy was last brought to as a whole.
fn last_answer(config: &Config) -> LastAnswer {
    let folder = Folder::of(&config.state.dir, &config.haproxy.config);
    Rc::new(move || folder.load_snapshot(&OsDisk))
}
