//! Servers that come and go while the rest of what is wanted has to wait, whatever for: they are brought
//! to HAProxy as in a turn for servers alone, so that the next turns can go on to do so.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use anyhow::Result;
use tracing::debug;

use super::Doubt;
use super::in_service::{InService, Losses, Resupply, Supplied};
use crate::apply::{Balancer, Host, Outcome, tell_servers_alone};
use crate::cycle::source::Source;
use crate::cycle::{Plan, Stages};
use crate::diff;
use crate::proxy::Owner;
use crate::proxy::marathon_lb::{Server, Service};
use crate::proxy::native::slots_of;
use crate::resolve::Lookup;
use crate::state::{State, Time};

impl<S: Source, L: Lookup> Stages<S, L> {
    /// Brings HAProxy to the servers of a plan that has come to `outcome`, and what was `in_service` with
    /// them. Gives what the plan comes to then: where there is nothing else in it, that is tried at once.
    pub(in crate::cycle) async fn servers_meanwhile<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        (plan, outcome): (&Plan, Outcome),
        in_service: Option<InService>,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Outcome> {
        if plan.keeps_all || memory.paused.is_some() {
            self.in_service = in_service;
            return Ok(outcome);
        }
        // An edit that came to nothing is taken back, and has changed nothing of what is in service.
        let goes_on = matches!(outcome, Outcome::Checking | Outcome::Postponed { .. });
        if self.is_on_trial && !goes_on {
            self.in_service = in_service.filter(|_| memory.pending.is_none());
            return Ok(outcome);
        }
        if let Some(in_service) = in_service.filter(|_| memory.pending.is_none()) {
            self.in_service = self.supplied(host, plan, in_service, memory).await?;
            if self.in_service.is_some() {
                remember(memory);
                return Ok(outcome);
            }
        }
        let wanted = &plan.files;
        let is_all = host
            .servers_meanwhile(wanted, memory, now, remember)
            .await?;
        if !is_all {
            return Ok(outcome);
        }
        // Whatever waited, it was for other files than these.
        memory.pending = None;
        host.bring_to(wanted, memory, now, remember).await
    }

    /// What is in service with the servers of the plan, where HAProxy could be brought to them.
    async fn supplied<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        plan: &Plan,
        mut in_service: InService,
        memory: &mut State,
    ) -> Result<Option<InService>> {
        let listener = host.listener(memory);
        let is_deaf = host.balancer.is_asked() && listener.is_none();
        if is_deaf || !in_service.serves(listener) || !host.is_still(in_service.stamp)? {
            return Ok(None);
        }
        let supplied = match self.supply(plan, &mut in_service) {
            Ok(supplied) => supplied,
            Err(Doubt(why)) => {
                debug!("servers alone are brought to HAProxy by their text: {why}");
                return Ok(None);
            }
        };
        in_service.waits = true;
        if supplied.all.is_empty() {
            return Ok(Some(in_service));
        }
        let put = in_service.put(host, supplied, listener, memory);
        Ok(put.await?.map(|how| {
            tell_servers_alone(&how);
            in_service
        }))
    }

    /// Gives services other servers, whatever else of them changed. The plan has asked the guard.
    fn supply(&mut self, plan: &Plan, in_service: &mut InService) -> Result<Supplied, Doubt> {
        let mut supplied = Supplied::default();
        let done = self.supply_each(plan, in_service, &mut supplied);
        if let Err(doubt) = done {
            in_service.take_back(supplied);
            return Err(doubt);
        }
        in_service.losses = Losses::since(in_service.services.values());
        Ok(supplied)
    }

    fn supply_each(
        &mut self,
        plan: &Plan,
        in_service: &mut InService,
        supplied: &mut Supplied,
    ) -> Result<(), Doubt> {
        for wanted in plan.proxies.services() {
            let Some(served) = in_service.services.get(&wanted.owner) else {
                continue;
            };
            if served.servers == wanted.servers && served.free_slots == wanted.free_slots {
                continue;
            }
            if served.options.merge().is_some() || wanted.options.merge().is_some() {
                return Err(Doubt("the service was arranged among others"));
            }
            let before = Arc::clone(served);
            let after = with_servers(&before, wanted);
            // It has nobody, and all of its slots are free already.
            if after == before {
                continue;
            }
            self.replace(in_service, Resupply { before, after }, supplied)?;
        }
        for (before, moved) in in_service.gone(plan.proxies.services()) {
            if moved.is_some_and(|moved| moved.servers == before.servers) {
                continue;
            }
            let nobody = Service {
                servers: Vec::new(),
                ..Service::clone(&before)
            };
            let has_slots = !before.free_slots.is_empty();
            if let Some(wanted) = moved.map(AsRef::as_ref).or(has_slots.then_some(&nobody)) {
                let resupply = Resupply {
                    after: with_servers(&before, wanted),
                    before: Arc::clone(&before),
                };
                if self.replace(in_service, resupply, supplied).is_ok() || has_slots {
                    continue;
                }
            }
            in_service.empty(before, plan.proxies.services(), supplied);
        }
        Ok(())
    }
}

