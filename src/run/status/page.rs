//! `status --html` and a watcher's page `/`: the same for people who look rather than read.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use nix::unistd::gethostname;

use super::super::{block_on, site};
use super::Status;
use super::words::Words;
use crate::admin::{Asked, Mood, Page, Sources, Uncounted};
use crate::config::Config;
use crate::disk;
use crate::guard::proxies;
use crate::haproxy::global::Global;
use crate::haproxy::{socket, statistics};
use crate::logging;
use crate::proxy::native::{APP_MAP, DOMAIN_MAP, PATH_MAP};
use crate::state::Time;

/// For HAProxy's answer: whoever looks waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The page. Nothing is `asked` of one that is printed: it has no links and no filter, and the log of
/// whoever printed it is nobody's.
///
/// # Errors
/// When it cannot be made of what is shown.
pub(super) fn html(
    config: &Config,
    (words, now): (Words, Time),
    status: &Status<'_>,
    asked: Option<&Asked>,
) -> Result<String> {
    let installed = &config.haproxy.config;
    let cfg = text(installed);
    let [hosts, paths, apps] =
        [DOMAIN_MAP, PATH_MAP, APP_MAP].map(|name| text(&installed.with_file_name(name)));
    let counted = counted(config, &cfg);
    let page = Page {
        host: gethostname().map_or_else(
            |_| "this host".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        ),
        config: words.config,
        verdict: words.verdict.to_owned(),
        mood: mood(status),
        now: now.to_string(),
        findings: words.findings,
        watcher: status.watcher,
        services: Sources {
            proxies: proxies(&cfg, &own_header(config)),
            hosts: vec![&hosts, &paths],
            apps: &apps,
            stand_ins: status.applied.map(|applied| &applied.stand_ins),
            counted: match &counted {
                Ok((socket, reply)) => statistics::backends(reply).ok_or_else(|| Uncounted {
                    why: format!(
                        "HAProxy's socket `{socket}` answers `{}` with `{}`",
                        statistics::SHOW_BACKENDS,
                        reply.lines().next().unwrap_or_default()
                    ),
                    is_amiss: true,
                }),
                Err(uncounted) => Err(uncounted.clone()),
            },
        },
        log: asked.map_or_else(Vec::new, |_| logging::recent()),
    };
    page.html(asked)
}

fn mood(status: &Status<'_>) -> Mood {
    let waits = status.last_turn.is_some_and(|last| last.wait_for_files > 0);
    if !status.ok {
        Mood::Bad
    } else if waits || status.paused.is_some() || !status.quarantined.is_empty() {
        Mood::Weak
    } else {
        Mood::Good
    }
}

/// What is not there serves nobody; the findings say so.
fn text(path: &Path) -> String {
    disk::read_text(path, disk::LARGEST_MADE).unwrap_or_default()
}

/// What the operator adds, whose sections serve no app.
fn own_header(config: &Config) -> String {
    let extra = config.templates.extra.as_deref().map(site::extra);
    // Where it cannot be read, the findings say so.
    let extra = extra.and_then(Result::ok).unwrap_or_default();
    extra
        .iter()
        .map(|extra| format!("{}\n", extra.text))
        .collect()
}

/// What the process says that answers for `cfg`, and where; or why nothing is said.
fn counted(config: &Config, cfg: &str) -> Result<(String, String), Uncounted> {
    let given = config.haproxy.stats_socket.as_deref();
    let Some(path) = Global::socket_of(cfg, given) else {
        let file = config.haproxy.config.display();
        let why = if cfg.is_empty() {
            format!("`{file}` is not there, or cannot be read")
        } else {
            format!("`{file}` has no `stats socket` with a path, and --stats-socket names none")
        };
        return Err(Uncounted {
            why,
            is_amiss: false,
        });
    };
    let asked =
        block_on(async { Ok(socket::ask(&path, statistics::SHOW_BACKENDS, PATIENCE).await) });
    let reply = asked
        .and_then(|reply| Ok(reply?))
        .map_err(|error| Uncounted {
            why: error.to_string(),
            is_amiss: true,
        })?;
    Ok((path.display().to_string(), reply))
}
