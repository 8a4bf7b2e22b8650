//! Servers that really answer: what the tasks of the built-in Marathon stand for.
//!
//! In come requests, mostly through HAProxy; out go answers that say which instance gave them,
//! and counts of what came when. An instance goes the way of a task:
//!
//! ```text
//! warming ─▶ serving ─▶ draining ─▶ stopped
//! ```

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse as _, Response};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use super::thread::RuntimeThread;
use super::wait::{self, Late};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Requests of this path are checks of health: answered while it serves, and not counted as work.
pub const HEALTH_PATH: &str = "/health";

/// What an instance speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Http,
    Lines,
}

/// An instance that is about to be.
#[must_use = "an instance answers only once it is started"]
#[derive(Clone, Debug)]
pub struct Instance {
    name: String,
    speaks: Speaks,
    delay: Duration,
}

impl Instance {
    /// Answers any request with 200, its name in the body and in the header `X-Instance`.
    pub fn http(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            speaks: Speaks::Http,
            delay: Duration::ZERO,
        }
    }

    /// Answers each line with a line that holds its name.
    pub fn tcp(name: &str) -> Self {
        Self {
            speaks: Speaks::Lines,
            ..Self::http(name)
        }
    }

    /// Takes this long for every request.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// An instance that serves.
    ///
    /// # Errors
    /// When there is no port, thread or runtime to be had.
    pub fn start(self) -> io::Result<Backend> {
        let mut backend = self.warm_up()?;
        backend.serve()?;
        Ok(backend)
    }

    /// An instance that has its port but refuses connections, as a process does that is still
    /// busy starting.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub fn warm_up(self) -> io::Result<Backend> {
        let socket = bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Backend {
            address: socket.local_addr()?,
            socket: Some(socket),
            thread: None,
            work: Arc::new(Work {
                instance: self,
                load: watch::Sender::default(),
                phase: watch::Sender::new(Phase::Warming),
            }),
        })
    }
}

/// Where an instance is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Connections are refused.
    Warming,
    /// Requests are answered.
    Serving,
    /// Requests are still answered, each with the wish that the connection may end; none should
    /// come any more.
    Draining,
    /// Connections are refused again.
    Stopped,
}

/// What an instance has to do. In TCP a request is a line, and a connection is in flight from
/// its first line on: a check of health says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests answered.
    pub served: u64,
    /// Requests begun and not yet answered; over TCP, connections that have spoken.
    pub in_flight: usize,
    /// Of those served, the ones that began after draining did.
    pub late: u64,
}

/// A drain that found no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StillBusy {
    /// What was going on when the time was over.
    pub load: Load,
    /// How long it was waited for.
    pub within: Duration,
}

impl fmt::Display for StillBusy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the instance still had work after {:?}: {:?}",
            self.within, self.load
        )
    }
}

impl std::error::Error for StillBusy {}

/// An instance on a port of 127.0.0.1. Dropping it ends it at once.
pub struct Backend {
    address: SocketAddr,
    /// Bound and not yet listening: the port is held, and connections are refused.
    socket: Option<TcpSocket>,
    thread: Option<RuntimeThread>,
    work: Arc<Work>,
}

