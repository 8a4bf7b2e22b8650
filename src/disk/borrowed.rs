//! A disk is a disk through whatever points to it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, Facts, Result, Stamp};

macro_rules! pass_on {
    ($pointer:ty) => {
        impl<D: Disk + ?Sized> Disk for $pointer {
            fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
                (**self).read(path)
            }

            fn look(&self, path: &Path) -> Result<Option<Facts>> {
                (**self).look(path)
            }

            fn stamp(&self, path: &Path) -> Result<Option<Stamp>> {
                (**self).stamp(path)
            }

            fn target(&self, path: &Path) -> Result<PathBuf> {
                (**self).target(path)
            }

            fn list(&self, folder: &Path) -> Result<Vec<OsString>> {
                (**self).list(folder)
            }

            fn make_folder(&self, path: &Path, mode: u32) -> Result<()> {
                (**self).make_folder(path, mode)
            }

            fn create(&self, path: &Path, mode: u32) -> Result<()> {
                (**self).create(path, mode)
            }

            fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
                (**self).write(path, content)
            }

            fn set_mode(&self, path: &Path, mode: u32) -> Result<()> {
                (**self).set_mode(path, mode)
            }

            fn set_owner(&self, path: &Path, uid: Option<u32>, gid: u32) -> Result<()> {
                (**self).set_owner(path, uid, gid)
            }

            fn sync_file(&self, path: &Path) -> Result<()> {
                (**self).sync_file(path)
            }

            fn sync_folder(&self, path: &Path) -> Result<()> {
                (**self).sync_folder(path)
            }

            fn rename(&self, from: &Path, to: &Path) -> Result<()> {
                (**self).rename(from, to)
            }

            fn remove(&self, path: &Path) -> Result<()> {
                (**self).remove(path)
            }
        }
    };
}

pass_on!(&D);
pass_on!(Box<D>);
pass_on!(Arc<D>);
