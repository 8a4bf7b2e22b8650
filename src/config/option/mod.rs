//! Every option, defined once.
//!
//! From the table come the arguments of the command line, the keys of the TOML file, the variables
//! of the environment, the help, the man page and the defaults themselves: they are read by the
//! same functions as what people write, so that what is shown is what counts.

mod access;
mod command;
mod marathon_lb;
mod servicerouter;
mod table;

use super::value::{self, Expected};
use super::{CommandLine, Config};

pub(super) use access::{
    AUTH_CREDENTIALS, AUTH_CREDENTIALS_FILE, AUTH_TOKEN_FILE, DCOS_AUTH_CREDENTIALS_FILE,
};
pub use command::Command;
pub use marathon_lb::MARATHON_LB;
pub use servicerouter::SERVICEROUTER;
pub use table::all;
pub(super) use table::is_reload_method;

/// Under which heading an option is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Heading {
    Marathon,
    Apps,
    Haproxy,
    Frontends,
    Templates,
    Reload,
    Watch,
    State,
    Install,
    Settings,
}

impl Heading {
    /// As it stands above the options.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Marathon => "Marathon",
            Self::Apps => "Apps",
            Self::Haproxy => "HAProxy",
            Self::Frontends => "Shared frontends",
            Self::Templates => "Templates and output",
            Self::Reload => "Reload",
            Self::Watch => "Watch",
            Self::State => "State",
            Self::Install => "Installation",
            Self::Settings => "Settings and log",
        }
    }
}

/// What the text of a value stands for: shells complete it by this.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// Free text.
    Text,
    /// An address.
    Url,
    /// The path of a file.
    File,
    /// The path of a folder.
    Folder,
    /// A program, by name or path.
    Program,
    /// A line for the shell.
    CommandLine,
    /// Text that nobody is shown.
    Secret,
    /// A whole number, as Python's `int` takes it.
    Integer,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// How the value is called and what it stands for.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// In capitals, as in `--marathon URL`.
    pub name: &'static str,
    /// What the text stands for.
    pub form: Form,
}

/// What an option takes, and where that goes.
#[derive(Debug)]
pub enum Takes {
    /// Nothing: it stands for `true`.
    Nothing(Switch),
    /// One value; given again, the last one counts.
    One(Value, One),
    /// One value each time it is given; they add up.
    Many(Value, Many),
}

/// Where a switch goes.
#[derive(Debug)]
pub struct Switch(fn(&mut Config, bool));

/// Reads one value into its field.
#[derive(Debug)]
pub struct One(fn(&mut Config, &str) -> Result<(), Expected>);

/// Where values add up, and what is right for each.
#[derive(Debug)]
pub struct Many {
    list: fn(&mut Config) -> &mut Vec<String>,
    check: fn(&str) -> Result<(), Expected>,
}

/// What counts when nobody says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing.
    Nothing,
    /// This value.
    Value(&'static str),
    /// A value that is found by this rule.
    Rule(&'static str),
}

/// One option.
#[derive(Debug)]
pub struct Definition {
    /// `haproxy-config`: `--haproxy-config`, the key of the file, and `HMB_HAPROXY_CONFIG`.
    pub name: &'static str,
    /// `m`: `-m`.
    pub short: Option<char>,
    /// What it takes.
    pub takes: Takes,
    /// What counts when it is not given.
    pub fallback: Fallback,
    /// What it does: the short help.
    pub summary: &'static str,
    /// What else is to be known; may be empty.
    pub details: &'static str,
    /// Where it is shown.
    pub heading: Heading,
    /// Which commands take it as an option. In file and environment all commands may find it.
    pub commands: &'static [Command],
}

impl Definition {
    /// Its variable of the environment.
    #[must_use]
    pub fn variable(&self) -> String {
        format!(
            "{VARIABLE_PREFIX}{}",
            self.name.to_ascii_uppercase().replace('-', "_")
        )
    }

    /// Its default as shown to people.
    #[must_use]
    pub const fn default_text(&self) -> Option<&'static str> {
        match self.fallback {
            Fallback::Nothing => None,
            Fallback::Value(text) | Fallback::Rule(text) => Some(text),
        }
    }

    /// Whether its value is shown to nobody.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        let (Takes::One(value, _) | Takes::Many(value, _)) = &self.takes else {
            return false;
        };
        matches!(value.form, Form::Secret)
    }

    /// Whether values add up.
    #[must_use]
    pub const fn is_repeatable(&self) -> bool {
        matches!(self.takes, Takes::Many(..))
    }

    /// Makes room for a new source of this option: what a weaker source gave no longer counts.
    pub(super) fn clear(&self, config: &mut Config) {
        if let Takes::Many(_, many) = &self.takes {
            (many.list)(config).clear();
        }
    }

    /// Reads `text` into its field.
    pub(super) fn set(&self, config: &mut Config, text: &str) -> Result<(), Expected> {
        match &self.takes {
            Takes::Nothing(Switch(set)) => set(config, value::switch(text)?),
            Takes::One(_, One(set)) => set(config, text)?,
            Takes::Many(_, many) => {
                (many.check)(text)?;
                (many.list)(config).push(text.to_owned());
            }
        }
        Ok(())
    }
}

