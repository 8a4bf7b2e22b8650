//! A Marathon with tasks that answer, and those who ask them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use haproxy_marathon_bridge::demo::backend::{Backend, Instance};
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Era, Marathon, Task};

use super::SOON;

/// A Marathon with the app `/web`, whose tasks really answer, and the port to reach them by.
pub(crate) struct Web {
    pub(crate) marathon: Marathon,
    pub(crate) port: u16,
    backends: Vec<Backend>,
}

impl Web {
    /// Of one task.
    pub(crate) fn start() -> Self {
        Self::of(Era::V1_8)
    }

    /// The same of another version.
    pub(crate) fn of(era: Era) -> Self {
        let marathon = Marathon::start(era).unwrap();
        let port = free_ports(1).unwrap()[0];
        let backend = Instance::tcp("web-0").start().unwrap();
        let app = App::new("/web").service_port(port);
        marathon.deploy(app.task(Task::local(backend.port())));
        Self {
            marathon,
            port,
            backends: vec![backend],
        }
    }

    pub(crate) fn url(&self) -> [String; 1] {
        [self.marathon.url()]
    }

    /// Where HAProxy serves it.
    pub(crate) fn target(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// One more task; its id.
    pub(crate) fn scale_up(&mut self) -> String {
        let name = format!("web-{}", self.backends.len());
        let backend = Instance::tcp(&name).start().unwrap();
        let task = Task::local(backend.port());
        self.backends.push(backend);
        self.marathon.scale_up("/web", [task]).unwrap().remove(0)
    }

    /// Where the task that came last answers.
    pub(crate) fn newest_address(&self) -> String {
        self.backends[self.backends.len() - 1].address().to_string()
    }

    /// A connection through HAProxy that an instance has answered on.
    pub(crate) fn connect(&self) -> Talk {
        let stream = TcpStream::connect(self.target()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut talk = Talk(BufReader::new(stream));
        talk.ask();
        talk
    }
}

/// A connection to an instance.
pub(crate) struct Talk(BufReader<TcpStream>);

impl Talk {
    /// A line and its answer: the name of the instance.
    pub(crate) fn ask(&mut self) -> String {
        self.0.get_mut().write_all(b"who\n").unwrap();
        let mut answer = String::new();
        self.0.read_line(&mut answer).unwrap();
        assert!(answer.ends_with('\n'), "the connection ended: {answer:?}");
        answer.trim_end().to_owned()
    }
}

/// A line to whoever serves at `target`, and the name of the instance that answers; `None` where
/// the connection is refused or breaks.
pub(crate) fn ask_once(target: SocketAddr) -> Option<String> {
    let stream = TcpStream::connect(target).ok()?;
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(b"who\n").ok()?;
    let mut answer = String::new();
    stream.read_line(&mut answer).ok()?;
    Some(answer.strip_suffix('\n')?.to_owned())
}
