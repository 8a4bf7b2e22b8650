//! What HAProxy was told to let go while requests were under way there: servers in maintenance, and
//! backends without servers. Nobody waits for these requests, which may be tunnels of hours.
//!
//! They are asked for again from time to time, and taken away once they have ended.

use std::fmt::Write as _;
use std::mem;

use anyhow::Result;
use tracing::debug;

use super::proved::{installed, is_run};
use super::runtime::{Target, Text, Told};
use super::stand_ins::{StandIns, seen};
use super::{Balancer, Host};
use crate::state::{Leftovers, State};

/// Remembers what was left when HAProxy was told of something.
pub(super) fn note(memory: &mut State, told: &Told) {
    let sections = told.tombstones.iter().map(Target::backend);
    let Leftovers {
        sections: known,
        backends,
    } = &mut memory.leftovers;
    known.extend(sections.map(str::to_owned));
    backends.extend(told.left_backends.iter().cloned());
}

impl<B: Balancer> Host<'_, B> {
    /// Takes away of [`State::leftovers`] what is not in use any more; what is stays there, and so does
    /// all of it where HAProxy cannot be told just now.
    ///
    /// # Errors
    /// When an installed file cannot be read.
    pub async fn take_away_leftovers(&self, memory: &mut State) -> Result<()> {
        let applied = memory.applied.as_ref();
        let pid = applied.and_then(|applied| self.served_by(applied, memory));
        let maps = memory.applied.iter().flat_map(|a| a.map_hashes.keys());
        let files = installed(self.disk, self.at, maps.map(String::as_str))?;
        let files = files.filter(|files| is_run(files, memory));
        let Some((pid, files)) = pid.zip(files) else {
            return Ok(());
        };
        let none = StandIns::new();
        let stand_ins = memory.applied.as_ref().map(|applied| &applied.stand_ins);
        let shown = seen(&files, stand_ins.unwrap_or(&none));
        let left = mem::take(&mut memory.leftovers);
        // As if the file had had them until now; of which profile they were does not matter to go.
        let mut before = shown.cfg.clone();
        for name in &left.backends {
            _ = write!(before, "\nbackend {name} from gone\n");
        }
        let sections = left.sections.union(&left.backends).cloned().collect();
        let text = Text {
            cfg: &shown.cfg,
            structure: None,
            before: Some(&before),
            sections: Some(&sections),
            maps: &[],
            certificates: &[],
        };
        match self.balancer.tell(pid, text, self.at).await {
            Ok(mut told) => {
                note(memory, &told);
                told.backends.retain(|name| !left.backends.contains(name));
                self.tell_what_was_undone(&told);
            }
            Err(why) => {
                debug!("what was left is not taken away yet: {why}");
                memory.leftovers = left;
            }
        }
        Ok(())
    }
}
