//! How a cluster becomes the service ports of one set of templates, and those become files.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

use super::reserved::Reserved;
use crate::apply::FileSet;
use crate::cluster::{
    App, AppId, HealthMemory, Host, Selection, ServicePort, ServingTasks, Snapshot, Warning,
    merge_deployments, service_ports, zipped_service_ports,
};
use crate::config::SettingsFrom;
use crate::labels::{self, ServiceOptions, Settings};
use crate::marathon::Cluster;
use crate::proxy::marathon_lb::{self, Asked, Service, Shape};
use crate::proxy::{Owner, Proxies, bridge};
use crate::render::{Failed, Rendered, Renderer};

/// Which rules lead from apps to sections.
#[derive(Debug)]
pub enum Recipe {
    /// A section per service port, and no more.
    Bridge {
        /// Which tasks count.
        serving: ServingTasks,
        /// Which groups are served; `*` is everything.
        groups: Vec<String>,
    },
    /// What labels ask for.
    Labelled(Box<Labelled>),
}

/// What decides beside the labels.
#[derive(Debug)]
pub struct Labelled {
    /// Which tasks count.
    pub selection: Selection,
    /// What was last known of their health.
    pub health: HealthMemory,
    /// Which groups are served; `*` is everything.
    pub groups: Vec<String>,
    /// Where no group is asked for, the apps that name none are meant.
    pub ungrouped: bool,
    /// A service port is served only if its owner enables it.
    pub strict: bool,
    /// Where settings are read.
    pub settings_from: SettingsFrom,
    /// Whether an owner may put text of its own in the place of templates.
    pub template_labels: bool,
    /// The app that this program itself is, without the first `/`.
    pub own_app: Option<String>,
    /// What follows for the whole file.
    pub shape: Shape,
}

/// The service ports that are to be served, and what their owners said of them.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) ports: Vec<ServicePort>,
    /// Where labels count: all apps of the answer, as Marathon has them.
    pub(super) apps: Vec<Arc<App>>,
    said: Option<Said>,
}

impl Wanted {
    fn of_ports(ports: Vec<ServicePort>) -> Self {
        Self {
            ports,
            apps: Vec::new(),
            said: None,
        }
    }

    /// Whether labels count.
    pub(super) fn is_labelled(&self) -> bool {
        self.said.is_some()
    }

    /// The service ports as an installed file tells of them: by address alone.
    pub(super) fn dialled(&self) -> Vec<ServicePort> {
        let mut ports = self.ports.clone();
        for endpoint in ports.iter_mut().flat_map(|port| &mut port.endpoints) {
            if let Some(address) = endpoint.host.address() {
                endpoint.host = Host::Ip(address);
            }
        }
        ports
    }

    /// marathon-lb's frontends go with the last server.
    pub(super) fn drop_idle(&mut self) {
        if self.is_labelled() {
            self.ports.retain(|port| !port.endpoints.is_empty());
        }
    }
}

/// By app and position.
#[derive(Debug, Default)]
struct Said {
    options: HashMap<(AppId, usize), (Arc<App>, Arc<ServiceOptions>)>,
    /// All service ports of the apps whose checks dial another port of theirs.
    siblings: BTreeMap<AppId, Vec<ServicePort>>,
}

/// Service ports as files.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) files: FileSet,
    pub(super) rendered: Rendered,
    pub(super) proxies: Proxies,
    pub(super) warnings: Vec<Warning>,
}

impl Recipe {
    /// The service ports that are to be served.
    ///
    /// # Errors
    /// When labels are needed and the answer has none.
    pub(super) fn select(
        &mut self,
        cluster: Cluster,
        warnings: &mut Vec<Warning>,
    ) -> Result<Wanted> {
        match (self, cluster) {
            (_, Cluster::AsBefore) => Ok(Wanted::default()),
            (Self::Bridge { .. }, Cluster::Endpoints(ports)) => Ok(Wanted::of_ports(ports)),
            (Self::Bridge { serving, groups }, Cluster::Apps(snapshot)) => {
                let ports = of_bridge(&snapshot, *serving, groups, warnings);
                Ok(Wanted::of_ports(ports))
            }
            (Self::Labelled(labelled), Cluster::Apps(snapshot)) => {
                Ok(labelled.select(snapshot.apps(), warnings))
            }
            (Self::Labelled(_), Cluster::Endpoints(_)) => bail!(
                "the answer is the text form of the tasks, which holds no labels, expected JSON as \
                 of /v2/apps?embed=apps.tasks"
            ),
        }
    }

