//! What takes an installation back. HAProxy and its file stay as they are.

use std::path::{Path, PathBuf};

use super::action::Action;
use super::facts::Facts;
use super::plan::{MULTI_USER, Plan, TIMERS, backup, wanted_by};
use super::service::Init;
use super::{
    ADDED, CRON_FILE, FOLDER, ONCE, PROGRAM, RUNTIME_FOLDER, SERVES_AS, SERVICE, TIMER, UNITS,
    list, options,
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
}

/// Plans to take back what `install` did.
#[must_use]
pub fn uninstall(facts: &Facts, removal: &Removal) -> Plan {
    let mut plan = Plan {
        actions: schedules(facts, None),
        ..Plan::default()
    };
    let gone = |path: &Path| Action::Gone {
        path: path.to_owned(),
    };
    plan.actions.push(Action::ProgramGone {
        path: PROGRAM.into(),
    });
    let config = removal.config.display();
    plan.notes.push(format!(
        "HAProxy and `{config}` stay as they are, and so does `{RUNTIME_FOLDER}`, where it says that \
         HAProxy's sockets have a folder; what stood there before us is kept as `{}`",
        backup(&removal.config).display()
    ));
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
pub(super) fn schedules(facts: &Facts, kept: Option<Schedule>) -> Vec<Action> {
    let mut actions = Vec::new();
    let units: [(Schedule, &[&'static str], &str); 2] = [
        (Schedule::Service, &[SERVICE], MULTI_USER),
        (Schedule::Timer, &[TIMER, ONCE], TIMERS),
    ];
    if kept != Some(Schedule::Cron) {
        actions.push(Action::Gone {
            path: CRON_FILE.into(),
        });
    }
    for (schedule, names, target) in units {
        if kept == Some(schedule) {
            continue;
        }
        // The first of them is the one that is enabled.
        let Some(first) = names.first() else { continue };
        if !facts.is_tree && facts.init == Init::Systemd {
            actions.push(Action::Stopped { name: first });
        }
        let link = wanted_by(target, first);
        let files = names.iter().map(|name| Path::new(UNITS).join(name));
        let paths = [link].into_iter().chain(files);
        actions.extend(paths.map(|path| Action::Gone { path }));
    }
    if kept.is_none() && !facts.is_tree && facts.init == Init::Systemd {
        actions.push(Action::UnitsRead);
    }
    actions
}
