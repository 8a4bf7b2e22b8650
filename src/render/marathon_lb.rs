//! marathon-lb's set: what a service and its rules say, and where it stands in the file.

mod judged;
mod led;
mod sections;
mod writer;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use sections::Sections;
use tera::Context;

use super::chunk::{Chunk, Rendered};
use super::context::{CONTEXT_VERSION, DialectContext, has_spares};
use super::engine::Engine;
use super::format::Value;
use super::fragments::{Fault, Fragments, STRUCTURE, file_name};
use super::profiles::{self, PROFILES, Profiles};
use super::shape::Shape;
use super::values::{OfRule, Plain};
use super::{Failed, Output, Resupplied, Site};
use crate::cluster::Warning;
use crate::config::TemplateSet;
use crate::haproxy::{Line, structure_hash};
use crate::labels::Template;
use crate::proxy::marathon_lb::{Https, Layout, Route, Rule, Service, Vhost, frontend_name};

/// Names of the parts in `haproxy.cfg.tera`, in their order.
const PARTS: [&str; 7] = [
    "head",
    "userlists",
    "http_frontend",
    "app_id_frontend",
    "https_frontends",
    "frontends",
    "backends",
];

/// Stands for a part while the frame of the file is rendered.
pub(super) fn mark(part: &str) -> String {
    format!("\u{1}{part}\u{1}")
}

/// The set, and what it last made.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct MarathonLb {
    engine: Engine,
    fragments: Fragments,
    haproxy_dir: String,
    judges: bool,
    /// Whether what stands in a line of a server is ours alone.
    writes_servers: bool,
    confines_texts: bool,
    /// HAProxy is to tell what it runs.
    tells_structure: bool,
    templates: TemplateSet,
    /// What templates are told of HAProxy.
    dialect: tera::Value,
    /// No frontend may have the name of a backend.
    parts_names: bool,
    /// Ports 80 and 443 lead to a service in the place of a frontend of its own.
    leads_by_name: bool,
    /// Backends take from profiles what they say.
    has_profiles: bool,
    /// How many each profile has to spare.
    spares: usize,
    frontend: OnceCell<Shape>,
    backend: OnceCell<Shape>,
    services: HashMap<String, (Arc<Service>, Arc<Sections>)>,
}

/// The texts of shared frontends.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) http: Vec<Chunk>,
    pub(super) app_ids: Vec<Chunk>,
    pub(super) https: Vec<Chunk>,
}

/// What services have to themselves.
#[derive(Default)]
pub(super) struct OfServices {
    userlists: Vec<Chunk>,
    frontends: Vec<Chunk>,
    backends: Vec<Chunk>,
    /// What of their backends stands in HEAD.
    profiles: Profiles,
    /// Those who have not.
    pub(super) failed: Vec<Failed>,
}

impl MarathonLb {
    pub(super) fn new(engine: Engine, site: &Site) -> Result<Self> {
        let dialect = DialectContext::new(site);
        let fragments = Fragments::new(&engine, &dialect, &site.replacements)?;
        let mut set = Self {
            engine,
            fragments,
            haproxy_dir: site.haproxy_dir.clone(),
            judges: site.judges,
            writes_servers: writes_servers(site),
            confines_texts: site.confines_texts,
            tells_structure: site.runtime_api,
            templates: site.set,
            dialect: tera::Value::from_serializable(&dialect),
            parts_names: site.dialect.version.parts_names(),
            leads_by_name: site.leads_by_name,
            has_profiles: dialect.adds_backends,
            spares: if has_spares(site) {
                site.spare_backends
            } else {
                0
            },
            frontend: OnceCell::new(),
            backend: OnceCell::new(),
            services: HashMap::new(),
        };
        if site.set == TemplateSet::MarathonLb {
            set.guard_head()?;
        }
        // A HEAD of the operator's may have no place for them.
        set.has_profiles = set.has_profiles && set.header()?.contains(PROFILES);
        Ok(set)
    }

