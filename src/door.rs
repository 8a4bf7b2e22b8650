//! A door that somebody else may come through: how many at once, and for how long.
//!
//! In comes a listener, out go connections that end by themselves: a guest who says nothing, or who
//! never comes to an end, must not keep others out. Where all seats are taken, whoever sits there for the
//! longest time has to go. Every answer closes its connection, since one
//! that is kept could end just when its next request comes.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

/// Lets so many in at a time, and shows each the way out after so long, or when the seat is needed.
#[derive(Debug)]
pub struct Door<L> {
    listener: L,
    seats: usize,
    /// By whose end a guest has to go; who came first stands first.
    guests: VecDeque<oneshot::Sender<()>>,
    stay: Duration,
}

impl<L> Door<L> {
    /// In front of `listener`.
    #[must_use]
    pub fn new(listener: L, seats: usize, stay: Duration) -> Self {
        Self {
            listener,
            seats,
            guests: VecDeque::new(),
            stay,
        }
    }
}

impl<L: Listener> Listener for Door<L> {
    type Io = Guest<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (inner, address) = self.listener.accept().await;
        self.guests.retain(|guest| !guest.is_closed());
        while self.guests.len() >= self.seats && self.guests.pop_front().is_some() {}
        let (stays, may_stay) = oneshot::channel();
        self.guests.push_back(stays);
        let guest = Guest {
            inner,
            until: Box::pin(sleep(self.stay)),
            may_stay,
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
    may_stay: oneshot::Receiver<()>,
}

impl<S> Guest<S> {
    fn in_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let is_needed = Pin::new(&mut self.may_stay).poll(cx).is_ready();
        if is_needed || self.until.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
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
    async fn who_says_nothing_is_shown_out() {
        let address = opened(1, Duration::from_millis(200)).await;
        let silent = TcpStream::connect(address).await.unwrap();
        assert_eq!(said(silent).await, "");
    }

    #[tokio::test]
    async fn whoever_sits_there_for_the_longest_time_makes_room() {
        let address = opened(2, Duration::from_secs(600)).await;
        let first = TcpStream::connect(address).await.unwrap();
        let second = TcpStream::connect(address).await.unwrap();
        let mut third = TcpStream::connect(address).await.unwrap();
        third.write_all(ASK).await.unwrap();
        assert!(said(third).await.ends_with("well"));
        assert_eq!(said(first).await, "");
        let mut second = second;
        second.write_all(ASK).await.unwrap();
        assert!(said(second).await.ends_with("well"), "there was room again");
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
