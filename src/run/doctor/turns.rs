//! Who takes turns, by which call of `install` it stays so, and what came of the last one.

use std::env;
use std::fs;
use std::path::Path;

use tokio::net::UnixStream;

use super::Finding;
use super::crontabs::{self, Line, shown};
use crate::apply::watcher;
use crate::cli::PROGRAM;
use crate::config::{Config, Schedule, redact};
use crate::disk::{self, OsDisk};
use crate::guard;
use crate::install::{Facts, InUse, Init, Look as _, Real, is_of_bridge, sets_of_cron, usual_set};
use crate::run::lock::places;
use crate::run::{block_on, status};
use crate::state::Folder;

const ABOUT: &str = "turns";

/// The call of `install` that keeps what there is: who takes turns, and in whose words.
pub(super) struct Call {
    /// What stands behind the program's name.
    pub(super) words: &'static str,
    /// How this program is called: by its path, where it is not installed.
    pub(super) program: String,
    /// Somebody else's file is served, which it would replace with one of another form.
    replaces: bool,
}

impl Call {
    pub(super) fn of(config: &Config, host: &Real, facts: &Facts, in_use: &[InUse]) -> Self {
        let own = env::current_exe().unwrap_or_default();
        let program = if host.is_there(facts.program()) {
            PROGRAM.to_owned()
        } else {
            own.display().to_string()
        };
        let text = disk::read_text(&config.haproxy.config, disk::LARGEST_MADE).unwrap_or_default();
        let folder = Folder::of(&config.state.dir, &config.haproxy.config);
        let is_known = folder.load(&OsDisk).0.applied.is_some();
        let is_of_others = !is_known && !guard::served(&text, "").is_empty();
        let is_beyond_script =
            |line: &str| line.starts_with("frontend ") || line.starts_with("backend ");
        let is_of_script = is_of_others && !text.lines().any(is_beyond_script);
        if is_of_bridge(host) || in_use.is_empty() && is_of_script {
            return Self {
                words: "install_cronjob",
                program,
                replaces: false,
            };
        }
        let words = match in_use.first().map(|one| one.schedule) {
            Some(Schedule::Timer) => "install --timer",
            Some(Schedule::Service) => "install --service",
            None if facts.init == Init::Systemd => "install",
            Some(Schedule::Cron) | None => "install --cron",
        };
        Self {
            words,
            program,
            replaces: in_use.is_empty() && is_of_others,
        }
    }

    /// As it is typed to have turns taken.
    fn typed(&self, config: &Config) -> String {
        let Self { program, words, .. } = self;
        let call = format!("{program} {words}");
        if !self.replaces {
            return call;
        }
        let file = config.haproxy.config.display();
        format!(
            "{call}, which replaces `{file}` of somebody else's; {program} compare {file} shows first what would change"
        )
    }
}

pub(super) fn turns(config: &Config, host: &Real, call: &Call, in_use: &[InUse]) -> Vec<Finding> {
    let mut sets = sets_of_cron(host, &config.haproxy.config);
    if in_use.iter().any(|one| one.schedule != Schedule::Cron) {
        sets.push(usual_set(host));
    }
    let by_hand = watcher_by_hand(config, in_use);
    if by_hand.is_some() {
        sets.push(usual_set(host));
    }
    let lines = crontabs::lines(config, host);
    let mut found = taken(&call.typed(config), call, in_use, by_hand, sets, &lines);
    let folder = Folder::of(&config.state.dir, &config.haproxy.config);
    if let Some(paused) = folder.load(&OsDisk).0.paused {
        found.push(Finding::note(
            ABOUT,
            format!("they change nothing: {paused}"),
            "haproxy-marathon-bridge resume",
        ));
    }
    found
}

/// `typed` is the call of `install` that has turns taken.
fn taken(
    typed: &str,
    call: &Call,
    in_use: &[InUse],
    by_hand: Option<Finding>,
    mut sets: Vec<String>,
    lines: &[Line],
) -> Vec<Finding> {
    let name = |schedule| match schedule {
        Schedule::Cron => "cron",
        Schedule::Timer => "timer",
        Schedule::Service => "service",
    };
    let is_nobody = in_use.is_empty() && by_hand.is_none();
    let mut found: Vec<Finding> = by_hand.into_iter().collect();
    if is_nobody && !lines.iter().any(Line::takes_turns) {
        found.push(Finding::bad(ABOUT, "nobody takes any", typed));
    }
    let undo = sets.iter().any(|set| *set != sets[0]);
    for line in lines {
        found.push(line.finding(&sets, typed));
        if line.takes_turns() {
            sets.extend(line.set().map(str::to_owned));
        }
    }
    for one in in_use {
        let (place, what) = (one.place.display(), name(one.schedule));
        let by = format!("by {what}, as `{place}` says");
        found.push(if let Some((why, fix)) = &one.fault {
            let fix = match fix.strip_prefix(PROGRAM) {
                Some(rest) => format!("{}{rest}", call.program),
                None => fix.clone(),
            };
            let why = shown(&redact(why));
            Finding::bad(ABOUT, format!("{by}, but {why}"), fix)
        } else if !one.runs {
            let says = format!("{by}, but that does not run");
            Finding::bad(ABOUT, says, one.start.as_str())
        } else if !one.is_enabled {
            let says = format!("{by}, but that does not start with the host");
            Finding::bad(ABOUT, says, one.start.as_str())
        } else {
            Finding::ok(ABOUT, by)
        });
    }
    if in_use.len() > 1 {
        let fix = format!(
            "{} {}, which takes the others back",
            call.program, call.words
        );
        found.push(if undo {
            let says = "several have them taken, and each undoes what the other wrote";
            Finding::bad(ABOUT, says, fix)
        } else {
            Finding::note(ABOUT, "several have them taken, where one would do", fix)
        });
    }
    found
}

/// A watcher that no unit of ours runs: somebody started it, or another supervisor.
fn watcher_by_hand(config: &Config, in_use: &[InUse]) -> Option<Finding> {
    let is_unit = |one: &InUse| one.schedule == Schedule::Service && one.runs;
    if in_use.iter().any(is_unit) {
        return None;
    }
    let folder = Folder::of(&config.state.dir, &config.haproxy.config);
    let holder = watcher(&places(config, &folder)).map(|holder| holder.pid);
    let pid = holder.or_else(|| listener(config.watch.admin_socket.as_deref()?))?;
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words)
        .trim_end_matches('\0')
        .replace('\0', " ");
    Some(Finding::note(
        ABOUT,
        format!(
            "by a watcher, pid {pid}, which no unit of ours runs: `{}`",
            redact(&words)
        ),
        "nothing, where whatever started it does so with the host, too",
    ))
}

/// Who answers where watchers do: one with another state folder has another lock.
fn listener(socket: &Path) -> Option<u32> {
    let asked = block_on(async {
        let stream = UnixStream::connect(socket).await?;
        Ok(stream.peer_cred()?.pid())
    });
    u32::try_from(asked.ok()??).ok()
}

pub(super) fn last_turn(config: &Config) -> Finding {
    const ABOUT: &str = "last turn";
    match status::verdict(config) {
        Ok((verdict, true)) => Finding::ok(ABOUT, verdict),
        Ok((verdict, false)) => Finding::bad(
            ABOUT,
            verdict,
            "haproxy-marathon-bridge status, which tells why",
        ),
        Err(error) => Finding::bad(
            ABOUT,
            format!("{error:#}"),
            "sudo haproxy-marathon-bridge doctor",
        ),
    }
}
