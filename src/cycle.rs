//! One turn: fetch → resolve → guard → arrange → render → compare → apply.
//!
//! The first half decides and touches nothing ([`Stages::plan`]); commands that only look end
//! there. The second half is [`Host::bring_to`].

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::apply::{Balancer, FileSet, Host, Outcome};
use crate::cluster::{App, AppId, ServicePort, ServingTasks, Warning, service_ports};
use crate::config::Names;
use crate::diff::{self, Change};
use crate::disk::Digest;
use crate::guard::{self, Held};
use crate::marathon::{Answer, Client, Cluster};
use crate::proxy::{Proxies, bridge};
use crate::render::{Rendered, Renderer};
use crate::resolve::{Lookup, Resolver};
use crate::state::{GuardMemory, Seen, State, Time};

/// Where the state of the cluster comes from.
pub trait Source {
    /// The whole cluster as it is now.
    fn fetch(&mut self) -> impl Future<Output = Result<Answer>>;

    /// From now on an answer with this essence, and no other, may be [`Cluster::AsBefore`].
    fn recognise(&mut self, known: Option<Digest>);
}

/// Marathon, asked in the form that the command line prefers.
pub struct Marathon {
    /// Its nodes.
    pub client: Client,
    /// Whether the text form of the tasks will do, which holds neither labels nor dates.
    pub text_first: bool,
}

impl Source for Marathon {
    fn recognise(&mut self, known: Option<Digest>) {
        self.client.recognise(known);
    }

    async fn fetch(&mut self) -> Result<Answer> {
        let answer = if self.text_first {
            self.client.tasks_as_text().await
        } else {
            self.client.apps().await
        };
        Ok(answer?)
    }
}

/// The stages between Marathon's answer and the finished text, with what they remember.
pub struct Stages<S, L> {
    /// Where the cluster is asked.
    pub source: S,
    /// Which tasks count.
    pub serving: ServingTasks,
    /// Which groups are served; `*` is everything.
    pub groups: Vec<String>,
    /// Host names, where they have to resolve; the printing commands never ask.
    pub resolver: Option<(Resolver<L>, Names)>,
    /// Templates and what they last made.
    pub renderer: Renderer,
    /// Stands for all that reaches the files beside the cluster: version, options, templates.
    pub decisions: Digest,
    /// `--allow-removal`: whatever Marathon no longer names goes at once.
    pub allow_removal: bool,
}

/// What should be installed, and how it came about.
#[derive(Debug)]
pub struct Plan {
    /// The files.
    pub files: FileSet,
    /// `haproxy.cfg` with the owners of its lines.
    pub rendered: Rendered,
    /// Their sections.
    pub proxies: Proxies,
    /// What differs from the installed file.
    pub change: Change,
    /// What was left out, and why.
    pub warnings: Vec<Warning>,
    /// What is held back, and until when.
    pub held: Option<Held>,
    /// The address that answered, as shown to people.
    pub from: String,
}

impl Plan {
    /// What is installed is wanted, as it was the last time.
    fn as_before(from: String) -> Self {
        Self {
            files: FileSet::default(),
            rendered: Rendered::default(),
            proxies: Proxies::default(),
            change: Change::Nothing,
            warnings: Vec::new(),
            held: None,
            from,
        }
    }
}

/// What a turn did.
#[derive(Debug)]
pub struct Report {
    /// What it wanted.
    pub plan: Plan,
    /// What came of it.
    pub outcome: Outcome,
    /// Whether the answer asked for the same as the turn before, so that nothing was built: the
    /// plan is empty, and the warnings are those of the turn before.
    pub as_before: bool,
}

impl Report {
    fn as_before(from: String) -> Self {
        Self {
            plan: Plan::as_before(from),
            outcome: Outcome::Unchanged,
            as_before: true,
        }
    }
}

/// What an answer asks for, and what was left out of it.
struct Asked {
    ports: Vec<ServicePort>,
    warnings: Vec<Warning>,
    from: String,
}

impl Asked {
    /// Equal where the same files would be made beside the same memory.
    fn digest(&self) -> Digest {
        Digest::of_value(&(&self.ports, &self.warnings))
    }
}

