//! Our file for cron: whether it is as we wrote it, and whether cron has turns taken by it.

use std::path::Path;

use super::CRON_FILE;
use super::decided::{Decided, Fault, not_found};
use super::host::{Found, Look};
use super::job::{Form, NAME, jobs, turns, wrong_time};
use super::service::has_user_named;
use super::texts::{BRIDGE_CRON_FILE, NATIVE_CRON_FILE};

/// Where its copies lie, and not beside it: some crons run whatever lies there.
pub(super) const FIRST_COPY: &str =
    "/etc/haproxy-marathon-bridge/cron-file.before-haproxy-marathon-bridge";

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
    turns(&text)
        .any(|turn| turn.form == wanted.form && [wanted.program, NAME].contains(&turn.program))
}

/// Whether the file for cron has turns taken as the bash script did.
#[must_use]
pub fn is_of_bridge(look: &dyn Look) -> bool {
    let found = look.file(Path::new(CRON_FILE)).ok().flatten();
    let text = found.map(|found| String::from_utf8_lossy(&found.content).into_owned());
    text.is_some_and(|text| turns(&text).any(|turn| turn.form == Form::Bridge))
}

/// Where every file is one of cron's.
const FOLDER: &str = "/etc/cron.d";

/// What keeps cron from reading one of its files as it stands there.
pub(super) fn left_out(look: &dyn Look, path: &Path, found: &Found) -> Option<Fault> {
    let shown = path.display();
    let left_out = |why: String, mend: String| {
        Some(Fault {
            why: format!("cron leaves the file out: {why}"),
            mend: Some(mend),
        })
    };
    // That of Debian heeds names that packages' scripts may have, and no others.
    let is_debian = look.is_there(Path::new("/etc/debian_version"));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let odd = name.chars().find(|c| !is_plain(*c));
    if let Some(odd) = odd.filter(|_| is_debian && path.starts_with(FOLDER)) {
        let other = name.replace(|c| !is_plain(c), "_");
        // It is typed as it stands.
        let mend = if name.chars().all(|c| is_plain(c) || c == '.') {
            format!("mv {shown} {FOLDER}/{other}")
        } else {
            format!("give it the name {FOLDER}/{other}")
        };
        let odd = odd.escape_debug();
        let why = format!("its name has a `{odd}`, expected letters, digits, `_` and `-` alone");
        return left_out(why, mend);
    }
    let mode = found.mode;
    if mode & 0o022 != 0 {
        let why = format!("it has mode {mode:04o}, expected one that only root may write");
        return left_out(why, format!("chmod 644 {shown}"));
    }
    // cronie has it so.
    if !is_debian && mode & 0o111 != 0 {
        let why = format!("it has mode {mode:04o}, expected one that nobody may run");
        return left_out(why, format!("chmod 644 {shown}"));
    }
    if found.owner != 0 {
        let why = format!("it belongs to the user {}, expected root", found.owner);
        return left_out(why, format!("chown root {shown}"));
    }
    if !found.content.is_empty() && !found.content.ends_with(b"\n") {
        let why = "its last line does not end, expected a line break behind it";
        return left_out(why.to_owned(), format!("echo >> {shown}"));
    }
    let mut lines = found.content.split(|byte| *byte == b'\n');
    let at = lines.position(|line| line.ends_with(b"\r"))?;
    Some(Fault {
        why: format!(
            "its line {} ends in a carriage return, which its last word takes up",
            at + 1
        ),
        mend: Some(format!("sed -i 's/\\r$//' {shown}")),
    })
}

/// What keeps cron from having turns taken by our file, and what mends that.
pub(super) fn fault(look: &dyn Look, found: &Found) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(&found.content);
    let again = again(&text);
    if let Some(Fault { why, mend }) = left_out(look, Path::new(CRON_FILE), found) {
        return Some((why, mend.unwrap_or(again)));
    }
    let is_missing = |program: &str| {
        let path = Path::new(program);
        path.is_absolute() && !look.is_there(path)
    };
    let mut written = Vec::new();
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
        if is_missing(first) {
            why = format!("it calls `{first}`, which is not there");
            if turn.is_some() {
                return Some((why, again));
            }
        }
        let Some(turn) = turn else { continue };
        if let Some(fault) = not_found(look, turn.program, &turn.variables) {
            return Some((fault.why, again));
        }
        written.push(Decided::of(look, &turn));
    }
    if let Some((one, other)) = undo_each_other(&written) {
        return Some((
            format!(
                "its lines write `haproxy.cfg` in turns, one as the set {} has it, another as {}",
                one.set, other.set
            ),
            format!("take all but one of these lines out of {CRON_FILE}"),
        ));
    }
    written.is_empty().then_some((why, again))
}

/// The call that writes it as it should be, as far as it tells in whose words it was.
fn again(text: &str) -> String {
    if turns(text).any(|turn| turn.form == Form::Bridge) {
        format!("{NAME} install_cronjob")
    } else {
        format!("{NAME} install --cron")
    }
}

/// Two of them that write the same file by different sets.
fn undo_each_other(turns: &[Decided]) -> Option<(&Decided, &Decided)> {
    let mut pairs = turns.iter().enumerate().flat_map(|(at, one)| {
        let before = turns[..at].iter();
        before.map(move |other| (other, one))
    });
    pairs.find(|(one, other)| one.undoes(other))
}

/// As which sets the file for cron has `cfg` written.
#[must_use]
pub fn sets_of_cron(look: &dyn Look, cfg: &Path) -> Vec<String> {
    let found = look.file(Path::new(CRON_FILE)).ok().flatten();
    let text = found.map(|found| String::from_utf8_lossy(&found.content).into_owned());
    let turns = turns(text.as_deref().unwrap_or_default()).map(|turn| Decided::of(look, &turn));
    let turns = turns.filter(|decided| decided.may_write(cfg));
    turns.map(|decided| decided.set).collect()
}

/// As whom the lines that take turns run.
#[must_use]
pub(super) fn user(found: &Found) -> Option<String> {
    let text = String::from_utf8_lossy(&found.content);
    let turn = jobs(&text).find_map(|job| Some((job.turn()?, job.user)));
    let (turn, user) = turn?;
    turn.user.or(user).map(str::to_owned)
}
