//! From what the file says and what the process has to what is to be done.
//!
//! In come both, section by section; out go steps in their order, or why HAProxy has to read the file
//! anew. What the process has is looked at each time, and not what it was told before: so whatever
//! others did, or a kill kept from being done, is made up for too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use super::step::{Addition, Patience, Step, Target, Will};
use super::wanted::{Backend, Said, Server};
use crate::haproxy::Version;
use crate::haproxy::servers::{Dials, Op, ServerState};
use crate::proxy::native::is_slot;

/// More of them are told by a reload in less time.
const MOST_CHANGES: usize = 1000;

/// One section.
#[derive(Clone, Copy, Debug)]
pub struct Compared<'a> {
    /// As the file has it.
    pub wanted: &'a Backend,
    /// As the file had it that the process was last brought to, where that is known.
    pub before: Option<&'a Backend>,
    /// What the process has.
    pub present: &'a [ServerState],
}

/// Why HAProxy has to read the file anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A section, and the server where it is one.
    pub subject: String,
    /// What is in the way.
    pub why: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.why)
    }
}

/// What is to be done, in the order in which it costs nobody a request: who comes does so before
/// anybody goes. Who sends requests to others does so in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// Servers come, or serve again.
    pub coming: Vec<Step>,
    /// Servers rest, move and go.
    pub going: Vec<Step>,
}

#[derive(Debug, Default)]
struct Work {
    coming: Vec<Step>,
    /// They rest, and are to serve elsewhere.
    filling: Vec<Move>,
    /// They stay, and get no requests.
    resting: Vec<Step>,
    leaving: Vec<Target>,
    /// Those of them whose requests HAProxy cuts where they rest.
    cut: Vec<Target>,
    moving: Vec<Move>,
    /// They left before, and their connections had not ended.
    tombstones: Vec<Target>,
}

#[derive(Debug)]
struct Move {
    target: Target,
    to: (IpAddr, u16),
    /// Where it is checked from then on, if that may be elsewhere than before.
    check_port: Option<Step>,
    then: Vec<Step>,
}

