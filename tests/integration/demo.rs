//! The demo as people run it: it ends well by itself, says so when something does not come true,
//! and leaves nothing behind, whatever ends it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use haproxy_marathon_bridge::haproxy::Proc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Test, haproxy};

/// Ten times what it takes on an idle host.
const LIMIT: Duration = Duration::from_secs(120);

/// A demo under way, and what it has said so far.
struct Demo {
    _test: Test,
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Demo {
    fn start(test: Test) -> Self {
        let mut child = test
            .command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (said, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            _test: test,
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Reads on until a line holds `text`.
    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let found = line.contains(text);
                    self.seen.push(line);
                    if found {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("expected a line with `{text}`, found\n{}", self.text())
                }
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// Reads to the end, and judges what is left behind.
    #[track_caller]
    fn expect_tidy_end(&mut self, code: i32) {
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.text()),
            }
        }
        let status = self.child.wait().unwrap();
        let told = std::io::read_to_string(self.child.stderr.take().unwrap()).unwrap();
        assert_eq!(status.code(), Some(code), "{}\n{told}", self.text());
        assert_eq!(told.is_empty(), code != 1, "{told}");
        self.seen.extend(told.lines().map(str::to_owned));
        let folder = self.folder();
        assert!(!folder.exists(), "{} is still there", folder.display());
        let alive = haproxies_with_files_in(&folder);
        assert!(alive.is_empty(), "HAProxy still runs: {alive:?}");
    }

    fn folder(&self) -> PathBuf {
        let line = self.line("private folder: ");
        let (_, rest) = line.split_once("private folder: ").unwrap();
        rest.split_once(',').unwrap().0.into()
    }

    #[track_caller]
    fn line(&self, text: &str) -> &str {
        let found = self.seen.iter().find(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("expected a line with `{text}`, found\n{}", self.text()))
    }

    fn text(&self) -> String {
        self.seen.join("\n")
    }
}

