//! What should be installed: the first half of a turn, which decides and touches nothing.

use std::sync::Arc;

use anyhow::Result;

use super::Stages;
use super::displaced::Displaced;
use super::drained::{drain, take_out};
use super::fallback::{Fallback, apps_of};
use super::readiness::Waiting;
use super::recipe::At;
use super::served::incumbents;
use super::source::Source;
use super::wanted::Wanted;
use crate::apply::validate::Severity;
use crate::apply::{CheckMessage, FileSet};
use crate::cluster::{App, Warning};
use crate::diff::Change;
use crate::disk::Digest;
use crate::guard::{self, Held};
use crate::marathon::Answer;
use crate::proxy::{Incumbents, Owner, Proxies};
use crate::render::Rendered;
use crate::resolve::Lookup;
use crate::state::{GuardMemory, SavedSnapshot, State, Time};

/// What should be installed, and how it came about.
#[derive(Clone, Debug)]
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
    /// Service ports that are out because HAProxy refused what they said, or could not listen there.
    pub refused: Vec<Owner>,
    /// What it was made of.
    pub(super) draft: Draft,
}

/// What the cluster asks for, before it is put into files.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) wanted: Wanted,
    pub(super) fallback: Fallback,
    pub(super) incumbents: Incumbents,
    pub(super) warnings: Vec<Warning>,
    /// Who gave way to others, for as long as these are to be served.
    pub(super) displaced: Vec<Displaced>,
}

