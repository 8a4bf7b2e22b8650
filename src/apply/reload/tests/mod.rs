//! Reloads of the real HAProxy, each in a folder of its own.

mod masters;
mod services;
mod takeover;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;
use crate::config::ReloadMethod;
use crate::haproxy::socket::show_info;
use crate::haproxy::{Role, program};

const LIMIT: Duration = Duration::from_secs(30);

/// A folder with a configuration, and all HAProxy processes that were started from it: they end
/// with this value, also when a test panics.
struct Host {
    folder: tempfile::TempDir,
    port: u16,
    master: Option<Child>,
    context: Context,
}

impl Drop for Host {
    fn drop(&mut self) {
        for process in self.context.proc.using(&self.context.config) {
            _ = kill(Pid::from_raw(process.pid.cast_signed()), Signal::SIGKILL);
        }
        if let Some(mut master) = self.master.take() {
            _ = master.kill();
            _ = master.wait();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = program::find(Path::new("haproxy")).unwrap();
        let config = folder.path().join("haproxy.cfg");
        let mut context = Context::new(&program, &config, &folder.path().join("pid"), LIMIT);
        context.stats_socket = Some(folder.path().join("stats.sock"));
        let host = Self {
            folder,
            port: free_port(),
            master: None,
            context,
        };
        host.install("first", "");
        host
    }

    /// Writes a configuration that answers on `port`, with `more` behind it.
    fn install(&self, description: &str, more: &str) {
        let socket = self
            .context
            .stats_socket
            .clone()
            .unwrap_or_else(|| self.file("unused.sock"));
        let text = format!(
            "global\n  stats socket {} mode 600 level admin expose-fd listeners\n  \
             description {description}\n\
             defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n\
             frontend f\n  bind 127.0.0.1:{}\n  http-request return status 200\n{more}",
            socket.display(),
            self.port
        );
        fs::write(&self.context.config, text).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn reload(&self, method: &Method) -> Result<Reloaded, ReloadError> {
        reload(method, &self.context).await
    }

    async fn new_pid(&self, method: &Method) -> u32 {
        match self.reload(method).await {
            Ok(
                Reloaded::Started { pid }
                | Reloaded::TookOver { pid }
                | Reloaded::Done(Verified::NewProcess { pid }),
            ) => pid,
            other => panic!("{method}: {other:?}"),
        }
    }

    /// Starts a master with a worker, and waits until it answers.
    async fn start_master(&mut self) -> u32 {
        let child = Command::new(&self.context.program)
            .arg("-W")
            .args(["-S".as_ref(), self.file("master.sock").as_os_str()])
            .args(["-p".as_ref(), self.context.pid_file.as_os_str()])
            .args(["-f".as_ref(), self.context.config.as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = child.id();
        self.master = Some(child);
        let deadline = Instant::now() + LIMIT;
        let socket = self.file("stats.sock");
        while show_info(&socket, LIMIT).await.is_err()
            || self
                .context
                .proc
                .of_pid_file(&self.context.pid_file)
                .is_empty()
        {
            assert!(Instant::now() < deadline, "the master does not start");
            looks_again().await;
        }
        self.master_waits().await;
        pid
    }

    /// The master executes itself anew once its worker runs, and loses a signal meanwhile.
    async fn master_waits(&self) {
        workers::answers(
            &self.file("master.sock"),
            tokio::time::Instant::now() + LIMIT,
        )
        .await
        .unwrap();
    }

    async fn serving(&self) -> u32 {
        show_info(&self.file("stats.sock"), LIMIT)
            .await
            .unwrap()
            .pid
    }

    fn answers(&self) -> bool {
        request(self.port)
    }
}

/// Leaves the processor to HAProxy and the clients between two looks at them.
async fn looks_again() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

/// Whether one request on a new connection is answered.
fn request(port: u16) -> bool {
    let answer = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    answer().is_ok_and(|answer| answer.contains(" 200 "))
}
