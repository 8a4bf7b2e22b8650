//! What the process that runs knows of its servers, for the one that takes over from it.
//!
//! In comes the file that is read next; out goes the file that its `server-state-file` names, for as long
//! as the reload takes. After it the file says nothing again: a HAProxy that is started some day knows
//! better than we did then.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::debug;

use crate::disk::{self, Disk, LARGEST, folder_of, read_text};
use crate::haproxy::global::Global;
use crate::haproxy::servers::states;
use crate::haproxy::{Info, Session, down};
use crate::logging::lasting;

/// For each of two questions: a reload does not wait long for something that it can do without.
const ASK: Duration = Duration::from_secs(2);

/// Others than HAProxy may read it; it holds names and addresses.
const MODE: u32 = 0o644;

/// The kind of trouble that it cannot be written.
const KIND: &str = "the file of server states";

/// The file, while it says something.
#[derive(Debug)]
pub(in super::super) struct Health<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
    says: bool,
}

impl<'a> Health<'a> {
    /// Writes what the process that answers on `socket` knows. `None` where `cfg` names no such file, or
    /// one that others write.
    pub(in super::super) async fn hand_over(
        disk: &'a dyn Disk,
        cfg: &str,
        socket: Option<&Path>,
    ) -> Option<Self> {
        let path = Global::read(cfg).server_state_file?;
        if !is_ours(&path) {
            debug!(
                "`{}` is written by others, and is left to them",
                path.display()
            );
            return None;
        }
        let text = match socket {
            Some(socket) => known(socket, cfg).await,
            None => None,
        };
        let text = text.unwrap_or_else(|| down::NONE.to_owned());
        // As before HAProxy's first start: no file is there that had to be emptied.
        if text == down::NONE && !folder_of(&path).is_dir() {
            debug!("there is no folder for `{}` yet", path.display());
            return None;
        }
        let mut health = Self {
            disk,
            path,
            says: text != down::NONE,
        };
        health.write(&text);
        Some(health)
    }

    fn write(&mut self, text: &str) {
        let written = disk::replace(self.disk, &self.path, text.as_bytes(), MODE);
        let trouble = written.err().map(|error| {
            // What was to be written does not count, and perhaps the old does: it says nothing.
            self.says = false;
            format!("{error}; at a reload, servers that are down get requests until a check fails")
        });
        lasting(KIND, trouble.as_deref());
    }
}

/// The reload is over, or was broken off.
impl Drop for Health<'_> {
    fn drop(&mut self) {
        if self.says {
            self.write(down::NONE);
        }
    }
}

/// Whether it is missing, empty or of this program: who has another one has it for a reason.
fn is_ours(path: &Path) -> bool {
    match read_text(path, LARGEST) {
        Ok(text) => down::is_ours(&text),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// What a process that serves says of its servers; one that is about to end has not looked at them any
/// more.
async fn known(socket: &Path, cfg: &str) -> Option<String> {
    let asked = async {
        let mut session = Session::open(socket, ASK).await?;
        let info = session.ask("show info").await?;
        if Info::parse(&info).is_none_or(|info| info.stopping) {
            return Ok(None);
        }
        session.ask("show servers state").await.map(Some)
    };
    match asked.await {
        Ok(reply) => match states(&reply?) {
            Ok(present) => Some(down::text(cfg, &present)),
            Err(misread) => {
                debug!("the servers of the running HAProxy are not known: {misread}");
                None
            }
        },
        Err(error) => {
            debug!("the servers of the running HAProxy are not known: {error}");
            None
        }
    }
}
