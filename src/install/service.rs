//! Who starts services on this host, and how it is asked and told.

use std::fmt;
use std::path::{Path, PathBuf};

use super::host::Look;
use crate::haproxy::program::FOLDERS;

/// What starts services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// systemd, as the first process.
    Systemd,
    /// `OpenRC`.
    OpenRc,
    /// Scripts in `/etc/init.d`, of System V or beside Upstart.
    Scripts,
    /// Nothing that we know, as in most containers.
    Nobody,
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Systemd => "systemd",
            Self::OpenRc => "OpenRC",
            Self::Scripts => "init scripts",
            Self::Nobody => "nothing that starts services",
        })
    }
}

/// Where systemd runs, and looks for units.
const RUNTIME_UNITS: &str = "/run/systemd/system";
/// Where it looks for those of administrators, the strongest first.
const ADMINISTRATED_UNITS: [&str; 3] =
    [super::UNITS, RUNTIME_UNITS, "/usr/local/lib/systemd/system"];
/// Where it looks for those of packages, after them.
pub(super) const PACKAGED_UNITS: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];

/// Where the program `name` lies.
pub(super) fn program(look: &dyn Look, name: &str) -> Option<PathBuf> {
    let places = FOLDERS.iter().map(|folder| Path::new(folder).join(name));
    places.into_iter().find(|place| look.is_there(place))
}

/// Where the unit `name` lies.
pub(super) fn unit(look: &dyn Look, name: &str) -> Option<PathBuf> {
    let places = ADMINISTRATED_UNITS.iter().chain(&PACKAGED_UNITS);
    let mut places = places.map(|folder| Path::new(folder).join(name));
    places.find(|place| look.is_there(place))
}

/// Whether the unit `name`, or a drop-in of it, names the user as whom it runs.
#[must_use]
pub fn has_user(look: &dyn Look, name: &str) -> bool {
    let texts = texts_of_unit(look, name);
    let mut lines = texts.iter().flat_map(|text| text.lines());
    lines.any(|line| line.trim().starts_with("User="))
}

/// What the unit `name` and its drop-ins say.
pub(super) fn texts_of_unit(look: &dyn Look, name: &str) -> Vec<String> {
    let folders = ADMINISTRATED_UNITS.iter().chain(&PACKAGED_UNITS);
    let drop_ins = folders.flat_map(|folder| {
        let folder = Path::new(folder).join(format!("{name}.d"));
        let names = look.list(&folder).into_iter();
        let names =
            names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "conf"));
        names
            .map(|name| folder.join(name))
            .collect::<Vec<PathBuf>>()
    });
    let texts = unit(look, name)
        .into_iter()
        .chain(drop_ins)
        .filter_map(|path| {
            let found = look.file(&path).ok()??;
            Some(String::from_utf8_lossy(&found.content).into_owned())
        });
    texts.collect()
}

/// Whether there is a user of this name, be it in a directory of users elsewhere.
pub(super) fn has_user_named(look: &dyn Look, name: &str) -> bool {
    let found = look.file(Path::new("/etc/passwd")).ok().flatten();
    let is_it = |line: &str| line.split(':').next() == Some(name);
    name == "root"
        || found.is_some_and(|found| String::from_utf8_lossy(&found.content).lines().any(is_it))
        || look.ask(&["getent", "passwd", name])
}

/// Whether a pid file of the service `name` names a process of that name.
fn has_live_pid(look: &dyn Look, name: &str) -> bool {
    let text = |path: &Path| {
        let found = look.file(path).ok()??;
        Some(String::from_utf8_lossy(&found.content).trim().to_owned())
    };
    // That of cron is `crond.pid`.
    let files = ["/run", "/var/run"].into_iter().flat_map(|folder| {
        ["", "d"].map(|ending| Path::new(folder).join(format!("{name}{ending}.pid")))
    });
    let pids = files.filter_map(|file| text(&file)?.lines().next()?.trim().parse::<u32>().ok());
    let mut names =
        pids.filter_map(|pid| text(&Path::new("/proc").join(pid.to_string()).join("comm")));
    names.any(|found| found.starts_with(name))
}

/// Whether a process of one of these names runs.
#[must_use]
pub fn has_process(look: &dyn Look, names: &[&str]) -> bool {
    processes(look, names).next().is_some()
}

/// The names of cron daemons.
pub const CRONS: [&str; 2] = ["cron", "crond"];

/// Whether a cron daemon runs that reads `/etc/cron.d`.
pub fn has_cron(look: &dyn Look) -> bool {
    processes(look, &CRONS).any(|pid| !is_busybox(look, &pid))
}

