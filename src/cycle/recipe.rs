//! How a cluster becomes the service ports of one set of templates, and those become files.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

use super::fallback::{Asking, Fallback};
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
#[derive(Clone, Debug, Default)]
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
#[derive(Clone, Debug, Default)]
struct Said {
    options: HashMap<(AppId, usize), Spoken>,
    /// All service ports of the apps whose checks dial another port of theirs.
    siblings: BTreeMap<AppId, Vec<ServicePort>>,
}

/// What counts for one service port.
#[derive(Clone, Debug)]
struct Spoken {
    app: Arc<App>,
    options: Arc<ServiceOptions>,
    /// The service port where no label says another.
    natural_port: u32,
    /// These are not what is said of it now.
    is_last_good: bool,
}

/// Service ports as files.
#[derive(Debug)]
pub(super) struct Built {
    /// Who has to be taken out, or back to what was served, before this is whole.
    pub(super) failed: Vec<(Owner, Warning)>,
    pub(super) files: FileSet,
    pub(super) rendered: Rendered,
    pub(super) proxies: Proxies,
    pub(super) warnings: Vec<Warning>,
}

impl Recipe {
    /// Whether labels count.
    pub(super) fn is_labelled(&self) -> bool {
        matches!(self, Self::Labelled(_))
    }

