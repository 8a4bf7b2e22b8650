//! Lines elsewhere that have turns taken, or that have a predecessor run: in crontabs that users have of
//! their own, and in files of cron's that are not ours.

use std::path::{Path, PathBuf};

use super::cron::left_out;
use super::decided::{Decided, Fault, not_found};
use super::host::{Found, Look};
use super::job::{Job, Turn, are_rare, jobs, wrong_time};
use super::service::has_user_named;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// As it stands there.
    pub line: String,
    /// As whom it runs.
    pub user: String,
    /// The predecessor; `None` for this program, whose name the bash script had too.
    pub by: Option<&'static str>,
    /// As which set it has the file written, where that is known.
    pub set: Option<String>,
    /// The file that it writes, where that is known.
    pub file: Option<PathBuf>,
    /// What keeps it from taking turns.
    pub fault: Option<Fault>,
}

impl Taken {
    /// Whether it may write `cfg`.
    #[must_use]
    pub fn may_write(&self, cfg: &Path) -> bool {
        let file = self.file.as_deref();
        file.is_none_or(|file| file.is_relative() || file == cfg)
    }
}

/// Those of a file of cron's, whose lines each name a user.
#[must_use]
pub fn taken_in(look: &dyn Look, path: &Path, found: &Found) -> Vec<Taken> {
    let text = String::from_utf8_lossy(&found.content);
    let of_file = left_out(look, path, found);
    let mut all = taken_by(look, &text, None);
    for taken in &mut all {
        taken.fault = of_file.clone().or_else(|| taken.fault.take());
    }
    all
}

/// Those of a crontab of `user`, or of a text whose lines each name one.
#[must_use]
pub fn taken_by(look: &dyn Look, text: &str, user: Option<&str>) -> Vec<Taken> {
    let taken = |job: Job<'_>| {
        let by = job.predecessor();
        let turn = job.turn().filter(|_| by.is_none());
        let user = user.or(job.user).unwrap_or_default();
        let decided = turn.as_ref().map(|turn| Decided::of(look, turn));
        let own = turn.as_ref().and_then(|turn| turn.user);
        (by.is_some() || turn.is_some()).then(|| Taken {
            line: job.line.to_owned(),
            user: own.unwrap_or(user).to_owned(),
            by,
            set: decided.as_ref().map(|decided| decided.set.clone()),
            file: decided.map(|decided| decided.file),
            fault: turn.and_then(|turn| fault(look, &job, user, &turn)),
        })
    };
    jobs(text).filter_map(taken).collect()
}

fn fault(look: &dyn Look, job: &Job<'_>, user: &str, turn: &Turn<'_>) -> Option<Fault> {
    if let Some(why) = wrong_time(&job.times) {
        return Some(Fault::alone(why));
    }
    if are_rare(&job.times) {
        let why = format!("it does so at `{}` only", job.times.join(" "));
        return Some(Fault::alone(why));
    }
    let mut users = [user].into_iter().chain(turn.user);
    if let Some(user) = users.find(|user| !has_user_named(look, user)) {
        return Some(Fault::alone(format!("there is no user `{user}`")));
    }
    not_found(look, turn.program, &turn.variables)
}
