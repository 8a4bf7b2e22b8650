//! Who takes turns on a host, as far as an installation goes.

use std::path::{Path, PathBuf};

use super::facts::Facts;
use super::host::{Found, Look};
use super::service::{Init, has_cron, unit};
use super::{CRON_FILE, SERVICE, TIMER, cron};
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
    /// Whether it is started with the host.
    pub is_enabled: bool,
    /// What starts it where it does not.
    pub start: String,
    /// As whom the line of cron runs.
    pub user: Option<String>,
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
            runs: has_cron(look),
            is_enabled: facts.init == Init::Nobody || facts.init.is_enabled(look, name),
            start: start.unwrap_or_else(|| name.to_owned()),
            user: line(look).and_then(|found| cron::user(&found)),
            fault: line(look).and_then(|found| cron::fault(look, &found)),
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
                is_enabled: facts.init.is_enabled(look, name),
                start: format!("systemctl enable --now {name}"),
                user: None,
                fault: None,
            });
        }
    }
    found
}

fn line(look: &dyn Look) -> Option<Found> {
    look.file(Path::new(CRON_FILE)).ok()?
}
