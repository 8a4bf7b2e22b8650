//! What may be served while nobody can say what the cluster asks for.
//!
//! The files that HAProxy was brought to count as they are installed. Where one of them is gone or is
//! not what it was, their copies take the place of all; where HAProxy has ended and is ours to start, it is
//! started with them. Whatever else lies there is left to a turn that knows more.

use std::collections::BTreeSet;

use anyhow::Result;
use tracing::warn;

use super::proved::{has_run_but_for_servers, installed, is_run};
use super::{Balancer, FileSet, GoodSet, Host, Standing, good_sets};
use crate::diff::{self, Change};
use crate::disk::{Digest, folder_of};
use crate::state::{State, Time};

/// What stands by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standby {
    /// The installed files are the good ones, and there is nothing to do.
    InService,
    /// These are the good files, and HAProxy is to be brought to them.
    Ready {
        /// All of them.
        files: FileSet,
        /// When HAProxy ran them, where they are copies of what is not there any more; else they are
        /// installed, and HAProxy has ended, or servers alone are new in them.
        copied_at: Option<Time>,
    },
    /// There were good files, and neither they nor their copies are there.
    Lost,
    /// Nothing is known of what was served.
    Unknown {
        /// Somebody else's `haproxy.cfg` lies there.
        is_installed: bool,
    },
}

impl<B: Balancer> Host<'_, B> {
    /// What may be served in the place of what the cluster asks for. An installation that was broken
    /// off is brought to its end first.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn standby(&self, memory: &State) -> Result<Standby> {
        self.recover()?;
        let sets = good_sets(self.disk, self.at).unwrap_or_default();
        if memory.applied.is_none() && memory.pending.is_none() && sets.is_empty() {
            let is_installed = self.installed_cfg()?.is_some();
            return Ok(Standby::Unknown { is_installed });
        }
        if let Some(files) = self.good_as_installed(&sets, memory)? {
            return Ok(if self.is_to_be_started(memory) {
                Standby::Ready {
                    files,
                    copied_at: None,
                }
            } else {
                Standby::InService
            });
        }
        let is_right = |set: &&GoodSet| {
            let applied = memory.applied.as_ref();
            applied.is_none_or(|applied| set.is_that(applied))
        };
        for set in sets.iter().filter(is_right) {
            match set.load(self.disk, self.at) {
                Ok(files) => {
                    return Ok(match self.with_other_servers(&files)? {
                        Some(files) => Standby::Ready {
                            files,
                            copied_at: None,
                        },
                        None => Standby::Ready {
                            files,
                            copied_at: Some(set.proved_at()),
                        },
                    });
                }
                Err(error) => {
                    let of = set.proved_at();
                    warn!("the good files of {of} are passed over: {error}");
                }
            }
        }
        Ok(Standby::Lost)
    }

    /// The installed files, where they are those that HAProxy was brought to, or was about to be.
    fn good_as_installed(&self, sets: &[GoodSet], memory: &State) -> Result<Option<FileSet>> {
        let Some(cfg) = self.installed_cfg()? else {
            return Ok(None);
        };
        let hash = Digest::of(cfg.as_bytes());
        if let Some(applied) = &memory.applied {
            let maps = applied.map_hashes.keys().map(String::as_str);
            let present = installed(self.disk, self.at, maps)?;
            // What it was told of since then, and perhaps not checked, is what is served.
            let is_good = |files: &FileSet| {
                is_run(files, memory)
                    || (self.balancer.is_told_of_servers()
                        && has_run_but_for_servers(files, memory))
            };
            if let Some(files) = present.filter(is_good) {
                return Ok(Some(files));
            }
            // A kill came between the installation and the reload.
            let pending = memory.pending.as_ref();
            let is_new = pending.is_some_and(|p| p.attempts == 0 && p.cfg_hash == hash);
            if !is_new || applied.cfg_hash == hash {
                return Ok(None);
            }
        }
        let maps = self.maps_beside(&cfg)?;
        let files = installed(self.disk, self.at, maps.iter().map(String::as_str))?;
        let is_whole = |files: &FileSet| {
            let mut of_same_file = sets.iter().filter(|set| set.has_cfg(hash)).peekable();
            of_same_file.peek().is_none() || of_same_file.any(|set| set.is(files))
        };
        Ok(files.filter(is_whole))
    }

    /// The installed files, where they are `good` but for servers and yet to be checked: those come before
    /// the check where nobody has HAProxy read them.
    fn with_other_servers(&self, good: &FileSet) -> Result<Option<FileSet>> {
        if self.balancer.is_asked() {
            return Ok(None);
        }
        let maps = good.maps.keys().map(String::as_str);
        let present = installed(self.disk, self.at, maps)?;
        Ok(present.filter(|present| {
            let change = diff::compare(Some(&good.cfg), &present.cfg);
            present.maps == good.maps && matches!(change, Change::Servers(_))
        }))
    }

    /// Names of the maps that `cfg` names and that are there.
    fn maps_beside(&self, cfg: &str) -> Result<BTreeSet<String>> {
        let folder = folder_of(&self.at.cfg);
        let names = self.disk.list(folder)?.into_iter();
        let names = names.filter_map(|name| name.into_string().ok());
        let is_named = |name: &String| {
            let path = folder.join(name);
            path.extension().is_some_and(|end| end == "map")
                && cfg.contains(&*path.to_string_lossy())
        };
        Ok(names.filter(is_named).collect())
    }

    fn is_to_be_started(&self, memory: &State) -> bool {
        match &memory.applied {
            Some(_) => self.standing(memory) == Standing::ToStart,
            None => self.balancer.starts(false) && self.balancer.running(self.at).is_none(),
        }
    }
}
