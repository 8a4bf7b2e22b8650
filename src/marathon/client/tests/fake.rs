//! A node that follows a script, and what the tests of the client say in short.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::config;
use crate::marathon::{Answer, Client, Cluster};

/// What a node does once it has read a request.
#[derive(Clone)]
pub(super) enum Reply {
    /// Sends this and closes the connection.
    Send(Vec<u8>),
    /// Sends this and then nothing, for ever.
    Hang(String),
    /// Sends this and then one byte after the other, for ever.
    Trickle(String),
}

/// A node on a port of its own that follows a script; the last reply is given for ever.
pub(super) struct Fake {
    pub(super) address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub(super) async fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let replies: Vec<Reply> = replies.into_iter().collect();
        tokio::spawn(async move {
            for turn in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = request(&mut stream).await;
                seen.lock().unwrap().push(request);
                let reply = replies[turn.min(replies.len() - 1)].clone();
                tokio::spawn(follow(reply, stream));
            }
        });
        Self { address, requests }
    }

    /// The lines of all requests so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.requests().len()
    }
}

/// Head and body.
async fn request(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    let mut request = String::from_utf8(head).unwrap();
    let length = request
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    let _ = stream.read_exact(&mut body).await;
    request.push_str(&String::from_utf8(body).unwrap());
    request
}

async fn follow(reply: Reply, mut stream: TcpStream) {
    match reply {
        Reply::Send(bytes) => {
            let _ = stream.write_all(&bytes).await;
        }
        Reply::Hang(start) => {
            let _ = stream.write_all(start.as_bytes()).await;
            // Ends when the client gives up.
            let _ = stream.read_u8().await;
        }
        Reply::Trickle(start) => {
            let _ = stream.write_all(start.as_bytes()).await;
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

pub(super) fn response(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    Reply::Send([head.as_bytes(), body].concat())
}

pub(super) fn json(body: &str) -> Reply {
    response("200 OK", "Content-Type: application/json\r\n", body)
}

pub(super) fn text(body: &str) -> Reply {
    response("200 OK", "Content-Type: text/plain\r\n", body)
}

pub(super) fn html(status: &str) -> Reply {
    response(
        status,
        "Content-Type: text/html;charset=UTF-8\r\n",
        "<html></html>",
    )
}

pub(super) fn redirect(to: &str) -> Reply {
    response("302 Found", &format!("Location: {to}\r\n"), "")
}

pub(super) const APPS: &str = r#"{"apps":[{"id":"/a"}]}"#;
/// `APPS`, compressed.
pub(super) const APPS_GZIP: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\x2c\x28\x28\x56\
    \xb2\x8a\xae\x56\xca\x4c\x51\xb2\x52\xd2\x4f\x54\xaa\x8d\xad\x05\x00\xd9\xe0\x46\xb0\x16\x00\
    \x00\x00";
/// 4096 blanks, compressed to 40 bytes.
pub(super) const BLANKS_GZIP: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x01\x0d\x00\x00\x00\
    \xc2\xa0\x2a\xef\x9f\xd2\x1e\x0e\x28\x00\x00\x00\xe0\xdd\x00\x22\xe8\x23\xa5\x00\x10\x00\x00";
pub(super) const GZIP: &str = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";

pub(super) fn config<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> config::Marathon {
    config::Marathon {
        urls: urls.into_iter().map(Into::into).collect(),
        ca_cert: None,
        insecure: false,
        client_cert: None,
        client_key: None,
        credentials: config::Credentials::None,
        proxy_from_environment: false,
        connect_timeout: Duration::from_secs(20),
        read_timeout: Duration::from_secs(20),
        fetch_timeout: Duration::from_secs(40),
        max_body: 1000,
        max_backoff: Duration::from_secs(300),
    }
}

pub(super) fn client(fakes: &[&Fake]) -> Client {
    Client::new(&config(fakes.iter().map(|fake| fake.address.clone()))).unwrap()
}

/// A port where nobody listens.
pub(super) async fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

/// What the answer says, in short.
pub(super) fn said(answer: &Answer) -> String {
    match &answer.cluster {
        Cluster::Apps(snapshot) => {
            let ids: Vec<_> = snapshot.apps().iter().map(|app| app.id.as_str()).collect();
            format!("apps {}", ids.join(" "))
        }
        Cluster::Endpoints(ports) => {
            let ports: Vec<_> = ports
                .iter()
                .map(|port| format!("{}:{}", port.app, port.service_port))
                .collect();
            format!("ports {}", ports.join(" "))
        }
        Cluster::AsBefore => "as before".to_owned(),
    }
}
