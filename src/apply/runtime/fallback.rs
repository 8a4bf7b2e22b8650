//! Why HAProxy has to read its files anew, in place of being told.

use std::fmt;
use std::time::Duration;

use super::converge::Refusal;
use crate::haproxy::servers::Misread;
use crate::haproxy::{AskError, Version};

/// Why a reload has to do it.
#[derive(Debug)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Fallback {
    NoSocket,
    Ask(AskError),
    Misread(Misread),
    OtherProcess {
        found: u32,
        expected: u32,
    },
    Ends {
        pid: u32,
    },
    NoWorker {
        pid: u32,
        workers: Vec<u32>,
    },
    TooOld {
        version: String,
        expected: Version,
    },
    OtherStructure {
        found: Option<String>,
        expected: String,
    },
    Unmarked,
    Refused(Refusal),
    /// Of what it has once all was told.
    RefusedAfter(Refusal),
    Backend(Refusal),
    Lead(Refusal),
    Map(Refusal),
    Certificate(Refusal),
    Surprise {
        command: String,
        reply: String,
    },
    NotReached {
        step: String,
    },
    TookTooLong {
        limit: Duration,
    },
}

impl Fallback {
    /// Whether nothing was told yet of which anybody feels: what cannot be told of servers is found before
    /// any of them is, and backends that were added before that lead nobody anywhere, and are taken away
    /// when they are added again.
    #[must_use]
    pub fn is_at_once(&self) -> bool {
        matches!(self, Self::Backend(_) | Self::Refused(_))
    }

    /// The section that is in the way, where it is one alone.
    #[must_use]
    pub fn section(&self) -> Option<&str> {
        let named = match self {
            Self::Refused(refusal) | Self::RefusedAfter(refusal) => {
                refusal.subject.split('`').nth(1)?
            }
            // `add server SECTION/NAME` and its kind.
            Self::Surprise { command: step, .. } | Self::NotReached { step } => step
                .split_ascii_whitespace()
                .find(|word| word.contains('/'))?,
            _ => return None,
        };
        let section = named.split('/').next()?;
        (!section.is_empty()).then_some(section)
    }
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSocket => f.write_str("the file has no `stats socket`"),
            Self::Ask(error) => error.fmt(f),
            Self::Misread(error) => write!(f, "HAProxy answered {error}"),
            Self::OtherProcess { found, expected } => write!(
                f,
                "process {found} answers on the stats socket, and {expected} serves"
            ),
            Self::Ends { pid } => write!(f, "process {pid}, which answers, is about to end"),
            Self::NoWorker { pid, workers } => write!(
                f,
                "process {pid} answers on the stats socket, and the master has {workers:?}"
            ),
            Self::TooOld { version, expected } => {
                write!(f, "HAProxy {version} is too old for it, expected {expected}")
            }
            Self::OtherStructure { found, expected } => write!(
                f,
                "HAProxy runs the structure `{}`, expected `{expected}`",
                found.as_deref().unwrap_or_default().escape_debug()
            ),
            Self::Unmarked => f.write_str(
                "`description` of `global` is not the hash of the structure, by which HAProxy tells \
                 what it runs",
            ),
            Self::Refused(refusal)
            | Self::RefusedAfter(refusal)
            | Self::Backend(refusal)
            | Self::Lead(refusal)
            | Self::Map(refusal)
            | Self::Certificate(refusal) => refusal.fmt(f),
            Self::Surprise { command, reply } => write!(
                f,
                "`{command}` was answered with `{}`",
                reply.trim().escape_debug()
            ),
            Self::NotReached { step } => {
                write!(f, "all was told, and `{step}` is still to be done")
            }
            Self::TookTooLong { limit } => write!(f, "it takes longer than {limit:?}"),
        }
    }
}

/// Without a source: the message says it already.
impl std::error::Error for Fallback {}

impl Fallback {
    /// The same, found once all was told.
    pub(super) fn after(self) -> Self {
        match self {
            Self::Refused(refusal) => Self::RefusedAfter(refusal),
            other => other,
        }
    }
}

impl From<AskError> for Fallback {
    fn from(error: AskError) -> Self {
        Self::Ask(error)
    }
}

impl From<Misread> for Fallback {
    fn from(error: Misread) -> Self {
        Self::Misread(error)
    }
}

impl From<Refusal> for Fallback {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
