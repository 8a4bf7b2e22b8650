//! The conversation: who answers, what it has, what it is told, and what it has then.
//!
//! In come the texts of the files and the process that was proved to serve; out goes what was done. All
//! of it takes one connection, since two can be answered by different processes while one takes over
//! from the other. Whatever is not answered as expected ends it, and is for a reload to make good.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::backends::Backends;
use super::certificates::{self, Renewed};
use super::converge::{Compared, Refusal, Steps, converge};
use super::fallback::Fallback;
use super::maps::{self, MapText};
use super::step::{Patience, Reply, Step, Target, Will};
use super::told::Told;
use super::wanted::{Backend, backends};
use crate::haproxy::global::Global;
use crate::haproxy::master::show_proc;
use crate::haproxy::servers::{ServerState, states, used_connections};
use crate::haproxy::{AskError, Info, Session, Version, structure_hash};

/// `show servers conn`, and addresses with ports.
const FIRST: Version = Version::new(2, 2);

/// Bytes that a command may take with it: with the command they have to fit into a buffer.
const ROOM: usize = 14_000;

/// Bytes of a buffer that are left for the command itself, with a path.
const BESIDE: usize = 2_384;

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For one answer.
    pub command: Duration,
    /// For requests under way on servers that go: what takes longer is answered all the same, and the
    /// server is taken away later. All else that changes waits as long.
    pub idle: Duration,
    /// For those that would be cut, and on servers that are to serve elsewhere, twice.
    pub moves: Duration,
    /// For everything.
    pub whole: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(2),
            idle: Duration::from_millis(50),
            moves: Duration::from_secs(1),
            whole: Duration::from_secs(20),
        }
    }
}

/// The process that was proved to serve.
#[derive(Clone, Copy, Debug)]
pub struct Serving<'a> {
    /// Its stats socket.
    pub socket: &'a Path,
    /// Its process id, as it sees it.
    pub pid: u32,
    /// Where its master answers, if it has one.
    pub master: Option<&'a Path>,
    /// How long things may take.
    pub limits: Limits,
}

/// What it is to run.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// The installed `haproxy.cfg`; with a [`Frame`](super::Frame), the sections that are looked at will
    /// do.
    pub cfg: &'a str,
    /// The hash of the structure of the whole, where `cfg` is only a part of it.
    pub structure: Option<&'a str>,
    /// The one that it was brought to last, where that is known.
    pub before: Option<&'a str>,
    /// The sections that are looked at; `None` for all.
    pub sections: Option<&'a BTreeSet<String>>,
    /// The maps that are looked at; with them, `cfg` is the whole file.
    pub maps: &'a [MapText<'a>],
    /// The certificates that it is to show.
    pub certificates: &'a [Renewed],
}

impl Text<'_> {
    /// The first version that can be told of all this.
    fn first(&self) -> Version {
        if self.maps.iter().any(|map| map.has_changed) {
            maps::FIRST
        } else if self.sections.is_none_or(|sections| !sections.is_empty()) {
            FIRST
        } else {
            certificates::FIRST
        }
    }

    /// How many bytes a command may take with it, to be far from the limit.
    fn room(&self) -> usize {
        let bufsize = Global::read(self.cfg).bufsize;
        bufsize.map_or(ROOM, |bufsize| ROOM.min(bufsize.saturating_sub(BESIDE)))
    }
}

/// The hash of the structure of `cfg`, where it carries that itself: so HAProxy tells what it runs.
#[must_use]
pub fn mark_of(cfg: &str) -> Option<String> {
    let structure = structure_hash(cfg);
    let carried = Global::read(cfg).description;
    (carried.as_ref() == Some(&structure)).then_some(structure)
}

/// Tells the process that serves what its servers, maps and certificates are.
///
/// # Errors
/// When it cannot be told, or what became of it is not known: HAProxy has to read the file, which is
/// the whole truth.
pub async fn tell(serving: Serving<'_>, text: Text<'_>) -> Result<Told, Fallback> {
    let opened = Session::open(serving.socket, serving.limits.command);
    tell_over(opened, serving, text).await
}

/// The same over a connection that `opened` gives.
///
/// # Errors
/// As [`tell`].
pub async fn tell_over(
    opened: impl Future<Output = Result<Session, AskError>>,
    serving: Serving<'_>,
    text: Text<'_>,
) -> Result<Told, Fallback> {
    let limit = serving.limits.whole;
    let told = timeout(limit, conversation(opened, serving, text)).await;
    told.unwrap_or(Err(Fallback::TookTooLong { limit }))
}

