use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown,
};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::Uid;

use super::plain::{LARGEST_MADE, open, read_open, require_file};
use super::{Disk, DiskError, Facts, Result, Stamp, Step, folder_of};

/// As many as Linux follows before it says that links run in a circle.
const LINKS: usize = 40;

/// The disk of this host.
#[derive(Clone, Copy, Debug)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        absent_is_none(read_file(path)).map_err(|cause| DiskError::new(Step::Read, path, cause))
    }

    fn look(&self, path: &Path) -> Result<Option<Facts>> {
        let look = || -> io::Result<Option<Facts>> {
            let Some(metadata) = absent_is_none(fs::metadata(path))? else {
                return Ok(None);
            };
            Ok(Some(Facts {
                mode: metadata.mode() & 0o7777,
                uid: metadata.uid(),
                gid: metadata.gid(),
                modified: metadata.modified()?,
            }))
        };
        look().map_err(|cause| DiskError::new(Step::Look, path, cause))
    }

    fn stamp(&self, path: &Path) -> Result<Option<Stamp>> {
        let stamp = || -> io::Result<Option<Stamp>> {
            let Some(metadata) = absent_is_none(fs::metadata(path))? else {
                return Ok(None);
            };
            Ok(Some(Stamp {
                inode: metadata.ino(),
                length: metadata.len(),
                modified: metadata.modified()?,
            }))
        };
        stamp().map_err(|cause| DiskError::new(Step::Look, path, cause))
    }

    fn target(&self, path: &Path) -> Result<PathBuf> {
        let failed = |cause| DiskError::new(Step::Target, path, cause);
        let mut target = path.to_owned();
        for _ in 0..LINKS {
            match fs::read_link(&target) {
                // An absolute link replaces the folder it is joined to.
                Ok(link) => target = folder_of(&target).join(link),
                // EINVAL: there is something, and it is not a link.
                Err(error)
                    if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) =>
                {
                    return Ok(target);
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Err(failed(io::Error::other("links run in a circle")))
    }

    fn list(&self, folder: &Path) -> Result<Vec<OsString>> {
        let list = || -> io::Result<Vec<OsString>> {
            let Some(entries) = absent_is_none(fs::read_dir(folder))? else {
                return Ok(Vec::new());
            };
            let mut names = entries
                .map(|entry| Ok(entry?.file_name()))
                .collect::<io::Result<Vec<_>>>()?;
            names.sort();
            Ok(names)
        };
        list().map_err(|cause| DiskError::new(Step::List, folder, cause))
    }

    fn make_folder(&self, path: &Path, mode: u32) -> Result<()> {
        match fs::DirBuilder::new().mode(mode).create(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Ok(()) => {
                let mut options = OpenOptions::new();
                options.read(true);
                options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY).bits());
                if let Ok(made) = options.open(path) {
                    give_to_owner_of(folder_of(path), &made);
                }
                Ok(())
            }
            Err(cause) => Err(DiskError::new(Step::MakeFolder, path, cause)),
        }
    }

    fn create(&self, path: &Path, mode: u32) -> Result<()> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
            .map(|file| give_to_owner_of(folder_of(path), &file))
            .map_err(|cause| DiskError::new(Step::Create, path, cause))
    }

    fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        let open = || {
            let mut options = OpenOptions::new();
            options.write(true);
            // A pipe would have us wait for a reader, and a device is not there to be filled.
            options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
            let file = options.open(path)?;
            require_file(&file.metadata()?)?;
            Ok(file)
        };
        open()
            .and_then(|file| put(file, content))
            .map_err(|cause| DiskError::new(Step::Write, path, cause))
    }

    fn set_mode(&self, path: &Path, mode: u32) -> Result<()> {
        fs::set_permissions(path, Permissions::from_mode(mode))
            .map_err(|cause| DiskError::new(Step::SetMode, path, cause))
    }

    fn set_owner(&self, path: &Path, uid: Option<u32>, gid: u32) -> Result<()> {
        lchown(path, uid, Some(gid)).map_err(|cause| DiskError::new(Step::SetOwner, path, cause))
    }

    fn sync_file(&self, path: &Path) -> Result<()> {
        OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path)
            .and_then(|file| file.sync_all())
            .map_err(|cause| DiskError::new(Step::SyncFile, path, cause))
    }

    fn sync_folder(&self, path: &Path) -> Result<()> {
        match File::open(path).and_then(|folder| folder.sync_all()) {
            // Some network and FUSE file systems know no such thing; there is nothing to be had.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::InvalidInput | ErrorKind::Unsupported
                ) =>
            {
                Ok(())
            }
            synced => synced.map_err(|cause| DiskError::new(Step::SyncFolder, path, cause)),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|cause| DiskError::new(Step::Rename, to, cause))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        absent_is_none(fs::remove_file(path))
            .map(drop)
            .map_err(|cause| DiskError::new(Step::Remove, path, cause))
    }
}