/// Each is defined once, so that it is known by its place.
impl PartialEq for Definition {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Definition {}

/// What all our variables begin with.
pub(super) const VARIABLE_PREFIX: &str = "HMB_";

/// The option of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Definition> {
    all().find(|option| option.name == name)
}

/// The variables whose values are never shown to anybody, be it a process that we start.
pub fn secret_variables() -> impl Iterator<Item = String> {
    let own = all()
        .filter(|option| option.is_secret())
        .map(Definition::variable);
    own.chain([SERVICE_ACCOUNT.to_owned()])
}

/// The variable that marathon-lb read its service account of DC/OS from.
pub(super) const SERVICE_ACCOUNT: &str = "DCOS_SERVICE_ACCOUNT_CREDENTIAL";

/// The options of a predecessor's command line, which have names and defaults of their own; none
/// for the others.
#[must_use]
pub const fn of_predecessor(command_line: CommandLine) -> &'static [Definition] {
    match command_line {
        CommandLine::Native | CommandLine::Bridge => &[],
        CommandLine::MarathonLb => MARATHON_LB,
        CommandLine::Servicerouter => SERVICEROUTER,
    }
}

/// An option of a predecessor; it belongs to no command and stands under no heading of ours.
const fn foreign(
    name: &'static str,
    short: Option<char>,
    takes: Takes,
    fallback: Fallback,
    summary: &'static str,
) -> Definition {
    Definition {
        name,
        short,
        takes,
        fallback,
        summary,
        details: "",
        heading: Heading::Settings,
        commands: &[],
    }
}

/// Also of the predecessors.
pub const MARATHON: &str = "marathon";
/// Also of the predecessors.
pub const GROUP: &str = "group";
/// Of marathon-lb, and native.
pub const MIN_AUTO_PORT: &str = "min-serv-port-ip-per-task";
/// Of marathon-lb, and native.
pub const MAX_AUTO_PORT: &str = "max-serv-port-ip-per-task";
/// Of marathon-lb.
pub(super) const COMMAND: &str = "command";
pub(super) const MARATHON_AUTH_CREDENTIAL_FILE: &str = "marathon-auth-credential-file";
pub(super) const DCOS_AUTH_CREDENTIALS: &str = "dcos-auth-credentials";
pub(super) const MARATHON_CA_CERT: &str = "marathon-ca-cert";
pub(super) const INSECURE: &str = "insecure";
/// How HAProxy is reloaded.
pub const RELOAD: &str = "reload";
pub(super) const RELOAD_COMMAND: &str = "reload-command";
pub(super) const STATE_DIR: &str = "state-dir";
/// The name of the option.
pub const CONFIG: &str = "config";
/// The name of the option.
pub const EXTRA_CONFIG: &str = "extra-config";
/// Of `install`: the tree of a system.
pub const ROOT: &str = "root";
pub(super) const CRON: &str = "cron";
pub(super) const TIMER: &str = "timer";
pub(super) const SERVICE: &str = "service";
pub(super) const POLL: &str = "poll";
pub(super) const CALLBACK_URL: &str = "callback-url";
pub(super) const CALLBACK_LISTEN: &str = "callback-listen";
