//! The last turn, where the state could not be saved: a full disk has room for what is written over in
//! place. Without it `status` would go on to tell of the last turn that was saved.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Time, TurnOutcome};
use crate::disk::{self, Disk};

const MODE: u32 = 0o600;

/// A block of most file systems.
const ROOM: usize = 4096;

/// Of one sentence.
const MOST_BYTES: usize = 1000;

/// A turn that the state does not know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsaved {
    /// When it began.
    pub at: Time,
    /// How it ended.
    pub outcome: TurnOutcome,
    /// The same in a sentence, where there is more to say.
    pub detail: Option<String>,
    /// Why it could not be saved.
    pub why: String,
}

impl Unsaved {
    /// As long as the room that is taken for it.
    fn text(&self) -> String {
        let short = Self {
            detail: self.detail.as_deref().map(shortened),
            why: shortened(&self.why),
            ..self.clone()
        };
        let mut text = serde_json::to_string(&short).expect("text and numbers");
        // A text that takes more, since much of it had to be escaped, takes more room.
        text.push_str(&" ".repeat(ROOM.saturating_sub(text.len())));
        text
    }
}

fn shortened(sentence: &str) -> String {
    let mut end = sentence.len().min(MOST_BYTES);
    while !sentence.is_char_boundary(end) {
        end -= 1;
    }
    sentence[..end].to_owned()
}

fn place(folder: &Path) -> PathBuf {
    folder.join("unsaved")
}

/// Takes the room before it is needed. Without it, status does as well as it can.
pub(super) fn reserve(disk: &dyn Disk, folder: &Path) {
    let _ = disk::reserve(disk, &place(folder), " ".repeat(ROOM).as_bytes(), MODE);
}

/// Notes it, or takes back what was noted.
pub(super) fn note(disk: &dyn Disk, folder: &Path, unsaved: Option<&Unsaved>) {
    let text = unsaved.map_or_else(|| " ".repeat(ROOM), Unsaved::text);
    let _ = disk::write_over(disk, &place(folder), text.as_bytes(), MODE);
}

pub(super) fn read(disk: &dyn Disk, folder: &Path) -> Option<Unsaved> {
    serde_json::from_slice(&disk.read(&place(folder)).ok()??).ok()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::disk::{Fault, FaultyDisk, MemoryDisk};

    #[test]
    fn it_is_written_over_what_was_reserved_and_read_back() {
        let (disk, folder) = (MemoryDisk::new(), Path::new("/state"));
        disk.put_folder(folder);
        reserve(&disk, folder);
        assert_eq!(read(&disk, folder), None);
        let unsaved = Unsaved {
            at: Time::at(SystemTime::UNIX_EPOCH),
            outcome: TurnOutcome::Failed,
            detail: Some("ä".repeat(MOST_BYTES)),
            why: "the disk is full".to_owned(),
        };
        let counting = FaultyDisk::new(&disk, Fault::None);
        note(&counting, folder, Some(&unsaved));
        assert_eq!(counting.steps(), 1, "it is written over and no more");
        assert_eq!(disk.text(&place(folder)).unwrap().len(), ROOM);
        let found = read(&disk, folder).unwrap();
        assert_eq!(found.why, unsaved.why);
        assert_eq!(found.detail.unwrap(), "ä".repeat(MOST_BYTES / 2));
        // What was noted is not lost to the next that takes the room.
        reserve(&disk, folder);
        assert!(read(&disk, folder).is_some());
        note(&disk, folder, None);
        assert_eq!(read(&disk, folder), None);
    }
}
