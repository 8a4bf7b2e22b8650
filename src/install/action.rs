//! One thing to be done: whether it is already so, how people are told of it, and how it is done.

use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::host::{Host, Look};
use super::service::{Commands, Init, program, unit};
use super::theirs::{self, Ours};
use super::{cron, service, texts};
use crate::haproxy::child::Environment;
use crate::haproxy::package::PackageManager;

/// The content of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(pub Rc<[u8]>);

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What a file is to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// This program.
    Program,
    /// The list of Marathons.
    Marathons(Vec<String>),
    /// The line for cron.
    CronLine,
    /// A unit of systemd.
    Unit,
    /// As whom HAProxy serves, which people may change.
    ServesAs,
}

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A package is installed, which brings a program.
    Package {
        /// Who brings it.
        manager: PackageManager,
        /// What it is called there.
        package: &'static str,
        /// Whether it has to be asked first which packages there are.
        update: bool,
        /// By one of these programs it is known to be there.
        programs: &'static [&'static str],
    },
    /// A file of ours is as it should be.
    File {
        /// What it is.
        what: What,
        /// Where.
        path: PathBuf,
        /// All of it.
        content: Content,
        /// Its permissions.
        mode: u32,
    },
    /// There is a file of options; one that somebody changed stays.
    Options {
        /// Where.
        path: PathBuf,
        /// What stands in it where nobody has a say.
        text: String,
    },
    /// What somebody else put where something of ours goes is kept.
    BackUp {
        /// Where it lies.
        from: PathBuf,
        /// Where it is kept; behind a copy of something else, with a number.
        to: PathBuf,
        /// By what it is known as ours, which needs no copy.
        ours: Ours,
    },
    /// Debian's and Ubuntu's packages for init scripts had HAProxy disabled.
    Allowed {
        /// The file with `ENABLED=`.
        path: PathBuf,
    },
    /// HAProxy's sockets have a folder, also after the next start of the host.
    RuntimeFolder {
        /// Whether it is made now.
        now: bool,
    },
    /// systemd knows the units as they are now.
    UnitsRead,
    /// A service runs, and is started with the host.
    Started {
        /// Who starts it.
        init: Init,
        /// Its name.
        name: &'static str,
        /// The commands, for who is to know them.
        commands: Commands,
    },
    /// A unit that runs runs with the program and the options of now.
    Restarted {
        /// Its name.
        name: &'static str,
    },
    /// A unit does not run, and is not started with the host.
    Stopped {
        /// Its name.
        name: &'static str,
    },
    /// A unit of a tree is started with the host that it becomes.
    Link {
        /// The link.
        path: PathBuf,
        /// The unit.
        to: PathBuf,
    },
    /// A first turn is taken.
    FirstTurn {
        /// Which says this command.
        words: Vec<String>,
    },
    /// A file or link of ours is gone.
    Gone {
        /// Where it was.
        path: PathBuf,
    },
    /// A unit that `install` wrote is gone.
    UnitGone {
        /// Where it was.
        path: PathBuf,
    },
    /// The program is gone; the bash script of the same name is somebody else's.
    ProgramGone {
        /// Where it was.
        path: PathBuf,
    },
    /// The file of options is gone, where nobody changed it.
    OptionsGone {
        /// Where it was.
        path: PathBuf,
    },
    /// What is remembered in a folder for each `haproxy.cfg` is gone.
    StateGone {
        /// The folder of these folders.
        path: PathBuf,
    },
    /// A folder of ours is gone, where nothing is left in it.
    FolderGone {
        /// Where it was.
        path: PathBuf,
    },
}

/// How an action stands to what there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is left to do.
    IsSo,
    /// It is not to be done, for this reason.
    Kept(String),
    /// It is to be done.
    ToDo,
}

/// What a turn says nothing of.
const NOTHING_TO_DO: &str = "HAProxy is in step: nothing was to be done";

/// What earlier actions of a plan change.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    program: bool,
    units: bool,
}

impl Before {
    pub(super) fn changes(&mut self, action: &Action) {
        match action {
            Action::File { what, .. } => {
                self.program |= *what == What::Program;
                self.units |= *what == What::Unit;
            }
            // An action that only units have.
            Action::Gone { path } | Action::UnitGone { path } => {
                self.units |= path.starts_with(super::UNITS);
            }
            _ => (),
        }
    }
}

