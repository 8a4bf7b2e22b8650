//! The check of files that are installed already, since servers alone were new in them: beside the
//! turns, so that none has to wait for it.

use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use crate::apply::validate::{CheckError, Verdict};
use crate::apply::{Balancer as _, FileSet, Installation, LocalHaproxy};

/// So long nothing has to change before it is checked.
const QUIET: Duration = Duration::from_secs(1);

/// But it is checked after this time, whatever changes. A large file takes HAProxy seconds, and us
/// more than all changes that come meanwhile.
const AT_MOST: Duration = Duration::from_secs(30);

type Check<'c> = Pin<Box<dyn Future<Output = Result<Verdict, CheckError>> + 'c>>;

/// At most one at a time.
#[derive(Default)]
pub(super) struct Proof<'c> {
    wanted: Option<Wanted>,
    running: Option<(Rc<FileSet>, Check<'c>)>,
}

/// When something was installed that is yet to be proved.
#[derive(Clone, Copy)]
struct Wanted {
    first: Instant,
    last: Instant,
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
        let first = self.wanted.map_or(now, |wanted| wanted.first);
        self.wanted = Some(Wanted { first, last: now });
    }

    /// Nothing is; or a whole turn sees to it.
    pub(super) fn is_not_wanted(&mut self) {
        *self = Self::default();
    }

    pub(super) fn begin(&mut self, local: LocalHaproxy<'c>, at: Installation, files: FileSet) {
        self.wanted = None;
        let files = Rc::new(files);
        let judged = Rc::clone(&files);
        let check = async move { local.check(&judged, &at, None).await };
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
            Some(Wanted { first, last }) => {
                sleep_until((last + QUIET).min(first + AT_MOST).into()).await;
            }
            None => std::future::pending().await,
        }
        Next::Begin
    }
}
