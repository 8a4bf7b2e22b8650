//! The program on the simulated host: what `refresh` and `watch` do around a turn.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use haproxy_marathon_bridge::apply::{Balancer, FileSet, Host, Outcome};
use haproxy_marathon_bridge::cluster::{HealthMemory, Selection, ServingTasks};
use haproxy_marathon_bridge::config::{Names, SettingsFrom, TemplateLabels, TemplateSet, Values};
use haproxy_marathon_bridge::cycle::{
    GoodAnswer, Labelled, LastAnswer, Marathon, Recipe, Report, Stages,
};
use haproxy_marathon_bridge::disk::{Digest, Disk, FaultyDisk, MemoryDisk};
use haproxy_marathon_bridge::haproxy::{Dialect, Version};
use haproxy_marathon_bridge::labels::Template;
use haproxy_marathon_bridge::proxy::marathon_lb::{Flavour, Shape};
use haproxy_marathon_bridge::proxy::native::SlotRule;
use haproxy_marathon_bridge::render::{
    Origin, Override, Renderer, Replacement, Site, default_texts,
};
use haproxy_marathon_bridge::resolve::Resolver;
use haproxy_marathon_bridge::state::{LastTurn, State, Time, TurnOutcome, Writable};
use haproxy_marathon_bridge::watch::{End, left_open};

use crate::labels::GROUP;
use crate::nodes::SimulatedNodes;
use crate::outside::{Form, SimulatedDns};
use crate::setting::Kind;
use crate::world::{CFG, World};

const BRIDGE_HEADER: &str = include_str!("../../templates/bridge/header.cfg.tera");

/// The program while it runs; a cron job is one that ends after every turn.
pub(crate) struct Program {
    pub(crate) stages: Stages<Marathon<SimulatedNodes>, SimulatedDns>,
    pub(crate) store: Writable,
    pub(crate) memory: State,
    pub(crate) facts: Facts,
    /// What the last turn of a watcher left.
    pub(crate) end: End,
    /// How often HAProxy refused what was wanted, one time after the other.
    refusals: u32,
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
    /// It looked at servers alone.
    pub(crate) is_light: bool,
    /// More is wanted than HAProxy was brought to in an earlier turn.
    pub(crate) leaves_rest: bool,
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
            is_light: report.is_light,
            leaves_rest: false,
        }
    }
}

impl Program {
    /// What `refresh` does.
    pub(crate) async fn turn<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        now: Time,
        kind: Kind,
    ) -> Result<Outcome> {
        self.facts = Facts::default();
        if kind != Kind::BridgeWithMaps {
            return self.whole(host, now).await.map(|report| report.outcome);
        }
        let Self {
            stages,
            store,
            memory,
            facts,
            ..
        } = self;
        let had_held = !memory.guard.fetches.is_empty();
        let mut remember = |memory: &State| drop(store.save(&host.disk, memory));
        let outcome = turn_with_maps(stages, host, memory, now, &mut remember).await;
        facts.let_go = had_held && memory.guard.fetches.is_empty();
        self.ended(host, None, now);
        outcome
    }

    /// What `watch` does when a turn is due.
    pub(crate) async fn watched_turn<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        now: Time,
        has_haproxy: bool,
    ) -> Result<Outcome> {
        self.facts = Facts::default();
        self.end = End::Failed;
        if !has_haproxy {
            self.ended(host, None, now);
            return Err(anyhow!("there is no program `haproxy`"));
        }
        self.heed_operator(host.disk);
        let Self { stages, memory, .. } = self;
        let report = match stages.servers_alone(host, memory, now).await {
            Ok(Some(report)) => {
                self.facts = Facts::of(&report, &self.memory, false);
                self.facts.leaves_rest = self.stages.leaves_proof();
                // It is saved once the file is proved.
                self.memory.last_turn = Some(last_turn(now));
                report
            }
            Ok(None) => self.whole(host, now).await?,
            Err(error) => {
                self.ended(host, None, now);
                return Err(error);
            }
        };
        if !report.is_light {
            let is_refused = matches!(report.outcome, Outcome::Rejected { .. });
            self.refusals = if is_refused { self.refusals + 1 } else { 0 };
        }
        self.end = left_open(&report, &self.memory, now, self.refusals);
        let outcome = report.outcome.clone();
        // Where an installed file cannot be read, the next turn is a whole one.
        drop(self.stages.stand_on(host, report));
        Ok(outcome)
    }

    /// What somebody did beside a watcher.
    pub(crate) fn heed_operator(&mut self, disk: &dyn Disk) {
        if let Some(state) = self.store.reread(disk) {
            self.memory = state;
        }
        self.memory.paused = self.store.folder().paused(disk);
    }

    async fn whole<B: Balancer>(&mut self, host: &Host<'_, B>, now: Time) -> Result<Report> {
        let Self {
            stages,
            store,
            memory,
            facts,
            ..
        } = self;
        let had_held = !memory.guard.fetches.is_empty();
        let mut remember = |memory: &State| drop(store.save(&host.disk, memory));
        let mut result = stages.turn(host, memory, now, &mut remember).await;
        let mut good_answer = None;
        if let Ok(report) = &mut result {
            *facts = Facts::of(report, memory, stages.source.client.recognised);
            good_answer = report.good_answer.take();
        }
        facts.let_go = had_held && memory.guard.fetches.is_empty();
        self.ended(host, good_answer, now);
        result
    }

    fn ended<B: Balancer>(&mut self, host: &Host<'_, B>, good: Option<GoodAnswer>, now: Time) {
        let Self {
            stages,
            store,
            memory,
            ..
        } = self;
        if let Some((resolver, _)) = &stages.resolver {
            memory.addresses.clone_from(resolver.known());
        }
        memory.last_turn = Some(last_turn(now));
        drop(store.save(&host.disk, memory));
        if let Some(GoodAnswer { text, kept }) = good {
            drop(store.keep_answer(host.disk, memory, text.as_bytes(), kept));
        }
    }
}

