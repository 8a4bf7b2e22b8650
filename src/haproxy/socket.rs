//! A client for the stats socket of a process, and what `show info` answers.
//!
//! In comes the path of a Unix socket and a command; out goes the reply. Each command has a
//! connection of its own: an open one would keep an old process alive and be answered by it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::Version;
use crate::logging::shown;

/// Bytes of a socket's path that HAProxy accepts: it binds under a longer name first.
pub const LONGEST_PATH: usize = 97;

/// Bytes of one reply: `show servers state` of 100,000 servers has a tenth of it.
pub(super) const MAX_REPLY: u64 = 128 << 20;

/// Whose socket it is: they end a conversation in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    /// A process closes after its answer, and may drop an answer when the client closes first.
    Process,
    /// The master keeps the connection open until the client closes its half.
    Master,
}

/// Why a socket gave no answer.
#[derive(Debug)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum AskError {
    Connect {
        socket: PathBuf,
        source: io::Error,
    },
    Exchange {
        socket: PathBuf,
        command: String,
        source: io::Error,
    },
    TimedOut {
        socket: PathBuf,
        command: String,
        limit: Duration,
    },
    TooLong {
        socket: PathBuf,
        command: String,
    },
    Unexpected {
        socket: PathBuf,
        command: String,
        reply: String,
    },
}

impl AskError {
    /// Nobody listens there at the moment: no socket file, or one that a process left behind.
    #[must_use]
    pub fn nobody_listens(&self) -> bool {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        matches!(self, Self::Connect { source, .. }
            if matches!(source.kind(), ConnectionRefused | NotFound))
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { socket, source } => {
                write!(
                    f,
                    "HAProxy's socket `{}`: cannot connect: {source}",
                    socket.display()
                )
            }
            Self::Exchange {
                socket,
                command,
                source,
            } => {
                write!(
                    f,
                    "HAProxy's socket `{}`: `{command}`: {source}",
                    socket.display()
                )
            }
            Self::TimedOut {
                socket,
                command,
                limit,
            } => write!(
                f,
                "HAProxy's socket `{}`: `{command}` was not answered within {}",
                socket.display(),
                shown(*limit)
            ),
            Self::TooLong { socket, command } => write!(
                f,
                "HAProxy's socket `{}`: the answer to `{command}` is longer than {MAX_REPLY} bytes",
                socket.display()
            ),
            Self::Unexpected {
                socket,
                command,
                reply,
            } => write!(
                f,
                "HAProxy's socket `{}`: `{command}` was answered with `{}`",
                socket.display(),
                reply.trim()
            ),
        }
    }
}

/// Without a source: the message says it already.
impl std::error::Error for AskError {}

/// Sends one command to the process that listens on `socket` and reads its whole reply.
///
/// # Errors
///
/// When nobody listens, or no complete reply comes within `limit`.
pub async fn ask(socket: &Path, command: &str, limit: Duration) -> Result<String, AskError> {
    converse(socket, command, limit, Speaker::Process).await
}

pub(super) async fn converse(
    socket: &Path,
    command: &str,
    limit: Duration,
    speaker: Speaker,
) -> Result<String, AskError> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket)
            .await
            .map_err(|source| AskError::Connect {
                socket: socket.to_owned(),
                source,
            })?;
        let failed = |source| AskError::Exchange {
            socket: socket.to_owned(),
            command: command.to_owned(),
            source,
        };
        stream
            .write_all(format!("{command}\n").as_bytes())
            .await
            .map_err(failed)?;
        if speaker == Speaker::Master {
            stream.shutdown().await.map_err(failed)?;
        }
        let mut reply = Vec::new();
        stream
            .take(MAX_REPLY + 1)
            .read_to_end(&mut reply)
            .await
            .map_err(failed)?;
        if reply.len() as u64 > MAX_REPLY {
            return Err(AskError::TooLong {
                socket: socket.to_owned(),
                command: command.to_owned(),
            });
        }
        Ok(String::from_utf8_lossy(&reply).into_owned())
    };
    timeout(limit, exchange).await.unwrap_or_else(|_| {
        Err(AskError::TimedOut {
            socket: socket.to_owned(),
            command: command.to_owned(),
            limit,
        })
    })
}

/// What a process says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its process id, as it sees it: another number than ours if it lives in a container.
    pub pid: u32,
    /// Its whole version: `2.6.12-1+deb12u4`.
    pub version: String,
    /// Since it started, in whole seconds.
    pub uptime: Duration,
    /// It has been asked to finish and accepts no new connections; versions that do not say so
    /// count as not stopping.
    pub stopping: bool,
    /// `description` of its `global` section.
    pub description: Option<String>,
    /// Its number among the processes of `nbproc`, from 1.
    pub process_num: u32,
}

