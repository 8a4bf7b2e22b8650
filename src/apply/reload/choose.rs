//! Which method reaches the HAProxy of this host.
//!
//! In comes what the operator decided and what was observed; out goes a method with its reason.
//! `Probe::observe` looks, `choose` decides.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::service::Unit;
use super::workers::{EXECUTES_ANEW, answers};
use super::{Context, Method};
use crate::config::{self, ReloadCommand, ReloadMethod};
use crate::haproxy::{Process, Role};

/// For each question of the probe.
const ASK: Duration = Duration::from_secs(5);

/// HAProxy's systemd unit, Upstart job and init script.
pub const SERVICE: &str = "haproxy";

/// What was observed on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The systemd unit that is active and runs our file, as far as can be told.
    pub unit: Option<String>,
    /// A master's socket that answers.
    pub master_socket: Option<PathBuf>,
    /// A live HAProxy, from the pid file or with our file.
    pub process: Option<(u32, Role)>,
    /// The Upstart job.
    pub upstart: Option<String>,
    /// The init script.
    pub init_script: Option<PathBuf>,
}

impl Facts {
    /// No HAProxy runs our file, and none is managed. An init script or an Upstart job may be that of
    /// a package which nobody uses.
    #[must_use]
    pub fn is_nobody_there(&self) -> bool {
        self.unit.is_none() && self.master_socket.is_none() && self.process.is_none()
    }
}

/// A method and why it is this one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Choice {
    pub method: Method,
    pub because: &'static str,
}

/// Chooses. `None`: HAProxy does not run, or not in a way that can be told; the files wait for it.
///
/// What was configured wins; a `command` without a method is a configured one. Then comes what
/// manages processes, since a process that was replaced behind its back is restarted or lost: the
/// systemd unit, the master, the pid file, the init script.
#[must_use]
pub fn choose(
    configured: ReloadMethod,
    command: Option<&ReloadCommand>,
    unit: &str,
    facts: &Facts,
) -> Option<Choice> {
    let choice = |method, because| Some(Choice { method, because });
    let command = command.map(|command| match command {
        ReloadCommand::Shell(line) => Method::Command(line.clone()),
        ReloadCommand::Words(words) => Method::Program(words.clone()),
    });
    match configured {
        ReloadMethod::None => choice(Method::None, "configured"),
        ReloadMethod::Sf => choice(Method::Sf, "configured"),
        ReloadMethod::Command => choice(command?, "configured"),
        ReloadMethod::Systemd => choice(
            Method::Systemd {
                unit: unit.to_owned(),
            },
            "configured",
        ),
        ReloadMethod::Master => {
            choice(by_socket(facts).or_else(|| by_signal(facts))?, "configured")
        }
        ReloadMethod::Auto => command
            .and_then(|method| choice(method, "a reload command is configured"))
            .or_else(|| choice(by_unit(facts)?, "the systemd unit is active"))
            .or_else(|| choice(by_socket(facts)?, "the master's socket answers"))
            .or_else(|| choice(by_signal(facts)?, "HAProxy runs with a master"))
            .or_else(|| choice(by_takeover(facts)?, "HAProxy runs as a single process"))
            .or_else(|| {
                let job = facts.upstart.clone()?;
                choice(Method::Upstart(job), "there is an Upstart job")
            })
            .or_else(|| {
                let script = facts.init_script.clone()?;
                choice(Method::InitScript(script), "there is an init script")
            }),
    }
}

fn by_unit(facts: &Facts) -> Option<Method> {
    Some(Method::Systemd {
        unit: facts.unit.clone()?,
    })
}

fn by_socket(facts: &Facts) -> Option<Method> {
    Some(Method::Master {
        socket: facts.master_socket.clone()?,
    })
}

/// A master is told, wherever its number was found: `-sf` would take its workers from it.
fn by_signal(facts: &Facts) -> Option<Method> {
    match facts.process? {
        (pid, Role::Master) | (_, Role::Worker { master: pid }) => {
            Some(Method::MasterSignal { pid })
        }
        (_, Role::Single) => None,
    }
}

fn by_takeover(facts: &Facts) -> Option<Method> {
    matches!(facts.process?, (_, Role::Single)).then_some(Method::Sf)
}

/// Where to look.
#[derive(Clone, Copy, Debug)]
pub struct Probe<'a> {
    /// Processes, files and search path.
    pub context: &'a Context,
    /// The master's socket, where it was configured.
    pub master_socket: Option<&'a Path>,
    /// The systemd unit, also the name of the Upstart job and the init script: `haproxy`.
    pub unit: &'a str,
    /// `/`, or another folder for tests.
    pub root: &'a Path,
}

impl<'a> Probe<'a> {
    /// Of this host's HAProxy.
    #[must_use]
    pub fn of(context: &'a Context, haproxy: &'a config::Haproxy) -> Self {
        Self {
            context,
            master_socket: haproxy.master_socket.as_deref(),
            unit: SERVICE,
            root: Path::new("/"),
        }
    }
}

