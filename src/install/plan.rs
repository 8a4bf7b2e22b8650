//! What an installation consists of on a host of which these facts are known. Nothing is looked at.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::action::{Action, Content, What};
use super::facts::Facts;
use super::service::{CRONS, Init};
use super::theirs::{Ours, first_copy};
use super::{
    ADDED, CRON_FILE, HAPROXY, ONCE, SERVES_AS, SERVICE, TIMER, UNITS, cron, job, list, options,
    remove, selinux, texts,
};
use crate::config::{ReloadMethod, Schedule, option};
use crate::disk::Digest;

/// Where Debian's and Ubuntu's package had HAProxy disabled.
const DEFAULTS: &str = "/etc/default/haproxy";
/// What starts services with the host.
pub(super) const MULTI_USER: &str = "multi-user.target";
/// What starts timers.
pub(super) const TIMERS: &str = "timers.target";

/// What the operator wants.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Marathons, for the list; none leaves it as it is.
    pub hosts: Vec<String>,
    /// Whether the file of options names Marathons itself.
    pub options_name_marathons: bool,
    /// Who takes turns; `None` for what fits the host.
    pub schedule: Option<Schedule>,
    /// Whether it speaks as the bash script did.
    pub as_bridge: bool,
    /// Whether HAProxy is installed and started as well.
    pub haproxy: bool,
    /// This program.
    pub program: Content,
    /// The file that is kept in step.
    pub config: PathBuf,
    /// Where the program remembers.
    pub state_dir: PathBuf,
    /// Folders beside its own and that one in which turns write.
    pub also_written: Vec<PathBuf>,
    /// What turns of ours installed there, as far as it is remembered.
    pub installed: Rc<[Digest]>,
    /// How HAProxy is reloaded, as far as the file of options says.
    pub reload: ReloadMethod,
    /// The folder of what is added to it, as far as the file of options says.
    pub extra: Option<PathBuf>,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Each knows whether it is already so.
    pub actions: Vec<Action>,
    /// What the operator has to know.
    pub notes: Vec<String>,
    /// What a tree leaves to the host that it becomes.
    pub later: Vec<String>,
}

/// Plans.
///
/// # Errors
///
/// Why there can be no installation, as a sentence; nothing was done then.
pub fn install(facts: &Facts, wish: &Wish) -> Result<Plan, String> {
    if wish.hosts.is_empty() && !facts.has_list && !wish.options_name_marathons {
        return Err(format!(
            "no Marathon is known: none was given, and the list `{}` names none; expected at least \
             one HOST:PORT behind the command",
            list().display()
        ));
    }
    let schedule = schedule(facts, wish)?;
    let mut plan = Plan::default();
    plan.packages(facts, wish, schedule)?;
    if facts.packaged.is_none() {
        let program = facts.program();
        plan.back_up(program, first_copy(program), Ours::Program);
        plan.file(What::Program, program, wish.program.clone(), 0o755);
    }
    plan.marathons(wish);
    plan.options(facts, wish, schedule)?;
    plan.back_up(
        &wish.config,
        first_copy(&wish.config),
        Ours::Config(Rc::clone(&wish.installed)),
    );
    remove::schedules(&mut plan, facts, Some(schedule));
    plan.schedule(facts, wish, schedule)?;
    if wish.haproxy {
        plan.haproxy_can_start(facts);
    }
    // It installs a file that HAProxy can start with, whatever there was before.
    plan.first_turn(facts, wish);
    if wish.haproxy {
        plan.haproxy(facts);
    }
    plan.begin(facts, schedule);
    if facts.haproxy_is_confined {
        plan.notes
            .push(format!("{}; `{}` lets it", selinux::SAYS, selinux::MEND));
    }
    Ok(plan)
}

/// By which link the unit `name` is started with `target`.
pub(super) fn wanted_by(target: &str, name: impl AsRef<Path>) -> PathBuf {
    let folder = Path::new(UNITS).join(format!("{target}.wants"));
    folder.join(name)
}

