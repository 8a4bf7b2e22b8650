//! What one seed stands for.

use crate::outside::Form;
use crate::random::Random;

/// What becomes of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The files of the bash bridge.
    Bridge,
    /// The same with maps, which the bridge never had, so that more than one file changes.
    BridgeWithMaps,
    /// Those of marathon-lb.
    Labelled { maps: bool },
}

/// How the program lives on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// `refresh`, now and then.
    Refresh,
    /// `watch`, until somebody kills it. Where nobody `tells` HAProxy of new files, servers alone are
    /// put into the installed file at once.
    Watch { tells: bool },
}

#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) life: Life,
    pub(crate) kind: Kind,
    pub(crate) form: Form,
    /// Addresses stand in the file where Marathon wrote names.
    pub(crate) numeric: bool,
    /// A reload starts a HAProxy that does not run.
    pub(crate) starts_haproxy: bool,
    pub(crate) apps: usize,
    pub(crate) steps: usize,
}

impl Setting {
    pub(crate) fn of(random: &mut Random) -> Self {
        let kind = match random.below(100) {
            0..47 => Kind::Bridge,
            47..67 => Kind::BridgeWithMaps,
            _ => Kind::Labelled {
                maps: random.percent(60),
            },
        };
        let setting = Self {
            life: Life::Refresh,
            kind,
            form: random.pick(&[Form::Json, Form::Json, Form::Json, Form::Text]),
            numeric: random.percent(50),
            starts_haproxy: random.percent(60),
            apps: random.below(9),
            steps: 12 + random.below(20),
        };
        let setting = match kind {
            Kind::Labelled { .. } => Self {
                // The text form holds no labels, and marathon-lb wrote addresses.
                form: Form::Json,
                numeric: true,
                ..setting
            },
            _ => setting,
        };
        // Whoever makes maps where the program makes none does not do so as a watcher does.
        if kind == Kind::BridgeWithMaps || random.percent(70) {
            return setting;
        }
        Self {
            life: Life::Watch {
                tells: random.percent(if setting.is_labelled() { 30 } else { 50 }),
            },
            steps: setting.steps / 2,
            ..setting
        }
    }

    pub(crate) fn watches(&self) -> bool {
        self.life != Life::Refresh
    }

    /// Whether HAProxy is told of new files.
    pub(crate) fn tells(&self) -> bool {
        self.life != Life::Watch { tells: false }
    }

    pub(crate) fn is_labelled(&self) -> bool {
        matches!(self.kind, Kind::Labelled { .. })
    }
}
