//! Whether the person at the keyboard may use what is remembered, said before anything is tried: the
//! folder is for the user alone that `refresh` runs as, as a rule root.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::unistd::{AccessFlags, Uid, access};

use crate::disk::user_name;
use crate::state::Folder;

/// # Errors
/// When there is a state that we may not read.
pub(super) fn may_read(folder: &Folder) -> Result<()> {
    may(folder.path(), AccessFlags::R_OK | AccessFlags::X_OK, "read")
}

/// # Errors
/// When the state may not be written, or a folder for it not be made.
pub(super) fn may_write(folder: &Folder) -> Result<()> {
    let flags = AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK;
    // Where it is missing, what it would be made in counts.
    let there = folder.path().ancestors().find(|path| {
        let is_missing = access(*path, AccessFlags::F_OK) == Err(Errno::ENOENT);
        !is_missing && !path.as_os_str().is_empty()
    });
    may(there.unwrap_or(folder.path()), flags, "write")
}

fn may(folder: &Path, flags: AccessFlags, what: &str) -> Result<()> {
    if access(folder, flags) != Err(Errno::EACCES) {
        return Ok(());
    }
    // The outermost folder that keeps us out: what lies in it cannot even be looked at.
    let mut ancestors: Vec<&Path> = folder.ancestors().skip(1).collect();
    ancestors.retain(|path| !path.as_os_str().is_empty());
    let closed = ancestors.into_iter().rev();
    let mut closed = closed.filter(|path| access(*path, AccessFlags::X_OK) == Err(Errno::EACCES));
    let closed = closed.next().unwrap_or(folder);
    let (owner, mode) = fs::metadata(closed).map_or_else(
        |_| ("another user".to_owned(), String::new()),
        |facts| {
            let mode = format!(" (mode {:04o})", facts.mode() & 0o7777);
            (user_name(facts.uid()), mode)
        },
    );
    bail!(
        "`{}`, which holds what is remembered, belongs to {owner}{mode}, and {} may not {what} it; \
         call this as {owner}, with sudo for instance, or name another --state-dir",
        closed.display(),
        user_name(Uid::effective().as_raw()),
    )
}
