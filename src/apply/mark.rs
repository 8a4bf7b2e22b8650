//! The mark of the set that HAProxy was last brought to, beside the state.
//!
//! On a full disk the state stays that of an older file, and turn after turn would bring HAProxy
//! once more to what it runs. To write over a small file takes no room: so this one is known all
//! the same. It is taken back before anything is installed, so that it never tells of too much.

use std::path::{Path, PathBuf};

use tracing::debug;

use super::Installation;
use super::last_good::Marks;
use crate::disk::{self, Digest, Disk};
use crate::state::State;

const MODE: u32 = 0o600;

/// As long as a mark, and none.
const BLANK: &str = "----------------------------------------------------------------    \n";

/// What is known of a set that HAProxy was brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ran {
    /// As in [`Applied`](crate::state::Applied).
    pub(super) started_by_us: bool,
}

impl Ran {
    /// Of what was just proved; `None` where no process runs it, as far as is known.
    pub(super) fn of(memory: &State) -> Option<Self> {
        let applied = memory
            .applied
            .as_ref()
            .filter(|applied| !applied.unproved)?;
        Some(Self {
            started_by_us: applied.started_by_us,
        })
    }
}

fn place(at: &Installation) -> Option<PathBuf> {
    at.state.as_ref().map(|folder| folder.join("ran"))
}

fn of(marks: &Marks, ran: Ran) -> String {
    let by = if ran.started_by_us { "us " } else { "any" };
    format!("{} {by}\n", Digest::of_value(&(&marks.cfg, &marks.maps)))
}

/// Notes that HAProxy was brought to this set.
pub(super) fn set(disk: &dyn Disk, at: &Installation, marks: &Marks, ran: Ran) {
    let Some(path) = place(at) else { return };
    if let Err(error) = write(disk, &path, &of(marks, ran)) {
        debug!("{error}; if the state cannot be saved either, the next turn reloads once more");
    }
}

/// Takes the note back, since another set is about to be installed.
pub(super) fn clear(disk: &dyn Disk, at: &Installation) {
    let Some(path) = place(at) else { return };
    if let Ok(Some(_)) = disk.look(&path)
        && disk.write(&path, BLANK.as_bytes()).is_err()
        && let Err(error) = disk.remove(&path)
    {
        debug!("{error}; what HAProxy runs is known by the state alone");
    }
}

/// Whether HAProxy was brought to just this set, whatever else is remembered.
pub(super) fn get(disk: &dyn Disk, at: &Installation, marks: &Marks) -> Option<Ran> {
    let noted = disk.read(&place(at)?).ok()??;
    let both = [true, false].map(|started_by_us| Ran { started_by_us });
    both.into_iter()
        .find(|ran| noted == of(marks, *ran).as_bytes())
}

fn write(disk: &dyn Disk, path: &Path, text: &str) -> disk::Result<()> {
    if disk.look(path)?.is_none() {
        disk.create(path, MODE)?;
    }
    disk.write(path, text.as_bytes())
}
