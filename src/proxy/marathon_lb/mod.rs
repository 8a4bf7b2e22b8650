//! Sections as marathon-lb wrote them: a frontend and a backend per service port, and shared
//! frontends that route by host, path and app id.
//!
//! Two pure stages: [`service`], whose result depends on one app alone, and [`arrange`], across
//! apps, over small keys. Which rules stand where, and in which order, is marathon-lb 1.15's
//! ("Routing output", "What determines the bytes"); what they say is for the templates.

mod arrange;
mod checks;
mod claims;
mod clash;
mod routes;
mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use arrange::arrange;
pub use checks::check_of;
pub(super) use checks::mode_and_check;
pub use claims::{TcpHost, tcp_host};
pub(super) use clash::settle;
pub use clash::{Incumbents, is_sure, may_share_an_address, share_an_address};
pub use service::{Asked, service};

use super::native::SlotRule;
use super::{DefaultBackend, Owner};
use crate::cluster::HealthCheck;
use crate::labels::{ServiceOptions, Template};

/// Ends the name of a frontend where its backend may not share it. No name of a service ends so: the
/// last word of those is a port.
const OF_FRONTEND: &str = "_in";

/// The name of the frontend of `backend` for a HAProxy that wants two names.
#[must_use]
pub fn frontend_name(backend: &str) -> String {
    format!("{backend}{OF_FRONTEND}")
}

/// The backend behind a frontend of this name.
#[must_use]
pub fn backend_of(frontend: &str) -> &str {
    frontend.strip_suffix(OF_FRONTEND).unwrap_or(frontend)
}

/// A service port: its frontend and its backend, which share their name up to HAProxy 3.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Whose it is. Its port is the one that clients dial.
    pub owner: Owner,
    /// Position among the service ports of its app, the `{n}` of labels.
    pub index: usize,
    /// Of its backend, and of its frontend where they may share it.
    pub name: String,
    /// Stands in the names of the rules for its hosts.
    pub acl: String,
    /// `http`, `tcp`, or what the owner wrote.
    pub mode: Box<str>,
    /// How HAProxy checks its servers.
    pub check: Option<Check>,
    /// In the order of the file.
    pub servers: Vec<Server>,
    /// Numbers of those slots in which nobody is, in the native set.
    pub free_slots: Vec<u32>,
    /// What its owner asked for.
    pub options: Arc<ServiceOptions>,
    /// When its app was last changed; decides who was first on a port.
    pub last_config_change_at: Option<Box<str>>,
    /// Nobody serves it for the moment, though its app is to have tasks: it is in no file, and
    /// nobody else gets what it had.
    pub is_absent: bool,
}

impl Service {
    /// The address that its frontend listens on.
    #[must_use]
    pub fn bind_addr(&self) -> &str {
        self.options.bind_addr.as_deref().unwrap_or("*")
    }

    /// What gives it its service port, for warnings.
    #[must_use]
    pub fn subject_of_port(&self) -> String {
        match self.options.port {
            Some(_) => format!("label `HAPROXY_{}_PORT`", self.index),
            None => format!("service port {}", self.owner.service_port),
        }
    }

    /// Whether ports 80 and 443 can lead to it in the place of a port of its own: it has a host or a path,
    /// and speaks HTTP.
    #[must_use]
    pub fn has_name(&self) -> bool {
        let path = self.options.path.as_deref().unwrap_or_default();
        self.is_http() && (!path.is_empty() || !self.options.vhosts().is_empty())
    }

    /// How its servers are chosen.
    #[must_use]
    pub fn balance(&self) -> &str {
        self.options.balance.as_deref().unwrap_or("roundrobin")
    }

    /// Whether requests are understood, not only passed on.
    #[must_use]
    pub fn is_http(&self) -> bool {
        &*self.mode == "http"
    }
}

/// Which templates a check is written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// A request.
    Http,
    /// A connection.
    Tcp,
}

/// A health check of Marathon that HAProxy makes too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which templates it is written with.
    pub kind: CheckKind,
    /// As Marathon has it.
    pub health_check: HealthCheck,
}

/// A place that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Made of host, address and port.
    pub name: String,
    /// The agent's name, or the address where there is none.
    pub host: Box<str>,
    /// Numeric.
    pub address: String,
    /// 1 to 65535.
    pub port: u16,
    /// Unique within the backend; 0 where the set gives none.
    pub id: u32,
    /// Value of the cookie that binds a client to it.
    pub cookie: String,
    /// Where it is checked, if elsewhere than where it serves.
    pub check_port: Option<u16>,
    /// It gets no new clients: a deployment is about to end it.
    pub draining: bool,
    /// Its share of the requests, in the native set where several apps are one service.
    pub weight: Option<u16>,
}

