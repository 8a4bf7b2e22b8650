//! Checks that take long go on beside the turns: only what they are about waits for them, and servers
//! come and go meanwhile.
//!
//! A turn waits for its checks for a few seconds in all. One that goes on then ends the turn, which is
//! taken again from its beginning once that check has ended: until something is decided, what HAProxy
//! said is known for some minutes, and not asked again. The turns have one check at a time; beside it
//! goes at most one of somebody who kept such a check from its end, and is tried again.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::validate::{Candidate, CheckError, CheckMessage, Verdict, check};
use super::{FileSet, Installation};
use crate::cluster::AppId;
use crate::disk::{Digest, folder_of};
use crate::logging::{lasting, shown};

/// So long a turn waits for its checks, of which that of a large file takes one or two.
const PATIENCE: Duration = Duration::from_secs(3);

/// So long one waits that has other files than those that were looked at while the turn before was put
/// off; longer each time, so that changes that never cease cannot keep what has to be checked from being
/// installed.
const PATIENCE_OVERTAKEN: Duration = Duration::from_secs(5);

/// The longest. Nothing else is followed meanwhile.
const MOST_PATIENCE: Duration = Duration::from_secs(30);

/// After so many checks in a row that did not end, of files that differ, the next one is not begun: it
/// is looked for who is to blame. Changes that never cease must not keep that from being found out.
const ENOUGH_WAITS: usize = 2;

/// The longest that `haproxy -c` may take: a file of 50,000 servers takes it seconds.
pub(super) const LONGEST_CHECK: Duration = Duration::from_secs(60);

/// What a file names may be another one by then.
const FRESH: Duration = Duration::from_secs(300);

/// A check that takes longer is told of: what it looks at cannot be installed before it ends.
const SLOW_CHECK: Duration = Duration::from_secs(10);

/// The kind of trouble that one takes so long.
const SLOW: &str = "the time that a check takes";

/// One that is under way.
pub(super) type Check = Pin<Box<dyn Future<Output = Result<Verdict, CheckError>>>>;

/// The check that goes on beside the turns of a watcher, and what came of those before it.
pub struct Beside {
    /// What is left of the time that this turn waits.
    patience: Cell<Duration>,
    /// This turn has asked for none yet.
    is_first: Cell<bool>,
    /// So many turns in a row had other files than the one before.
    overtaken: Cell<u32>,
    running: RefCell<Option<(Asked, Check)>>,
    /// Since something was decided.
    heard: RefCell<Vec<Heard>>,
    /// Who kept a check from its end and is tried again, one after the other.
    retries: RefCell<VecDeque<(Place, Check)>>,
}

/// An app, and the position among its service ports.
pub(super) type Place = (AppId, usize);

/// What HAProxy is asked about.
struct Asked {
    files: Rc<FileSet>,
    /// Where they are not what is wanted: what is tried.
    tries: Option<Digest>,
}

struct Heard {
    asked: Asked,
    verdict: Result<Verdict, CheckError>,
    at: Instant,
}

impl Asked {
    fn is(&self, files: &FileSet, tries: Option<Digest>) -> bool {
        *self.files == *files && self.tries == tries
    }
}

impl Heard {
    /// Whether it is of what is wanted, and had no end.
    fn is_wait(&self) -> bool {
        let verdict = self.verdict.as_ref().ok();
        self.asked.tries.is_none() && verdict.and_then(of_a_wait).is_some()
    }

    /// What is known by it of other files.
    fn says_of(&self, files: &FileSet, tries: Option<Digest>) -> Option<Verdict> {
        let verdict = self.verdict.as_ref().ok()?;
        let heard = &self.asked;
        if tries.is_some() {
            return (heard.tries == tries).then(|| verdict.clone());
        }
        let is_accepted = matches!(verdict, Verdict::Accepted { .. });
        if *heard.files == *files && (heard.tries.is_none() || is_accepted) {
            return Some(verdict.clone());
        }
        // Where else it stands now nobody knows; that there is no end is true of other servers too.
        of_a_wait(verdict).filter(|_| heard.tries.is_none() && is_like(&heard.files, files))
    }
}

/// As much of a verdict as says that there was no end.
fn of_a_wait(verdict: &Verdict) -> Option<Verdict> {
    let Verdict::Rejected { messages, output } = verdict else {
        return None;
    };
    let waits = messages.iter().filter(|message| message.is_of_a_wait());
    let messages: Vec<CheckMessage> = waits.cloned().collect();
    let output = output.clone();
    (!messages.is_empty()).then_some(Verdict::Rejected { messages, output })
}

/// Whether they are the same but for servers.
fn is_like(one: &FileSet, other: &FileSet) -> bool {
    fn rest(files: &FileSet) -> impl Iterator<Item = &str> {
        let is_server = |line: &&str| line.split_ascii_whitespace().next() == Some("server");
        files.cfg.lines().filter(move |line| !is_server(line))
    }
    one.maps == other.maps && rest(one).eq(rest(other))
}

impl Default for Beside {
    fn default() -> Self {
        Self {
            patience: Cell::new(PATIENCE),
            is_first: Cell::new(true),
            overtaken: Cell::default(),
            running: RefCell::default(),
            heard: RefCell::default(),
            retries: RefCell::default(),
        }
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
    /// A turn begins.
    pub fn begins(&self) {
        self.patience.set(PATIENCE);
        self.is_first.set(true);
    }

    /// Waits until a check has ended that took too long for a turn. It goes on though nobody waits.
    pub async fn ends(&self) {
        poll_fn(|context| self.poll(context)).await;
    }

    /// Whether a check goes on, or something is known of one.
    pub(super) fn has_put_off(&self) -> bool {
        self.is_running() || !self.heard.borrow().is_empty()
    }

    /// Whether a check goes on.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.borrow().is_some()
    }

