//! One turn: fetch → resolve → guard → arrange → render → compare → apply.
//!
//! The first half decides and touches nothing ([`Stages::plan`]); commands that only look end
//! there. The second half is [`Host::bring_to`].

mod bounded;
mod brought;
mod displaced;
mod drained;
mod draw;
mod edited;
mod explained;
mod fallback;
mod good_answer;
mod held_ports;
mod in_common;
mod label_behind;
mod labelled;
mod listed;
mod loss;
mod of_one;
mod open_files;
mod permitted;
mod plan;
mod readiness;
mod recipe;
mod refusal;
mod reserved;
mod retried;
mod served;
mod servers;
mod source;
mod suspects;
mod typed;
mod unanswered;
mod unfit_files;
mod unfit_numbers;
mod usurped;
mod unknown;
mod unnamed;
mod unstartable;
mod wanted;

use std::collections::BTreeSet;
use std::mem;
use std::time::Duration;

use anyhow::Result;

pub use brought::goes_on;
pub use drained::{Known, Meant, named};
pub use edited::Unwritable;
pub use explained::{Explained, ExplainedPort, Fate};
pub use fallback::{LastAnswer, asked_again_after};
pub use good_answer::GoodAnswer;
pub use held_ports::NoPlace;
pub use labelled::Labelled;
pub use plan::Plan;
pub use readiness::Waiting;
pub use recipe::Recipe;
pub use reserved::bound_places;
pub use servers::InService;
pub use source::{Changes, Marathon, Nodes, Source};
pub use unanswered::{Meanwhile, Unanswered};

use self::brought::Applied;
use crate::apply::{Accepted, Balancer, CheckMessage, Host, Outcome};
use crate::cluster::AppId;
use crate::config::Names;
use crate::disk::Digest;
use crate::marathon::Cluster;
use crate::render::Renderer;
use crate::resolve::{Lookup, Resolver};
use crate::state::{GuardMemory, Quarantined, Seen, State, Time};

/// A turn that changes nothing asks HAProxy for its servers at most so often: that costs it more than
/// anything else in such a turn, and answers can come every second.
const AUDITS_APART: Duration = Duration::from_secs(60);

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
    /// Whether recipe, renderer or options were edited since HAProxy was last brought to what they
    /// make: then they are to blame for what they take out of service, and nothing of it is applied.
    pub is_on_trial: bool,
    /// Files that need two steps and that HAProxy accepts, while the first one has to wait; nothing at
    /// first.
    pub whole: Option<Accepted>,
    /// What [`Stages::servers_alone`] stands on; nothing at first.
    pub in_service: Option<InService>,
    /// When a turn that changed nothing last found HAProxy as the file says; nothing at first, and
    /// where somebody wants it looked at.
    pub audited: Option<Time>,
}

/// What a turn did.
#[derive(Debug)]
pub struct Report {
    /// What it wanted.
    pub plan: Plan,
    /// What came of it.
    pub outcome: Outcome,
    /// What HAProxy complains of in files that it accepted; `None` where it was not asked.
    pub complaints: Option<Vec<CheckMessage>>,
    /// Whether the answer asked for the same as the turn before, so that nothing was built: the
    /// plan is empty, and the warnings are those of the turn before.
    pub as_before: bool,
    /// Whether only single apps were asked for, and nothing but their servers looked at: the warnings
    /// are those of the turn before.
    pub is_light: bool,
    /// The answer, where HAProxy was brought to it: worth keeping for bad times, by
    /// [`Writable::keep_answer`](crate::state::Writable::keep_answer).
    pub good_answer: Option<GoodAnswer>,
}

/// What Marathon told, as far as its answer is worth knowing once it was read.
struct Told {
    essence: Digest,
    /// What of it can reach the files, where that can be told.
    asked: Option<Digest>,
    /// As it came; empty where it did not come in one piece.
    body: String,
}

impl Report {
    fn as_before(from: String) -> Self {
        Self {
            plan: Plan::as_before(from),
            outcome: Outcome::Unchanged,
            complaints: None,
            as_before: true,
            is_light: false,
            good_answer: None,
        }
    }

    fn with(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }
}

