//! What HAProxy would read by the lines of a list of certificates.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::super::certificates::{listed, places};
use super::{Bound, Kind, LARGEST_LIST, MOST_LISTED, NamedFile, fault_in, named};
use crate::disk::read_head;

/// What keeps HAProxy from reading to its end what a list names. A label may name any file as a list, so
/// that nothing of its lines is told.
pub(super) fn in_list(list: &Path, bases: &[PathBuf], bound: Bound) -> Option<String> {
    let text = read_head(list, LARGEST_LIST + 1).ok()?;
    if bound == Bound::Size && LARGEST_LIST < text.len() as u64 {
        return Some(format!("a list of more than {LARGEST_LIST} bytes"));
    }
    let text = String::from_utf8_lossy(&text);
    if bound == Bound::Size && MOST_LISTED < text.lines().count() {
        return Some(format!("a list of more than {MOST_LISTED} lines"));
    }
    let mut known = BTreeSet::new();
    let mut lines = text.lines().take(MOST_LISTED).zip(1..);
    lines.find_map(|(line, number)| {
        let found = by_line(line, (bases, bound), &mut known)?;
        Some(format!("a list whose line {number} {found}"))
    })
}

fn by_line(
    line: &str,
    (bases, bound): (&[PathBuf], Bound),
    known: &mut BTreeSet<NamedFile>,
) -> Option<&'static str> {
    let before = line.split('#').next().unwrap_or_default().split_once('[');
    if before.is_some_and(|(before, _)| before.split_whitespace().nth(1).is_some()) {
        return Some("has a `[` behind its second word, of which HAProxy may read without end");
    }
    let certificates = listed(line, Path::new("")).map(|path| NamedFile {
        path: path.display().to_string(),
        kind: Kind::Certificate,
    });
    let certificates: Vec<NamedFile> = certificates.collect();
    let is_folder = |file: &NamedFile| places(&file.path, bases).any(|place| place.is_dir());
    if certificates.iter().any(is_folder) {
        return Some("names a folder, of which HAProxy would read without end");
    }
    let options = line.replace(['[', ']'], " ");
    let mut files = certificates.into_iter().chain(named(&options));
    let is_unfit = files.any(|file| {
        let is_new = file.kind != Kind::List && known.insert(file.clone());
        is_new && fault_in(&file, bases, bound).is_some()
    });
    is_unfit.then_some(match bound {
        Bound::End => "names what is no file of a disk",
        Bound::Size => "names what is no file of a disk, or is too large",
    })
}
