//! Faults that a node can be told to have, and what each does to an answer.
//!
//! In comes the answer that a healthy node would give, out goes what the client gets instead.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::tally::Tally;
use super::wire::{self, Feed, Peer};

/// Something that goes wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status, with a message in JSON. One that HTTP does not know becomes 500.
    Status(u16),
    /// This status, with an error page as Jetty writes it.
    Html(u16),
    /// 200 and JSON's content type, with bytes that are neither JSON nor UTF-8.
    Garbage,
    /// 200 with nothing in it.
    Empty,
    /// The right answer, called `text/html`.
    WrongContentType,
    /// The answer stops after this many bytes of the body.
    Truncated {
        /// Bytes that are still sent.
        at_bytes: usize,
        /// How the client could tell.
        ending: Ending,
    },
    /// No answer, and no end of the connection.
    Hang,
    /// The head and this many bytes of the body, then silence.
    HangInBody {
        /// Bytes that are still sent.
        after_bytes: usize,
    },
    /// The right answer, in pieces with pauses between them.
    Slow {
        /// Size of a piece.
        bytes_per_chunk: usize,
        /// Time before each piece.
        pause: Duration,
    },
    /// 200 and an empty list of apps that takes this many bytes, made while they are read.
    Huge {
        /// Bytes of the body.
        bytes: u64,
    },
    /// A stream of events whose first has this many bytes of data, made while they are read; the
    /// right ones follow.
    HugeEvent {
        /// Bytes of its data.
        bytes: u64,
    },
    /// The connection is reset in place of an answer.
    Reset,
    /// 401 with a challenge for a name and password.
    Unauthorized,
    /// 302 to this URL.
    Redirect(String),
}

/// What a truncated answer says of its own length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// `Content-Length` promises all of it, then the connection ends.
    ShortOfLength,
    /// Chunks without the last one, then the connection ends.
    ShortOfLastChunk,
    /// For HTTP the answer is complete; only its reader can see that it is not.
    Unnoticed,
}

impl Fault {
    /// Only for this path, query aside; without it, for all paths.
    #[must_use]
    pub fn on(self, path: &str) -> Injection {
        Injection::from(self).on(path)
    }

    /// Only for so many requests; without it, until the faults are cleared.
    #[must_use]
    pub fn times(self, requests: usize) -> Injection {
        Injection::from(self).times(requests)
    }
}

/// A fault, and which requests it hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    fault: Fault,
    path: Option<String>,
    left: Option<usize>,
}

impl Injection {
    /// Only for this path, query aside; without it, for all paths.
    #[must_use]
    pub fn on(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Only for so many requests; without it, until the faults are cleared.
    #[must_use]
    pub fn times(mut self, requests: usize) -> Self {
        self.left = Some(requests);
        self
    }

    fn hits(&self, path: &str) -> bool {
        self.left != Some(0) && self.path.as_deref().is_none_or(|only| only == path)
    }
}

impl From<Fault> for Injection {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            path: None,
            left: None,
        }
    }
}

/// Neither UTF-8 nor JSON.
const GARBAGE: &[u8] = b"\x1f\x8b\xff\xfe{\"apps\": [}";

/// The faults of a node, in the order in which they were injected.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Injection>);

impl Faults {
    pub(super) fn inject(&mut self, injection: Injection) {
        self.0.push(injection);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that this request meets: the oldest one that is not used up.
    pub(super) fn take(&mut self, path: &str) -> Option<Fault> {
        let hit = self.0.iter_mut().find(|injection| injection.hits(path))?;
        if let Some(left) = &mut hit.left {
            *left -= 1;
        }
        Some(hit.fault.clone())
    }
}

/// What a fault needs to know of the request that it hits.
pub(super) struct Victim<'a> {
    pub(super) peer: &'a Peer,
    pub(super) tally: &'a Arc<Tally>,
    pub(super) path: &'a str,
}

impl Fault {
    /// The answer that the client gets; `right` makes the one that it should have got.
    pub(super) async fn answer(
        self,
        victim: Victim<'_>,
        right: impl Future<Output = Response>,
    ) -> Response {
        let reshaped = |response: Response| victim.reshape(response);
        match self {
            Self::Status(code) => (
                status(code),
                as_json(json!({"message": "fault"}).to_string()),
            )
                .into_response(),
            Self::Html(code) => html(status(code)),
            Self::Garbage => as_json(GARBAGE).into_response(),
            Self::Empty => as_json("").into_response(),
            Self::WrongContentType => {
                let mut response = right.await;
                let html = HeaderValue::from_static("text/html");
                response.headers_mut().insert(header::CONTENT_TYPE, html);
                response
            }
            Self::Truncated { at_bytes, ending } => {
                let (response, source, feed) = reshaped(right.await);
                truncated(response, source, feed, at_bytes, ending)
            }
            Self::Hang => match std::future::pending::<Infallible>().await {},
            Self::HangInBody { after_bytes } => {
                let (response, source, feed) = reshaped(right.await);
                tokio::spawn(async move {
                    if pass(source, &feed, after_bytes).await {
                        feed.abandoned().await;
                    }
                });
                response
            }
            Self::Slow {
                bytes_per_chunk,
                pause,
            } => {
                let (response, source, feed) = reshaped(right.await);
                tokio::spawn(trickle(source, feed, bytes_per_chunk.max(1), pause));
                response
            }
            Self::Huge { bytes } => {
                let (feed, body) = wire::body(victim.tally, victim.path);
                tokio::spawn(huge(feed, bytes));
                as_json(body).into_response()
            }
            Self::HugeEvent { bytes } => {
                let (response, source, feed) = reshaped(right.await);
                tokio::spawn(huge_event(source, feed, bytes));
                response
            }
            Self::Reset => {
                victim.peer.tear();
                StatusCode::OK.into_response()
            }
            Self::Unauthorized => unauthorized(),
            Self::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        }
    }
}

