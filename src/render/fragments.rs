//! The texts under marathon-lb's template names: what each says for the whole file, once files and
//! the environment had their say, and what a service's own labels put in its place.
//!
//! A default is a Tera template that is rendered once, with marks in the place of values, and so
//! becomes a text in the syntax in which users write theirs.

use std::fmt;

use anyhow::{Context as _, Result, anyhow};
use tera::Context;

use super::Failed;
use super::context::DialectContext;
use super::engine::Engine;
use super::format::{Format, FormatError, Value, Values};
use super::profiles::PROFILES;
use super::within::{self, Neutral};
use crate::haproxy::password::QUICK;
use crate::haproxy::userlist::{MOST_PASSWORDS, Missing};
use crate::labels::{NOT_SHOWN, Reading, ServiceOptions, Template};
use crate::proxy::marathon_lb::Service;

/// Where a text came from, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file.
    File(String),
    /// A variable of the environment.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "template file `{path}`"),
            Self::Variable(name) => write!(f, "environment variable `{name}`"),
        }
    }
}

/// A text that replaces a default for the whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// Which.
    pub template: Template,
    /// By what.
    pub text: String,
    /// Where that was found.
    pub origin: Origin,
}

/// A text, ready to be written.
enum Text {
    Raw(String),
    Formatted(Format),
}

impl Text {
    fn parse(template: Template, text: &str) -> Result<Self, FormatError> {
        let text = match text.trim() {
            _ if !stands_within_a_line(template) => text.to_owned(),
            "" => String::new(),
            text => format!(" {text}"),
        };
        Ok(match template.definition().reading {
            Reading::Raw => Self::Raw(text),
            Reading::Formatted => Self::Formatted(Format::parse(&text)?),
        })
    }

    fn write(&self, values: &impl Values, out: &mut String) -> Result<(), FormatError> {
        match self {
            Self::Raw(text) => out.push_str(text),
            Self::Formatted(format) => format.expand(values, out)?,
        }
        Ok(())
    }
}

/// All texts of one file.
pub(super) struct Fragments {
    /// By template.
    texts: Vec<Text>,
}

/// Stands for the hash of the structure in HEAD, until the rest of the file is known.
pub(super) const STRUCTURE: &str = "\u{3}structure\u{3}";

/// Stands around a name while defaults are rendered. Control characters keep it apart from anything
/// that a template could hold.
const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';

impl Fragments {
    /// # Errors
    /// A default that Tera cannot render, or a replacement that is no format, with its origin.
    pub(super) fn new(
        engine: &Engine,
        dialect: &DialectContext,
        replacements: &[Replacement],
    ) -> Result<Self> {
        let mut texts = Vec::with_capacity(Template::ALL.len());
        for &template in Template::ALL {
            let given = replacements
                .iter()
                .rfind(|replacement| replacement.template == template);
            let text = match given {
                Some(Replacement { text, origin, .. }) => Text::parse(template, text)
                    .map_err(|error| anyhow!("{origin}: {error}"))
                    .context("templates cannot be used")?,
                None => {
                    let text = default_text(engine, dialect, template)?;
                    Text::parse(template, &text)
                        .map_err(|error| anyhow!("template of {template}: {error}"))?
                }
            };
            texts.push(text);
        }
        Ok(Self { texts })
    }

    /// Writes a text for a service, or for the whole file where there is no `service`. `label` is
    /// the template whose label the service may have given.
    ///
    /// # Errors
    /// What is wrong with the text, named by the label where it is one.
    pub(super) fn write(
        &self,
        template: Template,
        label: Template,
        options: Option<&ServiceOptions>,
        values: &impl Values,
        out: &mut String,
    ) -> Result<(), Fault> {
        let own = options.and_then(|options| options.overrides.get(&label));
        let Some(own) = own else {
            let written = self.texts[template as usize].write(values, out);
            return written.map_err(|error| Fault::Text { template, error });
        };
        Text::parse(template, own)
            .and_then(|text| text.write(values, out))
            .map_err(|error| Fault::Label {
                template: label,
                error,
            })
    }

