//! How `status` asks a watcher.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::live::Facts;

/// For the whole answer. A watcher in the midst of a large turn may need some of it.
const PATIENCE: Duration = Duration::from_secs(3);

/// More than any answer has.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

const QUESTION: &[u8] = b"GET /status HTTP/1.1\r\nhost: watcher\r\nconnection: close\r\n\r\n";

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// In words that go on from "it does not answer at …".
    pub why: String,
    /// It listens, and does not come to an answer: whatever it does, it follows nobody meanwhile.
    pub is_stuck: bool,
}

impl Silence {
    fn of(why: &str) -> Self {
        Self {
            why: why.to_owned(),
            is_stuck: false,
        }
    }
}

impl From<io::Error> for Silence {
    fn from(error: io::Error) -> Self {
        Self {
            why: error.kind().to_string(),
            // Nobody takes in those who ask, until no more may wait.
            is_stuck: error.kind() == ErrorKind::WouldBlock,
        }
    }
}

/// What the watcher with this pid says of itself at `path`. Nobody else is believed.
///
/// # Errors
/// Why there is no answer.
pub async fn ask(path: &Path, pid: u32) -> Result<Facts, Silence> {
    let answer = timeout(PATIENCE, exchange(path, pid)).await;
    answer.unwrap_or_else(|_| {
        Err(Silence {
            why: format!("nothing came for {} s", PATIENCE.as_secs()),
            is_stuck: true,
        })
    })
}

async fn exchange(path: &Path, pid: u32) -> Result<Facts, Silence> {
    let mut stream = UnixStream::connect(path).await?;
    let peer = stream.peer_cred()?.pid();
    if peer.and_then(|peer| u32::try_from(peer).ok()) != Some(pid) {
        return Err(Silence::of("another process listens there"));
    }
    stream.write_all(QUESTION).await?;
    let mut answer = Vec::new();
    let mut stream = stream.take(MOST_BYTES);
    stream.read_to_end(&mut answer).await?;
    facts(&answer).ok_or_else(|| Silence::of("what it says cannot be read"))
}

fn facts(answer: &[u8]) -> Option<Facts> {
    #[derive(Deserialize)]
    struct Told {
        watcher: Facts,
    }
    let end = memchr::memmem::find(answer, b"\r\n\r\n")?;
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    if !head.starts_with(b"HTTP/1.1 200 ") {
        return None;
    }
    Some(serde_json::from_slice::<Told>(body).ok()?.watcher)
}
