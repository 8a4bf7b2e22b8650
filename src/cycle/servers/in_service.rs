//! What HAProxy serves, as far as turns for servers alone stand on it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::Result;
use tracing::debug;

use crate::apply::runtime::Frame;
use crate::apply::{Balancer, FileSet, Host, Untold};
use crate::cluster::{App, AppId};
use crate::cycle::Plan;
use crate::cycle::source::Changes;
use crate::diff::ServerChange;
use crate::disk::{Digest, Stamp};
use crate::guard;
use crate::proxy::marathon_lb::{Server, Service};
use crate::proxy::{Owner, Proxies};
use crate::render::Rendered;
use crate::state::{KeptAnswer, State};

/// What is in service since the last turn that ended well.
pub struct InService {
    pub(super) services: HashMap<Owner, Arc<Service>>,
    pub(super) losses: Losses,
    pub(super) rendered: Rendered,
    pub(super) files: FileSet,
    /// Of `haproxy.cfg`, as it was installed.
    pub(super) stamp: Stamp,
    /// Whether `haproxy -c` has accepted all of it.
    pub(super) is_proved: bool,
    /// Of `haproxy.cfg`, where HAProxy is told of sections.
    pub(super) frame: Option<Frame>,
    /// More is wanted than HAProxy could be brought to. The turn that is due for it has `haproxy -c` look
    /// at all of it.
    pub(super) waits: bool,
    /// Whether HAProxy was told of all servers in the file.
    pub(super) is_told: bool,
    /// Those whose text is another than would be written of them.
    pub(super) inexact: HashSet<Owner>,
    /// Service ports that are wanted, with those in service that have their servers meanwhile.
    pub(super) followers: HashMap<Owner, Vec<Owner>>,
    /// What turns for servers alone have made of the answer that is kept; nothing before the first.
    pub(super) since: Option<Since>,
}

/// Apps as they were told since an answer.
pub(super) struct Since {
    /// The file that was made of it; nothing where none is known.
    made: Option<Digest>,
    apps: HashMap<AppId, Arc<App>>,
}

/// What came of new servers.
pub(super) enum Put {
    /// They are installed, and told where HAProxy can be told.
    Done(String),
    /// Somebody else wrote to the installed file. All is as it was.
    Elsewhere,
    /// HAProxy has to read the file for them. All is as it was.
    Untold(Untold, Supplied),
}

impl InService {
    pub(super) fn of(plan: Plan, stamp: Stamp, frame: Option<Frame>) -> Self {
        let Plan {
            files,
            rendered,
            proxies,
            ..
        } = plan;
        Self {
            services: by_owner(&proxies),
            losses: Losses::since(proxies.services()),
            rendered,
            files,
            stamp,
            is_proved: true,
            frame,
            waits: false,
            is_told: true,
            inexact: HashSet::new(),
            followers: HashMap::new(),
            since: None,
        }
    }

    /// These apps are in service with the servers that they have now.
    pub(super) fn heed(&mut self, changes: &Changes, memory: &State) {
        let since = self.since.get_or_insert_with(|| {
            // Nothing was proved since the whole turn, so that its file is the one that is applied.
            let applied = memory.applied.as_ref().map(|applied| applied.cfg_hash);
            let made = memory.answer.map(|answer| answer.cfg_hash);
            Since {
                made: made.filter(|made| Some(*made) == applied),
                apps: HashMap::new(),
            }
        });
        let apps = changes.apps.iter().filter_map(|(_, after)| after.clone());
        since.apps.extend(apps.map(|app| (app.id.clone(), app)));
    }

