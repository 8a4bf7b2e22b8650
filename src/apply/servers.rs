//! A file in which nothing but servers is new: it is put in place first and proved after.
//!
//! Of such a file HAProxy has accepted every line but those that we wrote of numbers, so that it is
//! no danger to whoever starts HAProxy meanwhile. Nobody has HAProxy read it before the whole was
//! checked.

use anyhow::{Context as _, Result};
use tracing::warn;

use super::last_good::Marks;
use super::proved::installed;
use super::{Balancer, FileSet, Host, files, mark};
use crate::disk::Stamp;
use crate::state::{State, Time};

impl<B: Balancer> Host<'_, B> {
    /// Stands for the installed `haproxy.cfg`, where it and its maps are `files`, and their contents
    /// would be replaced by a single rename.
    ///
    /// # Errors
    /// When an installed file cannot be read.
    pub fn stamp_of(&self, files: &FileSet) -> Result<Option<Stamp>> {
        if self.at.in_place {
            return Ok(None);
        }
        // Looked at first: what is written to it later has another stamp.
        let stamp = self.stamp()?;
        let maps = files.maps.keys().map(String::as_str);
        let there = installed(self.disk, self.at, maps)?;
        Ok(stamp.filter(|_| there.as_ref() == Some(files)))
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        let stamp = self.disk.stamp(&self.at.cfg);
        stamp.context("the installed file cannot be looked at")
    }

    /// Whether the installed file is the one that `stamp` stands for.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn is_still(&self, stamp: Stamp) -> Result<bool> {
        Ok(self.stamp()? == Some(stamp))
    }

    /// Puts `cfg` in the place of the file that `stamp` stands for; `None` where that is not there
    /// any more.
    ///
    /// # Errors
    /// When the disk fails; the file is then the one that it was.
    pub fn put_servers(&self, cfg: &str, stamp: Stamp) -> Result<Option<Stamp>> {
        if !self.is_still(stamp)? {
            return Ok(None);
        }
        let warnings = files::replace(self.disk, self.at, cfg.as_bytes())
            .context("the new files cannot be installed")?;
        for warning in warnings {
            warn!("{warning}");
        }
        self.stamp()
    }

    /// `haproxy -c` has accepted the installed `files`, of which HAProxy needs not be told, or was told
    /// already: from now on they are those that are good.
    pub fn proved_servers(&self, files: &FileSet, memory: &mut State, now: Time) {
        let marks = Marks::of(files);
        memory.told = None;
        if let Some(applied) = &mut memory.applied {
            applied.cfg_hash = marks.cfg;
            applied.map_hashes.clone_from(&marks.maps);
            applied.at = now;
        }
        if let Some(ran) = mark::Ran::of(memory) {
            mark::set(self.disk, self.at, &marks, ran);
        }
        self.keep(files, &marks, now);
    }
}
