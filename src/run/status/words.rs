//! The same for people: the verdict, and what there is to say, as name and value.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::found::{Installed, Old, Process};
use super::{Status, Watcher, is_ahead, is_long_check};
use crate::admin::{self, Finding, Unused};
use crate::cycle::named;
use crate::state::{Applied, LastTurn, Pending, Quarantined, Time, TurnOutcome};

/// Work that takes less is no news.
const WORTH_A_WORD: Duration = Duration::from_secs(5);

/// What is known of who watches; nothing where nobody does.
fn watching(watcher: &Watcher, now: Time, out: &mut Words) {
    let since = |pid: u32, since: Time| format!("pid {pid} since {since} ({})", ago(since, now));
    match watcher {
        Watcher::None => (),
        Watcher::Silent(silent) => {
            let holder = &silent.holder;
            let text = format!("{}; {}", since(holder.pid, holder.since), silent.reason);
            out.put("watcher", &text);
        }
        Watcher::Tells(facts) => {
            out.put("watcher", &since(facts.pid, facts.since));
            let ago = ago(facts.events_since, now);
            let mut events = match &facts.events_from {
                Some(from) => format!("from {from} since {} ({ago})", facts.events_since),
                None => format!("none are told since {} ({ago})", facts.events_since),
            };
            if let Some(last) = facts.last_event {
                let _ = write!(events, ", {} so far, the last at {last}", facts.events);
            }
            out.put("events", &events);
            let all: u64 = facts.turns.values().sum();
            let turns = facts.turns.iter().filter(|(_, count)| **count > 0);
            let turns: Vec<String> = turns.map(|(word, n)| format!("{n} {word}")).collect();
            let turns = match turns.as_slice() {
                [] => "none yet".to_owned(),
                some => format!("{all}: {}", some.join(", ")),
            };
            out.put("turns", &turns);
            let worked = facts.turn_since.map(|since| now.since(since));
            if let Some(worked) = worked.filter(|worked| WORTH_A_WORD <= *worked) {
                let worked = humantime::format_duration(worked);
                out.amiss(
                    "at work",
                    &format!("for {worked}, and nothing else is followed"),
                );
            }
            match facts.pending {
                admin::Pending::Nothing => (),
                admin::Pending::Apps(1) => out.put("to be asked", "1 app"),
                admin::Pending::Apps(many) => out.put("to be asked", &format!("{many} apps")),
                admin::Pending::Everything => out.put("to be asked", "everything"),
            }
        }
    }
}