/// A line or several of a shared frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What is rendered.
    pub template: Template,
    /// The one whose label the owner may have given in its place.
    pub label: Template,
    /// The host in question, where it is one.
    pub host: Option<Box<str>>,
}

/// What a service adds to a shared frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Whose it is.
    pub service: Arc<Service>,
    /// In order.
    pub rules: Vec<Rule>,
}

/// A TLS frontend of its own for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vhost {
    /// The name that clients ask for.
    pub host: Box<str>,
    /// The same as a name of sections.
    pub name: String,
    /// Certificates of its services, else those of all.
    pub certificates: Vec<Box<str>>,
    /// Bind options of its services.
    pub bind_options: Vec<Box<str>>,
    /// In order.
    pub routes: Vec<Route>,
}

/// Port 443.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Https {
    /// Not ours.
    #[default]
    Closed,
    /// One frontend for all hosts.
    Together {
        /// In the order given: the first is for clients that name no known host.
        certificates: Vec<Box<str>>,
        /// In order.
        routes: Vec<Route>,
    },
    /// One for each host, by `--group-https-by-vhost`.
    ByVhost(Vec<Vhost>),
}

/// Rows of a map file: key and backend.
pub type Rows = Vec<(Box<str>, String)>;

/// A whole file, and its maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// By app id, then port.
    pub services: Vec<Arc<Service>>,
    /// Port 80; `None` where it is not ours.
    pub http: Option<Vec<Route>>,
    /// By the header `X-Marathon-App-Id`.
    pub app_ids: Vec<Route>,
    /// Port 443.
    pub https: Https,
    /// File name → rows.
    pub maps: BTreeMap<&'static str, Rows>,
}

/// What follows from options for the whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Shape {
    /// Whether hosts and app ids are looked up in map files.
    pub maps: bool,
    /// Whether ports 80 and 443 are ours.
    pub binds_http_https: bool,
    /// Whether each host has a TLS frontend of its own.
    pub https_by_vhost: bool,
    /// Certificates of port 443, in this order.
    pub ssl_certs: Vec<Box<str>>,
    /// Whether of two services on one port only one is served.
    pub settles_clashes: bool,
    /// Whose rules count.
    pub flavour: Flavour,
    /// Whether a service port without servers is served all the same, in the native set.
    pub keeps_idle: bool,
    /// Whether clients of ports 80 and 443 are named by the PROXY protocol, in the native set.
    pub accepts_proxy: bool,
    /// Whether port 443 stays closed, whoever asks for it, in the native set.
    pub closes_https: bool,
    /// Certificates that labels bring and that are not shown there, in the native set.
    pub hidden_certificates: BTreeSet<Box<str>>,
    /// Certificates that may stand in a list beside the file, in the native set: no folders, in which
    /// HAProxy would read without end. `None` where nobody has looked yet.
    pub listable_certificates: Option<BTreeSet<Box<str>>>,
    /// The name of the file itself, so that no other in its folder has lists of the same names.
    pub config: Box<str>,
    /// Who is served what nobody asked for, in the native set.
    pub default_backend: Option<DefaultBackend>,
    /// Which sections have slots, in the native set.
    pub slots: SlotRule,
    /// Whether services to which ports 80 and 443 lead have no port of their own, in the native set.
    pub leads_by_name: bool,
}

impl Shape {
    /// Whether port 443 is ours. marathon-lb had a certificate in all cases, its predecessor names
    /// one in a template.
    fn opens_https(&self) -> bool {
        let has_certificates = !self.ssl_certs.is_empty() || self.https_by_vhost;
        self.binds_http_https && (has_certificates || self.flavour == Flavour::Servicerouter)
    }
}

/// marathon-lb, its predecessor and our own set, where they differ in more than templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// marathon-lb 1.15.
    MarathonLb,
    /// `servicerouter.py`.
    Servicerouter,
    /// Our own set.
    Native,
}

/// Hosts → backends.
pub const DOMAIN_MAP: &str = "domain2backend.map";
/// App ids → backends.
pub const APP_MAP: &str = "app2backend.map";

/// As marathon-lb cleans names of rules and servers: letters, digits and `-` stay.
#[must_use]
pub fn cleaned(text: &str) -> String {
    let keep = |byte: u8| {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            char::from(byte)
        } else {
            '_'
        }
    };
    let mut cleaned = String::with_capacity(text.len());
    // The first byte of a character stands for all of it.
    let is_first = |byte: &u8| byte & 0b1100_0000 != 0b1000_0000;
    cleaned.extend(text.bytes().filter(is_first).map(keep));
    cleaned
}