impl<N: Nodes, L> Stages<Marathon<N>, L> {
    /// Has the next turn ask for these apps alone, or for all. What is held counts answers that are
    /// whole.
    pub fn ask_for(&mut self, apps: Option<BTreeSet<AppId>>, memory: &State) {
        let is_held = memory.guard != GuardMemory::default();
        self.source.only(apps.filter(|_| !is_held));
    }
}

impl<S: Source, L: Lookup> Stages<S, L> {
    /// A whole turn. `remember` is called with what a kill must not make forgotten. Whatever it comes
    /// to, a HAProxy that has ended is not left so where it is ours to start.
    ///
    /// # Errors
    /// As [`Stages::plan`] and [`Host::bring_to`]; an [`Unanswered`] where Marathon gives no answer, for
    /// what is served meanwhile.
    pub async fn turn<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Report> {
        let result = Box::pin(self.turn_alone(host, memory, now, remember)).await;
        if let Some((resolver, _)) = &mut self.resolver {
            // Else what is served goes on to have the names that the plan has no more.
            match &result {
                Ok(report) if report.outcome.is_in_place() => resolver.forget_dropped(),
                _ => resolver.keep_dropped(),
            }
        }
        host.start_again(memory, now, remember).await;
        result
    }

    async fn turn_alone<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Report> {
        host.put_back(memory);
        let known = self.recognisable(host, memory)?;
        self.source.recognise(known.map(|seen| seen.answer));
        let mut answer = match self.source.fetch().await {
            Ok(answer) => answer,
            Err(error) => {
                let unanswered = self.unanswered(host, error, memory, now, remember).await;
                return Err(unanswered.into());
            }
        };
        memory.last_good_marathon = Some(answer.from.clone());
        if let Cluster::AsBefore = answer.cluster {
            memory.as_of = Some(now);
            let outcome = self.audit(host, memory, now).await?;
            return Ok(Report::as_before(answer.from).with(outcome));
        }
        let (essence, body) = (answer.essence, mem::take(&mut answer.body));
        let asked = self.asked(answer, memory, now).await?;
        let digest = asked.digest();
        if let Some(seen) = known.filter(|seen| digest.is_some() && seen.asked == digest) {
            memory.seen = Some(Seen {
                answer: essence,
                ..seen
            });
            memory.as_of = Some(now);
            let outcome = self.audit(host, memory, now).await?;
            return Ok(Report::as_before(asked.from).with(outcome));
        }
        let installed = host.installed_cfg()?;
        let behind = host.cfg_behind(installed.as_deref(), memory);
        let plan = self
            .plan_for(asked, installed.as_deref(), behind.as_deref(), memory, now)
            .await?;
        let told = Told {
            essence,
            asked: digest,
            body,
        };
        self.carry_out(host, (plan, told), installed, memory, now, remember)
            .await
    }

