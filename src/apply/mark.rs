//! The mark of the set that HAProxy was last brought to, beside the state.
//!
//! On a full disk the state stays that of an older file, and turn after turn would bring HAProxy
//! once more to what it runs. To write over a small file takes no room: so this one is known all
//! the same. It is taken back before anything is installed, so that it never tells of too much.

use std::path::PathBuf;

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

/// Takes the room for a note before it is needed, since a full disk has none later.
pub fn reserve_mark(disk: &dyn Disk, at: &Installation) {
    let Some(path) = place(at) else { return };
    if let Err(error) = disk::reserve(disk, &path, BLANK.as_bytes(), MODE) {
        debug!("{error}; what HAProxy runs is known by the state alone");
    }
}

/// Notes that HAProxy was brought to this set.
pub(super) fn set(disk: &dyn Disk, at: &Installation, marks: &Marks, ran: Ran) {
    let Some(path) = place(at) else { return };
    if let Err(error) = disk::write_over(disk, &path, of(marks, ran).as_bytes(), MODE) {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::apply::FileSet;
    use crate::disk::{Fault, FaultyDisk, MemoryDisk};

    #[test]
    fn a_reserved_mark_is_overwritten_and_a_mark_that_is_there_stays() {
        let at = Installation::new(Path::new("/etc/haproxy.cfg"), Some(Path::new("/state")));
        let disk = MemoryDisk::new();
        disk.put_folder(Path::new("/state"));
        let path = Path::new("/state/ran");
        // As a full disk leaves it.
        disk.put(path, b"");
        for _ in 0..2 {
            reserve_mark(&disk, &at);
            assert_eq!(disk.text(path).unwrap(), BLANK);
        }
        let marks = Marks::of(&FileSet::default());
        let ran = Ran {
            started_by_us: true,
        };
        let counting = FaultyDisk::new(&disk, Fault::None);
        set(&counting, &at, &marks, ran);
        assert_eq!(counting.steps(), 1, "it is written over and no more");
        assert_eq!(disk.text(path).unwrap().len(), BLANK.len());
        reserve_mark(&disk, &at);
        assert_eq!(get(&disk, &at, &marks), Some(ran));
    }
}