/// What is read here is replaced some day: so it has to be a file, and no pipe, at which a reader
/// waits for ever, nor a device, nor larger than the memory.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    read_open(open(path)?, LARGEST_MADE)
}

/// What grows is written first, and what the file held too much is cut off last: on a full disk the
/// room that it has is ours, and where there is not enough, it holds what it did.
fn put(mut file: File, content: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    let held = usize::try_from(before).unwrap_or(usize::MAX);
    if let Some(grown) = content.get(held..).filter(|grown| !grown.is_empty()) {
        file.seek(SeekFrom::Start(before))?;
        if let Err(error) = file.write_all(grown) {
            file.set_len(before)?;
            return Err(error);
        }
        file.seek(SeekFrom::Start(0))?;
    }
    file.write_all(&content[..held.min(content.len())])?;
    let length = content.len() as u64;
    if before > length {
        file.set_len(length)?;
    }
    Ok(())
}

/// What root makes in the folder of a service user would lock him out, and belongs to him. Where
/// that cannot be had, the file is as good for us.
pub(crate) fn give_to_owner_of(folder: &Path, made: &File) {
    if Uid::effective().is_root()
        && let Ok(owner) = fs::metadata(folder)
        && owner.uid() != 0
    {
        let _ = fchown(made, Some(owner.uid()), Some(owner.gid()));
    }
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::sys::resource::{Resource, setrlimit};

    use super::*;

    #[test]
    fn a_link_leads_to_its_file_even_where_that_does_not_exist_yet() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        symlink("b", path("a")).unwrap();
        symlink(path("c"), path("b")).unwrap();
        assert_eq!(OsDisk.target(&path("a")).unwrap(), path("c"));
        symlink("round", path("round")).unwrap();
        let error = OsDisk.target(&path("round")).unwrap_err();
        assert!(error.to_string().contains("circle"), "{error}");
    }

    #[test]
    fn a_pipe_or_a_device_is_neither_read_nor_written() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [pipe.as_path(), Path::new("/dev/null")] {
            let error = OsDisk.read(path).unwrap_err();
            assert!(error.to_string().contains("no regular file"), "{error}");
            OsDisk.write(path, b"lost").unwrap_err();
            let reader = OpenOptions::new()
                .read(true)
                .custom_flags(OFlag::O_NONBLOCK.bits())
                .open(path);
            let error = OsDisk.write(path, b"lost").unwrap_err();
            assert!(error.to_string().contains("no regular file"), "{error}");
            drop(reader);
        }
    }

    #[test]
    fn what_no_memory_holds_is_told_by_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse");
        File::create(&path).unwrap().set_len(1 << 38).unwrap();
        let error = OsDisk.read(&path).unwrap_err().to_string();
        let found = "found 274877906944 bytes, expected at most 1073741824";
        assert!(error.ends_with(found), "{error}");
    }

    #[test]
    fn a_link_is_neither_created_over_nor_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "kept").unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(
            OsDisk.create(&link, 0o600).unwrap_err().step(),
            Step::Create
        );
        assert_eq!(
            OsDisk.write(&link, b"lost").unwrap_err().step(),
            Step::Write
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    }

    #[test]
    fn a_file_takes_longer_and_shorter_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        for content in ["abc", "abcdef", "xyz", "12345", "", "1"] {
            OsDisk.write(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_file_that_has_no_room_to_grow_holds_what_it_did() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        // A limit of one file's size stands for a full disk; its signal would kill the child.
        let script = "trap '' XFSZ; exec \"$0\" --exact disk::os::tests::grow_without_room";
        let held = "kept".repeat(128);
        fs::write(&path, &held).unwrap();
        let child = std::process::Command::new("sh")
            .args(["-c", script])
            .arg(std::env::current_exe().unwrap())
            .env("GROW", &path)
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), held);
    }

    /// The child of the test above; by itself it does nothing.
    #[test]
    fn grow_without_room() {
        if let Some(path) = std::env::var_os("GROW") {
            setrlimit(Resource::RLIMIT_FSIZE, 512, 512).unwrap();
            let error = OsDisk.write(Path::new(&path), &[b'x'; 600]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        }
    }

    #[test]
    fn what_root_makes_belongs_to_the_owner_of_the_folder() {
        if !Uid::effective().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(folder.path(), Some(33), Some(44)).unwrap();
        let (file, made) = (folder.path().join("file"), folder.path().join("made"));
        OsDisk.create(&file, 0o600).unwrap();
        OsDisk.make_folder(&made, 0o700).unwrap();
        for path in [file, made] {
            let facts = fs::metadata(path).unwrap();
            assert_eq!((facts.uid(), facts.gid()), (33, 44));
        }
    }
}
