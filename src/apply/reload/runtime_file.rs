//! `runtime.cfg`: a second file of ours that gives HAProxy a stats socket where the installed file
//! has none, so that a new process can take over the listening sockets.
//!
//! In come the text of the installed file and the state folder; out goes the file to write there
//! and to start HAProxy with, after the installed one. The installed file keeps its bytes.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::haproxy::Version;
use crate::haproxy::global::Global;
use crate::haproxy::socket::LONGEST_PATH;

/// The file to write, and the socket that it gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeFile {
    /// Where it belongs, for `-f`.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Where HAProxy will listen.
    pub socket: PathBuf,
}

/// The state folder's path leaves no room for a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketPathTooLong {
    /// What was tried.
    pub socket: PathBuf,
}

impl fmt::Display for SocketPathTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the path of the socket `{}` has {} bytes, expected at most {LONGEST_PATH}; \
             give a shorter --state-dir",
            self.socket.display(),
            self.socket.as_os_str().len()
        )
    }
}

impl std::error::Error for SocketPathTooLong {}

/// The runtime file for the installed text `config`. `None` where there is no need: the text has a
/// stats socket that exposes listeners, or `version` cannot hand any over.
///
/// `description` is written unless the text has one of its own.
///
/// # Errors
///
/// When the socket's path would be too long for a socket. A takeover without it works too, but may
/// refuse connections for a moment.
pub fn runtime_file(
    config: &str,
    state_folder: &Path,
    version: Version,
    description: Option<&str>,
) -> Result<Option<RuntimeFile>, SocketPathTooLong> {
    let global = Global::read(config);
    if !version.has_expose_fd() || global.exposing_socket().is_some() {
        return Ok(None);
    }
    let socket = state_folder.join("haproxy.sock");
    if socket.as_os_str().len() > LONGEST_PATH {
        return Err(SocketPathTooLong { socket });
    }
    let mut text = format!(
        "global\n  stats socket {} mode 600 level admin expose-fd listeners\n  stats timeout 2m\n",
        quoted(&socket.display().to_string())
    );
    if let Some(description) = description.filter(|_| global.description.is_none()) {
        text.push_str("  description ");
        text.push_str(&quoted(description));
        text.push('\n');
    }
    Ok(Some(RuntimeFile {
        path: state_folder.join("runtime.cfg"),
        text,
        socket,
    }))
}

/// One word for HAProxy, whatever it holds.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:+,@".contains(c);
    if word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::words;

    const V2_6: Version = Version::new(2, 6);

    fn plan(config: &str, description: Option<&str>) -> Option<RuntimeFile> {
        runtime_file(config, Path::new("/var/lib/x"), V2_6, description).unwrap()
    }

    #[test]
    fn a_file_without_a_socket_gets_one() {
        let file = plan("global\n  daemon\n", Some("0123456789abcdef")).unwrap();
        assert_eq!(file.socket, Path::new("/var/lib/x/haproxy.sock"));
        assert_eq!(file.path, Path::new("/var/lib/x/runtime.cfg"));
        assert_eq!(
            file.text,
            "global\n  stats socket /var/lib/x/haproxy.sock mode 600 level admin expose-fd \
             listeners\n  stats timeout 2m\n  description 0123456789abcdef\n"
        );
    }

    #[test]
    fn a_socket_that_exposes_nothing_is_not_enough() {
        assert!(plan("global\n  stats socket /a level admin\n", None).is_some());
        assert!(
            plan(
                "global\n  stats socket /a level admin expose-fd listeners\n",
                None
            )
            .is_none()
        );
    }

    #[test]
    fn versions_that_cannot_hand_over_get_no_file() {
        let plan = runtime_file("", Path::new("/var/lib/x"), Version::new(1, 7), None);
        assert_eq!(plan, Ok(None));
    }

    #[test]
    fn a_description_of_the_installed_file_is_left_alone() {
        let file = plan("global\n  description mine\n", Some("0123")).unwrap();
        assert!(!file.text.contains("description"), "{}", file.text);
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_told() {
        let folder = format!("/{}", "x".repeat(LONGEST_PATH - "//haproxy.sock".len()));
        assert!(runtime_file("", Path::new(&folder), V2_6, None).is_ok());
        let error = runtime_file("", &Path::new(&folder).join("y"), V2_6, None).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("has 99 bytes, expected at most 97"),
            "{error}"
        );
    }

    #[test]
    fn every_word_comes_back_as_it_was() {
        for word in ["/a b/c", "it's", "a\"b#c", "plain"] {
            assert_eq!(words(&quoted(word)), [word]);
        }
    }
}
