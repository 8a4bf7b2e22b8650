//! One connection over which a process is told several things, for as long as they take.
//!
//! In come a socket and commands; out go their replies, one by one. All of them come from the same
//! process, whichever that is: who has to know asks it first. The connection is to be closed soon,
//! since it keeps an old process alive.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

use super::socket::{AskError, MAX_REPLY};

/// What HAProxy says when it waits for the next command.
const PROMPT: &[u8] = b"\n> ";

/// What it puts before its reply to a command for each line that the command takes with it.
const TAKEN: &str = "+ ";

/// Lines that a command takes with it. They may be a key, and are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(String);

impl Payload {
    /// Without its blank lines: up to HAProxy 2.8, the first one ends what a command takes.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut kept = String::with_capacity(text.len() + 1);
        for line in text.lines().map(str::trim_end) {
            if !line.is_empty() {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        Self(kept)
    }

    /// In bytes. With its command it has to be smaller than `tune.bufsize`.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

/// What a conversation goes over: a socket, or what stands for one.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug {}

impl<W: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug> Wire for W {}

/// A conversation with one process.
#[derive(Debug)]
pub struct Session {
    stream: Box<dyn Wire>,
    socket: PathBuf,
    /// For each command.
    limit: Duration,
}

impl Session {
    /// Connects to whoever listens on `socket`; each command may take as long as `limit`.
    ///
    /// # Errors
    /// When nobody listens there, or whoever does is no HAProxy.
    pub async fn open(socket: &Path, limit: Duration) -> Result<Self, AskError> {
        let deadline = Instant::now() + limit;
        let connected = timeout_at(deadline, UnixStream::connect(socket)).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let stream = connected.map_err(|source| AskError::Connect {
            socket: socket.to_owned(),
            source,
        })?;
        Self::over(Box::new(stream), socket, limit).await
    }

    /// The same where somebody else has connected to `socket`.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub async fn over(
        stream: Box<dyn Wire>,
        socket: &Path,
        limit: Duration,
    ) -> Result<Self, AskError> {
        let mut session = Self {
            stream,
            socket: socket.to_owned(),
            limit,
        };
        let reply = session.ask("prompt").await?;
        if reply.is_empty() {
            return Ok(session);
        }
        Err(session.unexpected("prompt", &reply))
    }

    /// Sends one command, which is one line, and gives its reply, without the empty lines at its end.
    ///
    /// # Errors
    /// When it is not answered in time, or the process hangs up. Whether it was obeyed is then not
    /// known, and nothing more can be asked.
    pub async fn ask(&mut self, command: &str) -> Result<String, AskError> {
        self.ask_as(command, command).await
    }

    /// The same for a command that holds a secret: errors name `shown` in its place.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub async fn ask_as(&mut self, shown: &str, command: &str) -> Result<String, AskError> {
        self.send(shown, &format!("{command}\n")).await
    }

    /// The same for a command that takes lines with it. Errors name the command alone.
    ///
    /// # Errors
    /// As [`Session::ask`]. HAProxy hangs up on a payload that it has no room for.
    pub async fn give(&mut self, command: &str, payload: &Payload) -> Result<String, AskError> {
        let whole = format!("{command} <<\n{}\n", payload.0);
        let reply = self.send(command, &whole).await?;
        Ok(reply.trim_start_matches(TAKEN).to_owned())
    }

    async fn send(&mut self, command: &str, text: &str) -> Result<String, AskError> {
        debug_assert!(!command.contains(['\n', ';']), "one command: {command:?}");
        let deadline = Instant::now() + self.limit;
        let exchange = timeout_at(deadline, self.exchange(command, text)).await;
        let reply = exchange.map_err(|_| AskError::TimedOut {
            socket: self.socket.clone(),
            command: command.to_owned(),
            limit: self.limit,
        })??;
        Ok(reply)
    }

