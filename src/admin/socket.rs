//! The file of a Unix socket: who may connect, and whose it is.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::unistd::Group;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use crate::disk::folder_of;

/// Whose members may connect besides root and ourselves: HAProxy's packages make it, and HAProxy
/// runs in it.
const GROUP: &str = "haproxy";

/// For somebody who may listen there already.
const PATIENCE: Duration = Duration::from_secs(2);

/// A socket of ours; its file is removed with it, unless it is somebody else's by now.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
    /// Who may connect, for people.
    pub(super) open_to: String,
}

impl Socket {
    /// Listens at `path`, in the place of a socket that nobody answers. It appears there with the
    /// right mode and owner, and never without.
    ///
    /// # Errors
    /// When somebody else listens there, something lies there that is no socket, or the folder
    /// takes none.
    pub(super) async fn bind(path: &Path) -> Result<(UnixListener, Self)> {
        is_free(path).await?;
        let folder = folder_of(path);
        if let Err(error) = fs::metadata(folder) {
            bail!("the folder `{}`: {}", folder.display(), error.kind());
        }
        // Nobody but us enters this one, so that the file can be finished in it.
        let workshop = tempfile::Builder::new()
            .prefix(".hmb")
            .tempdir_in(folder)
            .map_err(|error| error.kind())
            .map_err(|kind| anyhow::anyhow!("the folder `{}`: {kind}", folder.display()))?;
        let draft = workshop.path().join("s");
        let listener = UnixListener::bind(&draft).context("a socket cannot be made")?;
        let (mode, open_to) = if give_to_group(&draft) {
            (0o660, format!("mode 0660, group {GROUP}"))
        } else {
            (0o600, "mode 0600".to_owned())
        };
        let finish = || {
            fs::set_permissions(&draft, Permissions::from_mode(mode))?;
            let facts = fs::symlink_metadata(&draft)?;
            fs::rename(&draft, path)?;
            Ok((facts.dev(), facts.ino()))
        };
        let file = finish().map_err(|error: std::io::Error| {
            anyhow::anyhow!("the socket cannot be put there: {}", error.kind())
        })?;
        let path = path.to_owned();
        Ok((
            listener,
            Self {
                path,
                file,
                open_to,
            },
        ))
    }

    /// Whether its file still lies where whoever connects looks for it.
    pub(super) fn is_there(&self) -> bool {
        let facts = fs::symlink_metadata(&self.path);
        facts.is_ok_and(|facts| (facts.dev(), facts.ino()) == self.file)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.is_there() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A member of the group may do so, and root.
fn give_to_group(path: &Path) -> bool {
    let group = Group::from_name(GROUP).ok().flatten();
    group.is_some_and(|group| chown(path, None, Some(group.gid.as_raw())).is_ok())
}

async fn is_free(path: &Path) -> Result<()> {
    let Ok(facts) = fs::symlink_metadata(path) else {
        // Whatever else is wrong is told of the folder.
        return Ok(());
    };
    if !facts.file_type().is_socket() {
        bail!("found something there that is no socket, expected one or nothing; it stays");
    }
    match timeout(PATIENCE, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => Ok(()),
        Ok(Ok(stream)) => {
            let peer = stream.peer_cred().ok().and_then(|peer| peer.pid());
            let peer = peer.map_or_else(String::new, |pid| format!(" (pid {pid})"));
            bail!("another process{peer} listens there already, expected nobody; its socket stays")
        }
        Ok(Err(error)) => bail!(
            "it cannot be told whether somebody listens there: {}; that socket stays",
            error.kind()
        ),
        Err(_) => bail!("somebody listens there who takes nobody in; that socket stays"),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    async fn refused(path: &Path) -> String {
        format!("{:#}", Socket::bind(path).await.unwrap_err())
    }

    #[tokio::test]
    async fn a_socket_that_nobody_answers_is_replaced_and_a_living_one_is_not() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let (_listener, socket) = Socket::bind(&path).await.unwrap();
        assert!(socket.is_there());
        let us = format!("(pid {})", std::process::id());
        let told = refused(&path).await;
        assert!(told.contains(&us) && told.contains("stays"), "{told}");
        assert!(socket.is_there());
        drop(socket);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn strangers_may_not_connect() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.sock");
        let (_listener, _socket) = Socket::bind(&path).await.unwrap();
        let facts = fs::metadata(&path).unwrap();
        assert_eq!(facts.mode() & 0o007, 0);
        let group = Group::from_name(GROUP).ok().flatten();
        let is_theirs = group.is_some_and(|group| group.gid.as_raw() == facts.gid());
        assert_eq!(facts.mode() & 0o060 != 0, is_theirs);
    }

    #[tokio::test]
    async fn what_is_no_socket_stays() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.sock");
        fs::write(&path, "precious").unwrap();
        assert!(refused(&path).await.contains("no socket"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let missing = folder.path().join("missing/a.sock");
        let told = refused(&missing).await;
        assert!(told.contains("missing`: entity not found"), "{told}");
    }

    #[tokio::test]
    async fn a_file_that_somebody_else_put_there_is_not_removed() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.sock");
        let (_listener, socket) = Socket::bind(&path).await.unwrap();
        fs::remove_file(&path).unwrap();
        let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(!socket.is_there());
        drop(socket);
        assert!(path.exists());
    }
}
