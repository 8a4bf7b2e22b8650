//! A HAProxy that a failed reload left without its listeners: nobody serves, and what it ran is proved.

use tracing::{error, warn};

use super::proved::{installed, is_run, was_started_by_us};
use super::wish::described;
use super::{Balancer, Host};
use crate::state::State;

impl<B: Balancer> Host<'_, B> {
    /// Has another process take over with the files of before, which are installed again.
    pub(super) async fn listen_again(&self, memory: &mut State) {
        let maps = memory.applied.iter().flat_map(|a| a.map_hashes.keys());
        let files = installed(self.disk, self.at, maps.map(String::as_str));
        // What cannot be read, or is something else, is for the next turn.
        let files = files.ok().flatten().filter(|files| is_run(files, memory));
        let Some(files) = files else { return };
        let may_start = was_started_by_us(memory);
        match self.balancer.reload(&files, self.at, may_start).await {
            Ok(reloaded) => {
                let (how, pid) = described(&reloaded);
                warn!(
                    "the old HAProxy did not listen any more, so that another was brought to the \
                     files of before: {how}"
                );
                if let Some((applied, pid)) = memory.applied.as_mut().zip(pid) {
                    applied.is_run_by(pid);
                }
                if let Some(pending) = &mut memory.pending {
                    pending.refused = true;
                }
            }
            Err(error) => error!(
                "HAProxy does not listen, and could not be brought to the files of before either: \
                 {error}"
            ),
        }
    }
}
