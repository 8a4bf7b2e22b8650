//! Servers that come, go and change, as a process is told.

use std::time::Duration;

use haproxy_marathon_bridge::haproxy::Version;
use tokio::time::Instant;

use super::{AtFirst, DRAIN, MAINT, Process, Server};
use crate::random::Random;

impl Process {
    pub(super) fn add_server(&mut self, target: &str, place: &str, rest: &[&str]) -> String {
        let (backend, name) = target.split_once('/').unwrap_or_default();
        let Some(backend) = self.backends.get_mut(backend) else {
            return "No such backend.\n".to_owned();
        };
        if backend.is_fixed {
            return "Backend must use a dynamic load balancing to support dynamic servers.\n"
                .into();
        }
        if backend.servers.contains_key(name) {
            return "Already exists a server with the same name in backend.\n".to_owned();
        }
        let number = |word: &str| {
            let place = rest.iter().position(|own| *own == word)?;
            rest.get(place + 1)?.parse::<u32>().ok()
        };
        let Some(id) = number("id") else {
            return "it has no id, and would get nothing\n".to_owned();
        };
        if let Some((other, _)) = backend.servers.iter().find(|(_, own)| own.id == id) {
            return format!("'id' : custom id {id} already used at h.cfg:14 ('server {other}').\n");
        }
        let is_checked = rest.contains(&"check");
        let weight = number("weight").unwrap_or(1);
        let (address, port) = place.rsplit_once(':').unwrap_or_default();
        let server = Server {
            id,
            place: (address.to_owned(), port.parse().unwrap_or_default()),
            weight: u16::try_from(weight).unwrap_or(u16::MAX),
            admin: MAINT,
            is_up: false,
            is_checked,
            checks: false,
            is_proven: !is_checked,
            is_down_at_first: rest.contains(&"init-state"),
            up_at: None,
            busy_until: Instant::now(),
            moves: None,
        };
        backend.servers.insert(name.to_owned(), server);
        "New server registered.\n".to_owned()
    }

    pub(super) fn delete_server(&mut self, target: &str) -> Result<String, String> {
        let server = match self.server(target) {
            Ok(server) => server,
            Err(said) => return Ok(said),
        };
        if !server.rests() {
            return Err(format!("{target} was to be deleted while it got requests"));
        }
        if Instant::now() < server.busy_until {
            return Ok("Server still has connections attached to it, cannot remove it.\n".into());
        }
        let (backend, name) = target.split_once('/').unwrap_or_default();
        let backend = self.backends.get_mut(backend).expect("it was found");
        backend.servers.remove(name);
        Ok("Server deleted.\n".to_owned())
    }

    pub(super) fn set_server(
        &mut self,
        target: &str,
        what: &[&str],
        random: &mut Random,
    ) -> Result<String, String> {
        let is_late = Version::new(2, 9) <= self.branch;
        let server = match self.server(target) {
            Ok(server) => server,
            // As it ends here, and not for `del server`.
            Err(said) => return Ok(format!("{said}\n")),
        };
        match what {
            ["state", "ready"] => {
                if server.moves.is_some() {
                    return Err(format!("{target} is ready before it has its address"));
                }
                server.leaves_maintenance();
                server.admin &= !DRAIN;
                if !server.is_up && server.checks {
                    server.up_at.get_or_insert(soon(random));
                }
                return self.is_tried(target).map(|()| String::new());
            }
            ["state", "drain"] => {
                server.leaves_maintenance();
                server.admin |= DRAIN;
            }
            ["state", "maint"] => server.admin = server.admin & !DRAIN | MAINT,
            ["health", "down"] => {
                server.is_up = false;
                server.up_at = server.checks.then(|| soon(random));
            }
            ["health", "up"] => {
                server.is_up = true;
                server.is_proven = true;
                server.up_at = None;
            }
            ["weight", weight] => match weight.parse() {
                Ok(weight @ 0..=256) => server.weight = weight,
                _ => {
                    return Ok("Absolute weight can only be between 0 and 256 inclusive.\n".into());
                }
            },
            ["check-port", _] => (),
            ["addr", address, "port", port] => {
                if !server.rests() {
                    return Err(format!(
                        "{target} got another address while it got requests"
                    ));
                }
                let (before, port_before) = server.place.clone();
                let changed = |what: &str, from: &str, to: &str| {
                    if from == to {
                        return format!("no need to change the {}", what.to_lowercase());
                    }
                    let what = if what == "addr" { "IP" } else { what };
                    format!("{what} changed from '{from}' to '{to}'")
                };
                let address_ = changed("addr", &before, address);
                let port_ = changed("port", &port_before.to_string(), port);
                let place = ((*address).to_owned(), port.parse().unwrap_or_default());
                server.is_proven = !server.is_checked;
                if is_late {
                    let at = Instant::now() + Duration::from_millis(random.pick(&[0, 1, 30]));
                    server.moves = Some((at, place));
                } else {
                    server.place = place;
                }
                return Ok(format!("{address_}, {port_} by 'stats socket command'\n"));
            }
            _ => return Ok("Require 'state', 'weight' or 'addr'.\n".to_owned()),
        }
        Ok(String::new())
    }

    /// Whoever is checked gets no request before a check has succeeded, as long as enough others serve.
    fn is_tried(&mut self, target: &str) -> Result<(), String> {
        let server = self.server(target).expect("it was found").clone();
        if server.is_proven || !server.serves() {
            return Ok(());
        }
        let (backend, name) = target.split_once('/').unwrap_or_default();
        let AtFirst { serving, wanted } = &self.backends[backend].at_first;
        let stay = |(own, place): &(&String, &(String, u16))| {
            own.as_str() != name && wanted.get(*own) == Some(*place)
        };
        let stay = serving.iter().filter(stay).count();
        if stay > 0 && 2 * stay >= wanted.len() {
            return Err(format!(
                "{target} gets requests before a check has succeeded, and {stay} of {} serve",
                wanted.len()
            ));
        }
        self.server(target).expect("it was found").is_proven = true;
        Ok(())
    }
}

pub(super) fn soon(random: &mut Random) -> Instant {
    Instant::now() + Duration::from_millis(random.pick(&[1, 200, 2_000, 10_000]))
}
