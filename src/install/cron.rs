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

/// Where its copies lie, and not beside it: some crons run whatever lies there.
pub(super) const FIRST_COPY: &str =
    "/etc/haproxy-marathon-bridge/cron-file.before-haproxy-marathon-bridge";

/// What a line has run, as far as it is a turn of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn<'a> {
    program: &'a str,
    is_bridge: bool,
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

fn turns(text: &str) -> impl Iterator<Item = Turn<'_>> {
    lines(text).filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let program = words.find(|word| Path::new(word).ends_with(NAME))?;
        let mut calls = words.filter(|word| [CALL, BRIDGE_CALL].contains(word));
        Some(Turn {
            program,
            is_bridge: calls.next()? == BRIDGE_CALL,
        })
    })
}

/// Those that are no comments, without the blanks before them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim_start);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
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
    // A variable is set as NAME=; a command stands behind five times, or `@hourly`, and a user.
    let mut has_one = false;
    for line in lines(&text).filter(|line| !is_variable(line)) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let times = if line.starts_with('@') {
            1
        } else {
            TIMES.len()
        };
        let [user, command @ ..] = words.get(times..).unwrap_or_default() else {
            return Some((format!("its line `{line}` ends before a command"), again));
        };
        if let Some(why) = wrong_time(&words[..times]) {
            return Some((format!("cron leaves the file out: {why}"), again));
        }
        if !has_user_named(look, user) {
            return Some((
                format!("cron leaves the file out: found no user `{user}`, as whom it runs"),
                again,
            ));
        }
        let Some(program) = command.first() else {
            return Some((format!("its line `{line}` ends before a command"), again));
        };
        let path = Path::new(program);
        if path.is_absolute() && !look.is_there(path) {
            return Some((format!("it calls `{program}`, which is not there"), again));
        }
        has_one = true;
    }
    (!has_one).then(|| ("no line in it calls this program".to_owned(), again))
}

/// The call that writes it as it should be, as far as it tells in whose words it was.
fn again(text: &str) -> String {
    if text.contains(BRIDGE_CALL) {
        format!("{NAME} install_cronjob")
    } else {
        format!("{NAME} install --cron")
    }
}

/// As whom the lines that take turns run.
#[must_use]
pub(super) fn user(found: &Found) -> Option<String> {
    let text = String::from_utf8_lossy(&found.content);
    let mut lines = lines(&text).filter(|line| !is_variable(line));
    let line = lines.next()?;
    let place = if line.starts_with('@') {
        1
    } else {
        TIMES.len()
    };
    line.split_ascii_whitespace().nth(place).map(str::to_owned)
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