/// A service with the servers of another form of it. Slots that nobody has are free.
fn with_servers(served: &Arc<Service>, wanted: &Service) -> Arc<Service> {
    let mut free_slots = wanted.free_slots.clone();
    if wanted.servers.is_empty() && !served.free_slots.is_empty() {
        let slots = slots_of(served).into_iter();
        free_slots = slots.map(|(number, _)| number).collect();
        free_slots.sort_unstable();
    }
    Arc::new(Service {
        servers: wanted.servers.clone(),
        free_slots,
        ..Service::clone(served)
    })
}

impl InService {
    /// Those who are not wanted any more, and as what: an app that moves to another service port is there
    /// under a new one.
    fn gone<'w>(
        &self,
        wanted: &'w [Arc<Service>],
    ) -> Vec<(Arc<Service>, Option<&'w Arc<Service>>)> {
        let owners: HashSet<&Owner> = wanted.iter().map(|service| &service.owner).collect();
        let is_gone = |service: &&Arc<Service>| {
            !service.servers.is_empty() && !owners.contains(&service.owner)
        };
        let gone = self.services.values().filter(is_gone);
        let mut gone: Vec<Arc<Service>> = gone.map(Arc::clone).collect();
        gone.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let of_app = |service: &Service| {
            let app = &service.owner.app;
            let others = gone.iter().filter(|other| other.owner.app == *app).count();
            let is_new = |new: &&Arc<Service>| {
                new.owner.app == *app && !self.services.contains_key(&new.owner)
            };
            let mut new = wanted.iter().filter(is_new);
            let moved = new.next().filter(|_| new.next().is_none());
            moved.filter(|_| others == 1)
        };
        let moved: Vec<_> = gone.iter().map(|service| of_app(service)).collect();
        gone.into_iter().zip(moved).collect()
    }

    /// Takes its servers from a service that is not wanted any more, but those that its app has elsewhere:
    /// the ports of the others are those of other tasks soon.
    fn empty(&mut self, before: Arc<Service>, wanted: &[Arc<Service>], supplied: &mut Supplied) {
        let own = wanted
            .iter()
            .filter(|other| other.owner.app == before.owner.app);
        let own = own.flat_map(|service| &service.servers);
        let own: HashSet<(&str, u16)> = own.map(|s| (&*s.address, s.port)).collect();
        let servers: Vec<Server> = before
            .servers
            .iter()
            .filter(|server| own.contains(&(&*server.address, server.port)))
            .cloned()
            .collect();
        let names: BTreeSet<&str> = servers.iter().map(|server| &*server.name).collect();
        let chunks = self.rendered.chunks().iter();
        let mut own = chunks.filter(|chunk| chunk.owner.as_ref() == Some(&before.owner));
        let texts = own.find_map(|chunk| {
            let text = diff::with_servers_named(&chunk.text, &names);
            (*text != *chunk.text).then(|| (Arc::clone(&chunk.text), text.into()))
        });
        let Some(texts) = texts else { return };
        let after = Arc::new(Service {
            servers,
            ..Service::clone(&before)
        });
        let resupply = Resupply { before, after };
        if self.swap(&resupply, &texts) {
            supplied.all.push((resupply, texts));
        }
    }
}
