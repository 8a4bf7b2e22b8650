//! Whether HAProxy still has the servers and maps that the files say: others can speak to its stats
//! socket too.
//!
//! What differs is told once and put right; what cannot be told is put right by a reload, once.

use anyhow::Result;
use tracing::{debug, warn};

use super::proved::{installed, is_run};
use super::runtime::{Fallback, Target, Text, Told};
use super::stand_ins::{StandIns, seen};
use super::transaction::Done;
use super::wish::Wish;
use super::{Balancer, Host, Outcome, leftovers};
use crate::state::{State, Time};

/// So many servers are named.
const MOST_NAMED: usize = 5;

impl<B: Balancer> Host<'_, B> {
    /// Compares the HAProxy that runs the installed files with these, where nothing else is to be done.
    ///
    /// # Errors
    /// When an installed file cannot be read.
    pub async fn audit(&self, memory: &mut State, now: Time) -> Result<Outcome> {
        let Some(pid) = self.listener(memory) else {
            return Ok(Outcome::Unchanged);
        };
        let maps = memory.applied.iter().flat_map(|a| a.map_hashes.keys());
        let files = installed(self.disk, self.at, maps.map(String::as_str))?;
        let Some(files) = files.filter(|files| is_run(files, memory)) else {
            return Ok(Outcome::Unchanged);
        };
        let none = StandIns::new();
        let stand_ins = memory.applied.as_ref().map(|applied| &applied.stand_ins);
        let shown = seen(&files, stand_ins.unwrap_or(&none));
        let maps = self.map_texts(&shown, |_| false);
        let text = Text {
            cfg: &shown.cfg,
            structure: None,
            before: Some(&shown.cfg),
            sections: None,
            maps: &maps,
            certificates: &[],
        };
        let why = match self.balancer.tell(pid, text, self.at).await {
            Ok(told) => {
                memory.unmended = None;
                leftovers::note(memory, &told);
                self.tell_what_was_undone(&told);
                return Ok(Outcome::Unchanged);
            }
            Err(why) => why,
        };
        let is_theirs = matches!(
            why,
            Fallback::Refused(_)
                | Fallback::RefusedAfter(_)
                | Fallback::Backend(_)
                | Fallback::Lead(_)
                | Fallback::Map(_)
                | Fallback::Surprise { .. }
                | Fallback::NotReached { .. }
        );
        let what = match why {
            Fallback::Map(_) => "maps",
            Fallback::Backend(_) | Fallback::Lead(_) => "backends",
            _ => "servers",
        };
        let why = why.to_string();
        if !is_theirs || memory.unmended.as_ref() == Some(&why) {
            debug!("the {what} of the running HAProxy are not known: {why}");
            return Ok(Outcome::Unchanged);
        }
        warn!(
            "somebody else changed {what} of the running HAProxy, and a reload has to bring them \
             back, since {why}"
        );
        memory.unmended = Some(why);
        let done = Done {
            installed: false,
            again: false,
            was_refused: true,
        };
        self.reload(&Wish::new(&files, now), Some(&files), done, memory)
            .await
    }

    /// Warns of what was put right, if anything.
    pub(super) fn tell_what_was_undone(&self, told: &Told) {
        if told.is_nothing() {
            return;
        }
        let (file, named) = (self.at.cfg.display(), named(told));
        let (what, file) = match (told.servers(), told.maps.len()) {
            (0, 0) => ("backends", format!("`{file}` has")),
            (_, 0) => ("servers", format!("`{file}` has")),
            (0, _) => ("maps", "their files have".to_owned()),
            _ => ("servers and maps", format!("`{file}` and its maps have")),
        };
        warn!(
            "somebody else changed {what} of the running HAProxy; they are as {file} them again: \
             {named}"
        );
    }
}

fn named(told: &Told) -> String {
    let all = [&told.added, &told.removed].into_iter().flatten();
    let all = all.chain(&told.changed).map(Target::to_string);
    let others = told.backends.iter().chain(&told.maps);
    let all: Vec<String> = all.chain(others.cloned()).collect();
    let names = all.iter().take(MOST_NAMED);
    let mut names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if MOST_NAMED < all.len() {
        names.push(format!("and {} more", all.len() - MOST_NAMED));
    }
    names.join(", ")
}
