//! A process of HAProxy: what it has read, what it is told on its socket, and what it answers, in the
//! words that 2.6.12 was heard to use. What no caller may ever do to it is noted.

mod answers;
mod told;

use std::collections::BTreeMap;
use std::time::Duration;

use haproxy_marathon_bridge::apply::FileSet;
use haproxy_marathon_bridge::apply::runtime::backends;
use haproxy_marathon_bridge::haproxy::Version;
use haproxy_marathon_bridge::haproxy::global::Global;
use tokio::time::Instant;

use self::answers::{connections, states};
use self::told::soon;
use crate::random::Random;

const MAINT: u32 = 1;
const WAS_DISABLED: u32 = 4;
const DRAIN: u32 = 8;

/// Bytes of a command with what it takes with it.
const BUFSIZE: usize = 16_384;

/// What becomes of a command.
pub(super) enum Answer {
    Says(String),
    HangsUp,
}

#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "HAProxy keeps each of them apart"
)]
pub(super) struct Server {
    pub(super) id: u32,
    pub(super) place: (String, u16),
    pub(super) weight: u16,
    admin: u32,
    is_up: bool,
    is_checked: bool,
    /// Its checks are done.
    checks: bool,
    /// A check has succeeded since it came, or nobody has to wait for one.
    is_proven: bool,
    /// It is down whenever it leaves maintenance.
    is_down_at_first: bool,
    /// When a check succeeds.
    up_at: Option<Instant>,
    /// When the last of its requests is answered.
    busy_until: Instant,
    /// Since 2.9 an address comes only after the answer.
    moves: Option<(Instant, (String, u16))>,
}

impl Server {
    pub(super) fn rests(&self) -> bool {
        self.admin & MAINT != 0
    }

    /// Whether it is to get requests.
    pub(super) fn is_ready(&self) -> bool {
        self.admin & (MAINT | DRAIN) == 0
    }

    pub(super) fn serves(&self) -> bool {
        self.is_ready() && self.is_up
    }

    fn leaves_maintenance(&mut self) {
        if self.rests() {
            self.is_up = !self.is_down_at_first;
        }
        self.admin &= !MAINT;
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Backend {
    pub(super) servers: BTreeMap<String, Server>,
    /// Servers can neither come nor go.
    is_fixed: bool,
    is_published: bool,
    /// As it was when a conversation began.
    at_first: AtFirst,
}

/// What a section had when a conversation began.
#[derive(Clone, Debug, Default)]
struct AtFirst {
    serving: BTreeMap<String, (String, u16)>,
    /// Who is to serve, by the file.
    wanted: BTreeMap<String, (String, u16)>,
}

/// One process.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    version: &'static str,
    branch: Version,
    description: Option<String>,
    /// Another has taken over.
    pub(super) is_stopping: bool,
    /// It was stopping before it was asked anything.
    was_stopping: bool,
    /// Its listeners were not taken away.
    pub(super) listens: bool,
    pub(super) backends: BTreeMap<String, Backend>,
    pub(super) maps: BTreeMap<String, String>,
    prepared: BTreeMap<(String, u32), String>,
    versions: u32,
}

impl Process {
    /// One that has read `files` now.
    pub(super) fn read(files: &FileSet, pid: u32, version: &'static str) -> Self {
        let mut all = BTreeMap::new();
        for (name, read) in backends(&files.cfg) {
            let mut backend = Backend {
                is_fixed: read.barrier.is_some(),
                is_published: true,
                ..Backend::default()
            };
            for server in read.servers {
                let said = server.said.expect("all that is written is understood");
                let own = Server {
                    id: said.id.expect("each has one"),
                    place: (said.address.to_string(), said.port),
                    weight: said.weight,
                    admin: if said.is_disabled {
                        MAINT | WAS_DISABLED
                    } else {
                        0
                    },
                    is_up: true,
                    is_checked: said.is_checked,
                    checks: said.is_checked,
                    is_proven: true,
                    is_down_at_first: false,
                    up_at: None,
                    busy_until: Instant::now(),
                    moves: None,
                };
                backend.servers.insert(server.name, own);
            }
            all.insert(name, backend);
        }
        let maps = files.maps.iter();
        Self {
            pid,
            version,
            branch: version.parse().expect("it is a version"),
            description: Global::read(&files.cfg).description,
            is_stopping: false,
            was_stopping: false,
            listens: true,
            backends: all,
            maps: maps
                .map(|(name, rows)| (format!("/simulated/haproxy/{name}"), rows.clone()))
                .collect(),
            prepared: BTreeMap::new(),
            versions: 0,
        }
    }

