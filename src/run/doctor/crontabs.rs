//! Lines of crontabs that users have of their own: they take turns beside what `install` wrote, or have a
//! predecessor write its `haproxy.cfg` as before.

use std::path::Path;

use nix::unistd::Uid;

use super::Finding;
use super::look::ASK;
use crate::config::redact;
use crate::disk::user_name;
use crate::haproxy::child::Child;
use crate::haproxy::program::{find_in, search_path};
use crate::install::{Look as _, Real, Taken, taken_by};
use crate::run::block_on;

const ABOUT: &str = "turns";

/// Where crons keep them, each called by its user.
const FOLDERS: [&str; 2] = ["/var/spool/cron/crontabs", "/var/spool/cron"];

/// What one of them has run.
pub(super) struct Line {
    user: String,
    taken: Taken,
}

/// All that this user may see: root those of everybody, others their own.
pub(super) fn lines(host: &Real) -> Vec<Line> {
    let texts = if Uid::effective().is_root() {
        of_everybody(host)
    } else {
        own().into_iter().collect()
    };
    let lines = texts.into_iter().flat_map(|(user, text)| {
        let taken = taken_by(&text).into_iter();
        taken.map(move |taken| Line {
            user: user.clone(),
            taken,
        })
    });
    lines.collect()
}

fn of_everybody(host: &Real) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for folder in FOLDERS.map(Path::new) {
        for user in host.list(folder) {
            // A folder among them is none.
            if let Ok(Some(found)) = host.file(&folder.join(&user)) {
                let text = String::from_utf8_lossy(&found.content).into_owned();
                all.push((format!("`{user}`"), text));
            }
        }
    }
    all
}

/// `None` where there is none, or no cron.
fn own() -> Option<(String, String)> {
    let program = find_in(Path::new("crontab"), &search_path())?;
    let asked = block_on(async { Ok(Child::new(program, ASK).arg("-l").run().await?) });
    let listed = asked.ok().filter(|listed| listed.status.success())?;
    Some((user_name(Uid::effective().as_raw()), listed.stdout))
}

impl Line {
    /// Of this program, be it the bash script that had its name.
    pub(super) fn is_ours(&self) -> bool {
        self.taken.by.is_none()
    }

    /// What is to be said of it; `is_alone` where nobody else takes turns. Whether a cron runs that reads it
    /// is not looked at.
    pub(super) fn finding(&self, is_alone: bool, install: &str) -> Finding {
        let user = &self.user;
        let line = redact(&self.taken.line);
        let out = format!("take it out of the crontab of {user}: `crontab -e`");
        match self.taken.by {
            Some(program) => Finding::note(
                ABOUT,
                format!("the crontab of {user} has `{program}` write a haproxy.cfg: `{line}`"),
                format!("where that is the same file, {out}"),
            ),
            None if is_alone => Finding::note(
                ABOUT,
                format!("by the crontab of {user} alone, where cron runs: `{line}`"),
                format!("nothing, or {install} and {out}"),
            ),
            None => Finding::note(
                ABOUT,
                format!("the crontab of {user} has them taken too, where one would do: `{line}`"),
                out,
            ),
        }
    }
}
