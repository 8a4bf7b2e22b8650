//! What operators do and see: `diff`, `check`, `status`, `rollback`, `pause` and `resume`, `logged`,
//! and where the log goes.

mod access;
mod change;
mod kept;
mod log;
mod look;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::haproxy::Proc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::support::{Done, Test};

const SOON: Duration = Duration::from_secs(20);
const HEADER: &str = include_str!("../../../templates/bridge/header.cfg.tera");
const LISTEN: &str = include_str!("../../../templates/bridge/listen.cfg.tera");

/// A host whose Marathon is a file, and whose reload is a command that ends well.
struct Host {
    test: Test,
}

impl Drop for Host {
    fn drop(&mut self) {
        for process in Proc::default().using(&self.path("etc/haproxy.cfg")) {
            let _ = kill(Pid::from_raw(process.pid.cast_signed()), Signal::SIGKILL);
        }
    }
}

impl Host {
    fn new() -> Self {
        let stats = free_ports(1).unwrap()[0];
        let header = HEADER.replace("127.0.0.1:9090", &format!("127.0.0.1:{stats}"));
        let listen = LISTEN.replace("{{ listen.bind.address }}", "127.0.0.1");
        assert!(header != HEADER && listen != LISTEN);
        let test = Test::bridge()
            .file("etc/.keep", "")
            .file("templates/header.cfg.tera", header)
            .file("templates/listen.cfg.tera", listen)
            .env("HMB_MARATHON", "file:apps.json")
            .env("HMB_HAPROXY_CONFIG", "etc/haproxy.cfg")
            .env("HMB_TEMPLATE_DIR", "templates")
            .env("HMB_PID_FILE", "pid")
            .env("USER", "joe");
        Self { test }
    }

    /// With these apps, as id, service port and number of tasks.
    fn serving(apps: &[(&str, u16, u16)]) -> Self {
        let host = Self::new();
        host.serve(apps);
        host
    }

    fn serve(&self, apps: &[(&str, u16, u16)]) {
        let task = |id: &str, number: u16| {
            json!({"id": format!("{id}.{number}"), "host": "127.0.0.1", "ports": [31000 + number],
                   "state": "TASK_RUNNING"})
        };
        let app = |(id, service_port, tasks): &(&str, u16, u16)| {
            let tasks: Vec<Value> = (0..*tasks).map(|number| task(id, number)).collect();
            json!({"id": id, "ports": [service_port], "tasks": tasks})
        };
        let apps: Vec<Value> = apps.iter().map(app).collect();
        fs::write(self.path("apps.json"), json!({ "apps": apps }).to_string()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.test.path().join(name)
    }

    fn installed(&self) -> String {
        fs::read_to_string(self.path("etc/haproxy.cfg")).unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.test.command();
        command.env("HMB_RELOAD_COMMAND", "true").args(words);
        command
    }

    fn call(&self, words: &[&str]) -> Done {
        done(&mut self.command(words))
    }

    fn status(&self) -> (i32, Value) {
        let done = self.call(&["status", "--json"]);
        let text = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{done:#?}"));
        (done.status.code().unwrap(), text)
    }

    /// A syslog in its folder.
    fn syslog(&self) -> Syslog {
        Syslog::at(self.path("log"))
    }
}

fn done(command: &mut Command) -> Done {
    let output = command.output().unwrap();
    Done {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Takes what comes at once, as a socket holds but a few datagrams.
struct Syslog {
    place: PathBuf,
    came: Receiver<String>,
}

impl Syslog {
    /// Ends a list of messages.
    const END: &str = "end";

    fn at(place: PathBuf) -> Self {
        let socket = UnixDatagram::bind(&place).unwrap();
        let (sender, came) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(length) = socket.recv(&mut buffer) {
                let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self { place, came }
    }

    /// All that was sent before.
    fn messages(&self) -> Vec<String> {
        let socket = UnixDatagram::unbound().unwrap();
        socket.send_to(Self::END.as_bytes(), &self.place).unwrap();
        let next = || self.came.recv_timeout(SOON).unwrap();
        std::iter::repeat_with(next)
            .take_while(|message| message != Self::END)
            .collect()
    }
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}
