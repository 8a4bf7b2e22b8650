//! What is in service where nobody remembers: after a start, and after a file was put back.
//!
//! What HAProxy was last brought to was made of the answer that is kept. Drawn once more it is what is
//! installed, but for servers; so its services are known, and of each the text as it is.

use std::collections::HashSet;

use anyhow::Result;
use tracing::debug;

use super::in_service::InService;
use crate::apply::runtime::Frame;
use crate::apply::{Balancer, FileSet, Host};
use crate::cycle::source::Source;
use crate::cycle::{Plan, Stages};
use crate::diff::{self, Change, Outline};
use crate::proxy::Owner;
use crate::resolve::Lookup;
use crate::state::{State, Time};

impl<S: Source, L: Lookup> Stages<S, L> {
    /// What is in service: as it is remembered, where that is installed; else made anew. `None` where it
    /// cannot be known.
    pub(super) async fn known_in_service<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        remembered: Option<InService>,
        memory: &State,
        now: Time,
    ) -> Result<Option<InService>> {
        if let Some(mut known) = remembered {
            if host.is_still(known.stamp)? {
                return Ok(Some(known));
            }
            if let Some(stamp) = host.stamp_of(&known.files)? {
                known.stamp = stamp;
                return Ok(Some(known));
            }
        }
        let installed = match host.told_alone(memory, now)? {
            Some(installed) if self.recipe.is_labelled() => installed,
            _ => return Ok(None),
        };
        let Some(kept) = self.last_answer.as_ref().and_then(|read| read()) else {
            return Ok(None);
        };
        let cfg = Some(&*installed.cfg);
        let plan = match self.plan_of_kept(&kept, cfg, memory, now).await {
            Ok(Some(plan)) => self.as_the_host_allows(host, plan, cfg),
            Ok(None) => return Ok(None),
            Err(error) => Err(error),
        };
        let plan = match plan {
            Ok(plan) => plan,
            Err(error) => {
                debug!("what is in service cannot be made anew: {error:#}");
                return Ok(None);
            }
        };
        let Some(stamp) = host.stamp_of(&installed)? else {
            return Ok(None);
        };
        let is_told = host.is_known_to_run(&installed, memory);
        let Some((plan, inexact)) = as_installed(plan, installed) else {
            debug!("what is in service cannot be made anew: it is more than other servers");
            return Ok(None);
        };
        let frame = Frame::of(&plan.files.cfg);
        let made = InService {
            waits: true,
            is_told,
            inexact,
            ..InService::of(plan, stamp, frame)
        };
        Ok(Some(made).filter(|made| made.frame.is_some()))
    }
}

/// The plan with the servers that are installed, and whose texts are others by that; `None` where more
/// than these differs.
fn as_installed(mut plan: Plan, installed: FileSet) -> Option<(Plan, HashSet<Owner>)> {
    match diff::compare(Some(&installed.cfg), &plan.files.cfg) {
        Change::Nothing | Change::Servers(_) => (),
        Change::Backends(_) | Change::Structure(_) => return None,
    }
    let outline = Outline::of(&installed.cfg);
    let mut inexact = HashSet::new();
    plan.rendered.retell(|chunk| {
        let text = diff::with_lines_of(&chunk.text, &outline);
        if *chunk.text != *text {
            inexact.extend(chunk.owner.clone());
        }
        text
    });
    if plan.rendered.text() != installed.cfg {
        return None;
    }
    plan.files = installed;
    Some((plan, inexact))
}
