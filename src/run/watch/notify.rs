//! What systemd is told: that we are ready, that we are at work, and that we live.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::task::JoinHandle;
use tracing::debug;

/// Where it wants to be told, if anywhere. What is not heard there is lost without harm.
pub(super) struct Notify {
    socket: Option<UnixDatagram>,
    is_ready: bool,
    status: Option<String>,
    watchdog: Option<JoinHandle<()>>,
}

impl Drop for Notify {
    fn drop(&mut self) {
        if let Some(watchdog) = &self.watchdog {
            watchdog.abort();
        }
    }
}

impl Notify {
    /// As systemd says in `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`. Has to be called within
    /// a runtime of tokio.
    pub(super) fn from_environment() -> Self {
        let place = std::env::var_os("NOTIFY_SOCKET");
        let socket = place.and_then(|place| {
            connect(&place)
                .inspect_err(|error| debug!("systemd cannot be told anything: {error}"))
                .ok()
        });
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let of = number("WATCHDOG_PID").unwrap_or_else(|| u64::from(process::id()));
        let limit = number("WATCHDOG_USEC")
            .filter(|usec| 0 < *usec && of == u64::from(process::id()))
            .map(Duration::from_micros);
        let watchdog = limit.zip(socket.as_ref().and_then(|socket| socket.try_clone().ok()));
        Self {
            socket,
            is_ready: false,
            status: None,
            // It shares our only thread, and falls silent where that does not come back.
            watchdog: watchdog.map(|(limit, socket)| {
                tokio::spawn(async move {
                    let mut beats = tokio::time::interval(limit / 2);
                    loop {
                        beats.tick().await;
                        let _ = socket.send(b"WATCHDOG=1");
                    }
                })
            }),
        }
    }

    /// We are at work for somebody who asked.
    pub(super) fn reloading(&mut self) {
        if !self.is_ready {
            return;
        }
        self.is_ready = false;
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
        let usec = now.unwrap_or_default().as_micros();
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// We are done, and this is how things stand.
    pub(super) fn ready(&mut self, status: &str) {
        let line: String = status.chars().filter(|c| !c.is_control()).collect();
        let is_news = self.status.as_ref() != Some(&line);
        if !self.is_ready {
            self.tell(&format!("READY=1\nSTATUS={line}"));
        } else if is_news {
            self.tell(&format!("STATUS={line}"));
        }
        self.is_ready = true;
        self.status = Some(line);
    }

    /// How things stand, where we are ready.
    pub(super) fn status(&mut self, status: &str) {
        if self.is_ready {
            self.ready(status);
        }
    }

    /// We end.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, text: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(text.as_bytes())
        {
            debug!("systemd cannot be told `{text}`: {error}");
        }
    }
}

/// A path, or a name of Linux that begins with `@`. Nothing waits for its reader.
fn connect(place: &OsString) -> io::Result<UnixDatagram> {
    let address = match place.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(place)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
