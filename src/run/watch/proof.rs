//! The check of files that are installed already, since servers alone were new in them: beside the
//! turns, so that none has to wait for it.

use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use crate::apply::validate::{CheckError, Verdict};
use crate::apply::{Balancer as _, FileSet, Installation, LocalHaproxy};

/// Changes of so much time are checked together.
const GATHER: Duration = Duration::from_secs(1);

type Check<'c> = Pin<Box<dyn Future<Output = Result<Verdict, CheckError>> + 'c>>;

/// At most one at a time.
#[derive(Default)]
pub(super) struct Proof<'c> {
    wanted_at: Option<Instant>,
    running: Option<(Rc<FileSet>, Check<'c>)>,
}

/// What is next.
pub(super) enum Next {
    /// It is time to check what is installed.
    Begin,
    /// HAProxy has looked at these files.
    Said(Rc<FileSet>, Result<Verdict, CheckError>),
}

impl<'c> Proof<'c> {
    /// Something was installed that is yet to be proved.
    pub(super) fn is_wanted(&mut self, now: Instant) {
        self.wanted_at.get_or_insert(now + GATHER);
    }

    /// Nothing is; or a whole turn sees to it.
    pub(super) fn is_not_wanted(&mut self) {
        *self = Self::default();
    }

    pub(super) fn begin(&mut self, local: LocalHaproxy<'c>, at: Installation, files: FileSet) {
        self.wanted_at = None;
        let files = Rc::new(files);
        let judged = Rc::clone(&files);
        let check = async move { local.check(&judged, &at).await };
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
        match self.wanted_at {
            Some(at) => sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
        Next::Begin
    }
}