impl Status<'_> {
    pub(super) fn for_people(&self, watcher: &Watcher, now: Time) -> Words {
        let verdict = match (self.ok, self.paused, self.last_turn) {
            (_, _, None) if self.unread.is_some() => "nothing is known: the state cannot be read",
            (_, _, None) => "nothing is known: no turn was ever taken",
            (_, _, Some(last)) if self.is_old && is_ahead(last.at, now) => {
                "the last turn lies in the future, so that nobody knows how long ago it was"
            }
            _ if self.is_old => "no turn was taken for too long",
            _ if self.stuck.is_some() => "the watcher does not answer",
            _ if self.stuck_since.is_some() => "the watcher is at work on one turn for too long",
            (false, ..) if is_long_check(self.checking_since, now) => {
                "what is wanted waits for `haproxy -c`, which does not come to an end"
            }
            (false, ..) => "something is wrong",
            (true, Some(_), _) => "paused",
            (true, None, _) if !self.quarantined.is_empty() => {
                "all is well, but for what is quarantined"
            }
            (true, None, Some(last)) if last.wait_for_files > 0 => {
                "all is well, but for what waits for HAProxy to have more files open"
            }
            (true, None, _) => "all is well",
        };
        let mut out = Words {
            config: self.config.display().to_string(),
            verdict,
            findings: Vec::new(),
        };
        if let Some(paused) = self.paused {
            out.amiss("paused", &paused.to_string().replacen("paused ", "", 1));
        }
        for (drained, meant) in self
            .drained
            .iter()
            .zip(self.drained_servers.iter().flatten())
        {
            let left = if meant.without_any.is_empty() {
                String::new()
            } else {
                format!("; none is left for {}", named(&meant.without_any))
            };
            out.amiss("drained", &format!("{drained}, {meant}{left}"));
        }
        self.turns(&mut out, now);
        match self.pending {
            Some(_) if self.is_at_work => out.put("at work", "on a reload to other files"),
            Some(pending) => out.amiss("to be tried", &in_words(pending)),
            None => (),
        }
        if let Some(applied) = self.applied {
            if applied.unproved {
                let (at, ago) = (applied.at, ago(applied.at, now));
                let how = &applied.how;
                let ended = if applied.has_ended() {
                    "; the one that ran before has ended"
                } else {
                    ""
                };
                out.put(
                    "installed",
                    &format!("these files since {at} ({ago}); {how}{ended}"),
                );
            } else {
                out.put("haproxy runs", &self.running(applied, now));
            }
        }
        for old in &self.old_processes {
            out.put("old process", &old_process(old, now));
        }
        match self.installed {
            Installed::Missing => out.amiss("installed", "no file"),
            Installed::Changed if self.is_at_work => (),
            Installed::Changed => {
                out.amiss("installed", "other files than those that HAProxy runs");
            }
            Installed::AsApplied | Installed::ToBeProved | Installed::Unknown => (),
        }
        if !self.good_sets.is_empty() {
            let times: Vec<String> = self.good_sets.iter().map(ToString::to_string).collect();
            out.put("good files", &format!("of {}", times.join(", ")));
        }
        for fault in &self.good_sets_unusable {
            out.amiss("good files", &format!("cannot be used: {fault}"));
        }
        for entry in self.quarantined {
            out.amiss("quarantined", &quarantined(entry, now));
        }
        for warning in self.last_turn.iter().flat_map(|last| &last.warnings) {
            out.amiss("warning", warning);
        }
        for warning in self
            .last_turn
            .iter()
            .flat_map(|last| &last.haproxy_warnings)
        {
            out.amiss("haproxy warns", warning);
        }
        watching(watcher, now, &mut out);
        out
    }

    /// What the last turn came to, and what is yet to come of it.
    fn turns(&self, out: &mut Words, now: Time) {
        if let Some(last) = self.last_turn {
            out.last_turn(last, now);
        }
        if let Some(unread) = self.unread {
            out.amiss("state", unread);
        } else if self.last_turn.is_none() {
            let place = self.state_folder.display();
            out.put("state", &format!("`{place}` holds none"));
        }
        if let Some(why) = self.unsaved {
            out.amiss("not saved", why);
        }
        for Unused { since, why } in self.unused {
            let ago = ago(*since, now);
            out.amiss("not in use", &format!("since {since} ({ago}): {why}"));
        }
        if let Some(since) = self.checking_since {
            let ago = ago(since, now);
            let text = format!(
                "`haproxy -c` looks at the new file since {since} ({ago}), which is not installed before \
                 it has; servers are followed where HAProxy is told of them"
            );
            out.amiss("checking", &text);
        }
        if let Some(marathon) = self.last_marathon {
            out.put("marathon", marathon);
        }
        if let Some(as_of) = self.as_of {
            out.put("served", &format!("as of {as_of} ({})", ago(as_of, now)));
        }
    }

    fn running(&self, applied: &Applied, now: Time) -> String {
        let mut text = format!(
            "these files since {} ({})",
            applied.at,
            ago(applied.at, now)
        );
        if let Some(hash) = &applied.structure_hash {
            let _ = write!(text, ", structure {hash}");
        }
        let _ = match self.haproxy_process {
            Some(Process::AsKnown { pid }) => write!(text, ", pid {pid}"),
            Some(Process::Other { pid }) if self.is_at_work => {
                write!(text, "; pid {pid} is to take over")
            }
            Some(Process::Other { pid }) => {
                write!(text, ", pid {pid} since somebody else reloaded it")
            }
            Some(Process::Gone { pid }) => write!(text, "; its pid was {pid}, which is gone"),
            None => Ok(()),
        };
        if let Some(Process::AsKnown { .. }) = self.haproxy_process {
            if let Some(since) = applied.silent_since {
                let ago = ago(since, now);
                let _ = write!(
                    text,
                    "; it does not listen since {since} ({ago}), so that nobody is served, and another \
                     is brought to these files as soon as one can be started"
                );
            }
            for (backend, spare) in &applied.stand_ins {
                let _ = write!(text, "; `{spare}` stands in for `{backend}`");
            }
            if applied.spare_backends > 0 {
                let used = applied.used_spares.len();
                let were = if used == 1 { "was" } else { "were" };
                let all = applied.spare_backends;
                let _ = write!(text, "; {used} of {all} spare backends {were} used");
            }
        }
        text
    }
}

