//! A HAProxy that a failed reload left without its listeners: nobody serves, and what it ran is proved.

use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, error, warn};

use super::proved::{installed, is_run, is_silent, was_started_by_us};
use super::reload::Reloaded;
use super::wish::described;
use super::{Balancer, FileSet, Host, Standing};
use crate::state::{State, Time};

/// Between the tries. What kept HAProxy from a port is often gone a moment later, and the turn that comes
/// next may wait much longer, since it is about the files that failed.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

impl<B: Balancer> Host<'_, B> {
    /// Has another process take over from `pid` with the files of before, which are installed again. Where none of
    /// several tries does it, the next turns and looks go on with that.
    pub(super) async fn listen_again(&self, pid: u32, memory: &mut State, now: Time) {
        if let Some(applied) = &mut memory.applied {
            if applied.haproxy_pid != Some(pid) {
                applied.is_run_by(pid);
            }
            applied.silent_since = Some(now);
        }
        let files = match self.files_of_before(memory) {
            Ok(files) => files,
            // It is so a moment later, too.
            Err(why) => {
                error!(
                    "HAProxy does not listen, and cannot be brought to the files of before: {why}; the \
                     next turns and looks try it again"
                );
                return;
            }
        };
        let mut pauses = PAUSES.into_iter();
        loop {
            let Err(why) = self.brought_again(&files, memory).await else {
                return;
            };
            let Some(pause) = pauses.next() else {
                error!(
                    "HAProxy does not listen, and could not be brought to the files of before in {} \
                     tries either: {why}; it is tried again; it can be started with `{}`, which it \
                     ran before",
                    1 + PAUSES.len(),
                    self.at.cfg.display()
                );
                return;
            };
            debug!("HAProxy does not listen, and is brought to the files of before again: {why}");
            sleep(pause).await;
        }
    }

    /// Whether the process is there and serves nobody, so that it is to be tried once more.
    pub(super) fn is_to_listen(&self, memory: &State) -> bool {
        memory.paused.is_none() && is_silent(memory) && self.standing(memory) == Standing::AsBefore
    }

    /// Somebody else brought another process up, which listens as far as anybody knows.
    pub(super) fn heed_others(&self, memory: &mut State) {
        if is_silent(memory)
            && matches!(self.standing(memory), Standing::Other { .. })
            && let Some(applied) = &mut memory.applied
        {
            applied.silent_since = None;
        }
    }

    /// Once more, some time after [`Host::listen_again`] has come to nothing; `Err` says why it did again.
    pub(super) async fn listen_at_last(&self, memory: &mut State) -> Result<(), String> {
        // A full disk may have kept what failed.
        self.put_back(memory);
        let files = self.files_of_before(memory)?;
        self.brought_again(&files, memory).await
    }

    fn files_of_before(&self, memory: &State) -> Result<FileSet, String> {
        let maps = memory.applied.iter().flat_map(|a| a.map_hashes.keys());
        let files = installed(self.disk, self.at, maps.map(String::as_str));
        let files = files.map_err(|error| format!("{error:#}"))?;
        let files = files.filter(|files| is_run(files, memory));
        files.ok_or_else(|| {
            let file = self.at.cfg.display();
            format!("`{file}` and its maps are not what it ran")
        })
    }

    async fn brought_again(&self, files: &FileSet, memory: &mut State) -> Result<(), String> {
        let may_start = was_started_by_us(memory);
        let reloaded = self.balancer.reload(files, self.at, may_start).await;
        let reloaded = reloaded.map_err(|error| error.to_string())?;
        let (how, pid) = described(&reloaded);
        if reloaded == Reloaded::NotRunning {
            return Err(format!("{how} by then"));
        }
        warn!(
            "the old HAProxy did not listen any more, so that another was brought to the files of \
             before: {how}"
        );
        if let Some(applied) = &mut memory.applied {
            applied.silent_since = None;
            if let Some(pid) = pid {
                applied.is_run_by(pid);
            }
        }
        if let Some(pending) = &mut memory.pending {
            pending.refused = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::{BTreeMap, BTreeSet};
    use std::future::ready;
    use std::path::{Path, PathBuf};
    use std::time::SystemTime;

    use tokio::time::Instant;

    use super::super::reload::{Method, ReloadError};
    use super::super::validate::{CheckError, Verdict};
    use super::super::wish::Wish;
    use super::super::{Installation, Looked, Try};
    use super::*;
    use crate::disk::{Digest, MemoryDisk};
    use crate::haproxy::files::NamedFile;
    use crate::haproxy::listen::Listener;
    use crate::state::Pending;

    /// A HAProxy that cannot be started so often, for this reason.
    struct Fails(Cell<u32>, Failure);

    type Failure = fn() -> Result<Reloaded, ReloadError>;

    fn refused() -> Result<Reloaded, ReloadError> {
        Err(ReloadError::Refused {
            how: Method::Sf,
            output: "cannot bind socket".to_owned(),
            said: String::new(),
        })
    }

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
                    self.1()
                }
            })
        }

        fn serves(&self, _: u32, _: &Installation) -> bool {
            true
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

    fn now() -> Time {
        Time::at(SystemTime::UNIX_EPOCH)
    }

    /// Which process serves once HAProxy could not be started so often, since when none does, and how a
    /// look comes out then.
    async fn serving_after(
        failures: u32,
        failure: Failure,
        looks: usize,
    ) -> (Option<u32>, Option<Time>, Vec<Looked>) {
        let now = now();
        let later = now.after(Duration::from_secs(1));
        let disk = MemoryDisk::new();
        disk.put_folder(Path::new("/etc"));
        let cfg = Path::new("/etc/haproxy.cfg");
        disk.put(cfg, b"global\n");
        let (at, balancer) = (
            Installation::new(cfg, None),
            Fails(Cell::new(failures), failure),
        );
        let files = FileSet {
            cfg: "global\n".to_owned(),
            ..FileSet::default()
        };
        let mut memory = State::default();
        let before = Reloaded::TookOver { pid: 7 };
        let wish = Wish::new(&files, now);
        wish.proved(&mut memory, &before);
        memory.pending = Some(Pending {
            cfg_hash: Digest::of(b"other"),
            attempts: 1,
            ..wish.pending(&memory, "no", Duration::from_secs(600))
        });
        let host = Host {
            disk: &disk,
            balancer: &balancer,
            at: &at,
        };
        let began = Instant::now();
        disk.put(cfg, b"defaults\n");
        host.listen_again(7, &mut memory.clone(), now).await;
        assert_eq!(began.elapsed(), Duration::ZERO, "it is no other file later");
        disk.put(cfg, files.cfg.as_bytes());
        host.listen_again(7, &mut memory, now).await;
        let mut looked = Vec::new();
        // At the end of the same turn it is not tried at once.
        host.start_again(&mut memory, now, &mut |_| ()).await;
        for _ in 0..looks {
            assert_eq!(
                host.is_missed(&memory, later),
                memory.applied.as_ref().unwrap().silent_since.is_some()
            );
            looked.push(host.look_after(&mut memory, later, &mut |_| ()).await);
        }
        assert!(memory.pending.is_some(), "what failed is still to be tried");
        let applied = memory.applied.unwrap();
        (applied.haproxy_pid, applied.silent_since, looked)
    }

    #[tokio::test(start_paused = true)]
    async fn a_haproxy_that_does_not_listen_is_brought_back_in_several_tries() {
        for failure in [refused as Failure, || Ok(Reloaded::NotRunning)] {
            for failures in 0..4 {
                let serving = serving_after(failures, failure, 1).await;
                assert_eq!(serving, (Some(8), None, vec![Looked::Done]), "{failures}");
            }
        }
    }

    /// Whoever tries for ever keeps the lock for ever.
    #[tokio::test(start_paused = true)]
    async fn one_that_cannot_be_brought_back_is_known_and_tried_at_each_look() {
        for failure in [refused as Failure, || Ok(Reloaded::NotRunning)] {
            let silent = serving_after(4, failure, 0).await;
            assert_eq!(silent, (Some(7), Some(now()), vec![]));
            let looked = vec![Looked::Down, Looked::Done, Looked::Done];
            assert_eq!(serving_after(5, failure, 3).await, (Some(8), None, looked));
        }
    }
}
