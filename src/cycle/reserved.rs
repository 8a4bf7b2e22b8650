//! Ports that are taken, whoever asks for them: those that the file itself listens on, whatever apps
//! there are, and those of other apps. HAProxy accepts two listeners on one port and gives connections
//! to either at random: such an app took the statistics and the hosts of all others from marathon-lb.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::held_ports::HTTPS;
use crate::cluster::{AppId, Warning};
use crate::haproxy::listen;
use crate::labels::Template;
use crate::proxy::Owner;
use crate::proxy::marathon_lb::{Service, is_sure, may_share_an_address, share_an_address};
use crate::render::Chunk;

/// More ports of one service than any needs: HAProxy opens a socket for each.
const MOST_PORTS: u32 = 500;

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
            .find(|bound| may_share_an_address(&bound.address, address))
            .map(|bound| bound.section)
    }

    /// What is wrong with services that listen on more than their service port: with a comma in
    /// `BIND_ADDR`, or by a text of their own. From those who are not among `listening` nothing can be
    /// taken: their number is a name.
    pub(super) fn thefts(
        &self,
        chunks: &[Chunk],
        services: &[Arc<Service>],
        listening: &[Arc<Service>],
    ) -> Vec<(Owner, Warning)> {
        let is_suspect = |service: &&Arc<Service>| {
            !is_one_place(service.bind_addr()) || !service.options.overrides.is_empty()
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
            let mut number = 0;
            let wrong = chunk.text.lines().find_map(|line| {
                let list = list_of(line)?;
                let mut places = list.split(',');
                let wrong = places.find_map(|place| {
                    let wrong = self.wrong(place, service, listening);
                    wrong.or_else(|| too_many(place, service, &mut number))
                })?;
                Some((line, wrong))
            });
            if let Some((line, (found, expected))) = wrong {
                let label = label(service, line);
                let warning = Warning {
                    app: Some(service.owner.app.clone()),
                    subject: format!("label `HAPROXY_{}_{label}`", service.index),
                    found,
                    expected,
                    effect: "service port left out".to_owned(),
                };
                thefts.push((service.owner.clone(), warning));
            }
        }
        thefts
    }

    /// What is wrong with a place where a service listens, and what was expected: somebody else holds
    /// its ports, or may hold them.
    fn wrong(
        &self,
        place: &str,
        service: &Service,
        listening: &[Arc<Service>],
    ) -> Option<(String, String)> {
        let is_of_owner = may_bind(service);
        let unsure = || {
            let found = format!("`{}`, which may be a port of others", place.escape_debug());
            let expected = "`*` or an address in numbers, and a port from 1 to 65535".to_owned();
            (found, expected)
        };
        let Some((address, ports)) = bound(place).filter(|(_, ports)| are_ports(ports)) else {
            return (is_of_owner && listen::is_of_tcp(place)).then(unsure);
        };
        if let Some(holder) = self.victim(address, &ports, service, listening) {
            let found = format!("{} on `{address}`, held by {holder}", in_words(&ports));
            return Some((found, "ports of its own".to_owned()));
        }
        let own = service.owner.service_port;
        if !is_of_owner || ports == (own..=own) {
            return None;
        }
        (!is_sure(address)).then(unsure)
    }

    /// Who has one of these ports already: a section of nobody, or another app.
    fn victim(
        &self,
        address: &str,
        ports: &RangeInclusive<u32>,
        service: &Service,
        listening: &[Arc<Service>],
    ) -> Option<String> {
        if let Some(section) = self.holder(address, ports) {
            return Some(format!("`{section}`"));
        }
        let own = service.owner.service_port;
        // On the own port it is decided already who of two is served, by addresses that are known.
        let share = if *ports == (own..=own) {
            share_an_address
        } else {
            may_share_an_address
        };
        let mut others = listening
            .iter()
            .filter(|other| other.owner != service.owner);
        let victim = others.find(|other| {
            // Of two services on one port those are served that say other addresses.
            ports.contains(&other.owner.service_port) && share(address, other.bind_addr())
        });
        victim.map(|victim| format!("app `{}`", victim.owner.app))
    }
}

/// What is wrong with a place that is one too many of an owner's; `number` are those before.
fn too_many(place: &str, service: &Service, number: &mut u32) -> Option<(String, String)> {
    if !may_bind(service) {
        return None;
    }
    let (address, ports) = bound(place).filter(|(_, ports)| are_ports(ports))?;
    *number += ports.end() - ports.start() + 1;
    (MOST_PORTS < *number).then(|| {
        let found = format!("{} on `{address}`", in_words(&ports));
        (found, format!("{MOST_PORTS} ports at most"))
    })
}

/// Whether an owner has a part in where a service listens, beside its port and one address.
fn may_bind(service: &Service) -> bool {
    let mut overrides = service.options.overrides.keys();
    !is_one_place(service.bind_addr()) || overrides.any(|own| own.name().contains("FRONTEND"))
}

/// Whether HAProxy reads one place of this, and the service port behind it: no list, nor anything of which
/// a list or another word can come.
fn is_one_place(address: &str) -> bool {
    let parts = [',', '\\', '"', '\'', '#'];
    !address.contains(|c: char| parts.contains(&c) || c.is_whitespace())
}

/// The label that wrote a line, without what all have before its name.
fn label(service: &Service, line: &str) -> &'static str {
    let overrides = &service.options.overrides;
    let find = |is_it: &dyn Fn(&str) -> bool| {
        let mut texts = overrides.iter();
        let found = texts.find(|(_, text)| text.lines().any(is_it));
        found.map(|(template, _)| template.name())
    };
    let address = service.bind_addr();
    let by_address = !is_one_place(address) && line.contains(address);
    find(&|own| own.trim() == line.trim())
        .or(by_address.then_some("BIND_ADDR"))
        .or_else(|| find(&|own| list_of(own).is_some()))
        .or_else(|| {
            let head = Template::FrontendHead;
            overrides.contains_key(&head).then(|| head.name())
        })
        .unwrap_or("BIND_ADDR")
}

fn in_words(ports: &RangeInclusive<u32>) -> String {
    let (first, last) = (ports.start(), ports.end());
    if first == last {
        format!("port {first}")
    } else {
        format!("ports {first} to {last}")
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
    let list = list_of(line).unwrap_or_default();
    let place = |text| {
        let (address, ports) = bound(text)?;
        Some(Place {
            address: address.to_owned(),
            ports,
        })
    };
    list.split(',').filter_map(place).collect()
}

/// All places of a line, if it is one of `bind`.
fn list_of(line: &str) -> Option<String> {
    listen::bind(line).map(|(list, _)| list)
}

/// `*:80`, `[::]:80`, `:8000-8010`; a socket of another kind has no port.
fn bound(place: &str) -> Option<(&str, RangeInclusive<u32>)> {
    let (address, ports) = place.rsplit_once(':')?;
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let number = |digits: &str| {
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| is_number)
    };
    Some((address, number(first)?..=number(last)?))
}

/// Numbers of ports, which HAProxy reads as they are: of larger ones it takes what fits.
fn are_ports(ports: &RangeInclusive<u32>) -> bool {
    let (first, last) = (*ports.start(), *ports.end());
    0 < first && first <= last && last <= u16::MAX.into()
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
            ("*:80x", None),
            ("*:+80", None),
        ] {
            assert_eq!(bound(place), read, "{place}");
        }
    }
}