impl Probe<'_> {
    /// Looks at this host.
    pub async fn observe(&self) -> Facts {
        let process = self.process();
        let within = |folder: &str, file: &str| {
            let path = self.root.join(folder).join(file);
            path.is_file().then_some(path)
        };
        let job = within("etc/init", &format!("{}.conf", self.unit));
        Facts {
            unit: self.unit().await,
            master_socket: self.master_socket(process.as_ref()).await,
            process: process.map(|process| (process.pid, self.context.proc.role(&process))),
            upstart: job.map(|_| self.unit.to_owned()),
            init_script: within("etc/init.d", self.unit),
        }
    }

    /// The one that the pid file names; else a master, whose workers run as well; else the newest.
    fn process(&self) -> Option<Process> {
        let Context { proc, pid_file, .. } = self.context;
        let ours = self.context.our_processes();
        let named = proc.of_pid_file(pid_file);
        let is_named = |process: &&Process| named.iter().any(|named| named.pid == process.pid);
        let serves = |process: &&Process| proc.role(process) == Role::Master;
        let chosen = ours.iter().find(is_named);
        chosen
            .or_else(|| ours.iter().find(serves))
            .or(ours.last())
            .cloned()
    }

    async fn unit(&self) -> Option<String> {
        if !self.root.join("run/systemd/system").is_dir() {
            return None;
        }
        let unit = Unit::ask(self.context, self.unit, ASK)
            .await
            .ok()
            .filter(|unit| unit.active)?;
        let runs_another_file = unit
            .main
            .and_then(|pid| self.context.proc.process(pid))
            .is_some_and(|main| main.is_haproxy() && !main.uses(&self.context.config));
        (!runs_another_file).then(|| self.unit.to_owned())
    }

    /// The configured one, else the one that the master itself was started with.
    async fn master_socket(&self, process: Option<&Process>) -> Option<PathBuf> {
        let given = process.and_then(|process| process.arguments.master_socket.clone());
        let socket = self.master_socket.map(Path::to_owned).or(given)?;
        answers(&socket, Instant::now() + EXECUTES_ANEW)
            .await
            .ok()
            .map(|_| socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Facts {
        Facts {
            unit: Some("haproxy".to_owned()),
            master_socket: Some("/run/m.sock".into()),
            process: Some((7, Role::Master)),
            upstart: Some("haproxy".to_owned()),
            init_script: Some("/etc/init.d/haproxy".into()),
        }
    }

    fn auto(facts: &Facts) -> Option<Method> {
        choose(ReloadMethod::Auto, None, "haproxy", facts).map(|choice| choice.method)
    }

    #[test]
    fn auto_goes_from_what_manages_processes_to_what_does_not() {
        let mut facts = all();
        let mut found = Vec::new();
        for forget in [
            (|facts| facts.unit = None) as fn(&mut Facts),
            |facts| facts.master_socket = None,
            |facts| facts.process = Some((7, Role::Single)),
            |facts| facts.process = None,
            |facts| facts.upstart = None,
            |facts| facts.init_script = None,
            |_| (),
        ] {
            found.push(auto(&facts));
            forget(&mut facts);
        }
        let script = || Method::InitScript("/etc/init.d/haproxy".into());
        assert_eq!(
            found,
            [
                Some(Method::Systemd {
                    unit: "haproxy".to_owned()
                }),
                Some(Method::Master {
                    socket: "/run/m.sock".into()
                }),
                Some(Method::MasterSignal { pid: 7 }),
                Some(Method::Sf),
                Some(Method::Upstart("haproxy".to_owned())),
                Some(script()),
                None,
            ]
        );
    }

    #[test]
    fn what_is_configured_wins_over_what_is_observed() {
        let method = |configured, command: Option<&str>| {
            let line = command.map(|line| ReloadCommand::Shell(line.to_owned()));
            choose(configured, line.as_ref(), "haproxy", &all()).map(|choice| choice.method)
        };
        let command = || Some(Method::Command("x".to_owned()));
        let words = vec!["x".to_owned(), "y z".to_owned()];
        assert_eq!(
            choose(
                ReloadMethod::Command,
                Some(&ReloadCommand::Words(words.clone())),
                "haproxy",
                &all()
            )
            .map(|choice| choice.method),
            Some(Method::Program(words))
        );
        assert_eq!(method(ReloadMethod::Auto, Some("x")), command());
        assert_eq!(method(ReloadMethod::Command, Some("x")), command());
        assert_eq!(method(ReloadMethod::None, Some("x")), Some(Method::None));
        assert_eq!(method(ReloadMethod::Sf, None), Some(Method::Sf));
        let socket = "/run/m.sock".into();
        assert_eq!(
            method(ReloadMethod::Master, None),
            Some(Method::Master { socket })
        );
    }

    #[test]
    fn a_worker_in_the_pid_file_leads_to_its_master_and_never_to_sf() {
        let facts = Facts {
            process: Some((8, Role::Worker { master: 7 })),
            ..Facts::default()
        };
        assert_eq!(auto(&facts), Some(Method::MasterSignal { pid: 7 }));
    }

    #[test]
    fn a_master_that_is_asked_for_but_does_not_run_is_nobody() {
        let facts = Facts {
            process: Some((7, Role::Single)),
            ..Facts::default()
        };
        assert_eq!(choose(ReloadMethod::Master, None, "haproxy", &facts), None);
    }
}