    /// The same for apps that are known already; nothing where labels do not count.
    pub(super) fn select_apps(&mut self, apps: &[Arc<App>], warnings: &mut Vec<Warning>) -> Wanted {
        match self {
            Self::Bridge { .. } => Wanted::default(),
            Self::Labelled(labelled) => labelled.select(apps, warnings),
        }
    }

    /// Sections, text and maps.
    ///
    /// # Errors
    /// When the templates fail for all.
    pub(super) fn build(
        &self,
        wanted: &Wanted,
        without: &[Owner],
        incumbents: &BTreeMap<u32, AppId>,
        renderer: &mut Renderer,
    ) -> Result<Built> {
        let ports = wanted.ports.iter().filter(|port| {
            let is_out =
                |owner: &Owner| owner.app == port.app && owner.service_port == port.service_port;
            !without.iter().any(is_out)
        });
        match self {
            Self::Bridge { .. } => build_bridge(ports, incumbents, renderer),
            Self::Labelled(labelled) => {
                let services = ports.filter_map(|port| {
                    let Said { options, siblings } = wanted.said.as_ref()?;
                    let (app, options) = options.get(&(port.app.clone(), port.index))?;
                    let asked = Asked {
                        app,
                        port,
                        options,
                        siblings,
                    };
                    Some(Arc::new(marathon_lb::service(
                        asked,
                        labelled.shape.flavour,
                    )))
                });
                labelled.build(services.collect(), incumbents, renderer)
            }
        }
    }
}

fn of_bridge(
    snapshot: &Snapshot,
    serving: ServingTasks,
    groups: &[String],
    warnings: &mut Vec<Warning>,
) -> Vec<ServicePort> {
    let mut all = Vec::with_capacity(snapshot.apps().len());
    for app in snapshot.apps() {
        let (ports, faults) = service_ports(app, serving);
        all.extend(
            ports
                .into_iter()
                .filter(|port| is_served(app, port.index, groups)),
        );
        warnings.extend(faults);
    }
    all
}

/// Whether one of `groups` is named by `HAPROXY_{n}_GROUP`, or else by `HAPROXY_GROUP`: a list
/// that commas part. An app that names none is served where everything is.
fn is_served(app: &App, index: usize, groups: &[String]) -> bool {
    if groups.iter().any(|group| group == "*") {
        return true;
    }
    let own = app.labels.get(format!("HAPROXY_{index}_GROUP").as_str());
    let named = own.or_else(|| app.labels.get("HAPROXY_GROUP"));
    named.is_some_and(|named| {
        named
            .split(',')
            .any(|name| groups.iter().any(|g| g == name))
    })
}

fn build_bridge<'p>(
    ports: impl Iterator<Item = &'p ServicePort>,
    incumbents: &BTreeMap<u32, AppId>,
    renderer: &mut Renderer,
) -> Result<Built> {
    let mut warnings = Vec::new();
    let mut listens = Vec::new();
    for port in ports {
        let (listen, faults) = bridge::listen(port);
        listens.extend(listen.map(Arc::new));
        warnings.extend(faults);
    }
    let (proxies, clashes) = bridge::arrange(listens, incumbents);
    warnings.extend(clashes);
    let output = renderer
        .render(&proxies)
        .context("the templates cannot be rendered")?;
    warnings.extend(output.failed.into_iter().map(Failed::warning));
    Ok(Built {
        files: FileSet {
            cfg: output.rendered.text(),
            maps: BTreeMap::new(),
        },
        rendered: output.rendered,
        proxies,
        warnings,
    })
}

impl Labelled {
    /// What the apps ask for, as far as it is asked of us.
    fn select(&mut self, apps: &[Arc<App>], warnings: &mut Vec<Warning>) -> Wanted {
        let all = apps.to_vec();
        let (apps, faults) = merge_deployments(apps);
        warnings.extend(faults);
        let apps: Vec<Arc<App>> = apps.into_iter().filter(|app| !self.is_own(app)).collect();
        let (ports, faults) = zipped_service_ports(&apps, &self.selection, &mut self.health);
        warnings.extend(faults);
        let mut wanted = Wanted {
            ports: Vec::with_capacity(ports.len()),
            apps: all,
            said: None,
        };
        let mut said = Said::default();
        let mut ports = ports.into_iter().peekable();
        for app in &apps {
            let mut own = Vec::new();
            while let Some(port) = ports.next_if(|port| port.app == app.id) {
                own.push(port);
            }
            if own.iter().any(|port| !port.endpoints.is_empty()) {
                self.select_of(app, own, &mut wanted.ports, &mut said, warnings);
            }
        }
        wanted.said = Some(said);
        wanted
    }

