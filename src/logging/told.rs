//! Events whose fields are for machines, since the sentence tells people the same.

use std::borrow::Cow;

use tracing::warn;

use crate::cluster::{LONGEST_NAME, Warning, cut};

/// The target of events whose sentence says what their fields say: people read the sentence alone,
/// JSON and the journal have both.
pub const TOLD: &str = concat!(env!("CARGO_CRATE_NAME"), "::told");

fn name(text: &str) -> Cow<'_, str> {
    cut(text, LONGEST_NAME)
}

/// Says `warning`, with its parts as the fields `app`, `subject`, `found`, `expected` and `effect`.
pub fn warning(warning: &Warning) {
    warn!(
        target: TOLD,
        app = warning.app.as_ref().map(|app| name(app.as_str())).as_deref(),
        subject = &*name(&warning.subject),
        found = &*warning.shown(),
        expected = warning.expected,
        effect = warning.effect,
        "{warning}"
    );
}
