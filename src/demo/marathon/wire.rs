//! The two ends of a connection: a listener whose connections can be torn down, and bodies that
//! are written piece by piece.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::tally::Tally;

/// Who is at the other end, and the means to hang up on them.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    torn: Arc<AtomicBool>,
}

impl Peer {
    /// What is written next makes the connection end with a RST.
    pub(super) fn tear(&self) {
        self.torn.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Accepts connections.
pub(super) struct Door(pub(super) TcpListener);

impl Listener for Door {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // What can fail here is the client, or the limit of open files: both pass.
            let Ok((stream, address)) = self.0.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            // Without it, small pieces of a slow answer would travel together.
            let _ = stream.set_nodelay(true);
            let torn = Arc::new(AtomicBool::new(false));
            let peer = Peer {
                address,
                torn: Arc::clone(&torn),
            };
            return (Connection { stream, torn }, peer);
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Peer {
            address: self.0.local_addr()?,
            torn: Arc::default(),
        })
    }
}

/// A connection that breaks on demand.
pub(super) struct Connection {
    stream: TcpStream,
    torn: Arc<AtomicBool>,
}

impl Connection {
    fn unless_torn(&self) -> io::Result<()> {
        if !self.torn.load(Ordering::Relaxed) {
            return Ok(());
        }
        // With it, closing the socket sends a RST in place of a FIN.
        self.stream.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.unless_torn()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Where the pieces of a body go; counted as they leave.
pub(super) struct Feed {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    tally: Arc<Tally>,
    path: String,
}

impl Feed {
    /// `false` once nobody reads any more.
    pub(super) async fn send(&self, piece: Bytes) -> bool {
        let bytes = piece.len() as u64;
        let sent = self.pieces.send(Ok(piece)).await.is_ok();
        if sent {
            self.tally.gave(&self.path, bytes);
        }
        sent
    }

    /// Ends the connection in the middle of the body.
    pub(super) async fn break_off(self) {
        let _ = self.pieces.send(Err(io::ErrorKind::Other.into())).await;
    }

    /// Resolves when the reader has gone.
    pub(super) async fn abandoned(&self) {
        self.pieces.closed().await;
    }
}

/// A body and the feed that fills it; it ends when the feed is dropped.
pub(super) fn body(tally: &Arc<Tally>, path: &str) -> (Feed, Body) {
    // One piece at a time: what the client does not read is not made.
    let (pieces, rest) = mpsc::channel(1);
    let feed = Feed {
        pieces,
        tally: Arc::clone(tally),
        path: path.to_owned(),
    };
    (feed, Body::new(Fed(rest)))
}

struct Fed(mpsc::Receiver<io::Result<Bytes>>);

impl HttpBody for Fed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0
            .poll_recv(cx)
            .map(|piece| piece.map(|bytes| bytes.map(Frame::data)))
    }
}

/// The next piece of any body; `None` at its end.
pub(super) async fn next_piece(body: &mut Body) -> Option<Bytes> {
    let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
    frame?.ok()?.into_data().ok()
}