/// Whether a cron daemon runs whose jobs have its own PATH: busybox's, and others that are told `-P`.
pub(super) fn hands_on_its_path(look: &dyn Look) -> bool {
    let is_told = |pid: &str| {
        let found = look.file(&Path::new("/proc").join(pid).join("cmdline"));
        let words = found.ok().flatten().map(|found| found.content);
        let words = words.unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0).skip(1);
        words.any(|word| word.first() == Some(&b'-') && word.contains(&b'P'))
    };
    processes(look, &CRONS).any(|pid| is_busybox(look, &pid) || is_told(&pid))
}

fn is_busybox(look: &dyn Look, pid: &str) -> bool {
    let program = look.link(&Path::new("/proc").join(pid).join("exe"));
    program.is_some_and(|program| program.ends_with("busybox"))
}

fn processes<'a>(look: &'a dyn Look, names: &'a [&'a str]) -> impl Iterator<Item = String> + 'a {
    let proc = Path::new("/proc");
    let is_one = move |pid: &String| {
        let is_pid = pid.bytes().all(|byte| byte.is_ascii_digit());
        let name = is_pid.then(|| look.file(&proc.join(pid).join("comm")).ok()?);
        let name = name.flatten().map(|name| name.content);
        name.is_some_and(|name| {
            names
                .iter()
                .any(|known| name.trim_ascii() == known.as_bytes())
        })
    };
    look.list(proc).into_iter().filter(is_one)
}

/// Commands of one action, each with its words.
pub(super) type Commands = Vec<Vec<&'static str>>;

/// Commands, as people type them.
pub(super) fn typed(commands: &[Vec<&str>]) -> String {
    let lines: Vec<String> = commands.iter().map(|words| words.join(" ")).collect();
    lines.join(" && ")
}

impl Init {
    /// That of this host, or of the one that `look` will be as a tree.
    pub(super) fn of(look: &dyn Look, is_tree: bool) -> Self {
        let has = |path: &str| look.is_there(Path::new(path));
        let has_systemd = if is_tree {
            has("/usr/lib/systemd/systemd") || has("/lib/systemd/systemd")
        } else {
            has(RUNTIME_UNITS)
        };
        if has_systemd {
            Self::Systemd
        } else if program(look, "openrc-run").is_some() {
            Self::OpenRc
        } else if has("/etc/init.d") {
            Self::Scripts
        } else {
            Self::Nobody
        }
    }

    /// Whether the service `name` is started with the host, and runs.
    pub(super) fn runs(self, look: &dyn Look, name: &str) -> bool {
        self.is_enabled(look, name) && self.is_active(look, name)
    }

    /// Whether the service `name` is started with the host.
    #[must_use]
    pub fn is_enabled(self, look: &dyn Look, name: &str) -> bool {
        match self {
            Self::Systemd => look.ask(&["systemctl", "is-enabled", "--quiet", name]),
            Self::OpenRc => look.is_there(&Path::new("/etc/runlevels/default").join(name)),
            Self::Scripts => ["/etc/rc2.d", "/etc/rc3.d", "/etc/rc.d/rc3.d"]
                .iter()
                .flat_map(|folder| look.list(Path::new(folder)))
                .any(|link| link.starts_with('S') && link.get(3..) == Some(name)),
            Self::Nobody => false,
        }
    }

    /// Whether the service `name` runs.
    pub(super) fn is_active(self, look: &dyn Look, name: &str) -> bool {
        match self {
            Self::Systemd => look.ask(&["systemctl", "is-active", "--quiet", name]),
            Self::OpenRc => look.ask(&["rc-service", name, "status"]),
            // Scripts ask `ps`, which small systems lack. That of HAProxy does not look at all where
            // there is no haproxy.cfg, and says that all is well.
            Self::Scripts => {
                let says_so = || look.ask(&[&format!("/etc/init.d/{name}"), "status"]);
                let runs = name != super::HAPROXY || has_process(look, &[name]);
                runs && says_so() || has_live_pid(look, name)
            }
            Self::Nobody => false,
        }
    }

    /// Has the service `name` started now and with the host; nothing where nobody could.
    pub(super) fn start(self, has_chkconfig: bool, name: &'static str) -> Commands {
        match self {
            Self::Systemd => vec![vec!["systemctl", "enable", "--now", name]],
            Self::OpenRc => vec![
                vec!["rc-update", "add", name, "default"],
                vec!["rc-service", name, "start"],
            ],
            Self::Scripts => {
                let enable = if has_chkconfig {
                    vec!["chkconfig", name, "on"]
                } else {
                    vec!["update-rc.d", name, "defaults"]
                };
                vec![enable, vec!["service", name, "start"]]
            }
            Self::Nobody => Vec::new(),
        }
    }

    /// What people type for that; `None` where nobody could.
    #[must_use]
    pub fn typed_start(self, has_chkconfig: bool, name: &'static str) -> Option<String> {
        let commands = self.start(has_chkconfig, name);
        (!commands.is_empty()).then(|| typed(&commands))
    }
}
