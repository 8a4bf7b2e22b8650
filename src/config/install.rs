//! How this program is put on a host.

use std::path::PathBuf;

/// Who takes turns on a host where this program is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// cron, every minute.
    Cron,
    /// A timer of systemd, every minute.
    Timer,
    /// A service of systemd, which runs `watch`.
    Service,
}

/// What `install` and `uninstall` are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Install {
    /// `--root`: the tree of a system that is installed into.
    pub root: Option<PathBuf>,
    /// `--dry-run`: what would be done is told, and nothing is done.
    pub dry_run: bool,
    /// `--purge`: what people wrote and what is remembered goes too.
    pub purge: bool,
    /// Whether the file of options names Marathons, be they what counts in this call or not.
    pub file_names_marathons: bool,
    /// `--cron`.
    pub(super) cron: bool,
    /// `--timer`.
    pub(super) timer: bool,
    /// `--service`.
    pub(super) service: bool,
}

impl Install {
    /// Which of the three was asked for; `build` takes care that it is one at most.
    #[must_use]
    pub const fn schedule(&self) -> Option<Schedule> {
        match (self.cron, self.timer, self.service) {
            (true, _, _) => Some(Schedule::Cron),
            (_, true, _) => Some(Schedule::Timer),
            (_, _, true) => Some(Schedule::Service),
            (false, false, false) => None,
        }
    }
}
