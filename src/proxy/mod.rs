//! The truth that is compared and rendered, in HAProxy's own words.
//!
//! Two pure stages for each set of templates: per app (`bridge::listen`, `marathon_lb::service`,
//! whose result depends on that app alone) and across apps (`arrange`, over small keys: who holds a
//! port, in which order sections stand, which rules lead to whom).

pub mod bridge;
pub mod marathon_lb;
pub mod native;
mod server_id;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::cluster::{AppId, Host, ServicePort, Warning};

/// Who answers for a section: faults in it lead back here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The app.
    pub app: AppId,
    /// The service port of that app.
    pub service_port: u32,
}

impl Owner {
    /// Whether `port` is the one.
    #[must_use]
    pub fn owns(&self, port: &ServicePort) -> bool {
        self.app == port.app && self.service_port == port.service_port
    }
}

/// Who has which host and path, by how it is shown.
pub type Holders = BTreeMap<Box<str>, AppId>;

/// Who had in the turn before what several may claim now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incumbents {
    /// By service port.
    pub service_ports: BTreeMap<u32, AppId>,
    /// Of the native set.
    pub places: Holders,
    /// Those of labels on port 443 of the native set, in their order.
    pub certificates: Vec<Box<str>>,
    /// Who is in which slot of the native set.
    pub slots: Arc<native::AllSlots>,
}

/// `--default-backend`: who is served what nobody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultBackend {
    /// Its app.
    pub app: AppId,
    /// Its service port; without it the first that speaks HTTP.
    pub service_port: Option<u32>,
}

/// Where a section accepts connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bind {
    /// A local address; unspecified for all of them.
    pub address: IpAddr,
    /// 1 to 65535.
    pub port: u16,
}

/// A place that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Unique within its section.
    pub name: String,
    /// Numeric, or a name that HAProxy resolves when it starts.
    pub host: Host,
    /// 1 to 65535.
    pub port: u16,
}

/// A section that accepts connections and hands them to its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Whose it is.
    pub owner: Owner,
    /// Unique within the file.
    pub name: String,
    /// Where clients dial.
    pub bind: Bind,
    /// In the order of the file.
    pub servers: Vec<Server>,
    /// When its app was last changed; decides who was first on a port.
    pub last_config_change_at: Option<Box<str>>,
}

/// All sections of one file, in the order of the file.
///
/// They are shared, so that what was rendered for one is found again by its pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Sections with both a front and a back, of the bridge set.
    pub listens: Vec<Arc<Listen>>,
    /// Frontends and backends, of marathon-lb's set and its predecessor's.
    pub layout: marathon_lb::Layout,
    /// The same of the native set, where that is rendered.
    pub native: Option<native::Layout>,
}

impl Proxies {
    /// Who has a frontend and a backend, in the order of the file.
    #[must_use]
    pub fn services(&self) -> &[Arc<marathon_lb::Service>] {
        match &self.native {
            Some(native) => &native.services,
            None => &self.layout.services,
        }
    }

    /// File name → rows.
    #[must_use]
    pub fn maps(&self) -> &BTreeMap<&'static str, marathon_lb::Rows> {
        match &self.native {
            Some(native) => &native.maps,
            None => &self.layout.maps,
        }
    }

    /// How many servers there are in all sections.
    #[must_use]
    pub fn servers(&self) -> usize {
        let listens = self.listens.iter().map(|listen| listen.servers.len());
        let services = self.services().iter();
        let services = services.map(|service| service.servers.len());
        listens.chain(services).sum()
    }

    /// Who answers for the section of this name.
    #[must_use]
    pub fn owner_of(&self, section: &str) -> Option<&Owner> {
        let listens = self
            .listens
            .iter()
            .map(|listen| (&listen.name, &listen.owner));
        let services = self.services().iter();
        let services = services.map(|service| (&service.name, &service.owner));
        let mut all = listens.chain(services);
        all.find(|(name, _)| *name == section || *name == marathon_lb::backend_of(section))
            .map(|(_, owner)| owner)
    }

    /// Whoever answers for a section of their own, in the order of the file.
    pub fn owners(&self) -> impl Iterator<Item = &Owner> {
        let listens = self.listens.iter().map(|listen| &listen.owner);
        listens.chain(self.services().iter().map(|service| &service.owner))
    }

    /// Those of them that have no host or path.
    pub fn unnamed(&self) -> impl Iterator<Item = &Owner> {
        let listens = self.listens.iter().map(|listen| &listen.owner);
        let services = self.services().iter();
        let unnamed = services.filter(|service| !service.has_name());
        listens.chain(unnamed.map(|service| &service.owner))
    }
}

/// How strong an app's claim to a port is; smaller is stronger. A missing date is the weakest: the
/// text form of Marathon's answer has none, and then the id decides.
fn precedence<'a>(
    app: &'a AppId,
    last_config_change_at: Option<&'a str>,
    incumbent: Option<&AppId>,
) -> (bool, bool, Option<&'a str>, &'a AppId) {
    (
        !is_incumbent(app, incumbent),
        last_config_change_at.is_none(),
        last_config_change_at,
        app,
    )
}

/// An installed file tells the name of the section, from which `/` and `_` cannot be told apart.
#[must_use]
pub fn is_incumbent(app: &AppId, incumbent: Option<&AppId>) -> bool {
    incumbent.is_some_and(|holder| holder.safe_path() == app.safe_path())
}

/// Behind the name of who has something that nobody gets for the moment.
const WITHOUT_TASKS: &str = ", which has no tasks at the moment";

/// For the owner of a service port that another has already.
fn clash(loser: &Owner, winner: &Owner) -> Warning {
    let found = if loser.app == winner.app {
        "a second port of the same app with this number".to_owned()
    } else {
        let port = winner.service_port;
        format!("port {port} is held by app `{}`", winner.app)
    };
    Warning {
        app: Some(loser.app.clone()),
        subject: format!("service port {}", loser.service_port),
        found,
        expected: "a port of its own".to_owned(),
        effect: "service port left out".to_owned(),
    }
}

/// Whether HAProxy takes `name` for a section or a server: letters, digits and `-_.:`
/// (`invalid_char` in its configuration manual, "Proxies").
fn is_proxy_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

/// Whether `name` can be a host name in a `server` line. Underscores are no part of host names,
/// but resolvers and container networks know them.
fn is_host_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}
