//! Ports that the file itself listens on, whatever apps there are. HAProxy accepts a service port
//! of the same number and gives connections to either at random: such an app took the statistics
//! and the hosts of all others from marathon-lb.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::cluster::Warning;
use crate::proxy::marathon_lb::{Service, share_an_address};
use crate::render::Chunk;

/// By the first port of each range: where it is bound, and by which section.
#[derive(Debug, Default)]
pub(super) struct Reserved<'a>(BTreeMap<u32, Vec<Bound<'a>>>);

#[derive(Debug)]
struct Bound<'a> {
    address: &'a str,
    last: u32,
    section: &'a str,
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
            let mut words = line.split_ascii_whitespace();
            if words.next() != Some("bind") {
                continue;
            }
            for place in words.next().unwrap_or_default().split(',') {
                if let Some((address, ports)) = bound(place) {
                    let all = reserved.0.entry(*ports.start()).or_default();
                    all.push(Bound {
                        address,
                        last: *ports.end(),
                        section,
                    });
                }
            }
        }
        reserved
    }

    /// What is wrong with a service that claims such a port.
    pub(super) fn clash(&self, service: &Service) -> Option<Warning> {
        let port = service.owner.service_port;
        let all = self.0.range(..=port).flat_map(|(_, bounds)| bounds);
        let bound = all
            .filter(|bound| port <= bound.last)
            .find(|bound| share_an_address(bound.address, service.bind_addr()))?;
        Some(Warning {
            app: Some(service.owner.app.clone()),
            subject: format!("service port {port}"),
            found: format!("port {port} is held by `{}`", bound.section),
            expected: "a port of its own".to_owned(),
            effect: "service port left out".to_owned(),
        })
    }
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
