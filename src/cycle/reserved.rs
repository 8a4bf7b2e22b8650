//! Ports that are taken, whoever asks for them: those that the file itself listens on, whatever apps
//! there are, and those of other apps. HAProxy accepts two listeners on one port and gives connections
//! to either at random: such an app took the statistics and the hosts of all others from marathon-lb.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::held_ports::HTTPS;
use crate::cluster::{AppId, Warning};
use crate::haproxy::Line;
use crate::labels::Template;
use crate::proxy::Owner;
use crate::proxy::marathon_lb::{Service, share_an_address};
use crate::render::Chunk;

/// By the first port of each range: where it is bound, and by whom.
#[derive(Debug, Default)]
pub(super) struct Reserved<'a>(BTreeMap<u32, Vec<Bound<'a>>>);

#[derive(Debug)]
struct Bound<'a> {
    address: String,
    last: u32,
    section: &'a str,
}

/// A place that a `bind` line of somebody names.
struct Place {
    address: String,
    ports: RangeInclusive<u32>,
}

impl<'a> Reserved<'a> {
    /// Reads the `bind` lines that belong to nobody.
    pub(super) fn of(chunks: &'a [Chunk]) -> Self {
        let mut reserved = Self::default();
        let mut section = "";
        let frame = chunks.iter().filter(|chunk| chunk.owner.is_none());
        for line in frame.flat_map(|chunk| chunk.text.lines()) {
            if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
                section = line.trim_end();
            }
            for Place { address, ports } in places(line) {
                let all = reserved.0.entry(*ports.start()).or_default();
                all.push(Bound {
                    address,
                    last: *ports.end(),
                    section,
                });
            }
        }
        reserved
    }

    /// The section that holds the port of a service, by its first line.
    pub(super) fn section(&self, service: &Service) -> Option<&'a str> {
        let port = service.owner.service_port;
        self.holder(service.bind_addr(), &(port..=port))
    }

    /// What is wrong with a service that claims such a port. `opener` is the app whose label opens
    /// port 443, and the label.
    pub(super) fn clash(
        &self,
        service: &Service,
        opener: Option<&(AppId, String)>,
    ) -> Option<Warning> {
        let port = service.owner.service_port;
        let section = self.section(service)?;
        let opener = opener.filter(|_| HTTPS.contains(&section));
        let by_whom = opener.map(|(app, label)| format!(", which {label} of app `{app}` opens"));
        Some(Warning {
            app: Some(service.owner.app.clone()),
            subject: service.subject_of_port(),
            found: format!(
                "port {port} is held by `{section}`{}",
                by_whom.unwrap_or_default()
            ),
            expected: "a port of its own".to_owned(),
            effect: "service port left out".to_owned(),
        })
    }

    fn holder(&self, address: &str, ports: &RangeInclusive<u32>) -> Option<&'a str> {
        let all = self.0.range(..=ports.end()).flat_map(|(_, bounds)| bounds);
        all.filter(|bound| *ports.start() <= bound.last)
            .find(|bound| share_an_address(&bound.address, address))
            .map(|bound| bound.section)
    }

    /// What is wrong with services that listen on more than their service port: with a comma in
    /// `BIND_ADDR`, or by a text of their own.
    pub(super) fn thefts(
        &self,
        chunks: &[Chunk],
        services: &[Arc<Service>],
    ) -> Vec<(Owner, Warning)> {
        let is_suspect = |service: &&Arc<Service>| {
            service.bind_addr().contains(',') || !service.options.overrides.is_empty()
        };
        let suspects: BTreeMap<&Owner, &Service> = services
            .iter()
            .filter(is_suspect)
            .map(|service| (&service.owner, &**service))
            .collect();
        if suspects.is_empty() {
            return Vec::new();
        }
        let mut thefts: Vec<(Owner, Warning)> = Vec::new();
        for chunk in chunks {
            let owner = chunk.owner.as_ref();
            let Some(service) = owner.and_then(|owner| suspects.get(owner)) else {
                continue;
            };
            let places = chunk.text.lines().flat_map(places);
            let stolen = places.filter_map(|place| self.stolen(&place, service, services));
            if let Some(warning) = stolen.into_iter().next() {
                thefts.push((service.owner.clone(), warning));
            }
        }
        thefts
    }

    /// Ports beside the own one that somebody else holds.
    fn stolen(
        &self,
        place: &Place,
        service: &Service,
        services: &[Arc<Service>],
    ) -> Option<Warning> {
        let own = service.owner.service_port;
        let Place { address, ports } = place;
        let victim = || {
            let mut others = services.iter().filter(|other| other.owner != service.owner);
            others.find(|other| {
                let port = other.owner.service_port;
                // Of two services on one port who is served is known already.
                port != own && ports.contains(&port) && share_an_address(address, other.bind_addr())
            })
        };
        let holder = if *ports == (own..=own) {
            return None;
        } else if let Some(section) = self.holder(address, ports) {
            format!("`{section}`")
        } else {
            format!("app `{}`", victim()?.owner.app)
        };
        let overrides = &service.options.overrides;
        let label = if overrides.contains_key(&Template::FrontendHead) {
            Template::FrontendHead.name()
        } else {
            "BIND_ADDR"
        };
        let (first, last) = (ports.start(), ports.end());
        let ports = if first == last {
            format!("port {first}")
        } else {
            format!("ports {first} to {last}")
        };
        Some(Warning {
            app: Some(service.owner.app.clone()),
            subject: format!("label `HAPROXY_{}_{label}`", service.index),
            found: format!("{ports} on `{address}`, held by {holder}"),
            expected: "ports of its own".to_owned(),
            effect: "service port left out".to_owned(),
        })
    }
}

/// The addresses and ports of a `bind` line; none of any other line.
#[must_use]
pub fn bound_places(line: &str) -> Vec<(String, RangeInclusive<u32>)> {
    let places = places(line).into_iter();
    places.map(|place| (place.address, place.ports)).collect()
}

/// Where a line listens, if it is one of `bind`.
fn places(line: &str) -> Vec<Place> {
    if !line.trim_start().starts_with(['b', '"', '\'', '\\']) {
        return Vec::new();
    }
    let words = Line::of(line).words;
    let [keyword, places, ..] = &words[..] else {
        return Vec::new();
    };
    if keyword != "bind" {
        return Vec::new();
    }
    let place = |text| {
        let (address, ports) = bound(text)?;
        Some(Place {
            address: address.to_owned(),
            ports,
        })
    };
    places.split(',').filter_map(place).collect()
}

/// `*:80`, `[::]:80`, `:8000-8010`; a socket of another kind has no port.
fn bound(place: &str) -> Option<(&str, RangeInclusive<u32>)> {
    let (address, ports) = place.rsplit_once(':')?;
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    Some((address, first.parse().ok()?..=last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        for (place, read) in [
            ("*:80", Some(("*", 80..=80))),
            (":80", Some(("", 80..=80))),
            ("[::]:443", Some(("[::]", 443..=443))),
            ("127.0.0.1:8000-8010", Some(("127.0.0.1", 8000..=8010))),
            ("ipv4@10.0.0.1:80", Some(("ipv4@10.0.0.1", 80..=80))),
            ("abns@www_test", None),
            ("/run/socket", None),
            ("fd@3", None),
            ("*:$PORT", None),
        ] {
            assert_eq!(bound(place), read, "{place}");
        }
    }
}