impl Plan {
    /// What is installed is wanted, as it was the last time.
    pub(super) fn as_before(from: String) -> Self {
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

    /// What is held back, and until when, in a sentence.
    #[must_use]
    pub fn held_back(&self) -> Option<String> {
        let held = self.held.as_ref()?;
        Some(if self.keeps_all {
            held.keeping_all()
        } else {
            held.to_string()
        })
    }

    /// Warns of something that was seen only now.
    pub(super) fn warn_once(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// The tasks that it leaves out until they are ready.
    #[must_use]
    pub fn waiting(&self) -> &Waiting {
        &self.draft.wanted.waiting
    }

    /// Who answers for what HAProxy complains of: known by the line, else by the section that it
    /// names.
    #[must_use]
    pub fn blamed(&self, message: &CheckMessage) -> Option<&Owner> {
        let by_line = || self.rendered.owner_of_line(message.line?);
        let by_name = || {
            let mut named = message.proxies.iter();
            named.find_map(|proxy| self.proxies.owner_of(proxy))
        };
        by_line().or_else(by_name)
    }

    /// Everybody whom HAProxy's refusal is about, with its words.
    pub(super) fn culprits(&self, messages: &[CheckMessage]) -> Vec<(Owner, Warning)> {
        let mut culprits: Vec<(Owner, Warning)> = Vec::new();
        for message in messages.iter().filter(|m| m.severity == Severity::Alert) {
            let owners = match self.blamed(message) {
                Some(owner) => vec![owner],
                None => self.blamed_in_common(message),
            };
            for owner in owners {
                if culprits.iter().any(|(known, _)| known == owner) || self.refused.contains(owner)
                {
                    continue;
                }
                let warning = refused(owner, &message.lasting());
                let subject = self.label_behind(owner, message);
                let subject = subject.unwrap_or(warning.subject);
                culprits.push((owner.clone(), Warning { subject, ..warning }));
            }
        }
        culprits
    }
}

/// What an answer asks for, and what was left out of it.
pub(super) struct Asked {
    wanted: Wanted,
    fallback: Fallback,
    warnings: Vec<Warning>,
    pub(super) from: String,
}

impl Asked {
    /// Equal where the same files would be made beside the same memory. What labels ask for is not
    /// digested: to build it costs little more.
    pub(super) fn digest(&self) -> Option<Digest> {
        let ports = &self.wanted.ports;
        (!self.wanted.is_labelled()).then(|| Digest::of_value(&(ports, &self.warnings)))
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
        let asked = self.asked(answer, memory, now).await?;
        self.plan_for(asked, installed, behind, memory, now).await
    }

    /// What of an answer can reach the files.
    pub(super) async fn asked(
        &mut self,
        answer: Answer,
        memory: &mut State,
        now: Time,
    ) -> Result<Asked> {
        let mut warnings = answer.warnings;
        let mut fallback = self.fallback(memory, now);
        let recipe = &mut self.recipe;
        let at = &mut At {
            now,
            readiness: &mut memory.readiness,
            drained: &memory.drained,
        };
        let mut wanted = recipe.select(answer.cluster, at, &mut fallback, &mut warnings)?;
        self.resolve(&mut wanted, &mut warnings).await;
        drain(&mut wanted.ports, &memory.drained);
        Ok(Asked {
            wanted,
            fallback,
            warnings,
            from: answer.from,
        })
    }

    pub(super) async fn plan_for(
        &mut self,
        asked: Asked,
        installed: Option<&str>,
        behind: Option<&str>,
        memory: &mut State,
        now: Time,
    ) -> Result<Plan> {
        let Asked {
            mut wanted,
            fallback,
            warnings,
            from,
        } = asked;
        let behind_it = self.served_by(behind)?;
        let mut served = guard::with_those_behind(self.served_by(installed)?, Some(behind_it));
        let incumbents = incumbents(memory, &served, installed.or(behind));
        let is_labelled = wanted.is_labelled();
        if !is_labelled {
            take_out(&mut wanted.ports, &mut served, &memory.drained);
        }
        let mut held = None;
        let mut keeps_all = false;
        if self.allow_removal {
            memory.guard = GuardMemory::default();
        } else if !is_labelled {
            let ports = std::mem::take(&mut wanted.ports);
            (wanted.ports, held) = guard::hold(&served, ports, &mut memory.guard, now);
        }
        let draft = Draft {
            wanted,
            fallback,
            incumbents,
            warnings,
            displaced: Vec::new(),
        };
        let mut plan = self.draw_numeric(draft, installed)?;
        if is_labelled && !self.allow_removal {
            // What labels ask for is known by what was made of them, and cannot be read back from the
            // installed file, only how much that serves. Whoever lost all servers while the rest of the
            // file had to wait is no loss any more.
            if memory.told.is_some() {
                served.retain(|port| !port.endpoints.is_empty());
            }
            let served = guard::once(served);
            let wanted = guard::once(plan.dialled());
            let expected;
            (expected, held) = guard::hold(&served, wanted, &mut memory.guard, now);
            if let Some(held) = &held {
                let whole = self.put_back(&plan, held, installed.or(behind), memory, now);
                match whole.await? {
                    Some(whole) if !guard::loses_most(&expected, &guard::once(whole.dialled())) => {
                        plan = whole;
                    }
                    _ => {
                        keeps_all = true;
                        if let Some((resolver, _)) = &mut self.resolver {
                            resolver.keep_dropped();
                        }
                    }
                }
            }
        }
        plan.held = held;
        plan.from = from;
        if keeps_all {
            plan.keeps_all = true;
            plan.change = Change::Nothing;
        }
        Ok(plan)
    }

    /// The same plan with what it lacks and what is `held`; `None` where no answer is known of which
    /// the file `cfg` was made.
    async fn put_back(
        &mut self,
        plan: &Plan,
        held: &Held,
        cfg: Option<&str>,
        memory: &mut State,
        now: Time,
    ) -> Result<Option<Plan>> {
        let Some(mut last) = self.last_good_apps(memory, cfg) else {
            return Ok(None);
        };
        // An answer tells of much that was never served.
        let deployments = self.recipe.deployments(&last);
        last.retain(|app| {
            let served_as = deployments.get(&app.id).unwrap_or(&app.id);
            held.apps.contains(&served_as.safe_path())
        });
        let apps = guard::with_lost_apps(&plan.draft.wanted.apps, &last);
        let fallback = self.fallback(memory, now);
        let at = &mut At {
            now,
            readiness: &mut memory.readiness,
            drained: &memory.drained,
        };
        let incumbents = plan.draft.incumbents.clone();
        let draft = self.draft_of(&apps, at, fallback, incumbents).await;
        self.draw_numeric(draft, cfg).map(Some)
    }

    /// What the answer that is kept asks for, in the place of one that does not come. It is no news:
    /// what is remembered of answers stays as it is. `None` where none is kept that can be read.
    pub(super) async fn plan_of_kept(
        &mut self,
        kept: &SavedSnapshot,
        installed: Option<&str>,
        memory: &State,
        now: Time,
    ) -> Result<Option<Plan>> {
        let Some(apps) = apps_of(&kept.bytes) else {
            return Ok(None);
        };
        let fallback = self.fallback(memory, now);
        let at = &mut At {
            now,
            readiness: &mut memory.readiness.clone(),
            drained: &memory.drained,
        };
        let incumbents = incumbents(memory, &[], installed);
        let draft = self.draft_of(&apps, at, fallback, incumbents).await;
        self.draw_numeric(draft, installed).map(Some)
    }

    /// What apps that are known already ask for.
    async fn draft_of(
        &mut self,
        apps: &[Arc<App>],
        at: &mut At<'_>,
        mut fallback: Fallback,
        incumbents: Incumbents,
    ) -> Draft {
        let mut warnings = Vec::new();
        let recipe = &mut self.recipe;
        let mut wanted = recipe.select_apps(apps, at, &mut fallback, &mut warnings);
        self.resolve(&mut wanted, &mut warnings).await;
        drain(&mut wanted.ports, at.drained);
        Draft {
            wanted,
            fallback,
            incumbents,
            warnings,
            displaced: Vec::new(),
        }
    }

    /// Host names to addresses, where they have to resolve.
    async fn resolve(&mut self, wanted: &mut Wanted, warnings: &mut Vec<Warning>) {
        if let Some((resolver, names)) = &mut self.resolver {
            warnings.extend(resolver.resolve(&mut wanted.ports, *names).await);
        }
        wanted.drop_idle();
    }

    /// The apps of which `cfg` was made, the file that HAProxy runs: those of the answer that is kept, with
    /// what turns for servers alone have made of them since. Where a removal was held, the state could not
    /// be saved, or an operator went back, no answer is known of which it was.
    fn last_good_apps(&self, memory: &State, cfg: Option<&str>) -> Option<Vec<Arc<App>>> {
        let (kept, cfg) = memory.answer.as_ref().zip(cfg)?;
        let read = || apps_of(&self.last_answer.as_ref()?()?.bytes);
        let in_service = self.in_service.as_ref();
        if let Some(as_now) = in_service.and_then(|known| known.since(kept, cfg)) {
            return Some(read()?.iter().map(as_now).collect());
        }
        let applied = memory.applied.as_ref()?.cfg_hash;
        if kept.cfg_hash != applied || applied != Digest::of(cfg.as_bytes()) {
            return None;
        }
        read()
    }
}

/// What of an owner is refused, in these words.
pub(super) fn refused(owner: &Owner, words: &str) -> Warning {
    Warning {
        app: Some(owner.app.clone()),
        subject: format!("service port {}", owner.service_port),
        found: format!("what `haproxy -c` refuses: {words}"),
        expected: "a section that it accepts".to_owned(),
        effect: "service port left out".to_owned(),
    }
}
