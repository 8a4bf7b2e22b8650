//! How people are told of what is to be done.

use std::fmt;

use super::action::{Action, What};
use crate::config::redact_value;

/// What is to be done, to an operator.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package { package, .. } => {
                write!(f, "install the package `{package}`: `{}`", self.typed())
            }
            Self::File { what, path, .. } => {
                let path = path.display();
                match what {
                    What::Program => write!(f, "copy this program to `{path}`"),
                    What::Marathons(hosts) => {
                        let hosts: Vec<_> = hosts.iter().map(|host| redact_value(host)).collect();
                        write!(
                            f,
                            "write the list of Marathons `{path}`: {}",
                            hosts.join(", ")
                        )
                    }
                    What::CronLine => write!(f, "write the line for cron `{path}`"),
                    What::Unit => write!(f, "write the unit `{path}`"),
                    What::ServesAs => {
                        write!(f, "have HAProxy serve as the user `haproxy`: `{path}`")
                    }
                }
            }
            Self::Options { path, .. } => {
                write!(f, "write a file of options `{}`", path.display())
            }
            Self::BackUp { from, to, .. } => {
                let (from, to) = (from.display(), to.display());
                write!(f, "keep `{from}` as `{to}`, unless it is ours")
            }
            Self::Allowed { path } => {
                let path = path.display();
                write!(f, "write ENABLED=1 in the place of ENABLED=0 into `{path}`")
            }
            Self::RuntimeFolder { .. } => {
                let file = super::RUNTIME_FOLDER;
                write!(f, "have the folder of HAProxy's sockets made: `{file}`")
            }
            Self::UnitsRead => write!(f, "have systemd read its units: `{}`", self.typed()),
            Self::Started { name, .. } => {
                let typed = self.typed();
                write!(f, "start `{name}`, now and with the host: `{typed}`")
            }
            Self::Restarted { name } => {
                write!(f, "restart `{name}` as it is now: `{}`", self.typed())
            }
            Self::Stopped { name } => {
                write!(f, "stop `{name}`, and start it no more: `{}`", self.typed())
            }
            Self::Link { path, .. } => {
                write!(
                    f,
                    "have it started with the host: link `{}`",
                    path.display()
                )
            }
            Self::FirstTurn { .. } => write!(f, "bring HAProxy in step once: `{}`", self.typed()),
            Self::Gone { path }
            | Self::UnitGone { path }
            | Self::ProgramGone { path }
            | Self::OptionsGone { path }
            | Self::FolderGone { path } => write!(f, "remove `{}`", path.display()),
            Self::StateGone { path } => {
                write!(f, "remove what is remembered in `{}`", path.display())
            }
        }
    }
}
