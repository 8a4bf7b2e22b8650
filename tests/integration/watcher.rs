//! A watcher that a test has started: what it says, and how it ends.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::{Host, SOON, Web, wait_until};

/// A watcher at work. It ends with its test.
pub(crate) struct Watcher {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Watcher {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Of `web`.
    pub(crate) fn of(host: &Host, web: &Web, more: &[&str]) -> Self {
        Self::start(host.watch_command(&web.url(), more))
    }

    /// The same, once it serves.
    pub(crate) fn serving(host: &Host, web: &Web, more: &[&str]) -> Self {
        let watcher = Self::of(host, web, more);
        watcher.says("installed `");
        watcher
    }

    /// What it says until it says this; that is the last line.
    #[track_caller]
    pub(crate) fn says(&self, part: &str) -> Vec<String> {
        self.says_within(part, SOON)
    }

    #[track_caller]
    pub(crate) fn says_within(&self, part: &str, limit: Duration) -> Vec<String> {
        self.says_one_of(&[part], limit)
    }

    /// The same with one of `parts`.
    #[track_caller]
    pub(crate) fn says_one_of(&self, parts: &[&str], limit: Duration) -> Vec<String> {
        let until = Instant::now() + limit;
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(until - Instant::now().min(until)) {
                Ok(line) => {
                    let is_it = parts.iter().any(|part| line.contains(part));
                    said.push(line);
                    if is_it {
                        return said;
                    }
                }
                Err(error) => panic!("{parts:?} was not said ({error}): {said:#?}"),
            }
        }
    }

    /// What it has said and nobody has heard yet.
    pub(crate) fn said(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// How it ends, and its last words.
    pub(crate) fn ended(&mut self) -> (ExitStatus, Vec<String>) {
        wait_until("the end of the watcher", || {
            self.child.try_wait().unwrap().is_some()
        });
        let mut words = Vec::new();
        loop {
            match self.lines.recv_timeout(SOON) {
                Ok(line) => words.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("its log stays open"),
            }
        }
        (self.child.wait().unwrap(), words)
    }
}
