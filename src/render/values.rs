//! What stands for each `{name}` in a text that is written for a service.

use std::cell::OnceCell;

use super::format::{Value, Values};
use crate::cluster::{CheckProtocol, CheckTarget};
use crate::proxy::marathon_lb::{Check, Rule, Server, Service, cleaned};

/// Nothing but these.
pub(super) struct Plain<'a>(pub(super) &'a [(&'a str, Value<'a>)]);

impl Values for Plain<'_> {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        let found = self.0.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| value.clone())
    }
}

/// A value as one word of a line, whatever is in it: HAProxy takes what follows a backslash as it
/// is.
pub(super) fn word(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, ' ' | '\\' | '"' | '\'' | '#') {
            word.push('\\');
        }
        word.push(c);
    }
    word
}

/// Python prints `None` for what an owner did not say.
pub(super) fn said(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::None, Value::Text)
}

/// Values of a rule in a shared frontend.
pub(super) struct OfRule<'a> {
    pub(super) service: &'a Service,
    pub(super) rule: &'a Rule,
    pub(super) haproxy_dir: &'a str,
    /// The app id, cleaned for the name of a rule, where one asks for it.
    cleaned_app_id: OnceCell<String>,
}

impl<'a> OfRule<'a> {
    pub(super) fn new(service: &'a Service, rule: &'a Rule, haproxy_dir: &'a str) -> Self {
        Self {
            service,
            rule,
            haproxy_dir,
            cleaned_app_id: OnceCell::new(),
        }
    }
}

impl Values for OfRule<'_> {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        let allowed = self.rule.template.definition().placeholders;
        if !allowed.contains(&name) {
            return None;
        }
        let options = &self.service.options;
        Some(match name {
            "cleanedUpHostname" => Value::Text(&self.service.acl),
            "hostname" => match &self.rule.host {
                Some(host) => Value::Text(host),
                None => said(options.vhost.as_deref()),
            },
            "appId" => Value::Text(self.service.owner.app.as_str()),
            "cleanedUpAppId" => {
                let clean = || cleaned(self.service.owner.app.as_str());
                Value::Text(self.cleaned_app_id.get_or_init(clean))
            }
            "backend" => Value::Text(&self.service.name),
            "path" => said(options.path.as_deref()),
            "realm" => said(options.auth.as_ref().map(|auth| &*auth.realm)),
            "bindAddr" => Value::Text(self.service.bind_addr()),
            "haproxy_dir" => Value::Text(self.haproxy_dir),
            _ => return None,
        })
    }
}

/// Values of a health check.
pub(super) struct OfCheck<'a> {
    check: &'a Check,
    port: Option<u16>,
    port_options: String,
}

impl<'a> OfCheck<'a> {
    /// `port` is the one that is dialled, where it is known.
    pub(super) fn new(check: &'a Check, port: Option<u16>) -> Self {
        let port_options = port.map(|port| format!(" port {port}")).unwrap_or_default();
        Self {
            check,
            port,
            port_options,
        }
    }
}

impl Values for OfCheck<'_> {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        let check = &self.check.health_check;
        Some(match name {
            "healthCheck" => Value::Field(&check.fields),
            "healthCheckPortIndex" => match check.target {
                CheckTarget::Index(index) => number(index as u64),
                _ => Value::None,
            },
            "healthCheckPort" => self
                .port
                .map_or(Value::None, |port| Value::Int(port.into())),
            "healthCheckProtocol" => Value::Text(protocol(check.protocol)),
            "healthCheckPath" => Value::Text(check.path.as_deref().unwrap_or("/")),
            "healthCheckTimeoutSeconds" => number(check.timeout_seconds),
            "healthCheckIntervalSeconds" => number(check.interval_seconds),
            "healthCheckIgnoreHttp1xx" => Value::Bool(false),
            "healthCheckGracePeriodSeconds" => number(check.grace_period_seconds),
            "healthCheckMaxConsecutiveFailures" => number(check.max_consecutive_failures),
            "healthCheckFalls" => number(check.max_consecutive_failures.saturating_add(1)),
            "healthCheckPortOptions" => Value::Text(&self.port_options),
            _ => return None,
        })
    }
}

fn number<'a>(count: u64) -> Value<'a> {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// In Marathon's words.
const fn protocol(protocol: CheckProtocol) -> &'static str {
    match protocol {
        CheckProtocol::Http => "HTTP",
        CheckProtocol::Https => "HTTPS",
        CheckProtocol::Tcp => "TCP",
        CheckProtocol::Command => "COMMAND",
        CheckProtocol::MesosHttp => "MESOS_HTTP",
        CheckProtocol::MesosHttps => "MESOS_HTTPS",
        CheckProtocol::MesosTcp => "MESOS_TCP",
    }
}

/// Values of a server line.
pub(super) struct OfServer<'a> {
    pub(super) server: &'a Server,
    /// How a client is bound to it.
    pub(super) cookie: &'a str,
    /// How it is checked.
    pub(super) check: &'a str,
    /// Whatever else is said of it.
    pub(super) more: &'a str,
}

impl Values for OfServer<'_> {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        let server = self.server;
        Some(match name {
            "host" => Value::Text(&server.host),
            "host_ipv4" => Value::Text(&server.address),
            "port" => Value::Int(server.port.into()),
            "serverName" => Value::Text(&server.name),
            "serverId" => Value::Int(server.id.into()),
            "cookieOptions" => Value::Text(self.cookie),
            "healthCheckOptions" => Value::Text(self.check),
            "otherOptions" => Value::Text(self.more),
            _ => return None,
        })
    }
}
