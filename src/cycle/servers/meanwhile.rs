//! Servers that come and go while the rest of what is wanted has to wait, whatever for: they are brought
//! to HAProxy as in a turn for servers alone, so that the next turns can go on to do so.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use anyhow::Result;

use super::bring::Left;
use super::in_service::{InService, Losses, Resupply, Supplied};
use super::merged::of_group;
use crate::apply::{Balancer, FileSet, Host, Outcome};
use crate::cluster::Warning;
use crate::cycle::source::Source;
use crate::cycle::{Plan, Recipe, Stages};
use crate::diff::{self, Change, Grafted, Outline};
use crate::proxy::Owner;
use crate::proxy::marathon_lb::{Server, Service};
use crate::proxy::native::{SlotRule, in_slots, is_slot, slots_of};
use crate::render::Rendered;
use crate::resolve::Lookup;
use crate::state::{State, Time};

impl<S: Source, L: Lookup> Stages<S, L> {
    /// Brings HAProxy to the servers of a plan that has come to `outcome`, and what was `in_service` with
    /// them. Gives what the plan comes to then: where there is nothing else in it, that is tried at once.
    /// The plan is warned of those that have to wait all the same.
    pub(in crate::cycle) async fn servers_meanwhile<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        (plan, outcome): (&mut Plan, Outcome),
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
            self.in_service = in_service;
            return Ok(outcome);
        }
        let known = self.known_in_service(host, in_service, memory, now).await?;
        let mut untold = Vec::new();
        let alone = match known {
            Some(known) => {
                let brought = self.supplied(host, plan, known, memory).await?;
                remember(memory);
                untold = brought.untold;
                // What cannot be told may be read, unless HAProxy is at a check.
                let is_free = self.in_service.is_none() || outcome != Outcome::Checking;
                brought.to_read.filter(|_| is_free)
            }
            None => grafted(host, plan, memory, now)?,
        };
        let brought = match (alone, host.told_alone(memory, now)?) {
            (Some(cfg), Some(before)) => {
                let files = FileSet {
                    cfg,
                    maps: before.maps.clone(),
                };
                let brought = host.bring_alone(&before, &files, memory, now, remember);
                brought.await?.then_some(files)
            }
            _ => None,
        };
        let Some(files) = brought else {
            for untold in untold {
                plan.warn_once(untold);
            }
            return Ok(outcome);
        };
        // It is made anew of what is there then.
        self.in_service = None;
        if files != plan.files {
            return Ok(outcome);
        }
        // Whatever waited, it was for other files than these.
        memory.pending = None;
        host.bring_to(&plan.files, memory, now, remember).await
    }

    /// Brings what is in service to the servers of the plan, as far as HAProxy can be told of them.
    async fn supplied<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        plan: &mut Plan,
        mut known: InService,
        memory: &mut State,
    ) -> Result<Brought> {
        let (supplied, left) = self.supply(plan, &mut known);
        let all = known.files.cfg.clone();
        let listener = host.listener_meanwhile(memory);
        let is_deaf = host.balancer.is_asked() && listener.is_none();
        let brought = if is_deaf || !known.serves(listener) {
            known.take_back(&supplied);
            None
        } else {
            known.bring(host, supplied, listener, memory).await?
        };
        let Some(untold) = brought else {
            return Ok(Brought {
                to_read: Some(all),
                untold: Vec::new(),
            });
        };
        for left in left {
            plan.warn_once(known.warning(left));
        }
        let untold: Vec<Warning> = untold.into_iter().map(|left| known.warning(left)).collect();
        known.waits = true;
        self.in_service = Some(known);
        Ok(Brought {
            to_read: (!untold.is_empty()).then_some(all),
            untold,
        })
    }

    /// Gives services other servers, whatever else of them changed. The plan has asked the guard.
    fn supply(&mut self, plan: &Plan, in_service: &mut InService) -> (Supplied, Vec<Left>) {
        let mut supplied = Supplied::default();
        let mut left = Vec::new();
        let wanted = plan.proxies.services();
        let by_owner: HashMap<&Owner, &Arc<Service>> = wanted
            .iter()
            .map(|service| (&service.owner, service))
            .collect();
        let moved = in_service.moved(wanted);
        in_service.followers.clear();
        for (follower, leader) in &moved {
            let followers = in_service.followers.entry(leader.owner.clone());
            followers.or_default().push(follower.clone());
        }
        let mut all: Vec<_> = in_service.services.values().map(Arc::clone).collect();
        all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        for before in all {
            let own = by_owner.get(&before.owner).copied();
            let own = own.or_else(|| moved.get(&before.owner).copied());
            let group = of_group(in_service, &before, wanted);
            let (servers, free_slots) = match (group, own) {
                (Some(servers), Some(own)) if servers == own.servers => {
                    (servers, own.free_slots.clone())
                }
                (Some(servers), _) => (servers, Vec::new()),
                (None, Some(own)) => (own.servers.clone(), own.free_slots.clone()),
                (None, None) => {
                    in_service.empty(&before, wanted, &mut supplied);
                    continue;
                }
            };
            let after = self.refitted(&before, servers, free_slots);
            if *after == *before && !in_service.inexact.contains(&before.owner) {
                continue;
            }
            let like = own.and_then(|own| text_of(&plan.rendered, own));
            let resupply = Resupply { before, after };
            self.refill(
                in_service,
                resupply,
                like.as_deref(),
                &mut supplied,
                &mut left,
            );
        }
        in_service.losses = Losses::since(in_service.services.values());
        (supplied, left)
    }

    /// Gives one service other servers; where its text says more than we would write, in its words.
    fn refill(
        &mut self,
        in_service: &mut InService,
        resupply: Resupply,
        like: Option<&str>,
        supplied: &mut Supplied,
        left: &mut Vec<Left>,
    ) {
        let Resupply { before, after } = &resupply;
        let Some(text) = text_of(&in_service.rendered, before) else {
            return;
        };
        let written = self.renderer.with_servers(before, after);
        let written = written.map(|texts| texts.after).filter(|after| {
            let change = diff::compare(Some(&text), after);
            matches!(change, Change::Nothing | Change::Servers(_))
        });
        let is_exact = written.is_some();
        let new = written.unwrap_or_else(|| {
            let like = like.unwrap_or_default();
            let grafted = diff::with_servers_like(&text, like);
            left.extend(grafted.left_out.into_iter().map(|(section, line)| Left {
                section,
                why: format!("nobody has checked the words of `{}`", line.escape_debug()),
            }));
            grafted.text.into()
        });
        let owner = before.owner.clone();
        if new == text {
            in_service.services.insert(owner.clone(), Arc::clone(after));
        } else {
            let texts = (text, new);
            if !in_service.swap(&resupply, &texts) {
                return;
            }
            supplied.all.push((resupply, texts));
        }
        if is_exact {
            in_service.inexact.remove(&owner);
        } else {
            in_service.inexact.insert(owner);
        }
    }

    /// A service with other servers; in its own slots, where it has some.
    fn refitted(
        &self,
        before: &Arc<Service>,
        servers: Vec<Server>,
        free_slots: Vec<u32>,
    ) -> Arc<Service> {
        let has_slots = has_slots(before);
        let is_fit = servers.iter().all(|server| is_slot(&server.name));
        let mut service = Service {
            servers,
            free_slots,
            ..Service::clone(before)
        };
        if has_slots && service.servers.is_empty() {
            let mut slots: Vec<u32> = slots_of(before).into_keys().collect();
            slots.sort_unstable();
            service.free_slots = slots;
        } else if has_slots && !(is_fit && keeps_slots(before, &service)) {
            let rule = match &self.recipe {
                Recipe::Labelled(labelled) => labelled.shape.slots,
                Recipe::Bridge { .. } => SlotRule::default(),
            };
            service = in_slots(service, rule, &slots_of(before));
        }
        Arc::new(service)
    }
}