impl Info {
    /// Reads the answer to `show info`. `None` if it names no process.
    #[must_use]
    pub fn parse(reply: &str) -> Option<Self> {
        let value = |key: &str| {
            reply.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                (name == key).then(|| value.trim())
            })
        };
        let number = |key: &str| value(key)?.parse::<u64>().ok();
        Some(Self {
            pid: value("Pid")?.parse().ok()?,
            version: value("Version")?.to_owned(),
            uptime: Duration::from_secs(number("Uptime_sec").unwrap_or(0)),
            stopping: number("Stopping").unwrap_or(0) != 0,
            description: value("description")
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
            process_num: value("Process_num")
                .and_then(|text| text.parse().ok())
                .unwrap_or(1),
        })
    }

    /// The branch it belongs to.
    #[must_use]
    pub fn branch(&self) -> Option<Version> {
        self.version.parse().ok()
    }
}

/// Asks the process that listens on `socket` who it is.
///
/// # Errors
///
/// When it gives no answer, or one that is not HAProxy's.
pub async fn show_info(socket: &Path, limit: Duration) -> Result<Info, AskError> {
    let reply = ask(socket, "show info", limit).await?;
    Info::parse(&reply).ok_or_else(|| AskError::Unexpected {
        socket: socket.to_owned(),
        command: "show info".to_owned(),
        // Enough to recognise whose answer it is.
        reply: reply.chars().take(200).collect(),
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn show_info_is_read_in_the_words_of_each_branch() {
        let of_2_6 = "Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nRelease_date: 2026/10/17\n\
            Nbthread: 2\nNbproc: 1\nProcess_num: 1\nPid: 13803\nUptime: 0d 0h01m02s\n\
            Uptime_sec: 62\nIdle_pct: 100\nnode: vm\ndescription: 0123: abc def\nStopping: 0\n\
            Jobs: 3\nUnstoppable Jobs: 0\nBuild info: 2.6.12-1+deb12u4\n\n";
        assert_eq!(
            Info::parse(of_2_6),
            Some(Info {
                pid: 13803,
                version: "2.6.12-1+deb12u4".to_owned(),
                uptime: Duration::from_secs(62),
                stopping: false,
                description: Some("0123: abc def".to_owned()),
                process_num: 1,
            })
        );
        let of_1_5 = "Name: HAProxy\nVersion: 1.5.18\nRelease_date: 2016/05/10\nNbproc: 4\n\
            Process_num: 3\nPid: 7\nUptime: 0d 0h00m00s\nUptime_sec: 0\nnode: a\ndescription: \n";
        let info = Info::parse(of_1_5).unwrap();
        assert_eq!((info.pid, info.process_num, info.stopping), (7, 3, false));
        assert_eq!(info.description, None);
        assert_eq!(info.branch(), Some(Version::new(1, 5)));
        let leaving = of_2_6.replace("Stopping: 0", "Stopping: 1");
        assert!(Info::parse(&leaving).unwrap().stopping);
    }

    #[test]
    fn an_answer_without_a_process_is_none() {
        assert_eq!(Info::parse("Unknown command.\n"), None);
        assert_eq!(Info::parse("Version: 2.6\nPid: many\n"), None);
        assert_eq!(Info::parse(""), None);
    }

    #[tokio::test]
    async fn nobody_listening_is_told_apart_from_silence() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("a.sock");
        let error = ask(&socket, "show info", LIMIT).await.unwrap_err();
        assert!(error.nobody_listens(), "{error}");

        let silent = UnixListener::bind(&socket).unwrap();
        let error = ask(&socket, "show info", Duration::from_millis(50))
            .await
            .unwrap_err();
        assert!(!error.nobody_listens(), "{error}");
        assert!(
            error
                .to_string()
                .ends_with("`show info` was not answered within 50ms"),
            "{error}"
        );

        drop(silent);
        let error = ask(&socket, "show info", LIMIT).await.unwrap_err();
        assert!(error.nobody_listens(), "{error}");
    }

    #[tokio::test]
    async fn an_answer_that_is_not_haproxys_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("a.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut command = [0; "show info\n".len()];
            stream.read_exact(&mut command).await.unwrap();
            stream.write_all(b"hello\n").await.unwrap();
        };
        let (error, ()) = tokio::join!(show_info(&socket, LIMIT), answer);
        let error = error.unwrap_err().to_string();
        assert!(
            error.ends_with("`show info` was answered with `hello`"),
            "{error}"
        );
    }
}
