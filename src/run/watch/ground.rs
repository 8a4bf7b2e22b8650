//! What a watcher works on: HAProxy as it is found, and the files as the configuration of now places
//! them.

use std::path::PathBuf;
use std::rc::Rc;

use super::super::lock::placed;
use super::Watcher;
use crate::apply::{Host, Installation, LocalHaproxy};
use crate::config::Config;
use crate::disk::OsDisk;
use crate::haproxy::Version;

/// It stays what it is, though the watcher is given another configuration meanwhile.
pub(super) struct Ground {
    program: PathBuf,
    version: Version,
    config: Rc<Config>,
    pub(super) at: Installation,
}

impl Ground {
    pub(super) fn haproxy(&self) -> LocalHaproxy<'_> {
        LocalHaproxy::new(self.program.clone(), self.version, &self.config, &OsDisk)
    }

    pub(super) fn host<'g>(&'g self, balancer: &'g LocalHaproxy<'g>) -> Host<'g, LocalHaproxy<'g>> {
        Host {
            disk: &OsDisk,
            balancer,
            at: &self.at,
        }
    }
}

impl Watcher {
    /// With HAProxy as [`Watcher::haproxy`] has found it. Who wants to change files has entered their
    /// folder before.
    pub(super) fn ground(&self, (program, version): (PathBuf, Version)) -> Ground {
        let state = self.memory.store.path();
        Ground {
            program,
            version,
            at: placed(&self.config, state, self.lock.is_alone()),
            config: Rc::clone(&self.config),
        }
    }

    /// The same with HAProxy as it was found last.
    pub(super) fn known_ground(&self) -> Option<Ground> {
        let known = self.haproxy.as_ref()?;
        Some(self.ground((known.path.clone(), known.version)))
    }
}