    /// Whether the values of these names stay within their places in a text that was written as
    /// [`Fragments::write`] writes it.
    ///
    /// # Errors
    /// The first that does not.
    pub(super) fn keeps_within(
        &self,
        (template, label): (Template, Template),
        options: Option<&ServiceOptions>,
        values: &impl Values,
        loose: &[&'static str],
        written: &str,
    ) -> Result<(), Fault> {
        for name in loose {
            let mut neutral = String::with_capacity(written.len());
            let without = Neutral { values, name };
            self.write(template, label, options, &without, &mut neutral)?;
            if !within::leaves(written, &neutral) {
                continue;
            }
            let label = within::label_of(name);
            let found = match values.get(name) {
                Some(Value::Text(text)) if label != Some("AUTH") => {
                    format!("`{}`", text.trim_start_matches(" ssl crt ").escape_debug())
                }
                _ => format!("a {name} {NOT_SHOWN} that leaves its place"),
            };
            return Err(Fault::Value {
                template,
                label,
                found,
            });
        }
        Ok(())
    }

    /// Whether the text for the service says nothing at all.
    pub(super) fn is_empty(&self, template: Template, options: &ServiceOptions) -> bool {
        match options.overrides.get(&template) {
            Some(own) => own.is_empty(),
            None => match &self.texts[template as usize] {
                Text::Raw(text) => text.is_empty(),
                Text::Formatted(format) => format.is_empty(),
            },
        }
    }
}

/// A text that cannot be written for a service.
#[derive(Debug)]
pub(super) enum Fault {
    /// One that stands for all services.
    Text {
        template: Template,
        error: FormatError,
    },
    /// One that its owner gave.
    Label {
        template: Template,
        error: FormatError,
    },
    /// A value that leaves its rule.
    Value {
        template: Template,
        label: Option<&'static str>,
        found: String,
    },
    /// A line of an owner's text that stands outside of its section.
    Stray {
        label: Option<Template>,
        line: String,
        section: String,
    },
    /// A line of an owner's text that reaches beyond its service.
    Reach {
        label: Option<Template>,
        line: String,
        what: &'static str,
    },
    /// Somebody whom an owner's list of users names and does not have.
    Users(Missing),
    /// The passwords of an owner's list of users take HAProxy too long: one of them does, or all.
    Passwords(Option<usize>),
    /// The shape of a section.
    Shape {
        template: &'static str,
        error: anyhow::Error,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { template, error } => write!(f, "{template}: {error}"),
            Self::Label { error, .. } => error.fmt(f),
            Self::Value { found, .. } => f.write_str(found),
            Self::Stray { line, .. } => write!(f, "the line `{}`", shown(line)),
            Self::Reach { line, what, .. } => {
                write!(f, "the line `{}`, which reaches for {what}", shown(line))
            }
            Self::Users(Missing { kind, name, of }) => write!(
                f,
                "the {kind} `{}` of `{}`, which the list does not have",
                name.escape_debug(),
                of.escape_debug()
            ),
            Self::Passwords(None) => f.write_str("a password that takes HAProxy longer"),
            Self::Passwords(Some(number)) => write!(f, "{number} passwords"),
            Self::Shape { template, error } => write!(f, "template `{template}`: {error}"),
        }
    }
}

