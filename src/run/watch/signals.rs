use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What somebody wants of the watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// SIGHUP: everything is asked now.
    Resync,
    /// SIGUSR1: HAProxy reads the installed files again.
    Reload,
    /// SIGTERM or SIGINT.
    End,
}

/// The signals that mean something. One that comes during a turn is heard after it, but for the end.
pub(super) struct Signals {
    hangup: Signal,
    user: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be waited for");
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            user: listen(SignalKind::user_defined1())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Wish::End,
            _ = self.interrupt.recv() => Wish::End,
            _ = self.user.recv() => Wish::Reload,
            _ = self.hangup.recv() => Wish::Resync,
        }
    }

    /// When somebody wants the end.
    pub(super) async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}
