//! What an answer lacks of what is served.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::{Endpoint, Host, ServicePort};
use crate::state::{Fetch, Lacking};

/// The app's name as sections carry it, and its service port: an installed file does not tell `/`
/// from `_`.
pub(super) type Key = (String, u32);
pub(super) type Address<'a> = (&'a Host, u16);

/// What `fresh` lacks, by service port.
#[derive(Clone)]
pub(super) struct Losses<'a>(BTreeMap<Key, Loss<'a>>);

#[derive(Clone)]
pub(super) enum Loss<'a> {
    /// The whole service port.
    Whole(&'a ServicePort),
    /// It has fewer servers than before, and these are not among them. A server that another took
    /// the place of is not lost.
    Servers { net: usize, gone: Vec<&'a Endpoint> },
}

impl<'a> Losses<'a> {
    pub(super) fn of(served: &'a [ServicePort], fresh: &[ServicePort]) -> Self {
        let mut now: BTreeMap<Key, BTreeSet<Address<'_>>> = BTreeMap::new();
        for port in fresh {
            now.entry(key(port)).or_default().extend(addresses(port));
        }
        let mut losses = BTreeMap::new();
        for port in served {
            let key = key(port);
            let Some(present) = now.get(&key) else {
                losses.insert(key, Loss::Whole(port));
                continue;
            };
            let net = distinct(&port.endpoints).saturating_sub(present.len());
            if net == 0 {
                continue;
            }
            let gone = port
                .endpoints
                .iter()
                .filter(|e| !present.contains(&(&e.host, e.port)));
            losses.insert(
                key,
                Loss::Servers {
                    net,
                    gone: gone.collect(),
                },
            );
        }
        Self(losses)
    }

    pub(super) fn service_ports(&self) -> usize {
        self.0
            .values()
            .filter(|loss| matches!(loss, Loss::Whole(_)))
            .count()
    }

    pub(super) fn servers(&self) -> usize {
        let lost = |loss: &Loss<'_>| match loss {
            Loss::Whole(port) => distinct(&port.endpoints),
            Loss::Servers { net, .. } => *net,
        };
        self.0.values().map(lost).sum()
    }

    /// Those that fetches before lacked, too.
    pub(super) fn agreed(&self, before: &BTreeMap<String, Lacking>) -> Self {
        let common = |(key, loss): (&Key, &Loss<'a>)| {
            let loss = loss.agreed(before.get(&name(key))?)?;
            Some((key.clone(), loss))
        };
        Self(self.0.iter().filter_map(common).collect())
    }

    /// Those that all of the `fetches` lacked, too.
    pub(super) fn agreed_by_all(&self, fetches: &[Fetch]) -> Self {
        let fetches = fetches.iter();
        fetches.fold(self.clone(), |agreed, fetch| agreed.agreed(&fetch.lacking))
    }

    /// As they are remembered.
    pub(super) fn lacking(&self) -> BTreeMap<String, Lacking> {
        let lacking = |loss: &Loss<'_>| match loss {
            Loss::Whole(_) => Lacking::Whole,
            Loss::Servers { gone, .. } => {
                Lacking::Servers(gone.iter().map(|endpoint| address(endpoint)).collect())
            }
        };
        let losses = self.0.iter();
        losses
            .map(|(key, loss)| (name(key), lacking(loss)))
            .collect()
    }

    /// The apps that lose something.
    pub(super) fn apps(&self) -> BTreeSet<String> {
        self.0.keys().map(|(app, _)| app.clone()).collect()
    }

    pub(super) fn owned(self) -> Vec<(Key, OwnedLoss)> {
        let owned = |(key, loss): (Key, Loss<'_>)| {
            let loss = match loss {
                Loss::Whole(port) => OwnedLoss::Whole(port.clone()),
                Loss::Servers { gone, .. } => {
                    OwnedLoss::Servers(gone.into_iter().cloned().collect())
                }
            };
            (key, loss)
        };
        self.0.into_iter().map(owned).collect()
    }
}

impl Loss<'_> {
    /// What of it is lacking by an earlier account, too.
    fn agreed(&self, before: &Lacking) -> Option<Self> {
        let (net, gone) = match self {
            Self::Whole(port) if *before == Lacking::Whole => return Some(Self::Whole(port)),
            Self::Whole(port) => (usize::MAX, port.endpoints.iter().collect()),
            Self::Servers { net, gone } => (*net, gone.clone()),
        };
        let gone: Vec<&Endpoint> = match before {
            Lacking::Whole => gone,
            Lacking::Servers(before) => gone
                .into_iter()
                .filter(|endpoint| before.contains(&address(endpoint)))
                .collect(),
        };
        let net = net.min(distinct(gone.iter().copied()));
        (net > 0).then_some(Self::Servers { net, gone })
    }
}

/// `served` without what is lacking.
pub(super) fn without(
    served: &[ServicePort],
    lacking: &BTreeMap<String, Lacking>,
) -> Vec<ServicePort> {
    let left = |port: &ServicePort| match lacking.get(&name(&key(port))) {
        None => Some(port.clone()),
        Some(Lacking::Whole) => None,
        Some(Lacking::Servers(gone)) => {
            let mut port = port.clone();
            port.endpoints
                .retain(|endpoint| !gone.contains(&address(endpoint)));
            Some(port)
        }
    };
    served.iter().filter_map(left).collect()
}

pub(super) enum OwnedLoss {
    Whole(ServicePort),
    Servers(Vec<Endpoint>),
}

pub(super) fn key(port: &ServicePort) -> Key {
    (port.app.safe_path(), port.service_port)
}

pub(super) fn addresses(port: &ServicePort) -> impl Iterator<Item = Address<'_>> {
    port.endpoints
        .iter()
        .map(|endpoint| (&endpoint.host, endpoint.port))
}

/// An address that stands there twice is one server.
pub(super) fn distinct<'e>(endpoints: impl IntoIterator<Item = &'e Endpoint>) -> usize {
    let addresses = endpoints.into_iter().map(|e| (&e.host, e.port));
    addresses.collect::<BTreeSet<Address<'_>>>().len()
}

fn name((section, service_port): &Key) -> String {
    format!("{section}:{service_port}")
}

fn address(endpoint: &Endpoint) -> String {
    format!("{}:{}", endpoint.host, endpoint.port)
}
