//! How a cluster becomes the service ports of one set of templates, and those become files.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

use super::drained::drain;
use super::edited::Unwritable;
use super::fallback::Fallback;
use super::labelled::Labelled;
use super::wanted::{Built, Cause, Wanted};
use crate::apply::FileSet;
use crate::cluster::{App, AppId, ServicePort, ServingTasks, Snapshot, Warning, service_ports};
use crate::marathon::Cluster;
use crate::proxy::{Incumbents, Owner, bridge};
use crate::render::Renderer;
use crate::state::{Drained, ReadinessMemory, Time};

/// When a cluster is looked at, and what is remembered of what it said before.
pub(super) struct At<'m> {
    pub(super) now: Time,
    pub(super) readiness: &'m mut ReadinessMemory,
    /// What gets no new requests.
    pub(super) drained: &'m [Drained],
}

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

impl Recipe {
    /// Whether labels count.
    pub(super) fn is_labelled(&self) -> bool {
        matches!(self, Self::Labelled(_))
    }

    /// Whether only what owners say opens port 443, so that it can stay closed.
    pub(super) fn opens_https_by_labels(&self) -> bool {
        match self {
            Self::Bridge { .. } => false,
            Self::Labelled(labelled) => labelled.opens_https_by_labels(),
        }
    }

    /// Those of the operator, of port 443.
    pub(super) fn given_certificates(&self) -> &[Box<str>] {
        match self {
            Self::Bridge { .. } => &[],
            Self::Labelled(labelled) => labelled.given_certificates(),
        }
    }

    /// The service ports that are to be served.
    ///
    /// # Errors
    /// When labels are needed and the answer has none.
    pub(super) fn select(
        &mut self,
        cluster: Cluster,
        at: &mut At<'_>,
        fallback: &mut Fallback,
        warnings: &mut Vec<Warning>,
    ) -> Result<Wanted> {
        match (self, cluster) {
            (_, Cluster::AsBefore) => Ok(Wanted::default()),
            (Self::Bridge { .. }, Cluster::Endpoints(mut ports)) => {
                drain(&mut ports, at.drained);
                Ok(Wanted::of_ports(ports))
            }
            (Self::Bridge { serving, groups }, Cluster::Apps(snapshot)) => {
                let mut ports = of_bridge(&snapshot, *serving, groups, warnings);
                drain(&mut ports, at.drained);
                Ok(Wanted::of_ports(ports))
            }
            (Self::Labelled(labelled), Cluster::Apps(snapshot)) => {
                Ok(labelled.select(snapshot.apps(), at, fallback, warnings))
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
        at: &mut At<'_>,
        fallback: &mut Fallback,
        warnings: &mut Vec<Warning>,
    ) -> Wanted {
        match self {
            Self::Bridge { .. } => Wanted::default(),
            Self::Labelled(labelled) => labelled.select(apps, at, fallback, warnings),
        }
    }

    /// Which deployment each app of one is served as.
    pub(super) fn deployments(&self, apps: &[Arc<App>]) -> BTreeMap<AppId, AppId> {
        match self {
            Self::Bridge { .. } => BTreeMap::new(),
            Self::Labelled(labelled) => labelled.deployments(apps),
        }
    }

    /// Gives a service port back what it was served with. Where there is nothing of that kind, or
    /// that is what it has already, `false`: it has to go.
    pub(super) fn fall_back(
        &self,
        wanted: &mut Wanted,
        owner: &Owner,
        why: (&Warning, Cause),
        fallback: &mut Fallback,
    ) -> bool {
        match self {
            Self::Bridge { .. } => false,
            Self::Labelled(labelled) => labelled.fall_back(wanted, owner, why, fallback),
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
        incumbents: &Incumbents,
        renderer: &mut Renderer,
    ) -> Result<Built> {
        let is_out = |port: &ServicePort| without.iter().any(|owner| owner.owns(port));
        let ports = wanted.ports.iter().filter(|port| !is_out(port));
        match self {
            Self::Bridge { .. } => build_bridge(ports, incumbents, renderer),
            Self::Labelled(labelled) => labelled.build(ports, wanted, incumbents, renderer),
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
    incumbents: &Incumbents,
    renderer: &mut Renderer,
) -> Result<Built> {
    let mut warnings = Vec::new();
    let mut listens = Vec::new();
    for port in ports {
        let (listen, faults) = bridge::listen(port);
        listens.extend(listen.map(Arc::new));
        warnings.extend(faults);
    }
    let (proxies, clashes) = bridge::arrange(listens, &incumbents.service_ports);
    warnings.extend(clashes);
    let output = renderer.render(&proxies).context(Unwritable)?;
    let failed = output.failed.into_iter();
    let left_out = failed.map(|fault| (fault.owner.clone(), fault.warning()));
    Ok(Built {
        failed: Vec::new(),
        left_out: left_out.collect(),
        displaced: Vec::new(),
        https_holder: None,
        files: FileSet {
            cfg: output.rendered.text(),
            maps: BTreeMap::new(),
        },
        rendered: output.rendered,
        proxies,
        warnings,
    })
}
