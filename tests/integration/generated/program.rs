//! The stages between Marathon's answer and the files, in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, ready};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use haproxy_marathon_bridge::cluster::{HealthMemory, Selection, Snapshot};
use haproxy_marathon_bridge::config::{Names, SettingsFrom, TemplateLabels, TemplateSet, Values};
use haproxy_marathon_bridge::cycle::{Labelled, Plan, Recipe, Source, Stages};
use haproxy_marathon_bridge::disk::Digest;
use haproxy_marathon_bridge::haproxy::Dialect;
use haproxy_marathon_bridge::marathon::{Answer, Cluster, apps};
use haproxy_marathon_bridge::proxy::marathon_lb::{Flavour, Shape};
use haproxy_marathon_bridge::proxy::native::SlotRule;
use haproxy_marathon_bridge::render::{Renderer, Site};
use haproxy_marathon_bridge::resolve::{Lookup, Resolver};
use haproxy_marathon_bridge::state::{State, Time};

use super::random::Random;
use crate::support::haproxy;

/// Stands for the folder of the maps.
pub(crate) const MAPS: &str = "/nonexistent/maps";

/// Flags of the command line.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Flags {
    /// The set and the values of the native commands, else those of marathon-lb.
    pub(crate) native: bool,
    pub(crate) maps: bool,
    pub(crate) grouped: bool,
    pub(crate) binds: bool,
    pub(crate) strict: bool,
    pub(crate) health_check: bool,
    pub(crate) groups: Vec<String>,
}

impl Flags {
    pub(crate) fn generate(random: &mut Random) -> Self {
        let groups = random.pick(&[&["*"][..], &["external"], &["external", "internal"]]);
        Self {
            native: random.percent(40),
            maps: random.percent(40),
            grouped: random.percent(30),
            binds: !random.percent(10),
            strict: random.percent(15),
            health_check: random.percent(40),
            groups: groups.iter().copied().map(str::to_owned).collect(),
        }
    }
}

/// Says what it was given.
struct Said(String);

impl Source for Said {
    async fn fetch(&mut self) -> Result<Answer> {
        let (apps, warnings) = apps(&self.0)?;
        Ok(Answer {
            cluster: Cluster::Apps(Snapshot::new(apps)),
            warnings,
            from: "the test".to_owned(),
            essence: Digest::of(self.0.as_bytes()),
            body: self.0.clone(),
        })
    }

    fn recognise(&mut self, _known: Option<Digest>) {}
}

/// Every name has the same address on every day.
pub(super) struct Dns;

impl Lookup for Dns {
    fn lookup(&self, name: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static {
        let sum: u32 = name.bytes().map(u32::from).sum();
        ready(Ok(vec![Ipv4Addr::from(0x0a09_0000 + sum).into()]))
    }
}

/// What is kept from one turn to the next: the compiled templates, and what they last made.
pub(crate) struct Program {
    renderers: BTreeMap<bool, Renderer>,
    certificate: String,
    runtime: tokio::runtime::Runtime,
}

impl Program {
    pub(crate) fn new(certificate: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let dialect = runtime.block_on(Dialect::ask(&haproxy(), Duration::from_secs(10)));
        let dialect = dialect.unwrap();
        Self {
            renderers: BTreeMap::from([
                (false, renderer(false, dialect)),
                (true, renderer(true, dialect)),
            ]),
            certificate: certificate.to_owned(),
            runtime,
        }
    }

    /// What a turn would install beside what is installed.
    pub(crate) fn plan(&mut self, answer: String, flags: &Flags, installed: Option<&str>) -> Plan {
        let renderer = self.renderers.remove(&flags.native).unwrap();
        let mut stages = stages(Said(answer), flags, &self.certificate, renderer);
        let now = Time::at(SystemTime::UNIX_EPOCH);
        let mut memory = State::default();
        let plan = stages.plan(installed, &mut memory, now);
        let plan = self.runtime.block_on(plan).unwrap();
        self.renderers.insert(flags.native, stages.renderer);
        plan
    }
}

/// Those of the program, for these flags.
pub(super) fn stages<S: Source>(
    source: S,
    flags: &Flags,
    certificate: &str,
    renderer: Renderer,
) -> Stages<S, Dns> {
    let (flavour, values) = if flags.native {
        (Flavour::Native, Values::Typed)
    } else {
        (Flavour::MarathonLb, Values::Verbatim)
    };
    let shape = Shape {
        maps: flags.maps,
        binds_http_https: flags.binds,
        https_by_vhost: flags.grouped,
        ssl_certs: vec![certificate.into()],
        settles_clashes: true,
        flavour,
        default_backend: None,
        accepts_proxy: false,
        closes_https: false,
        hidden_certificates: BTreeSet::new(),
        listable_certificates: None,
        config: "haproxy.cfg".into(),
        keeps_idle: false,
        slots: SlotRule::default(),
        leads_by_name: false,
    };
    let labelled = Labelled {
        selection: Selection {
            health_check: flags.health_check,
            knows_deployments: false,
            auto_ports: Some(10_050..=10_100),
        },
        health: HealthMemory::new(1000),
        heeds_readiness: false,
        groups: flags.groups.clone(),
        ungrouped: false,
        strict: flags.strict,
        settings_from: SettingsFrom::Labels,
        template_labels: TemplateLabels::All,
        values,
        own_app: None,
        shape,
    };
    Stages {
        source,
        recipe: Recipe::Labelled(Box::new(labelled)),
        resolver: Some((Resolver::new(Dns, BTreeMap::new()), Names::Beside)),
        renderer,
        decisions: Digest::of(b"the same in every run"),
        last_answer: None,
        takes_out_what_is_refused: true,
        allow_removal: false,
        is_on_trial: false,
        whole: None,
        in_service: None,
        audited: None,
    }
}

/// With the texts that the program has for these flags.
pub(super) fn renderer(native: bool, dialect: Dialect) -> Renderer {
    let set = if native {
        TemplateSet::Native
    } else {
        TemplateSet::MarathonLb
    };
    let mut site = Site::new(set, dialect);
    MAPS.clone_into(&mut site.haproxy_dir);
    Renderer::new(&site).unwrap()
}