async fn conversation(
    opened: impl Future<Output = Result<Session, AskError>>,
    serving: Serving<'_>,
    text: Text<'_>,
) -> Result<Told, Fallback> {
    let structure = match text.structure {
        Some(structure) => structure.to_owned(),
        None => mark_of(text.cfg).ok_or(Fallback::Unmarked)?,
    };
    let wanted = backends(text.cfg);
    let before = text.before.map(backends).unwrap_or_default();
    let session = opened.await?;
    let mut talk = Talk {
        session,
        serving,
        structure,
        told: Told::default(),
        patience: None,
    };
    let info = talk.guard().await?;
    if let Some(master) = serving.master {
        is_worker(master, info.pid, serving.limits.command).await?;
    }
    let expected = text.first();
    let version = info.branch().filter(|version| *version >= expected);
    let version = version.ok_or(Fallback::TooOld {
        version: info.version,
        expected,
    })?;
    let room = text.room();
    let renewed = certificates::bring(&mut talk.session, text.certificates, room);
    talk.told.certificates = renewed.await?;
    let backends = Backends::compare(&mut talk.session, &text).await?;
    backends.add(&mut talk.session, version).await?;
    let mut wanted = backends.and_going(wanted);
    let steps = talk.compare(&wanted, &before, text.sections, version);
    let Steps { coming, going } = steps.await?;
    for step in &coming {
        talk.take(step).await?;
    }
    talk.told.backends = backends.publish(&mut talk.session).await?;
    // A version that cannot be told of them can still be told of servers.
    let maps = if version < maps::FIRST {
        &[]
    } else {
        text.maps
    };
    let maps = maps::bring(&mut talk.session, maps, text.cfg, room);
    talk.told.maps = maps.await?;
    backends.unpublish(&mut talk.session).await?;
    for step in &going {
        talk.take(step).await?;
    }
    let (deleted, left) = backends.delete(&mut talk.session, serving.limits).await?;
    talk.told.left_backends = left;
    for name in deleted {
        wanted.remove(&name);
        talk.told.backends.push(name);
    }
    // What it has now counts, not what it answered.
    let left = talk.compare(&wanted, &before, text.sections, version);
    let Steps { coming, going } = left.await.map_err(Fallback::after)?;
    let mut left = coming.iter().chain(&going);
    let left = left.find(|step| !is_for_later(step));
    if let Some(step) = left {
        return Err(Fallback::NotReached { step: step.shown() });
    }
    talk.guard().await?;
    Ok(talk.told)
}

/// A server without a request can still be waited for, and a check succeed or fail meanwhile.
fn is_for_later(step: &Step) -> bool {
    matches!(step, Step::Delete(_) | Step::HealthUp(_))
}

/// The master must have the process among those that serve.
async fn is_worker(master: &Path, pid: u32, limit: Duration) -> Result<(), Fallback> {
    let processes = show_proc(master, limit).await?;
    let workers: Vec<u32> = processes.workers.iter().map(|worker| worker.pid).collect();
    if workers.contains(&pid) {
        return Ok(());
    }
    Err(Fallback::NoWorker { pid, workers })
}

struct Talk<'a> {
    session: Session,
    serving: Serving<'a>,
    structure: String,
    told: Told,
    /// How long servers that are still in use are waited for.
    patience: Option<Instant>,
}

