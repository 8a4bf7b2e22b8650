//! What a transaction comes to.

use super::CheckMessage;
use crate::state::Time;

/// How a transaction ended. The installed files are a set that HAProxy accepts in every case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// HAProxy runs what is wanted already; nothing was touched.
    Unchanged,
    /// Something differs, and an operator keeps it from being applied.
    Paused,
    /// The files are installed and HAProxy runs them.
    Applied {
        /// What was done, for people: "a new process took over (pid 17)".
        how: String,
        /// The files were installed only now; else a reload was due.
        installed: bool,
        /// HAProxy read them anew; else it was told of what differs, or of nothing.
        reloaded: bool,
        /// HAProxy was proved to run them before; a reload to others, which failed or was broken
        /// off, could have taken it away.
        again: bool,
    },
    /// The files are installed; HAProxy does not run, and will read them when it starts.
    NotRunning {
        /// They were only now; else HAProxy has ended since.
        installed: bool,
    },
    /// `haproxy -c` refused the files; those installed before stay.
    Rejected {
        /// What it said.
        messages: Vec<CheckMessage>,
    },
    /// `haproxy -c` takes long to look at the files, and goes on beside: those installed before stay. Of
    /// servers HAProxy was told, as far as these could be parted from the rest.
    Checking,
    /// HAProxy could not be brought to run the files; those that it runs are installed again.
    ReloadFailed {
        /// What went wrong.
        error: String,
        /// How often it was tried.
        attempts: u32,
        /// Not before.
        next_try_at: Time,
        /// What HAProxy said when it did not start from them, where that could be heard.
        messages: Vec<CheckMessage>,
    },
    /// HAProxy would have to read the files anew, and did so only just before. It was told of servers,
    /// as far as these could be parted from the rest.
    Postponed {
        /// Not before.
        until: Time,
    },
    /// A reload failed earlier, and it is too soon to try the same files again.
    Waiting {
        /// What went wrong then.
        error: String,
        /// How often it was tried.
        attempts: u32,
        /// Not before.
        next_try_at: Time,
    },
}

impl Outcome {
    /// Whether something is wanted that HAProxy is not brought to in this turn, or could not be.
    #[must_use]
    pub fn has_to_wait(&self) -> bool {
        match self {
            Self::Rejected { .. }
            | Self::Checking
            | Self::ReloadFailed { .. }
            | Self::Postponed { .. }
            | Self::Waiting { .. } => true,
            Self::Unchanged | Self::Paused | Self::Applied { .. } | Self::NotRunning { .. } => {
                false
            }
        }
    }

    /// Whether HAProxy did not refuse the files, but came to no end with them.
    #[must_use]
    pub fn is_of_a_wait(&self) -> bool {
        match self {
            Self::Rejected { messages } => messages.iter().any(CheckMessage::is_of_a_wait),
            _ => false,
        }
    }

    /// Whether HAProxy runs what is wanted.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Unchanged | Self::Applied { .. })
    }

    /// Whether what is wanted is installed, and runs as soon as anything does.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.is_settled() || matches!(self, Self::NotRunning { .. })
    }
}
