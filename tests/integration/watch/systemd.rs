//! What a service manager is told.

use std::os::unix::net::UnixDatagram;

use nix::sys::signal::Signal;

use super::Watcher;
use crate::host::{Host, SOON, Web};

/// The next messages until one begins so.
#[track_caller]
fn told(socket: &UnixDatagram, begins: &str) -> String {
    let mut buffer = [0; 4096];
    loop {
        let length = socket
            .recv(&mut buffer)
            .unwrap_or_else(|e| panic!("{begins}: {e}"));
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        if text.starts_with(begins) {
            return text;
        }
    }
}

#[test]
fn it_tells_when_it_is_ready_at_work_alive_and_at_its_end() {
    let host = Host::new();
    let web = Web::start();
    let place = host.path("notify");
    let socket = UnixDatagram::bind(&place).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut command = host.watch_command(&web.url(), &[]);
    command
        .env("NOTIFY_SOCKET", &place)
        .env("WATCHDOG_USEC", "200000");
    let mut watcher = Watcher::start(command);
    let ready = told(&socket, "READY=1\n");
    assert!(ready.contains("STATUS=HAProxy is in step"), "{ready}");
    assert!(host.cfg().exists(), "it is ready once it serves");
    told(&socket, "WATCHDOG=1");
    watcher.send(Signal::SIGHUP);
    assert!(told(&socket, "RELOADING=1\n").contains("MONOTONIC_USEC="));
    told(&socket, "READY=1");
    watcher.send(Signal::SIGTERM);
    told(&socket, "STOPPING=1");
    assert_eq!(watcher.ended().0.code(), Some(0));
}
