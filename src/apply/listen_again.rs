//! A HAProxy that a failed reload left without its listeners: nobody serves, and what it ran is proved.

use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, error, warn};

use super::proved::{installed, is_run, was_started_by_us};
use super::reload::Reloaded;
use super::wish::described;
use super::{Balancer, FileSet, Host};
use crate::state::State;

/// Between the tries. What kept HAProxy from a port is often gone a moment later, and the turn that comes
/// next may wait much longer, since it is about the files that failed.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

impl<B: Balancer> Host<'_, B> {
    /// Has another process take over with the files of before, which are installed again.
    pub(super) async fn listen_again(&self, memory: &mut State) {
        let maps = memory.applied.iter().flat_map(|a| a.map_hashes.keys());
        let files = installed(self.disk, self.at, maps.map(String::as_str));
        // What cannot be read, or is something else, is for the next turn.
        let files = files.ok().flatten().filter(|files| is_run(files, memory));
        let Some(files) = files else { return };
        let Some(reloaded) = self.brought_again(&files, was_started_by_us(memory)).await else {
            return;
        };
        let (how, pid) = described(&reloaded);
        warn!(
            "the old HAProxy did not listen any more, so that another was brought to the files of \
             before: {how}"
        );
        if let Some((applied, pid)) = memory.applied.as_mut().zip(pid) {
            applied.is_run_by(pid);
        }
        if let Some(pending) = &mut memory.pending {
            pending.refused = true;
        }
    }

    /// By one of several tries, of which only the last is told of.
    async fn brought_again(&self, files: &FileSet, may_start: bool) -> Option<Reloaded> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let error = match self.balancer.reload(files, self.at, may_start).await {
                Ok(reloaded) => return Some(reloaded),
                Err(error) => error,
            };
            let Some(pause) = pauses.next() else {
                error!(
                    "HAProxy does not listen, and could not be brought to the files of before in {} \
                     tries either: {error}; start it with `{}`, which HAProxy ran before",
                    1 + PAUSES.len(),
                    self.at.cfg.display()
                );
                return None;
            };
            debug!("HAProxy does not listen, and is brought to the files of before again: {error}");
            sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::{BTreeMap, BTreeSet};
    use std::future::ready;
    use std::path::{Path, PathBuf};
    use std::time::SystemTime;

    use super::super::reload::{Method, ReloadError};
    use super::super::validate::{CheckError, Verdict};
    use super::super::wish::Wish;
    use super::super::{Installation, Try};
    use super::*;
    use crate::disk::MemoryDisk;
    use crate::haproxy::files::NamedFile;
    use crate::haproxy::listen::Listener;
    use crate::state::Time;

    /// A HAProxy that cannot be started so often.
    struct Fails(Cell<u32>);

    impl Balancer for Fails {
        async fn check(
            &self,
            _: &FileSet,
            _: &Installation,
            _: Option<Try>,
        ) -> Result<Verdict, CheckError> {
            unreachable!("what ran before was checked before")
        }

        fn reload(
            &self,
            _: &FileSet,
            _: &Installation,
            _: bool,
        ) -> impl Future<Output = Result<Reloaded, ReloadError>> {
            ready(match self.0.get().checked_sub(1) {
                None => Ok(Reloaded::TookOver { pid: 8 }),
                Some(left) => {
                    self.0.set(left);
                    Err(ReloadError::Refused {
                        how: Method::Sf,
                        output: "cannot bind socket".to_owned(),
                        said: String::new(),
                    })
                }
            })
        }

        fn serves(&self, _: u32, _: &Installation) -> bool {
            false
        }

        fn running(&self, _: &Installation) -> Option<u32> {
            None
        }

        fn is_asked(&self) -> bool {
            true
        }

        fn is_in_sight(&self) -> bool {
            true
        }

        fn still_serves(&self, _: u32, _: &FileSet, _: &Installation) -> bool {
            false
        }

        fn taken(&self, _: &BTreeSet<Listener>, _: &Installation) -> BTreeSet<u16> {
            BTreeSet::new()
        }

        fn holder(&self, _: u16) -> Option<String> {
            None
        }

        fn foreign(&self, _: &BTreeSet<Listener>, _: &Installation) -> BTreeSet<Listener> {
            BTreeSet::new()
        }

        fn unfit(&self, _: &BTreeSet<&NamedFile>, _: &[PathBuf]) -> BTreeMap<NamedFile, String> {
            BTreeMap::new()
        }

        fn starts(&self, _: bool) -> bool {
            true
        }
    }

    /// Which process serves once HAProxy could not be started so often.
    async fn serving_after(failures: u32) -> Option<u32> {
        let disk = MemoryDisk::new();
        disk.put_folder(Path::new("/etc"));
        let cfg = Path::new("/etc/haproxy.cfg");
        disk.put(cfg, b"global\n");
        let (at, balancer) = (Installation::new(cfg, None), Fails(Cell::new(failures)));
        let files = FileSet {
            cfg: "global\n".to_owned(),
            ..FileSet::default()
        };
        let mut memory = State::default();
        let before = Reloaded::TookOver { pid: 7 };
        Wish::new(&files, Time::at(SystemTime::UNIX_EPOCH)).proved(&mut memory, &before);
        let host = Host {
            disk: &disk,
            balancer: &balancer,
            at: &at,
        };
        host.listen_again(&mut memory).await;
        memory.applied.and_then(|applied| applied.haproxy_pid)
    }

    #[tokio::test(start_paused = true)]
    async fn a_haproxy_that_does_not_listen_is_brought_back_in_several_tries() {
        for failures in 0..4 {
            assert_eq!(serving_after(failures).await, Some(8), "{failures}");
        }
        // Whoever tries for ever keeps the lock for ever.
        assert_eq!(serving_after(4).await, Some(7));
    }
}
