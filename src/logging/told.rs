//! Events whose fields are for machines, since the sentence tells people the same.

use tracing::warn;

use crate::cluster::{AppId, Warning};

/// The target of events whose sentence says what their fields say: people read the sentence alone,
/// JSON and the journal have both.
pub const TOLD: &str = concat!(env!("CARGO_CRATE_NAME"), "::told");

/// Says `warning`, with its parts as the fields `app`, `subject`, `found`, `expected` and `effect`.
pub fn warning(warning: &Warning) {
    let shown = warning.shown();
    warn!(
        target: TOLD,
        app = warning.app.as_ref().map(AppId::as_str),
        subject = &*shown.subject,
        found = &*shown.found,
        expected = &*shown.expected,
        effect = &*shown.effect,
        "{warning}"
    );
}