impl Fault {
    pub(super) fn of(&self, service: &Service) -> Failed {
        let (part, expected) = match self {
            Self::Text { template, .. } => (None, usable(*template)),
            Self::Label { template, .. } => (
                Some(format!(
                    "label `HAPROXY_{}_{}`",
                    service.index,
                    template.name()
                )),
                usable(*template),
            ),
            Self::Value {
                template, label, ..
            } => (
                label.map(|label| format!("label `HAPROXY_{}_{label}`", service.index)),
                format!("a value that stays within its place in {template}"),
            ),
            Self::Stray { label, section, .. } => (
                label.map(|label| format!("label `HAPROXY_{}_{}`", service.index, label.name())),
                section.clone(),
            ),
            Self::Reach { label, .. } => (
                label.map(|label| format!("label `HAPROXY_{}_{}`", service.index, label.name())),
                "lines that stay within the service; those of --template-dir need not".to_owned(),
            ),
            Self::Users(_) | Self::Passwords(_) => (
                Some(format!(
                    "label `HAPROXY_{}_{}`",
                    service.index,
                    Template::UserlistHead.name()
                )),
                match self {
                    Self::Passwords(None) => QUICK.to_owned(),
                    Self::Passwords(_) => format!("at most {MOST_PASSWORDS} in one list"),
                    _ => "a list that has all users and groups that it names".to_owned(),
                },
            ),
            Self::Shape { .. } => (None, "a section that can be rendered".to_owned()),
        };
        let mut found = self.to_string();
        let auth = service.options.auth.as_ref();
        if let Some(auth) = auth.filter(|auth| !auth.password.is_empty()) {
            found = found.replace(&*auth.password, NOT_SHOWN);
        }
        Failed {
            owner: service.owner.clone(),
            part,
            found,
            expected,
        }
    }
}

/// A line without the password of a list of users.
fn shown(line: &str) -> String {
    const WORD: &str = "password";
    match line.find(WORD) {
        Some(at) => format!("{} {NOT_SHOWN}", line[..at + WORD.len()].escape_debug()),
        None => line.escape_debug().to_string(),
    }
}

fn usable(template: Template) -> String {
    match template.definition().placeholders {
        [] => "text".to_owned(),
        names => {
            let names: Vec<String> = names.iter().map(|name| format!("{{{name}}}")).collect();
            format!("a text of Python's str.format with {}", names.join(" "))
        }
    }
}

/// What a template says when nobody replaced it, in the syntax of replacements: `{name}` for
/// values, and `{{` for braces where it is formatted.
///
/// # Errors
/// When Tera cannot render it.
pub(super) fn default_text(
    engine: &Engine,
    dialect: &DialectContext,
    template: Template,
) -> Result<String> {
    let mut context = Context::new();
    context.insert("dialect", dialect);
    context.insert("default_options", &dialect.default_options);
    context.insert("sidecar_socket", &dialect.sidecar_socket);
    context.insert_value("structure", tera::Value::safe_string(STRUCTURE));
    context.insert_value("profiles", tera::Value::safe_string(PROFILES));
    for name in template.definition().placeholders {
        let marked = format!("{OPEN}{name}{CLOSE}");
        context.insert_value(*name, tera::Value::safe_string(&marked));
    }
    let name = file_name(template);
    let text = engine
        .render(&name, &context)
        .with_context(|| format!("template `{name}`"))?;
    Ok(match template.definition().reading {
        Reading::Raw => text,
        Reading::Formatted => text
            .replace('{', "{{")
            .replace('}', "}}")
            .replace(OPEN, "{")
            .replace(CLOSE, "}"),
    })
}

/// `fragments/http_frontend_acl.cfg`.
pub(super) fn file_name(template: Template) -> String {
    format!("fragments/{}.cfg", template.name().to_ascii_lowercase())
}

/// Whether it is a part of a line: how a server is checked.
pub(super) const fn stands_within_a_line(template: Template) -> bool {
    matches!(
        template,
        Template::BackendServerHttpHealthcheckOptions
            | Template::BackendServerTcpHealthcheckOptions
    )
}

/// Whether it is a part of what all services share on ports 80, 443 and 9091.
pub(super) fn is_of_shared_frontend(template: Template) -> bool {
    let is_redirect = matches!(
        template,
        Template::BackendRedirectHttpToHttps | Template::BackendRedirectHttpToHttpsWithPath
    );
    let begins = ["HTTP_FRONTEND_", "HTTPS_", "MAP_"];
    is_redirect
        || begins
            .iter()
            .any(|begin| template.name().starts_with(begin))
}
