//! `check`: whether `refresh` would have anything to complain of, and whom it would leave out. Nothing
//! is written but the copies that HAProxy judges.

use std::process::ExitCode;

use anyhow::Result;

use super::blame::Blamed;
use super::look::{judged, tell};
use super::print;
use super::turn::version;
use crate::apply::LocalHaproxy;
use crate::apply::validate::Verdict;
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
    match verdict {
        Verdict::Accepted { warnings } => {
            for message in &warnings {
                Blamed::of(plan, message).warned();
            }
            let complaints = complaints(plan);
            let notes = notes(plan);
            print(&format!(
                "{shown} accepts {}{complaints}\n{notes}",
                extent(plan)
            ))?;
            Ok(ExitCode::from(u8::from(!complaints.is_empty())))
        }
        Verdict::Rejected { messages, .. } => {
            for message in &messages {
                Blamed::of(plan, message).refused();
            }
            print(&format!(
                "{shown} refuses {}{}\n",
                extent(plan),
                complaints(plan)
            ))?;
            Ok(ExitCode::FAILURE)
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
