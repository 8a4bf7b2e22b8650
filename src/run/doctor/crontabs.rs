//! Lines that take turns beside what `install` wrote, or have a predecessor write its `haproxy.cfg` as
//! before: in crontabs that users have of their own, and in files of cron's that are not ours.

use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use super::Finding;
use super::access::may_write;
use super::look::ASK;
use crate::config::{Config, redact};
use crate::haproxy::child::Child;
use crate::haproxy::program::{find_in, search_path};
use crate::install::{
    CRON_FILE, CRONS, Fault, Found, Look as _, Real, Taken, has_cron, has_process, taken_by,
    taken_in,
};
use crate::run::block_on;

const ABOUT: &str = "turns";

/// Where crons keep crontabs, each called by its user; no two of them on one host.
const FOLDERS: [&str; 3] = [
    "/var/spool/cron/crontabs",
    "/var/spool/cron/tabs",
    "/var/spool/cron",
];
/// Files of cron's own, whose lines name a user.
const FILE: &str = "/etc/crontab";
const FOLDER: &str = "/etc/cron.d";
/// What a package manager or an editor left there, which no cron reads.
const LEFT_OVER: [&str; 6] = [
    "~",
    ".rpmsave",
    ".rpmnew",
    ".rpmorig",
    ".dpkg-old",
    ".dpkg-dist",
];

/// Where one of them stands.
enum Place {
    Crontab(String),
    File(PathBuf),
}

/// What one of them has run.
pub(super) struct Line {
    place: Place,
    taken: Taken,
    /// Why nothing comes of it.
    fault: Option<Fault>,
}

/// All that this user may see: root the crontabs of everybody, others their own.
pub(super) fn lines(config: &Config, host: &Real) -> Vec<Line> {
    let crontabs = if Uid::effective().is_root() {
        of_everybody(host)
    } else {
        own().into_iter().collect()
    };
    let crontabs = crontabs.into_iter().flat_map(|(user, text)| {
        let taken = taken_by(host, &text, Some(&user)).into_iter();
        taken.map(move |taken| (Place::Crontab(user.clone()), taken))
    });
    let files = files(host).into_iter().flat_map(|(path, found)| {
        let taken = taken_in(host, &path, &found).into_iter();
        taken.map(move |taken| (Place::File(path.clone()), taken))
    });
    // busybox's reads the crontabs of users alone.
    let (runs, reads_files) = (has_process(host, &CRONS), has_cron(host));
    crontabs
        .chain(files)
        .filter(|(_, taken)| taken.may_write(&config.haproxy.config))
        .map(|(place, mut taken)| {
            let fault = |why: String| Fault { why, mend: None };
            let may_not = || {
                (may_write(config, &taken.user) == Some(false))
                    .then(|| fault(format!("`{}` may not write `haproxy.cfg`", taken.user)))
            };
            let runs = match place {
                Place::Crontab(_) => runs,
                Place::File(_) => reads_files,
            };
            let nobody = || (!runs).then(|| fault("no cron runs that reads it".to_owned()));
            let fault = taken.fault.take().or_else(nobody).or_else(may_not);
            Line {
                place,
                taken,
                fault,
            }
        })
        .collect()
}

fn text(host: &Real, path: &Path) -> Option<String> {
    // A folder among them is none.
    let found = host.file(path).ok()??;
    Some(String::from_utf8_lossy(&found.content).into_owned())
}

fn of_everybody(host: &Real) -> Vec<(String, String)> {
    let all = FOLDERS.map(Path::new).into_iter().flat_map(|folder| {
        let names = host.list(folder).into_iter();
        names.filter_map(move |user| {
            let text = text(host, &folder.join(&user))?;
            Some((user, text))
        })
    });
    all.collect()
}

fn files(host: &Real) -> Vec<(PathBuf, Found)> {
    let is_read = |name: &String| {
        !name.starts_with('.') && !LEFT_OVER.iter().any(|ending| name.ends_with(ending))
    };
    let names = host.list(Path::new(FOLDER)).into_iter().filter(is_read);
    let paths = names.map(|name| Path::new(FOLDER).join(name));
    let paths = [PathBuf::from(FILE)].into_iter().chain(paths);
    let paths = paths.filter(|path| path != Path::new(CRON_FILE));
    paths
        .filter_map(|path| {
            let found = host.file(&path).ok()??;
            Some((path, found))
        })
        .collect()
}

