//! One turn: fetch → resolve → guard → arrange → render → compare → apply.
//!
//! The first half decides and touches nothing ([`Stages::plan`]); commands that only look end
//! there. The second half is [`Host::bring_to`].

mod recipe;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use recipe::{Built, Wanted};
pub use recipe::{Labelled, Recipe};

use crate::apply::validate::Severity;
use crate::apply::{Balancer, CheckMessage, FileSet, Host, Outcome};
use crate::cluster::{App, AppId, ServicePort, Warning};
use crate::config::Names;
use crate::diff::{self, Change};
use crate::disk::Digest;
use crate::guard::{self, Held};
use crate::marathon::{self, Answer, Client, Cluster};
use crate::proxy::{Owner, Proxies};
use crate::render::{Rendered, Renderer};
use crate::resolve::{Lookup, Resolver};
use crate::state::{GuardMemory, Seen, State, Time};

/// Where the state of the cluster comes from.
pub trait Source {
    /// The whole cluster as it is now.
    fn fetch(&mut self) -> impl Future<Output = Result<Answer>>;

    /// From now on an answer with this digest, and no other, may be [`Cluster::AsBefore`].
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

/// Reads the last good answer from where it is kept.
pub type LastAnswer = Box<dyn Fn() -> Option<Vec<u8>>>;

/// So many services at most are taken out of a file before all of it is refused.
const MOST_CULPRITS: usize = 64;

/// The stages between Marathon's answer and the finished text, with what they remember.
pub struct Stages<S, L> {
    /// Where the cluster is asked.
    pub source: S,
    /// How apps become sections.
    pub recipe: Recipe,
    /// Host names, where they have to resolve; the printing commands never ask.
    pub resolver: Option<(Resolver<L>, Names)>,
    /// Templates and what they last made.
    pub renderer: Renderer,
    /// Stands for all that reaches the files beside the cluster: version, options, templates.
    pub decisions: Digest,
    /// Reads the answer that HAProxy was last brought to as a whole, for removals that are held.
    pub last_answer: Option<LastAnswer>,
    /// Whether service ports that HAProxy refuses are left out, so that the rest is served; else
    /// the last good files stay.
    pub takes_out_what_is_refused: bool,
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
    /// Nothing may be changed at all: what is held back cannot be made anew.
    pub keeps_all: bool,
    /// The address that answered, as shown to people.
    pub from: String,
    /// Service ports that are out because HAProxy refused what they said.
    pub refused: Vec<Owner>,
    /// What it was made of.
    draft: Draft,
}

/// What the cluster asks for, before it is put into files.
#[derive(Debug, Default)]
struct Draft {
    wanted: Wanted,
    incumbents: BTreeMap<u32, AppId>,
    warnings: Vec<Warning>,
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
            keeps_all: false,
            from,
            refused: Vec::new(),
            draft: Draft::default(),
        }
    }

    /// Who answers for what HAProxy complains of: known by the line, else by the section that it
    /// names.
    #[must_use]
    pub fn blamed(&self, message: &CheckMessage) -> Option<&Owner> {
        let by_line = || self.rendered.owner_of_line(message.line?);
        let by_name = || self.proxies.owner_of(message.proxy.as_deref()?);
        by_line().or_else(by_name)
    }

    /// Everybody whom HAProxy's refusal is about, with its words.
    fn culprits(&self, messages: &[CheckMessage]) -> Vec<(Owner, Warning)> {
        let mut culprits: Vec<(Owner, Warning)> = Vec::new();
        for message in messages.iter().filter(|m| m.severity == Severity::Alert) {
            if let Some(owner) = self.blamed(message)
                && !culprits.iter().any(|(known, _)| known == owner)
            {
                culprits.push((owner.clone(), refused(owner, message)));
            }
        }
        culprits
    }
}

/// What a turn did.
#[derive(Debug)]
pub struct Report {
    /// What it wanted.
    pub plan: Plan,
    /// What came of it.
    pub outcome: Outcome,
    /// Whether the answer was that of the turn before, so that nothing was built: the plan is
    /// empty, and the warnings are those of the turn before.
    pub as_before: bool,
    /// The answer, where HAProxy was brought to all of it: worth keeping for bad times.
    pub good_answer: Option<GoodAnswer>,
}

