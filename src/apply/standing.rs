//! What became of the process that runs the files, between turns: HAProxy ends, is started and is
//! reloaded by others too.

use anyhow::Result;
use tracing::info;

use super::proved::{installed, is_applied, is_down, is_remembered, is_run, was_started_by_us};
use super::reload::Reloaded;
use super::wish::Wish;
use super::{Balancer, FileSet, Host, Outcome, load_last_good, mark};
use crate::state::{Down, State, Time};

/// The process, beside the one that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it was, which may be that none runs.
    AsBefore,
    /// Another one, which somebody else brought to the same files.
    #[expect(missing_docs, reason = "the name says it")]
    Other { pid: u32 },
    /// None ran, and now one does.
    #[expect(missing_docs, reason = "the name says it")]
    CameUp { pid: u32 },
    /// The one that ran is gone, none took its place, and whoever starts it is somebody else.
    HasEnded,
    /// None runs, and it is ours to start one: the way to reload may be another than it was.
    ToStart,
}

impl<B: Balancer> Host<'_, B> {
    /// What a turn would find, with nothing changed.
    #[must_use]
    pub fn standing(&self, memory: &State) -> Standing {
        let Some(applied) = &memory.applied else {
            return Standing::AsBefore;
        };
        if applied.down.is_some() {
            return match self.balancer.running(self.at) {
                Some(pid) => Standing::CameUp { pid },
                None if self.balancer.starts(was_started_by_us(memory)) => Standing::ToStart,
                None => Standing::AsBefore,
            };
        }
        match applied.haproxy_pid {
            // One that was never seen, as behind a command.
            None if !applied.unproved
                && self.balancer.starts(was_started_by_us(memory))
                && self.balancer.running(self.at).is_none() =>
            {
                Standing::ToStart
            }
            None => Standing::AsBefore,
            Some(pid) if self.balancer.serves(pid, self.at) => Standing::AsBefore,
            Some(_) => match self.balancer.running(self.at) {
                Some(pid) => Standing::Other { pid },
                None if self.balancer.starts(was_started_by_us(memory)) => Standing::ToStart,
                None => Standing::HasEnded,
            },
        }
    }

    /// Whether it was not told of the files, as was configured, and now is to be.
    pub(super) fn is_to_be_told(&self, memory: &State) -> bool {
        let applied = memory.applied.as_ref();
        applied.is_some_and(|applied| applied.unproved && applied.down.is_none())
            && self.balancer.is_asked()
    }

    /// What becomes of a HAProxy that runs what is wanted; `None` where it is to be brought to it all
    /// the same.
    pub(super) fn remain(&self, wish: &Wish<'_>, memory: &mut State, now: Time) -> Option<Outcome> {
        let is_found = !is_remembered(&wish.marks, memory);
        if is_found {
            let ran = mark::get(self.disk, self.at, &wish.marks);
            wish.known(memory, self.balancer.running(self.at), ran);
            if self.balancer.is_in_sight() {
                expect_none(memory, ran.is_some());
            }
        } else if memory.applied.is_some() && self.standing(memory) == Standing::ToStart {
            // Its pause counts on.
            return None;
        } else if memory.pending.take().is_some_and(|p| p.attempts > 0) {
            info!(
                "over: a reload was refused; HAProxy still runs what is now wanted again, and \
                 needs none"
            );
        }
        match self.observe(memory, now) {
            Standing::ToStart => None,
            Standing::HasEnded => {
                // Said once: from now on no process is expected.
                wish.proved(memory, &Reloaded::NotRunning);
                Some(Outcome::NotRunning { installed: false })
            }
            Standing::AsBefore if is_found && is_down(memory) => {
                Some(Outcome::NotRunning { installed: false })
            }
            Standing::AsBefore | Standing::Other { .. } | Standing::CameUp { .. } => {
                Some(Outcome::Unchanged)
            }
        }
    }

    /// Answers that the process is another one or none, without knowing what the cluster asks for: one
    /// that is ours to start is started with the files that it was proved to run. `None` where that is
    /// for the next turn, since these files are not what is installed.
    ///
    /// # Errors
    /// As [`Host::bring_to`].
    pub(super) async fn stand_up(
        &self,
        standing: Standing,
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Option<Outcome>> {
        let maps = memory.applied.iter().flat_map(|a| a.map_hashes.keys());
        let files = match installed(self.disk, self.at, maps.map(String::as_str))? {
            Some(files) => Some(files),
            None => load_last_good(self.disk, self.at).unwrap_or_default(),
        };
        let is_right = |files: &FileSet| match standing {
            // It was perhaps told of the rest, which one that starts has to read.
            Standing::ToStart => is_run(files, memory),
            _ => is_applied(files, memory),
        };
        let Some(files) = files.filter(is_right) else {
            return Ok(None);
        };
        if memory.paused.is_some() {
            return self.leave(&files, memory, now).map(Some);
        }
        // Where none runs, nothing is lost by one that does not start: servers of which the last one was
        // told have not all been checked.
        let accepted = (standing == Standing::ToStart).then(|| (files.clone(), Vec::new()));
        let mut unheard = None;
        self.bring_to_hearing(&files, accepted, memory, now, remember, &mut unheard)
            .await
            .map(Some)
    }

    /// [`Host::standing`], once what others did is remembered and told.
    pub(super) fn observe(&self, memory: &mut State, now: Time) -> Standing {
        let standing = match self.standing(memory) {
            // Which files it read is not known: a reload was tried, or is due.
            Standing::Other { .. } | Standing::CameUp { .. } if memory.pending.is_some() => {
                Standing::AsBefore
            }
            standing => standing,
        };
        match standing {
            Standing::Other { pid } => recognise(memory, pid),
            Standing::CameUp { pid } => greet(memory, pid, now),
            Standing::AsBefore | Standing::HasEnded | Standing::ToStart => (),
        }
        standing
    }
}

/// Somebody else started HAProxy, with the files that are installed. That none ran was told once, and
/// so is that one does.
fn greet(memory: &mut State, pid: u32, now: Time) {
    if let Some(applied) = &mut memory.applied {
        info!("over: HAProxy did not run; it was started (pid {pid})");
        applied.at = now;
        applied.how = format!("HAProxy was started by somebody else (pid {pid})");
        applied.unproved = false;
        applied.down = None;
        applied.is_run_by(pid);
    }
}

/// Somebody else reloaded or restarted HAProxy, with the files that are installed.
fn recognise(memory: &mut State, pid: u32) {
    if let Some(applied) = &mut memory.applied {
        let before = applied.haproxy_pid.unwrap_or_default();
        info!("HAProxy runs as pid {pid} now, no longer as {before}: somebody else reloaded it");
        applied.is_run_by(pid);
    }
}

/// Where no process was found, none is expected, whether one `has_run` or not.
fn expect_none(memory: &mut State, has_run: bool) {
    if let Some(applied) = &mut memory.applied
        && applied.haproxy_pid.is_none()
    {
        applied.unproved = true;
        applied.down = Some(if has_run {
            Down::HasEnded
        } else {
            Down::NeverRan
        });
    }
}

/// No process is expected any more.
pub(super) fn lay_down(memory: &mut State) {
    if let Some(applied) = &mut memory.applied {
        applied.down = Some(Down::HasEnded);
        applied.unproved = true;
        applied.haproxy_pid = None;
    }
}
