//! The program on the simulated host: what `refresh` does around a turn.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Result;
use haproxy_marathon_bridge::apply::{Balancer, FileSet, Host, Outcome};
use haproxy_marathon_bridge::cluster::{HealthMemory, Selection, ServingTasks};
use haproxy_marathon_bridge::config::{Names, SettingsFrom, TemplateLabels, TemplateSet, Values};
use haproxy_marathon_bridge::cycle::{GoodAnswer, Labelled, LastAnswer, Recipe, Report, Stages};
use haproxy_marathon_bridge::disk::{Digest, FaultyDisk, MemoryDisk};
use haproxy_marathon_bridge::haproxy::{Dialect, Version};
use haproxy_marathon_bridge::proxy::marathon_lb::{Flavour, Shape};
use haproxy_marathon_bridge::render::{Renderer, Site};
use haproxy_marathon_bridge::resolve::Resolver;
use haproxy_marathon_bridge::state::{LastTurn, State, Time, TurnOutcome, Writable};

use crate::labels::GROUP;
use crate::outside::{SimulatedDns, SimulatedMarathon};
use crate::setting::Kind;
use crate::world::{CFG, World};

/// The program while it runs; a cron job is one that ends after every turn.
pub(crate) struct Program {
    pub(crate) stages: Stages<SimulatedMarathon, SimulatedDns>,
    pub(crate) store: Writable,
    pub(crate) memory: State,
    pub(crate) facts: Facts,
}

/// How the last turn came to its outcome.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each can come about with each"
)]
pub(crate) struct Facts {
    /// It built nothing, although it had to read the answer.
    pub(crate) asked_for_the_same: bool,
    /// It held a removal.
    pub(crate) held: bool,
    /// It changed nothing, since what it held could not be made anew.
    pub(crate) keeps_all: bool,
    /// Enough answers agreed on a removal.
    pub(crate) let_go: bool,
    /// Somebody whose labels are bad is served.
    pub(crate) served_as_before: bool,
    /// Somebody whose labels are bad is not.
    pub(crate) left_out: bool,
}

impl Facts {
    fn of(report: &Report, memory: &State, recognised: bool) -> Self {
        let quarantined = || memory.quarantined.iter();
        Self {
            asked_for_the_same: report.as_before && !recognised,
            held: report.plan.held.is_some(),
            keeps_all: report.plan.keeps_all,
            let_go: false,
            served_as_before: quarantined().any(|entry| entry.last_good.is_some()),
            left_out: quarantined().any(|entry| entry.last_good.is_none()),
        }
    }
}

impl Program {
    pub(crate) async fn turn<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        now: Time,
        kind: Kind,
    ) -> Result<Outcome> {
        let Self {
            stages,
            store,
            memory,
            facts,
        } = self;
        *facts = Facts::default();
        let had_held = !memory.guard.fetches.is_empty();
        let mut remember = |memory: &State| drop(store.save(&host.disk, memory));
        let mut good_answer = None;
        let outcome = if kind == Kind::BridgeWithMaps {
            turn_with_maps(stages, host, memory, now, &mut remember).await
        } else {
            let report = stages.turn(host, memory, now, &mut remember).await;
            report.map(|mut report| {
                *facts = Facts::of(&report, memory, stages.source.recognised);
                good_answer = report.good_answer.take();
                report.outcome
            })
        };
        facts.let_go = had_held && memory.guard.fetches.is_empty();
        if let Some((resolver, _)) = &stages.resolver {
            memory.addresses.clone_from(resolver.known());
        }
        memory.last_turn = Some(LastTurn {
            at: now,
            outcome: TurnOutcome::Failed,
            detail: None,
            warnings: Vec::new(),
            haproxy_warnings: Vec::new(),
            marathon: None,
            change: None,
            held: None,
        });
        remember(memory);
        if let Some(GoodAnswer { text, kept }) = good_answer {
            drop(store.keep_answer(host.disk, memory, text.as_bytes(), kept));
        }
        outcome
    }
}

