//! What takes an installation back. HAProxy and its file stay as they are.

use std::path::{Path, PathBuf};

use super::action::Action;
use super::facts::Facts;
use super::plan::{MULTI_USER, Plan, TIMERS, wanted_by};
use super::service::Init;
use super::theirs::Ours;
use super::{
    ADDED, CRON_FILE, FOLDER, ONCE, PROGRAM, RUNTIME_FOLDER, SERVES_AS, SERVICE, TIMER, UNITS,
    cron, list, options,
};
use crate::config::Schedule;

/// What the operator wants.
#[derive(Clone, Debug)]
pub struct Removal {
    /// Whether what people wrote and what is remembered goes too.
    pub purge: bool,
    /// The file that was kept in step.
    pub config: PathBuf,
    /// Where the program remembers.
    pub state_dir: PathBuf,
    /// The copies of what stood where ours came.
    pub copies: Vec<PathBuf>,
}

/// Plans to take back what `install` did.
#[must_use]
pub fn uninstall(facts: &Facts, removal: &Removal) -> Plan {
    let mut plan = Plan::default();
    schedules(&mut plan, facts, None);
    let gone = |path: &Path| Action::Gone {
        path: path.to_owned(),
    };
    plan.actions.push(Action::ProgramGone {
        path: PROGRAM.into(),
    });
    let config = removal.config.display();
    plan.notes.push(format!(
        "HAProxy and `{config}` stay as they are, and so does `{RUNTIME_FOLDER}`, where it says that \
         HAProxy's sockets have a folder"
    ));
    let copies: Vec<String> = removal
        .copies
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    plan.notes.push(if copies.is_empty() {
        "no copy is there of what stood where ours came".to_owned()
    } else {
        format!(
            "what stood where ours came is kept as {}; to go back, copy it to its old name",
            copies.join(", ")
        )
    });
    // A package takes along what it brought.
    let is_packaged = facts.packaged.is_some();
    // Options that stay name the folder.
    if removal.purge || !facts.has_own_options && !is_packaged {
        plan.actions.push(if removal.purge {
            gone(Path::new(SERVES_AS))
        } else {
            Action::OptionsGone {
                path: SERVES_AS.into(),
            }
        });
        plan.actions.push(Action::FolderGone { path: ADDED.into() });
    }
    if removal.purge {
        plan.actions.push(gone(options()));
        plan.actions.push(gone(list()));
        plan.actions.push(Action::StateGone {
            path: removal.state_dir.clone(),
        });
        plan.actions.push(Action::FolderGone {
            path: FOLDER.into(),
        });
    } else {
        if !is_packaged {
            plan.actions.push(Action::OptionsGone {
                path: options().to_owned(),
            });
        }
        plan.notes.push(format!(
            "`{}` and what is remembered in `{}` are kept; --purge removes them",
            list().display(),
            removal.state_dir.display()
        ));
    }
    plan
}

/// Takes back whatever takes turns, but for `kept`.
pub(super) fn schedules(plan: &mut Plan, facts: &Facts, kept: Option<Schedule>) {
    let units: [(Schedule, &[&'static str], &str); 2] = [
        (Schedule::Service, &[SERVICE], MULTI_USER),
        (Schedule::Timer, &[TIMER, ONCE], TIMERS),
    ];
    if kept != Some(Schedule::Cron) {
        let file = Path::new(CRON_FILE);
        plan.back_up(file, cron::FIRST_COPY.into(), Ours::CronFile(None));
        plan.actions.push(Action::Gone { path: file.into() });
    }
    for (schedule, names, target) in units {
        if kept == Some(schedule) {
            continue;
        }
        // The first of them is the one that is enabled.
        let Some(first) = names.first() else { continue };
        // One that somebody else wrote has its turns taken as he wants it.
        if facts.units_before.get(first) == Some(&false) {
            plan.notes.push(format!(
                "`{UNITS}/{first}` is kept as it is, for somebody else wrote it: where it has turns \
                 taken, it goes on with that; `systemctl disable --now {first}` ends it"
            ));
            continue;
        }
        if !facts.is_tree && facts.init == Init::Systemd {
            plan.actions.push(Action::Stopped { name: first });
        }
        let path = wanted_by(target, first);
        plan.actions.push(Action::Gone { path });
        let files = names.iter().map(|name| Path::new(UNITS).join(name));
        plan.actions
            .extend(files.map(|path| Action::UnitGone { path }));
    }
    if kept.is_none() && !facts.is_tree && facts.init == Init::Systemd {
        plan.actions.push(Action::UnitsRead);
    }
}
