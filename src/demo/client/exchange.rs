//! One request and its answer over a plain socket.
//!
//! A client library would retry, pool and rename failures; what is counted here is exactly what
//! came over the wire.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{Failure, Requests, Speaks};

/// No head of an instance or of HAProxy comes near.
const MAX_HEAD: usize = 16 * 1024;
/// Nor does a body.
const MAX_BODY: u64 = 1024 * 1024;

type Connection = BufReader<TcpStream>;

/// What one request leaves for the next.
#[derive(Default)]
pub(super) struct Kept {
    connection: Option<Connection>,
    /// `name=value`, as it was set last.
    cookie: Option<String>,
    /// Who answered last.
    instance: Option<String>,
}

/// What became of a request.
pub(super) struct Outcome {
    /// The name of the instance that answered.
    pub(super) result: Result<String, Failure>,
    /// Whether the kept connection was found closed, and a new one taken.
    pub(super) was_stale: bool,
    /// Whether another instance answered than the one to which a cookie binds.
    pub(super) has_moved: bool,
}

/// Sends one request, over the kept connection where there is one, and leaves there what can be
/// kept for the next.
pub(super) async fn exchange(requests: &Requests, kept: &mut Kept) -> Outcome {
    let mut was_stale = false;
    let text = request_text(requests, kept.cookie.as_deref());
    let asked = async {
        if let Some(connection) = kept.connection.take() {
            match ask(requests.speaks, &text, connection).await {
                Err(Broken { started: false, .. }) => was_stale = true,
                asked => return asked.map_err(|broken| broken.failure),
            }
        }
        let connection = connect(requests.target)
            .await
            .map_err(|error| Failure::of(&error))?;
        let asked = ask(requests.speaks, &text, connection).await;
        asked.map_err(|broken| broken.failure)
    };
    let asked = tokio::time::timeout(requests.timeout, asked).await;
    let mut has_moved = false;
    let result = match asked {
        Err(_) => Err(Failure::Timeout),
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(answer)) => {
            if requests.keeps_connections {
                kept.connection = answer.connection;
            }
            if requests.keeps_cookies {
                kept.cookie = answer.cookie.or(kept.cookie.take());
                let before = kept.instance.replace(answer.instance.clone());
                has_moved = before.is_some_and(|before| before != answer.instance);
            }
            Ok(answer.instance)
        }
    };
    Outcome {
        result,
        was_stale,
        has_moved,
    }
}

fn request_text(requests: &Requests, cookie: Option<&str>) -> String {
    let Requests { path, host, .. } = requests;
    let close = if requests.keeps_connections {
        ""
    } else {
        "Connection: close\r\n"
    };
    let cookie = cookie.map(|cookie| format!("Cookie: {cookie}\r\n"));
    let cookie = cookie.unwrap_or_default();
    match requests.speaks {
        Speaks::Lines => "who\n".to_owned(),
        Speaks::Http => format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{close}{cookie}\r\n"),
    }
}

async fn connect(target: SocketAddr) -> io::Result<Connection> {
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

struct Answer {
    instance: String,
    /// The one that it sets.
    cookie: Option<String>,
    /// Absent where the other side does not keep it.
    connection: Option<Connection>,
}

struct Broken {
    failure: Failure,
    /// Whether a byte of the answer had come.
    started: bool,
}

async fn ask(speaks: Speaks, text: &str, mut connection: Connection) -> Result<Answer, Broken> {
    let before = |error: io::Error| Broken {
        failure: Failure::of(&error),
        started: false,
    };
    let after = |failure: Failure| Broken {
        failure,
        started: true,
    };
    connection
        .write_all(text.as_bytes())
        .await
        .map_err(before)?;
    if connection.fill_buf().await.map_err(before)?.is_empty() {
        return Err(before(io::ErrorKind::UnexpectedEof.into()));
    }
    let read = match speaks {
        Speaks::Lines => read_line(connection).await,
        Speaks::Http => read_http(connection).await,
    };
    read.map_err(after)
}

async fn read_line(mut connection: Connection) -> Result<Answer, Failure> {
    let mut line = String::new();
    let mut limited = (&mut connection).take(MAX_HEAD as u64);
    limited
        .read_line(&mut line)
        .await
        .map_err(|error| Failure::of(&error))?;
    let instance = line.strip_suffix('\n').ok_or(Failure::Eof)?.to_owned();
    Ok(Answer {
        instance,
        cookie: None,
        connection: Some(connection),
    })
}

async fn read_http(mut connection: Connection) -> Result<Answer, Failure> {
    let head = read_head(&mut connection).await?;
    let body = match head.length {
        Some(length) if length <= MAX_BODY => {
            let mut body = (&mut connection).take(length);
            tokio::io::copy(&mut body, &mut tokio::io::sink()).await
        }
        Some(_) => return Err(Failure::Malformed),
        // It lasts as long as the connection.
        None => {
            let mut body = (&mut connection).take(MAX_BODY);
            tokio::io::copy(&mut body, &mut tokio::io::sink()).await
        }
    };
    let read = body.map_err(|error| Failure::of(&error))?;
    if head.length.is_some_and(|length| read < length) {
        return Err(Failure::Eof);
    }
    if head.status != 200 {
        return Err(Failure::Status(head.status));
    }
    let is_kept = head.length.is_some() && !head.closes;
    Ok(Answer {
        instance: head.instance.ok_or(Failure::Malformed)?,
        cookie: head.cookie,
        connection: is_kept.then_some(connection),
    })
}

struct Head {
    status: u16,
    instance: Option<String>,
    cookie: Option<String>,
    length: Option<u64>,
    closes: bool,
}

async fn read_head(connection: &mut Connection) -> Result<Head, Failure> {
    let mut text = String::new();
    loop {
        let line_start = text.len();
        let mut limited = (&mut *connection).take(MAX_HEAD as u64);
        limited
            .read_line(&mut text)
            .await
            .map_err(|error| Failure::of(&error))?;
        if text.len() > MAX_HEAD {
            return Err(Failure::Malformed);
        }
        match &text[line_start..] {
            "\r\n" | "\n" => break,
            line if !line.ends_with('\n') => return Err(Failure::Eof),
            _ => (),
        }
    }
    parse_head(&text).ok_or(Failure::Malformed)
}

/// `None` for what is no HTTP/1, or uses a coding that no instance uses.
fn parse_head(text: &str) -> Option<Head> {
    let mut lines = text.lines();
    let mut status_line = lines.next()?.splitn(3, ' ');
    let version = status_line.next()?;
    if !version.starts_with("HTTP/1.") {
        return None;
    }
    let mut head = Head {
        status: status_line.next()?.parse().ok()?,
        instance: None,
        cookie: None,
        length: None,
        closes: version == "HTTP/1.0",
    };
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "x-instance" => head.instance = Some(value.to_owned()),
            "set-cookie" => head.cookie = value.split(';').next().map(str::to_owned),
            "content-length" => head.length = Some(value.parse().ok()?),
            "connection" => head.closes = value.eq_ignore_ascii_case("close"),
            "transfer-encoding" => return None,
            _ => (),
        }
    }
    Some(head)
}