/// `None` where there is none, or no cron.
fn own() -> Option<(String, String)> {
    let user = User::from_uid(Uid::effective()).ok()??;
    let program = find_in(Path::new("crontab"), &search_path())?;
    let asked = block_on(async { Ok(Child::new(program, ASK).arg("-l").run().await?) });
    let listed = asked.ok().filter(|listed| listed.status.success())?;
    Some((user.name, listed.stdout))
}

impl Line {
    /// Whether it has turns of this program taken, be it the bash script that had its name.
    pub(super) fn takes_turns(&self) -> bool {
        self.taken.by.is_none() && self.fault.is_none()
    }

    /// As which set it has the file written.
    pub(super) fn set(&self) -> Option<&str> {
        self.taken.set.as_deref()
    }

    /// What is to be said of it beside those who have the file written as `sets`: nobody else, where there
    /// is none.
    pub(super) fn finding(&self, sets: &[String], install: &str) -> Finding {
        let (place, edit) = match &self.place {
            Place::Crontab(user) => {
                let user = shown(user);
                let edit = if Uid::effective().is_root() {
                    format!("crontab -u {user} -e")
                } else {
                    "crontab -e".to_owned()
                };
                (format!("the crontab of `{user}`"), format!(": `{edit}`"))
            }
            Place::File(path) => (
                format!("`{}`", shown(&path.display().to_string())),
                String::new(),
            ),
        };
        let line = shown(&redact(&self.taken.line));
        let out = format!("take it out of {place}{edit}");
        if let Some(program) = self.taken.by {
            return Finding::note(
                ABOUT,
                format!("{place} has `{program}` write a haproxy.cfg: `{line}`"),
                format!("where that is the same file, {out}"),
            );
        }
        if let Some(Fault { why, mend }) = &self.fault {
            let why = shown(&redact(why));
            let mend = mend.as_deref().map(|mend| shown(mend) + ", or ");
            return Finding::note(
                ABOUT,
                format!("{place} would have them taken, but {why}: `{line}`"),
                mend.unwrap_or_default() + &out,
            );
        }
        let set = self.set().unwrap_or_default();
        match sets.iter().find(|other| *other != set) {
            Some(other) => Finding::bad(
                ABOUT,
                format!(
                    "{place} has them taken too, as the set {}, and others as {}: each undoes \
                     what the other wrote: `{line}`",
                    shown(set),
                    shown(other)
                ),
                out,
            ),
            None if sets.is_empty() => Finding::note(
                ABOUT,
                format!("by {place} alone: `{line}`"),
                format!("nothing, or {install} and {out}"),
            ),
            None => Finding::note(
                ABOUT,
                format!("{place} has them taken too, where one would do: `{line}`"),
                out,
            ),
        }
    }
}

/// Whoever wrote it may have meant it for a terminal.
pub(super) fn shown(text: &str) -> String {
    let shown = text.chars().map(|c| {
        if c.is_control() {
            c.escape_debug().to_string()
        } else {
            c.to_string()
        }
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::doctor::Grade;

    fn line(text: &str, set: &str, fault: Option<&str>) -> Line {
        Line {
            place: Place::Crontab("b\u{1b}ob".to_owned()),
            taken: Taken {
                line: text.to_owned(),
                user: "bob".to_owned(),
                by: None,
                set: Some(set.to_owned()),
                file: None,
                fault: None,
            },
            fault: fault.map(|why| Fault {
                why: why.to_owned(),
                mend: None,
            }),
        }
    }

    #[test]
    fn another_form_is_bad_and_the_same_one_a_note() {
        let line = line("* * * * * haproxy-marathon-bridge refresh", "native", None);
        let grade = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
            line.finding(&sets, "install").grade
        };
        assert_eq!(grade(&[]), Grade::Note);
        assert_eq!(grade(&["native"]), Grade::Note);
        assert_eq!(grade(&["bridge"]), Grade::Bad);
        assert_eq!(grade(&["native", "bridge"]), Grade::Bad);
    }

    #[test]
    fn what_cannot_run_takes_no_turns_and_says_why() {
        let line = line("x", "native", Some("no cron runs"));
        assert!(!line.takes_turns());
        let says = line.finding(&["bridge".to_owned()], "install").says;
        assert!(
            says.contains("would have them taken, but no cron runs"),
            "{says}"
        );
    }

    #[test]
    fn nothing_of_a_line_reaches_the_terminal_as_a_command() {
        let line = line("refresh \u{1b}]0;owned\u{7}", "native", None);
        let found = line.finding(&[], "install");
        let all = found.says + &found.fix.unwrap_or_default();
        assert!(!all.contains(char::is_control), "{all:?}");
        assert!(all.contains("\\u{1b}]0;owned"), "{all}");
    }
}
