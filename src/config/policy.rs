//! What follows from the command line that was spoken: one row each, instead of ifs elsewhere.

use super::{
    GroupRule, LogDestination, LogFormat, LogLevel, PortRule, SettingsFrom, TemplateSet, Values,
};
use crate::cluster::ServingTasks;

/// The command lines that the program speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandLine {
    /// `generate`, `refresh` and their like.
    Native,
    /// The bash script `haproxy-marathon-bridge`.
    Bridge,
    /// `marathon_lb.py` of marathon-lb 1.15.
    MarathonLb,
    /// `servicerouter.py`, which came with Marathon until 0.11.
    Servicerouter,
}

/// What becomes of host names in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// They stay as they are, once they are known to resolve.
    Keep,
    /// Their addresses stand in their place.
    Numeric,
    /// Their addresses stand in their place, and they themselves in the names of servers.
    Beside,
}

/// What an option of a command line means that is given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// Its values are added to the earlier ones.
    Append,
    /// The earlier values are forgotten.
    Last,
}

/// A row of decisions.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
pub struct Policy {
    /// Whose row it is.
    pub command_line: CommandLine,
    /// Which tasks are served.
    pub serving_tasks: ServingTasks,
    /// What becomes of host names in the file. The script left them to HAProxy, and what it wrote is
    /// matched byte for byte.
    pub names: Names,
    /// Whether `GET /v2/tasks` as text is asked first: a smaller answer, but one without labels.
    pub asks_text_first: bool,
    /// Whether certificates are verified unless told otherwise; curl ran with `-k` in the script,
    /// and marathon-lb verified only what it was given a CA for.
    pub verifies_tls: bool,
    /// Which apps `--group` stands for.
    pub groups: GroupRule,
    /// What `-m` means that is given again.
    pub repeated_marathon: Repeats,
    /// How service ports and task ports find each other.
    pub ports: PortRule,
    /// How what app owners wrote reaches the file.
    pub values: Values,
    /// Where they write it, unless `--settings-from` says otherwise.
    pub settings_from: SettingsFrom,
    /// Whether everybody's labels may replace templates, or nobody's, unless `--template-labels` says
    /// otherwise.
    pub template_labels: bool,
    /// What is rendered unless `--template-set` says otherwise.
    pub template_set: TemplateSet,
    /// The folder, from where the program is started, with files `HAPROXY_<NAME>` that replace
    /// templates in the predecessor's language.
    pub template_files: Option<&'static str>,
    /// Whether variables `HAPROXY_<NAME>` of the environment replace them too.
    pub template_variables: bool,
    /// Whether host names and app ids are looked up in maps, unless told otherwise.
    pub maps: bool,
    /// Whether a running HAProxy is told of servers without a reload, unless told otherwise.
    pub runtime_api: bool,
    /// Where the log goes unless told otherwise.
    pub log: LogDestination,
    /// How much is said unless told otherwise.
    pub log_level: LogLevel,
    /// In which form it is said unless told otherwise.
    pub log_format: LogFormat,
    /// `%(name)s` of a log in Python's form.
    pub logger: &'static str,
    /// The exit status for wrong values. Python's argparse knew wrong usage, but what only the
    /// program could judge came out as an exception.
    pub wrong_value: u8,
}

const NATIVE: Policy = Policy {
    command_line: CommandLine::Native,
    serving_tasks: ServingTasks::RunningOrOutOfSight,
    names: Names::Numeric,
    asks_text_first: false,
    verifies_tls: true,
    groups: GroupRule::Given,
    repeated_marathon: Repeats::Append,
    ports: PortRule::Discovery,
    values: Values::Typed,
    settings_from: SettingsFrom::Labels,
    template_labels: false,
    template_set: TemplateSet::Native,
    template_files: None,
    template_variables: false,
    maps: true,
    runtime_api: true,
    log: LogDestination::Stderr,
    log_level: LogLevel::Info,
    log_format: LogFormat::Text,
    logger: env!("CARGO_PKG_NAME"),
    wrong_value: 2,
};

const BRIDGE: Policy = Policy {
    command_line: CommandLine::Bridge,
    serving_tasks: ServingTasks::Running,
    names: Names::Keep,
    asks_text_first: true,
    verifies_tls: false,
    groups: GroupRule::Everything,
    template_set: TemplateSet::Bridge,
    maps: false,
    ..NATIVE
};

const MARATHON_LB: Policy = Policy {
    command_line: CommandLine::MarathonLb,
    names: Names::Beside,
    verifies_tls: false,
    groups: GroupRule::Exact,
    repeated_marathon: Repeats::Last,
    ports: PortRule::Zipped,
    values: Values::Verbatim,
    template_labels: true,
    template_set: TemplateSet::MarathonLb,
    template_files: Some("templates"),
    template_variables: true,
    maps: false,
    runtime_api: false,
    log: LogDestination::StderrAndSyslog,
    log_level: LogLevel::Debug,
    log_format: LogFormat::Python,
    logger: "marathon_lb",
    wrong_value: 1,
    ..NATIVE
};

const SERVICEROUTER: Policy = Policy {
    command_line: CommandLine::Servicerouter,
    verifies_tls: true,
    groups: GroupRule::ExactOrUngrouped,
    repeated_marathon: Repeats::Append,
    settings_from: SettingsFrom::Env,
    template_labels: false,
    template_set: TemplateSet::Servicerouter,
    template_variables: false,
    logger: "servicerouter",
    ..MARATHON_LB
};

impl Policy {
    /// The row of `command_line`.
    #[must_use]
    pub const fn of(command_line: CommandLine) -> &'static Self {
        match command_line {
            CommandLine::Native => &NATIVE,
            CommandLine::Bridge => &BRIDGE,
            CommandLine::MarathonLb => &MARATHON_LB,
            CommandLine::Servicerouter => &SERVICEROUTER,
        }
    }
}
