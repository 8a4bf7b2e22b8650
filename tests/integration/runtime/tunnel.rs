//! A client that keeps one connection for as long as it likes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpStream, ToSocketAddrs};

use super::LONG;

/// A line and its answer, as often as wanted.
pub(super) struct Tunnel(BufReader<TcpStream>);

impl Tunnel {
    pub(super) fn open(to: impl ToSocketAddrs) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Self(BufReader::new(stream))
    }

    pub(super) fn ask(&mut self) -> String {
        self.0.get_mut().write_all(b"who\n").unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}
