//! The certificates that the running HAProxy has read, beside what lies there now.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::super::certificates::{Renewed, items};
use super::super::super::footprint::{Contents, Footprint};
use crate::haproxy::certificates::{Certificate, certificates};

/// Those that the installed file names.
#[derive(Default)]
pub(in super::super) struct Certificates {
    named: BTreeSet<Certificate>,
    files: Footprint,
    now: Contents,
    /// As HAProxy read them.
    read: Contents,
    /// What HAProxy does not take, so that it is not asked again.
    refused: Option<Contents>,
}

impl Certificates {
    /// Those that `cfg` names, from now on; gives whether they are others than before. HAProxy read new
    /// ones just now, but not before `since`: what was changed after that may have come too late.
    pub(super) fn become_of(&mut self, cfg: &str, since: SystemTime) -> bool {
        let named = certificates(cfg);
        if named == self.named {
            return false;
        }
        self.named = named;
        let before = std::mem::take(&mut self.files);
        self.look();
        let read = self.now.clone().unchanged_since(since);
        self.read = read.but_of(&before, &self.read);
        true
    }

    /// HAProxy was found with certificates of which those are another one by now.
    pub(super) fn were_renewed(&mut self, renewed: &Renewed) {
        self.read = self.now.clone().unchanged_since(renewed.since);
        if self.are_read() {
            // One of them is gone, of which no time tells.
            self.read = Contents::default();
        }
    }

    /// What HAProxy has read, where that is what lies there.
    pub(in super::super) fn as_read(&self) -> Option<(&Footprint, &Contents)> {
        let is_any = !self.named.is_empty() && self.are_read();
        is_any.then_some((&self.files, &self.read))
    }

    /// Whether they hold something else than at the last look.
    pub(super) fn look(&mut self) -> bool {
        self.files = Footprint::of(&items(&self.named));
        let now = Contents::of(&self.files, &self.now);
        let before = std::mem::replace(&mut self.now, now);
        !self.now.changed(&before).is_empty()
    }

    /// Those that HAProxy has read and that hold something else now, unless it was asked of just
    /// that and refused.
    pub(in super::super) fn changed(&self) -> Vec<PathBuf> {
        if self
            .refused
            .as_ref()
            .is_some_and(|refused| self.now.changed(refused).is_empty())
        {
            return Vec::new();
        }
        let changed = self.now.changed(&self.read);
        changed.into_iter().map(Path::to_owned).collect()
    }

    /// HAProxy has read what lies there.
    pub(in super::super) fn were_read(&mut self) {
        self.read = self.now.clone();
        self.refused = None;
    }

    /// HAProxy does not take what lies there.
    pub(in super::super) fn were_refused(&mut self) {
        self.refused = Some(self.now.clone());
    }

    /// Whether what lies there is what HAProxy has read.
    pub(in super::super) fn are_read(&self) -> bool {
        self.now.changed(&self.read).is_empty()
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.files()
    }
}
