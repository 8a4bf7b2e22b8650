//! What goes wrong while HAProxy is told, or is to read its files.

/// What goes wrong with a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// We are killed.
    Killed,
    /// The process is, and whoever looks after it starts another.
    Restarted,
    /// The same with nobody to start one.
    Ends,
    /// The command is obeyed, and the answer lost.
    LosesAnswer,
    /// There is no answer.
    Hangs,
    /// The answer is none that is known.
    Refuses,
    /// Another process takes over, and the one that was asked goes on to answer.
    TakenOver,
}

impl Trouble {
    pub(super) const ALL: [Self; 7] = [
        Self::Killed,
        Self::Restarted,
        Self::Ends,
        Self::LosesAnswer,
        Self::Hangs,
        Self::Refuses,
        Self::TakenOver,
    ];
}

/// What goes wrong with a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReloadTrouble {
    Refused,
    /// The old process does not listen any more.
    Silenced,
    /// The new one serves, and nobody can prove it.
    Unproven,
    KilledBefore,
    KilledAfter,
}

impl ReloadTrouble {
    pub(super) const ALL: [Self; 5] = [
        Self::Refused,
        Self::Silenced,
        Self::Unproven,
        Self::KilledBefore,
        Self::KilledAfter,
    ];
}
