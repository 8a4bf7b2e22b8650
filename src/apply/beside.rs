//! A check that takes long goes on beside the turns: only what it is about waits for it, and servers
//! come and go meanwhile.
//!
//! There is one at a time. What it comes to is for the turn that asks about the same files next. Where
//! that has others by then, it is put off no second time: so changes that never cease cannot keep what
//! has to be checked from being installed.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::validate::{Candidate, CheckError, CheckMessage, Verdict, check};
use super::{FileSet, Installation};
use crate::diff::{self, Change};
use crate::disk::folder_of;
use crate::logging::{lasting, shown};

/// So long a turn waits for a check. Even that of a large file mostly takes less.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a file names may be another one by then.
const FRESH: Duration = Duration::from_secs(30);

/// A check that takes longer is told of: nothing can be installed before it ends.
const SLOW_CHECK: Duration = Duration::from_secs(10);

/// The kind of trouble that one takes so long.
const SLOW: &str = "the time that a check takes";

/// One that is under way.
pub(super) type Check = Pin<Box<dyn Future<Output = Result<Verdict, CheckError>>>>;

/// The check that goes on beside the turns of a watcher, and what came of the last one.
pub struct Beside {
    patience: Duration,
    running: RefCell<Option<(Rc<FileSet>, Check)>>,
    ended: RefCell<Option<Ended>>,
}

struct Ended {
    files: Rc<FileSet>,
    verdict: Result<Verdict, CheckError>,
    at: Instant,
}

/// What is known of files.
enum Known {
    Nothing,
    /// One check goes on, perhaps of others.
    GoesOn,
    /// What came of a check of these, or of others in which servers alone were other ones.
    Said(Result<Verdict, CheckError>),
    /// One of others ended meanwhile, which says nothing of these.
    Overtaken,
}

impl Default for Beside {
    fn default() -> Self {
        Self::patient(PATIENCE)
    }
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beside")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl Beside {
    fn patient(patience: Duration) -> Self {
        Self {
            patience,
            running: RefCell::default(),
            ended: RefCell::default(),
        }
    }

    /// Waits until a check has ended that took too long for a turn. It goes on though nobody waits.
    pub async fn ends(&self) {
        poll_fn(|context| self.poll(context)).await;
    }

    /// HAProxy, or what the files name, may be another by now: what was said, or is about to be, counts
    /// no more.
    pub fn forget(&self) {
        self.running.take();
        self.ended.take();
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut running = self.running.borrow_mut();
        let Some((_, check)) = &mut *running else {
            return Poll::Pending;
        };
        let verdict = ready!(check.as_mut().poll(context));
        let files = running.take().map(|(files, _)| files);
        self.ended.replace(files.map(|files| Ended {
            files,
            verdict,
            at: Instant::now(),
        }));
        Poll::Ready(())
    }

    /// What HAProxy thinks of `files`, which `begin` has it check; `None` while that goes on. `wait` is
    /// for who was put off before.
    pub(super) async fn check(
        &self,
        files: &FileSet,
        begin: impl FnOnce(Rc<FileSet>) -> Check,
        wait: impl Future<Output = Result<Verdict, CheckError>>,
    ) -> Result<Option<Verdict>, CheckError> {
        match self.known(files) {
            Known::GoesOn => return Ok(None),
            Known::Said(verdict) => return verdict.map(Some),
            Known::Overtaken => return wait.await.map(Some),
            Known::Nothing => (),
        }
        let files = Rc::new(files.clone());
        let check = begin(Rc::clone(&files));
        self.running.replace(Some((Rc::clone(&files), check)));
        if timeout(self.patience, self.ends()).await.is_err() {
            return Ok(None);
        }
        match self.known(&files) {
            Known::Said(verdict) => verdict.map(Some),
            Known::Nothing | Known::GoesOn | Known::Overtaken => Ok(None),
        }
    }

    fn known(&self, files: &FileSet) -> Known {
        if self.running.borrow().is_some() {
            return Known::GoesOn;
        }
        let ended = self.ended.take();
        let Some(ended) = ended.filter(|ended| ended.at.elapsed() < FRESH) else {
            return Known::Nothing;
        };
        if *ended.files == *files {
            return Known::Said(ended.verdict);
        }
        if let Ok(Verdict::Rejected { messages, output }) = ended.verdict
            && has_other_servers(&ended.files, files)
        {
            // Where else it stands now nobody knows; that there is no end is true of these too.
            let waits = messages.into_iter().filter(CheckMessage::is_of_a_wait);
            let messages: Vec<CheckMessage> = waits.collect();
            if !messages.is_empty() {
                return Known::Said(Ok(Verdict::Rejected { messages, output }));
            }
        }
        Known::Overtaken
    }
}

/// Whether two sets are the same but for servers, over which no check takes for ever.
fn has_other_servers(one: &FileSet, other: &FileSet) -> bool {
    let change = diff::compare(Some(&one.cfg), &other.cfg);
    one.maps == other.maps && !matches!(change, Change::Structure(_))
}

