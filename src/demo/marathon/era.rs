//! The versions of Marathon that differ in what a client sees, and in what they differ.

/// A version of Marathon, each the last of its kind before the answers changed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Era {
    /// Ids are paths; no labels, no events; `embed` must be exactly `apps.tasks`.
    V0_7,
    /// Labels and `/v2/events`; only the first `embed` counts.
    V0_10,
    /// Several `embed`, addresses of tasks; no task states, no `portDefinitions`.
    V0_15,
    /// Task states, `portDefinitions` beside `ports`.
    V1_1,
    /// Instances beside tasks, `USER` networks, filtered events.
    V1_4,
    /// `networks`, `container.portMappings`; `ports` and empty fields are left out.
    V1_5,
    /// Instances outlive their tasks; light plans; slow readers of events are cut off.
    V1_8,
    /// No tasks as text unless asked for at the start; roles.
    V1_10,
    /// No tasks as text.
    V1_11,
}

impl Era {
    /// All, oldest first.
    pub const ALL: [Self; 9] = [
        Self::V0_7,
        Self::V0_10,
        Self::V0_15,
        Self::V1_1,
        Self::V1_4,
        Self::V1_5,
        Self::V1_8,
        Self::V1_10,
        Self::V1_11,
    ];

    /// What `/v2/info` says.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::V0_7 => "0.7.6",
            Self::V0_10 => "0.10.1",
            Self::V0_15 => "0.15.2",
            Self::V1_1 => "1.1.2",
            Self::V1_4 => "1.4.2",
            Self::V1_5 => "1.5.6",
            Self::V1_8 => "1.8.222",
            Self::V1_10 => "1.10.26",
            Self::V1_11 => "1.11.24",
        }
    }

    /// Whether apps carry labels, and whether there is `/v2/events`.
    pub(super) fn has_labels_and_events(self) -> bool {
        self >= Self::V0_10
    }

    /// Whether events are sent to whoever gives an address; they were until 1.4.
    pub(super) fn has_callbacks(self) -> bool {
        self < Self::V1_5
    }

    /// Whether every `embed` counts, in any of its spellings.
    pub(super) fn embeds_several(self) -> bool {
        self >= Self::V0_15
    }

    /// Whether tasks tell their own addresses and their agent's id.
    pub(super) fn has_task_addresses(self) -> bool {
        self >= Self::V0_15
    }

    /// Whether tasks have a `state`, and apps `portDefinitions`.
    pub(super) fn has_task_states(self) -> bool {
        self >= Self::V1_1
    }

    /// Whether tasks can be asked whether they are ready.
    pub(super) fn has_readiness(self) -> bool {
        self >= Self::V1_1
    }

    /// Whether there are instances, their events, and a filter of events.
    pub(super) fn has_instances(self) -> bool {
        self >= Self::V1_4
    }

    /// Whether ports and networks are written in the form of 1.5, and empty fields not at all.
    pub(super) fn has_networks(self) -> bool {
        self >= Self::V1_5
    }

    /// Whether an instance keeps its id when its task starts anew, plans are light, and a reader
    /// of events that falls behind is cut off instead of losing some.
    pub(super) fn keeps_instances(self) -> bool {
        self >= Self::V1_8
    }

    /// Whether `/v2/tasks` can be had as text.
    pub(super) fn has_text_tasks(self) -> bool {
        self < Self::V1_10
    }

    /// Events that a slow reader may be behind.
    pub(super) fn event_backlog(self) -> usize {
        if self.keeps_instances() { 1024 } else { 50 }
    }
}
