//! How `status` asks a watcher.

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

/// What the watcher with this pid says of itself at `path`. Nobody else is believed.
///
/// # Errors
/// Why there is no answer, in words that go on from "it does not answer at …".
pub async fn ask(path: &Path, pid: u32) -> Result<Facts, String> {
    let answer = timeout(PATIENCE, exchange(path, pid)).await;
    answer.unwrap_or_else(|_| Err(format!("nothing came for {} s", PATIENCE.as_secs())))
}

async fn exchange(path: &Path, pid: u32) -> Result<Facts, String> {
    let failed = |error: std::io::Error| error.kind().to_string();
    let mut stream = UnixStream::connect(path).await.map_err(failed)?;
    let peer = stream.peer_cred().map_err(failed)?.pid();
    if peer.and_then(|peer| u32::try_from(peer).ok()) != Some(pid) {
        return Err("another process listens there".to_owned());
    }
    stream.write_all(QUESTION).await.map_err(failed)?;
    let mut answer = Vec::new();
    let mut stream = stream.take(MOST_BYTES);
    stream.read_to_end(&mut answer).await.map_err(failed)?;
    facts(&answer).ok_or_else(|| "what it says cannot be read".to_owned())
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
