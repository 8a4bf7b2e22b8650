//! What the watcher publishes of its turns, and where it answers whoever asks.

use std::sync::Arc;

use super::super::status;
use super::super::turn::Turn;
use crate::admin::{Desk, Ended, Held, Live, Made, Places, Served, Spares, pages};
use crate::apply::Outcome;
use crate::config::Config;
use crate::cycle::InService;
use crate::guard;
use crate::haproxy::program;
use crate::state::{State, Time, TurnOutcome};

/// `None` where nobody is to be answered.
pub(super) fn desk(config: &Config, live: &Arc<Live>) -> Option<Desk> {
    let path = config.watch.admin_socket.clone()?;
    let haproxy = &config.haproxy;
    let places = Places {
        cfg: haproxy.config.clone(),
        program: program::find(&haproxy.program).unwrap_or_else(|_| haproxy.program.clone()),
        pid_file: haproxy.pid_file.clone(),
        master_socket: haproxy.master_socket.clone(),
    };
    let (for_json, for_html) = (config.clone(), config.clone());
    let made = Made {
        json: Box::new(move |facts| status::json(&for_json, facts)),
        html: Box::new(move |facts, asked| status::html(&for_html, facts, asked)),
    };
    Some(Desk::open(path, pages(Arc::clone(live), places, made)))
}

/// What a turn that began `at` came to; `None` where it came to nothing. A check may go on beside it.
pub(super) fn ended(
    turn: Option<&Turn>,
    state: &State,
    at: Time,
    (served, is_checking): (Option<Served>, bool),
) -> Ended {
    let outcome = turn.map(|turn| &turn.report.outcome);
    let last = state.last_turn.as_ref();
    let is_light = turn.is_some_and(|turn| turn.report.is_light);
    Ended {
        at,
        outcome: match last {
            // The last turn is the one that left something to be done.
            Some(_) if is_light && state.is_refused() => TurnOutcome::Applied,
            Some(last) => last.outcome,
            None => TurnOutcome::Failed,
        },
        is_unfinished: state.is_refused() || is_checking,
        reloaded: outcome.is_some_and(is_reload),
        held: turn.map(|turn| held(turn.report.plan.held.as_ref())),
        quarantined: state.quarantined.len(),
        served,
        spares: spares(state),
    }
}

fn spares(state: &State) -> Option<Spares> {
    let applied = state.applied.as_ref();
    let applied = applied.filter(|applied| applied.spare_backends > 0)?;
    let used = applied.used_spares.len();
    Some(Spares {
        left: applied.spare_backends.saturating_sub(used),
        used,
    })
}

/// HAProxy read files anew.
pub(super) fn is_reload(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Applied { reloaded: true, .. })
}

fn held(held: Option<&guard::Held>) -> Held {
    held.map_or_else(Held::default, |held| Held {
        service_ports: held.service_ports.lost,
        servers: held.servers.lost,
    })
}

/// What is in the installed file after this turn, where it built one that is installed.
pub(super) fn built(turn: &Turn) -> Option<Served> {
    let report = &turn.report;
    let is_in_place = matches!(
        report.outcome,
        Outcome::Unchanged | Outcome::Applied { .. } | Outcome::NotRunning { .. }
    );
    let proxies = &report.plan.proxies;
    (is_in_place && !report.as_before && !report.plan.keeps_all).then(|| Served {
        services: proxies.owners().count(),
        servers: proxies.servers(),
    })
}

/// The same after a turn for servers alone.
pub(super) fn in_service(in_service: &InService) -> Served {
    Served {
        services: in_service.services(),
        servers: in_service.servers(),
    }
}

/// The same, read from the file.
pub(super) fn read(text: &str, own_header: &str) -> Served {
    let served = guard::served(text, own_header);
    Served {
        services: served.len(),
        servers: served.iter().map(|port| port.endpoints.len()).sum(),
    }
}