impl Talk<'_> {
    /// Whether the right process answers, and goes on to serve.
    async fn guard(&mut self) -> Result<Info, Fallback> {
        let reply = self.session.ask("show info").await?;
        let Some(info) = Info::parse(&reply) else {
            return Err(self.session.unexpected("show info", &reply).into());
        };
        let (pid, expected) = (info.pid, self.serving.pid);
        if pid != expected {
            return Err(Fallback::OtherProcess {
                found: pid,
                expected,
            });
        }
        if info.stopping {
            return Err(Fallback::Ends { pid });
        }
        if info.description.as_ref() != Some(&self.structure) {
            return Err(Fallback::OtherStructure {
                found: info.description,
                expected: self.structure.clone(),
            });
        }
        Ok(info)
    }

    async fn compare(
        &mut self,
        wanted: &BTreeMap<String, Backend>,
        before: &BTreeMap<String, Backend>,
        sections: Option<&BTreeSet<String>>,
        version: Version,
    ) -> Result<Steps, Fallback> {
        let mut present: BTreeMap<String, Vec<ServerState>> = BTreeMap::new();
        match sections {
            None => {
                for state in states(&self.session.ask("show servers state").await?)? {
                    let section = present.entry(state.backend.clone()).or_default();
                    section.push(state);
                }
            }
            Some(sections) => {
                for section in sections.iter().filter(|name| wanted.contains_key(*name)) {
                    present.insert(section.clone(), self.states_of(section).await?);
                }
            }
        }
        let is_meant = |name: &String| sections.is_none_or(|sections| sections.contains(name));
        let meant = wanted.iter().filter(|(name, _)| is_meant(name));
        let compared: Vec<Compared<'_>> = meant
            .map(|(name, wanted)| Compared {
                wanted,
                before: before.get(name),
                present: present.get(name).map_or(&[], Vec::as_slice),
            })
            .collect();
        Ok(converge(&compared, version)?)
    }

    async fn states_of(&mut self, section: &str) -> Result<Vec<ServerState>, Fallback> {
        // One whose name is no plain word has no server that could be told of.
        let Some(target) = Target::new(section, "x") else {
            return Err(Fallback::Refused(Refusal {
                subject: format!("`{}`", section.escape_debug()),
                why: "the name is no plain word".to_owned(),
            }));
        };
        let command = format!("show servers state {}", target.backend());
        let all = states(&self.session.ask(&command).await?)?;
        Ok(all)
    }

    async fn take(&mut self, step: &Step) -> Result<(), Fallback> {
        let Some(command) = step.command() else {
            return match step {
                Step::AwaitIdle(targets, patience) => self.await_idle(targets, *patience).await,
                Step::AwaitAddress(target, address, port) => {
                    self.await_address(target, (*address, *port)).await
                }
                _ => Ok(()),
            };
        };
        let shown = step.shown();
        let mut reply = self.session.ask_as(&shown, &command).await?;
        let mut judged = step.judge(&reply);
        let mut pauses = Pauses::default();
        while judged == Reply::Busy && self.may_wait_for(step) {
            pauses.next().await;
            reply = self.session.ask_as(&shown, &command).await?;
            judged = step.judge(&reply);
        }
        debug!("`{shown}`: {judged:?}");
        match (judged, step) {
            (Reply::Done, Step::Add(target, _)) => self.told.added.push(target.clone()),
            (Reply::Done, Step::Delete(target)) => {
                // Who was drained only now.
                if self.told.changed.remove(target) {
                    self.told.removed.push(target.clone());
                } else {
                    self.told.ended.push(target.clone());
                }
            }
            (Reply::Busy, Step::Delete(target)) => self.told.tombstones.push(target.clone()),
            // They are those of whoever came.
            (Reply::Done, Step::Cookies(..)) => (),
            (
                Reply::Done,
                Step::EnableHealth(target)
                | Step::State(target, Will::Ready | Will::Maint | Will::Drain)
                | Step::HealthDown(target)
                | Step::HealthUp(target)
                | Step::Weight(target, _)
                | Step::CheckPort(target, _)
                | Step::Address(target, ..),
            ) => {
                if !self.told.added.contains(target) {
                    self.told.changed.insert(target.clone());
                }
            }
            _ => {
                let command = step.shown();
                return Err(Fallback::Surprise { command, reply });
            }
        }
        Ok(())
    }

    /// A connection that serves no request can keep a server for some milliseconds more; all together
    /// are given as long as one. Who was left earlier is not waited for.
    fn may_wait_for(&mut self, step: &Step) -> bool {
        let Step::Delete(target) = step else {
            return false;
        };
        let limit = self.serving.limits.idle;
        let until = *self.patience.get_or_insert_with(|| Instant::now() + limit);
        self.told.changed.contains(target) && Instant::now() < until
    }

    /// Until no request is under way on any of them, or the time is over.
    async fn await_idle(&mut self, targets: &[Target], patience: Patience) -> Result<(), Fallback> {
        let Limits { idle, moves, .. } = self.serving.limits;
        let deadline = Instant::now()
            + match patience {
                Patience::Brief => idle,
                Patience::Long => moves,
            };
        let sections: BTreeSet<&str> = targets.iter().map(Target::backend).collect();
        let mut pauses = Pauses::default();
        loop {
            let mut used = BTreeMap::new();
            for section in &sections {
                let command = format!("show servers conn {section}");
                used.extend(used_connections(&self.session.ask(&command).await?)?);
            }
            let is_idle = |target: &Target| {
                let key = (target.backend().to_owned(), target.name().to_owned());
                used.get(&key) == Some(&0)
            };
            if targets.iter().all(is_idle) || Instant::now() >= deadline {
                return Ok(());
            }
            pauses.next().await;
        }
    }

    async fn await_address(
        &mut self,
        target: &Target,
        place: (std::net::IpAddr, u16),
    ) -> Result<(), Fallback> {
        let deadline = Instant::now() + self.serving.limits.command;
        let mut pauses = Pauses::default();
        loop {
            let states = self.states_of(target.backend()).await?;
            let state = states.iter().find(|state| state.name == target.name());
            if state.is_some_and(|s| s.address == Some(place.0) && s.port == place.1) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Fallback::NotReached {
                    step: format!("the address of {target}"),
                });
            }
            pauses.next().await;
        }
    }
}

/// Between two looks, growing: most requests take milliseconds.
pub(super) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(Duration::from_millis(2))
    }
}

impl Pauses {
    pub(super) async fn next(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(Duration::from_millis(100));
    }
}
