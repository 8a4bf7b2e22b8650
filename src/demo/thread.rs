//! A thread with a runtime of its own, which ends with the value that owns it.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

/// Runs one future and all that it spawns.
///
/// Dropping it ends everything at once: sockets close in the middle of an answer, as if the
/// process had been killed.
pub(super) struct RuntimeThread {
    stop: watch::Sender<bool>,
    kill: Option<oneshot::Sender<()>>,
    ended: oneshot::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// Resolves once the owner asks for an end in good order.
pub(super) struct Stop(watch::Receiver<bool>);

impl Stop {
    pub(super) async fn asked(mut self) {
        // An owner that is gone asks for the end too.
        let _ = self.0.wait_for(|asked| *asked).await;
    }
}

impl RuntimeThread {
    /// # Errors
    /// When the system grants no thread or no runtime.
    pub(super) fn start<Body, Work>(name: &str, body: Body) -> io::Result<Self>
    where
        Body: FnOnce(Stop) -> Work + Send + 'static,
        Work: Future<Output = ()>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, asked) = watch::channel(false);
        let (kill, killed) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = killed => (),
                        () = body(Stop(asked)) => (),
                    }
                });
                // What was spawned goes with the runtime, before anyone hears of the end.
                drop(runtime);
                let _ = end.send(());
            })?;
        Ok(Self {
            stop,
            kill: Some(kill),
            ended,
            thread: Some(thread),
        })
    }

    /// Asks for an end in good order, and ends what is left after `patience`.
    pub(super) async fn finish(mut self, patience: Duration) {
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(patience, &mut self.ended).await;
    }
}

impl Drop for RuntimeThread {
    fn drop(&mut self) {
        drop(self.kill.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there has been printed by that thread already.
            let _ = thread.join();
        }
    }
}