fn schedule(facts: &Facts, wish: &Wish) -> Result<Schedule, String> {
    let has_systemd = facts.init == Init::Systemd;
    let by_default = if has_systemd {
        Schedule::Service
    } else {
        Schedule::Cron
    };
    let schedule = wish.schedule.unwrap_or(by_default);
    if schedule == Schedule::Cron {
        return Ok(schedule);
    }
    if !has_systemd {
        return Err(format!(
            "found {}, expected systemd for a unit of it; --cron does without",
            facts.init
        ));
    }
    // What a unit of ours starts ends with it, and lives under its restrictions.
    if facts.haproxy && facts.haproxy_unit.is_none() {
        return Err(
            "found HAProxy, but no unit `haproxy.service` that runs it: we would have to start it \
             ourselves, and it would end with our unit; expected one, or --cron"
                .to_owned(),
        );
    }
    if wish.reload == ReloadMethod::Sf {
        return Err(format!(
            "`{}` has HAProxy reloaded by `sf`: the new one would be a child of our unit, and end \
             with it; expected `reload = \"systemd\"`, or --cron",
            options().display()
        ));
    }
    Ok(schedule)
}

impl Plan {
    fn packages(&mut self, facts: &Facts, wish: &Wish, schedule: Schedule) -> Result<(), String> {
        let mut wanted: Vec<(&'static str, &'static [&'static str])> = Vec::new();
        match &facts.own_haproxy {
            _ if !wish.haproxy => (),
            None => wanted.push((HAPROXY, &[HAPROXY])),
            // No package brings it.
            Some(_) if facts.haproxy => (),
            Some(own) if facts.is_tree => self
                .later
                .push(format!("bring HAProxy to `{}`", own.display())),
            Some(own) => {
                return Err(format!(
                    "`{}` names HAProxy's program as `{}`, found none there; expected it, or no \
                     `haproxy` in the file, for that of the package",
                    options().display(),
                    own.display()
                ));
            }
        }
        if schedule == Schedule::Cron {
            let package = facts.packages.map_or("cron", |manager| manager.cron().0);
            // Where busybox has a `crond` of its own, the package brings another one.
            wanted.push((package, &CRONS));
        }
        for (package, programs) in wanted {
            let is_there = if package == HAPROXY {
                facts.haproxy
            } else {
                facts.cron
            };
            let Some(manager) = facts.packages else {
                if is_there {
                    continue;
                }
                if facts.is_tree {
                    self.later.push(format!("install the package `{package}`"));
                    continue;
                }
                return Err(format!(
                    "`{package}` is not installed, and which package manager {} has is not known: \
                     found neither a name in /etc/os-release nor one of their programs; install \
                     `{package}` by hand, and call this again",
                    facts.system
                ));
            };
            let action = Action::Package {
                manager,
                package,
                update: facts.packages_unknown,
                // A `crond` that does not read /etc/cron.d counts as none.
                programs: if package != HAPROXY && !facts.cron {
                    &[]
                } else {
                    programs
                },
            };
            if !facts.is_tree {
                self.actions.push(action);
            } else if !is_there {
                self.later.push(action.to_string());
            }
        }
        Ok(())
    }

    fn file(&mut self, what: What, path: impl Into<PathBuf>, content: Content, mode: u32) {
        self.actions.push(Action::File {
            what,
            path: path.into(),
            content,
            mode,
        });
    }

    pub(super) fn back_up(&mut self, from: &Path, to: PathBuf, ours: Ours) {
        let from = from.to_owned();
        self.actions.push(Action::BackUp { from, to, ours });
    }

    fn marathons(&mut self, wish: &Wish) {
        if wish.hosts.is_empty() {
            return;
        }
        let text: String = wish.hosts.iter().map(|host| format!("{host}\n")).collect();
        // A password stands before a host.
        let mode = if text.contains('@') { 0o600 } else { 0o644 };
        let what = What::Marathons(wish.hosts.clone());
        self.file(what, list(), text.as_str().into(), mode);
        // It is an address all the same, of port 80, as the bash script had it.
        for host in wish.hosts.iter().filter(|host| !host.contains(':')) {
            self.notes.push(format!(
                "`{host}` names no port, so that port 80 is asked; expected HOST:PORT, and most \
                 Marathons listen on 8080"
            ));
        }
        if wish.options_name_marathons && !wish.as_bridge {
            self.notes.push(format!(
                "`{}` names Marathons itself, which win over the list",
                options().display()
            ));
        }
    }

    fn options(&mut self, facts: &Facts, wish: &Wish, schedule: Schedule) -> Result<(), String> {
        let reload = match schedule {
            Schedule::Cron => None,
            Schedule::Timer | Schedule::Service => Some("systemd"),
        };
        let mut given: Vec<_> = reload
            .map(|how| (option::RELOAD, how))
            .into_iter()
            .collect();
        if self.serves_as(facts, wish) {
            given.push((option::EXTRA_CONFIG, ADDED));
        }
        self.actions.push(Action::Options {
            path: options().to_owned(),
            text: texts::settings(&given),
        });
        let is_told = matches!(
            wish.reload,
            ReloadMethod::Systemd | ReloadMethod::Master | ReloadMethod::Command
        );
        if facts.has_own_options && reload.is_some() && !is_told {
            self.notes.push(format!(
                "`{}` is kept as it is; with `reload = \"systemd\"` in it a unit of ours never \
                 starts HAProxy itself",
                options().display()
            ));
        }
        // It stands in units, where blanks and % mean something.
        let folder = wish.config.parent().unwrap_or(Path::new("/"));
        let also = wish.also_written.iter().map(PathBuf::as_path);
        for path in [folder, wish.state_dir.as_path()].into_iter().chain(also) {
            if !texts::is_plain(path) {
                return Err(format!(
                    "found `{}`, expected an absolute path of letters, digits and /-._+",
                    path.display()
                ));
            }
        }
        Ok(())
    }

    /// Our haproxy.cfg takes the place of one that most often had HAProxy serve as a user of its own.
    fn serves_as(&mut self, facts: &Facts, wish: &Wish) -> bool {
        // The bash script's file has no such lines, and is the same byte for byte.
        if wish.as_bridge {
            return false;
        }
        if !facts.may_have_user() {
            if facts.is_tree && !facts.haproxy {
                self.notes.push(format!(
                    "HAProxy is yet to come into this tree, and whether a user `haproxy` comes with it \
                     is not known: it serves as root unless `{SERVES_AS}` says `global`, `user haproxy` \
                     and `group haproxy`, and `extra-config = \"{ADDED}\"` stands in `{}`; a second \
                     call writes both, once it is there",
                    options().display()
                ));
            }
            return false;
        }
        if facts.has_own_options && wish.extra.as_deref() != Some(Path::new(ADDED)) {
            if wish.extra.is_none() {
                self.notes.push(format!(
                    "`{}` is kept as it is, so HAProxy serves as root unless a template says \
                     otherwise; `extra-config = \"{ADDED}\"` there, and a file `{SERVES_AS}` with \
                     `global`, `user haproxy` and `group haproxy`, mend it",
                    options().display()
                ));
            }
            return false;
        }
        self.file(What::ServesAs, SERVES_AS, texts::SERVES_AS.into(), 0o644);
        true
    }

    fn schedule(&mut self, facts: &Facts, wish: &Wish, schedule: Schedule) -> Result<(), String> {
        let program = facts.program();
        if !texts::is_plain(program) {
            let shown = program.display();
            return Err(format!(
                "found this program at `{shown}`, expected a plain path"
            ));
        }
        if schedule == Schedule::Cron {
            let text: Content = texts::cron_file(wish.as_bridge, program).as_str().into();
            let ours = Ours::CronFile(Some(text.clone()));
            self.back_up(Path::new(CRON_FILE), cron::FIRST_COPY.into(), ours);
            self.file(What::CronLine, CRON_FILE, text, 0o644);
            if facts.init == Init::Systemd && !facts.is_tree {
                // Those of before may be gone.
                self.actions.push(Action::UnitsRead);
            }
            return Ok(());
        }
        let (units, target): (&[&str], _) = match schedule {
            Schedule::Timer => (&[ONCE, TIMER], TIMERS),
            _ => (&[SERVICE], MULTI_USER),
        };
        for name in units {
            let text = texts::unit(name, program, wish, facts.may_have_group());
            let path = Path::new(UNITS).join(name);
            let packaged = facts.packaged.as_ref();
            let packaged = packaged.and_then(|packaged| packaged.units.get(name));
            let before = facts.units_before.get(name);
            if before == Some(&false) {
                self.notes.push(format!(
                    "`{}` is kept as it is, for somebody else wrote it: expected `{} {}` to be called \
                     by it; remove it, and call this again, for ours",
                    path.display(),
                    program.display(),
                    if *name == SERVICE { "watch" } else { "refresh" }
                ));
                continue;
            }
            // Another group, or another folder than the usual one, takes another unit.
            if !packaged.is_some_and(|unit| texts::is_same_unit(unit, &text)) {
                self.file(What::Unit, path, text.as_str().into(), 0o644);
                continue;
            }
            // That of an earlier installation would run the program of then. Its link leads to it.
            if before.is_some() {
                let link = wanted_by(target, name);
                self.actions.push(Action::Gone { path: link });
                self.actions.push(Action::Gone { path });
            }
        }
        if !facts.is_tree {
            self.actions.push(Action::UnitsRead);
        }
        Ok(())
    }

    /// What keeps HAProxy from being started.
    fn haproxy_can_start(&mut self, facts: &Facts) {
        self.actions.push(Action::Allowed {
            path: DEFAULTS.into(),
        });
        if facts.init == Init::Systemd && facts.may_have_group() {
            self.actions.push(Action::RuntimeFolder {
                now: !facts.is_tree,
            });
        }
    }

    /// HAProxy starts with the host, and now.
    fn haproxy(&mut self, facts: &Facts) {
        if !facts.is_tree {
            if facts.init == Init::Nobody {
                self.notes.push(
                    "found nothing that starts services: start HAProxy as this host does, or give \
                     `reload = \"sf\"`, with which a turn starts it"
                        .to_owned(),
                );
                return;
            }
            self.start(facts, HAPROXY);
            return;
        }
        match (&facts.haproxy_unit, facts.init) {
            (Some(unit), Init::Systemd) => self.link(unit, MULTI_USER),
            (_, init) => self
                .later
                .push(format!("start HAProxy with the host, by {init}")),
        }
    }

    fn start(&mut self, facts: &Facts, name: &'static str) {
        self.actions.push(Action::Started {
            init: facts.init,
            name,
            commands: facts.init.start(facts.has_chkconfig, name),
        });
    }

    fn link(&mut self, unit: &Path, target: &str) {
        let name = unit.file_name().unwrap_or_default();
        self.actions.push(Action::Link {
            path: wanted_by(target, name),
            to: unit.to_owned(),
        });
    }

    fn first_turn(&mut self, facts: &Facts, wish: &Wish) {
        if facts.is_tree {
            self.later
                .push("the first turn, which comes by itself".to_owned());
            return;
        }
        let call = if wish.as_bridge {
            job::BRIDGE_CALL
        } else {
            "refresh"
        };
        self.actions.push(Action::FirstTurn {
            words: vec![facts.program().display().to_string(), call.to_owned()],
        });
    }

    /// All turns that follow.
    fn begin(&mut self, facts: &Facts, schedule: Schedule) {
        let unit = match schedule {
            Schedule::Cron => None,
            Schedule::Timer => Some((TIMER, TIMERS)),
            Schedule::Service => Some((SERVICE, MULTI_USER)),
        };
        if facts.is_tree {
            if let Some((name, target)) = unit {
                self.link(&Path::new(UNITS).join(name), target);
            }
            return;
        }
        if schedule == Schedule::Cron {
            if let Some(manager) = facts.packages
                && facts.init != Init::Nobody
            {
                self.start(facts, manager.cron().1);
            }
            return;
        }
        if let Some((name, _)) = unit {
            if schedule == Schedule::Service {
                self.actions.push(Action::Restarted { name });
            }
            self.start(facts, name);
        }
    }
}
