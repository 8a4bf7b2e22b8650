//! A turn to which Marathon gives no answer: what is in service stays, and is made whole where it is
//! not.
//!
//! What may take the place of an answer is decided by [`Host::standby`]: the good files, as they are
//! installed or from their copies. Only where neither are left, they are made anew of the answer that is
//! kept. An answer that is kept is no news: nothing is learnt of it, and no removal counts it.

use std::fmt;

use anyhow::{Error, Result};
use tracing::{debug, warn};

use super::source::Source;
use super::{Applied, Stages};
use crate::apply::{Balancer, CheckMessage, Host, Outcome, Standby};
use crate::disk::Digest;
use crate::logging::shown;
use crate::resolve::Lookup;
use crate::state::{KeptAnswer, State, Time};

/// Why a turn came to nothing, and what is served in the meantime.
#[derive(Debug)]
pub struct Unanswered {
    why: String,
    /// What is served.
    pub meanwhile: Meanwhile,
    now: Time,
}

/// What is served while Marathon gives no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// What Marathon asked for then; `None` where nobody remembers when.
    AsOf(Option<Time>),
    /// Somebody else's file stays, and nothing is known that could be served.
    OfOthers(String),
    /// There is nothing, and nothing that could be.
    Nothing(String),
    /// What should be cannot, for this reason.
    Hindered(String),
}

impl Unanswered {
    /// What is true as long as it lasts.
    #[must_use]
    pub fn lasting(&self) -> String {
        let why = &self.why;
        match &self.meanwhile {
            Meanwhile::AsOf(Some(time)) => format!("{why}; what is served is of {time}"),
            Meanwhile::AsOf(None) => {
                format!("{why}; what is served stays, of a time that nobody remembers")
            }
            Meanwhile::OfOthers(file) => format!(
                "{why}; `{file}` stays as somebody else wrote it, since nothing is known that was \
                 served before"
            ),
            Meanwhile::Nothing(file) => format!(
                "{why}; nothing is served: there is no `{file}`, and neither good files nor an \
                 answer are kept that could take its place"
            ),
            Meanwhile::Hindered(reason) => {
                format!("{why}; and what was served before cannot be served: {reason}")
            }
        }
    }
}

/// With how old it is by now.
impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lasting())?;
        match &self.meanwhile {
            Meanwhile::AsOf(Some(time)) => {
                write!(f, " ({} old)", shown(self.now.since(*time)))
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Unanswered {}

/// What HAProxy was brought to.
struct Brought {
    outcome: Outcome,
    what: &'static str,
}

impl<S: Source, L: Lookup> Stages<S, L> {
    /// Sees to it that what was served goes on to be.
    pub(super) async fn unanswered<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        why: Error,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Unanswered {
        let served = self.serve_meanwhile(host, memory, now, remember).await;
        Unanswered {
            why: format!("{why:#}"),
            meanwhile: served.unwrap_or_else(|error| Meanwhile::Hindered(format!("{error:#}"))),
            now,
        }
    }

    async fn serve_meanwhile<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Meanwhile> {
        let as_of = |memory: &State| {
            let applied = memory.applied.as_ref().map(|applied| applied.at);
            Meanwhile::AsOf(memory.as_of.or(applied))
        };
        if memory.paused.is_some() {
            return Ok(as_of(memory));
        }
        let file = host.at.cfg.display();
        let brought = match host.standby(memory)? {
            Standby::InService => return Ok(as_of(memory)),
            Standby::Ready { files, copied_at } => {
                // From here on files may change.
                self.in_service = None;
                memory.as_of = memory.as_of.or(copied_at);
                let what = match copied_at {
                    Some(_) => "files were missing or changed, and the good ones are back",
                    None => "HAProxy did not run",
                };
                let outcome = host.bring_to(&files, memory, now, remember).await?;
                Brought { outcome, what }
            }
            Standby::Unknown { is_installed: true } => {
                return Ok(Meanwhile::OfOthers(file.to_string()));
            }
            Standby::Unknown { .. } | Standby::Lost => {
                match self.serve_kept(host, memory, now, remember).await? {
                    Some(brought) => brought,
                    None if host.installed_cfg()?.is_some() => {
                        return Ok(Meanwhile::Hindered(format!(
                            "`{file}` or its maps are not those that HAProxy was brought to, and \
                             neither good files nor an answer are kept; it stays as it is"
                        )));
                    }
                    None => return Ok(Meanwhile::Nothing(file.to_string())),
                }
            }
        };
        let Brought { outcome, what } = brought;
        Ok(match outcome {
            Outcome::Applied { how, .. } => {
                warn!("`{file}`: {what}, though Marathon does not answer; {how}");
                as_of(memory)
            }
            Outcome::NotRunning { installed: true } => {
                warn!(
                    "`{file}`: {what}, though Marathon does not answer; HAProxy does not run and \
                     was not started"
                );
                as_of(memory)
            }
            Outcome::Unchanged
            | Outcome::Paused
            | Outcome::Postponed { .. }
            | Outcome::Checking
            | Outcome::NotRunning { installed: false } => as_of(memory),
            Outcome::Rejected { messages } => {
                let messages: Vec<String> = messages.iter().map(CheckMessage::lasting).collect();
                let messages = messages.join("; ");
                Meanwhile::Hindered(format!("`haproxy -c` refuses `{file}`: {messages}"))
            }
            Outcome::ReloadFailed { error, .. } | Outcome::Waiting { error, .. } => {
                Meanwhile::Hindered(format!("the reload failed: {error}"))
            }
        })
    }

    /// Makes files of the answer that is kept, with the options of today. `None` where there is none,
    /// or labels do not count: of such a cluster no answer is kept.
    async fn serve_kept<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Option<Brought>> {
        let read = self.last_answer.as_ref();
        let Some(kept) = read.filter(|_| self.recipe.is_labelled()).and_then(|r| r()) else {
            return Ok(None);
        };
        let installed = host.installed_cfg()?;
        let plan = self
            .plan_of_kept(&kept, installed.as_deref(), memory, now)
            .await?;
        let Some(plan) = plan else {
            debug!("the answer that is kept cannot be read");
            return Ok(None);
        };
        let made = memory.answer.map(|answer| answer.cfg_hash);
        let is_older = made != memory.applied.as_ref().map(|applied| applied.cfg_hash);
        self.in_service = None;
        let Applied { outcome, .. } = self
            .apply(host, plan, installed.as_deref(), memory, now, remember)
            .await?;
        let is_in_place = outcome.is_in_place();
        if let Some(applied) = memory.applied.as_ref().filter(|_| is_in_place) {
            let essence = memory.answer.map(|answer| answer.essence);
            memory.answer = Some(KeptAnswer {
                essence: essence.unwrap_or_else(|| Digest::of(&kept.bytes)),
                cfg_hash: applied.cfg_hash,
            });
            if is_older || memory.as_of.is_none() {
                memory.as_of = Some(Time::at(kept.saved_at));
            }
        }
        let what = "good files were lost, and are made anew of the last answer that is kept";
        Ok(Some(Brought { outcome, what }))
    }
}
