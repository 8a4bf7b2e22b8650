//! Our file for cron: whether it is as we wrote it, and whether cron has turns taken by it.

use std::path::Path;

use super::CRON_FILE;
use super::host::{Found, Look};
use super::service::has_user_named;
use super::texts::{BRIDGE_CRON_FILE, NATIVE_CRON_FILE};

/// The name of this program in a line that leaves it to PATH where that lies.
const NAME: &str = "haproxy-marathon-bridge";
/// The call of the bash script.
pub(super) const BRIDGE_CALL: &str = "refresh_system_haproxy";
/// Ours.
const CALL: &str = "refresh";

/// Programs of others that wrote `haproxy.cfg` before, as far as cron ran them.
const PREDECESSORS: [&str; 2] = ["servicerouter.py", "marathon_lb.py"];

/// Where its copies lie, and not beside it: some crons run whatever lies there.
pub(super) const FIRST_COPY: &str =
    "/etc/haproxy-marathon-bridge/cron-file.before-haproxy-marathon-bridge";

/// A line that has something run.
struct Job<'a> {
    line: &'a str,
    /// Five, or one like `@hourly`.
    times: Vec<&'a str>,
    /// Who runs the command, and the command, as far as the line goes.
    user: Option<&'a str>,
    command: Vec<&'a str>,
}

/// What a job is, where it is a turn of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn<'a> {
    program: &'a str,
    is_bridge: bool,
}

impl<'a> Job<'a> {
    fn of(line: &'a str) -> Self {
        let count = if line.starts_with('@') {
            1
        } else {
            TIMES.len()
        };
        let mut words = line.split_ascii_whitespace();
        Self {
            line,
            times: words.by_ref().take(count).collect(),
            user: words.next(),
            command: words.collect(),
        }
    }

    /// Also where the line lacks something before it.
    fn turn(&self) -> Option<Turn<'a>> {
        let mut words = self.line.split_ascii_whitespace();
        let program = words.find(|word| Path::new(word).ends_with(NAME))?;
        let mut calls = words.filter(|word| [CALL, BRIDGE_CALL].contains(word));
        Some(Turn {
            program,
            is_bridge: calls.next()? == BRIDGE_CALL,
        })
    }
}

/// The lines that are no comments and set no variables.
fn jobs(text: &str) -> impl Iterator<Item = Job<'_>> {
    let lines = text.lines().map(str::trim_start);
    let says = |line: &&str| !line.is_empty() && !line.starts_with('#') && !is_variable(line);
    lines.filter(says).map(Job::of)
}

fn turns(text: &str) -> impl Iterator<Item = Turn<'_>> {
    jobs(text).filter_map(|job| job.turn())
}

/// Whether it is what `install` writes, whatever program it names.
pub(super) fn is_as_written(found: &Found) -> bool {
    let Ok(text) = std::str::from_utf8(&found.content) else {
        return false;
    };
    let program = turns(text)
        .next()
        .map_or(super::PROGRAM, |turn| turn.program);
    [BRIDGE_CRON_FILE, NATIVE_CRON_FILE]
        .iter()
        .any(|written| written.replace(super::PROGRAM, program) == text)
}

/// Whether `found` has the same turns taken as `wanted`, in somebody's own words.
pub(super) fn does_the_same(look: &dyn Look, found: &Found, wanted: &[u8]) -> bool {
    if is_as_written(found) || fault(look, found).is_some() {
        return false;
    }
    let text = String::from_utf8_lossy(&found.content);
    let wanted = String::from_utf8_lossy(wanted);
    let Some(wanted) = turns(&wanted).next() else {
        return false;
    };
    turns(&text).any(|turn| {
        turn.is_bridge == wanted.is_bridge && [wanted.program, NAME].contains(&turn.program)
    })
}

/// Whether the file for cron has turns taken as the bash script did.
#[must_use]
pub fn is_of_bridge(look: &dyn Look) -> bool {
    let found = look.file(Path::new(CRON_FILE)).ok().flatten();
    let text = found.map(|found| String::from_utf8_lossy(&found.content).into_owned());
    text.is_some_and(|text| turns(&text).any(|turn| turn.is_bridge))
}

/// A line of a user's own crontab that has turns taken, or that has a predecessor run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// As it stands there.
    pub line: String,
    /// The predecessor; `None` for this program, whose name the bash script had too.
    pub by: Option<&'static str>,
}

/// Those of a crontab, whose lines name no user.
#[must_use]
pub fn taken_by(crontab: &str) -> Vec<Taken> {
    let taken = |job: Job<'_>| {
        let mut words = job.line.split_ascii_whitespace();
        let predecessor = words.find_map(|word| {
            let mut names = PREDECESSORS.into_iter();
            names.find(|name| Path::new(word).ends_with(name))
        });
        (predecessor.is_some() || job.turn().is_some()).then(|| Taken {
            line: job.line.to_owned(),
            by: predecessor,
        })
    };
    jobs(crontab).filter_map(taken).collect()
}

