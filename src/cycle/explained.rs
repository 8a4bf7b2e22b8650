//! What becomes of one app, and why.

use std::sync::Arc;

use super::plan::Plan;
use crate::cluster::{App, AppId, Warning, shared_deployment_names};
use crate::labels;
use crate::proxy::Owner;
use crate::proxy::marathon_lb::Service;
use crate::proxy::native::Remark;

/// All that is to be told of one app.
#[derive(Debug)]
pub struct Explained {
    /// Its service ports.
    pub ports: Vec<ExplainedPort>,
    /// What is wrong with it.
    pub warnings: Vec<Warning>,
    /// How many of its tasks wait until they are ready.
    pub waiting: usize,
}

/// One of its service ports.
#[derive(Debug)]
pub struct ExplainedPort {
    /// The `{n}` of labels.
    pub index: usize,
    /// What clients dial, or would.
    pub service_port: Option<u32>,
    /// What becomes of it.
    pub fate: Fate,
    /// Its labels and their values, in order.
    pub labels: Vec<(String, String)>,
    /// Its lines of `haproxy.cfg`, with their numbers.
    pub lines: Vec<(usize, String)>,
    /// Its rows of maps: file, key, value.
    pub rows: Vec<(String, String, String)>,
    /// Hosts and paths that it asks for, as a request for them would have them.
    pub requests: Vec<(String, String)>,
    /// Other apps that are one service with it.
    pub merged_with: Vec<AppId>,
}

/// Whether a service port is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is.
    Served {
        /// Name of its sections.
        name: String,
        /// How many tasks get its connections.
        servers: usize,
        /// Not with what is said of it now.
        is_last_good: bool,
    },
    /// Its fault, or somebody else has what it wants.
    LeftOut,
    /// None of the tasks that it is to have can be reached.
    WithoutTasks,
    /// It is to have none.
    ScaledToZero,
    /// Its groups are others, or a label says so.
    NotAsked,
}

/// At most so many of the places that it asks for are followed.
const MOST_REQUESTS: usize = 20;

impl Plan {
    /// What people may want to know and nobody has to mend.
    #[must_use]
    pub fn remarks(&self) -> Vec<Remark> {
        let Some(native) = &self.proxies.native else {
            return Vec::new();
        };
        let mut remarks = native.remarks();
        let shared = shared_deployment_names(&self.draft.wanted.apps);
        remarks.extend(shared.iter().filter_map(|(name, firsts)| {
            let [app, other, ..] = &firsts[..] else {
                return None;
            };
            Some(Remark {
                app: app.clone(),
                other: other.clone(),
                text: format!(
                    "deployment `{name}` of app `{app}` and that of app `{other}` are two, since each \
                     folder has its own ({} have one of this name)",
                    firsts.len()
                ),
            })
        }));
        remarks
    }

    /// All apps of the answer, as Marathon has them; none where labels do not count.
    #[must_use]
    pub fn apps(&self) -> &[Arc<App>] {
        &self.draft.wanted.apps
    }

    /// What becomes of `app`; `None` where Marathon has no such app.
    #[must_use]
    pub fn explained(&self, app: &AppId) -> Option<Explained> {
        let wanted = &self.draft.wanted;
        let known = wanted.apps.iter().find(|known| known.id == *app);
        let of_deployment = wanted.said.iter().flat_map(|said| said.options.values());
        let known = known.or_else(|| {
            let mut of_deployment = of_deployment.map(|spoken| &spoken.app);
            of_deployment.find(|spoken| spoken.id == *app)
        });
        let mut indexes: Vec<usize> = wanted
            .ports
            .iter()
            .chain(&wanted.absent)
            .filter(|port| port.app == *app)
            .map(|port| port.index)
            .collect();
        if let Some(known) = known {
            indexes.extend((0..).take_while(|index| known.written_port(*index).is_some()));
        }
        indexes.sort_unstable();
        indexes.dedup();
        if known.is_none() && indexes.is_empty() {
            return None;
        }
        let warnings = self.warnings.iter().cloned().chain(self.unread_labels());
        let warnings: Vec<Warning> = warnings
            .filter(|warning| warning.app.as_ref() == Some(app))
            .collect();
        let port = |index| self.explained_port(app, known.map(|app| &**app), index, &warnings);
        let ports = indexes.into_iter().map(port).collect();
        Some(Explained {
            ports,
            warnings,
            waiting: self.waiting().tasks.get(app).copied().unwrap_or(0),
        })
    }