/// An answer as it came.
#[derive(Debug)]
pub struct GoodAnswer {
    /// All of it.
    pub text: String,
    /// Stands for it; to make another of a large answer costs milliseconds.
    pub digest: Digest,
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
        self.plan_for(answer, installed, behind, memory, now).await
    }

    async fn plan_for(
        &mut self,
        answer: Answer,
        installed: Option<&str>,
        behind: Option<&str>,
        memory: &mut State,
        now: Time,
    ) -> Result<Plan> {
        let mut warnings = answer.warnings;
        let mut wanted = self.recipe.select(answer.cluster, &mut warnings)?;
        self.resolve(&mut wanted, &mut warnings).await;
        let own = self.renderer.header()?;
        let served = |text| guard::served(text, &own);
        let served = guard::with_those_behind(
            installed.map(served).unwrap_or_default(),
            behind.map(served),
        );
        let incumbents = incumbents(memory, &served);
        let mut held = None;
        let mut keeps_all = false;
        if self.allow_removal {
            memory.guard = GuardMemory::default();
        } else if wanted.is_labelled() {
            // What labels ask for cannot be read from the installed file, only how much it serves.
            held = guard::hold(&served, wanted.dialled(), &mut memory.guard, now).1;
            if held.is_some() {
                match self.last_good_apps() {
                    None => keeps_all = true,
                    Some(last) => {
                        let apps = guard::with_lost_apps(wanted.apps, &last);
                        warnings.clear();
                        wanted = self.recipe.select_apps(&apps, &mut warnings);
                        self.resolve(&mut wanted, &mut warnings).await;
                    }
                }
            }
        } else {
            let ports = std::mem::take(&mut wanted.ports);
            (wanted.ports, held) = guard::hold(&served, ports, &mut memory.guard, now);
        }
        let draft = Draft {
            wanted,
            incumbents,
            warnings,
        };
        let mut plan = self.draw(draft, installed, Vec::new())?;
        if installed != Some(&*plan.files.cfg)
            && let Some((resolver, _)) = &self.resolver
            && resolver.replace_stale(&mut plan.draft.wanted.ports)
        {
            plan = self.draw(plan.draft, installed, Vec::new())?;
        }
        plan.held = held;
        plan.from = answer.from;
        if keeps_all {
            plan.keeps_all = true;
            plan.change = Change::Nothing;
        }
        Ok(plan)
    }

    /// Host names to addresses, where they have to resolve.
    async fn resolve(&mut self, wanted: &mut Wanted, warnings: &mut Vec<Warning>) {
        if let Some((resolver, names)) = &mut self.resolver {
            warnings.extend(resolver.resolve(&mut wanted.ports, *names).await);
        }
        wanted.drop_idle();
    }

    fn last_good_apps(&self) -> Option<Vec<Arc<App>>> {
        let text = String::from_utf8((self.last_answer.as_ref()?)()?).ok()?;
        let (apps, _) = marathon::apps(&text).ok()?;
        Some(apps.into_iter().map(Arc::new).collect())
    }

    /// The files of a draft, but for those `without`.
    fn draw(&mut self, draft: Draft, installed: Option<&str>, refused: Vec<Owner>) -> Result<Plan> {
        let Built {
            files,
            rendered,
            proxies,
            warnings: faults,
        } = self.recipe.build(
            &draft.wanted,
            &refused,
            &draft.incumbents,
            &mut self.renderer,
        )?;
        let mut warnings = draft.warnings.clone();
        warnings.extend(faults);
        Ok(Plan {
            change: diff::compare(installed, &files.cfg),
            files,
            rendered,
            proxies,
            warnings,
            held: None,
            keeps_all: false,
            from: String::new(),
            refused,
            draft,
        })
    }

    /// The same without the service ports that HAProxy refuses.
    fn draw_without(
        &mut self,
        plan: Plan,
        culprits: Vec<(Owner, Warning)>,
        installed: Option<&str>,
    ) -> Result<Plan> {
        let Plan {
            mut draft,
            mut refused,
            held,
            from,
            ..
        } = plan;
        for (owner, warning) in culprits {
            refused.push(owner);
            draft.warnings.push(warning);
        }
        let plan = self.draw(draft, installed, refused)?;
        Ok(Plan { held, from, ..plan })
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
        self.source.recognise(known);
        let mut answer = self.source.fetch().await?;
        memory.last_good_marathon = Some(answer.from.clone());
        if let Cluster::AsBefore = answer.cluster {
            let (plan, outcome) = (Plan::as_before(answer.from), Outcome::Unchanged);
            return Ok(Report {
                plan,
                outcome,
                as_before: true,
                good_answer: None,
            });
        }
        let body = std::mem::take(&mut answer.body);
        let installed = host.installed_cfg()?;
        let behind = host.cfg_behind(installed.as_deref(), memory);
        let plan = self
            .plan_for(answer, installed.as_deref(), behind.as_deref(), memory, now)
            .await?;
        let (plan, outcome) = self
            .apply(host, plan, installed.as_deref(), memory, now, remember)
            .await?;
        let is_in_place = outcome.is_settled() || outcome == Outcome::NotRunning;
        if is_in_place {
            memory.incumbents = plan
                .proxies
                .owners()
                .map(|owner| (owner.service_port, owner.app.clone()))
                .collect();
        }
        // A name that has no address yet may get one while the answer stays the same.
        let resolver = self.resolver.as_ref();
        let uses_names = resolver.is_some_and(|(resolver, _)| resolver.uses_names());
        let is_whole = plan.held.is_none() && plan.refused.is_empty();
        let is_known = outcome.is_settled() && is_whole && !uses_names;
        let is_news = is_in_place && outcome != Outcome::Unchanged;
        let keep = is_news && is_whole && plan.draft.wanted.is_labelled();
        let digest = (is_known || keep).then(|| Digest::of(body.as_bytes()));
        memory.seen = digest.filter(|_| is_known).map(|answer| Seen {
            answer,
            decisions: self.decisions,
            cfg_hash: match &memory.applied {
                Some(applied) => applied.cfg_hash,
                None => Digest::of(plan.files.cfg.as_bytes()),
            },
        });
        Ok(Report {
            plan,
            outcome,
            as_before: false,
            good_answer: digest
                .filter(|_| keep)
                .map(|digest| GoodAnswer { text: body, digest }),
        })
    }

    /// Brings HAProxy to a plan; to what is left of it where HAProxy refuses a part.
    async fn apply<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        mut plan: Plan,
        installed: Option<&str>,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<(Plan, Outcome)> {
        loop {
            if plan.keeps_all {
                return Ok((plan, Outcome::Unchanged));
            }
            if memory.paused.is_some() {
                let outcome = host.leave(&plan.files, memory)?;
                return Ok((plan, outcome));
            }
            let outcome = host.bring_to(&plan.files, memory, now, remember).await?;
            let Outcome::Rejected { messages } = &outcome else {
                return Ok((plan, outcome));
            };
            let culprits = plan.culprits(messages);
            let are_few = plan.refused.len() + culprits.len() <= MOST_CULPRITS;
            if culprits.is_empty() || !are_few || !self.takes_out_what_is_refused {
                return Ok((plan, outcome));
            }
            plan = self.draw_without(plan, culprits, installed)?;
        }
    }

    /// The answer that would leave everything as it is. There is none while anything is open.
    fn recognisable<B: Balancer>(
        &self,
        host: &Host<'_, B>,
        memory: &State,
    ) -> Result<Option<Digest>> {
        let Some(seen) = memory.seen.filter(|seen| seen.decisions == self.decisions) else {
            return Ok(None);
        };
        let applied = memory.applied.as_ref().map(|applied| applied.cfg_hash);
        let open = applied != Some(seen.cfg_hash)
            || memory.paused.is_some()
            || memory.guard != GuardMemory::default();
        Ok((!open && host.is_settled(memory)?).then_some(seen.answer))
    }
}

/// Who holds a port is what the installed file says: a run that was killed had no time to remember
/// it. Ports that the file lacks are held by whom we remember.
fn incumbents(memory: &State, served: &[ServicePort]) -> BTreeMap<u32, AppId> {
    let mut incumbents = memory.incumbents.clone();
    let installed = served
        .iter()
        .map(|port| (port.service_port, port.app.clone()));
    incumbents.extend(installed);
    incumbents
}

fn refused(owner: &Owner, message: &CheckMessage) -> Warning {
    Warning {
        app: Some(owner.app.clone()),
        subject: format!("service port {}", owner.service_port),
        found: format!("what `haproxy -c` refuses: {message}"),
        expected: "a section that it accepts".to_owned(),
        effect: "service port left out".to_owned(),
    }
}
