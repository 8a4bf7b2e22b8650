//! What an answer lacks of what is served.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::{Endpoint, Host, ServicePort};
use crate::disk::Digest;

/// The app's name as sections carry it, and its service port: an installed file does not tell `/`
/// from `_`.
pub(super) type Key = (String, u32);
pub(super) type Address<'a> = (&'a Host, u16);

/// What `fresh` lacks, by service port.
pub(super) struct Losses<'a>(BTreeMap<Key, Loss<'a>>);

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
            let net = port.endpoints.len().saturating_sub(present.len());
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
            Loss::Whole(port) => port.endpoints.len(),
            Loss::Servers { net, .. } => *net,
        };
        self.0.values().map(lost).sum()
    }

    /// Equal for fetches that lack the same.
    pub(super) fn fingerprint(&self) -> String {
        let mut parts = Vec::new();
        for ((name, service_port), loss) in &self.0 {
            parts.push(format!("{name}:{service_port}"));
            if let Loss::Servers { gone, .. } = loss {
                parts.extend(
                    gone.iter()
                        .map(|endpoint| format!("{}:{}", endpoint.host, endpoint.port)),
                );
            }
        }
        Digest::of(parts.join(" ").as_bytes()).short(16)
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
