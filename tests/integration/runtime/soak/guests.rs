//! What some variants have beside: TLS, web sockets, a stand-in for systemd.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Marathon, Task};
use rcgen::ExtendedKeyUsagePurpose;

use super::super::LONG;
use super::super::cluster::Scene;
use crate::host::{Host, on_port};
use crate::support::haproxy;
use crate::tls::{Authority, Door};

const HTTPS: &str = include_str!("../../../../templates/native/https_in.cfg.tera");

/// Port 443 for clients that speak no TLS themselves.
pub(super) struct Veil {
    door: Door,
    certificate: String,
}

impl Veil {
    pub(super) fn over(scene: &Scene) -> Self {
        let port = free_ports(1).unwrap()[0];
        let authority = Authority::new();
        let issued = authority.issue("web.test", ExtendedKeyUsagePurpose::ServerAuth);
        let both = format!("{}{}", issued.certificate, issued.key);
        let certificate = scene.host.write("certs/web.pem", &both);
        let text = on_port(HTTPS, "*:443", port);
        scene.host.write("templates/https_in.cfg.tera", &text);
        let target = (Ipv4Addr::LOCALHOST, port).into();
        Self {
            door: Door::veil(target, &authority, "web.test"),
            certificate: certificate.display().to_string(),
        }
    }

    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.door.address()
    }
}

/// Web sockets of an app with two tasks, one of which goes.
pub(super) struct Tunnels {
    open: Vec<BufReader<TcpStream>>,
    /// The task that goes.
    task: Option<String>,
}

impl Tunnels {
    pub(super) fn deploy(scene: &Scene) -> Self {
        let own = free_ports(1).unwrap()[0];
        let app = App::new("/ws")
            .service_port(own)
            .label("HAPROXY_0_VHOST", "ws.test")
            .label("HAPROXY_0_BIND_ADDR", "127.0.0.1");
        let app = app.task(Task::local(echo())).task(Task::local(echo()));
        let marathon = &scene.marathon;
        marathon.deploy(app);
        let task = marathon.app("/ws").unwrap().tasks()[0].id().to_owned();
        Self {
            open: Vec::new(),
            task: Some(task),
        }
    }

    /// Two to each task, in turns.
    pub(super) fn opened(mut self, http: u16) -> Self {
        for _ in 0..4 {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, http)).unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            let mut stream = BufReader::new(stream);
            let request = "GET /chat HTTP/1.1\r\nHost: ws.test\r\nConnection: Upgrade\r\n\
                           Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
            stream.get_mut().write_all(request.as_bytes()).unwrap();
            let head = head(&mut stream).unwrap();
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            self.open.push(stream);
        }
        self
    }

    /// What is said in each of them comes back.
    #[track_caller]
    pub(super) fn are_open(&mut self) {
        for stream in &mut self.open {
            stream.get_mut().write_all(b"hello\n").unwrap();
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            assert_eq!(line, "hello\n", "a WebSocket was cut");
        }
    }

    /// Nobody new is led to one of its tasks.
    pub(super) fn lose_a_server(&mut self, marathon: &Marathon) {
        marathon.begin_kill(&self.task.take().unwrap()).unwrap();
    }
}

/// The lines up to the blank one; `None` where the connection ends before.
fn head(stream: &mut impl std::io::BufRead) -> Option<String> {
    let mut head = String::new();
    loop {
        let begin = head.len();
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if head[begin..].trim_end().is_empty() {
            return Some(head);
        }
    }
}

/// A server that agrees to every upgrade and says everything back; its port. It ends with the tests.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || say_back(stream));
        }
    });
    port
}

fn say_back(stream: TcpStream) -> Option<()> {
    let mut stream = BufReader::new(stream);
    head(&mut stream)?;
    let agreed = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                  Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    stream.get_mut().write_all(agreed.as_bytes()).ok()?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        stream.get_mut().write_all(line.as_bytes()).ok()?;
    }
}

/// `systemctl` for the unit of Debian: it checks the file and signals the master. It writes down what it
/// was asked.
pub(super) struct Systemd {
    folder: PathBuf,
    asked: PathBuf,
    /// How often it was to reload before anything changed.
    at_first: usize,
}

impl Systemd {
    pub(super) fn stand_in(host: &Host) -> Self {
        let (asked, pid) = (host.path("asked"), host.path("run/pid"));
        let script = format!(
            "#!/bin/sh\n\
             echo \"$*\" >> '{}'\n\
             pid=$(head -n 1 '{}')\n\
             case \"$*\" in\n\
             show*) echo ActiveState=active; echo \"MainPID=$pid\" ;;\n\
             'reload haproxy') '{}' -q -c -f '{}' && kill -USR2 \"$pid\" ;;\n\
             *) exit 1 ;;\n\
             esac\n",
            asked.display(),
            pid.display(),
            haproxy().display(),
            host.cfg().display(),
        );
        let path = host.write("systemd/systemctl", &script);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            folder: host.path("systemd"),
            asked,
            at_first: 0,
        }
    }

    /// Where programs are looked for first.
    pub(super) fn search_path(&self) -> &Path {
        &self.folder
    }

    /// The first turn, which knows nothing of the process that it finds, is over.
    pub(super) fn begin(&mut self) {
        self.at_first = self.reloads();
    }

    pub(super) fn reloads(&self) -> usize {
        let asked = fs::read_to_string(&self.asked).unwrap();
        asked
            .lines()
            .filter(|line| *line == "reload haproxy")
            .count()
            - self.at_first
    }
}
