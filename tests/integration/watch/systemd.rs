//! What a service manager is told.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

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

/// Whoever took it for his own would speak in our name.
#[test]
fn no_process_that_it_starts_learns_where_it_tells() {
    let host = Host::new();
    let mut web = Web::start();
    let (url, seen) = (web.url(), host.path("seen"));
    let telling = |more: &[&str]| {
        let mut command = host.watch_command(&url, more);
        let variables = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "OTHER"];
        command.envs(variables.map(|name| (name, "/nowhere")));
        Watcher::start(command)
    };
    let is_told = |environment: &str| {
        ["NOTIFY_SOCKET", "WATCHDOG"]
            .iter()
            .any(|name| environment.contains(name))
    };

    let watcher = telling(&[]);
    watcher.says("installed `");
    let environment = Path::new("/proc").join(host.pid().to_string());
    let environment = fs::read(environment.join("environ")).unwrap();
    assert!(!is_told(&String::from_utf8_lossy(&environment)));
    drop(watcher);
    host.kill();

    // The program that judges, and the command that reloads.
    let judge = host.path("judge");
    let script = format!(
        "#!/bin/sh\nenv >> {}\nexec haproxy \"$@\"\n",
        seen.display()
    );
    executable(&judge, &script);
    let command = format!("env >> {}", seen.display());
    let words = ["--haproxy", judge.to_str().unwrap()];
    let words = [
        &words[..],
        &["--reload", "command", "--reload-command", &command],
    ]
    .concat();
    web.scale_up();
    let watcher = telling(&words);
    watcher.says("installed `");
    let environment = fs::read_to_string(&seen).unwrap();
    assert!(environment.contains("OTHER=/nowhere"), "{environment}");
    assert!(!is_told(&environment), "{environment}");
}

fn executable(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