fn old_process(old: &Old, now: Time) -> String {
    let found = &old.found;
    match old.since {
        Some(since) => format!("{found} since {since} ({})", ago(since, now)),
        None => found.to_string(),
    }
}

fn quarantined(entry: &Quarantined, now: Time) -> String {
    let Quarantined {
        app,
        service_port,
        since,
        ..
    } = entry;
    let ago = ago(*since, now);
    let fate = match entry.last_good {
        Some(_) => "is served as it was before",
        None => "is left out",
    };
    let doubt = match (entry.starts, entry.unnamed) {
        (0, 0) => "",
        (0, _) => "; HAProxy named nobody, and it is tried again by itself",
        _ => "; HAProxy did not start with it, and it is seldom tried again",
    };
    format!("service port {service_port} of app `{app}` {fate}, since {since} ({ago}){doubt}")
}

fn in_words(pending: &Pending) -> String {
    let Pending {
        attempts,
        last_error,
        next_try_at,
        ..
    } = pending;
    match attempts {
        0 => format!("a reload, from {next_try_at} on: {last_error}"),
        1 => format!("a reload, from {next_try_at} on; it failed once: {last_error}"),
        many => {
            format!("a reload, from {next_try_at} on; {many} failed, the last so: {last_error}")
        }
    }
}

fn outcome(outcome: TurnOutcome) -> &'static str {
    match outcome {
        TurnOutcome::Unchanged => "nothing to do",
        TurnOutcome::Applied => "applied",
        TurnOutcome::Rejected => "refused by `haproxy -c`",
        TurnOutcome::ReloadFailed => "the reload failed",
        TurnOutcome::Failed => "failed",
        TurnOutcome::Paused => "paused, something differs",
        TurnOutcome::RolledBack => "rolled back",
    }
}

fn ago(moment: Time, now: Time) -> String {
    if is_ahead(moment, now) {
        return "in the future: the clock was set back".to_owned();
    }
    format!("{} ago", humantime::format_duration(now.since(moment)))
}

/// What is said.
#[derive(Debug)]
pub(super) struct Words {
    /// The file that is kept in step.
    pub config: String,
    pub verdict: &'static str,
    pub findings: Vec<Finding>,
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.first_line())?;
        for Finding { name, value, .. } in &self.findings {
            // Lines that go on stand below the value.
            let value = value.replace('\n', "\n                ");
            writeln!(f, "  {name:<12}  {value}")?;
        }
        Ok(())
    }
}

impl Words {
    pub(super) fn first_line(&self) -> String {
        format!("{}: {}", self.config, self.verdict)
    }

    fn put(&mut self, name: &'static str, value: &str) {
        self.findings.push(Finding {
            name,
            value: value.to_owned(),
            is_amiss: false,
        });
    }

    /// The same of what somebody may want to mend.
    fn amiss(&mut self, name: &'static str, value: &str) {
        self.findings.push(Finding {
            name,
            value: value.to_owned(),
            is_amiss: true,
        });
    }

    fn last_turn(&mut self, last: &LastTurn, now: Time) {
        let mut text = format!(
            "{} ({}): {}",
            last.at,
            ago(last.at, now),
            outcome(last.outcome)
        );
        if let Some(detail) = &last.detail {
            let _ = write!(text, ": {detail}");
        }
        self.put("last turn", &text);
        if let Some(change) = &last.change {
            self.put("change", change);
        }
        if let Some(held) = &last.held {
            self.amiss("held back", held);
        }
    }
}
