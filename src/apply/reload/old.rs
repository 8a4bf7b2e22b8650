//! Which of our processes finish what they have since others took over from them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tracing::debug;

use super::Context;
use crate::disk::{LARGEST, read_text};
use crate::haproxy::listen::ports;
use crate::haproxy::{OldProcess, old_workers};

/// For each question to a master.
const ASK: Duration = Duration::from_secs(1);

/// The old processes of `context`. Where it has none at all that can be seen here, the `master` is asked.
pub async fn old_processes(context: Context, master: Option<PathBuf>) -> Vec<OldProcess> {
    let seen = spawn_blocking(move || seen(&context)).await;
    match (seen.unwrap_or_default(), master) {
        (Some(old), _) => old,
        (None, None) => Vec::new(),
        (None, Some(master)) => old_workers(&master, ASK).await.unwrap_or_else(|error| {
            debug!("old processes are not known: {error}");
            Vec::new()
        }),
    }
}

/// `None` where no process of ours is.
fn seen(context: &Context) -> Option<Vec<OldProcess>> {
    let mut ours = context.our_processes();
    if ours.is_empty() {
        return None;
    }
    // Masters serve nobody.
    let parents: BTreeSet<u32> = ours.iter().map(|process| process.parent).collect();
    ours.retain(|process| !parents.contains(&process.pid));
    // Most of the time nobody is looked into.
    if ours.len() < 2 {
        return Some(Vec::new());
    }
    let text = read_text(&context.config, LARGEST).unwrap_or_default();
    Some(context.proc.old_processes(ours, &ports(&text)))
}
