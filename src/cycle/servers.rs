//! A turn for servers alone: what is built, written and installed is as much as changed.
//!
//! Tasks come and go far more often than anything else changes. What the turn before put in service
//! is kept for that, and a service gets other servers in it. Whatever could mean more is a doubt, and
//! a doubt is for a whole turn.

mod anew;
mod bring;
mod in_service;
mod meanwhile;
mod merged;

use std::sync::Arc;

use anyhow::Result;
use tracing::debug;

pub use self::in_service::InService;
use self::in_service::{Put, Resupply, Supplied};
use super::fallback::Fallback;
use super::readiness::may_wait;
use super::source::{Changes, Source};
use super::{Recipe, Report, Stages};
use crate::apply::runtime::Frame;
use crate::apply::{Balancer, FileSet, Host, Outcome};
use crate::diff::{self, Change, ServerChange};
use crate::proxy::marathon_lb::{Flavour, Service};
use crate::proxy::native::{in_slots, slots_of};
use crate::resolve::Lookup;
use crate::state::{GuardMemory, State, Time};

/// Many turns for one server each are not to take away what one turn may not.
const MOST_GONE: &str = "most servers would be gone since the last whole turn";

/// Why a whole turn has to be taken.
pub(super) struct Doubt(pub(super) &'static str);

impl<S: Source, L: Lookup> Stages<S, L> {
    /// From now on, what a plan came to is in service, and serves to answer changes of servers alone.
    ///
    /// # Errors
    /// When an installed file cannot be read.
    pub fn stand_on<B: Balancer>(&mut self, host: &Host<'_, B>, report: Report) -> Result<()> {
        // What had to wait has left it what it is.
        if report.as_before || report.outcome.has_to_wait() {
            return Ok(());
        }
        self.in_service = None;
        let is_told = host.balancer.is_told_of_servers();
        // Nothing stands on it there: why read the files again, and keep all of the plan?
        if host.balancer.is_asked() && !is_told {
            return Ok(());
        }
        let Report { plan, outcome, .. } = report;
        let is_in_place = outcome.is_in_place();
        // Who is let in by the time alone is so by a whole turn.
        let is_whole =
            is_in_place && plan.held.is_none() && !plan.keeps_all && plan.waiting().until.is_none();
        if is_whole
            && self.recipe.is_labelled()
            && let Some(stamp) = host.stamp_of(&plan.files)?
        {
            let frame = if is_told {
                Frame::of(&plan.files.cfg)
            } else {
                None
            };
            if frame.is_some() == is_told {
                self.in_service = Some(InService::of(plan, stamp, frame));
            }
        }
        Ok(())
    }

    /// What stands in the place of a turn where nothing but servers changed: the file is installed
    /// with them, a HAProxy that can be told of them is, and the file is yet to be proved. `None` where
    /// a whole turn has to be taken.
    ///
    /// # Errors
    /// When the disk fails; the file is then the one that it was.
    pub async fn servers_alone<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        memory: &mut State,
        now: Time,
    ) -> Result<Option<Report>> {
        let listener = host.listener(memory);
        // Who has to have HAProxy read the file checks it first.
        if host.balancer.is_asked() && listener.is_none() {
            return Ok(None);
        }
        let is_open = memory.paused.is_some()
            || memory.pending.is_some()
            || memory.applied.is_none()
            || memory.guard != GuardMemory::default();
        let in_service = self.in_service.as_ref();
        if is_open || !in_service.is_some_and(|known| known.serves(listener)) {
            return Ok(None);
        }
        let Some(changes) = self.source.changes().await else {
            return Ok(None);
        };
        // Whatever becomes of this: only what is put back below is known to be in service.
        let Some(mut in_service) = self.in_service.take() else {
            return Ok(None);
        };
        let supplied = match self.resupply(&mut in_service, &changes, memory, now) {
            Ok(supplied) => supplied,
            Err(Doubt(why)) => {
                debug!("a whole turn is taken: {why}");
                if why == MOST_GONE {
                    // What apps say one by one is no answer that the guard can count.
                    self.source.ask_for_all();
                }
                self.in_service = Some(in_service);
                return Ok(None);
            }
        };
        let from = changes.from.clone();
        memory.last_good_marathon = Some(from.clone());
        if supplied.change.is_empty() && host.is_still(in_service.stamp)? {
            in_service.heed(&changes, memory);
            self.in_service = Some(in_service);
            memory.as_of = Some(now);
            let how = String::new();
            return Ok(Some(Report::of_servers(from, supplied.change, how)));
        }
        // The answer that was recognised is not that of these servers.
        memory.seen = None;
        let change = supplied.change.clone();
        let put = in_service.put(host, supplied, listener, memory).await?;
        if let Put::Done(_) = put {
            in_service.heed(&changes, memory);
        }
        self.in_service = Some(in_service);
        let Put::Done(how) = put else {
            debug!("a whole turn is taken: it checks the file, and has HAProxy read it");
            return Ok(None);
        };
        memory.as_of = Some(now);
        Ok(Some(Report::of_servers(from, change, how)))
    }

    /// What was installed and is yet to be proved, if anything.
    #[must_use]
    pub fn unproved(&self) -> Option<&FileSet> {
        let in_service = self.in_service.as_ref()?;
        (!in_service.is_proved && !in_service.waits).then_some(&in_service.files)
    }

    /// Whether what was installed is for a whole turn to prove, which may be long in coming.
    #[must_use]
    pub fn leaves_proof(&self) -> bool {
        self.in_service.as_ref().is_some_and(|known| known.waits)
    }

    /// `haproxy -c` has accepted `files`. Whether these are still what is in service.
    pub fn proved<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        files: &FileSet,
        memory: &mut State,
        now: Time,
    ) -> bool {
        let in_service = self.in_service.as_mut();
        let Some(in_service) = in_service.filter(|i| i.files == *files) else {
            return false;
        };
        in_service.is_proved = true;
        host.proved_servers(files, memory, now);
        true
    }

    /// Gives the services concerned other servers, as far as nothing but these changed.
    fn resupply(
        &mut self,
        in_service: &mut InService,
        changes: &Changes,
        memory: &State,
        now: Time,
    ) -> Result<Supplied, Doubt> {
        let all = self.resupplied(in_service, changes, memory, now)?;
        let back: Vec<Resupply> = all.iter().map(Resupply::back).collect();
        in_service.losses.count(&all);
        let mut supplied = Supplied::default();
        let done = if in_service.losses.are_most() {
            Err(Doubt(MOST_GONE))
        } else {
            let mut all = all.into_iter();
            all.try_for_each(|resupply| self.replace(in_service, resupply, &mut supplied))
        };
        if let Err(doubt) = done {
            in_service.take_back(&supplied);
            in_service.losses.count(&back);
            return Err(doubt);
        }
        Ok(supplied)
    }

    fn resupplied(
        &mut self,
        in_service: &InService,
        changes: &Changes,
        memory: &State,
        now: Time,
    ) -> Result<Vec<Resupply>, Doubt> {
        if !changes.warnings.is_empty() {
            return Err(Doubt("something of the app cannot be read"));
        }
        let mut fallback = Fallback::new(None, &memory.quarantined, self.decisions, now);
        let resolver = self.resolver.as_ref();
        let Recipe::Labelled(labelled) = &mut self.recipe else {
            return Err(Doubt("the set of templates knows no other"));
        };
        let mut all = Vec::new();
        for (before, after) in &changes.apps {
            let after = after.as_ref().ok_or(Doubt("an app is gone"))?;
            if !before.is_same_but_tasks(after) {
                return Err(Doubt("more than the tasks of the app changed"));
            }
            labelled.stands_alone(after)?;
            if labelled.heeds_readiness && (may_wait(before) || may_wait(after)) {
                return Err(Doubt(
                    "tasks of the app may have to wait until they are ready",
                ));
            }
            let drained = &memory.drained;
            let before = labelled.services_of(before, &mut fallback, resolver, (now, drained))?;
            let after = labelled.services_of(after, &mut fallback, resolver, (now, drained))?;
            if before.warnings != after.warnings || before.services.len() != after.services.len() {
                return Err(Doubt("there is something to be told of the app"));
            }
            for (before, after) in before.services.into_iter().zip(after.services) {
                if is_same_but_servers(&before, &after)? {
                    continue;
                }
                let all_served = in_service.served_as(&before.owner);
                // Who was refused, or lost the port to another, is not served with other servers
                // either.
                if all_served.is_empty() && in_service.waits && in_service.has(&before.owner.app) {
                    return Err(Doubt("the app is in service under another service port"));
                }
                for served in all_served {
                    // As they are in the file. Who is in which slot is known there alone.
                    let (before, after) = if labelled.shape.flavour == Flavour::Native {
                        let slots = slots_of(&served);
                        let put = |service: &Service| {
                            let service = Service {
                                name: served.name.clone(),
                                ..service.clone()
                            };
                            in_slots(service, labelled.shape.slots, &slots)
                        };
                        (put(&before), put(&after))
                    } else {
                        (before.clone(), after.clone())
                    };
                    if served.servers != before.servers || served.options.merge().is_some() {
                        return Err(Doubt("the service was arranged among others"));
                    }
                    let after = Service {
                        servers: after.servers,
                        free_slots: after.free_slots,
                        ..Service::clone(&served)
                    };
                    all.push(Resupply {
                        before: served,
                        after: Arc::new(after),
                    });
                }
            }
        }
        Ok(all)
    }

    /// Puts the servers of one service into what is in service.
    fn replace(
        &mut self,
        in_service: &mut InService,
        resupply: Resupply,
        supplied: &mut Supplied,
    ) -> Result<(), Doubt> {
        let Resupply { before, after } = &resupply;
        let texts = self.renderer.with_servers(before, after);
        let texts = texts.ok_or(Doubt("somebody's own words stand beside the servers"))?;
        let change = match diff::compare(Some(&texts.before), &texts.after) {
            Change::Nothing => Vec::new(),
            Change::Servers(change) => change,
            Change::Backends(_) | Change::Structure(_) => {
                return Err(Doubt("more than lines of servers changed"));
            }
        };
        let texts = (texts.before, texts.after);
        if !in_service.swap(&resupply, &texts) {
            return Err(Doubt("the text of the service stands elsewhere"));
        }
        supplied.change.extend(change);
        supplied.all.push((resupply, texts));
        Ok(())
    }
}

/// Whether their servers are the same, too.
fn is_same_but_servers(before: &Service, after: &Service) -> Result<bool, Doubt> {
    let bare = |service: &Service| Service {
        servers: Vec::new(),
        free_slots: Vec::new(),
        ..service.clone()
    };
    if bare(before) != bare(after) {
        return Err(Doubt("more than the servers of the service changed"));
    }
    Ok(before.servers == after.servers)
}

impl Report {
    fn of_servers(from: String, change: Vec<ServerChange>, how: String) -> Self {
        let mut report = Self::as_before(from);
        report.is_light = true;
        if change.is_empty() {
            return report;
        }
        report.plan.change = Change::Servers(change);
        report.outcome = Outcome::Applied {
            how,
            installed: true,
            reloaded: false,
            again: false,
        };
        report
    }
}
