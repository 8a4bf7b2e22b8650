//! Lines elsewhere that have turns taken, or that have a predecessor run: in crontabs that users have of
//! their own, and in files of cron's that are not ours.

use std::path::{Path, PathBuf};

use super::host::Look;
use super::job::{Job, NAME, are_rare, jobs, may_write, wrong_time};
use super::service::{has_user_named, program};

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
    /// The file that it names.
    pub file: Option<PathBuf>,
    /// What keeps it from taking turns.
    pub fault: Option<String>,
}

impl Taken {
    /// Whether it may write `cfg`.
    #[must_use]
    pub fn may_write(&self, cfg: &Path) -> bool {
        may_write(self.file.as_deref(), cfg)
    }
}

/// Those of a crontab of `user`, or of a file whose lines each name one.
#[must_use]
pub fn taken_by(look: &dyn Look, text: &str, user: Option<&str>) -> Vec<Taken> {
    let taken = |job: Job<'_>| {
        let by = job.predecessor();
        let turn = job.turn().filter(|_| by.is_none());
        let user = user.or(job.user).unwrap_or_default();
        (by.is_some() || turn.is_some()).then(|| Taken {
            line: job.line.to_owned(),
            user: user.to_owned(),
            by,
            set: turn.map(|turn| turn.writes().to_owned()),
            file: turn.and_then(|turn| turn.file).map(PathBuf::from),
            fault: turn.and_then(|turn| fault(look, &job, user, turn.program)),
        })
    };
    jobs(text).filter_map(taken).collect()
}

fn fault(look: &dyn Look, job: &Job<'_>, user: &str, called: &str) -> Option<String> {
    if let Some(why) = wrong_time(&job.times) {
        return Some(why);
    }
    if are_rare(&job.times) {
        return Some(format!("it does so at `{}` only", job.times.join(" ")));
    }
    if !has_user_named(look, user) {
        return Some(format!("there is no user `{user}`"));
    }
    let path = Path::new(called);
    let is_missing = if path.is_absolute() {
        !look.is_there(path)
    } else {
        called == NAME && program(look, NAME).is_none()
    };
    is_missing.then(|| format!("it calls `{called}`, which is not there"))
}