impl<S: Source, L: Lookup> Stages<S, L> {
    /// What the cluster asks for, beside what is installed.
    ///
    /// # Errors
    /// When Marathon gives no usable answer, or the frame of the file cannot be rendered.
    pub async fn plan(
        &mut self,
        installed: Option<&str>,
        memory: &mut State,
        now: Time,
    ) -> Result<Plan> {
        self.plan_beside(installed, None, memory, now).await
    }

    /// As [`Stages::plan`], where HAProxy may run another file than the installed one: from
    /// `behind`, too, nothing vanishes without agreement.
    ///
    /// # Errors
    /// As [`Stages::plan`].
    pub async fn plan_beside(
        &mut self,
        installed: Option<&str>,
        behind: Option<&str>,
        memory: &mut State,
        now: Time,
    ) -> Result<Plan> {
        let answer = self.source.fetch().await?;
        let asked = self.asked(answer).await;
        self.plan_for(asked, installed, behind, memory, now)
    }

    /// What of an answer can reach the files.
    async fn asked(&mut self, answer: Answer) -> Asked {
        let mut warnings = answer.warnings;
        let mut ports = self.ports_of(answer.cluster, &mut warnings);
        if let Some((resolver, names)) = &mut self.resolver {
            warnings.extend(resolver.resolve(&mut ports, *names).await);
        }
        Asked {
            ports,
            warnings,
            from: answer.from,
        }
    }

    fn plan_for(
        &mut self,
        asked: Asked,
        installed: Option<&str>,
        behind: Option<&str>,
        memory: &mut State,
        now: Time,
    ) -> Result<Plan> {
        let Asked {
            ports,
            mut warnings,
            from,
        } = asked;
        let own = self.renderer.header()?;
        let served = |text| guard::served(text, &own);
        let served = guard::with_those_behind(
            installed.map(served).unwrap_or_default(),
            behind.map(served),
        );
        let incumbents = incumbents(memory, &served);
        let (mut ports, held) = self.hold(&served, ports, memory, now);
        let mut built = self.build(&ports, &incumbents)?;
        if installed != Some(&*built.files.cfg)
            && let Some((resolver, _)) = &self.resolver
            && resolver.replace_stale(&mut ports)
        {
            built = self.build(&ports, &incumbents)?;
        }
        let Built {
            files,
            rendered,
            proxies,
            warnings: faults,
        } = built;
        warnings.extend(faults);
        let change = diff::compare(installed, &files.cfg);
        Ok(Plan {
            files,
            rendered,
            proxies,
            change,
            warnings,
            held,
            from,
        })
    }

    fn build(&mut self, ports: &[ServicePort], incumbents: &BTreeMap<u16, AppId>) -> Result<Built> {
        let mut warnings = Vec::new();
        let proxies = arrange(ports, incumbents, &mut warnings);
        let (rendered, failed) = self
            .renderer
            .render(&proxies)
            .context("the templates cannot be rendered")?;
        warnings.extend(failed);
        let files = FileSet {
            cfg: rendered.text(),
            maps: BTreeMap::new(),
        };
        Ok(Built {
            files,
            rendered,
            proxies,
            warnings,
        })
    }

    fn ports_of(&self, cluster: Cluster, warnings: &mut Vec<Warning>) -> Vec<ServicePort> {
        let snapshot = match cluster {
            // The text form knows no labels, and thus no groups.
            Cluster::Endpoints(ports) => return ports,
            Cluster::Apps(snapshot) => snapshot,
            Cluster::AsBefore => return Vec::new(),
        };
        let mut all = Vec::with_capacity(snapshot.apps().len());
        for app in snapshot.apps() {
            let (ports, faults) = service_ports(app, self.serving);
            all.extend(
                ports
                    .into_iter()
                    .filter(|port| is_served(app, port.index, &self.groups)),
            );
            warnings.extend(faults);
        }
        all
    }

    fn hold(
        &self,
        served: &[ServicePort],
        fresh: Vec<ServicePort>,
        memory: &mut State,
        now: Time,
    ) -> (Vec<ServicePort>, Option<Held>) {
        if self.allow_removal {
            memory.guard = GuardMemory::default();
            return (fresh, None);
        }
        guard::hold(served, fresh, &mut memory.guard, now)
    }