/// What keeps cron from having turns taken by the file, and what mends that.
pub(super) fn fault(look: &dyn Look, found: &Found) -> Option<(String, String)> {
    if found.mode & 0o022 != 0 {
        return Some((
            format!(
                "cron leaves the file out: it has mode {:04o}, expected one that only root may write",
                found.mode
            ),
            format!("chmod 644 {CRON_FILE}"),
        ));
    }
    if found.owner != 0 {
        return Some((
            format!(
                "cron leaves the file out: it belongs to the user {}, expected root",
                found.owner
            ),
            format!("chown root {CRON_FILE}"),
        ));
    }
    let text = String::from_utf8_lossy(&found.content);
    let again = again(&text);
    if !text.is_empty() && !text.ends_with('\n') {
        return Some((
            "cron leaves the file out: its last line does not end, expected a line break behind it"
                .to_owned(),
            format!("echo >> {CRON_FILE}"),
        ));
    }
    let is_missing = |program: &&str| {
        let path = Path::new(program);
        path.is_absolute() && !look.is_there(path)
    };
    let mut has_one = false;
    let mut why = "no line in it calls this program".to_owned();
    for job in jobs(&text) {
        let line = job.line;
        // A line that cron cannot read costs all of them.
        let (Some(user), Some(first)) = (job.user, job.command.first()) else {
            return Some((format!("its line `{line}` ends before a command"), again));
        };
        if let Some(why) = wrong_time(&job.times) {
            return Some((format!("cron leaves the file out: {why}"), again));
        }
        if !has_user_named(look, user) {
            return Some((
                format!("cron leaves the file out: found no user `{user}`, as whom it runs"),
                again,
            ));
        }
        let turn = job.turn();
        let program = turn.map(|turn| turn.program);
        let missing = [Some(*first), program]
            .into_iter()
            .flatten()
            .find(is_missing);
        if let Some(program) = missing {
            why = format!("it calls `{program}`, which is not there");
            if turn.is_some() {
                return Some((why, again));
            }
        }
        has_one |= turn.is_some();
    }
    (!has_one).then_some((why, again))
}

/// The call that writes it as it should be, as far as it tells in whose words it was.
fn again(text: &str) -> String {
    if turns(text).any(|turn| turn.is_bridge) {
        format!("{NAME} install_cronjob")
    } else {
        format!("{NAME} install --cron")
    }
}

/// As whom the lines that take turns run.
#[must_use]
pub(super) fn user(found: &Found) -> Option<String> {
    let text = String::from_utf8_lossy(&found.content);
    let mut jobs = jobs(&text).filter(|job| job.turn().is_some());
    jobs.next()?.user.map(str::to_owned)
}

fn is_variable(line: &str) -> bool {
    let name = line.split('=').next().unwrap_or_default().trim_end();
    line.contains('=')
        && !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'"')
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

/// The five fields of a time, with what may stand in them.
const TIMES: [(&str, u32, u32, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day of the month", 1, 31, &[]),
    (
        "month",
        1,
        12,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    (
        "day of the week",
        0,
        7,
        &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    ),
];

const NAMED_TIMES: [&str; 8] = [
    "@reboot",
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];

fn wrong_time(words: &[&str]) -> Option<String> {
    if let [name] = words {
        return (!NAMED_TIMES.contains(name)).then(|| {
            format!(
                "found the time `{name}`, expected one of {}",
                NAMED_TIMES.join(", ")
            )
        });
    }
    let mut fields = words.iter().zip(TIMES);
    fields.find_map(|(word, (name, least, most, names))| {
        let is_right = |part: &str| {
            let (range, step) = part.split_once('/').unwrap_or((part, "1"));
            let one = |text: &str| {
                let number = text.parse().ok();
                let named = || names.iter().any(|name| text.eq_ignore_ascii_case(name));
                number.map_or_else(named, |number: u32| (least..=most).contains(&number))
            };
            // `~` is a minute of cronie's own choice.
            let range_is_right = range == "*"
                || range == "~"
                || match range.split_once(['-', '~']) {
                    Some((from, to)) => {
                        (from.is_empty() || one(from)) && (to.is_empty() || one(to))
                    }
                    None => one(range),
                };
            range_is_right && step.parse().is_ok_and(|step: u32| step > 0)
        };
        (!word.split(',').all(is_right))
            .then(|| format!("found `{word}` as {name}, expected {least} to {most}, or *"))
    })
}