    /// Somebody begins to talk to it, and `cfg` lies on the disk.
    pub(super) fn is_called(&mut self, cfg: &str) {
        self.was_stopping = self.is_stopping;
        let mut wanted = backends(cfg);
        for (name, backend) in &mut self.backends {
            backend.at_first = AtFirst::default();
            for server in backend.servers.values_mut() {
                // Nobody can see whether it was drained by hand, or was about to be let in.
                server.is_proven |= server.admin & DRAIN != 0;
            }
            let serving = backend.servers.iter().filter(|(_, server)| server.serves());
            let serving = serving.map(|(name, server)| (name.clone(), server.place.clone()));
            backend.at_first.serving = serving.collect();
            for server in wanted.remove(name).into_iter().flat_map(|own| own.servers) {
                let said = server.said.expect("all that is written is understood");
                if !said.is_disabled {
                    let place = (said.address.to_string(), said.port);
                    backend.at_first.wanted.insert(server.name, place);
                }
            }
        }
    }

    /// Requests come to whoever serves, checks end, and what was told takes effect.
    pub(super) fn time_goes_on(&mut self, random: &mut Random) {
        let now = Instant::now();
        for backend in self.backends.values_mut() {
            for server in backend.servers.values_mut() {
                if server.moves.as_ref().is_some_and(|(at, _)| *at <= now) {
                    server.place = server.moves.take().expect("it is there").1;
                }
                if server.up_at.is_some_and(|at| at <= now) && !server.rests() {
                    server.up_at = None;
                    server.is_up = true;
                    server.is_proven = true;
                }
                if server.serves() && random.percent(20) {
                    let millis = random.pick(&[1, 20, 300, 900, 3_000, 60_000]);
                    let until = now + Duration::from_millis(millis);
                    server.busy_until = server.busy_until.max(until);
                }
            }
        }
    }

    /// Answers `command`, with what it takes with it; `Err` says what should never have been asked.
    pub(super) fn hear(
        &mut self,
        command: &str,
        payload: &str,
        random: &mut Random,
    ) -> Result<Answer, String> {
        if command.len() + payload.len() >= BUFSIZE {
            return Ok(Answer::HangsUp);
        }
        let words: Vec<&str> = command.split(' ').collect();
        let is_question = matches!(words[0], "show" | "prompt");
        if !is_question && self.was_stopping {
            return Err(format!("`{command}` to a process that was about to end"));
        }
        let said = self.obey(&words, payload, random)?;
        self.keeps_serving(command)?;
        Ok(Answer::Says(said))
    }

    fn obey(
        &mut self,
        words: &[&str],
        payload: &str,
        random: &mut Random,
    ) -> Result<String, String> {
        Ok(match words {
            ["prompt"] => String::new(),
            ["show", "info"] => self.info(),
            ["show", "servers", "state", only @ ..] => match self.named(only) {
                Some(all) => states(&all),
                None => "Can't find backend.\n".to_owned(),
            },
            ["show", "servers", "conn", only @ ..] => match self.named(only) {
                Some(all) => connections(&all),
                None => "Can't find backend.\n".to_owned(),
            },
            ["show", "backend"] => {
                let names = self.backends.keys();
                let names: String = names.map(|name| format!("{name}\n")).collect();
                format!("# name\n{names}")
            }
            ["add", "server", target, place, rest @ ..] => self.add_server(target, place, rest),
            ["del", "server", target] => return self.delete_server(target),
            ["enable", "health", target] => match self.server(target) {
                Err(said) => said,
                Ok(server) => {
                    server.checks = true;
                    if !server.is_up || !server.is_proven {
                        server.up_at = Some(soon(random));
                    }
                    String::new()
                }
            },
            ["set", "server", target, what @ ..] => return self.set_server(target, what, random),
            ["add", "backend", name, "from", profile] if self.adds_backends() => {
                if *profile != "p" || self.backends.contains_key(*name) {
                    return Ok("The backend name is already used.\n".to_owned());
                }
                self.backends.insert((*name).to_owned(), Backend::default());
                "New backend registered.\n".to_owned()
            }
            [will @ ("publish" | "unpublish"), "backend", name] if self.adds_backends() => {
                let Some(backend) = self.backends.get_mut(*name) else {
                    return Ok("No such backend.\n".to_owned());
                };
                backend.is_published = *will == "publish";
                if backend.is_published {
                    "Backend published.\n".to_owned()
                } else {
                    self.is_led_to(name)?;
                    "Backend unpublished.\n".to_owned()
                }
            }
            ["del", "backend", name] if self.adds_backends() => self.delete_backend(name),
            ["show", "map", path] => match self.maps.get(*path) {
                None => "Unknown map identifier. Please use #<id> or <file>.\n".to_owned(),
                Some(rows) => {
                    let rows = rows.lines();
                    rows.map(|row| format!("0x556c38b6baa0 {row}\n")).collect()
                }
            },
            ["prepare", "map", path] => {
                self.versions += 1;
                let version = ((*path).to_owned(), self.versions);
                self.prepared.insert(version, String::new());
                format!("New version created: {}\n", self.versions)
            }
            ["add", "map", version, path] => match self.prepared(version, path) {
                None => "Version number in the future, please use 'prepare map' before.\n".into(),
                Some(rows) => {
                    rows.push_str(payload);
                    String::new()
                }
            },
            ["commit", "map", version, path] => {
                let rows = self.prepared(version, path).cloned();
                let rows = rows.ok_or("a map is committed that nobody prepared")?;
                self.lead(&rows)?;
                self.maps.insert((*path).to_owned(), rows);
                String::new()
            }
            _ => "Unknown command, but maybe one of the following ones is a better match:\n".into(),
        })
    }