impl Action {
    /// How it stands to what there is. What cannot be looked at is to be done.
    pub(super) fn standing(&self, look: &dyn Look, before: Before) -> Standing {
        let is_gone = |path: &Path| !look.is_there(path) && look.link(path).is_none();
        let is_so = match self {
            Self::Package { programs, .. } => {
                programs.iter().any(|name| program(look, name).is_some())
            }
            Self::File {
                what: What::ServesAs,
                path,
                ..
            } => look.is_there(path),
            Self::File {
                what: What::CronLine,
                path,
                content,
                ..
            } if is_own_line(look, path, content) => {
                return Standing::Kept(
                    "somebody changed it, and it has turns taken; remove it, and call this again, \
                     for ours"
                        .to_owned(),
                );
            }
            Self::File {
                path,
                content,
                mode,
                ..
            } => look
                .file(path)
                .ok()
                .flatten()
                .is_some_and(|found| found.content == *content.0 && found.mode == *mode),
            // What nobody changed is brought up to date.
            Self::Options { path, text: wanted } => text(look, path)
                .is_some_and(|there| there == *wanted || !texts::is_as_installed(&there)),
            Self::BackUp { from, to, ours } => theirs::needs_no_copy(look, from, to, ours),
            Self::Allowed { path } => !text(look, path).is_some_and(|text| is_disabled(&text)),
            Self::RuntimeFolder { .. } => has_runtime_folder(look),
            Self::UnitsRead => !before.units,
            Self::Started { init, name, .. } => init.runs(look, name),
            Self::Restarted { name } => {
                !(before.program || before.units) || !Init::Systemd.is_active(look, name)
            }
            Self::Stopped { name } => {
                !Init::Systemd.is_enabled(look, name) && !Init::Systemd.is_active(look, name)
            }
            Self::Link { path, to } => look.link(path).as_ref() == Some(to),
            // It finds out by itself what is to be done.
            Self::FirstTurn { .. } => false,
            Self::Gone { path } | Self::FolderGone { path } => is_gone(path),
            Self::UnitGone { path } => {
                if text(look, path).is_some_and(|text| !texts::is_written_here(&text)) {
                    return Standing::Kept("somebody else wrote it".to_owned());
                }
                is_gone(path)
            }
            Self::ProgramGone { path } => {
                let found = look.file(path).ok().flatten();
                if found.as_ref().is_some_and(theirs::is_script) {
                    return Standing::Kept("it is a script, and not this program".to_owned());
                }
                is_gone(path)
            }
            Self::OptionsGone { path } => {
                if text(look, path).is_some_and(|text| !texts::is_ours(&text)) {
                    return Standing::Kept(
                        "somebody changed it since; --purge removes it".to_owned(),
                    );
                }
                is_gone(path)
            }
            Self::StateGone { path } => {
                let has_others = || !look.list(path).is_empty();
                states(look, path).is_empty() && (is_gone(path) || has_others())
            }
        };
        if is_so {
            Standing::IsSo
        } else {
            Standing::ToDo
        }
    }