    /// Brings HAProxy to a plan, which was made of what Marathon told, and remembers what came of it.
    async fn carry_out<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        (mut plan, told): (Plan, Told),
        installed: Option<String>,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Report> {
        // From here on files may change.
        let mut in_service = self.in_service.take();
        let is_refused = memory.is_refused() && !self.is_on_trial;
        let warned = plan.warnings.len();
        if host.balancer.has_put_off() || is_refused {
            // What is asked may take as long again, or come to nothing again.
            let goes_on = (&mut plan, Outcome::Checking);
            self.servers_meanwhile(host, goes_on, in_service, memory, now, remember)
                .await?;
            // Whoever has to wait is known only by what follows.
            plan.warnings.truncate(warned);
            in_service = self.in_service.take();
        }
        let Applied {
            mut plan,
            outcome,
            complaints,
            retries,
        } = self
            .apply(host, plan, installed.as_deref(), memory, now, remember)
            .await?;
        let outcome = if outcome.has_to_wait() {
            self.servers_meanwhile(
                host,
                (&mut plan, outcome),
                in_service,
                memory,
                now,
                remember,
            )
            .await?
        } else {
            outcome
        };
        let is_in_place = outcome.is_in_place();
        let mut is_cured = false;
        if is_in_place && plan.held.is_none() {
            // What enough fetches agreed on is gone; an attempt that failed takes none of them back.
            memory.guard = GuardMemory::default();
        }
        if is_in_place {
            for retry in retries {
                host.balancer.retry(retry, host.at);
            }
            memory.incumbents = plan.port_holders();
            if !plan.keeps_all {
                memory.as_of = Some(now);
                memory.places = plan.holders(&memory.places);
                let native = plan.proxies.native.as_ref();
                memory.certificates = native
                    .map(|native| native.certificates_in_order.clone())
                    .unwrap_or_default();
                let now = plan.draft.fallback.quarantined();
                let is_still = |was: &Quarantined| now.iter().any(|still| still.is_about(was));
                is_cured = !memory.quarantined.iter().all(is_still);
                memory.quarantined = now;
            }
        }
        // A name that has no address yet may get one while the answer stays the same.
        let resolver = self.resolver.as_ref();
        let uses_names = resolver.is_some_and(|(resolver, _)| resolver.uses_names());
        // Who waits for a word may be let in without one.
        let is_whole = plan.held.is_none()
            && plan.refused.is_empty()
            && plan.draft.fallback.is_empty()
            && plan.waiting().tasks.is_empty()
            && !plan.draft.wanted.closes_https
            // What files hold can change by itself.
            && plan.draft.wanted.hidden_certificates.is_empty();
        memory.seen = (outcome.is_settled() && is_whole && !uses_names).then(|| Seen {
            answer: told.essence,
            asked: told.asked,
            decisions: self.decisions,
            drained: drained::digest(&memory.drained),
            cfg_hash: match &memory.applied {
                Some(applied) => applied.cfg_hash,
                None => Digest::of(plan.files.cfg.as_bytes()),
            },
        });
        // The answer that is kept may hold what was refused, and nobody remembers any more what was
        // served instead.
        let is_news = outcome != Outcome::Unchanged || !is_known(memory) || is_cured;
        let is_of_apps = plan.draft.wanted.is_labelled() && !plan.keeps_all;
        let good_answer = match memory.applied.as_ref().filter(|_| is_in_place && is_news) {
            Some(applied) if is_of_apps => Some(GoodAnswer::of(&plan, told, applied)?),
            _ => None,
        };
        Ok(Report {
            plan,
            outcome,
            complaints,
            as_before: false,
            is_light: false,
            good_answer,
        })
    }

    /// As [`Host::audit`], unless that was done just before and found nothing that is still wrong.
    async fn audit<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        memory: &mut State,
        now: Time,
    ) -> Result<Outcome> {
        let is_young = |at: Time| at <= now && now.since(at) < AUDITS_APART;
        if self.audited.is_some_and(is_young) {
            return Ok(Outcome::Unchanged);
        }
        let outcome = host.audit(memory, now).await?;
        self.audited = (outcome == Outcome::Unchanged).then_some(now);
        Ok(outcome)
    }

    /// What a turn would bring HAProxy to, as far as can be told without asking it.
    ///
    /// # Errors
    /// As [`Stages::plan`], and when the disk fails.
    pub async fn plan_on<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        memory: &mut State,
        now: Time,
    ) -> Result<Plan> {
        let installed = host.installed_cfg()?;
        let behind = host.cfg_behind(installed.as_deref(), memory);
        let plan = self
            .plan_beside(installed.as_deref(), behind.as_deref(), memory, now)
            .await?;
        if plan.keeps_all {
            return Ok(plan);
        }
        self.as_the_host_allows(host, plan, installed.as_deref())
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
            || seen.drained != drained::digest(&memory.drained)
            || memory.paused.is_some()
            || (self.recipe.is_labelled() && !is_known(memory))
            || memory.guard != GuardMemory::default();
        Ok((!open && host.is_settled(memory)?).then_some(seen))
    }
}

/// Whether the answer is kept of which the files were made that HAProxy runs.
fn is_known(memory: &State) -> bool {
    let made = memory.answer.map(|answer| answer.cfg_hash);
    let applied = memory.applied.as_ref().map(|applied| applied.cfg_hash);
    made.is_some() && made == applied
}