    fn adds_backends(&self) -> bool {
        Version::new(3, 4) <= self.branch
    }

    fn info(&self) -> String {
        format!(
            "Name: HAProxy\nVersion: {}\nPid: {}\nUptime_sec: 7\ndescription: {}\nStopping: {}\n",
            self.version,
            self.pid,
            self.description.as_deref().unwrap_or_default(),
            u8::from(self.is_stopping)
        )
    }

    fn named(&self, only: &[&str]) -> Option<Vec<(&String, &Backend)>> {
        let all = self.backends.iter();
        let all: Vec<_> = all
            .filter(|(name, _)| only.is_empty() || only == [name.as_str()])
            .collect();
        (only.is_empty() || !all.is_empty()).then_some(all)
    }

    fn server(&mut self, target: &str) -> Result<&mut Server, String> {
        let (backend, name) = target.split_once('/').unwrap_or_default();
        let backend = self.backends.get_mut(backend);
        let backend = backend.ok_or_else(|| "No such backend.\n".to_owned())?;
        let server = backend.servers.get_mut(name);
        server.ok_or_else(|| "No such server.\n".to_owned())
    }

    /// Whoever was served still is, if anybody is to.
    fn keeps_serving(&self, command: &str) -> Result<(), String> {
        for (name, backend) in &self.backends {
            let AtFirst { serving, wanted } = &backend.at_first;
            let is_owed = !backend.is_fixed && !serving.is_empty() && !wanted.is_empty();
            if is_owed && !backend.servers.values().any(Server::serves) {
                return Err(format!("nobody serves in {name} after `{command}`"));
            }
        }
        Ok(())
    }

    fn delete_backend(&mut self, name: &str) -> String {
        let Some(backend) = self.backends.get(name) else {
            return "No such backend.\n".to_owned();
        };
        if backend.is_published {
            return "Backend must be unpublished first.\n".to_owned();
        }
        if !backend.servers.is_empty() {
            return "Backend still has servers.\n".to_owned();
        }
        self.backends.remove(name);
        "Backend deleted.\n".to_owned()
    }

    fn prepared(&mut self, version: &str, path: &str) -> Option<&mut String> {
        let version = version.strip_prefix('@')?.parse().ok()?;
        self.prepared.get_mut(&(path.to_owned(), version))
    }

    /// Every row of a map leads somewhere.
    fn lead(&self, rows: &str) -> Result<(), String> {
        for row in rows.lines() {
            let name = row.split(' ').nth(1).unwrap_or_default();
            if !self.backends.get(name).is_some_and(|b| b.is_published) {
                return Err(format!("`{row}` leads to no backend"));
            }
        }
        Ok(())
    }

    fn is_led_to(&self, name: &str) -> Result<(), String> {
        let rows = self.maps.values().flat_map(|rows| rows.lines());
        let mut names = rows.filter_map(|row| row.split(' ').nth(1));
        if names.any(|own| own == name) {
            return Err(format!("{name} goes, and a map still leads there"));
        }
        Ok(())
    }

    /// Somebody else changes something.
    pub(super) fn is_meddled_with(&mut self, random: &mut Random) {
        for backend in self.backends.values_mut() {
            if let Some(server) = backend.servers.values_mut().next() {
                match random.below(4) {
                    0 => server.admin |= MAINT,
                    1 => server.admin |= DRAIN,
                    2 => server.weight = 77,
                    _ => (),
                }
            }
        }
    }
}