    /// Whatever stands in HEAD, marathon-lb refuses one with which a reload would lose connections.
    fn guard_head(&self) -> Result<()> {
        let head = self.global(Template::Head, &[])?;
        if head.split_whitespace().any(|word| word == "daemon") {
            bail!(
                "{} holds `daemon`, expected none: HAProxy must stay in the foreground of its \
                 supervisor",
                Template::Head
            );
        }
        if !head.contains("expose-fd listeners") {
            bail!(
                "{} lacks `expose-fd listeners`, expected a line such as `stats socket \
                 /var/run/haproxy/socket expose-fd listeners` in `global`: without it a reload \
                 loses connections",
                Template::Head
            );
        }
        Ok(())
    }

    pub(super) fn header(&self) -> Result<String> {
        self.global(Template::Head, &[])
    }

    pub(super) fn tells_structure(&self) -> Result<bool> {
        Ok(self.tells_structure && self.header()?.contains(STRUCTURE))
    }

    pub(super) fn render(&mut self, layout: &Layout) -> Result<Output> {
        let mut own = self.own_sections(&layout.services)?;
        let mut warnings = Vec::new();
        let shared = self.shared(layout, &mut own.failed, &mut warnings)?;
        let mut rendered = self.whole(shared, &own)?;
        if self.tells_structure {
            // The line that is filled does not count for the hash.
            rendered.fill(STRUCTURE, &structure_hash(&rendered.text()));
        }
        Ok(Output {
            rendered,
            failed: own.failed,
            warnings,
        })
    }

    /// The sections that services have to themselves.
    ///
    /// # Errors
    /// When all of them fail for a text that is not theirs.
    pub(super) fn own_sections(&mut self, services: &[Arc<Service>]) -> Result<OfServices> {
        let mut own = OfServices::default();
        let mut kept = HashMap::with_capacity(services.len());
        for service in services {
            match self.sections(service) {
                Ok(sections) => {
                    let chunk = |text: &Arc<str>| Chunk::of(&service.owner, Arc::clone(text));
                    own.userlists.extend(sections.userlist.as_ref().map(chunk));
                    own.frontends.extend(sections.frontend.as_ref().map(chunk));
                    own.backends.push(chunk(&sections.backend));
                    own.profiles.extend(sections.profile.clone());
                    kept.insert(service.name.clone(), (Arc::clone(service), sections));
                }
                Err(fault) => own.failed.push(fault.of(service)),
            }
        }
        if own.failed.len() == services.len()
            && let Some(first) = own.failed.iter().find(|failed| failed.part.is_none())
        {
            bail!("{}, expected {}", first.found, first.expected);
        }
        self.services = kept;
        Ok(own)
    }

    /// As [`Renderer::with_servers`](super::Renderer::with_servers).
    pub(super) fn with_servers(
        &mut self,
        before: &Arc<Service>,
        after: &Arc<Service>,
    ) -> Option<Resupplied> {
        if !self.writes_servers || !before.options.overrides.is_empty() {
            return None;
        }
        // What was written last need not be what is in service.
        let was = self.sections(before).ok()?;
        let is = self.sections(after).ok()?;
        if was.userlist != is.userlist || was.frontend != is.frontend {
            return None;
        }
        self.services
            .insert(after.name.clone(), (Arc::clone(after), Arc::clone(&is)));
        Some(Resupplied {
            before: Arc::clone(&was.backend),
            after: Arc::clone(&is.backend),
        })
    }

