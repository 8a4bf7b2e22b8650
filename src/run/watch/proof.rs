//! The check of files that are installed already, since servers alone were new in them: beside the
//! turns, so that none has to wait for it.

use std::pin::Pin;
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use tokio::time::sleep_until;
use tracing::debug;

use super::ground::Ground;
use super::{Watcher, now};
use crate::apply::validate::{CheckError, Verdict};
use crate::apply::{Balancer as _, FileSet};
use crate::cycle::Report;
use crate::state::Time;
use crate::watch::Wanted;

type Check = Pin<Box<dyn Future<Output = Result<Verdict, CheckError>>>>;

/// At most one at a time.
#[derive(Default)]
pub(super) struct Proof {
    wanted: Option<Wanted>,
    running: Option<(Rc<FileSet>, Check)>,
}

/// What is next.
pub(super) enum Next {
    /// It is time to check what is installed.
    Begin,
    /// HAProxy has looked at these files.
    Said(Rc<FileSet>, Result<Verdict, CheckError>),
}

impl Proof {
    /// Something was installed that is yet to be proved.
    pub(super) fn is_wanted(&mut self, now: Instant) {
        self.wanted = Some(Wanted::after(self.wanted, now));
    }

    /// Nothing is; or a whole turn sees to it.
    pub(super) fn is_not_wanted(&mut self) {
        *self = Self::default();
    }

    /// Has HAProxy look at `files`.
    pub(super) fn begin(&mut self, ground: Ground, files: FileSet) {
        let files = Rc::new(files);
        let judged = Rc::clone(&files);
        let check = async move { ground.haproxy().check(&judged, &ground.at, None).await };
        self.running = Some((files, Box::pin(check)));
    }

    /// Waits for it. What was begun goes on though nobody waits any more.
    pub(super) async fn next(&mut self) -> Next {
        if let Some((files, check)) = &mut self.running {
            let verdict = check.await;
            let files = Rc::clone(files);
            self.running = None;
            return Next::Said(files, verdict);
        }
        match self.wanted {
            Some(wanted) => sleep_until(wanted.due().into()).await,
            None => std::future::pending().await,
        }
        // Whatever becomes of it: what stays due would be all that is ever done.
        self.wanted = None;
        Next::Begin
    }
}

impl Watcher {
    /// The next turn may be for servers alone.
    pub(super) fn stand_on(&mut self, report: Report) {
        let Some(ground) = self.known_ground() else {
            return;
        };
        let local = ground.haproxy();
        if let Err(error) = self.stages.stand_on(&ground.host(&local), report) {
            debug!("the next turn is a whole one: {error:#}");
        }
        match self.stages.unproved() {
            None => self.proof.is_not_wanted(),
            Some(_) => self.proof.is_wanted(now()),
        }
    }

    /// Has `haproxy -c` look at files in which servers alone were new; `false` where a whole turn has
    /// to see to them.
    pub(super) fn prove(&mut self, next: Next) -> bool {
        let Some(ground) = self.known_ground() else {
            return false;
        };
        match next {
            Next::Begin => match self.stages.unproved() {
                Some(files) => {
                    self.proof.begin(ground, files.clone());
                    true
                }
                // What is installed is not known any more, as after an edit of templates.
                None => false,
            },
            Next::Said(files, Ok(Verdict::Accepted { .. })) => {
                let Self { memory, stages, .. } = self;
                let time = Time::at(SystemTime::now());
                if !memory.proved(stages, &ground.haproxy(), &ground.at, &files, time) {
                    self.proof.is_wanted(now());
                }
                self.live.unsaved(self.memory.unsaved());
                true
            }
            // It finds out who is to blame, and tells.
            Next::Said(_, Ok(Verdict::Rejected { .. }) | Err(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_due_is_due_once() {
        let mut proof = Proof::default();
        proof.is_wanted(now());
        assert!(matches!(proof.next().await, Next::Begin));
        let again = timeout(Duration::from_secs(3_600), proof.next()).await;
        assert!(again.is_err());
        // What is installed after that counts anew.
        proof.is_wanted(now());
        assert!(matches!(proof.next().await, Next::Begin));
    }
}
