//! The recipe of those sets in which labels count: what is asked for.

mod files;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tracing::debug;

use super::bounded::{keep_slots_within_bounds, keep_within_bounds};
use super::drained::drain;
use super::fallback::{Asking, Fallback};
use super::permitted::{Origins, may_replace, members, unused};
use super::readiness::{Waiting, without_waiting};
use super::recipe::At;
use super::typed::{beyond_bounds, checked, checked_as_before, fault, say_check};
use super::unfit_numbers::{no_port, no_such_index};
use super::wanted::{Cause, Said, Spoken, Wanted, effect};
use crate::cluster::{
    App, AppId, HealthMemory, Merged, Selection, ServicePort, Warning, merge_deployments,
    zipped_service_ports,
};
use crate::config::{SettingsFrom, TemplateLabels, Values};
use crate::labels::{self, ServiceOptions, Settings};
use crate::proxy::Owner;
use crate::proxy::marathon_lb::{self, Asked, Flavour, Service, Shape};

/// What decides beside the labels.
#[derive(Debug)]
pub struct Labelled {
    /// Which tasks count.
    pub selection: Selection,
    /// What was last known of their health.
    pub health: HealthMemory,
    /// Whether tasks that are not ready yet get no clients.
    pub heeds_readiness: bool,
    /// Which groups are served; `*` is everything.
    pub groups: Vec<String>,
    /// Where no group is asked for, the apps that name none are meant.
    pub ungrouped: bool,
    /// A service port is served only if its owner enables it.
    pub strict: bool,
    /// Where settings are read.
    pub settings_from: SettingsFrom,
    /// Which owners may put text of their own in the place of templates.
    pub template_labels: TemplateLabels,
    /// How what they write is read.
    pub values: Values,
    /// The app that this program itself is, without the first `/`.
    pub own_app: Option<String>,
    /// What follows for the whole file.
    pub shape: Shape,
}