/// Has `program` check `files`, and tells of it where that takes long.
pub(super) async fn judged(
    program: &Path,
    files: &FileSet,
    at: &Installation,
    scratch: Option<&Path>,
    limit: Duration,
) -> Result<Verdict, CheckError> {
    let candidate = Candidate {
        config: &at.cfg,
        text: &files.cfg,
        maps: &files.maps,
        map_dir: folder_of(&at.cfg),
        extra: &[],
        scratch,
    };
    let mut check = pin!(check(program, &candidate, limit));
    let Ok(verdict) = timeout(SLOW_CHECK, &mut check).await else {
        let program = program.display();
        lasting(
            SLOW,
            Some(&format!(
                "`{program} -c` takes more than {} to check the files; until it ends, or is given \
                 up, nothing that it has to check is installed",
                shown(SLOW_CHECK)
            )),
        );
        return check.await;
    };
    // One that was given up before it was slow says nothing.
    if SLOW_CHECK < limit {
        lasting(SLOW, None);
    }
    verdict
}

/// The same for who may leave it to itself.
pub(super) fn begun(
    program: PathBuf,
    files: Rc<FileSet>,
    at: Installation,
    scratch: Option<PathBuf>,
    limit: Duration,
) -> Check {
    Box::pin(async move { judged(&program, &files, &at, scratch.as_deref(), limit).await })
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    fn files(label: &str, servers: usize) -> FileSet {
        let lines = (0..servers).map(|number| format!("  server w{number} 10.0.0.1:{number}\n"));
        let servers: String = lines.collect();
        let cfg = format!("backend web\n  mode http\n  # {label}\n{servers}");
        FileSet {
            cfg,
            ..FileSet::default()
        }
    }

    fn accepted() -> Verdict {
        Verdict::Accepted {
            warnings: Vec::new(),
        }
    }

    fn without_end() -> Verdict {
        Verdict::Rejected {
            messages: vec![CheckMessage::of_a_wait(Duration::from_secs(60))],
            output: String::new(),
        }
    }

    fn at_once(verdict: Verdict) -> Check {
        Box::pin(ready(Ok(verdict)))
    }

    fn is_accepted(verdict: Result<Option<Verdict>, CheckError>) -> Option<bool> {
        let verdict = verdict.unwrap();
        verdict.map(|verdict| matches!(verdict, Verdict::Accepted { .. }))
    }

    /// Asks about files whose check would never end.
    async fn ask(beside: &Beside, files: &FileSet) -> Option<bool> {
        let never = |_| -> Check { Box::pin(pending()) };
        is_accepted(beside.check(files, never, pending()).await)
    }

    /// A check that ends as `verdict` once somebody lets it.
    async fn put_off(
        beside: &Beside,
        files: &FileSet,
        verdict: Verdict,
    ) -> tokio::sync::oneshot::Sender<()> {
        let (end, ended) = tokio::sync::oneshot::channel();
        let begin = |_| -> Check {
            Box::pin(async move {
                ended.await.unwrap();
                Ok(verdict)
            })
        };
        assert_eq!(
            is_accepted(beside.check(files, begin, pending()).await),
            None
        );
        end
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_in_time_is_said_at_once() {
        let beside = Beside::default();
        for verdict in [accepted(), without_end()] {
            let expected = matches!(verdict, Verdict::Accepted { .. });
            let wanted = files("a", 1);
            let said = beside.check(&wanted, |_| at_once(verdict), pending());
            assert_eq!(is_accepted(said.await), Some(expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_goes_on_and_is_said_to_who_asks_for_the_same_next() {
        let beside = Beside::default();
        let wanted = files("a", 1);
        let end = put_off(&beside, &wanted, accepted()).await;
        // Whoever comes meanwhile is put off without another check.
        assert_eq!(ask(&beside, &wanted).await, None);
        assert_eq!(ask(&beside, &files("b", 1)).await, None);
        end.send(()).unwrap();
        beside.ends().await;
        assert_eq!(ask(&beside, &wanted).await, Some(true));
        // And once is once.
        let said = beside.check(&wanted, |_| at_once(without_end()), pending());
        assert_eq!(is_accepted(said.await), Some(false));
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_end_servers_make_no_difference() {
        let beside = Beside::default();
        let end = put_off(&beside, &files("a", 1), without_end()).await;
        end.send(()).unwrap();
        beside.ends().await;
        assert_eq!(ask(&beside, &files("a", 2)).await, Some(false));
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_put_off_once_waits_for_what_he_asks_then() {
        for (verdict, then) in [(accepted(), files("a", 2)), (without_end(), files("b", 1))] {
            let beside = Beside::default();
            let end = put_off(&beside, &files("a", 1), verdict).await;
            end.send(()).unwrap();
            beside.ends().await;
            let never = |_| -> Check { Box::pin(pending()) };
            let said = beside.check(&then, never, ready(Ok(accepted())));
            assert_eq!(is_accepted(said.await), Some(true));
        }
    }
}
