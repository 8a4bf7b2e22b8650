//! What a watcher works on: HAProxy as it is found, and the files as the configuration of now places
//! them.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context as _, Result};

use super::super::lock::{enter_folder, placed};
use super::super::turn::{self, version};
use super::Watcher;
use crate::apply::{Beside, Host, Installation, LocalHaproxy, reserve_mark};
use crate::config::Config;
use crate::disk::OsDisk;
use crate::haproxy::{Version, program};

/// The program, as it was when its version was asked.
pub(super) struct Haproxy {
    path: PathBuf,
    /// Device, inode, and when it was last changed.
    file: (u64, u64, i64, i64),
    version: Version,
}

/// It stays what it is, though the watcher is given another configuration meanwhile.
pub(super) struct Ground {
    program: PathBuf,
    version: Version,
    config: Rc<Config>,
    beside: Rc<Beside>,
    pub(super) at: Installation,
}

impl Ground {
    pub(super) fn haproxy(&self) -> LocalHaproxy<'_> {
        LocalHaproxy::new(self.program.clone(), self.version, &self.config, &OsDisk)
    }

    /// The same for a turn that begins, which does not reload right after the one before, and waits for no
    /// check that takes long.
    pub(super) fn for_turns(&self) -> LocalHaproxy<'_> {
        LocalHaproxy {
            apart: self.config.reload.apart,
            ..self.beside_turns()
        }
    }

    /// The same for who reloads whatever came just before.
    pub(super) fn beside_turns(&self) -> LocalHaproxy<'_> {
        self.beside.begins();
        LocalHaproxy {
            beside: Some(&self.beside),
            ..self.haproxy()
        }
    }

    pub(super) fn host<'g>(&'g self, balancer: &'g LocalHaproxy<'g>) -> Host<'g, LocalHaproxy<'g>> {
        turn::host(balancer, &self.at)
    }
}

impl Watcher {
    /// Keeps others out of the folder of the configuration, until [`Locked::leave_folder`], and learns
    /// what an operator did there before.
    pub(super) async fn enter_folder(&mut self) {
        enter_folder(&mut self.lock, &self.places).await;
        self.troubles.lock(self.lock.warning());
        self.memory.heed_operator();
        let state = self.memory.store.path();
        reserve_mark(&OsDisk, &placed(&self.config, state, self.lock.is_alone()));
    }

    /// Its program and version, which is asked again only when the program is another one.
    pub(super) async fn haproxy(&mut self) -> Result<(PathBuf, Version)> {
        let path = match program::find(&self.config.haproxy.program) {
            Err(_) if self.config.validation.skip => {
                return turn::haproxy(&self.config).await;
            }
            found => found?,
        };
        let facts = std::fs::metadata(&path)
            .with_context(|| format!("`{}` cannot be looked at", path.display()))?;
        let file = (facts.dev(), facts.ino(), facts.ctime(), facts.ctime_nsec());
        let known = self.haproxy.take();
        let haproxy = match known.filter(|known| known.path == path && known.file == file) {
            Some(known) => known,
            None => Haproxy {
                version: version(&self.config, &path).await?,
                path,
                file,
            },
        };
        let found = (haproxy.path.clone(), haproxy.version);
        self.haproxy = Some(haproxy);
        Ok(found)
    }

    /// With HAProxy as [`Watcher::haproxy`] has found it. Who wants to change files has entered their
    /// folder before.
    pub(super) fn ground(&self, (program, version): (PathBuf, Version)) -> Ground {
        let state = self.memory.store.path();
        Ground {
            program,
            version,
            at: placed(&self.config, state, self.lock.is_alone()),
            config: Rc::clone(&self.config),
            beside: Rc::clone(&self.beside),
        }
    }

    /// The same with HAProxy as it was found last.
    pub(super) fn known_ground(&self) -> Option<Ground> {
        let known = self.haproxy.as_ref()?;
        Some(self.ground((known.path.clone(), known.version)))
    }
}