    fn explained_port(
        &self,
        app: &AppId,
        known: Option<&App>,
        index: usize,
        warnings: &[Warning],
    ) -> ExplainedPort {
        let wanted = &self.draft.wanted;
        let is_it = |port: &&crate::cluster::ServicePort| port.app == *app && port.index == index;
        let port = wanted.ports.iter().find(is_it);
        let absent = wanted.absent.iter().find(is_it);
        let written = known.and_then(|known| known.written_port(index));
        let service_port = port.or(absent).map(|port| port.service_port).or(written);
        let owner = service_port.map(|service_port| Owner {
            app: app.clone(),
            service_port,
        });
        let service = self
            .proxies
            .services()
            .iter()
            .find(|service| service.index == index && Some(&service.owner) == owner.as_ref());
        let listen = self.proxies.listens.iter();
        let mut listen = listen.filter(|listen| Some(&listen.owner) == owner.as_ref());
        let spoken = wanted.said.as_ref();
        let spoken = spoken.and_then(|said| said.options.get(&(app.clone(), index)));
        let served = match (service, listen.next()) {
            (Some(service), _) => Some((service.name.clone(), service.servers.len())),
            (None, Some(listen)) => Some((listen.name.clone(), listen.servers.len())),
            (None, None) => None,
        };
        let fate = match served {
            Some((name, servers)) => Fate::Served {
                name,
                servers,
                is_last_good: spoken.is_some_and(|spoken| spoken.is_last_good),
            },
            None if port.is_some() => Fate::LeftOut,
            None if known.is_some_and(|known| known.instances == 0) => Fate::ScaledToZero,
            None if absent.is_some() => Fate::WithoutTasks,
            None if known.is_some_and(|known| known.tasks.is_empty()) => Fate::WithoutTasks,
            None if warnings.iter().any(|w| leaves_out(w, index)) => Fate::LeftOut,
            None => Fate::NotAsked,
        };
        let is_served = matches!(fate, Fate::Served { .. });
        let settings = known.map(|known| labels::said_of(&known.labels, index));
        ExplainedPort {
            index,
            service_port,
            labels: settings
                .into_iter()
                .flatten()
                .map(|(name, text)| (name.into(), text.into()))
                .collect(),
            lines: owner
                .filter(|_| is_served)
                .map(|owner| self.lines_of(&owner))
                .unwrap_or_default(),
            rows: service
                .map(|service| self.rows_of(service))
                .unwrap_or_default(),
            requests: service.map(|service| requests(service)).unwrap_or_default(),
            merged_with: service
                .map(|service| self.merged(service))
                .unwrap_or_default(),
            fate,
        }
    }

    fn lines_of(&self, owner: &Owner) -> Vec<(usize, String)> {
        let mut lines = Vec::new();
        let mut number = 1;
        for chunk in self.rendered.chunks() {
            if chunk.owner.as_ref() == Some(owner) {
                let own = chunk.text.lines().zip(number..);
                let own = own.filter(|(line, _)| !line.trim().is_empty());
                lines.extend(own.map(|(line, number)| (number, line.to_owned())));
            }
            number += chunk.text.matches('\n').count();
        }
        lines
    }

    fn rows_of(&self, service: &Service) -> Vec<(String, String, String)> {
        let maps = self.proxies.maps().iter();
        let rows = maps.flat_map(|(map, rows)| rows.iter().map(move |row| (map, row)));
        rows.filter(|(_, (_, backend))| *backend == service.name)
            .map(|(map, (key, backend))| ((*map).to_owned(), key.to_string(), backend.clone()))
            .collect()
    }

    /// Other apps that are one service with it, as they were merged.
    fn merged(&self, service: &Service) -> Vec<AppId> {
        let merged = self.proxies.native.as_ref().map(|native| &native.merged);
        let Some((merged, first)) = merged.and_then(|all| Some((all, all.get(&service.owner)?)))
        else {
            return Vec::new();
        };
        let members = merged.iter().filter(|(_, other)| *other == first);
        let mut others: Vec<AppId> = members
            .map(|(owner, _)| owner.app.clone())
            .filter(|app| *app != service.owner.app)
            .collect();
        others.dedup();
        others
    }
}

/// Whether it tells why the service port at position `index` is not served.
fn leaves_out(warning: &Warning, index: usize) -> bool {
    let is_of_a_label = warning.subject.starts_with("label `HAPROXY_");
    let is_of_this = warning
        .subject
        .starts_with(&format!("label `HAPROXY_{index}_"));
    warning.effect.contains("left out") && (is_of_this || !is_of_a_label)
}

/// The requests that its owner names. For what lies below a host stands one such name, and one where
/// paths of all hosts are meant.
fn requests(service: &Service) -> Vec<(String, String)> {
    let options = &service.options;
    let mut hosts: Vec<String> = options
        .vhosts()
        .iter()
        .map(|host| host.trim().replacen('*', "any", 1))
        .filter(|host| !host.is_empty())
        .collect();
    let paths = options.path.as_deref().unwrap_or_default();
    let mut paths: Vec<&str> = paths
        .split_whitespace()
        .filter(|word| *word != "-i")
        .collect();
    if paths.is_empty() && !hosts.is_empty() {
        paths.push("/");
    }
    if hosts.is_empty() && service.is_http() {
        hosts.push("any".to_owned());
    }
    let all = hosts.iter().flat_map(|host| {
        paths
            .iter()
            .map(move |path| (host.clone(), (*path).to_owned()))
    });
    all.take(MOST_REQUESTS).collect()
}