/// What servers alone have come to.
struct Brought {
    /// The file with all of them, where HAProxy was not told of all.
    to_read: Option<String>,
    /// Of those that it was not told of; untrue once it has read that file.
    untold: Vec<Warning>,
}

/// The text that runs with the servers of the plan: where what is in service is not known but by it.
fn grafted<B: Balancer>(
    host: &Host<'_, B>,
    plan: &mut Plan,
    memory: &State,
    now: Time,
) -> Result<Option<String>> {
    let Some(before) = host.told_alone(memory, now)? else {
        return Ok(None);
    };
    let Grafted { text, left_out } = diff::with_servers_of(&before.cfg, &plan.files.cfg);
    for (section, line) in left_out {
        plan.warn_once(unchecked(&section, &line));
    }
    Ok(Some(text))
}

fn has_slots(service: &Service) -> bool {
    let mut servers = service.servers.iter();
    !service.free_slots.is_empty() || servers.any(|server| is_slot(&server.name))
}

/// Whether whoever stays is in the slot where it was.
fn keeps_slots(before: &Service, after: &Service) -> bool {
    let after = slots_of(after);
    let is_there = |(number, _): (&u32, _)| after.contains_key(number);
    slots_of(before).iter().all(is_there)
}

/// The text of a backend.
fn text_of(rendered: &Rendered, service: &Service) -> Option<Arc<str>> {
    let is_it = |text: &str| {
        let outline = Outline::of(text);
        let mut sections = outline.sections().iter();
        sections.any(|section| section.backend() == Some(&service.name))
    };
    let own = rendered
        .chunks()
        .iter()
        .filter(|chunk| chunk.owner.as_ref() == Some(&service.owner));
    own.map(|chunk| &chunk.text)
        .find(|text| is_it(text))
        .map(Arc::clone)
}

