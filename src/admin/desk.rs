//! Where a watcher answers: a socket that is there for as long as it runs.

use std::fmt;
use std::future::IntoFuture as _;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::socket::Socket;
use crate::door::Door;
use crate::logging::Trouble;

/// Connections at a time.
const SEATS: usize = 64;

/// For one answer.
const STAY: Duration = Duration::from_secs(60);

/// Between two looks whether the socket is there, or can be.
const LOOK: Duration = Duration::from_secs(30);

/// Answers until it is dropped, on a task of its own. A watcher does its work with or without: what
/// is in the way is told once, and tried again.
pub struct Desk {
    task: JoinHandle<()>,
}

impl Desk {
    /// Answers with `pages` at `path`. Has to be called within a runtime of tokio.
    #[must_use]
    pub fn open(path: PathBuf, pages: Router) -> Self {
        Self {
            task: tokio::spawn(answer(path, pages)),
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

async fn answer(path: PathBuf, pages: Router) {
    let mut trouble = Trouble::default();
    let shown = path.display();
    loop {
        match Socket::bind(&path).await {
            Ok((listener, socket)) => {
                if let Some(over) = trouble.is_over() {
                    info!("over: {over}");
                }
                debug!("answers at `{shown}` ({})", socket.open_to);
                let door = Door::new(listener, SEATS, STAY);
                tokio::select! {
                    _ = axum::serve(door, pages.clone()).into_future() => (),
                    () = is_gone(&socket) => {
                        info!("the socket `{shown}` was taken away, and is made anew");
                    }
                }
            }
            Err(error) => {
                let sentence = format!(
                    "nobody is answered at `{shown}` (--admin-socket): {error:#}; the pages of \
                     HAProxy's default HEAD, metrics and what `status` tells of a watcher are \
                     missing until then"
                );
                if trouble.is_news(&sentence) {
                    warn!("{sentence}");
                }
                sleep(LOOK).await;
            }
        }
    }
}

async fn is_gone(socket: &Socket) {
    while socket.is_there() {
        sleep(LOOK).await;
    }
}