impl Backend {
    /// The name in its answers.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.work.instance.name
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port of [`Self::address`].
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where it is on its way.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.work.phase.borrow()
    }

    /// What it has done and has to do.
    #[must_use]
    pub fn load(&self) -> Load {
        *self.work.load.borrow()
    }

    /// Begins to answer; one that was stopped begins anew on the same port. Connections are
    /// accepted from when this returns.
    ///
    /// # Errors
    /// When there is no thread or runtime to be had, or the port has gone to somebody else.
    pub fn serve(&mut self) -> io::Result<()> {
        if self.thread.is_some() {
            return Ok(());
        }
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => bind(self.address)?,
        };
        let work = Arc::clone(&self.work);
        let (listening, heard) = std::sync::mpsc::channel();
        let thread = RuntimeThread::start("demo-backend", move |_| async move {
            let listener = match socket.listen(BACKLOG) {
                Ok(listener) => listener,
                Err(error) => {
                    let _ = listening.send(Err(error));
                    return;
                }
            };
            let _ = listening.send(Ok(()));
            match work.instance.speaks {
                Speaks::Http => serve_http(listener, work).await,
                Speaks::Lines => serve_lines(listener, work).await,
            }
        })?;
        heard
            .recv()
            .unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))?;
        self.thread = Some(thread);
        self.work.phase.send_replace(Phase::Serving);
        Ok(())
    }

    /// Waits until no request is in flight and none has come for `quiet`. It goes on answering:
    /// that nothing comes is the work of whoever sends requests.
    ///
    /// # Errors
    /// When that has not happened after `within`.
    pub async fn drain(&self, quiet: Duration, within: Duration) -> Result<(), StillBusy> {
        self.work.phase.send_replace(Phase::Draining);
        let mut load = self.work.load.subscribe();
        let drained = async {
            loop {
                // The sender lives in `self`.
                let _ = load.wait_for(|load| load.in_flight == 0).await;
                if tokio::time::timeout(quiet, load.changed()).await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(within, drained)
            .await
            .map_err(|_| StillBusy {
                load: self.load(),
                within,
            })
    }

    /// Closes the port and all connections at once, drained or not.
    pub fn stop(&mut self) {
        self.socket = None;
        self.thread = None;
        self.work.phase.send_replace(Phase::Stopped);
    }

    /// Waits until `n` requests have been answered since the start.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub async fn wait_served(&self, n: u64, within: Duration) -> Result<(), Late> {
        let expected = format!("{n} requests answered by `{}`", self.name());
        wait::until(self.work.load.subscribe(), within, expected, |load| {
            load.served >= n
        })
        .await
    }

    /// Waits until at least `n` requests are in flight.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub async fn wait_in_flight(&self, n: usize, within: Duration) -> Result<(), Late> {
        let expected = format!("{n} requests in flight at `{}`", self.name());
        wait::until(self.work.load.subscribe(), within, expected, |load| {
            load.in_flight >= n
        })
        .await
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections of an earlier life that linger must not keep the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// What the connections of an instance share.
struct Work {
    instance: Instance,
    load: watch::Sender<Load>,
    phase: watch::Sender<Phase>,
}

impl Work {
    fn is_draining(&self) -> bool {
        *self.phase.borrow() == Phase::Draining
    }

    fn begin(self: &Arc<Self>) -> InFlight {
        self.load.send_modify(|load| load.in_flight += 1);
        InFlight(Arc::clone(self))
    }

    async fn take_time(&self) {
        // Even a sleep of nothing would wait for the timer's next millisecond.
        if !self.instance.delay.is_zero() {
            tokio::time::sleep(self.instance.delay).await;
        }
    }

    fn served(&self, late: bool) {
        self.load.send_modify(|load| {
            load.served += 1;
            load.late += u64::from(late);
        });
    }
}

/// In flight until dropped: a client that hangs up ends it as well as an answer does.
struct InFlight(Arc<Work>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.load.send_modify(|load| load.in_flight -= 1);
    }
}

async fn serve_http(listener: TcpListener, work: Arc<Work>) {
    let router = Router::new().fallback(answer).with_state(work);
    // It ends with its thread.
    let _ = axum::serve(listener, router).await;
}