/// What is to be said of a server waits for a check.
fn unchecked(section: &str, line: &str) -> Warning {
    Warning {
        app: None,
        subject: format!("backend `{section}`"),
        found: format!(
            "`{}`, of which nobody has checked the words",
            line.escape_debug()
        ),
        expected: "words that its section has already, while the rest of the file has to wait"
            .to_owned(),
        effect: "server left out until then".to_owned(),
    }
}

impl InService {
    /// Those who are not wanted any more, and in whose place they serve: an app that moves to another
    /// service port is there under a new one, which is known by its place among those of the app.
    fn moved<'w>(&self, wanted: &'w [Arc<Service>]) -> HashMap<Owner, &'w Arc<Service>> {
        let owners: HashSet<&Owner> = wanted.iter().map(|service| &service.owner).collect();
        let mut of_apps: HashMap<&str, Vec<&Arc<Service>>> = HashMap::new();
        for service in wanted {
            let of_app = of_apps.entry(service.owner.app.as_str());
            of_app.or_default().push(service);
        }
        let gone: Vec<_> = self
            .services
            .values()
            .filter(|service| !owners.contains(&service.owner))
            .collect();
        let moved = gone.iter().filter_map(|service| {
            let own = of_apps.get(service.owner.app.as_str())?;
            let same = own.iter().find(|new| new.index == service.index);
            // Where another one went, those behind it stand at its place, and serve as before.
            let same = same.filter(|new| !self.services.contains_key(&new.owner));
            Some((service.owner.clone(), *same?))
        });
        moved.collect()
    }

    /// Takes its servers from a service that is not wanted any more, but those that its app has elsewhere:
    /// the ports of the others are those of other tasks soon.
    fn empty(&mut self, before: &Arc<Service>, wanted: &[Arc<Service>], supplied: &mut Supplied) {
        let own = wanted
            .iter()
            .filter(|other| other.owner.app == before.owner.app);
        let own: HashSet<String> = own
            .flat_map(|other| &other.servers)
            .map(address_of)
            .collect();
        let own: BTreeSet<&str> = own.iter().map(String::as_str).collect();
        let Some(text) = text_of(&self.rendered, before) else {
            return;
        };
        let left: Arc<str> = diff::with_servers_at(&text, &own).into();
        if left == text {
            return;
        }
        let (servers, gone): (Vec<Server>, Vec<Server>) = before
            .servers
            .iter()
            .cloned()
            .partition(|server| own.contains(&*address_of(server)));
        let mut free_slots = before.free_slots.clone();
        let freed = gone.iter().filter(|server| is_slot(&server.name));
        free_slots.extend(freed.map(|server| server.id));
        free_slots.sort_unstable();
        let resupply = Resupply {
            before: Arc::clone(before),
            after: Arc::new(Service {
                servers,
                free_slots,
                ..Service::clone(before)
            }),
        };
        let texts = (text, left);
        if self.swap(&resupply, &texts) {
            supplied.all.push((resupply, texts));
        }
    }
}

/// As it stands in the line of a server.
fn address_of(server: &Server) -> String {
    format!("{}:{}", server.address, server.port)
}