impl World<'_> {
    pub(crate) fn start_program(&mut self, disk: &FaultyDisk<Arc<MemoryDisk>>) -> Program {
        let (store, memory, _) = Writable::open(disk, Self::folder());
        let names = if self.setting.numeric {
            Names::Numeric
        } else {
            Names::Keep
        };
        let dns = SimulatedDns(Rc::clone(&self.outside));
        let kind = self.setting.kind;
        let renderer = self.renderer.take().unwrap_or_else(|| renderer(kind));
        Program {
            stages: Stages {
                source: SimulatedMarathon::new(&self.outside),
                recipe: recipe(kind),
                last_answer: Some(self.last_answer()),
                takes_out_what_is_refused: true,
                resolver: Some((Resolver::new(dns, memory.addresses.clone()), names)),
                renderer,
                decisions: Digest::of(b"the same in every run"),
                allow_removal: false,
                is_on_trial: false,
                in_service: None,
            },
            store,
            memory,
            facts: Facts::default(),
        }
    }

    fn last_answer(&self) -> LastAnswer {
        let disk = Arc::clone(&self.disk);
        Rc::new(move || Self::folder().load_snapshot(&disk))
    }

    pub(crate) fn end_program(&mut self) {
        self.forgot |= self.unsaved;
        self.unsaved = false;
        if let Some(program) = self.program.take() {
            self.renderer = Some(program.stages.renderer);
        }
    }
}

fn renderer(kind: Kind) -> Renderer {
    let set = match kind {
        Kind::Labelled { .. } => TemplateSet::MarathonLb,
        _ => TemplateSet::Bridge,
    };
    let folder = Path::new(CFG).parent().expect("it lies in a folder");
    let site = Site {
        haproxy_dir: folder.display().to_string(),
        ..Site::new(set, Dialect::of(Version::NEWEST))
    };
    Renderer::new(&site).expect("templates that are compiled in are right")
}

fn recipe(kind: Kind) -> Recipe {
    let Kind::Labelled { maps } = kind else {
        return Recipe::Bridge {
            serving: ServingTasks::Running,
            groups: vec!["*".to_owned()],
        };
    };
    Recipe::Labelled(Box::new(Labelled {
        selection: Selection {
            health_check: false,
            knows_deployments: false,
            auto_ports: None,
        },
        health: HealthMemory::new(1_000),
        heeds_readiness: false,
        groups: vec![GROUP.to_owned()],
        ungrouped: false,
        strict: false,
        settings_from: SettingsFrom::Labels,
        template_labels: TemplateLabels::None,
        values: Values::Typed,
        own_app: None,
        shape: Shape {
            maps,
            binds_http_https: true,
            https_by_vhost: false,
            ssl_certs: vec!["/etc/ssl/site.pem".into()],
            settles_clashes: true,
            flavour: Flavour::MarathonLb,
            default_backend: None,
            accepts_proxy: false,
            closes_https: false,
            keeps_idle: false,
        },
    }))
}

/// [`Stages::turn`] with maps, which no template set has so far.
async fn turn_with_maps<B: Balancer>(
    stages: &mut Stages<SimulatedMarathon, SimulatedDns>,
    host: &Host<'_, B>,
    memory: &mut State,
    now: Time,
    remember: &mut dyn FnMut(&State),
) -> Result<Outcome> {
    let installed = host.installed_cfg()?;
    let behind = host.cfg_behind(installed.as_deref(), memory);
    let plan = stages
        .plan_beside(installed.as_deref(), behind.as_deref(), memory, now)
        .await?;
    let files = add_maps(plan.files.cfg, host);
    if memory.paused.is_some() {
        return host.leave(&files, memory, now);
    }
    let outcome = host.bring_to(&files, memory, now, remember).await?;
    if matches!(
        outcome,
        Outcome::Unchanged | Outcome::Applied { .. } | Outcome::NotRunning { .. }
    ) {
        let listens = plan.proxies.listens.iter();
        memory.incumbents = listens
            .map(|listen| (listen.owner.service_port, listen.owner.app.clone()))
            .collect();
    }
    Ok(outcome)
}

/// One map of all sections, and from time to time a second one.
fn add_maps<B>(mut cfg: String, host: &Host<'_, B>) -> FileSet {
    let sections: Vec<String> = cfg
        .lines()
        .filter_map(|line| line.strip_prefix("listen "))
        .filter(|title| *title != "stats")
        .map(str::to_owned)
        .collect();
    let mut maps = BTreeMap::new();
    let names = ["app2backend.map", "domain2backend.map"];
    let used = 1 + sections.len() % 2;
    cfg.push_str("\nfrontend by-name\n  bind 127.0.0.1:9\n");
    for name in &names[..used] {
        let path = host.at.cfg.with_file_name(name);
        writeln!(
            cfg,
            "  use_backend %[req.hdr(host),map({})]",
            path.display()
        )
        .expect("a String takes all text");
        let row = |title: &String| format!("{title} {title}\n");
        maps.insert((*name).to_owned(), sections.iter().map(row).collect());
    }
    FileSet { cfg, maps }
}
