//! What follows from the command line that was spoken: one row each, instead of ifs elsewhere.

use super::TemplateSet;
use crate::cluster::ServingTasks;

/// The command lines that the program speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandLine {
    /// `generate`, `refresh` and their like.
    Native,
    /// The bash script `haproxy-marathon-bridge`.
    Bridge,
}

/// What becomes of host names in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// They stay as they are, once they are known to resolve.
    Keep,
    /// Their addresses stand in their place.
    Numeric,
}

/// A row of decisions.
#[derive(Debug, PartialEq, Eq)]
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
    /// Whether certificates are verified unless told otherwise; curl ran with `-k` in the script.
    pub verifies_tls: bool,
    /// Whether `--group` is overruled: the script knew no groups, and its text has no labels.
    pub serves_every_group: bool,
    /// What is rendered unless `--template-set` says otherwise.
    pub template_set: TemplateSet,
}

impl Policy {
    /// The row of `command_line`.
    #[must_use]
    pub const fn of(command_line: CommandLine) -> &'static Self {
        match command_line {
            CommandLine::Native => &Self {
                command_line: CommandLine::Native,
                serving_tasks: ServingTasks::RunningOrOutOfSight,
                names: Names::Numeric,
                asks_text_first: false,
                verifies_tls: true,
                serves_every_group: false,
                template_set: TemplateSet::Bridge,
            },
            CommandLine::Bridge => &Self {
                command_line: CommandLine::Bridge,
                serving_tasks: ServingTasks::Running,
                names: Names::Keep,
                asks_text_first: true,
                verifies_tls: false,
                serves_every_group: true,
                template_set: TemplateSet::Bridge,
            },
        }
    }
}
