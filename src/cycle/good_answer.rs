//! The answer that HAProxy was brought to, for bad times.

use anyhow::{Context as _, Result};

use super::{Plan, Told};
use crate::disk::Digest;
use crate::marathon;
use crate::state::{self, KeptAnswer};

/// An answer as it came; where a removal is held, or apps were asked for one by one, the one that would
/// have led to what is served.
#[derive(Debug)]
pub struct GoodAnswer {
    /// All of it.
    pub text: String,
    /// What is to be known of it.
    pub kept: KeptAnswer,
}

impl GoodAnswer {
    /// What `plan`, which HAProxy was brought to, was made of.
    pub(super) fn of(plan: &Plan, told: Told, applied: &state::Applied) -> Result<Self> {
        // Of several answers, to apps one by one, none is the whole.
        let (text, essence) = if plan.held.is_none() && !told.body.is_empty() {
            (told.body, told.essence)
        } else {
            let text = marathon::answer(&plan.draft.wanted.apps)
                .context("what is served cannot be written as an answer")?;
            let essence = Digest::of(text.as_bytes());
            (text, essence)
        };
        let cfg_hash = applied.cfg_hash;
        Ok(Self {
            text,
            kept: KeptAnswer { essence, cfg_hash },
        })
    }
}
