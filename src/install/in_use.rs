//! Who takes turns on a host, as far as an installation goes.

use std::path::{Path, PathBuf};

use super::facts::Facts;
use super::host::Look;
use super::service::{Init, unit};
use super::{CRON_FILE, SERVICE, TIMER};
use crate::config::Schedule;

/// Something that has turns taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse {
    /// Which of the three.
    pub schedule: Schedule,
    /// The file that says so.
    pub place: PathBuf,
    /// Whether it does so at present.
    pub runs: bool,
    /// What starts it where it does not.
    pub start: String,
    /// What keeps it from taking turns though it runs, and what mends that.
    pub fault: Option<(String, String)>,
}

/// All that have turns taken here; there should be one.
#[must_use]
pub fn in_use(look: &dyn Look, facts: &Facts) -> Vec<InUse> {
    let mut found = Vec::new();
    if look.is_there(Path::new(CRON_FILE)) {
        let name = facts.packages.map_or("cron", |manager| manager.cron().1);
        let start = facts.init.typed_start(facts.has_chkconfig, name);
        found.push(InUse {
            schedule: Schedule::Cron,
            place: CRON_FILE.into(),
            runs: has_process(look, &["cron", "crond"]),
            start: start.unwrap_or_else(|| name.to_owned()),
            fault: fault_of_line(look),
        });
    }
    if facts.init != Init::Systemd {
        return found;
    }
    for (schedule, name) in [(Schedule::Timer, TIMER), (Schedule::Service, SERVICE)] {
        let Some(place) = unit(look, name) else {
            continue;
        };
        // Where a package brought it, it may be there for nobody.
        let is_ours = place.starts_with(super::UNITS);
        if is_ours || facts.init.is_enabled(look, name) {
            found.push(InUse {
                schedule,
                place,
                runs: facts.init.is_active(look, name),
                start: format!("systemctl enable --now {name}"),
                fault: None,
            });
        }
    }
    found
}

/// What keeps cron from running our line.
fn fault_of_line(look: &dyn Look) -> Option<(String, String)> {
    let found = look.file(Path::new(CRON_FILE)).ok()??;
    if found.mode & 0o022 != 0 {
        return Some((
            format!(
                "cron leaves the file out: it has mode {:04o}, expected one that only root may write",
                found.mode
            ),
            format!("chmod 644 {CRON_FILE}"),
        ));
    }
    let again = "haproxy-marathon-bridge install --cron".to_owned();
    let text = String::from_utf8_lossy(&found.content);
    // A variable is set as NAME=; a command stands behind five times, or `@hourly`, and a user.
    let mut programs = text
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let place = if line.starts_with('@') { 2 } else { 6 };
            line.split_ascii_whitespace().nth(place)
        });
    let Some(program) = programs.next() else {
        return Some(("no line in it calls this program".to_owned(), again));
    };
    let path = Path::new(program);
    (path.is_absolute() && !look.is_there(path))
        .then(|| (format!("it calls `{program}`, which is not there"), again))
}

/// Whether a process of one of these names runs.
fn has_process(look: &dyn Look, names: &[&str]) -> bool {
    let proc = Path::new("/proc");
    let is_one = |pid: &String| {
        let is_pid = pid.bytes().all(|byte| byte.is_ascii_digit());
        let name = is_pid.then(|| look.file(&proc.join(pid).join("comm")).ok()?);
        let name = name.flatten().map(|name| name.content);
        name.is_some_and(|name| {
            names
                .iter()
                .any(|known| name.trim_ascii() == known.as_bytes())
        })
    };
    look.list(proc).iter().any(is_one)
}
