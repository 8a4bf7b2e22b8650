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
            });
        }
    }
    found
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