impl Labelled {
    /// What the apps ask for, as far as it is asked of us.
    pub(super) fn select(
        &mut self,
        apps: &[Arc<App>],
        at: &mut At<'_>,
        fallback: &mut Fallback,
        warnings: &mut Vec<Warning>,
    ) -> Wanted {
        let all = apps.to_vec();
        let to_have_tasks: BTreeSet<AppId> = apps
            .iter()
            .filter(|app| app.instances > 0)
            .map(|app| app.id.clone())
            .collect();
        let (apps, waiting) = if self.heeds_readiness {
            without_waiting(apps, at.readiness, at.now)
        } else {
            (all.clone(), Waiting::default())
        };
        for (app, tasks) in &waiting.tasks {
            debug!("{tasks} tasks of app `{app}` wait for their readiness checks");
        }
        let Merged {
            apps,
            origins,
            warnings: faults,
        } = merge_deployments(&apps, members(self.values));
        let origins = Origins::of(origins);
        warnings.extend(faults);
        let apps: Vec<Arc<App>> = apps.into_iter().filter(|app| !self.is_own(app)).collect();
        let now = at.now.timestamp();
        let (mut ports, faults) =
            zipped_service_ports(&apps, &self.selection, &mut self.health, now);
        drain(&mut ports, at.drained);
        warnings.extend(faults);
        let mut wanted = Wanted {
            ports: Vec::with_capacity(ports.len()),
            absent: Vec::new(),
            apps: all,
            said: None,
            keeps_idle: self.shape.keeps_idle,
            waiting,
            closes_https: false,
            hidden_certificates: BTreeSet::new(),
        };
        let mut said = Said::default();
        let mut ports = ports.into_iter().peekable();
        for app in &apps {
            let mut own: Vec<ServicePort> = Vec::new();
            while let Some(port) = ports.next_if(|port| port.app == app.id) {
                own.push(port);
            }
            let mut members = origins.apps(app).iter();
            if members.any(|id| to_have_tasks.contains(id)) {
                let gone = own.iter().filter(|port| self.is_gone(port));
                for (port, spoken) in gone.filter_map(|port| self.absent(app, port)) {
                    said.options.insert((port.app.clone(), port.index), spoken);
                    wanted.absent.push(port);
                }
            }
            if own.iter().any(|port| !self.is_gone(port)) {
                let asked = self.asked_of(app, &mut own, &origins, fallback, warnings);
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

    /// As [`Recipe::deployments`](super::Recipe::deployments).
    pub(super) fn deployments(&self, apps: &[Arc<App>]) -> BTreeMap<AppId, AppId> {
        let merged = merge_deployments(apps, members(self.values));
        let of_deployments = merged.origins.into_iter();
        of_deployments
            .flat_map(|(id, apps)| apps.into_iter().map(move |app| (app, id.clone())))
            .collect()
    }

    /// As [`Recipe::fall_back`](super::Recipe::fall_back).
    pub(super) fn fall_back(
        &self,
        wanted: &mut Wanted,
        owner: &Owner,
        (why, cause): (&Warning, Cause),
        fallback: &mut Fallback,
    ) -> bool {
        let Some(said) = &mut wanted.said else {
            return false;
        };
        // Where there is no such port there is nothing to serve it with either.
        let mut all_fell = wanted.ports.iter().any(|port| owner.owns(port));
        for port in wanted.ports.iter_mut().filter(|port| owner.owns(port)) {
            let Some(spoken) = said.options.get_mut(&(port.app.clone(), port.index)) else {
                continue;
            };
            if spoken.is_last_good {
                fallback.give_up(&port.app, port.index);
                all_fell = false;
                continue;
            }
            let last_good =
                self.last_good(&spoken.app, port.index, port.service_port, why, fallback);
            match cause {
                Cause::Own => (),
                Cause::Others => fallback.keeps_open(&port.app, port.index),
                Cause::Unnamed => fallback.was_unnamed(&port.app, port.index),
                Cause::Start => fallback.kept_from_starting(&port.app, port.index),
            }
            match last_good {
                Some((mut options, app)) => {
                    if !spoken.may_replace {
                        options.overrides.clear();
                    }
                    port.service_port = options.port.unwrap_or(spoken.natural_port);
                    spoken.app = app;
                    spoken.options = Arc::new(options);
                    spoken.is_last_good = true;
                }
                None => all_fell = false,
            }
        }
        all_fell
    }

    /// A service port as its owner asks for it; `None` where that is not known.
    pub(super) fn service(&self, port: &ServicePort, said: &Said) -> Option<Service> {
        let spoken = said.options.get(&(port.app.clone(), port.index))?;
        let asked = Asked {
            app: &spoken.app,
            port,
            options: &spoken.options,
            siblings: &said.siblings,
        };
        Some(marathon_lb::service(asked, self.shape.flavour))
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
        origins: &Origins,
        fallback: &mut Fallback,
        warnings: &mut Vec<Warning>,
    ) -> Vec<(usize, Spoken)> {
        let settings = self.settings(app);
        let number = ports.len();
        let mut asked = Vec::with_capacity(number);
        let mut beyond = BTreeSet::new();
        for (position, port) in ports.iter_mut().enumerate() {
            let (mut options, mut faults) =
                labels::parse(&settings, &app.id, port.index, self.values);
            let natural_port = port.service_port;
            if let Some(own) = options.port {
                port.service_port = own;
            }
            if self.is_gone(port) || !self.wants(&options) {
                continue;
            }
            if self.values == Values::Typed
                && let Some(fault) = fault(app)
            {
                warnings.push(fault);
                return Vec::new();
            }
            let may_replace = may_replace(&self.template_labels, app, &options, origins);
            // That one has no such labels, and reads variables that mean other things.
            if !may_replace && self.shape.flavour != Flavour::Servicerouter {
                warnings.extend(unused(&app.id, port.index, &options, &self.template_labels));
            }
            let mut app_of_port = Arc::clone(app);
            if self.values == Values::Typed {
                match checked(app, port.index, &options) {
                    Ok(checked) => app_of_port = checked,
                    Err(fault) => faults.push(fault),
                }
            }
            if self.shape.settles_clashes {
                faults.extend(no_port(app, port, &options));
            }
            if faults.is_empty() {
                let said = || self.said_of(app, port.index);
                faults.extend(fallback.known(&app.id, port.index, port.service_port, said));
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
                    Some((last_good, as_before)) => {
                        options = last_good;
                        app_of_port = as_before;
                    }
                    None => continue,
                }
                port.service_port = options.port.unwrap_or(natural_port);
            }
            if !may_replace {
                options.overrides.clear();
            }
            if self.values == Values::Verbatim && self.shape.settles_clashes && !is_last_good {
                warnings.extend(doubts(&app.id, port.index, &options));
            }
            warnings.extend(no_such_index(app, port.index, number, &options));
            if self.values == Values::Typed {
                beyond.extend(beyond_bounds(app, port.index, &options));
            }
            let spoken = Spoken {
                app: app_of_port,
                options: Arc::new(options),
                natural_port,
                is_last_good,
                may_replace,
            };
            asked.push((position, spoken));
        }
        // Several service ports may have one check.
        warnings.extend(beyond);
        let judging = (self.values, self.shape.settles_clashes);
        warnings.extend(keep_within_bounds(app, ports, &mut asked, judging));
        if self.shape.flavour == Flavour::Native {
            let slots = self.shape.slots;
            warnings.extend(keep_slots_within_bounds(app, ports, &mut asked, slots));
        }
        asked
    }

    /// A service port that nobody serves, as its owner asks for it. What is wrong with that is told
    /// when it is served.
    fn absent(&self, app: &Arc<App>, port: &ServicePort) -> Option<(ServicePort, Spoken)> {
        let settings = self.settings(app);
        let (options, _) = labels::parse(&settings, &app.id, port.index, self.values);
        let absent = ServicePort {
            service_port: options.port.unwrap_or(port.service_port),
            ..port.clone()
        };
        let is_asked = self.wants(&options);
        let spoken = Spoken {
            app: Arc::clone(app),
            options: Arc::new(options),
            natural_port: port.service_port,
            is_last_good: false,
            may_replace: false,
        };
        is_asked.then_some((absent, spoken))
    }

    /// What is said of the service port at position `index`.
    fn said_of(&self, app: &App, index: usize) -> Settings {
        let settings = self.settings(app);
        let mut said = labels::said_of(&settings, index);
        if self.values == Values::Typed {
            let (options, _) = labels::parse(&settings, &app.id, index, self.values);
            say_check(&mut said, app, index, &options);
        }
        said
    }

    /// What the service port was last served with, since what is said of it now is refused; and the
    /// app as it is checked then.
    fn last_good(
        &self,
        app: &Arc<App>,
        index: usize,
        service_port: u32,
        why: &Warning,
        fallback: &mut Fallback,
    ) -> Option<(ServiceOptions, Arc<App>)> {
        let asking = Asking {
            app: &app.id,
            index,
            service_port,
            written_port: app.written_port(index),
            said: &self.said_of(app, index),
            values: self.values,
        };
        let said_of = |then: &App| {
            let is_same = then.written_port(index) == app.written_port(index);
            is_same.then(|| self.said_of(then, index))
        };
        let (options, said) = fallback.instead_of(asking, why, &said_of)?;
        if self.values == Values::Verbatim {
            return Some((options, Arc::clone(app)));
        }
        let as_before = checked_as_before(app, index, &options, &said);
        if as_before.is_none() {
            fallback.give_up(&app.id, index);
        }
        as_before.map(|app| (options, app))
    }

    /// Whether nobody serves it, and nothing is said in their place.
    fn is_gone(&self, port: &ServicePort) -> bool {
        port.endpoints.is_empty() && !self.shape.keeps_idle
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

    /// `--ssl-certs`.
    pub(super) fn given_certificates(&self) -> &[Box<str>] {
        &self.shape.ssl_certs
    }

    /// Whether only what owners say opens port 443.
    pub(super) fn opens_https_by_labels(&self) -> bool {
        self.shape.flavour == Flavour::Native && self.shape.ssl_certs.is_empty()
    }
}

/// What is written as it stands, and may be read otherwise than it was meant.
fn doubts(app: &AppId, index: usize, options: &ServiceOptions) -> Vec<Warning> {
    let doubt = |(name, text): (&str, &str)| Warning {
        app: Some(app.clone()),
        subject: format!("label `HAPROXY_{index}_{name}`"),
        found: format!("`{}`", text.escape_debug()),
        expected: match name {
            "PATH" => "paths, perhaps with `-i` before them, without quotes and `#`".to_owned(),
            _ => "one word, as HAProxy reads it".to_owned(),
        },
        effect: "written as it stands".to_owned(),
    };
    labels::doubtful(options).into_iter().map(doubt).collect()
}