    async fn exchange(&mut self, command: &str, text: &str) -> Result<String, AskError> {
        let (socket, named) = (self.socket.clone(), command.to_owned());
        let failed = |source| AskError::Exchange {
            socket: socket.clone(),
            command: named.clone(),
            source,
        };
        self.stream
            .write_all(text.as_bytes())
            .await
            .map_err(failed)?;
        let mut reply = Vec::new();
        while !reply.ends_with(PROMPT) {
            let read = self.stream.read_buf(&mut reply).await.map_err(failed)?;
            if read == 0 {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
            if reply.len() as u64 > MAX_REPLY {
                return Err(AskError::TooLong {
                    socket,
                    command: named,
                });
            }
        }
        let text = String::from_utf8_lossy(&reply[..reply.len() - PROMPT.len()]);
        Ok(text.trim_end_matches('\n').to_owned())
    }

    /// For a `reply` that is not the one to `command`.
    #[must_use]
    pub fn unexpected(&self, command: &str, reply: &str) -> AskError {
        AskError::Unexpected {
            socket: self.socket.clone(),
            command: command.to_owned(),
            reply: reply.chars().take(200).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncBufReadExt as _;
    use tokio::io::BufReader;
    use tokio::net::UnixListener;

    use super::*;

    /// Answers each command with the next of `replies`, and then hangs up.
    async fn says(listener: UnixListener, replies: &[&str]) -> Vec<String> {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut commands = Vec::new();
        for reply in replies {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            commands.push(line);
            // In pieces, as a busy process does.
            for piece in reply.as_bytes().chunks(3) {
                stream.write_all(piece).await.unwrap();
                stream.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
        }
        commands
    }

    fn listener() -> (tempfile::TempDir, PathBuf, UnixListener) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("a.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        (folder, socket, listener)
    }

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn replies_end_at_the_prompt_in_both_forms() {
        let (_folder, socket, listener) = listener();
        let talk = async {
            let mut session = Session::open(&socket, LIMIT).await.unwrap();
            let one = session.ask("show info").await.unwrap();
            let two = session.ask("del server b/s").await.unwrap();
            let three = session.ask("enable health b/s").await.unwrap();
            let end = session.ask("show stat").await.unwrap_err();
            (one, two, three, end.to_string())
        };
        let replies = [
            "\n> ",
            "Pid: 7\nUptime: > 3\n\n> ",
            "Server deleted.\n> ",
            "\n> ",
        ];
        let ((one, two, three, end), commands) = tokio::join!(talk, says(listener, &replies));
        assert_eq!(one, "Pid: 7\nUptime: > 3");
        assert_eq!((&*two, &*three), ("Server deleted.", ""));
        assert!(end.contains("`show stat`"), "{end}");
        let want = [
            "prompt\n",
            "show info\n",
            "del server b/s\n",
            "enable health b/s\n",
        ];
        assert_eq!(commands, want);
    }

    #[tokio::test]
    async fn a_command_takes_lines_with_it_that_nobody_sees() {
        let (_folder, socket, listener) = listener();
        let payload = Payload::of("SECRET one \n\n \t\r\ntwo\r\n");
        let talk = async {
            let mut session = Session::open(&socket, LIMIT).await.unwrap();
            let done = session.give("add map @1 /m", &payload).await.unwrap();
            let said = session.give("add map @1 /m", &payload).await.unwrap();
            let end = session.give("add map @1 /m", &payload).await.unwrap_err();
            (done, said, format!("{end} {end:?} {payload:?}"))
        };
        let process = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let replies = ["\n> ", "+ + + \n> ", "+ + + Unknown map.\n\n> ", ""];
            let mut heard = String::new();
            for (reply, lines) in replies.iter().zip([1, 4, 4, 0]) {
                for _ in 0..lines {
                    stream.read_line(&mut heard).await.unwrap();
                }
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
            heard
        };
        let ((done, said, shown), heard) = tokio::join!(talk, process);
        assert_eq!((&*done, &*said), ("", "Unknown map."));
        assert!(
            shown.contains("`add map @1 /m`") && !shown.contains("SECRET"),
            "{shown}"
        );
        let once = "add map @1 /m <<\nSECRET one\ntwo\n\n";
        assert_eq!(heard, format!("prompt\n{once}{once}"));
        assert_eq!(payload.size(), "SECRET one\ntwo\n".len());
    }

    #[tokio::test]
    async fn who_is_no_haproxy_or_silent_or_away_is_told_apart() {
        let (_folder, socket, listener) = listener();
        let opened = Session::open(&socket, LIMIT);
        let (opened, _) = tokio::join!(opened, says(listener, &["hello\n> "]));
        let error = opened.unwrap_err().to_string();
        assert!(error.ends_with("was answered with `hello`"), "{error}");

        let error = Session::open(&socket, LIMIT).await.unwrap_err();
        assert!(error.nobody_listens(), "{error}");
        std::fs::remove_file(&socket).unwrap();
        let _silent = UnixListener::bind(&socket).unwrap();
        let error = Session::open(&socket, Duration::from_millis(50)).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("was not answered within 50ms"), "{error}");
    }
}
