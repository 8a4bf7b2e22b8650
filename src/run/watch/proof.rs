//! The check of files that are installed already, since servers alone were new in them: beside the
//! turns, so that none has to wait for it.

use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::sleep_until;
use tracing::debug;

use super::super::lock::installation;
use super::{Haproxy, Watcher, now};

use crate::apply::validate::{CheckError, Verdict};
use crate::apply::{Balancer as _, FileSet, Host, Installation, LocalHaproxy};
use crate::config::Config;
use crate::cycle::Report;
use crate::disk::OsDisk;
use crate::haproxy::Version;
use crate::state::Time;

/// So long nothing has to change before it is checked.
const QUIET: Duration = Duration::from_secs(1);

/// But it is checked after this time, whatever changes. A large file takes HAProxy seconds, and us
/// more than all changes that come meanwhile.
const AT_MOST: Duration = Duration::from_secs(30);

type Check = Pin<Box<dyn Future<Output = Result<Verdict, CheckError>>>>;

/// At most one at a time.
#[derive(Default)]
pub(super) struct Proof {
    wanted: Option<Wanted>,
    running: Option<(Rc<FileSet>, Check)>,
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

impl Proof {
    /// Something was installed that is yet to be proved.
    pub(super) fn is_wanted(&mut self, now: Instant) {
        let first = self.wanted.map_or(now, |wanted| wanted.first);
        self.wanted = Some(Wanted { first, last: now });
    }

    /// Nothing is; or a whole turn sees to it.
    pub(super) fn is_not_wanted(&mut self) {
        *self = Self::default();
    }

    /// Has the program look at `files`.
    pub(super) fn begin(
        &mut self,
        (program, version): (PathBuf, Version),
        config: Rc<Config>,
        at: Installation,
        files: FileSet,
    ) {
        self.wanted = None;
        let files = Rc::new(files);
        let judged = Rc::clone(&files);
        let check = async move {
            let local = LocalHaproxy::new(program, version, &config, &OsDisk);
            local.check(&judged, &at, None).await
        };
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

impl Watcher {
    /// The next turn may be for servers alone.
    pub(super) fn stand_on(&mut self, report: Report) {
        let Some(Haproxy { path, version, .. }) = &self.haproxy else {
            return;
        };
        let config = Rc::clone(&self.config);
        let local = LocalHaproxy::new(path.clone(), *version, &config, &OsDisk);
        let at = &installation(&config, self.memory.store.path(), self.lock.is_alone());
        let host = Host {
            disk: &OsDisk,
            balancer: &local,
            at,
        };
        if let Err(error) = self.stages.stand_on(&host, report) {
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
        let Some(Haproxy { path, version, .. }) = &self.haproxy else {
            return false;
        };
        let config = Rc::clone(&self.config);
        let local = LocalHaproxy::new(path.clone(), *version, &config, &OsDisk);
        let at = installation(&config, self.memory.store.path(), self.lock.is_alone());
        match next {
            Next::Begin => {
                if let Some(files) = self.stages.unproved() {
                    let program = (path.clone(), *version);
                    self.proof.begin(program, config, at, files.clone());
                }
                true
            }
            Next::Said(files, Ok(Verdict::Accepted { .. })) => {
                let Self { memory, stages, .. } = self;
                let time = Time::at(SystemTime::now());
                if !memory.proved(stages, &local, &at, &files, time) {
                    self.proof.is_wanted(now());
                }
                true
            }
            // It finds out who is to blame, and tells.
            Next::Said(_, Ok(Verdict::Rejected { .. }) | Err(_)) => false,
        }
    }
}
