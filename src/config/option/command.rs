//! The commands that take options, and which of them take the same ones.

/// A command of the native command line that takes options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Prints what would be installed.
    Generate,
    /// One turn.
    Refresh,
    /// A turn whenever something changes.
    Watch,
    /// What a turn would change.
    Diff,
    /// Whether a turn would have anything to complain of.
    Check,
    /// What becomes of an app.
    Explain,
    /// What a turn would write beside what a predecessor wrote.
    Compare,
    /// What came of the last turn.
    Status,
    /// What keeps HAProxy from being kept in step.
    Doctor,
    /// Back to the good files before those that are installed.
    Rollback,
    /// Nothing is applied from now on.
    Pause,
    /// Turns apply again.
    Resume,
    /// Servers get no new requests.
    Drain,
    /// They get them again.
    Undrain,
    /// This program put on a host.
    Install,
    /// That taken back.
    Uninstall,
    /// The built-in Marathon with a HAProxy before it.
    Demo,
}

impl Command {
    /// In the order of the help.
    pub const ALL: [Self; 17] = [
        Self::Generate,
        Self::Refresh,
        Self::Watch,
        Self::Diff,
        Self::Check,
        Self::Explain,
        Self::Compare,
        Self::Status,
        Self::Doctor,
        Self::Rollback,
        Self::Pause,
        Self::Resume,
        Self::Drain,
        Self::Undrain,
        Self::Install,
        Self::Uninstall,
        Self::Demo,
    ];

    /// As people type it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Refresh => "refresh",
            Self::Watch => "watch",
            Self::Diff => "diff",
            Self::Check => "check",
            Self::Explain => "explain",
            Self::Compare => "compare",
            Self::Status => "status",
            Self::Doctor => "doctor",
            Self::Rollback => "rollback",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Drain => "drain",
            Self::Undrain => "undrain",
            Self::Install => "install",
            Self::Uninstall => "uninstall",
            Self::Demo => "demo",
        }
    }

    /// Whether it makes no sense without a Marathon that somebody named.
    #[must_use]
    pub fn asks_marathon(self) -> bool {
        ASKING.contains(&self)
    }
}

/// Those that ask Marathon.
pub(super) const ASKING: &[Command] = &[
    Command::Generate,
    Command::Refresh,
    Command::Watch,
    Command::Diff,
    Command::Check,
    Command::Explain,
    Command::Doctor,
    Command::Compare,
];
/// Those that render.
pub(super) const RENDERING: &[Command] = &[
    Command::Generate,
    Command::Refresh,
    Command::Watch,
    Command::Diff,
    Command::Check,
    Command::Explain,
    Command::Demo,
    Command::Compare,
];
/// Those that have HAProxy at hand.
pub(super) const USING_HAPROXY: &[Command] = &[
    Command::Generate,
    Command::Refresh,
    Command::Watch,
    Command::Diff,
    Command::Check,
    Command::Explain,
    Command::Status,
    Command::Rollback,
    Command::Demo,
    Command::Doctor,
    Command::Compare,
];
/// Those that write in its dialect.
pub(super) const WRITING_ITS_DIALECT: &[Command] = &[
    Command::Generate,
    Command::Refresh,
    Command::Watch,
    Command::Diff,
    Command::Check,
    Command::Explain,
    Command::Rollback,
    Command::Demo,
    Command::Compare,
];
/// Those that weigh an answer against what is installed.
pub(super) const WEIGHING: &[Command] = &[
    Command::Refresh,
    Command::Watch,
    Command::Diff,
    Command::Check,
    Command::Explain,
];
/// Those that change this host.
pub(super) const APPLYING: &[Command] = &[Command::Refresh, Command::Watch, Command::Rollback];
/// Those that write what it is told of, or tell it.
pub(super) const TELLING: &[Command] = &[
    Command::Generate,
    Command::Refresh,
    Command::Watch,
    Command::Diff,
    Command::Check,
    Command::Explain,
    Command::Rollback,
];
/// Those that know how it is reached.
pub(super) const REACHING_HAPROXY: &[Command] = &[
    Command::Refresh,
    Command::Watch,
    Command::Rollback,
    Command::Doctor,
];
/// Those that print an object instead of words.
pub(super) const TELLING_MACHINES: &[Command] = &[
    Command::Diff,
    Command::Check,
    Command::Status,
    Command::Doctor,
];
/// Those that judge how things stand.
pub(super) const JUDGING: &[Command] = &[Command::Status, Command::Doctor];
/// Those that look for its processes.
pub(super) const SEEKING_HAPROXY: &[Command] = &[
    Command::Refresh,
    Command::Watch,
    Command::Rollback,
    Command::Status,
    Command::Doctor,
];
/// Those that change what is remembered.
pub(super) const WRITING_STATE: &[Command] = &[
    Command::Refresh,
    Command::Watch,
    Command::Rollback,
    Command::Pause,
    Command::Resume,
    Command::Drain,
    Command::Undrain,
];
/// Those that are about a file that is kept in step.
pub(super) const OF_A_FILE: &[Command] = &[
    Command::Generate,
    Command::Refresh,
    Command::Watch,
    Command::Diff,
    Command::Check,
    Command::Explain,
    Command::Status,
    Command::Rollback,
    Command::Pause,
    Command::Resume,
    Command::Drain,
    Command::Undrain,
    Command::Doctor,
    Command::Compare,
];
/// Those that know where a watcher answers.
pub(super) const ANSWERED: &[Command] = &[
    Command::Generate,
    Command::Refresh,
    Command::Watch,
    Command::Diff,
    Command::Check,
    Command::Explain,
    Command::Status,
    Command::Doctor,
    Command::Compare,
];
/// All of them.
pub(super) const ALL: &[Command] = &Command::ALL;
