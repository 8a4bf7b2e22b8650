//! A refusal of HAProxy that names nobody, led back to those whose text it is about.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tracing::debug;

use super::Stages;
use super::plan::{Plan, refused};
use super::source::Source;
use super::suspects::Suspects;
use crate::apply::validate::{Severity, Verdict};
use crate::apply::{Balancer, CheckMessage, Host};
use crate::cluster::Warning;
use crate::labels::Template;
use crate::proxy::Owner;
use crate::proxy::marathon_lb::{Https, Service};
use crate::resolve::Lookup;

/// A check that HAProxy does not end is told by this, however fast the others are.
const SHORTEST_TRY: Duration = Duration::from_secs(10);

/// After a check without an end, the first try says whether any of those who are suspected is to blame
/// at all: what is left is about what is installed, which takes seconds.
const FIRST_TRY: Duration = Duration::from_secs(20);

impl<S: Source, L: Lookup> Stages<S, L> {
    /// Whether HAProxy accepts by now what it just refused without naming anything: then it was short of
    /// memory or time, and the file is not to blame.
    pub(super) async fn was_passing<B: Balancer>(
        &self,
        host: &Host<'_, B>,
        plan: &Plan,
    ) -> Result<bool> {
        let verdict = host.balancer.check(&plan.files, host.at, None).await;
        let verdict = verdict.context("the new files cannot be checked once more")?;
        Ok(matches!(verdict, Verdict::Accepted { .. }))
    }

    /// Those without whom HAProxy accepts the file; nobody where it never does. Suspected is who says
    /// what is not installed: others are served as they are, and nobody is taken out of service by
    /// trial. Tries are made on copies, and nothing is installed.
    pub(super) async fn search<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        plan: &Plan,
        messages: &[CheckMessage],
        installed: Option<&str>,
    ) -> Result<Vec<(Owner, Warning)>> {
        if plan.is_about_the_frame(messages) {
            return Ok(Vec::new());
        }
        let owners = plan.suspects(installed);
        if owners.is_empty() {
            return Ok(Vec::new());
        }
        let blame = |owner| unnamed(owner, messages);
        let mut suspects = Suspects::new(owners);
        let is_wait = messages.iter().any(CheckMessage::is_of_a_wait);
        let mut limit = is_wait.then_some(FIRST_TRY);
        let mut is_first = true;
        while let Some(out) = suspects.next_try() {
            let out = out.into_iter().map(blame).collect();
            let tried = self.draw_without(plan.clone(), out, installed)?;
            let began = Instant::now();
            let verdict = host.balancer.check(&tried.files, host.at, limit).await;
            if is_first {
                // This file is without all of them: others take little longer, or never end.
                limit = Some(limit_of_tries(began.elapsed()));
                is_first = false;
            }
            let verdict = verdict.context("a part of the new files cannot be checked")?;
            let is_accepted = matches!(verdict, Verdict::Accepted { .. });
            debug!(out = ?tried.refused, is_accepted, "tried");
            if !suspects.judge(is_accepted) {
                return Ok(Vec::new());
            }
        }
        Ok(suspects.culprits().into_iter().map(blame).collect())
    }
}

/// How long a try may take where the first one took so long.
fn limit_of_tries(first: Duration) -> Duration {
    SHORTEST_TRY.max(first * 4)
}

impl Plan {
    /// Everybody in the file who is not out already; beside an `installed` file those who say
    /// anything that it does not.
    fn suspects(&self, installed: Option<&str>) -> Vec<Owner> {
        let known: HashSet<&str> = installed.unwrap_or_default().lines().collect();
        let mut seen = HashSet::new();
        let chunks = self.rendered.chunks().iter();
        let says_news = chunks
            .filter(|chunk| chunk.text.lines().any(|line| !known.contains(line)))
            .filter_map(|chunk| chunk.owner.as_ref());
        says_news
            .chain(self.in_shared_frontends())
            .filter(|owner| !self.refused.contains(owner) && seen.insert(*owner))
            .cloned()
            .collect()
    }

    /// Whose certificates and options stand in the frontend of a host, which may be that of several or
    /// of all, and perhaps nowhere else: a text of their own need not hold them.
    fn in_shared_frontends(&self) -> impl Iterator<Item = &Owner> {
        let is_grouped = self.has_shared_frontends();
        let services = self.proxies.services().iter();
        let is_only_there = move |service: &&Arc<Service>| {
            let options = &service.options;
            let is_there = options.ssl_cert.is_some() || options.bind_options.is_some();
            is_grouped && is_there && options.overrides.contains_key(&Template::FrontendHead)
        };
        services.filter(is_only_there).map(|service| &service.owner)
    }

    fn has_shared_frontends(&self) -> bool {
        if let Some(native) = &self.proxies.native {
            let mut services = native.services.iter();
            return native.opens_https() && services.any(|s| s.options.ssl_cert.is_some());
        }
        matches!(&self.proxies.layout.https, Https::ByVhost(vhosts) if !vhosts.is_empty())
    }

    /// Whether a line is named that belongs to nobody: no app can be blamed for it. Frontends of
    /// hosts are nobody's, but hold what owners said.
    fn is_about_the_frame(&self, messages: &[CheckMessage]) -> bool {
        if self.has_shared_frontends() {
            return false;
        }
        let alerts = messages.iter().filter(|m| m.severity == Severity::Alert);
        let mut lines = alerts.filter_map(|message| message.line);
        lines.any(|line| self.rendered.owner_of_line(line).is_none())
    }
}

/// Why HAProxy refuses a file, where it tells of neither a line nor a section.
pub(super) fn words(messages: &[CheckMessage]) -> Option<String> {
    let mut alerts = messages.iter().filter(|m| m.severity == Severity::Alert);
    let names_something = |m: &CheckMessage| m.line.is_some() || !m.proxies.is_empty();
    let is_named = alerts.clone().any(names_something);
    let first = alerts.next().filter(|_| !is_named);
    first.map(CheckMessage::lasting)
}

fn unnamed(owner: Owner, messages: &[CheckMessage]) -> (Owner, Warning) {
    let mut alerts = messages.iter().filter(|m| m.severity == Severity::Alert);
    let words = alerts
        .next()
        .map_or_else(String::new, CheckMessage::lasting);
    let warning = refused(&owner, &format!("something, without naming it: {words}"));
    (owner, warning)
}
