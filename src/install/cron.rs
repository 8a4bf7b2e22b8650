//! Our file for cron: whether it is as we wrote it, and whether cron has turns taken by it.

use std::path::Path;

use super::CRON_FILE;
use super::host::{Found, Look};
use super::job::{Form, NAME, Turn, jobs, may_write, turns, wrong_time};
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
    if let Some(at) = text.split('\n').position(|line| line.ends_with('\r')) {
        return Some((
            format!(
                "its line {} ends in a carriage return, which its last word takes up",
                at + 1
            ),
            format!("sed -i 's/\\r$//' {CRON_FILE}"),
        ));
    }
    let is_missing = |program: &&str| {
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
        written.extend(turn);
    }
    if let Some((one, other)) = undo_each_other(&written) {
        return Some((
            format!(
                "its lines write `haproxy.cfg` in turns, one as the set {} has it, another as {}",
                one.writes(),
                other.writes()
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
fn undo_each_other<'t, 'a>(turns: &'t [Turn<'a>]) -> Option<(&'t Turn<'a>, &'t Turn<'a>)> {
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
    let turns = turns(text.as_deref().unwrap_or_default())
        .filter(|turn| may_write(turn.file.map(Path::new), cfg));
    turns.map(|turn| turn.writes().to_owned()).collect()
}

/// As whom the lines that take turns run.
#[must_use]
pub(super) fn user(found: &Found) -> Option<String> {
    let text = String::from_utf8_lossy(&found.content);
    let mut jobs = jobs(&text).filter(|job| job.turn().is_some());
    jobs.next()?.user.map(str::to_owned)
}