    /// Does it; what people should see of what it printed.
    pub(super) fn carry_out(&self, host: &mut dyn Host) -> Result<String, String> {
        let quiet = |done: Result<(), String>| done.map(|()| String::new());
        match self {
            Self::Package { .. } => {
                for words in self.commands() {
                    // A proxy to the outside stands in the environment.
                    host.run(&words, Environment::Inherited)?;
                }
                Ok(String::new())
            }
            Self::File {
                path,
                content,
                mode,
                ..
            } => quiet(host.write(path, &content.0, *mode)),
            Self::Options { path, text } => quiet(host.write(path, text.as_bytes(), 0o644)),
            Self::BackUp { from, to, .. } => match host.file(from) {
                Ok(Some(found)) => {
                    let told = self.foretold(host);
                    let name = theirs::free_name(host, to).ok_or("no name is free for it")?;
                    host.write(&name, &found.content, found.mode)?;
                    Ok(told)
                }
                Ok(None) => Ok("there is none".to_owned()),
                Err(error) => Err(error.to_string()),
            },
            Self::Allowed { path } => {
                let found = host.file(path).map_err(|error| error.to_string())?;
                let Some(found) = found else {
                    return Ok(String::new());
                };
                let text = allowed(&String::from_utf8_lossy(&found.content));
                quiet(host.write(path, text.as_bytes(), found.mode))
            }
            Self::RuntimeFolder { .. } => {
                let path = Path::new(super::RUNTIME_FOLDER);
                host.write(path, texts::RUNTIME_FOLDER.as_bytes(), 0o644)?;
                for words in self.commands() {
                    host.run(&words, Environment::Clean)?;
                }
                Ok(String::new())
            }
            Self::UnitsRead
            | Self::Started { .. }
            | Self::Restarted { .. }
            | Self::Stopped { .. } => {
                for words in self.commands() {
                    host.run(&words, Environment::Clean)?;
                }
                Ok(String::new())
            }
            // Without our variables, as cron and systemd will call it.
            Self::FirstTurn { words } => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let told = host.run(&words, Environment::Clean)?;
                let is_silent = told.trim().is_empty();
                Ok(if is_silent {
                    NOTHING_TO_DO.to_owned()
                } else {
                    told
                })
            }
            Self::Link { path, to } => quiet(host.make_link(path, to)),
            Self::Gone { path }
            | Self::UnitGone { path }
            | Self::ProgramGone { path }
            | Self::OptionsGone { path } => quiet(host.remove(path)),
            Self::StateGone { path } => {
                for folder in states(host, path) {
                    host.remove_folder(&folder)?;
                }
                quiet(host.remove_if_empty(path))
            }
            Self::FolderGone { path } => match host.list(path).first() {
                Some(first) => Ok(format!("it stays, for `{first}` is in it")),
                None => quiet(host.remove_if_empty(path)),
            },
        }
    }

    /// The commands that it consists of.
    fn commands(&self) -> Vec<Vec<&str>> {
        match self {
            Self::Package {
                manager,
                package,
                update,
                ..
            } => {
                let update = update.then(|| manager.update());
                let install = manager.install(package);
                update.into_iter().chain([install]).collect()
            }
            Self::RuntimeFolder { now: true } => {
                vec![vec!["systemd-tmpfiles", "--create", super::RUNTIME_FOLDER]]
            }
            Self::UnitsRead => vec![vec!["systemctl", "daemon-reload"]],
            Self::Started { commands, .. } => commands.clone(),
            Self::Restarted { name } => vec![vec!["systemctl", "try-restart", name]],
            Self::Stopped { name } => vec![vec!["systemctl", "disable", "--now", name]],
            Self::FirstTurn { words } => vec![words.iter().map(String::as_str).collect()],
            _ => Vec::new(),
        }
    }

    /// What people should know of it beforehand that it does not say itself.
    pub(super) fn foretold(&self, look: &dyn Look) -> String {
        match self {
            Self::BackUp { to, .. } => match theirs::free_name(look, to) {
                Some(name) if name != *to => format!("as `{}`", name.display()),
                _ => String::new(),
            },
            _ => String::new(),
        }
    }

    /// Its commands, as people type them.
    pub(super) fn typed(&self) -> String {
        service::typed(&self.commands())
    }

    /// Whether what comes after it can go on without it.
    pub(super) fn may_fail(&self) -> bool {
        matches!(self, Self::FirstTurn { .. })
    }

    /// Whether somebody who waits wants to know for what.
    pub(super) fn takes_long(&self) -> bool {
        matches!(
            self,
            Self::Package { .. } | Self::FirstTurn { .. } | Self::Started { .. }
        )
    }
}

/// Whether what stands there has turns taken as `wanted` would, in somebody's own words.
fn is_own_line(look: &dyn Look, path: &Path, wanted: &Content) -> bool {
    let found = look.file(path).ok().flatten();
    found.is_some_and(|found| cron::does_the_same(look, &found, &wanted.0))
}

fn text(look: &dyn Look, path: &Path) -> Option<String> {
    let found = look.file(path).ok()??;
    Some(String::from_utf8_lossy(&found.content).into_owned())
}

/// HAProxy's package says so on some systems only.
fn has_runtime_folder(look: &dyn Look) -> bool {
    const FOLDERS: [&str; 3] = ["/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/lib/tmpfiles.d"];
    let names_it = |line: &str| {
        let path = line.split_ascii_whitespace().nth(1).unwrap_or_default();
        matches!(
            path.trim_end_matches('/'),
            "/run/haproxy" | "/var/run/haproxy"
        )
    };
    let files = FOLDERS.iter().flat_map(|folder| {
        let names = look.list(Path::new(folder)).into_iter();
        names.map(|name| Path::new(folder).join(name))
    });
    let mut files = files.filter_map(|file| text(look, &file));
    let of_unit = unit(look, "haproxy.service").and_then(|unit| text(look, &unit));
    files.any(|text| text.lines().any(names_it))
        || of_unit.is_some_and(|text| text.contains("\nRuntimeDirectory=haproxy"))
}

fn is_disabled(text: &str) -> bool {
    text.lines().any(|line| line.trim() == "ENABLED=0")
}

fn allowed(text: &str) -> String {
    let lines = text.lines().map(|line| match line.trim() {
        "ENABLED=0" => "ENABLED=1\n".to_owned(),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// Folders in the state folder that have the form of ours, `haproxy.cfg-1a2b3c4d5e6f7081`: whoever named
/// `/var` as state folder by mistake loses nothing but them.
fn states(look: &dyn Look, folder: &Path) -> Vec<PathBuf> {
    let is_ours = |name: &String| {
        let digest = name.rsplit_once('-').map(|(_, digest)| digest);
        digest.is_some_and(|digest| {
            digest.len() == 16 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let names = look.list(folder).into_iter().filter(is_ours);
    names.map(|name| folder.join(name)).collect()
}
