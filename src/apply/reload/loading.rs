//! Whether a master that something else told to reload has tried that, and in vain.
//!
//! In come the processes of before; out goes that the master has begun to load its files, and is done
//! with it, and brought no worker that serves. Nobody says so, the old worker goes on to answer, and to
//! wait for a new one would take all the time that a reload is given. While a master loads, from the
//! moment in which it executes itself anew, it has no handler for the signal that tells it to; that is
//! so from 2.2 to 3.4, and can be seen by everybody.

use std::convert::Infallible;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use super::proof::{ASK, Before};
use super::workers::NOT_LOADED;
use super::{Context, Method, ReloadError};
use crate::haproxy::{Process, Role, master};

/// Between two looks: to load a small file takes longer.
const LOOK: Duration = Duration::from_millis(5);

/// How long a master has to rest without a new worker to have given up: between two of its steps, as
/// from a failure to executing itself anew, it may look as if it rested.
const RESTS: Duration = Duration::from_millis(500);

/// A master that is to load its files.
pub(super) struct Loading<'a> {
    context: &'a Context,
    before: &'a Before,
    /// `None` where there is none, or nothing can be seen of it.
    master: Option<&'a Process>,
    has_begun: bool,
    rests_since: Option<Instant>,
}

impl<'a> Loading<'a> {
    /// Nothing was told yet.
    pub(super) fn of(context: &'a Context, before: &'a Before) -> Self {
        let proc = &context.proc;
        let mut processes = before.processes.iter();
        let master = processes.find(|process| {
            proc.role(process) == Role::Master
                && proc.catches(process, Signal::SIGUSR2) == Some(true)
        });
        Self {
            context,
            before,
            master,
            has_begun: false,
            rests_since: None,
        }
    }

    /// Looks again and again, for as long as somebody waits for something else.
    pub(super) async fn watch(&mut self) -> Infallible {
        loop {
            self.look();
            sleep(LOOK).await;
        }
    }

    /// Whether it was in vain.
    pub(super) fn has_failed(&mut self) -> bool {
        self.look();
        let since = self.rests_since;
        let rests = since.is_some_and(|since| since.elapsed() >= RESTS);
        self.master
            .is_some_and(|master| rests && !self.has_new_worker(master))
    }

    fn look(&mut self) {
        let Some(master) = self.master else {
            return;
        };
        let proc = &self.context.proc;
        if !proc.still_runs(master) || proc.catches(master, Signal::SIGUSR2) != Some(true) {
            self.has_begun = true;
            self.rests_since = None;
        } else if self.has_begun {
            self.rests_since.get_or_insert_with(Instant::now);
        }
    }

    fn has_new_worker(&self, master: &Process) -> bool {
        let workers = self.context.proc.haproxies().into_iter();
        let mut workers = workers.filter(|process| process.parent == master.pid);
        workers.any(|worker| !self.before.had(&worker))
    }

    /// What there is to say of it: what the master says itself, since 2.7 and where it has a socket.
    pub(super) async fn failure(&self, how: &Method) -> ReloadError {
        let socket = self
            .master
            .and_then(|it| it.arguments.master_socket.as_ref());
        let said = match socket {
            Some(socket) => master::startup_logs(socket, ASK).await,
            None => None,
        };
        ReloadError::Refused {
            how: how.clone(),
            output: said.clone().unwrap_or_else(|| NOT_LOADED.to_owned()),
            said: said.unwrap_or_default(),
        }
    }
}
