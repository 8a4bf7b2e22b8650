//! What templates see: a public interface, described in `docs/templates.md`.
//!
//! Types of its own, so that `proxy` can change without breaking a template that somebody wrote.

use serde::Serialize;

use super::Site;
use crate::haproxy::Dialect;
use crate::proxy::marathon_lb::{self, Service};
use crate::proxy::{Bind, Listen, Server};

/// Grows when a name that templates use changes its meaning or goes; not when names are added.
pub const CONTEXT_VERSION: u32 = 1;

/// What fragments know of the host: `dialect` in their context.
#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct DialectContext {
    /// `2.6`.
    version: String,
    /// Whether `rspadd`, `reqirep` and `rspirep` exist.
    rspadd: bool,
    /// Whether limits that are too low keep HAProxy from starting, and can be told not to.
    strict_limits: bool,
    /// Whether `http-error` exists.
    http_error: bool,
    /// Whether `option idle-close-on-response` exists.
    idle_close: bool,
    /// Whether servers that come at runtime have no cookies but `dynamic` ones, or take the place of
    /// others.
    dynamic_cookies: bool,
    /// Whether HAProxy can be told of backends, and is to be: those take what they say from profiles.
    pub(super) adds_backends: bool,
    /// Whether the program can answer `/metrics`.
    prometheus_exporter: bool,
    /// Whether HAProxy is told of servers though this set has it reloaded: it has to tell what it runs.
    runtime_api: bool,
    /// Makes a regular expression ignore case, where the program's kind of them can.
    ignore_case: &'static str,
    #[serde(skip)]
    pub(super) default_options: Vec<String>,
    #[serde(skip)]
    pub(super) sidecar_socket: String,
}

/// Whether backends to spare are written, since HAProxy can add servers and no backends.
pub(super) fn has_spares(site: &Site) -> bool {
    let version = site.dialect.version;
    site.spare_backends > 0 && version.adds_servers() && !version.adds_backends()
}

impl DialectContext {
    pub(super) fn new(site: &Site) -> Self {
        let Dialect {
            version,
            prometheus_exporter,
            pcre,
        } = site.dialect;
        Self {
            version: version.to_string(),
            rspadd: version.has_rspadd(),
            strict_limits: version.has_strict_limits(),
            http_error: version.has_http_error(),
            idle_close: version.has_idle_close(),
            dynamic_cookies: version.adds_servers_without_cookies() || site.has_slots,
            adds_backends: site.leads_by_name && (version.adds_backends() || has_spares(site)),
            prometheus_exporter,
            runtime_api: site.runtime_api,
            ignore_case: if pcre { "(?i)" } else { "" },
            default_options: site.default_options.clone(),
            sidecar_socket: site.sidecar_socket.clone(),
        }
    }
}

/// The context of `frontend.cfg` and `backend.cfg`.
#[derive(Serialize)]
pub(super) struct ServiceContext<'a> {
    context_version: u32,
    name: &'a str,
    app: &'a str,
    service_port: u32,
    mode: &'a str,
    vhosts: Vec<&'a str>,
    path: Option<&'a str>,
    balance: &'a str,
    servers: Vec<BackendServerContext<'a>>,
}

#[derive(Serialize)]
struct BackendServerContext<'a> {
    name: &'a str,
    host: &'a str,
    address: &'a str,
    port: u16,
    id: u32,
    cookie: &'a str,
    check_port: Option<u16>,
    draining: bool,
}

impl<'a> ServiceContext<'a> {
    pub(super) fn new(service: &'a Service) -> Self {
        let server = |server: &'a marathon_lb::Server| BackendServerContext {
            name: &server.name,
            host: &server.host,
            address: &server.address,
            port: server.port,
            id: server.id,
            cookie: &server.cookie,
            check_port: server.check_port,
            draining: server.draining,
        };
        Self {
            context_version: CONTEXT_VERSION,
            name: &service.name,
            app: service.owner.app.as_str(),
            service_port: service.owner.service_port,
            mode: &service.mode,
            vhosts: service.options.vhosts(),
            path: service.options.path.as_deref(),
            balance: service.balance(),
            servers: service.servers.iter().map(server).collect(),
        }
    }
}

/// The context of `listen.cfg`.
#[derive(Serialize)]
pub(super) struct Section<'a> {
    context_version: u32,
    listen: ListenContext<'a>,
}

#[derive(Serialize)]
struct ListenContext<'a> {
    name: &'a str,
    app: &'a str,
    service_port: u32,
    bind: BindContext,
    servers: Vec<ServerContext<'a>>,
}

#[derive(Serialize)]
struct BindContext {
    address: String,
    port: u16,
}

#[derive(Serialize)]
struct ServerContext<'a> {
    name: &'a str,
    host: String,
    port: u16,
    address: String,
}

impl<'a> Section<'a> {
    pub(super) fn new(listen: &'a Listen) -> Self {
        Self {
            context_version: CONTEXT_VERSION,
            listen: ListenContext {
                name: &listen.name,
                app: listen.owner.app.as_str(),
                service_port: listen.owner.service_port,
                bind: BindContext::new(listen.bind),
                servers: listen.servers.iter().map(ServerContext::new).collect(),
            },
        }
    }
}

impl BindContext {
    fn new(bind: Bind) -> Self {
        Self {
            address: bind.address.to_string(),
            port: bind.port,
        }
    }
}

impl<'a> ServerContext<'a> {
    fn new(server: &'a Server) -> Self {
        let host = server.host.to_string();
        Self {
            name: &server.name,
            address: format!("{host}:{}", server.port),
            port: server.port,
            host,
        }
    }
}