    /// The service ports that are to be served.
    ///
    /// # Errors
    /// When labels are needed and the answer has none.
    pub(super) fn select(
        &mut self,
        cluster: Cluster,
        fallback: &mut Fallback,
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
                Ok(labelled.select(snapshot.apps(), fallback, warnings))
            }
            (Self::Labelled(_), Cluster::Endpoints(_)) => bail!(
                "the answer is the text form of the tasks, which holds no labels, expected JSON as \
                 of /v2/apps?embed=apps.tasks"
            ),
        }
    }

    /// The same for apps that are known already; nothing where labels do not count.
    pub(super) fn select_apps(
        &mut self,
        apps: &[Arc<App>],
        fallback: &mut Fallback,
        warnings: &mut Vec<Warning>,
    ) -> Wanted {
        match self {
            Self::Bridge { .. } => Wanted::default(),
            Self::Labelled(labelled) => labelled.select(apps, fallback, warnings),
        }
    }

    /// Gives a service port back what it was served with. Where there is nothing of that kind, or
    /// that is what it has already, `false`: it has to go.
    pub(super) fn fall_back(
        &self,
        wanted: &mut Wanted,
        owner: &Owner,
        why: &Warning,
        fallback: &mut Fallback,
    ) -> bool {
        let (Self::Labelled(labelled), Some(said)) = (self, &mut wanted.said) else {
            return false;
        };
        let mut all_fell = true;
        for port in wanted.ports.iter_mut().filter(|port| owner.owns(port)) {
            let Some(spoken) = said.options.get_mut(&(port.app.clone(), port.index)) else {
                continue;
            };
            if spoken.is_last_good {
                fallback.give_up(&port.app, port.index);
                all_fell = false;
                continue;
            }
            match labelled.last_good(&spoken.app, port.index, port.service_port, why, fallback) {
                Some(options) => {
                    port.service_port = options.port.unwrap_or(spoken.natural_port);
                    spoken.options = Arc::new(options);
                    spoken.is_last_good = true;
                }
                None => all_fell = false,
            }
        }
        all_fell
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
        let is_out = |port: &ServicePort| without.iter().any(|owner| owner.owns(port));
        let ports = wanted.ports.iter().filter(|port| !is_out(port));
        match self {
            Self::Bridge { .. } => build_bridge(ports, incumbents, renderer),
            Self::Labelled(labelled) => {
                let services = ports.filter_map(|port| {
                    let Said { options, siblings } = wanted.said.as_ref()?;
                    let spoken = options.get(&(port.app.clone(), port.index))?;
                    let asked = Asked {
                        app: &spoken.app,
                        port,
                        options: &spoken.options,
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
        failed: Vec::new(),
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
    fn select(
        &mut self,
        apps: &[Arc<App>],
        fallback: &mut Fallback,
        warnings: &mut Vec<Warning>,
    ) -> Wanted {
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
            let mut own: Vec<ServicePort> = Vec::new();
            while let Some(port) = ports.next_if(|port| port.app == app.id) {
                own.push(port);
            }
            if own.iter().any(|port| !port.endpoints.is_empty()) {
                let asked = self.asked_of(app, &mut own, fallback, warnings);
                if asked
                    .iter()
                    .any(|(_, spoken)| spoken.options.healthcheck_port_index.is_some())
                {
                    said.siblings.insert(app.id.clone(), own.clone());
                }
                let mut asked = asked.into_iter().peekable();
                for (position, port) in own.into_iter().enumerate() {
                    if let Some((_, spoken)) = asked.next_if(|(own, _)| *own == position) {
                        said.options.insert((port.app.clone(), port.index), spoken);
                        wanted.ports.push(port);
                    }
                }
            }
        }
        wanted.said = Some(said);
        wanted
    }

    /// Where settings are read.
    fn settings<'a>(&self, app: &'a App) -> Cow<'a, Settings> {
        match self.settings_from {
            SettingsFrom::Labels => Cow::Borrowed(&app.labels),
            SettingsFrom::Env => Cow::Borrowed(&app.env),
            SettingsFrom::EnvAndLabels => {
                let mut all = app.env.clone();
                all.extend(app.labels.clone());
                Cow::Owned(all)
            }
        }
    }

    /// Which of the service ports of one app are asked for, by their positions in `ports`; and
    /// gives them the numbers that labels say.
    fn asked_of(
        &self,
        app: &Arc<App>,
        ports: &mut [ServicePort],
        fallback: &mut Fallback,
        warnings: &mut Vec<Warning>,
    ) -> Vec<(usize, Spoken)> {
        let settings = self.settings(app);
        let mut asked = Vec::with_capacity(ports.len());
        for (position, port) in ports.iter_mut().enumerate() {
            let (mut options, mut faults) = labels::parse(&settings, &app.id, port.index);
            let natural_port = port.service_port;
            if let Some(number) = options.port {
                port.service_port = number;
            }
            if port.endpoints.is_empty() || !self.wants(&options) {
                continue;
            }
            if faults.is_empty() {
                faults.extend(fallback.known(&app.id, port.index, &settings));
            }
            let is_last_good = !faults.is_empty();
            if let Some(why) = faults.first() {
                let last_good = self.last_good(app, port.index, port.service_port, why, fallback);
                let effect = effect(port.service_port, last_good.is_some());
                warnings.extend(faults.into_iter().map(|fault| Warning {
                    effect: effect.clone(),
                    ..fault
                }));
                match last_good {
                    Some(last_good) => options = last_good,
                    None => continue,
                }
                port.service_port = options.port.unwrap_or(natural_port);
            }
            if !self.template_labels {
                options.overrides.clear();
            }
            let spoken = Spoken {
                app: Arc::clone(app),
                options: Arc::new(options),
                natural_port,
                is_last_good,
            };
            asked.push((position, spoken));
        }
        asked
    }

    /// What the service port was last served with, since what is said of it now is refused.
    fn last_good(
        &self,
        app: &App,
        index: usize,
        service_port: u32,
        why: &Warning,
        fallback: &mut Fallback,
    ) -> Option<ServiceOptions> {
        let asking = Asking {
            app: &app.id,
            index,
            service_port,
            said: &labels::said_of(&self.settings(app), index),
        };
        let said_of = |app: &App| labels::said_of(&self.settings(app), index);
        let mut options = fallback.instead_of(asking, why, &said_of)?;
        if !self.template_labels {
            options.overrides.clear();
        }
        Some(options)
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

    fn build(
        &self,
        services: Vec<Arc<Service>>,
        incumbents: &BTreeMap<u32, AppId>,
        renderer: &mut Renderer,
    ) -> Result<Built> {
        let (layout, mut warnings) = marathon_lb::arrange(services, &self.shape, incumbents);
        let proxies = Proxies {
            layout,
            ..Proxies::default()
        };
        let output = renderer
            .render(&proxies)
            .context("the templates cannot be rendered")?;
        warnings.extend(output.warnings);
        let mut failed: Vec<(Owner, Warning)> = Vec::new();
        for fault in output.failed {
            // One that fails in several texts is told of once.
            if !failed.iter().any(|(owner, _)| *owner == fault.owner) {
                failed.push((fault.owner.clone(), fault.warning()));
            }
        }
        if failed.is_empty() && self.shape.settles_clashes {
            let reserved = Reserved::of(output.rendered.chunks());
            let services = proxies.layout.services.iter();
            failed.extend(
                services
                    .filter_map(|service| Some((service.owner.clone(), reserved.clash(service)?))),
            );
        }
        Ok(Built {
            failed,
            files: FileSet {
                cfg: output.rendered.text(),
                maps: maps(&proxies, self.shape.maps),
            },
            rendered: output.rendered,
            proxies,
            warnings,
        })
    }
}

/// What becomes of a service port that is refused.
pub(super) fn effect(service_port: u32, is_kept: bool) -> String {
    if is_kept {
        format!("service port {service_port} is served as it was before")
    } else {
        format!("service port {service_port} left out")
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
