//! HAProxy reads the installed files once more, since somebody asks for it, or certificates are other ones.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::beside::LONGEST_CHECK;
use super::proved::installed;
use super::transaction::Done;
use super::validate::Verdict;
use super::wish::Wish;
use super::{Balancer, Host, Outcome, Try};
use crate::disk::Digest;
use crate::state::{State, Time};

impl<B: Balancer> Host<'_, B> {
    /// Has HAProxy read the installed files once more, whatever it runs; where it is only for these
    /// `certificates`, it may be told of them, and else they wait for a reload that is pending.
    ///
    /// # Errors
    /// When there are none, and as [`Host::bring_to`].
    pub async fn bring_again(
        &self,
        certificates: &[PathBuf],
        memory: &mut State,
        now: Time,
        remember: &mut dyn FnMut(&State),
    ) -> Result<Outcome> {
        self.recover()?;
        let maps = memory.applied.iter().flat_map(|a| a.map_hashes.keys());
        let files = installed(self.disk, self.at, maps.map(String::as_str))?;
        let files = files.with_context(|| format!("there is no `{}`", self.at.cfg.display()))?;
        // It is no part of what a turn wants.
        let tries = Try {
            limit: LONGEST_CHECK,
            of: Digest::of(files.cfg.as_bytes()),
        };
        let verdict = self.balancer.check(&files, self.at, Some(tries)).await;
        if let Verdict::Rejected { messages, .. } =
            verdict.context("the installed files cannot be checked")?
        {
            return Ok(Outcome::Rejected { messages });
        }
        let wish = Wish::new(&files, now);
        let told = self.certificates_at_runtime(certificates, &wish, memory);
        if let Some(told) = told.await {
            return Ok(told);
        }
        if !certificates.is_empty() && memory.pending.is_some() {
            // The reload that is pending reads them.
            return Ok(Outcome::Postponed { until: now });
        }
        let done = Done {
            installed: false,
            again: true,
            was_refused: memory.pending.as_ref().is_none_or(|p| p.refused),
        };
        memory.pending = Some(wish.pending(memory, "it was not tried yet", Duration::ZERO));
        remember(memory);
        self.reload(&wish, None, done, memory).await
    }
}
