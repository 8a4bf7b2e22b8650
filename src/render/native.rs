//! The native set: sections of services as in marathon-lb's set, and shared frontends from
//! templates of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tera::Context;

use super::chunk::{Chunk, Rendered};
use super::context::CONTEXT_VERSION;
use super::engine::Engine;
use super::fragments::{STRUCTURE, is_of_shared_frontend};
use super::marathon_lb::{MarathonLb, Shared, mark};
use super::values::word;
use super::{Extra, Failed, Output, Resupplied, Site};
use crate::cluster::Warning;
use crate::haproxy::{Line, structure_hash};
use crate::labels::Template;
use crate::proxy::marathon_lb::Service;
use crate::proxy::native::{Conditions, Crt, Host, Layout, Rule, TlsRule};

/// Of port 443.
const HTTPS_IN: &str = "https_in.cfg";

/// The keyword before a certificate.
const CRT: &str = "crt";

/// Rules by the name that a template has for their place.
type Rules = Vec<(&'static str, Vec<Chunk>)>;

/// The set, and what it last made.
pub(super) struct Native {
    sections: MarathonLb,
    haproxy_dir: String,
    extra: Vec<Extra>,
}

impl Native {
    pub(super) fn new(engine: Engine, site: &Site) -> Result<Self> {
        Ok(Self {
            sections: MarathonLb::new(engine, site)?,
            haproxy_dir: word(&site.haproxy_dir),
            extra: site.extra.clone(),
        })
    }

    /// What the operator adds is none of the cluster's either.
    pub(super) fn header(&self) -> Result<String> {
        let extra = self.extra.iter().map(|extra| extra.text.as_str());
        Ok(std::iter::once(&*self.sections.header()?)
            .chain(extra)
            .collect::<Vec<_>>()
            .join("\n"))
    }

    pub(super) fn render(&mut self, layout: &Layout) -> Result<Output> {
        let own = self.sections.own_sections(&layout.services)?;
        let mut warnings = Vec::new();
        let shared = self.shared(layout, &mut warnings)?;
        let mut rendered = self.sections.whole(shared, &own)?;
        for Extra { file, text } in &self.extra {
            rendered.push(&format!("\n# {file}\n{}\n", text.trim_end()));
        }
        // The line that is filled does not count for the hash.
        rendered.fill(STRUCTURE, &structure_hash(&rendered.text()));
        let services = layout.services.iter();
        warnings.extend(services.flat_map(|service| unused(service)));
        let mut failed = own.failed;
        failed.extend(self.namesakes(&layout.services));
        Ok(Output {
            rendered,
            failed,
            warnings,
        })
    }

    pub(super) fn with_servers(
        &mut self,
        before: &Arc<Service>,
        after: &Arc<Service>,
    ) -> Option<Resupplied> {
        self.sections.with_servers(before, after)
    }

    /// Services whose sections are named as one that the operator adds.
    fn namesakes(&self, services: &[Arc<Service>]) -> Vec<Failed> {
        let mut names = BTreeMap::new();
        for Extra { file, text } in &self.extra {
            for line in text.lines() {
                let words = Line::of(line).words;
                if let [keyword, name, ..] = &words[..]
                    && matches!(&**keyword, "frontend" | "backend" | "listen")
                {
                    names.entry(name.clone()).or_insert(file);
                }
            }
        }
        let namesake = |service: &Arc<Service>| {
            let file = names.get(&service.name)?;
            Some(Failed {
                owner: service.owner.clone(),
                part: None,
                found: format!(
                    "name `{}` is that of a section in --extra-config `{file}`",
                    service.name
                ),
                expected: "a name that no other section bears".to_owned(),
            })
        };
        services.iter().filter_map(namesake).collect()
    }

    fn shared(&self, layout: &Layout, warnings: &mut Vec<Warning>) -> Result<Shared> {
        let app_rules = layout.app_ids.iter();
        let app_rules = app_rules.map(|service| self.app_rule(service));
        let app_rules = app_rules.collect::<Result<_>>()?;
        let mut frontend = |template, rules| self.frontend(template, layout, rules, warnings);
        let mut shared = Shared {
            app_ids: frontend("appid_in.cfg", vec![("first_rules", app_rules)])?,
            ..Shared::default()
        };
        if layout.binds_http_https {
            let mut rules: Rules = Vec::new();
            for (name, own) in [
                ("first_rules", &layout.first),
                ("below_rules", &layout.below),
                ("path_rules", &layout.paths),
                ("last_rules", &layout.last),
            ] {
                let own = own.iter().map(|rule| self.rule(rule));
                rules.push((name, own.collect::<Result<_>>()?));
            }
            shared.http = frontend("http_in.cfg", rules.clone())?;
            if !layout.passed_on.is_empty() {
                let rules = layout.passed_on.iter().map(|rule| self.tls_rule(rule));
                let rules = vec![("first_rules", rules.collect::<Result<_>>()?)];
                shared.https = frontend("tls_in.cfg", rules)?;
            }
            if layout.opens_https() {
                shared.https.extend(frontend(HTTPS_IN, rules)?);
            }
        }
        Ok(shared)
    }

    /// A shared frontend, with rules in the places that the template has for them.
    fn frontend(
        &self,
        template: &str,
        layout: &Layout,
        rules: Rules,
        warnings: &mut Vec<Warning>,
    ) -> Result<Vec<Chunk>> {
        let mut context = Context::new();
        context.insert("context_version", &CONTEXT_VERSION);
        context.insert_value("dialect", self.sections.dialect());
        let rules: Vec<(&str, String, Vec<Chunk>)> = rules
            .into_iter()
            .map(|(name, rules)| (name, mark(name), rules))
            .collect();
        for (name, mark, _) in &rules {
            context.insert_value(*name, tera::Value::safe_string(mark));
        }
        let is_staged = !(layout.below.is_empty() && layout.paths.is_empty());
        context.insert("rules_between", &is_staged);
        let mut passed_on = layout.passed_on.iter();
        context.insert("some_end_here", &passed_on.any(|rule| rule.ends_here));
        context.insert("maps", &layout.looks_up.then_some(&self.haproxy_dir));
        context.insert("accepts_proxy", &layout.accepts_proxy);
        context.insert("opens_https", &layout.opens_https());
        context.insert("passes_tls_on", &!layout.passed_on.is_empty());
        context.insert("default_backend", &layout.default_backend);
        let certificate_words = self.certificate_words(layout);
        let certificates = certificate_words.iter().filter(|words| words[0] == CRT);
        let certificates: Vec<&String> = certificates.map(|words| &words[1]).collect();
        context.insert("certificates", &certificates);
        context.insert("certificate_words", &certificate_words);
        let text = self.sections.engine().render(template, &context);
        let text = text.with_context(|| format!("template `{template}`"))?;
        let is_lost = |(_, mark, rules): &&(&str, String, Vec<Chunk>)| {
            !rules.is_empty() && !text.contains(mark.as_str())
        };
        for (name, _, rules) in rules.iter().filter(is_lost) {
            warnings.push(without_place(template, name, rules.len()));
        }
        if template == HTTPS_IN {
            let lists = layout.crt_lists();
            let lost = lists.filter(|list| !text.contains(&list.name));
            let lost: usize = lost.map(|list| list.text.lines().count()).sum();
            warnings.extend((lost > 0).then(|| without_lists(template, lost)));
        }
        let rules = rules.iter();
        let parts = rules.map(|(_, mark, rules)| (mark.as_str(), rules.clone()));
        Ok(Rendered::new(&text, parts).into_chunks())
    }

    /// What stands in the line of port 443 for certificates, keyword by keyword.
    fn certificate_words(&self, layout: &Layout) -> Vec<[String; 2]> {
        let words = layout.crt.iter().map(|crt| match crt {
            Crt::Path(path) => [CRT.to_owned(), word(path)],
            Crt::List(list) => {
                let file = format!("{}/{}", self.haproxy_dir, list.name);
                ["crt-list".to_owned(), file]
            }
        });
        words.collect()
    }

    fn rule(&self, rule: &Rule) -> Result<Chunk> {
        let (host, suffix) = host_and_suffix(rule);
        let path = rule.place.path.text();
        let mut context = Context::new();
        context.insert("backend", &rule.service.name);
        context.insert("host", &host);
        context.insert("suffix", &suffix);
        context.insert("path", &(!path.is_empty()).then(|| word(path)));
        context.insert("ignores_case", &rule.ignores_case);
        let Conditions { header, methods } = &rule.conditions;
        let (name, value) = match header {
            Some((name, value)) => (Some(name), value.as_deref().map(word)),
            None => (None, None),
        };
        context.insert("header", &name);
        context.insert("header_value", &value);
        context.insert("methods", methods);
        self.line("rule.cfg", &rule.service, &context)
    }

    fn tls_rule(&self, rule: &TlsRule) -> Result<Chunk> {
        let TlsRule { rule, ends_here } = rule;
        let (host, suffix) = host_and_suffix(rule);
        let mut context = Context::new();
        context.insert("backend", &rule.service.name);
        context.insert("host", &host);
        context.insert("suffix", &suffix);
        context.insert("ends_here", ends_here);
        self.line("tls_rule.cfg", &rule.service, &context)
    }

    fn app_rule(&self, service: &Service) -> Result<Chunk> {
        let mut context = Context::new();
        context.insert("backend", &service.name);
        context.insert("app", &word(service.owner.app.as_str()));
        self.line("appid_rule.cfg", service, &context)
    }

    fn line(&self, template: &str, service: &Service, context: &Context) -> Result<Chunk> {
        let text = self.sections.engine().render(template, context);
        let text = text.with_context(|| format!("template `{template}`"))?;
        Ok(Chunk::of(&service.owner, text.into()))
    }
}

fn host_and_suffix(rule: &Rule) -> (Option<&str>, Option<&str>) {
    match &rule.place.host {
        Host::Exact(host) => (Some(host), None),
        Host::Below(_, suffix) => (None, Some(suffix)),
        Host::Any => (None, None),
    }
}

/// A template of the operator's that was written before there were such rules, or forgets them.
fn without_place(template: &str, name: &str, number: usize) -> Warning {
    Warning {
        app: None,
        subject: format!("template `{template}`"),
        found: format!("no place for `{name}`, of which there are {number}"),
        expected: format!("`{{{{ {name} }}}}` in it, or in a template that it includes"),
        effect: "no request is led there by them".to_owned(),
    }
}

/// The same of certificates for which the line has no room.
fn without_lists(template: &str, certificates: usize) -> Warning {
    Warning {
        app: None,
        subject: format!("template `{template}`"),
        found: format!("no place for the list in which {certificates} certificates stand"),
        expected: "the words of `certificate_words` in the place of those of `certificates`"
            .to_owned(),
        effect: "these are not shown on port 443".to_owned(),
    }
}

/// Labels of templates that this set has others for.
fn unused(service: &Service) -> impl Iterator<Item = Warning> + '_ {
    let given = service.options.overrides.keys();
    given
        .filter(|template| is_of_shared_frontend(**template))
        .map(|template| Warning {
            app: Some(service.owner.app.clone()),
            subject: label(service, *template),
            found: "a rule of the shared frontends, which this set of templates makes otherwise"
                .to_owned(),
            expected: "VHOST, PATH, BACKEND_WEIGHT".to_owned(),
            effect: "not used in this set".to_owned(),
        })
}

fn label(service: &Service, template: Template) -> String {
    format!("label `HAPROXY_{}_{}`", service.index, template.name())
}
