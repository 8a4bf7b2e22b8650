//! The language in which app owners say what they want of the balancer: `HAPROXY_…` labels.
//!
//! In come the labels of one app and a position among its service ports; out come typed
//! [`ServiceOptions`] and warnings. Parsing never fails: a label that cannot be read is named, and
//! whoever renders decides what becomes of its service. Source of names, defaults and forms:
//! marathon-lb 1.15, "Labels"; `servicerouter.py` reads a part of the same from the environment.

mod known;
mod table;
mod template;
mod typed;
mod value;
mod verbatim;

use std::collections::BTreeMap;
use std::ops::Bound;

pub use known::{is_known, is_value, position};
pub use table::{LABELS, Label, NATIVE, Reach};
pub use template::{Definition, Reading, Scope, Template};
pub use typed::{is_app_id, request};
pub use value::{NOT_SHOWN, is_secret};
pub use verbatim::doubtful;

use crate::cluster::{AppId, Warning};
use crate::config::Values;

/// Labels as they stand in Marathon, or variables in their place.
pub type Settings = BTreeMap<Box<str>, Box<str>>;

/// The groups of all service ports of an app, where they have none of their own.
const GROUP: &str = "HAPROXY_GROUP";

/// Who may use a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Shown to who is asked for a password.
    pub realm: Box<str>,
    /// The only user.
    pub user: Box<str>,
    /// As `crypt(3)` made it.
    pub password: Box<str>,
}

/// What the owner of a service port wants of it. Absent is what nobody said; what follows from that
/// is for `proxy` to decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceOptions {
    /// `GROUP` of the service, else of the app; not trimmed.
    pub groups: Vec<Box<str>>,
    /// `ENABLED`.
    pub enabled: Option<bool>,
    /// `VHOST`, lower-cased; of [`Values::Verbatim`] otherwise as written.
    pub vhost: Option<Box<str>>,
    /// `PATH`, to stand behind `path_beg`.
    pub path: Option<Box<str>>,
    /// `BACKEND_WEIGHT`: larger goes first. A path lifts 0 to 1.
    pub weight: i64,
    /// `MODE`, lower-cased.
    pub mode: Option<Box<str>>,
    /// `BALANCE`.
    pub balance: Option<Box<str>>,
    /// `PORT`: dialled in place of the service port. Not yet known to be a port number.
    pub port: Option<u32>,
    /// `BIND_ADDR`.
    pub bind_addr: Option<Box<str>>,
    /// `BIND_OPTIONS`.
    pub bind_options: Option<Box<str>>,
    /// `SSL_CERT`.
    pub ssl_cert: Option<Box<str>>,
    /// `STICKY`.
    pub sticky: bool,
    /// `REDIRECT_TO_HTTPS`.
    pub redirect_to_https: bool,
    /// `USE_HSTS`.
    pub use_hsts: bool,
    /// `AUTH`.
    pub auth: Option<Auth>,
    /// `HTTP_BACKEND_PROXYPASS_PATH`.
    pub proxypass_path: Option<Box<str>>,
    /// `HTTP_BACKEND_REVPROXY_PATH`.
    pub revproxy_path: Option<Box<str>>,
    /// `HTTP_BACKEND_REDIR`.
    pub redir: Option<Box<str>>,
    /// `BACKEND_NETWORK_ALLOWED_ACL`, word by word.
    pub networks_allowed: Vec<Box<str>>,
    /// `BACKEND_HEALTHCHECK_PORT_INDEX`. Negative counts from the end.
    pub healthcheck_port_index: Option<i64>,
    /// Templates that this service replaces, by their text.
    pub overrides: BTreeMap<Template, Box<str>>,
    /// `BACKEND_WEIGHT` as it was said, if it was.
    pub priority: Option<i64>,
    /// Labels that only our own set knows, as they were written: elsewhere a mistake in one costs
    /// nothing.
    pub own: BTreeMap<&'static str, Box<str>>,
}

