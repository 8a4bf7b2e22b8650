//! Sections of the native set: a frontend and a backend per service port as marathon-lb has them,
//! and shared frontends of its own, which find a backend by how precisely its owner named the
//! request.
//!
//! What protects a service stands in its backend, so that it holds on every way that leads there.

mod arrange;
mod below;
mod bounds;
mod certificates;
mod claims;
mod crt;
#[cfg(test)]
mod fixtures;
mod led;
mod maps;
mod merge;
mod place;
mod rules;
mod share;
mod slots;
mod tls;
mod tuning;
mod usurped;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use arrange::arrange;
pub use crt::{Crt, CrtList, crt_list_name, is_crt_list};
pub use led::Way;
pub use place::{Host, Place};
pub use slots::{
    AllSlots, MOST_SLOTS_OF_AN_APP, NOWHERE, Seat, SlotRule, Slots, in_slots, is_slot, lines_of,
    slot_of, slots_of, slots_wanted,
};
pub use tuning::{Conditions, Tuning, say_slots, tuning};
pub use usurped::{CertificateNames, usurping};

use super::marathon_lb::{Rows, Service};
use super::{Holders, Owner};
use crate::cluster::{AppId, Warning};

/// Hosts, and `*.` with the end of a host, → backends.
pub const DOMAIN_MAP: &str = "domain2backend.map";
/// Hosts with the beginning of a path, and such beginnings alone, → backends.
pub const PATH_MAP: &str = "path2backend.map";
/// Ends of hosts → the same with `*`, as the other two maps have it. The first one that fits
/// counts, so that the longest stand first.
pub const SUFFIX_MAP: &str = "suffix2domain.map";
/// App ids → backends.
pub const APP_MAP: &str = "app2backend.map";

/// A whole file, its maps and its lists of certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// By app id, then port.
    pub services: Vec<Arc<Service>>,
    /// Whether port 80 is ours, and port 443 where there are certificates.
    pub binds_http_https: bool,
    /// Of port 443, in this order: the first is for clients that name no known host. Without any
    /// the port stays closed.
    pub certificates: Vec<Box<str>>,
    /// The same as they stand in the line of that port.
    pub crt: Vec<Crt>,
    /// Those of them that labels bring, for the next turn; also where the app has no tasks for the
    /// moment, and where the port is closed those that were shown before.
    pub certificates_in_order: Vec<Box<str>>,
    /// What is tried before the maps, in order.
    pub first: Vec<Rule>,
    /// What is tried behind the lookup of exact hosts, before that of their ends.
    pub below: Vec<Rule>,
    /// What is tried behind the lookups of hosts, before that of paths.
    pub paths: Vec<Rule>,
    /// What is tried behind them.
    pub last: Vec<Rule>,
    /// Whose TLS on port 443 is passed on by the host of the handshake, in order.
    pub passed_on: Vec<TlsRule>,
    /// Who has which host and path, for the next turn.
    pub holders: Holders,
    /// Whom nothing else leads to.
    pub default_backend: Option<String>,
    /// Rules by the header `X-Marathon-App-Id`; none where a map has them.
    pub app_ids: Vec<Arc<Service>>,
    /// Whether hosts, paths and app ids are looked up in maps.
    pub looks_up: bool,
    /// File name → rows.
    pub maps: BTreeMap<&'static str, Rows>,
    /// Those who are one service with others by `MERGE`, and the first of them.
    pub merged: BTreeMap<Owner, Owner>,
    /// Weights by which apps go before others of their folder.
    pub passing: Vec<Remark>,
    /// Whether clients of ports 80 and 443 are named by the PROXY protocol.
    pub accepts_proxy: bool,
    /// Who is not in it, and why: what else they asked for would be served in another way than
    /// they meant.
    pub refused: Vec<(Owner, Warning)>,
}

impl Layout {
    /// Whether so many certificates are more than the line of port 443 has room for.
    #[must_use]
    pub fn are_beyond_line(&self, certificates: usize) -> bool {
        self.opens_https() && certificates > crt::MOST_ON_LINE
    }

    /// The lists that lie beside it.
    pub fn crt_lists(&self) -> impl Iterator<Item = &CrtList> {
        self.crt.iter().filter_map(|crt| match crt {
            Crt::List(list) => Some(list),
            Crt::Path(_) => None,
        })
    }

    /// Whether TLS ends on port 443.
    #[must_use]
    pub fn opens_https(&self) -> bool {
        self.binds_http_https && !self.certificates.is_empty()
    }
}

/// What is as it may be, and both apps should know of: no fault of either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Whose labels bring it about.
    pub app: AppId,
    /// Whose requests it is about.
    pub other: AppId,
    /// In a sentence without its stop.
    pub text: String,
}

/// What leads requests to a service by a rule of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whose it is.
    pub service: Arc<Service>,
    /// Which requests are meant.
    pub place: Place,
    /// Whether the path is compared without regard to case.
    pub ignores_case: bool,
    /// What else is asked of them.
    pub conditions: Conditions,
}

/// Where connections for a host go on port 443, while TLS of some is passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsRule {
    /// Whose host it is; its path does not count.
    pub rule: Rule,
    /// Its TLS ends here, although that of all hosts around it is passed on.
    pub ends_here: bool,
}

/// For the owner of a label of this service port.
fn label(service: &Service, name: &str, found: &str, expected: &str, effect: &str) -> Warning {
    Warning {
        app: Some(service.owner.app.clone()),
        subject: format!("label `HAPROXY_{}_{name}`", service.index),
        found: found.to_owned(),
        expected: expected.to_owned(),
        effect: effect.to_owned(),
    }
}