    /// A turn has come to something: the next one asks anew. So it does where HAProxy, or what the files
    /// name, may be another by now.
    pub fn forget(&self) {
        self.running.take();
        self.heard.take();
        self.overtaken.set(0);
    }

    /// Has another form of who is tried again checked.
    pub(super) fn retry(&self, place: Place, check: Check) {
        let mut retries = self.retries.borrow_mut();
        retries.retain(|(other, _)| *other != place);
        retries.push_back((place, check));
    }

    /// Waits for one with whom HAProxy comes to an end by now. The checks go on though nobody waits.
    pub async fn retried(&self) -> (AppId, usize) {
        poll_fn(|context| self.poll_retries(context)).await
    }

    fn poll_retries(&self, context: &mut Context<'_>) -> Poll<Place> {
        let mut retries = self.retries.borrow_mut();
        while let Some((_, check)) = retries.front_mut() {
            let verdict = ready!(check.as_mut().poll(context));
            if let Some((place, _)) = retries.pop_front()
                && matches!(verdict, Ok(Verdict::Accepted { .. }))
            {
                return Poll::Ready(place);
            }
        }
        Poll::Pending
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut running = self.running.borrow_mut();
        let Some((_, check)) = &mut *running else {
            return Poll::Pending;
        };
        let verdict = ready!(check.as_mut().poll(context));
        if let Some((asked, _)) = running.take() {
            let at = Instant::now();
            self.heard.borrow_mut().push(Heard { asked, verdict, at });
        }
        Poll::Ready(())
    }

    /// What HAProxy thinks of `files`, which `begin` has it check.
    ///
    /// # Errors
    /// [`CheckError::GoesOn`] while that takes longer than the turn waits.
    pub(super) async fn check(
        &self,
        files: &FileSet,
        tries: Option<Digest>,
        begin: impl FnOnce(Rc<FileSet>) -> Check,
    ) -> Result<Verdict, CheckError> {
        let is_first = self.is_first.replace(false) && tries.is_none();
        if self.is_running() {
            return Err(CheckError::GoesOn);
        }
        if let Some(said) = self.said(files, tries) {
            return said;
        }
        if is_first {
            self.heed_overtaking();
        }
        let asked = Asked {
            files: Rc::new(files.clone()),
            tries,
        };
        let check = begin(Rc::clone(&asked.files));
        self.running.replace(Some((asked, check)));
        let patience = self.patience.get();
        let asked_at = Instant::now();
        let has_ended = timeout(patience, self.ends()).await.is_ok();
        self.patience
            .set(patience.saturating_sub(asked_at.elapsed()));
        if !has_ended {
            return Err(CheckError::GoesOn);
        }
        self.said(files, tries).unwrap_or(Err(CheckError::GoesOn))
    }

    fn said(&self, files: &FileSet, tries: Option<Digest>) -> Option<Result<Verdict, CheckError>> {
        let mut heard = self.heard.borrow_mut();
        heard.retain(|heard| heard.at.elapsed() < FRESH);
        // That there is no verdict is said once.
        let failed = |heard: &Heard| heard.verdict.is_err() && heard.asked.is(files, tries);
        if let Some(place) = heard.iter().position(failed) {
            return Some(heard.remove(place).verdict);
        }
        let said = heard.iter().find_map(|heard| heard.says_of(files, tries));
        if said.is_some() || tries.is_some() {
            return said.map(Ok);
        }
        let mut waits = heard.iter().filter(|heard| heard.is_wait());
        let last = waits.nth(ENOUGH_WAITS - 1)?.verdict.as_ref().ok()?;
        of_a_wait(last).map(Ok)
    }

    /// What was looked at while the turn before was put off is not what this one wants: it waits longer.
    fn heed_overtaking(&self) {
        let mut heard = self.heard.borrow_mut();
        let before = heard.len();
        heard.retain(|heard| heard.asked.tries.is_some() || heard.is_wait());
        if heard.len() < before {
            let times = self.overtaken.get();
            self.overtaken.set(times + 1);
            let patience = PATIENCE_OVERTAKEN * (1 << times.min(4));
            self.patience.set(patience.min(MOST_PATIENCE));
        }
    }
}

/// Has `program` check `files`, and tells of it where what is wanted takes long.
pub(super) async fn judged(
    program: &Path,
    files: &FileSet,
    at: &Installation,
    scratch: Option<&Path>,
    limit_of_try: Option<Duration>,
) -> Result<Verdict, CheckError> {
    let candidate = Candidate {
        config: &at.cfg,
        text: &files.cfg,
        maps: &files.maps,
        map_dir: folder_of(&at.cfg),
        extra: &[],
        scratch,
    };
    // Tries are of other files: they say nothing of how long those take that are wanted.
    if let Some(limit) = limit_of_try {
        return check(program, &candidate, limit).await;
    }
    let mut check = pin!(check(program, &candidate, LONGEST_CHECK));
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
    lasting(SLOW, None);
    verdict
}

/// The same for who may leave it to itself.
pub(super) fn begun(
    program: PathBuf,
    files: Rc<FileSet>,
    at: Installation,
    scratch: Option<PathBuf>,
    limit_of_try: Option<Duration>,
) -> Check {
    Box::pin(async move { judged(&program, &files, &at, scratch.as_deref(), limit_of_try).await })
}

#[cfg(test)]
mod tests;