impl Victim<'_> {
    /// The same head over a body that is fed, and the body that it had.
    fn reshape(&self, response: Response) -> (Response, Body, Feed) {
        let (mut head, source) = response.into_parts();
        if let Some(length) = source.size_hint().exact() {
            head.headers.insert(header::CONTENT_LENGTH, length.into());
        }
        let (feed, body) = wire::body(self.tally, self.path);
        (Response::from_parts(head, body), source, feed)
    }
}

fn truncated(
    mut response: Response,
    source: Body,
    feed: Feed,
    at_bytes: usize,
    ending: Ending,
) -> Response {
    let length = response.headers_mut().remove(header::CONTENT_LENGTH);
    if let (Ending::ShortOfLength, Some(length)) = (ending, length) {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, length);
    }
    tokio::spawn(async move {
        let cut = pass(source, &feed, at_bytes).await;
        if cut && ending != Ending::Unnoticed {
            feed.break_off().await;
        }
    });
    response
}

/// Passes on at most `limit` bytes; `false` when the reader went before.
async fn pass(mut source: Body, feed: &Feed, limit: usize) -> bool {
    let mut left = limit;
    while left > 0 {
        let Some(mut piece) = wire::next_piece(&mut source).await else {
            return true;
        };
        piece.truncate(left);
        left -= piece.len();
        if !feed.send(piece).await {
            return false;
        }
    }
    true
}

async fn trickle(mut source: Body, feed: Feed, bytes_per_chunk: usize, pause: Duration) {
    while let Some(mut piece) = wire::next_piece(&mut source).await {
        while !piece.is_empty() {
            tokio::time::sleep(pause).await;
            let chunk = piece.split_to(bytes_per_chunk.min(piece.len()));
            if !feed.send(chunk).await {
                return;
            }
        }
    }
}

/// Blanks between the brackets: JSON however long it gets.
async fn huge(feed: Feed, bytes: u64) {
    const HEAD: &[u8] = b"{\"apps\":[";
    const TAIL: &[u8] = b"]}";
    let blanks = bytes.saturating_sub((HEAD.len() + TAIL.len()) as u64);
    if feed.send(Bytes::from_static(HEAD)).await && send_blanks(&feed, blanks).await {
        feed.send(Bytes::from_static(TAIL)).await;
    }
}

async fn huge_event(source: Body, feed: Feed, bytes: u64) {
    const HEAD: &[u8] = b"event: deployment_info\r\ndata: ";
    if feed.send(Bytes::from_static(HEAD)).await
        && send_blanks(&feed, bytes).await
        && feed.send(Bytes::from_static(b"\r\n\r\n")).await
    {
        pass(source, &feed, usize::MAX).await;
    }
}

/// `false` when the reader went before.
async fn send_blanks(feed: &Feed, mut left: u64) -> bool {
    static BLANKS: [u8; 64 * 1024] = [b' '; 64 * 1024];
    while left > 0 {
        let size = usize::try_from(left).map_or(BLANKS.len(), |left| left.min(BLANKS.len()));
        if !feed.send(Bytes::from_static(&BLANKS[..size])).await {
            return false;
        }
        left -= size as u64;
    }
    true
}

/// 401, as Marathon with `--http_credentials` gives it.
pub(super) fn unauthorized() -> Response {
    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"Mesosphere\"")];
    let message = json!({"message": "Invalid username or password."});
    (
        StatusCode::UNAUTHORIZED,
        challenge,
        as_json(message.to_string()),
    )
        .into_response()
}

/// An error page as Jetty writes it, for what a standby cannot pass on.
pub(super) fn html(status: StatusCode) -> Response {
    let page = format!(
        "<html>\n<head>\n<title>Error {status}</title>\n</head>\n\
         <body><h2>HTTP ERROR {}</h2></body>\n</html>\n",
        status.as_u16()
    );
    let content_type = [(header::CONTENT_TYPE, "text/html; charset=ISO-8859-1")];
    (status, content_type, page).into_response()
}

/// With the content type that Marathon gives to JSON.
pub(super) fn as_json<T>(body: T) -> ([(header::HeaderName, &'static str); 1], T) {
    ([(header::CONTENT_TYPE, "application/json")], body)
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
