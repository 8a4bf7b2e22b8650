//! What came of a turn, in the log.

use std::collections::{BTreeMap, BTreeSet};

use tracing::{debug, error, info, warn};

use super::blame::Blamed;
use super::turn::{Turn, complaints};
use crate::apply::Outcome;
use crate::apply::validate::Severity;
use crate::cluster::Warning;
use crate::config::Config;
use crate::cycle::Report;
use crate::diff::Change;
use crate::logging;
use crate::state::LastTurn;

/// What a turn came to.
pub(super) enum Word<'t> {
    /// Nothing that anybody has to know.
    Nothing(String),
    /// Something was done.
    News(String),
    /// It stays so until a turn comes to something else.
    Lasting(Grade, String),
    /// The file is refused, for these reasons, and this one stays.
    Refused(Vec<Blamed<'t>>, String),
}

/// How bad something is that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grade {
    /// As somebody wants it.
    Info,
    /// Somebody should know.
    Warning,
    /// Something could not be done.
    Error,
}

impl Word<'_> {
    pub(super) fn say(&self) {
        match self {
            Self::Nothing(sentence) => debug!("{sentence}"),
            Self::News(sentence) | Self::Lasting(Grade::Info, sentence) => info!("{sentence}"),
            Self::Lasting(Grade::Warning, sentence) => warn!("{sentence}"),
            Self::Lasting(Grade::Error, sentence) => error!("{sentence}"),
            Self::Refused(reasons, sentence) => {
                for blamed in reasons {
                    blamed.refused();
                }
                error!("{sentence}");
            }
        }
    }

    /// Whether all was done that could be.
    pub(super) fn is_good(&self) -> bool {
        !matches!(self, Self::Lasting(Grade::Error, _) | Self::Refused(..))
    }
}

/// What was said in the turn before is not said again: a log that repeats itself every minute is
/// one that nobody reads.
pub(super) fn warnings(turn: &Turn) {
    let last = turn.last.as_ref();
    of_apps(&turn.report, last);
    of_haproxy(&turn.report, last);
}

fn of_apps(report: &Report, last: Option<&LastTurn>) {
    if report.as_before {
        return;
    }
    let known: BTreeSet<&str> = last
        .iter()
        .flat_map(|l| &l.warnings)
        .map(String::as_str)
        .collect();
    let now: BTreeMap<String, &Warning> = report
        .plan
        .warnings
        .iter()
        .map(|warning| (warning.to_string(), warning))
        .collect();
    for (sentence, warning) in &now {
        if known.contains(sentence.as_str()) {
            debug!("still: {sentence}");
        } else {
            logging::warning(warning);
        }
    }
    for warning in known {
        if !now.contains_key(warning) {
            info!("over: {}", logging::brief(warning));
        }
    }
}

/// HAProxy's warnings about files that it accepts, each once.
fn of_haproxy(report: &Report, last: Option<&LastTurn>) {
    let Some(complaints) = complaints(report) else {
        return;
    };
    let known: BTreeSet<&str> = last
        .iter()
        .flat_map(|l| &l.haproxy_warnings)
        .map(String::as_str)
        .collect();
    for (lasting, blamed) in &complaints {
        if !known.contains(lasting.as_str()) {
            blamed.warned();
        }
    }
    for warning in known {
        if !complaints.contains_key(warning) {
            let warning = logging::brief(warning);
            info!("over: `haproxy -c` warned: {warning}");
        }
    }
}

/// Who waits for fetches to agree must know when they cannot be counted.
pub(super) fn held(turn: &Turn) -> Option<Word<'_>> {
    let held = turn.report.plan.held_back()?;
    let sentence = match &turn.forgotten {
        None => held,
        Some(why) => format!(
            "{held}; but no fetch can be counted, since nothing is remembered in the state folder \
             `{}`: {why}; it has to be writable, or only --allow-removal ends this",
            turn.folder.path().display()
        ),
    };
    Some(Word::Lasting(Grade::Warning, sentence))
}

/// How it ended.
pub(super) fn outcome<'t>(turn: &'t Turn, config: &Config) -> Word<'t> {
    let file = config.haproxy.config.display();
    let plan = &turn.report.plan;
    let change = match &plan.change {
        // Where something was installed.
        Change::Nothing => "maps changed".to_owned(),
        change => change.to_string(),
    };
    match &turn.report.outcome {
        Outcome::Unchanged => Word::Nothing(format!("`{file}` is as it should be")),
        Outcome::Paused => {
            let paused = turn.paused.as_ref();
            let paused = paused.map_or_else(|| "paused".to_owned(), ToString::to_string);
            let sentence = format!(
                "{paused}: `{file}` stays as it is; otherwise this would be applied: {change}"
            );
            Word::Lasting(Grade::Info, sentence)
        }
        Outcome::Applied {
            how,
            installed: true,
            reloaded: true,
            ..
        } => Word::News(format!("installed `{file}`, reload: {change}; {how}")),
        Outcome::Applied {
            how,
            installed: true,
            ..
        } => Word::News(format!("installed `{file}` ({change}); {how}")),
        Outcome::Applied {
            how, again: true, ..
        } => Word::News(format!(
            "`{file}` is as it should be; a reload to another one had failed or was broken off, so \
             HAProxy was brought to this one again; {how}"
        )),
        Outcome::Applied { how, .. } => Word::News(format!(
            "`{file}` was as it should be, but HAProxy was yet to be brought to it; {how}"
        )),
        Outcome::Checking => Word::Nothing(format!(
            "`{file}`: `haproxy -c` takes long and goes on to look at the new one: {change}"
        )),
        Outcome::Postponed { until } => Word::Nothing(format!(
            "`{file}`: a reload or a refused start was not long before, and the next follows at {until}: {change}"
        )),
        Outcome::NotRunning { installed: false } => {
            let sentence = format!(
                "HAProxy does not run, and the way in which it is reloaded starts none; `{file}` \
                 waits for whoever does"
            );
            Word::Lasting(Grade::Warning, sentence)
        }
        Outcome::NotRunning { installed: true } => Word::News(format!(
            "installed `{file}` ({change}); HAProxy does not run and was not started"
        )),
        Outcome::Rejected { messages } => {
            let alerts = messages.iter().filter(|m| m.severity == Severity::Alert);
            let reasons = alerts.map(|message| Blamed::of(plan, message)).collect();
            Word::Refused(reasons, format!("`{file}` stays as it is"))
        }
        Outcome::ReloadFailed {
            error,
            attempts,
            next_try_at,
            ..
        }
        | Outcome::Waiting {
            error,
            attempts,
            next_try_at,
        } => {
            let failed = match attempts {
                1 => "the reload failed".to_owned(),
                many => format!("{many} reloads failed, the last one so"),
            };
            let sentence = format!(
                "{failed}: {error}; the files of before are in place, and attempt {} follows at \
                 {next_try_at} or later, or with --retry-now",
                attempts + 1
            );
            Word::Lasting(Grade::Error, sentence)
        }
    }
}