/// What brings the process to what the file says.
///
/// # Errors
/// When something cannot be told, or not be told of.
pub fn converge(all: &[Compared<'_>], version: Version) -> Result<Steps, Refusal> {
    let mut work = Work::default();
    for section in all {
        section.compare(version, &mut work)?;
    }
    let moves = work.moving.len() + work.filling.len();
    let changes = work.leaving.len() + moves + work.coming.len();
    if changes > MOST_CHANGES {
        return Err(Refusal {
            subject: format!("{} sections", all.len()),
            why: format!("{changes} commands take longer than to read the file anew"),
        });
    }
    Ok(work.in_order())
}

impl Work {
    fn in_order(self) -> Steps {
        let mut steps = self.resting;
        let moving = self.moving.iter().map(|moving| moving.target.clone());
        let going: Vec<Target> = self.leaving.iter().cloned().chain(moving).collect();
        let elsewhere = refilled(&self.moving);
        let late: Vec<Target> = self.cut.into_iter().chain(elsewhere.clone()).collect();
        let told = |will| going.iter().map(move |own| Step::State(own.clone(), will));
        steps.extend(told(Will::Drain));
        steps.extend(idle(going.clone(), Patience::Brief));
        steps.extend(idle(late, Patience::Long));
        steps.extend(told(Will::Maint));
        steps.extend(idle(elsewhere, Patience::Long));
        steps.extend(moved(self.moving));
        let gone = self.leaving.into_iter().chain(self.tombstones);
        steps.extend(gone.map(Step::Delete));
        // Who left them in an earlier turn may still have requests there.
        let mut coming = Vec::from_iter(idle(refilled(&self.filling), Patience::Long));
        coming.extend(moved(self.filling));
        coming.extend(self.coming);
        Steps {
            coming,
            going: steps,
        }
    }
}

fn idle(targets: Vec<Target>, patience: Patience) -> Option<Step> {
    (!targets.is_empty()).then_some(Step::AwaitIdle(targets, patience))
}

/// Where somebody else serves afterwards: a connection that ends its request only then would be used
/// again, for the next one, and still lead to who was there before.
fn refilled(moves: &[Move]) -> Vec<Target> {
    let serving = moves.iter().filter(|moving| !moving.then.is_empty());
    serving.map(|moving| moving.target.clone()).collect()
}

/// All of them are told before the first is waited for.
fn moved(all: Vec<Move>) -> Vec<Step> {
    let (mut told, mut seen, mut then) = (Vec::new(), Vec::new(), Vec::new());
    for moving in all {
        let (target, (address, port)) = (moving.target, moving.to);
        told.push(Step::Address(target.clone(), address, port));
        told.extend(moving.check_port);
        seen.push(Step::AwaitAddress(target, address, port));
        then.extend(moving.then);
    }
    told.extend(seen);
    told.extend(then);
    told
}

impl Compared<'_> {
    fn compare(self, version: Version, work: &mut Work) -> Result<(), Refusal> {
        let mut present = BTreeMap::new();
        for state in self.present {
            present.insert(state.name.as_str(), state);
        }
        let may_wait = self.may_wait(&present);
        let mut names = BTreeSet::new();
        let wanted = self.wanted.servers.iter();
        let new = wanted.filter(|server| !present.contains_key(server.name.as_str()));
        let new = new.count();
        if let Some(why) = self.shut(version).filter(|_| new > 0) {
            return Err(self.lacks(new, &why));
        }
        for server in &self.wanted.servers {
            if !names.insert(server.name.as_str()) {
                return Err(self.refuse(server, "the file has two servers of this name"));
            }
            match present.get(server.name.as_str()) {
                Some(state) => self.keep(server, state, (may_wait, version), work)?,
                None => self.add(server, may_wait, version, work)?,
            }
        }
        for state in self.present {
            if !names.contains(state.name.as_str()) {
                self.remove(state, version, work)?;
            }
        }
        Ok(())
    }

    /// Whether who comes may wait until checks have succeeded: others must be there to serve
    /// meanwhile. Else it serves at once, as after a reload.
    fn may_wait(self, present: &BTreeMap<&str, &ServerState>) -> bool {
        let mut wanted = 0;
        let mut serving = 0;
        for server in &self.wanted.servers {
            if server.said.as_ref().is_ok_and(|said| said.is_disabled) {
                continue;
            }
            wanted += 1;
            let state = present.get(server.name.as_str());
            serving += usize::from(state.is_some_and(|state| {
                let moves = server.said.as_ref().is_ok_and(|said| moves(said, state));
                state.op == Op::Running
                    && !state.admin.is_in_maintenance()
                    && !state.admin.is_drained()
                    && !moves
            }));
        }
        serving > 0 && 2 * serving >= wanted
    }

    fn add(
        self,
        server: &Server,
        may_wait: bool,
        version: Version,
        work: &mut Work,
    ) -> Result<(), Refusal> {
        let target = self.target(&server.name)?;
        if self.wanted.has_defaults {
            return Err(self.refuse(server, "`default-server` does not reach one that is added"));
        }
        let said = self.said(server)?;
        let mut addition = Addition::new(said, version).map_err(|why| self.refuse(server, &why))?;
        let waits = said.is_checked && may_wait && !said.is_disabled;
        let is_down = waits && version.has_init_state();
        if is_down {
            addition = addition.down_at_first();
        }
        work.coming.push(Step::Add(target.clone(), addition));
        if said.is_checked {
            work.coming.push(Step::EnableHealth(target.clone()));
        }
        if is_down {
            work.coming.push(Step::State(target, Will::Ready));
        } else if !said.is_disabled {
            let raised = self.raise(&target, said, (may_wait, version));
            work.coming.extend(raised);
        }
        Ok(())
    }

    fn keep(
        self,
        server: &Server,
        state: &ServerState,
        (may_wait, version): (bool, Version),
        work: &mut Work,
    ) -> Result<(), Refusal> {
        let before = self.before.and_then(|before| {
            let mut servers = before.servers.iter();
            servers.find(|before| before.name == server.name)
        });
        if before.is_some_and(|before| before.fixed != server.fixed) {
            return Err(self.refuse(server, "more of its line changed than can be told"));
        }
        let Ok(said) = &server.said else {
            // As it was, as far as can be seen.
            return Ok(());
        };
        if said.id.is_some_and(|id| id != state.id) {
            return Err(self.refuse(server, &format!("its id is {}", state.id)));
        }
        let moves = moves(said, state);
        let is_checked = state.check.is_configured;
        let recheck = self.recheck(said, state, before, moves);
        let is_other = !self.wanted.has_defaults && is_checked != said.is_checked;
        if is_other || recheck == Recheck::Fixed {
            return Err(self.refuse(server, "it is checked in another way"));
        }
        // A name that cannot be told is no harm where there is nothing to be told.
        let target = || self.target(&server.name);
        // Who rests has no share.
        let weight = if state.weight != said.weight && !said.is_disabled {
            Some(Step::Weight(target()?, said.weight))
        } else {
            None
        };
        if !moves {
            work.coming.extend(weight.clone());
        }
        let lacks_check = said.is_checked && !state.check.is_enabled;
        if lacks_check {
            work.coming.push(Step::EnableHealth(target()?));
        }
        let rests = state.admin.is_in_maintenance();
        if moves {
            let target = target()?;
            let mut then = Vec::from_iter(weight);
            if !said.is_disabled {
                then.extend(self.raise(&target, said, (may_wait, version)));
            }
            let check_port = (recheck == Recheck::Told)
                .then(|| Step::CheckPort(target.clone(), said.check_port));
            // Who rests has nothing to end.
            let all = if rests {
                &mut work.filling
            } else {
                &mut work.moving
            };
            all.push(Move {
                target,
                to: (said.address, said.port),
                check_port,
                then,
            });
        } else if said.is_disabled {
            if !rests {
                work.resting.push(Step::State(target()?, Will::Maint));
            }
        } else if rests {
            let raised = self.raise(&target()?, said, (may_wait, version));
            work.coming.extend(raised);
        } else if state.admin.is_drained() {
            work.coming.push(Step::State(target()?, Will::Ready));
        } else if state.op == Op::Stopped
            && said.is_checked
            && !state.check.has_failed
            && !state.admin.is_bound()
            && !may_wait
        {
            // It waits for its checks, and those that served meanwhile are gone.
            work.coming.push(Step::HealthUp(target()?));
        }
        Ok(())
    }

    fn remove(self, state: &ServerState, version: Version, work: &mut Work) -> Result<(), Refusal> {
        let target = self.target(&state.name)?;
        if !version.adds_servers() {
            return Err(self.blocked(&adds_none(version)));
        }
        if state.admin.is_in_maintenance() {
            work.tombstones.push(target);
            return Ok(());
        }
        if let Some(why) = &self.wanted.barrier {
            return Err(self.blocked(why));
        }
        let cuts = |section: &Backend| section.cuts_sessions;
        if cuts(self.wanted) || self.before.is_some_and(cuts) {
            work.cut.push(target.clone());
        }
        work.leaving.push(target);
        Ok(())
    }

    /// Why no server can come.
    fn shut(self, version: Version) -> Option<String> {
        if !version.adds_servers() {
            return Some(adds_none(version));
        }
        if self.wanted.barrier.is_some() {
            return self.wanted.barrier.clone();
        }
        let lacks_cookie = self.wanted.has_dynamic_cookie && !version.adds_servers_with_cookies();
        (lacks_cookie && self.wanted.told_cookie_key().is_none()).then(|| {
            "a server that is added would have no dynamic cookie, and there is no \
             `dynamic-cookie-key` of plain words of which HAProxy could be told"
                .to_owned()
        })
    }

    /// The file has so many servers more, and none can come.
    fn lacks(self, new: usize, why: &str) -> Refusal {
        if !self
            .wanted
            .servers
            .iter()
            .any(|server| is_slot(&server.name))
        {
            return self.blocked(why);
        }
        let slots = if new == 1 { "slot" } else { "slots" };
        Refusal {
            subject: format!("backend `{}`", self.wanted.name),
            why: format!("needs {new} more {slots}, and {why}"),
        }
    }

    /// From maintenance to service, with a cookie: whoever added it may have been kept from giving it
    /// one.
    fn raise(
        self,
        target: &Target,
        said: &Said,
        (may_wait, version): (bool, Version),
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.wanted.has_dynamic_cookie
            && !version.adds_servers_with_cookies()
            && let Some(key) = self.wanted.told_cookie_key()
        {
            steps.push(Step::Cookies(target.clone(), key.to_owned()));
        }
        let ready = Step::State(target.clone(), Will::Ready);
        if !said.is_checked {
            steps.push(ready);
        } else if may_wait {
            // Who leaves maintenance is up, whatever it was before: so it does that drained.
            steps.push(Step::State(target.clone(), Will::Drain));
            steps.push(Step::HealthDown(target.clone()));
            steps.push(ready);
        } else {
            steps.push(ready);
            if version.has_init_state() {
                // One may have been added to be down at first.
                steps.push(Step::HealthUp(target.clone()));
            }
        }
        steps
    }

    fn recheck(
        self,
        said: &Said,
        state: &ServerState,
        before: Option<&Server>,
        moves: bool,
    ) -> Recheck {
        let before = before.and_then(|before| before.said.as_ref().ok());
        let is_as_before = before.is_none_or(|before| before.check_port == said.check_port);
        let is_same = match state.check.dials {
            // `default-server` may say where.
            _ if self.wanted.has_defaults || !state.check.is_configured => {
                return if is_as_before {
                    Recheck::AsBefore
                } else {
                    Recheck::Fixed
                };
            }
            Dials::Server => said.check_port.is_none(),
            Dials::Port(port) => said.check_port == Some(port),
            Dials::Untold if moves => false,
            // It is told with an address that is another than before.
            Dials::Untold => {
                let place = |said: &Said| (said.address, said.port);
                is_as_before || before.is_some_and(|before| place(before) != place(said))
            }
        };
        match (is_same, moves) {
            (true, _) => Recheck::AsBefore,
            (false, true) => Recheck::Told,
            (false, false) => Recheck::Fixed,
        }
    }

    fn said(self, server: &Server) -> Result<&Said, Refusal> {
        let said = server.said.as_ref();
        said.map_err(|word| self.refuse(server, &format!("{word} cannot be told")))
    }

    fn target(self, name: &str) -> Result<Target, Refusal> {
        Target::new(&self.wanted.name, name).ok_or_else(|| Refusal {
            subject: format!("`{}/{name}`", self.wanted.name),
            why: "the name is no plain word".to_owned(),
        })
    }

    fn blocked(self, why: &str) -> Refusal {
        Refusal {
            subject: format!("`{}`", self.wanted.name),
            why: why.to_owned(),
        }
    }

    fn refuse(self, server: &Server, why: &str) -> Refusal {
        Refusal {
            subject: format!("`{}/{}`", self.wanted.name, server.name),
            why: why.to_owned(),
        }
    }
}

fn adds_none(version: Version) -> String {
    format!("HAProxy {version} can neither add servers nor take them away")
}

/// What becomes of the port where a server is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recheck {
    AsBefore,
    /// HAProxy is told of it, with the address.
    Told,
    /// Who serves would be checked at the port of another.
    Fixed,
}

fn moves(said: &Said, state: &ServerState) -> bool {
    state.address != Some(said.address) || state.port != said.port
}

#[cfg(test)]
mod tests;
