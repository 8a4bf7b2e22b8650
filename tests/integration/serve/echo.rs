//! A backend that says who it is and what reached it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// It answers requests one after the other with 200: its name, then the request as it came. What
/// a request names in `X-Answer-Location` comes back as a redirection there.
pub(crate) struct Echo {
    name: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    sick: AtomicBool,
    over: AtomicBool,
}

impl Echo {
    pub(crate) fn start(name: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let (own, said) = (Arc::clone(&shared), name.to_owned());
        let thread = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if own.over.load(Ordering::SeqCst) {
                    break;
                }
                // Who hangs up early is no concern of a backend.
                let _ = answer(&stream, &said, own.sick.load(Ordering::SeqCst));
            }
        });
        Self {
            name: name.to_owned(),
            address,
            shared,
            thread: Some(thread),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on it answers `/health` with 500, and everything else as before.
    pub(crate) fn falls_sick(&self) {
        self.shared.sick.store(true, Ordering::SeqCst);
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(stream: &TcpStream, name: &str, sick: bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let before = head.len();
        let read = reader.read_line(&mut head)?;
        if read == 0 {
            return Ok(());
        }
        if head[before..].trim().is_empty() {
            break;
        }
    }
    let location = head.lines().find_map(|line| {
        let (header, value) = line.split_once(": ")?;
        header
            .eq_ignore_ascii_case("x-answer-location")
            .then_some(value)
    });
    let status = match location {
        _ if sick && head.contains(" /health ") => "500 Sick".to_owned(),
        Some(location) => format!("302 Found\r\nLocation: {location}"),
        None => "200 OK".to_owned(),
    };
    let body = format!("{name}\n{head}");
    let length = body.len();
    write!(
        &mut &*stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