/// A test that fails leaves nothing behind either.
impl Drop for Demo {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(self.pid(), Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

fn haproxies_with_files_in(folder: &Path) -> Vec<u32> {
    let processes = Proc::default().haproxies().into_iter();
    processes
        .filter(|process| {
            let mut files = process.arguments.configs.iter();
            files.any(|file| file.starts_with(folder))
        })
        .map(|process| process.pid)
        .collect()
}

/// `script` in the place of HAProxy; `$HAPROXY` in it is the real one.
fn with_haproxy(script: &str) -> Test {
    let script = script.replace("$HAPROXY", haproxy().to_str().unwrap());
    let test = Test::new().file("haproxy", format!("#!/bin/sh\n{script}\n"));
    let path = test.path().join("haproxy");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    test.args(["demo", "--haproxy", path.to_str().unwrap()])
}

#[test]
fn it_shows_everything_and_ends_by_itself() {
    let mut demo = Demo::start(Test::new().args(["demo"]));
    demo.expect_tidy_end(0);
    let in_this_order = [
        "1. Two apps run",
        "+backend shop_web_",
        "✓ HAProxy was started (pid ",
        "✓ web-1, web-2, orders-1 and orders-2 answer through HAProxy",
        "✓ stats page: http://127.0.0.1:",
        ", 0 failed;",
        "2. An app is scaled up",
        "+  server 127_0_0_1_",
        "✓ HAProxy was told at runtime and is the same process (pid ",
        "web-3 and web-4 answer too",
        "3. A task leaves",
        "-  server 127_0_0_1_",
        "✓ HAProxy was told at runtime and is the same process (pid ",
        "✓ no request reaches web-2: 0 of the next ",
        "✓ web-2 answered its last ",
        "4. Tasks come and go",
        "✓ 5 tasks came and 5 went, ",
        "✓ HAProxy was process ",
        " requests answered meanwhile, 0 lost",
        "5. A new app",
        "+backend shop_mail_",
        "✓ a new process took over (pid ",
        "✓ mail-1 and mail-2 answer",
        "✓ the old process of HAProxy has ended by itself",
        "6. Nothing has changed",
        "✓ another turn left file and process alone",
        "web, a connection each",
        "✓ no request failed",
        "✓ all came true in ",
        "cleaned up: HAProxy stopped (1 process)",
    ];
    let mut lines = demo.seen.iter();
    for text in in_this_order {
        let found = lines.any(|line| line.contains(text));
        assert!(
            found,
            "expected a line with `{text}`, found\n{}",
            demo.text()
        );
    }
    assert!(!demo.text().contains('\u{1b}'), "no terminal, no colours");
    let (_, pid) = demo
        .line("HAProxy was started")
        .split_once("(pid ")
        .unwrap();
    let (pid, _) = pid.split_once(')').unwrap();
    demo.line(&format!(
        "HAProxy was process {pid} before and is process {pid} now"
    ));
}

#[test]
fn an_interrupt_in_the_middle_cleans_up() {
    let head = "\n# mine\nfrontend {{ backend }}\n  bind {{ bindAddr }}:{{ servicePort }}\n  mode {{ mode }}\n";
    let test = Test::new().file("mine/fragments/frontend_head.cfg.tera", head);
    let mut demo = Demo::start(test.args(["demo", "--template-dir", "mine"]));
    demo.wait_for("✓ HAProxy was told at runtime");
    let folder = demo.folder();
    assert!(!haproxies_with_files_in(&folder).is_empty());
    demo.signal(Signal::SIGINT);
    demo.expect_tidy_end(130);
    demo.line("interrupted by SIGINT");
    // Templates of a user count here too.
    demo.line("+# mine");
}

#[test]
fn it_stays_until_it_is_told_to_end() {
    let mut demo = Demo::start(Test::new().args(["demo", "--stay"]));
    demo.wait_for("It stays now");
    demo.wait_for("configuration: ");
    let folder = demo.folder();
    assert!(folder.join("haproxy.cfg").exists());
    assert_eq!(haproxies_with_files_in(&folder).len(), 1);
    demo.signal(Signal::SIGTERM);
    demo.expect_tidy_end(0);
}

#[test]
fn a_missing_haproxy_is_said_at_once() {
    let done = Test::new()
        .args(["demo", "--haproxy", "/nonexistent"])
        .run()
        .expect(1);
    assert!(
        done.stderr.contains("HAProxy is not installed") && done.stderr.contains("`/nonexistent`"),
        "{done:?}"
    );
    assert_eq!(done.stdout, "");
}

#[test]
fn a_haproxy_that_does_not_start_fails_it_after_some_other_ports() {
    let mut demo = Demo::start(with_haproxy(
        "case \" $* \" in *' -D '*) echo 'the port is taken' >&2; exit 1;; esac\n\
         exec $HAPROXY \"$@\"",
    ));
    demo.expect_tidy_end(1);
    let tries = demo.text().matches("once more, with other ports").count();
    assert_eq!(tries, 3, "{}", demo.text());
    demo.line("✗ expected HAProxy to serve, found 4 times: ");
    demo.line("error: the demo failed in step 1, ");
}

/// Both processes take connections then, as happens to people who start a second HAProxy: every
/// turn looks good.
#[test]
fn an_old_process_that_goes_on_taking_work_fails_it() {
    let mut demo = Demo::start(with_haproxy(
        "left=$#\nskip=\n\
         while [ \"$left\" -gt 0 ]; do\n\
         word=$1; shift; left=$((left - 1))\n\
         case $word in\n\
         -sf | -x) skip=1 ;;\n\
         -*) skip=; set -- \"$@\" \"$word\" ;;\n\
         *) [ -n \"$skip\" ] || set -- \"$@\" \"$word\" ;;\n\
         esac\ndone\n\
         exec $HAPROXY \"$@\"",
    ));
    demo.expect_tidy_end(1);
    demo.line("✗ expected the old processes of HAProxy to end, found [");
    demo.line("error: the demo failed in step 5, ");
    demo.line("cleaned up: HAProxy stopped (2 processes)");
}
