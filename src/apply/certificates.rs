//! Certificates that were renewed on the disk, for a HAProxy that runs the installed files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tracing::info;

use super::proved::is_run;
use super::runtime::{Renewed, Text};
use super::wish::Wish;
use super::{Balancer, Host, Outcome};
use crate::haproxy::certificates::{Certificate, certificates};
use crate::state::State;

impl<B: Balancer> Host<'_, B> {
    /// Has HAProxy show `changed` without a reload; `None` where it has to read all anew. `haproxy -c`
    /// has accepted them with the files that are wished for, which are installed.
    pub(super) async fn certificates_at_runtime(
        &self,
        changed: &[PathBuf],
        wish: &Wish<'_>,
        memory: &State,
    ) -> Option<Outcome> {
        let files = wish.files;
        // Without its mark nobody is told of anything.
        if changed.is_empty() || !is_run(files, memory) || !wish.is_marked() {
            return None;
        }
        // It would be shown, and not believed.
        let named = certificates(&files.cfg);
        let is_authority = |path: &&PathBuf| named.contains(&Certificate::Others((*path).clone()));
        if let Some(path) = changed.iter().find(is_authority) {
            info!(
                "a reload is needed, since authorities cannot be changed at runtime: `{}`",
                path.display()
            );
            return None;
        }
        let pid = self.listener_meanwhile(memory)?;
        let renewed = Renewed::read(changed).inspect_err(|why| {
            info!("a reload is needed, since certificates cannot be changed at runtime: {why}");
        });
        let renewed = renewed.ok()?;
        let nothing = BTreeSet::new();
        let text = Text {
            cfg: &files.cfg,
            structure: None,
            before: None,
            sections: Some(&nothing),
            maps: &[],
            certificates: &renewed,
        };
        let told = self.told(pid, text, None).await.inspect_err(|why| {
            info!("a reload is needed, since {why}");
        });
        let told = told.ok()?;
        Some(Outcome::Applied {
            how: told.to_string(),
            installed: false,
            reloaded: false,
            again: true,
        })
    }
}