    /// The service ports of one app.
    fn select_of(
        &self,
        app: &Arc<App>,
        mut ports: Vec<ServicePort>,
        wanted: &mut Vec<ServicePort>,
        said: &mut Said,
        warnings: &mut Vec<Warning>,
    ) {
        let merged;
        let settings: &Settings = match self.settings_from {
            SettingsFrom::Labels => &app.labels,
            SettingsFrom::Env => &app.env,
            SettingsFrom::EnvAndLabels => {
                let mut all = app.env.clone();
                all.extend(app.labels.clone());
                merged = all;
                &merged
            }
        };
        let mut served = Vec::with_capacity(ports.len());
        for (position, port) in ports.iter_mut().enumerate() {
            let (mut options, faults) = labels::parse(settings, &app.id, port.index);
            if !self.template_labels {
                options.overrides.clear();
            }
            if let Some(number) = options.port {
                port.service_port = number;
            }
            if port.endpoints.is_empty() || !self.wants(&options) {
                continue;
            }
            if faults.is_empty() {
                served.push((position, Arc::new(options)));
            }
            warnings.extend(faults.into_iter().map(|fault| Warning {
                effect: format!("service port {} left out", port.service_port),
                ..fault
            }));
        }
        if served
            .iter()
            .any(|(_, options)| options.healthcheck_port_index.is_some())
        {
            said.siblings.insert(app.id.clone(), ports.clone());
        }
        let mut served = served.into_iter().peekable();
        for (position, port) in ports.into_iter().enumerate() {
            if let Some((_, options)) = served.next_if(|(own, _)| *own == position) {
                let key = (port.app.clone(), port.index);
                said.options.insert(key, (Arc::clone(app), options));
                wanted.push(port);
            }
        }
    }

    fn is_own(&self, app: &App) -> bool {
        self.own_app.as_deref() == Some(&app.id.as_str()[1..])
    }

    fn wants(&self, options: &ServiceOptions) -> bool {
        let is_meant = if self.groups.is_empty() && self.ungrouped {
            options.groups.is_empty()
        } else {
            options.is_in(&self.groups)
        };
        is_meant && options.enabled.unwrap_or(!self.strict)
    }

    /// A service whose text cannot be written takes its rules with it, on which those of others
    /// may depend: so all is arranged anew without it, and without those that claim a port of the
    /// file's own.
    fn build(
        &self,
        mut services: Vec<Arc<Service>>,
        incumbents: &BTreeMap<u32, AppId>,
        renderer: &mut Renderer,
    ) -> Result<Built> {
        let mut faults = Vec::new();
        loop {
            let (layout, clashes) = marathon_lb::arrange(services.clone(), &self.shape, incumbents);
            let proxies = Proxies {
                layout,
                ..Proxies::default()
            };
            let output = renderer
                .render(&proxies)
                .context("the templates cannot be rendered")?;
            if output.failed.is_empty() {
                let before = services.len();
                if self.shape.settles_clashes {
                    let reserved = Reserved::of(output.rendered.chunks());
                    services.retain(|service| match reserved.clash(service) {
                        Some(warning) => {
                            faults.push(warning);
                            false
                        }
                        None => true,
                    });
                }
                if services.len() < before {
                    continue;
                }
                faults.extend(clashes);
                faults.extend(output.warnings);
                return Ok(Built {
                    files: FileSet {
                        cfg: output.rendered.text(),
                        maps: maps(&proxies, self.shape.maps),
                    },
                    rendered: output.rendered,
                    proxies,
                    warnings: faults,
                });
            }
            for failed in output.failed {
                let before = services.len();
                services.retain(|service| service.owner != failed.owner);
                // One that fails in several texts is told of once.
                if services.len() < before {
                    faults.push(failed.warning());
                }
            }
        }
    }
}

/// Map files; those without rows are there too, since the file names them.
fn maps(proxies: &Proxies, wanted: bool) -> BTreeMap<String, String> {
    if !wanted {
        return BTreeMap::new();
    }
    let text = |name: &str| {
        let rows = proxies.layout.maps.get(name).map_or(&[][..], Vec::as_slice);
        let mut text = String::new();
        for (key, backend) in rows {
            text.push_str(key);
            text.push(' ');
            text.push_str(backend);
            text.push('\n');
        }
        (name.to_owned(), text)
    };
    [marathon_lb::DOMAIN_MAP, marathon_lb::APP_MAP]
        .map(text)
        .into()
}
