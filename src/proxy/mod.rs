//! The truth that is compared and rendered, in HAProxy's own words.
//!
//! Two pure stages: per app (`bridge::listen`, whose result depends on that app alone) and across
//! apps (`bridge::arrange`, over small keys: who holds a port, in which order sections stand).

pub mod bridge;

use std::net::IpAddr;
use std::sync::Arc;

use crate::cluster::{AppId, Host};

/// Who answers for a section: faults in it lead back here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The app.
    pub app: AppId,
    /// The service port of that app.
    pub service_port: u16,
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
    /// Sections with both a front and a back.
    pub listens: Vec<Arc<Listen>>,
}

impl Proxies {
    /// How many servers there are in all sections.
    #[must_use]
    pub fn servers(&self) -> usize {
        self.listens.iter().map(|listen| listen.servers.len()).sum()
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
