//! A door that somebody else may come through: how many at once, and for how long.
//!
//! In comes a listener, out go connections that end by themselves: a guest who says nothing, or who
//! never comes to an end, must not keep others out. Every answer closes its connection, since one
//! that is kept could end just when its next request comes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// Lets so many in at a time, and shows each the way out after so long. Whoever comes meanwhile waits
/// in the kernel's queue.
#[derive(Debug)]
pub struct Door<L> {
    listener: L,
    seats: Arc<Semaphore>,
    stay: Duration,
}

impl<L> Door<L> {
    /// In front of `listener`.
    #[must_use]
    pub fn new(listener: L, seats: usize, stay: Duration) -> Self {
        Self {
            listener,
            seats: Arc::new(Semaphore::new(seats)),
            stay,
        }
    }
}

impl<L: Listener> Listener for Door<L> {
    type Io = Guest<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let seat = Arc::clone(&self.seats).acquire_owned().await;
        let (inner, address) = self.listener.accept().await;
        let guest = Guest {
            inner,
            until: Box::pin(sleep(self.stay)),
            _seat: seat.expect("nobody closes the semaphore"),
        };
        (guest, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when its time is over.
#[derive(Debug)]
pub struct Guest<S> {
    inner: S,
    until: Pin<Box<Sleep>>,
    _seat: OwnedSemaphorePermit,
}

impl<S> Guest<S> {
    fn in_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.until.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guest<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guest<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.in_time(cx)?;
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Says that the connection ends with this answer.
pub async fn last_word(mut answer: Response) -> Response {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
    answer
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::map_response;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: door\r\n\r\n";

    async fn opened(seats: usize, stay: Duration) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let pages = Router::new()
            .route("/", get(async || "well"))
            .layer(map_response(last_word));
        let door = Door::new(listener, seats, stay);
        tokio::spawn(async move { axum::serve(door, pages).await });
        address
    }

    async fn said(mut stream: TcpStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn who_says_nothing_is_shown_out_and_the_next_is_let_in() {
        let address = opened(1, Duration::from_millis(200)).await;
        let silent = TcpStream::connect(address).await.unwrap();
        let mut other = TcpStream::connect(address).await.unwrap();
        other.write_all(ASK).await.unwrap();
        // The only seat is taken for as long as the first may stay.
        assert_eq!(said(silent).await, "");
        assert!(said(other).await.ends_with("well"));
    }

    #[tokio::test]
    async fn an_answer_ends_its_connection() {
        let address = opened(8, Duration::from_secs(60)).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(ASK).await.unwrap();
        let answer = said(stream).await;
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
}
