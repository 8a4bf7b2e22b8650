//! What is wanted of a cluster, and what became of it as files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::readiness::Waiting;
use crate::apply::FileSet;
use crate::cluster::{App, AppId, ServicePort, Warning};
use crate::labels::ServiceOptions;
use crate::proxy::{Owner, Proxies};
use crate::render::Rendered;

/// The service ports that are to be served, and what their owners said of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) ports: Vec<ServicePort>,
    /// Those that nobody serves for the moment, though their apps are to have tasks; where labels
    /// count.
    pub(super) absent: Vec<ServicePort>,
    /// Where labels count: all apps of the answer, as Marathon has them.
    pub(super) apps: Vec<Arc<App>>,
    pub(super) said: Option<Said>,
    /// Whether a service port without servers is served all the same.
    pub(super) keeps_idle: bool,
    /// Who is left out for now.
    pub(super) waiting: Waiting,
    /// Whether port 443, which labels open, has to stay closed.
    pub(super) closes_https: bool,
    /// Certificates that labels bring and that port 443 does not show.
    pub(super) hidden_certificates: BTreeSet<Box<str>>,
}

impl Wanted {
    pub(super) fn of_ports(ports: Vec<ServicePort>) -> Self {
        Self {
            ports,
            absent: Vec::new(),
            apps: Vec::new(),
            said: None,
            keeps_idle: false,
            waiting: Waiting::default(),
            closes_https: false,
            hidden_certificates: BTreeSet::new(),
        }
    }

    /// Whether labels count.
    pub(super) fn is_labelled(&self) -> bool {
        self.said.is_some()
    }

    /// marathon-lb's frontends go with the last server.
    pub(super) fn drop_idle(&mut self) {
        let Some(said) = self.said.as_ref().filter(|_| !self.keeps_idle) else {
            return;
        };
        let ports = std::mem::take(&mut self.ports).into_iter();
        let (served, idle): (Vec<_>, Vec<_>) = ports.partition(|port| !port.endpoints.is_empty());
        self.ports = served;
        let has_instances = |port: &ServicePort| {
            let spoken = said.options.get(&(port.app.clone(), port.index));
            spoken.is_some_and(|spoken| spoken.app.instances > 0)
        };
        self.absent.extend(idle.into_iter().filter(has_instances));
    }
}

/// By app and position.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) options: HashMap<(AppId, usize), Spoken>,
    /// All service ports of the apps whose checks dial another port of theirs.
    pub(super) siblings: BTreeMap<AppId, Vec<ServicePort>>,
}

/// What counts for one service port.
#[derive(Clone, Debug)]
pub(super) struct Spoken {
    pub(super) app: Arc<App>,
    pub(super) options: Arc<ServiceOptions>,
    /// The service port where no label says another.
    pub(super) natural_port: u32,
    /// These are not what is said of it now.
    pub(super) is_last_good: bool,
    /// Its owner may put text of its own in the place of templates.
    pub(super) may_replace: bool,
}

/// Service ports as files.
#[derive(Debug)]
pub(super) struct Built {
    /// Who has to be taken out, or back to what was served, before this is whole.
    pub(super) failed: Vec<(Owner, Warning)>,
    /// Who is left out already, where there is nothing to go back to.
    pub(super) left_out: Vec<(Owner, Warning)>,
    /// The same of those whose ports others have: whoever that is may leave them again.
    pub(super) displaced: Vec<(Owner, Warning)>,
    /// Who has port 443 and keeps it, though labels open it.
    pub(super) https_holder: Option<Owner>,
    pub(super) files: FileSet,
    pub(super) rendered: Rendered,
    pub(super) proxies: Proxies,
    pub(super) warnings: Vec<Warning>,
}

/// Who has a part in what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The owner alone: it stays wrong until something else is said.
    Own,
    /// Others as well, or what they bring about.
    Others,
    /// The owner alone, as far as trials tell: HAProxy names nobody.
    Unnamed,
    /// The owner alone: HAProxy does not start with it. To ask it again can cost everybody's
    /// connections for a moment.
    Start,
}

/// What becomes of a service port that is refused.
pub(super) fn effect(service_port: u32, is_kept: bool) -> String {
    if is_kept {
        format!("service port {service_port} is served as it was before")
    } else {
        format!("service port {service_port} left out")
    }
}
