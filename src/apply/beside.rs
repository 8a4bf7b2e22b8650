//! Checks that take long go on beside the turns: only what they are about waits for them, and servers
//! come and go meanwhile.
//!
//! A turn waits for its checks for a few seconds in all. One that goes on then ends the turn, which is
//! taken again from its beginning once that check has ended: until something is decided, what HAProxy
//! said is known, and not asked again. There is one check at a time.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::validate::{Candidate, CheckError, CheckMessage, Verdict, check};
use super::{FileSet, Installation, Try};
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

/// For `haproxy -c`: a file of 50,000 servers takes it seconds.
const LIMIT: Duration = Duration::from_secs(60);

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
}

/// What HAProxy is asked about.
#[derive(Clone)]
struct Asked {
    files: Rc<FileSet>,
    /// Of all but the servers.
    frame: Digest,
    /// Where they are not what is wanted: what is tried.
    tries: Option<Digest>,
}

struct Heard {
    asked: Asked,
    verdict: Result<Verdict, CheckError>,
    at: Instant,
}

impl Asked {
    fn of(files: &FileSet, tries: Option<Digest>) -> Self {
        Self {
            files: Rc::new(files.clone()),
            frame: frame_of(&files.cfg),
            tries,
        }
    }
}

impl Heard {
    /// Whether it is of what is wanted, and had no end.
    fn is_wait(&self) -> bool {
        let verdict = self.verdict.as_ref().ok();
        self.asked.tries.is_none() && verdict.and_then(of_a_wait).is_some()
    }