impl ServiceOptions {
    /// The names of `VHOST`: none where it is absent or empty.
    #[must_use]
    pub fn vhosts(&self) -> Vec<&str> {
        match self.vhost.as_deref() {
            None | Some("") => Vec::new(),
            Some(vhosts) => vhosts.split(',').collect(),
        }
    }

    /// `MERGE`, which only our own set heeds: the name under which several apps are one service.
    #[must_use]
    pub fn merge(&self) -> Option<&str> {
        let name = self.own.get("MERGE")?.trim();
        Some(name).filter(|name| !name.is_empty())
    }

    /// Whether one of `asked` is among the groups of the service; `*` asks for everything.
    #[must_use]
    pub fn is_in(&self, asked: &[String]) -> bool {
        let names = |name: &String| self.groups.iter().any(|own| **own == **name);
        asked.iter().any(|name| name == "*" || names(name))
    }
}

/// Those of an app's settings that [`parse`] reads for the service port at position `index`.
#[must_use]
pub fn said_of(settings: &Settings, index: usize) -> Settings {
    let prefix = format!("HAPROXY_{index}_");
    let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
    let own = settings
        .range::<str, _>(from)
        .take_while(|(label, _)| label.starts_with(&prefix));
    let of_app = settings.get_key_value(GROUP);
    own.chain(of_app)
        .map(|(label, text)| (label.clone(), text.clone()))
        .collect()
}

/// Reads what is said of the service port at position `index` of `app`.
///
/// Each warning stands for a label that could not be read; the rest is as it was said.
#[must_use]
pub fn parse(
    settings: &Settings,
    app: &AppId,
    index: usize,
    values: Values,
) -> (ServiceOptions, Vec<Warning>) {
    let prefix = format!("HAPROXY_{index}_");
    let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
    let own = settings
        .range::<str, _>(from)
        .map_while(|(label, text)| Some((label.strip_prefix(&prefix)?, text)));
    let mut options = ServiceOptions::default();
    if let Some(groups) = settings.get(GROUP) {
        options.groups = value::list(groups);
    }
    let mut warnings = Vec::new();
    // In alphabetical order, so that a weight is known before a path lifts it.
    for (name, text) in own {
        if let Err(Misread { found, expected }) = options.set(name, text, values) {
            warnings.push(Warning {
                app: Some(app.clone()),
                subject: format!("label `{prefix}{name}`"),
                found,
                expected,
                effect: String::new(),
            });
        }
    }
    (options, warnings)
}

/// A label that has not its form.
struct Misread {
    found: String,
    expected: String,
}

impl ServiceOptions {
    /// Takes the label `HAPROXY_{n}_<name>`; names that nobody knows are none of ours.
    fn set(&mut self, name: &str, text: &str, values: Values) -> Result<(), Misread> {
        if let Some(name) = known::own(name) {
            self.own.insert(name, text.into());
            return Ok(());
        }
        match name {
            "GROUP" => self.groups = value::list(text),
            "ENABLED" => self.enabled = Some(value::is_true(text)),
            "STICKY" => self.sticky = value::is_true(text),
            "REDIRECT_TO_HTTPS" => self.redirect_to_https = value::is_true(text),
            "USE_HSTS" => self.use_hsts = value::is_true(text),
            _ => match Template::of_label(name) {
                Some(template) => {
                    let text = text.replace("\r\n", "\n");
                    self.overrides.insert(template, text.into());
                }
                None => self.set_value(name, text, values)?,
            },
        }
        if name == "BACKEND_WEIGHT" {
            self.priority = Some(self.weight);
        }
        if name == "PATH" && self.path.is_some() && self.weight == 0 {
            self.weight = 1;
        }
        Ok(())
    }

    fn set_value(&mut self, name: &str, text: &str, values: Values) -> Result<(), Misread> {
        let misread = |part, expected| Misread {
            found: value::shown(name, text, part),
            expected,
        };
        match values {
            Values::Verbatim => {
                verbatim::set(self, name, text).map_err(|(part, expected)| misread(part, expected))
            }
            Values::Typed => typed::set(self, name, text)
                .map_err(|typed::Wrong(part)| misread(Some(part), known::form_of(name))),
        }
    }
}

#[cfg(test)]
mod tests;