fn last_turn(at: Time) -> LastTurn {
    LastTurn {
        at,
        outcome: TurnOutcome::Failed,
        detail: None,
        warnings: Vec::new(),
        wait_for_files: 0,
        haproxy_warnings: Vec::new(),
        marathon: None,
        change: None,
        held: None,
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
        let renderer = self.take_renderer();
        Program {
            stages: Stages {
                source: self.source(),
                recipe: recipe(kind),
                last_answer: Some(self.last_answer()),
                takes_out_what_is_refused: true,
                resolver: Some((Resolver::new(dns, memory.addresses.clone()), names)),
                renderer,
                decisions: self.decisions(),
                allow_removal: false,
                is_on_trial: false,
                whole: None,
                in_service: None,
                audited: None,
            },
            store,
            memory,
            facts: Facts::default(),
            end: End::Failed,
            refusals: 0,
        }
    }

    /// Marathon, before anything was asked.
    pub(crate) fn source(&self) -> Marathon<SimulatedNodes> {
        let nodes = SimulatedNodes::new(&self.outside);
        let mut source = Marathon::new(nodes, self.setting.form == Form::Text);
        if self.setting.watches() {
            source.keep();
        }
        source
    }

    /// Stands for the templates: all else is the same in every run.
    pub(crate) fn decisions(&self) -> Digest {
        Digest::of(&[u8::from(self.is_edited)])
    }

    /// With the templates as they are.
    pub(crate) fn take_renderer(&mut self) -> Renderer {
        let kind = self.setting.kind;
        let [plain, edited] = &mut self.renderers;
        let one = if self.is_edited { edited } else { plain };
        one.take().unwrap_or_else(|| renderer(kind, self.is_edited))
    }

    /// A program that is about to end, or to use others, needs them no more.
    pub(crate) fn give_renderer_back(&mut self, renderer: Renderer, was_edited: bool) {
        self.renderers[usize::from(was_edited)] = Some(renderer);
    }

    fn last_answer(&self) -> LastAnswer {
        let disk = Arc::clone(&self.disk);
        Rc::new(move || Self::folder().load_snapshot(&disk))
    }

    pub(crate) fn end_program(&mut self) {
        self.forgot |= self.unsaved;
        self.unsaved = false;
        self.watcher = None;
        if let Some(program) = self.program.take() {
            let was_edited = program.stages.decisions != Digest::of(&[0]);
            self.give_renderer_back(program.stages.renderer, was_edited);
        }
    }
}

pub(crate) fn renderer(kind: Kind, is_edited: bool) -> Renderer {
    let set = match kind {
        Kind::Labelled { .. } => TemplateSet::MarathonLb,
        _ => TemplateSet::Bridge,
    };
    let folder = Path::new(CFG).parent().expect("it lies in a folder");
    let mut site = Site {
        haproxy_dir: folder.display().to_string(),
        ..Site::new(set, Dialect::of(Version::NEWEST))
    };
    if is_edited {
        let file = "edited".to_owned();
        if set == TemplateSet::Bridge {
            site.overrides = vec![Override {
                name: "header.cfg".to_owned(),
                file,
                text: format!("{BRIDGE_HEADER}# edited\n"),
            }];
        } else {
            let texts = default_texts(&site).expect("they are right");
            let heads = texts.into_iter().filter(|(one, _)| *one == Template::Head);
            site.replacements = heads
                .map(|(template, text)| Replacement {
                    template,
                    text: text + "# edited\n",
                    origin: Origin::File(file.clone()),
                })
                .collect();
        }
    }
    Renderer::new(&site).expect("templates that are compiled in are right")
}

pub(crate) fn recipe(kind: Kind) -> Recipe {
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
            leads_by_name: false,
            closes_https: false,
            hidden_certificates: BTreeSet::new(),
            listable_certificates: None,
            config: "haproxy.cfg".into(),
            keeps_idle: false,
            slots: SlotRule::default(),
        },
    }))
}

/// [`Stages::turn`] with maps, which no template set has so far.
async fn turn_with_maps<B: Balancer>(
    stages: &mut Stages<Marathon<SimulatedNodes>, SimulatedDns>,
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
