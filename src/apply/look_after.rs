//! A HAProxy that has ended is brought back with the files that it ran, whatever else waits.
//!
//! What is wanted may be a set that cannot be started, or one that no disk has room for: it waits for
//! its next attempt, and HAProxy does not wait with it.

use tracing::warn;

use super::{Balancer, CheckMessage, Host, Outcome, Standing};
use crate::logging::{failing, lasting};
use crate::state::{Pending, State, Time};

/// The kind of trouble that HAProxy does not run.
const KIND: &str = "HAProxy";

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// There is nothing to be done, as far as a look can tell.
    Done,
    /// HAProxy does not run and could not be started. The next look tries again.
    Down,
    /// The next turn knows more.
    Left,
}

impl<B: Balancer> Host<'_, B> {
    /// Whether [`Host::look_after`] has something to do. That HAProxy runs again is told here.
    #[must_use]
    pub fn is_missed(&self, memory: &State, now: Time) -> bool {
        self.is_to_listen(memory) || self.missed(memory, now).is_some()
    }

    fn missed(&self, memory: &State, now: Time) -> Option<Standing> {
        let applied = memory.applied.as_ref()?;
        let standing = self.standing(memory);
        let is_served = applied.down.is_none() && applied.silent_since.is_none();
        if standing == Standing::AsBefore && is_served {
            lasting(KIND, None);
        }
        let is_missed = match (&memory.pending, standing) {
            (_, Standing::AsBefore) => false,
            (None, _) => true,
            (Some(waiting), Standing::ToStart) => {
                let is_start = waiting.cfg_hash == applied.cfg_hash && waiting.none_ran;
                !is_start || waiting.next_try_at <= now
            }
            // Which files another process has read is for a turn to find out.
            (Some(waiting), standing) => {
                let is_other = waiting.cfg_hash != applied.cfg_hash;
                is_other && standing == Standing::HasEnded
                    || !is_other && waiting.next_try_at <= now
            }
        };
        is_missed.then_some(standing)
    }

    /// Answers that the process is another one or none, without knowing what the cluster asks for. One
    /// that is ours to start is started with the files that it ran, though others wait.
    pub async fn look_after(
        &self,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Looked {
        self.heed_others(memory);
        if self.is_to_listen(memory) {
            let listens = self.listen_at_last(memory).await;
            remember(memory);
            return match listens {
                Ok(()) => Looked::Done,
                Err(why) => {
                    let why = format!("HAProxy does not listen, and nobody is served: {why}");
                    failing(KIND, &why);
                    Looked::Down
                }
            };
        }
        let Some(standing) = self.missed(memory, now) else {
            return Looked::Done;
        };
        let of = memory.applied.as_ref().map(|applied| applied.cfg_hash);
        let file = self.at.cfg.display();
        let waits_for_a_start = format!(
            "HAProxy does not run any more, and the way in which it is reloaded starts none; \
             `{file}` waits for whoever does"
        );
        let is_other = |waiting: &Pending| Some(waiting.cfg_hash) != of;
        if standing == Standing::HasEnded && memory.pending.as_ref().is_some_and(is_other) {
            lasting(KIND, Some(&waits_for_a_start));
            return Looked::Done;
        }
        let mut waiting = None;
        if standing == Standing::ToStart {
            self.put_back(memory);
            waiting = memory.pending.take();
        }
        let at = memory.applied.as_ref().map(|applied| applied.at);
        let result = self.stand_up(standing, memory, now, remember).await;
        let is_back = matches!(result, Ok(Some(Outcome::Applied { .. })));
        let others_wait = waiting.as_ref().is_some_and(is_other);
        if let Some(mut waiting) = waiting {
            // Whatever came of it, this process was started with the files of before.
            waiting.refused |= is_back;
            if others_wait || !is_back && memory.pending.is_none() {
                memory.pending = Some(waiting);
            }
        }
        let why = match result {
            Ok(Some(Outcome::Unchanged | Outcome::Paused)) => return Looked::Done,
            Ok(Some(Outcome::Applied { how, .. })) => {
                let of = at.map(|at| format!(" since {at}")).unwrap_or_default();
                let rest = if others_wait {
                    "; what else is wanted is tried again later"
                } else {
                    ""
                };
                warn!(
                    "HAProxy had ended, and was brought to the files that it ran{of}; {how}{rest}"
                );
                lasting(KIND, None);
                return Looked::Done;
            }
            Ok(Some(Outcome::NotRunning { .. })) => {
                warn!("{waits_for_a_start}");
                return Looked::Done;
            }
            Ok(None) if others_wait => format!("`{file}` and its maps are not what it ran"),
            Ok(
                Some(Outcome::Waiting { .. } | Outcome::Postponed { .. } | Outcome::Checking)
                | None,
            ) => {
                return Looked::Left;
            }
            Ok(Some(Outcome::ReloadFailed { error, .. })) => error,
            Ok(Some(Outcome::Rejected { messages })) => {
                let messages: Vec<String> = messages.iter().map(CheckMessage::lasting).collect();
                format!("`haproxy -c` refuses `{file}`: {}", messages.join("; "))
            }
            Err(error) => format!("{error:#}"),
        };
        cannot_be_started(&why);
        if others_wait {
            // It has times of its own.
            Looked::Down
        } else {
            Looked::Left
        }
    }

    /// The same at the end of a turn, which has seen to all the rest.
    pub async fn start_again(
        &self,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) {
        if !self.balancer.is_asked() {
            return;
        }
        self.heed_others(memory);
        // In the turn that left it so, enough was tried.
        let silent_since = memory.applied.as_ref().and_then(|a| a.silent_since);
        let is_to_listen = silent_since != Some(now) && self.is_to_listen(memory);
        if is_to_listen || self.missed(memory, now) == Some(Standing::ToStart) {
            self.look_after(memory, now, remember).await;
        }
    }

    /// Tells that HAProxy has ended where nobody can start it, for this reason.
    pub fn is_lost(&self, memory: &State, why: &str) {
        let standing = self.standing(memory);
        if memory.applied.is_some() && matches!(standing, Standing::ToStart | Standing::HasEnded) {
            cannot_be_started(why);
        }
    }
}

fn cannot_be_started(why: &str) {
    let sentence = format!("HAProxy has ended, and cannot be started: {why}");
    failing(KIND, &sentence);
}