    /// A whole turn. `remember` is called with what a kill must not make forgotten.
    ///
    /// # Errors
    /// As [`Stages::plan`] and [`Host::bring_to`].
    pub async fn turn<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Report> {
        let known = self.recognisable(host, memory)?;
        self.source.recognise(known.map(|seen| seen.answer));
        let answer = self.source.fetch().await?;
        memory.last_good_marathon = Some(answer.from.clone());
        if let Cluster::AsBefore = answer.cluster {
            return Ok(Report::as_before(answer.from));
        }
        let essence = answer.essence;
        let asked = self.asked(answer).await;
        let digest = asked.digest();
        if let Some(seen) = known.filter(|seen| seen.asked == Some(digest)) {
            memory.seen = Some(Seen {
                answer: essence,
                ..seen
            });
            return Ok(Report::as_before(asked.from));
        }
        let installed = host.installed_cfg()?;
        let behind = host.cfg_behind(installed.as_deref(), memory);
        let plan = self.plan_for(asked, installed.as_deref(), behind.as_deref(), memory, now)?;
        let outcome = match memory.paused {
            Some(_) => host.leave(&plan.files, memory)?,
            None => host.bring_to(&plan.files, memory, now, remember).await?,
        };
        if outcome.is_settled() || outcome == Outcome::NotRunning {
            memory.incumbents = plan
                .proxies
                .listens
                .iter()
                .map(|listen| (listen.bind.port, listen.owner.app.clone()))
                .collect();
        }
        // A name that has no address yet may get one while the answer stays the same.
        let resolver = self.resolver.as_ref();
        let uses_names = resolver.is_some_and(|(resolver, _)| resolver.uses_names());
        let settled = outcome.is_settled() && plan.held.is_none() && !uses_names;
        memory.seen = settled.then(|| Seen {
            answer: essence,
            asked: Some(digest),
            decisions: self.decisions,
            cfg_hash: Digest::of(plan.files.cfg.as_bytes()),
        });
        Ok(Report {
            plan,
            outcome,
            as_before: false,
        })
    }

    /// What would leave everything as it is. There is nothing while anything is open.
    fn recognisable<B: Balancer>(
        &self,
        host: &Host<'_, B>,
        memory: &State,
    ) -> Result<Option<Seen>> {
        let Some(seen) = memory.seen.filter(|seen| seen.decisions == self.decisions) else {
            return Ok(None);
        };
        let applied = memory.applied.as_ref().map(|applied| applied.cfg_hash);
        let open = applied != Some(seen.cfg_hash)
            || memory.paused.is_some()
            || memory.guard != GuardMemory::default();
        Ok((!open && host.is_settled(memory)?).then_some(seen))
    }
}

/// Service ports as files.
struct Built {
    files: FileSet,
    rendered: Rendered,
    proxies: Proxies,
    warnings: Vec<Warning>,
}

/// Whether one of `groups` is named by `HAPROXY_{n}_GROUP`, or else by `HAPROXY_GROUP`: a list
/// that commas part. An app that names none is served where everything is.
fn is_served(app: &App, index: usize, groups: &[String]) -> bool {
    if groups.iter().any(|group| group == "*") {
        return true;
    }
    let own = app.labels.get(format!("HAPROXY_{index}_GROUP").as_str());
    let named = own.or_else(|| app.labels.get("HAPROXY_GROUP"));
    named.is_some_and(|named| {
        named
            .split(',')
            .any(|name| groups.iter().any(|g| g == name))
    })
}

/// Who holds a port is what the installed file says: a run that was killed had no time to remember
/// it. Ports that the file lacks are held by whom we remember.
fn incumbents(memory: &State, served: &[ServicePort]) -> BTreeMap<u16, AppId> {
    let mut incumbents = memory.incumbents.clone();
    let installed = served
        .iter()
        .map(|port| (port.service_port, port.app.clone()));
    incumbents.extend(installed);
    incumbents
}

fn arrange(
    ports: &[ServicePort],
    incumbents: &BTreeMap<u16, AppId>,
    warnings: &mut Vec<Warning>,
) -> Proxies {
    let mut listens = Vec::with_capacity(ports.len());
    for port in ports {
        let (listen, faults) = bridge::listen(port);
        listens.extend(listen.map(Arc::new));
        warnings.extend(faults);
    }
    let (proxies, clashes) = bridge::arrange(listens, incumbents);
    warnings.extend(clashes);
    proxies
}