async fn answer(State(work): State<Arc<Work>>, request: Request) -> Response {
    // HAProxy's checks use OPTIONS where nothing else is configured.
    if request.uri().path() == HEALTH_PATH || request.method() == Method::OPTIONS {
        return "healthy\n".into_response();
    }
    let late = work.is_draining();
    let in_flight = work.begin();
    work.take_time().await;
    let name = work.instance.name.clone();
    let mut response = ([("x-instance", name.clone())], format!("{name}\n")).into_response();
    if work.is_draining() {
        let close = header::HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    work.served(late);
    drop(in_flight);
    response
}

async fn serve_lines(listener: TcpListener, work: Arc<Work>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(answer_lines(stream, Arc::clone(&work)));
            }
            // What can fail here is the client, or the limit of open files: both pass.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn answer_lines(mut stream: TcpStream, work: Arc<Work>) {
    let _ = stream.set_nodelay(true);
    let (from, mut to) = stream.split();
    let mut lines = BufReader::new(from).lines();
    let answer = format!("{}\n", work.instance.name);
    let mut in_flight = None;
    while let Ok(Some(_)) = lines.next_line().await {
        in_flight.get_or_insert_with(|| work.begin());
        let late = work.is_draining();
        work.take_time().await;
        if to.write_all(answer.as_bytes()).await.is_err() {
            break;
        }
        work.served(late);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::demo::client::{Client, Requests};

    const SOON: Duration = Duration::from_secs(10);
    const QUIET: Duration = Duration::from_millis(200);

    async fn get(backend: &Backend, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(backend.address()).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    async fn busy(backend: &Backend) -> Client {
        let requests = match backend.work.instance.speaks {
            Speaks::Http => Requests::http(backend.address()),
            Speaks::Lines => Requests::tcp(backend.address()),
        };
        let client = requests.keep_alive().start().unwrap();
        client.answered_more(3, SOON).await.unwrap();
        client
    }

    #[tokio::test]
    async fn an_answer_names_its_instance() {
        let backend = Instance::http("web-1").start().unwrap();
        let answer = get(&backend, "/any").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\nx-instance: web-1\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nweb-1\n"), "{answer}");
        backend.wait_served(1, SOON).await.unwrap();
        assert_eq!(backend.load().in_flight, 0);
    }

    #[tokio::test]
    async fn checks_of_health_are_no_work() {
        let http = Instance::http("web-1").start().unwrap();
        assert!(get(&http, HEALTH_PATH).await.unwrap().contains(" 200 OK"));
        let tcp = Instance::tcp("db-1").start().unwrap();
        drop(TcpStream::connect(tcp.address()).await.unwrap());
        get(&http, "/").await.unwrap();
        assert_eq!(http.load().served, 1);
        assert_eq!(tcp.load(), Load::default());
    }

    #[tokio::test]
    async fn a_warming_instance_refuses_and_keeps_its_port() {
        for instance in [Instance::http("web-1"), Instance::tcp("db-1")] {
            let mut backend = instance.warm_up().unwrap();
            assert_eq!(backend.phase(), Phase::Warming);
            let address = backend.address();
            let refused = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            backend.serve().unwrap();
            assert_eq!(
                (backend.phase(), backend.address()),
                (Phase::Serving, address)
            );
            drop(busy(&backend).await);
            backend.stop();
            assert_eq!(backend.phase(), Phase::Stopped);
            let refused = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            backend.serve().unwrap();
            drop(busy(&backend).await);
        }
    }

    #[tokio::test]
    async fn a_drain_ends_once_nothing_comes_any_more() {
        for instance in [Instance::http("web-1"), Instance::tcp("db-1")] {
            let backend = instance.start().unwrap();
            let client = busy(&backend).await;
            let busy = backend.drain(QUIET, QUIET * 2).await;
            assert!(busy.is_err(), "{}", backend.name());
            assert!(backend.load().late > 0, "{}", backend.name());
            let report = client.stop().await;
            assert_eq!((report.failed(), report.stale), (0, 0), "{report}");
            backend.drain(QUIET, SOON).await.unwrap();
            assert_eq!(backend.load().in_flight, 0);
        }
    }

    #[tokio::test]
    async fn a_drain_waits_for_what_is_in_flight() {
        let slow = Duration::from_millis(300);
        let backend = Instance::http("web-1").delay(slow).start().unwrap();
        let began = Instant::now();
        let client = Requests::http(backend.address()).start().unwrap();
        backend.wait_in_flight(1, SOON).await.unwrap();
        let (drained, report) = tokio::join!(backend.drain(QUIET, SOON), client.stop());
        drained.unwrap();
        assert!(began.elapsed() >= slow);
        assert_eq!((report.answered, report.failed()), (1, 0), "{report}");
        assert_eq!((backend.load().served, backend.load().late), (1, 0));
    }
}
