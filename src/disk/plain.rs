//! Files that others put there, and which may be anything: a pipe, at which a reader waits for ever, a
//! device without an end, more than the memory holds.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::makedev;

/// Bytes: more than anybody writes by hand.
pub(crate) const LARGEST: u64 = 16 * 1024 * 1024;

/// Bytes: more than any program makes of a cluster, and what a host can still hold.
pub(crate) const LARGEST_MADE: u64 = 1024 * 1024 * 1024;

/// The whole content of a regular file of at most `most` bytes. `/dev/null` is as good as an empty one,
/// since people name it where they want none.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    if is_null(&fs::metadata(path)?) {
        return Ok(Vec::new());
    }
    read_open(open(path)?, most)
}

/// The same of a file that is open.
pub(super) fn read_open((file, facts): (File, Metadata), most: u64) -> io::Result<Vec<u8>> {
    let too_large = |found: u64| {
        let sentence = format!("found {found} bytes, expected at most {most}");
        Err(io::Error::new(ErrorKind::FileTooLarge, sentence))
    };
    if most < facts.len() {
        return too_large(facts.len());
    }
    let content = head(file, most.saturating_add(1), facts.len())?;
    // It may have grown, or lie where lengths are not known.
    if most < content.len() as u64 {
        return too_large(content.len() as u64);
    }
    Ok(content)
}

/// The same of a text.
pub(crate) fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is no text in UTF-8"))
}

/// So many bytes of a regular file, from its beginning.
pub(crate) fn read_head(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (file, facts) = open(path)?;
    head(file, most, facts.len().min(most))
}

fn head(file: File, most: u64, expected: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    content.try_reserve(usize::try_from(expected).unwrap_or(usize::MAX))?;
    file.take(most).read_to_end(&mut content)?;
    Ok(content)
}

/// Opens a regular file, and waits for nobody.
pub(super) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    // Before it is opened, since that alone is something that devices act on.
    require_file(&fs::metadata(path)?)?;
    let mut options = File::options();
    let options = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let file = options.open(path)?;
    // Another one may lie there by now.
    let facts = file.metadata()?;
    require_file(&facts)?;
    Ok((file, facts))
}

pub(super) fn require_file(facts: &Metadata) -> io::Result<()> {
    if facts.is_dir() {
        return Err(Errno::EISDIR.into());
    }
    if !facts.is_file() {
        let kind = kind(facts).unwrap_or("something else");
        return Err(io::Error::other(format!("it is {kind}, no regular file")));
    }
    Ok(())
}

/// What a file without an end of its own is.
pub(crate) fn kind(facts: &Metadata) -> Option<&'static str> {
    let kind = facts.file_type();
    if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_char_device() || kind.is_block_device() {
        Some("a device")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        None
    }
}

pub(crate) fn is_null(facts: &Metadata) -> bool {
    facts.file_type().is_char_device() && facts.rdev() == makedev(1, 3)
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn what_has_no_end_is_named_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        for (path, kind) in [
            (pipe.as_path(), "a pipe"),
            (Path::new("/dev/zero"), "a device"),
        ] {
            for error in [
                read(path, LARGEST).unwrap_err(),
                read_text(path, LARGEST).unwrap_err(),
                read_head(path, LARGEST).unwrap_err(),
            ] {
                assert_eq!(error.to_string(), format!("it is {kind}, no regular file"));
            }
        }
        assert_eq!(
            read(folder.path(), LARGEST).unwrap_err().kind(),
            ErrorKind::IsADirectory
        );
        assert_eq!(read_text(Path::new("/dev/null"), LARGEST).unwrap(), "");
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        // It has holes, and takes no room.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error = read(&path, LARGEST).unwrap_err().to_string();
        assert_eq!(
            error,
            "found 1099511627776 bytes, expected at most 16777216"
        );
        fs::write(&path, "1234").unwrap();
        assert_eq!(read_text(&path, 4).unwrap(), "1234");
        assert_eq!(read(&path, 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(read_head(&path, 3).unwrap(), b"123");
        fs::write(&path, [0xff]).unwrap();
        let error = read_text(&path, 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
