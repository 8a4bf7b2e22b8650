//! A file in which nothing but servers is new, for a HAProxy that need not read it: the file is put
//! in place as any other, and the process is told of what differs.
//!
//! Whatever goes wrong with that is made good by a reload, since the file is the whole truth.

use std::collections::BTreeSet;

use anyhow::Result;
use tracing::{debug, info};

use super::proved::is_applied;
use super::runtime::{Text, mark_of};
use super::standing::Standing;
use super::wish::Wish;
use super::{Balancer, FileSet, Host, Outcome, mark};
use crate::diff::{self, Change};
use crate::state::State;

/// Who is told, and of what.
pub(super) struct Way {
    pid: u32,
    /// All where it is not known what was told before.
    sections: Option<BTreeSet<String>>,
}

impl<B: Balancer> Host<'_, B> {
    /// How HAProxy, which runs `before`, can be brought to what is wanted without a reload. It is
    /// decided before the files change.
    pub(super) fn way_at_runtime(
        &self,
        before: &FileSet,
        wish: &Wish<'_>,
        memory: &mut State,
    ) -> Option<Way> {
        let wanted = wish.files;
        if !self.balancer.is_told_of_servers()
            || memory.pending.is_some()
            || before.maps != wanted.maps
            || !is_applied(before, memory)
        {
            return None;
        }
        let Change::Servers(changes) = diff::compare(Some(&before.cfg), &wanted.cfg) else {
            return None;
        };
        let Some(structure) = mark_of(&wanted.cfg) else {
            debug!("a reload is needed: the file does not carry the hash of its structure");
            return None;
        };
        let sections = match self.observe(memory, wish.now) {
            Standing::AsBefore => {
                let titles = changes.iter().map(|change| change.section.as_str());
                let names = titles.filter_map(|title| title.split_ascii_whitespace().nth(1));
                Some(names.map(str::to_owned).collect())
            }
            Standing::Other { .. } | Standing::CameUp { .. } => None,
            Standing::HasEnded | Standing::ToStart => return None,
        };
        let applied = memory.applied.as_ref().filter(|applied| {
            !applied.unproved
                && applied.down.is_none()
                && applied.structure_hash.as_ref() == Some(&structure)
        });
        let pid = applied?.haproxy_pid?;
        Some(Way { pid, sections })
    }

    /// Tells HAProxy of the servers in the installed files; `None` where it has to read them anew.
    pub(super) async fn at_runtime(
        &self,
        wish: &Wish<'_>,
        before: &FileSet,
        way: Way,
        memory: &mut State,
    ) -> Result<Option<Outcome>> {
        let text = Text {
            cfg: &wish.files.cfg,
            before: Some(&before.cfg),
            sections: way.sections.as_ref(),
        };
        let told = match self.balancer.tell(way.pid, text, self.at).await {
            Ok(told) => told,
            Err(why) => {
                info!("a reload is needed, since servers cannot be changed at runtime: {why}");
                return Ok(None);
            }
        };
        if !told.tombstones.is_empty() {
            let names: Vec<String> = told.tombstones.iter().map(ToString::to_string).collect();
            debug!(
                "taken away once their connections end: {}",
                names.join(", ")
            );
        }
        self.is_still_installed(wish.files)?;
        let how = told.to_string();
        wish.told(memory, how.clone(), way.pid);
        if let Some(ran) = mark::Ran::of(memory) {
            mark::set(self.disk, self.at, &wish.marks, ran);
        }
        self.keep(wish.files, &wish.marks, wish.now);
        Ok(Some(Outcome::Applied {
            how,
            installed: true,
            reloaded: false,
            again: false,
        }))
    }
}