    /// The file, of its parts.
    ///
    /// # Errors
    /// When the frame or HEAD fail.
    pub(super) fn whole(&self, shared: Shared, own: &OfServices) -> Result<Rendered> {
        let parts = [
            vec![Chunk::frame(&self.header()?)],
            own.userlists.clone(),
            shared.http,
            shared.app_ids,
            shared.https,
            own.frontends.clone(),
            own.backends.clone(),
        ];
        let marks = PARTS.map(mark);
        let parts = marks.iter().map(String::as_str).zip(parts);
        let mut rendered = Rendered::new(&self.frame()?, parts);
        rendered.fill(PROFILES, &profiles::text(&own.profiles));
        rendered.push(&profiles::spares(&own.profiles, self.spares));
        Ok(rendered)
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn dialect(&self) -> tera::Value {
        self.dialect.clone()
    }

    /// `text`, which opens the frontend of a backend, under a name that no backend has where HAProxy
    /// wants that; so whoever wrote the text for older versions need not write it anew.
    fn parted(&self, text: String, backend: &str) -> String {
        if !self.parts_names {
            return text;
        }
        let own = frontend_name(backend);
        let lines = text.split_inclusive('\n');
        let lines = lines.map(|line| match &Line::of(line.trim_end()).words[..] {
            [keyword, name] if keyword == "frontend" && name == backend => {
                // The backend's name may be a part of the keyword.
                let behind = line
                    .find(keyword.as_ref() as &str)
                    .map_or(0, |at| at + keyword.len());
                let (head, rest) = line.split_at(behind);
                Cow::Owned(format!("{head}{}", rest.replacen(backend, &own, 1)))
            }
            _ => Cow::Borrowed(line),
        });
        lines.collect()
    }

    fn frame(&self) -> Result<String> {
        let mut context = Context::new();
        context.insert("context_version", &CONTEXT_VERSION);
        for part in PARTS {
            context.insert_value(part, tera::Value::safe_string(&mark(part)));
        }
        self.engine.render("haproxy.cfg", &context)
    }

    /// A text that belongs to no service.
    fn global(&self, template: Template, values: &[(&str, Value<'_>)]) -> Result<String> {
        let mut text = String::new();
        self.fragments
            .write(template, template, None, &Plain(values), &mut text)
            .map_err(|fault| anyhow!("{fault}"))?;
        Ok(text)
    }

    fn shared(
        &self,
        layout: &Layout,
        failed: &mut Vec<Failed>,
        warnings: &mut Vec<Warning>,
    ) -> Result<Shared> {
        let mut shared = Shared::default();
        if let Https::ByVhost(_) = layout.https {
            for service in &layout.services {
                if let Err(fault) = self.keeps_hosts_within(service) {
                    failed.push(fault.of(service));
                }
            }
        }
        let mut add = |chunks: &mut Vec<Chunk>, head: String, routes: &[Route]| {
            chunks.push(Chunk::frame(&head));
            for route in routes {
                if let Err(fault) = self.route(route, chunks, warnings) {
                    failed.push(fault.of(&route.service));
                }
            }
        };
        if let Some(routes) = &layout.http {
            let head = self.global(Template::HttpFrontendHead, &[])?;
            add(&mut shared.http, head, routes);
        }
        let head = self.global(Template::HttpFrontendAppidHead, &[])?;
        add(&mut shared.app_ids, head, &layout.app_ids);
        match &layout.https {
            Https::Closed => (),
            Https::Together {
                certificates,
                routes,
            } => {
                let certificates = crt(certificates);
                let values = [("sslCerts", Value::Text(&certificates))];
                let head = self.global(Template::HttpsFrontendHead, &values)?;
                add(&mut shared.https, head, routes);
            }
            Https::ByVhost(vhosts) => {
                add(&mut shared.https, self.by_name(vhosts)?, &[]);
                for vhost in vhosts {
                    add(&mut shared.https, self.vhost(vhost)?, &vhost.routes);
                }
            }
        }
        Ok(shared)
    }

    /// Port 443 where each host has a frontend of its own.
    fn by_name(&self, vhosts: &[Vhost]) -> Result<String> {
        let mut text = self.global(Template::HttpsGroupedFrontendHead, &[])?;
        for vhost in vhosts {
            let values = [
                ("backend", Value::Text(&vhost.name)),
                ("host", Value::Text(&vhost.host)),
            ];
            text += &self.global(Template::HttpsGroupedVhostFrontendAcl, &values)?;
        }
        Ok(text)
    }

    fn vhost(&self, vhost: &Vhost) -> Result<String> {
        let name = ("name", Value::Text(&vhost.name));
        let mut text = self.global(
            Template::HttpsGroupedVhostBackendHead,
            std::slice::from_ref(&name),
        )?;
        let certificates = crt(&vhost.certificates);
        // Each with a blank before it, and parted by another.
        let options: Vec<String> = vhost.bind_options.iter().map(|o| format!(" {o}")).collect();
        let options = options.join(" ");
        let values = [
            name,
            ("sslCerts", Value::Text(&certificates)),
            ("bindOpts", Value::Text(&options)),
        ];
        let head = self.global(Template::HttpsGroupedVhostFrontendHead, &values)?;
        text += &self.parted(head, &vhost.name);
        Ok(text)
    }

    /// A lookup stands for all services: what is wrong with it is not the fault of the one that
    /// brought it, unless it is in that one's words.
    fn route(
        &self,
        route: &Route,
        chunks: &mut Vec<Chunk>,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), Fault> {
        let owner = &route.service.owner;
        let loose = self.loose(&route.service);
        let mut text = String::new();
        for rule in &route.rules {
            let is_own = rule.template == rule.label
                || route.service.options.overrides.contains_key(&rule.label);
            if is_own {
                self.rule(&route.service, rule, &loose, &mut text, warnings)?;
                continue;
            }
            if !text.is_empty() {
                chunks.push(Chunk::of(owner, std::mem::take(&mut text).into()));
            }
            let mut lookup = String::new();
            self.rule(&route.service, rule, &[], &mut lookup, warnings)?;
            chunks.push(Chunk::frame(&lookup));
        }
        self.keeps_within(&route.service, None, &text)?;
        self.confines(&route.service, &text, |plain| {
            let mut text = String::new();
            for rule in &route.rules {
                self.rule(plain, rule, &[], &mut text, &mut Vec::new())?;
            }
            Ok(text)
        })?;
        if !text.is_empty() {
            chunks.push(Chunk::of(owner, text.into()));
        }
        Ok(())
    }

    /// The label of a lookup is meant for a rule of the service alone, as it stands without maps.
    /// marathon-lb failed where it used more than a lookup knows; here the lookup stays as it is.
    fn rule(
        &self,
        service: &Service,
        rule: &Rule,
        loose: &[&'static str],
        out: &mut String,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), Fault> {
        let values = OfRule::new(service, rule, &self.haproxy_dir);
        let options = &service.options;
        let before = out.len();
        let written = self
            .fragments
            .write(rule.template, rule.label, Some(options), &values, out);
        let Err(fault) = written else {
            let names = (rule.template, rule.label);
            let written = &out[before..];
            return self
                .fragments
                .keeps_within(names, Some(options), &values, loose, written);
        };
        if rule.template == rule.label {
            return Err(fault);
        }
        out.truncate(before);
        warnings.push(Warning {
            effect: "not used: with maps one rule stands for all services".to_owned(),
            ..fault.of(service).warning()
        });
        self.fragments
            .write(rule.template, rule.template, None, &values, out)
    }
}

/// Whether nobody put a text of his own where single servers are told of.
fn writes_servers(site: &Site) -> bool {
    let of_servers = [
        Template::BackendServerOptions,
        Template::BackendServerHttpHealthcheckOptions,
        Template::BackendServerTcpHealthcheckOptions,
    ];
    let names = of_servers.map(file_name);
    let is_theirs = |name: &String| name == "backend.cfg" || names.contains(name);
    let overridden = site.overrides.iter().any(|file| is_theirs(&file.name));
    let replaced = site
        .replacements
        .iter()
        .any(|given| of_servers.contains(&given.template));
    !overridden && !replaced
}

/// `crt A crt B`, in the order given: the first is what clients get that ask for no known host.
fn crt(certificates: &[Box<str>]) -> String {
    let each: Vec<String> = certificates
        .iter()
        .map(|path| format!("crt {path}"))
        .collect();
    each.join(" ")
}