    /// The apps of which `cfg` was made, of those of the answer that is `kept`: `None` where it is not what
    /// is in service, or was not made of that answer and of what was told since.
    pub(in crate::cycle) fn since<'s>(
        &'s self,
        kept: &KeptAnswer,
        cfg: &str,
    ) -> Option<impl Fn(&Arc<App>) -> Arc<App> + use<'s>> {
        let since = self.since.as_ref().filter(|_| !self.waits)?;
        let is_it = since.made == Some(kept.cfg_hash) && self.files.cfg == cfg;
        let as_now = |app: &Arc<App>| Arc::clone(since.apps.get(&app.id).unwrap_or(app));
        is_it.then_some(as_now)
    }

    /// The services that have, or have meanwhile, the servers of this one.
    pub(super) fn served_as(&self, owner: &Owner) -> Vec<Arc<Service>> {
        let followers = self.followers.get(owner).into_iter().flatten();
        let owners = std::iter::once(owner).chain(followers);
        let services = owners.filter_map(|owner| self.services.get(owner));
        services.map(Arc::clone).collect()
    }

    /// Whether it is there under any service port.
    pub(super) fn has(&self, app: &AppId) -> bool {
        self.services.keys().any(|owner| owner.app == *app)
    }

    /// Whether it can be told to that process. Since the last whole turn the options may have come to say
    /// that HAProxy is told at all.
    pub(super) fn serves(&self, listener: Option<u32>) -> bool {
        listener.is_none() || self.frame.is_some()
    }

    /// Puts the text of a service in the place of another one, and its servers; `false` where that
    /// does not stand there.
    pub(super) fn swap(&mut self, resupply: &Resupply, (before, after): &Texts) -> bool {
        let Some(place) = self.rendered.replace(before, after) else {
            return false;
        };
        self.files.cfg.replace_range(place, after);
        let after = &resupply.after;
        self.services.insert(after.owner.clone(), Arc::clone(after));
        true
    }

    /// The other way round.
    pub(super) fn take_back(&mut self, supplied: &Supplied) {
        for (resupply, (before, after)) in supplied.all.iter().rev() {
            let texts = (Arc::clone(after), Arc::clone(before));
            self.swap(&resupply.back(), &texts);
        }
    }

    /// Installs the servers that were supplied, and tells a HAProxy that can be told.
    pub(super) async fn put<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        supplied: Supplied,
        listener: Option<u32>,
        memory: &mut State,
    ) -> Result<Put> {
        let cfg = &self.files.cfg;
        let Some(stamp) = host.put_servers(cfg, self.stamp)? else {
            debug!("somebody else wrote to the installed file");
            self.take_back(&supplied);
            return Ok(Put::Elsewhere);
        };
        let told = match listener.zip(self.frame.as_ref()) {
            None => Ok("HAProxy was not told, as configured".to_owned()),
            Some((pid, frame)) => {
                let (before, after) = supplied.texts();
                let texts = (&*before, &*after);
                host.tell_sections(pid, frame, texts, cfg, memory).await
            }
        };
        match told {
            Ok(how) => {
                self.stamp = stamp;
                self.is_proved = false;
                Ok(Put::Done(how))
            }
            Err(untold) => {
                debug!("HAProxy cannot be told: {}", untold.why);
                // Whatever follows, it goes by what HAProxy runs.
                self.take_back(&supplied);
                self.stamp = host.put_servers(&self.files.cfg, stamp)?.unwrap_or(stamp);
                Ok(Put::Untold(untold, supplied))
            }
        }
    }

    /// How many service ports there are.
    #[must_use]
    pub fn services(&self) -> usize {
        self.services.len()
    }

    /// How many servers there are, of all of them together.
    #[must_use]
    pub fn servers(&self) -> usize {
        let services = self.services.values();
        services.map(|service| service.servers.len()).sum()
    }
}

fn by_owner(proxies: &Proxies) -> HashMap<Owner, Arc<Service>> {
    let services = proxies.services().iter();
    services
        .map(|service| (service.owner.clone(), Arc::clone(service)))
        .collect()
}

/// What went since the last whole turn, which alone asks the guard. Counted as it counts: by addresses,
/// and a server in the place of another is none that is lost. Many turns for one server each are not
/// to take away what one turn may not.
#[derive(Default)]
pub(super) struct Losses {
    /// Servers that there were, of all services together.
    of: usize,
    lost: usize,
    /// How many there were of each service that has other servers by now.
    before: HashMap<Owner, usize>,
}

impl Losses {
    pub(super) fn since<'s>(services: impl IntoIterator<Item = &'s Arc<Service>>) -> Self {
        let servers = services.into_iter().flat_map(|service| &service.servers);
        Self {
            of: distinct(servers),
            ..Self::default()
        }
    }

    /// Services have other servers now.
    pub(super) fn count(&mut self, all: &[Resupply]) {
        for Resupply { before, after } in all {
            let now = distinct(&before.servers);
            let then = *self.before.entry(before.owner.clone()).or_insert(now);
            self.lost -= then.saturating_sub(now);
            self.lost += then.saturating_sub(distinct(&after.servers));
        }
    }

    /// Whether more went than may go at once.
    pub(super) fn are_most(&self) -> bool {
        guard::holds(self.lost, self.of)
    }
}

/// One address is one server, however often it stands there.
fn distinct<'s>(servers: impl IntoIterator<Item = &'s Server>) -> usize {
    let addresses = servers.into_iter().map(|s| (&*s.address, s.port));
    addresses.collect::<HashSet<_>>().len()
}

/// One service, before and after.
pub(super) struct Resupply {
    pub(super) before: Arc<Service>,
    pub(super) after: Arc<Service>,
}

impl Resupply {
    /// The other way round.
    pub(super) fn back(&self) -> Self {
        Self {
            before: Arc::clone(&self.after),
            after: Arc::clone(&self.before),
        }
    }
}

/// The text of a backend, before and after.
pub(super) type Texts = (Arc<str>, Arc<str>);

/// What became of the services concerned.
#[derive(Default)]
pub(super) struct Supplied {
    pub(super) all: Vec<(Resupply, Texts)>,
    pub(super) change: Vec<ServerChange>,
}

impl Supplied {
    /// Their sections as they were, and as they are.
    fn texts(&self) -> (String, String) {
        let texts = || self.all.iter().map(|(_, texts)| texts);
        let before = texts().map(|(before, _)| &**before).collect();
        (before, texts().map(|(_, after)| &**after).collect())
    }
}
