//! `check`: whether `refresh` would have anything to complain of, and whom it would leave out. Nothing
//! is written but the copies that HAProxy judges.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

use super::blame::{Blame, Blamed};
use super::look::{judged, tell};
use super::turn::version;
use super::{json, print};
use crate::apply::LocalHaproxy;
use crate::apply::validate::Verdict;
use crate::cluster::{AppId, Warning};
use crate::config::Config;
use crate::cycle::Plan;
use crate::disk::OsDisk;
use crate::haproxy::program;

/// Exit 1 where something is left out, held back or refused.
pub(super) async fn check(config: &Config) -> Result<ExitCode> {
    let program = program::find(&config.haproxy.program)?;
    let version = version(config, &program).await?;
    let shown = format!("HAProxy {version}");
    let mut local = LocalHaproxy::new(program, version, config, &OsDisk);
    // The state folder is for those who hold the lock.
    local.holds_lock = false;
    let (look, verdict) = judged(config, &local).await?;
    look.tell();
    let plan = &look.plan;
    tell(&plan.unread_labels());
    let (is_accepted, messages) = match verdict {
        Verdict::Accepted { warnings } => (true, warnings),
        Verdict::Rejected { messages, .. } => (false, messages),
    };
    let blamed = messages.iter().map(|message| Blamed::of(plan, message));
    let blamed: Vec<Blamed<'_>> = blamed.collect();
    for message in &blamed {
        if is_accepted {
            message.warned();
        } else {
            message.refused();
        }
    }
    let complaints = complaints(plan);
    let is_well = is_accepted && complaints.is_empty();
    if config.json {
        let checked = Checked::of(plan, (&shown, is_accepted, is_well), &blamed);
        print(&json(&checked)?)?;
    } else {
        let verb = if is_accepted { "accepts" } else { "refuses" };
        let notes = if is_accepted {
            notes(plan)
        } else {
            String::new()
        };
        print(&format!(
            "{shown} {verb} {}{complaints}\n{notes}",
            extent(plan)
        ))?;
    }
    Ok(ExitCode::from(u8::from(!is_well)))
}

/// The keys of `--json`.
#[derive(Debug, Serialize)]
struct Checked<'a> {
    /// Whether there is nothing to complain of.
    ok: bool,
    /// Who judged: `HAProxy 2.6`.
    haproxy: &'a str,
    /// Whether it accepts what is left of the new file.
    accepted: bool,
    /// What it refuses the file for, else what it warns of.
    haproxy_says: Vec<Blame<'a>>,
    /// In the new file.
    service_ports: usize,
    /// In the new file.
    servers: usize,
    /// What is left out or served otherwise than it is asked for, all of it.
    warnings: Vec<Fault<'a>>,
    /// What is held back, in a sentence; null where nothing is.
    held_back: Option<String>,
    /// Tasks of each app that wait for their readiness checks.
    waiting: BTreeMap<&'a str, usize>,
    /// What nobody has to mend.
    notes: Vec<Note>,
}

/// A warning in its five parts.
#[derive(Debug, Serialize)]
struct Fault<'a> {
    /// Null where it cannot be told.
    app: Option<&'a str>,
    subject: &'a str,
    found: &'a str,
    expected: &'a str,
    effect: &'a str,
}

impl<'a> Fault<'a> {
    fn of(warning: &'a Warning) -> Self {
        Self {
            app: warning.app.as_ref().map(AppId::as_str),
            subject: &warning.subject,
            found: &warning.found,
            expected: &warning.expected,
            effect: &warning.effect,
        }
    }
}

/// Of whose labels bring it about, and whose requests it is about.
#[derive(Debug, Serialize)]
struct Note {
    app: String,
    other: String,
    text: String,
}

impl<'a> Checked<'a> {
    fn of(
        plan: &'a Plan,
        (haproxy, accepted, ok): (&'a str, bool, bool),
        blamed: &'a [Blamed<'a>],
    ) -> Self {
        let waiting = plan.waiting().tasks.iter();
        let remarks = plan.remarks().into_iter();
        Self {
            ok,
            haproxy,
            accepted,
            haproxy_says: blamed.iter().map(Blamed::parts).collect(),
            service_ports: plan.proxies.owners().count(),
            servers: plan.proxies.servers(),
            warnings: plan.warnings.iter().map(Fault::of).collect(),
            held_back: plan.held_back(),
            waiting: waiting.map(|(app, tasks)| (app.as_str(), *tasks)).collect(),
            notes: remarks
                .map(|remark| Note {
                    app: remark.app.to_string(),
                    other: remark.other.to_string(),
                    text: remark.text,
                })
                .collect(),
        }
    }
}

/// So many are told; `explain` has those of an app.
const MOST_NOTES: usize = 20;

/// What harms nobody and people may want to know, a line each.
fn notes(plan: &Plan) -> String {
    let remarks = plan.remarks();
    let told = remarks.iter().take(MOST_NOTES);
    let mut text: String = told
        .map(|remark| format!("note: {}\n", remark.text))
        .collect();
    let more = remarks.len().saturating_sub(MOST_NOTES);
    if more > 0 {
        text.push_str("note: and ");
        text.push_str(&more.to_string());
        text.push_str(" more, which `explain` tells of each app\n");
    }
    text
}

fn extent(plan: &Plan) -> String {
    let sections = plan.proxies.owners().count();
    let servers = plan.proxies.servers();
    let waiting = waiting(plan);
    format!("the new file: {sections} service ports, {servers} servers{waiting}")
}

/// Nothing to complain of, but why a task, or all of an app, is not served.
fn waiting(plan: &Plan) -> String {
    let waiting = &plan.waiting().tasks;
    let apps: Vec<String> = waiting.keys().map(|app| format!("`{app}`")).collect();
    let apps = apps.join(", ");
    match waiting.values().sum::<usize>() {
        0 => String::new(),
        1 => format!("; 1 task of {apps} waits for its readiness check"),
        many => format!("; {many} tasks of {apps} wait for their readiness checks"),
    }
}

fn complaints(plan: &Plan) -> String {
    let mut text = match plan.warnings.len() {
        0 => String::new(),
        1 => "; 1 warning".to_owned(),
        many => format!("; {many} warnings"),
    };
    if plan.held.is_some() {
        text.push_str("; a removal is held back");
        if plan.keeps_all {
            text.push_str(", and everything else with it");
        }
    }
    text
}
