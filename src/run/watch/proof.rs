//! The check of files that are installed already, since servers alone were new in them: beside the
//! turns, so that none has to wait for it.

use std::pin::Pin;
use std::rc::Rc;
use std::time::SystemTime;

use tokio::time::sleep_until;
use tracing::debug;

use super::ground::Ground;
use super::{Watcher, now};
use crate::apply::validate::{CheckError, Verdict};
use crate::apply::{Balancer as _, FileSet};
use crate::cycle::Report;
use crate::state::Time;
use crate::watch;

pub(super) type Proof = watch::Proof<Check>;

/// HAProxy looks at these files.
pub(super) struct Check {
    files: Rc<FileSet>,
    verdict: Pin<Box<dyn Future<Output = Result<Verdict, CheckError>>>>,
}

impl Check {
    fn of(ground: Ground, files: FileSet) -> Self {
        let files = Rc::new(files);
        let judged = Rc::clone(&files);
        let verdict = async move { ground.haproxy().check(&judged, &ground.at, None).await };
        Self {
            files,
            verdict: Box::pin(verdict),
        }
    }
}

/// What is next.
pub(super) enum Next {
    /// It is time to check what is installed.
    Begin,
    /// HAProxy has looked at these files.
    Said(Rc<FileSet>, Result<Verdict, CheckError>),
}

impl Proof {
    /// Waits for it. What was begun goes on though nobody waits any more.
    pub(super) async fn next(&mut self) -> Next {
        if let Some(Check { files, verdict }) = self.running_mut() {
            let verdict = verdict.await;
            let files = Rc::clone(files);
            self.ended();
            return Next::Said(files, verdict);
        }
        match self.due() {
            Some(due) => sleep_until(due.into()).await,
            None => std::future::pending().await,
        }
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
        let ground = self.known_ground();
        match (next, ground) {
            (Next::Begin, ground) => {
                let files = self.stages.unproved().cloned();
                let check = ground.zip(files);
                let check = check.map(|(ground, files)| Check::of(ground, files));
                self.proof.begin(check)
            }
            (Next::Said(files, Ok(Verdict::Accepted { .. })), Some(ground)) => {
                let Self { memory, stages, .. } = self;
                let time = Time::at(SystemTime::now());
                if !memory.proved(stages, &ground.haproxy(), &ground.at, &files, time) {
                    self.proof.is_wanted(now());
                }
                self.live.unsaved(self.memory.unsaved());
                true
            }
            // It finds out who is to blame, and tells.
            (Next::Said(..), _) => false,
        }
    }
}
