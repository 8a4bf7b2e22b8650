//! Writes the texts of one service port, of which its sections are made.

use std::sync::Arc;

use tera::Context;

use super::super::format::{Value, Values};
use super::super::fragments::{Fault, stands_within_a_line};
use super::super::values::{OfCheck, OfServer, Plain, said, word};
use super::MarathonLb;
use crate::config::TemplateSet;
use crate::haproxy::Line;
use crate::labels::{ServiceOptions, Template};
use crate::proxy::marathon_lb::{CheckKind, Server, Service};
use crate::proxy::native::{self, Tuning};

/// Writes the texts of one service.
pub(super) struct Writer<'a> {
    pub(super) set: &'a MarathonLb,
    pub(super) service: &'a Service,
    /// Values that have to be looked at.
    pub(super) loose: &'a [&'static str],
}

impl Writer<'_> {
    fn is_native(&self) -> bool {
        self.set.templates == TemplateSet::Native
    }

    pub(super) fn userlist(&self) -> Result<Option<Arc<str>>, Fault> {
        let service = self.service;
        let Some(auth) = service
            .options
            .auth
            .as_ref()
            .filter(|auth| !auth.user.is_empty())
        else {
            return Ok(None);
        };
        let values = [
            ("backend", Value::Text(&service.name)),
            ("user", Value::Text(&auth.user)),
            ("passwd", Value::Text(&auth.password)),
        ];
        let text = self.text(Template::UserlistHead, &values)?;
        Ok(Some(text.into()))
    }

    /// The texts of `frontend.cfg`.
    pub(super) fn frontend(&self) -> Result<[(&'static str, String); 4], Fault> {
        let service = self.service;
        let options = &service.options;
        let certificate = prefixed(" ssl crt ", options.ssl_cert.as_deref());
        let bind_options = prefixed(" ", options.bind_options.as_deref());
        let backend = ("backend", Value::Text(&service.name));
        let values = [
            ("bindAddr", Value::Text(service.bind_addr())),
            backend.clone(),
            ("servicePort", Value::Int(service.owner.service_port.into())),
            ("mode", Value::Text(&service.mode)),
            ("sslCert", Value::Text(&certificate)),
            ("sslCertOptions", Value::Text(&certificate)),
            ("bindOptions", Value::Text(&bind_options)),
        ];
        // marathon-lb leads clients to https in the frontend of port 80, its predecessor here.
        let redirect =
            if self.set.templates == TemplateSet::Servicerouter && options.redirect_to_https {
                let bind_addr = ("bindAddr", Value::Text(service.bind_addr()));
                self.text(Template::BackendRedirectHttpToHttps, &[bind_addr])?
            } else {
                String::new()
            };
        let head = self.text(Template::FrontendHead, &values)?;
        Ok([
            ("head", self.set.parted(head, &service.name)),
            ("redirect", redirect),
            (
                "http_options",
                if self.is_native() && service.is_http() {
                    self.tera("frontend_http.cfg", &[])?
                } else {
                    String::new()
                },
            ),
            (
                "glue",
                self.text(Template::FrontendBackendGlue, &[backend])?,
            ),
        ])
    }

    /// The texts of `backend.cfg`.
    pub(super) fn backend(&self) -> Result<Vec<(&'static str, String)>, Fault> {
        let service = self.service;
        let options = &*service.options;
        let values = [
            ("backend", Value::Text(&service.name)),
            ("balance", Value::Text(service.balance())),
            ("mode", Value::Text(&service.mode)),
        ];
        let of_http = |template, wanted: bool, values: &[(&str, Value<'_>)]| {
            if service.is_http() && wanted {
                self.text(template, values)
            } else {
                Ok(String::new())
            }
        };
        let pattern = (self.is_native()).then(|| host_pattern(&options.vhosts()));
        let hostname = pattern.as_deref().or(options.vhost.as_deref());
        let hostname = ("hostname", said(hostname));
        let of_path = |template, name: &'static str, path: Option<&str>| {
            let wanted = path.is_some_and(|path| !path.is_empty());
            of_http(template, wanted, &[hostname.clone(), (name, said(path))])
        };
        let mut prefix = options.proxypass_path.as_deref();
        if self.is_native() {
            // What is taken off ends where a segment does; of the root nothing is left to take.
            prefix = prefix.map(|prefix| prefix.trim_end_matches('/'));
        }
        // It stands in a regular expression, in which a dot would be any sign.
        let literal = prefix.map(|prefix| prefix.replace('.', "\\."));
        if self.is_native() {
            prefix = literal.as_deref();
        }
        let treated = self.treated();
        let sticky = if options.sticky {
            self.text(Template::BackendStickyOptions, &[])?
        } else {
            String::new()
        };
        let has_cookies = options.sticky && !(self.is_native() && asks_for_dynamic(&sticky));
        Ok(vec![
            ("head", self.text(Template::BackendHead, &values)?),
            ("tuning", self.tuning(&treated)?),
            (
                "hsts",
                of_http(Template::BackendHstsOptions, options.use_hsts, &[])?,
            ),
            (
                "http_options",
                of_http(Template::BackendHttpOptions, true, &[])?,
            ),
            (
                "proxypass",
                of_path(Template::HttpBackendProxypassGlue, "proxypath", prefix)?,
            ),
            (
                "revproxy",
                of_path(
                    Template::HttpBackendRevproxyGlue,
                    "rootpath",
                    options.revproxy_path.as_deref(),
                )?,
            ),
            (
                "redir",
                of_path(
                    Template::HttpBackendRedir,
                    "redirpath",
                    options.redir.as_deref(),
                )?,
            ),
            ("networks_allowed", self.networks_allowed()?),
            ("https_redirect", self.https_redirect()?),
            ("auth", self.auth()?),
            ("sticky", sticky),
            ("health_check", self.health_check()?),
            ("idle", self.idle()?),
            ("servers", self.servers(&treated, has_cookies)?),
        ])
    }

    /// In our own set the way to https is told by the service itself.
    fn https_redirect(&self) -> Result<String, Fault> {
        let service = self.service;
        let is_led = service.is_http() && service.options.redirect_to_https;
        if !self.is_native() || !is_led {
            return Ok(String::new());
        }
        self.tera("https_redirect.cfg", &[])
    }

    /// In our own set the password is asked for by the service itself, whichever way leads there.
    fn auth(&self) -> Result<String, Fault> {
        let service = self.service;
        let auth = service.options.auth.as_ref();
        let Some(auth) = auth.filter(|_| self.is_native()) else {
            return Ok(String::new());
        };
        let values = [("backend", &*service.name), ("realm", &*auth.realm)];
        self.tera("auth.cfg", &values)
    }

    /// A template of our own set, with values as HAProxy's words.
    fn tera(
        &self,
        template: &'static str,
        values: &[(&'static str, &str)],
    ) -> Result<String, Fault> {
        let mut context = Context::new();
        context.insert_value("dialect", self.set.dialect());
        for (name, value) in values {
            context.insert(*name, &word(value));
        }
        let text = self.set.engine.render(template, &context);
        let mut text = text.map_err(|error| Fault::Shape { template, error })?;
        end_line(&mut text, 0);
        Ok(text)
    }

    fn networks_allowed(&self) -> Result<String, Fault> {
        let service = self.service;
        let (acl, verdict) = match &*service.mode {
            "http" => (
                Template::HttpBackendNetworkAllowedAcl,
                Template::HttpBackendAclAllowDeny,
            ),
            "tcp" => (
                Template::TcpBackendNetworkAllowedAcl,
                Template::TcpBackendAclAllowDeny,
            ),
            _ => return Ok(String::new()),
        };
        let mut text = String::new();
        for network in &service.options.networks_allowed {
            text += &self.text(acl, &[("network_allowed", Value::Text(network))])?;
        }
        if !text.is_empty() || !service.options.networks_allowed.is_empty() {
            text += &self.text(verdict, &[])?;
        }
        Ok(text)
    }

    /// What the whole backend says of its checks, with the port of its first server.
    fn health_check(&self) -> Result<String, Fault> {
        let service = self.service;
        let (Some(check), Some(first)) = (&service.check, service.servers.first()) else {
            return Ok(String::new());
        };
        let template = match check.kind {
            CheckKind::Http => Template::BackendHttpHealthcheckOptions,
            CheckKind::Tcp => Template::BackendTcpHealthcheckOptions,
        };
        let mut text = String::new();
        if !self.set.fragments.is_empty(template, &service.options) {
            let values = OfCheck::new(check, first.check_port.or(Some(first.port)));
            self.write(template, &values, &mut text)?;
        }
        Ok(text)
    }

    /// What our own set knows of how servers are treated. Labels that cannot be read do not come
    /// this far.
    fn treated(&self) -> Tuning {
        let service = self.service;
        if !self.is_native() {
            return Tuning::default();
        }
        native::tuning(service).unwrap_or_default()
    }

    /// What is answered where nobody serves.
    fn idle(&self) -> Result<String, Fault> {
        let service = self.service;
        let is_idle = service.is_http() && service.servers.is_empty();
        if !self.is_native() || !is_idle {
            return Ok(String::new());
        }
        self.tera("idle.cfg", &[("app", service.owner.app.as_str())])
    }

    fn tuning(&self, treated: &Tuning) -> Result<String, Fault> {
        if !self.is_native() {
            return Ok(String::new());
        }
        let mut context = Context::new();
        context.insert("timeouts", &treated.timeouts);
        context.insert("compresses", &treated.compresses);
        let text = self.set.engine.render("tuning.cfg", &context);
        let mut text = text.map_err(|error| Fault::Shape {
            template: "tuning.cfg",
            error,
        })?;
        end_line(&mut text, 0);
        Ok(text)
    }

    /// The lines of servers; `has_cookies` says whether each has a cookie of its own.
    fn servers(&self, treated: &Tuning, has_cookies: bool) -> Result<String, Fault> {
        let service = self.service;
        let mut text = String::new();
        let mut more = String::new();
        if let Some(maxconn) = treated.maxconn {
            more = format!(" maxconn {maxconn}");
        }
        if let Some(send_proxy) = treated.send_proxy {
            more = format!("{more} {send_proxy}");
        }
        for (server, is_free) in native::lines_of(service) {
            let server = &*server;
            let before = text.len();
            let values = OfServer {
                server,
                cookie: &match (service.options.sticky, has_cookies) {
                    (true, true) => format!(" check cookie {}", server.cookie),
                    (true, false) => " check".to_owned(),
                    (false, _) => String::new(),
                },
                check: &self.check_of(server)?,
                more: &of_server(server, &more),
            };
            self.write(Template::BackendServerOptions, &values, &mut text)?;
            // Somebody's own words may have no place for that, and nobody is there.
            if is_free && !rests(&text[before..]) {
                text.truncate(before);
            }
        }
        Ok(text)
    }

    fn check_of(&self, server: &Server) -> Result<String, Fault> {
        let service = self.service;
        let mut text = String::new();
        if let Some(check) = &service.check {
            let template = match check.kind {
                CheckKind::Http => Template::BackendServerHttpHealthcheckOptions,
                CheckKind::Tcp => Template::BackendServerTcpHealthcheckOptions,
            };
            self.write(template, &OfCheck::new(check, server.check_port), &mut text)?;
        }
        Ok(text)
    }

    fn text(&self, template: Template, values: &[(&str, Value<'_>)]) -> Result<String, Fault> {
        let mut text = String::new();
        self.write(template, &Plain(values), &mut text)?;
        Ok(text)
    }

    fn write(
        &self,
        template: Template,
        values: &impl Values,
        out: &mut String,
    ) -> Result<(), Fault> {
        let options: &ServiceOptions = &self.service.options;
        let names = (template, template);
        let fragments = &self.set.fragments;
        let before = out.len();
        fragments.write(template, template, Some(options), values, out)?;
        fragments.keeps_within(names, Some(options), values, self.loose, &out[before..])?;
        if self.is_native() && !stands_within_a_line(template) {
            end_line(out, before);
        }
        Ok(())
    }
}

/// A text without a line break at its end would take the next one, such as the password, into its last
/// line, or into a comment there. marathon-lb's set writes what is written.
fn end_line(out: &mut String, before: usize) {
    let text = &out[before..];
    if !text.is_empty() && !text.ends_with('\n') {
        out.push('\n');
    }
}

/// Whether HAProxy makes the cookies of servers by itself, which one of a server's own would keep it
/// from.
fn asks_for_dynamic(sticky: &str) -> bool {
    let mut lines = sticky.lines().map(|line| Line::of(line).words);
    lines.any(|words| {
        words.first().is_some_and(|word| word == "cookie")
            && words.iter().any(|word| word == "dynamic")
    })
}

/// Whether the server that is written so rests.
fn rests(text: &str) -> bool {
    let mut words = text.lines().flat_map(|line| Line::of(line).words);
    words.any(|word| word == "disabled")
}

/// What stands at the end of a server line.
fn of_server(server: &Server, of_all: &str) -> String {
    let weight = server.weight.map(|weight| format!(" weight {weight}"));
    let disabled = if server.draining { " disabled" } else { "" };
    format!("{of_all}{}{disabled}", weight.unwrap_or_default())
}

/// A regular expression for any of these hosts; for all, where there are none.
fn host_pattern(hosts: &[&str]) -> String {
    let is_of_host = |c: char| c.is_ascii_alphanumeric() || "-_.*".contains(c);
    let hosts = hosts.iter().map(|host| host.trim());
    let hosts = hosts.filter(|host| !host.is_empty() && host.chars().all(is_of_host));
    let hosts: Vec<String> = hosts
        .map(|host| host.replace('.', "[.]").replace('*', "[^/:]*"))
        .collect();
    if hosts.is_empty() {
        return "[^/:]*".to_owned();
    }
    format!("({})", hosts.join("|"))
}

fn prefixed(prefix: &str, text: Option<&str>) -> String {
    match text {
        None | Some("") => String::new(),
        Some(text) => format!("{prefix}{text}"),
    }
}
