//! What an edit of templates or options must not cost those who are served.
//!
//! While an edit is on trial, whoever it would take out of service is no culprit: what was right a
//! moment ago is so still, and the edit is what is new. Where an app says something else at the same
//! time, what counted before the edit finds it out, and remembers it for the next trial.

use std::fmt;

use anyhow::{Context as _, Error, Result};

use super::fallback::Fallback;
use super::source::Source;
use super::{Report, Stages, Told};
use crate::apply::{Balancer, Host};
use crate::cluster::{ServicePort, Warning};
use crate::guard;
use crate::marathon::Answer;
use crate::proxy::Owner;
use crate::resolve::Lookup;
use crate::state::{GuardMemory, Quarantined, State, Time};

/// Why there is no file: the templates, and not what Marathon says. As the context of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritable;

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the templates cannot be rendered")
    }
}

impl<S: Source, L: Lookup> Stages<S, L> {
    /// A turn for the edit on trial alone, with what the cluster was told to be last: an edit waits for
    /// no answer. `None` where nothing is known that it could be tried with, where something is open, or
    /// where less would be served, which takes fetches that agree.
    ///
    /// # Errors
    /// As [`Stages::turn`].
    pub async fn edited<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Option<Report>> {
        let is_open = memory.paused.is_some()
            || memory.pending.is_some()
            || memory.applied.is_none()
            || memory.guard != GuardMemory::default();
        if is_open || !self.is_on_trial {
            return Ok(None);
        }
        let Some(answer) = self.source.last() else {
            return Ok(None);
        };
        // It is no news: nothing is learnt of it.
        let (readiness, as_of) = (memory.readiness.clone(), memory.as_of);
        let report = self.with_last(host, answer, memory, now, remember).await;
        (memory.readiness, memory.as_of) = (readiness, as_of);
        memory.guard = GuardMemory::default();
        memory.seen = None;
        report
    }

    async fn with_last<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        answer: Answer,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Option<Report>> {
        let told = Told {
            essence: answer.essence,
            asked: None,
            body: String::new(),
        };
        let asked = self.asked(answer, memory, now).await?;
        let installed = host.installed_cfg()?;
        let behind = host.cfg_behind(installed.as_deref(), memory);
        let plan = self
            .plan_for(asked, installed.as_deref(), behind.as_deref(), memory, now)
            .await?;
        if plan.held.is_some() {
            return Ok(None);
        }
        let report = self.carry_out(host, (plan, told), installed, memory, now, remember);
        report.await.map(Some)
    }

    /// What the file says whatever the cluster is.
    fn own_header(&self) -> Result<String> {
        self.renderer.header().context(Unwritable)
    }

    /// The service ports of a file, if there is one.
    pub(super) fn served_by(&self, text: Option<&str>) -> Result<Vec<ServicePort>> {
        let own = self.own_header()?;
        let served = text.map(|text| guard::served(text, &own));
        Ok(served.unwrap_or_default())
    }

    /// Whether the edit on trial is to blame, and not these whom `served` names.
    pub(super) fn blames_the_edit(
        &self,
        culprits: &[(Owner, Warning)],
        served: &[ServicePort],
    ) -> bool {
        self.is_on_trial && (culprits.is_empty() || one_of(culprits, served).is_some())
    }

    /// Those whose text cannot be written, where the edit on trial is to blame for it.
    pub(super) fn heed_the_edit<'c>(
        &self,
        failed: impl IntoIterator<Item = &'c (Owner, Warning)>,
        installed: Option<&str>,
    ) -> Result<()> {
        let mut failed = failed.into_iter().peekable();
        if !self.is_on_trial || failed.peek().is_none() {
            return Ok(());
        }
        let served = self.served_by(installed)?;
        match one_of(failed, &served) {
            None => Ok(()),
            Some(warning) => {
                let warning = Warning {
                    effect: "what it is served with stays".to_owned(),
                    ..warning.clone()
                };
                Err(Error::msg(warning.to_string()).context(Unwritable))
            }
        }
    }

    /// For the options of one service port an answer is good that HAProxy was brought to once. What was
    /// refused before an edit is not asked again while that is on trial.
    pub(super) fn fallback(&self, memory: &State, now: Time) -> Fallback {
        let last_answer = memory.answer.and(self.last_answer.clone());
        let quarantined = memory.quarantined.iter();
        let known: Vec<Quarantined> = quarantined
            .map(|entry| Quarantined {
                decisions: if self.is_on_trial {
                    self.decisions
                } else {
                    entry.decisions
                },
                ..entry.clone()
            })
            .collect();
        Fallback::new(last_answer, &known, self.decisions, now)
    }
}

/// The first of them who is served.
fn one_of<'c>(
    culprits: impl IntoIterator<Item = &'c (Owner, Warning)>,
    served: &[ServicePort],
) -> Option<&'c Warning> {
    let is_served = |owner: &Owner| {
        let mut ports = served.iter();
        ports.any(|port| port.service_port == owner.service_port)
    };
    let mut culprits = culprits.into_iter();
    culprits.find_map(|(owner, warning)| is_served(owner).then_some(warning))
}