    /// What is known by it of other files.
    fn says_of(&self, asked: &Asked) -> Option<Verdict> {
        let verdict = self.verdict.as_ref().ok()?;
        let heard = &self.asked;
        if asked.tries.is_some() {
            return (heard.tries == asked.tries).then(|| verdict.clone());
        }
        let is_accepted = matches!(verdict, Verdict::Accepted { .. });
        if heard.files == asked.files && (heard.tries.is_none() || is_accepted) {
            return Some(verdict.clone());
        }
        // Where else it stands now nobody knows; that there is no end is true of other servers too.
        let is_like = heard.frame == asked.frame && heard.files.maps == asked.files.maps;
        of_a_wait(verdict).filter(|_| is_like && heard.tries.is_none())
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

/// Stands for all that a text says but servers.
fn frame_of(cfg: &str) -> Digest {
    let lines = cfg.split_inclusive('\n');
    let is_server = |line: &str| line.split_ascii_whitespace().next() == Some("server");
    let rest: String = lines.filter(|line| !is_server(line)).collect();
    Digest::of(rest.as_bytes())
}

impl Default for Beside {
    fn default() -> Self {
        Self {
            patience: Cell::new(PATIENCE),
            is_first: Cell::new(true),
            overtaken: Cell::default(),
            running: RefCell::default(),
            heard: RefCell::default(),
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
        let asked = Asked::of(files, tries);
        if let Some(said) = self.said(&asked) {
            return said;
        }
        if is_first {
            self.heed_overtaking();
        }
        let check = begin(Rc::clone(&asked.files));
        self.running.replace(Some((asked.clone(), check)));
        let patience = self.patience.get();
        let asked_at = Instant::now();
        let has_ended = timeout(patience, self.ends()).await.is_ok();
        self.patience
            .set(patience.saturating_sub(asked_at.elapsed()));
        if !has_ended {
            return Err(CheckError::GoesOn);
        }
        self.said(&asked).unwrap_or(Err(CheckError::GoesOn))
    }

    fn said(&self, asked: &Asked) -> Option<Result<Verdict, CheckError>> {
        let mut heard = self.heard.borrow_mut();
        heard.retain(|heard| heard.at.elapsed() < FRESH);
        // That there is no verdict is said once.
        let failed = |heard: &Heard| {
            let is_same = heard.asked.files == asked.files && heard.asked.tries == asked.tries;
            heard.verdict.is_err() && is_same
        };
        if let Some(place) = heard.iter().position(failed) {
            return Some(heard.remove(place).verdict);
        }
        let said = heard.iter().find_map(|heard| heard.says_of(asked));
        if said.is_some() || asked.tries.is_some() {
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
    tries: Option<Try>,
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
    if let Some(Try { limit, .. }) = tries {
        return check(program, &candidate, limit).await;
    }
    let mut check = pin!(check(program, &candidate, LIMIT));
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
    tries: Option<Try>,
) -> Check {
    Box::pin(async move { judged(&program, &files, &at, scratch.as_deref(), tries).await })
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

    fn refused() -> Verdict {
        Verdict::Rejected {
            messages: Vec::new(),
            output: String::new(),
        }
    }

    fn at_once(verdict: Verdict) -> impl FnOnce(Rc<FileSet>) -> Check {
        |_| Box::pin(ready(Ok(verdict)))
    }

    fn never(_: Rc<FileSet>) -> Check {
        Box::pin(pending())
    }

    /// `None` where it goes on.
    fn is_accepted(said: Result<Verdict, CheckError>) -> Option<bool> {
        match said {
            Ok(verdict) => Some(matches!(verdict, Verdict::Accepted { .. })),
            Err(CheckError::GoesOn) => None,
            Err(error) => panic!("{error}"),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as it is asked")]
    fn tries(what: &str) -> Option<Digest> {
        Some(Digest::of(what.as_bytes()))
    }

    /// The first question of a turn, about files whose check would never end.
    async fn ask(beside: &Beside, files: &FileSet) -> Option<bool> {
        beside.begins();
        is_accepted(beside.check(files, None, never).await)
    }

    /// A check that ends as `verdict` after the turn that asked for it.
    async fn put_off(beside: &Beside, files: &FileSet, tries: Option<Digest>, verdict: Verdict) {
        let (end, ended) = tokio::sync::oneshot::channel();
        let begin = |_| -> Check {
            Box::pin(async move {
                ended.await.unwrap();
                Ok(verdict)
            })
        };
        beside.begins();
        assert_eq!(is_accepted(beside.check(files, tries, begin).await), None);
        end.send(()).unwrap();
        beside.ends().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_in_time_is_said_at_once() {
        let beside = Beside::default();
        for (label, verdict) in [("a", accepted()), ("b", without_end())] {
            let expected = matches!(verdict, Verdict::Accepted { .. });
            let wanted = files(label, 1);
            let said = beside.check(&wanted, None, at_once(verdict)).await;
            assert_eq!(is_accepted(said), Some(expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_goes_on_and_is_known_until_something_is_decided() {
        let beside = Beside::default();
        let wanted = files("a", 1);
        assert_eq!(ask(&beside, &wanted).await, None);
        // Whoever comes meanwhile is put off without another check, and at once.
        let began = Instant::now();
        for other in [&wanted, &files("b", 1)] {
            assert_eq!(ask(&beside, other).await, None);
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        beside.forget();

        put_off(&beside, &wanted, None, accepted()).await;
        for _ in 0..2 {
            assert_eq!(ask(&beside, &wanted).await, Some(true));
        }
        beside.forget();
        assert_eq!(ask(&beside, &wanted).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_waits_a_few_seconds_for_all_of_its_checks_together() {
        let beside = Beside::default();
        let takes = |seconds| {
            move |_| -> Check {
                Box::pin(async move {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    Ok(refused())
                })
            }
        };
        beside.begins();
        let began = Instant::now();
        let first = beside.check(&files("a", 1), None, takes(2)).await;
        assert_eq!(is_accepted(first), Some(false));
        let second = beside.check(&files("b", 1), tries("b"), takes(2)).await;
        assert_eq!(is_accepted(second), None);
        assert_eq!(began.elapsed(), PATIENCE);
        // And the next turn knows both.
        beside.ends().await;
        beside.begins();
        for (label, of) in [("a", None), ("b", tries("b"))] {
            let said = beside.check(&files(label, 1), of, never).await;
            assert_eq!(is_accepted(said), Some(false), "{label}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn servers_make_no_difference_to_what_has_no_end() {
        let beside = Beside::default();
        put_off(&beside, &files("a", 1), None, without_end()).await;
        assert_eq!(ask(&beside, &files("a", 2)).await, Some(false));
        assert_eq!(ask(&beside, &files("b", 1)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_is_known_by_what_is_tried_and_stands_for_nothing_that_is_wanted() {
        let beside = Beside::default();
        put_off(&beside, &files("a", 1), tries("a"), accepted()).await;
        let said = beside.check(&files("b", 2), tries("a"), never).await;
        assert_eq!(is_accepted(said), Some(true));
        let wanted = files("a", 1);
        let others = beside.check(&wanted, tries("b"), at_once(refused())).await;
        assert_eq!(is_accepted(others), Some(false));
        // But for just these files.
        beside.begins();
        assert_eq!(ask(&beside, &files("a", 1)).await, Some(true));
        let wanted = files("a", 2);
        let said = beside.check(&wanted, None, at_once(refused())).await;
        assert_eq!(is_accepted(said), Some(false));
    }

    #[tokio::test(start_paused = true)]
    async fn after_enough_that_do_not_end_no_further_one_is_begun() {
        let beside = Beside::default();
        for label in 0..ENOUGH_WAITS {
            let others = files(&label.to_string(), 1);
            let began = Instant::now();
            put_off(&beside, &others, None, without_end()).await;
            // Whoever has other files waits no longer for that.
            assert_eq!(began.elapsed(), PATIENCE);
        }
        assert_eq!(ask(&beside, &files("a", 1)).await, Some(false));
        beside.forget();
        assert_eq!(ask(&beside, &files("a", 1)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_asked_once_more_by_a_try() {
        let beside = Beside::default();
        let wanted = files("a", 1);
        put_off(&beside, &wanted, None, refused()).await;
        beside.begins();
        let again = beside
            .check(&wanted, tries("all"), at_once(accepted()))
            .await;
        assert_eq!(is_accepted(again), Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_overtaken_waits_longer_each_time() {
        let beside = Beside::default();
        put_off(&beside, &files("0", 1), None, accepted()).await;
        let mut waited = Duration::ZERO;
        for label in 1..7 {
            let began = Instant::now();
            let others = files(&label.to_string(), 1);
            put_off(&beside, &others, None, accepted()).await;
            assert!(waited < began.elapsed() || waited == MOST_PATIENCE);
            waited = began.elapsed();
        }
        assert_eq!(waited, MOST_PATIENCE);
        beside.forget();
        let began = Instant::now();
        put_off(&beside, &files("a", 1), None, accepted()).await;
        assert_eq!(began.elapsed(), PATIENCE);
    }
}
