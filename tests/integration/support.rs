//! What the tests share: a private folder, the program in it, and the real HAProxy.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use haproxy_marathon_bridge::haproxy::{Version, program};
use tempfile::TempDir;

/// A run of the program in a folder of its own, with nothing of this host's configuration.
pub(crate) struct Test {
    folder: TempDir,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Test {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    /// With the templates of the bridge, which say the least.
    pub(crate) fn bridge() -> Self {
        Self::new().env("HMB_TEMPLATE_SET", "bridge")
    }

    /// The private folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Installs what `apps.json` there says as `haproxy.cfg` beside it, and has nobody told.
    pub(crate) fn refresh(&self, more: &[&str]) -> Done {
        let words = [
            "refresh",
            "--reload=none",
            "--marathon=file:apps.json",
            "--haproxy-config=haproxy.cfg",
        ];
        self.call([&words[..], more].concat())
    }

    /// Has marathon-lb's command line print what it would install of `apps.json`.
    pub(crate) fn dry(&self, more: &[&str]) -> Done {
        let words = [
            "marathon-lb",
            "--dry",
            "--group=*",
            "--marathon=file:apps.json",
            "--haproxy-config=haproxy.cfg",
            "--syslog-socket=/dev/null",
        ];
        self.call([&words[..], more].concat())
    }

    /// What stands in the `haproxy.cfg` there.
    #[track_caller]
    pub(crate) fn cfg(&self) -> String {
        fs::read_to_string(self.path().join("haproxy.cfg")).unwrap()
    }

    /// Writes a file into the folder.
    pub(crate) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn args<S: AsRef<str>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args = args
            .into_iter()
            .map(|arg| arg.as_ref().to_owned())
            .collect();
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.to_owned(), value.as_ref().to_str().unwrap().to_owned()));
        self
    }

    /// The program, ready to start in the folder. It keeps its state there too.
    pub(crate) fn command(&self) -> Command {
        let mut command = program();
        command.args(&self.args);
        self.at_home(command)
    }

    fn at_home(&self, mut command: Command) -> Command {
        command.current_dir(self.path()).stdin(Stdio::null());
        command.env("HMB_STATE_DIR", self.path().join("state"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn run(&self) -> Done {
        Done::of(self.command())
    }

    /// A run with these arguments instead.
    pub(crate) fn call<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Done {
        let mut command = program();
        command.args(args);
        Done::of(self.at_home(command))
    }
}

impl Done {
    /// What comes of `command`.
    pub(crate) fn of(mut command: Command) -> Self {
        let output = loop {
            match command.output() {
                // A program that was just written, while another thread started one: that has it open.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => thread::yield_now(),
                output => break output.unwrap(),
            }
        };
        Self {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts that all of this was said on standard error.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is missing: {self:#?}");
        }
        self
    }

    /// Asserts that all of this was printed.
    #[track_caller]
    pub(crate) fn prints(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stdout.contains(part), "`{part}` is missing: {self:#?}");
        }
        self
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        self
    }
}

/// The program with an environment that holds nothing but a path.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haproxy-marathon-bridge"));
    let haproxy = haproxy();
    let folder = haproxy.parent().unwrap().display();
    command
        .env_clear()
        .env("PATH", format!("{folder}:/usr/sbin:/usr/bin:/sbin:/bin"));
    command
}

/// Asserts that the real HAProxy accepts `text`.
#[track_caller]
pub(crate) fn assert_accepted(text: &str) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, text).unwrap();
    // As the program under test asks it: an owner may name variables.
    let output = Command::new(haproxy())
        .env_clear()
        .args(["-c", "-f"])
        .arg(&file)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "haproxy -c refuses\n{text}\nand says\n{told}"
    );
}

/// A text in a table of Markdown.
pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Asserts that the page `name` of `docs` is this text, which the code makes; `UPDATE=1` writes it.
#[track_caller]
pub(crate) fn document_is(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/{name}.md"));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "docs/{name}.md is out of date: UPDATE=1 writes it anew"
    );
}

/// As editors save: whoever reads the file sees the old text or the new one.
pub(crate) fn swap_in(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

/// As a package manager puts another program in the place of one that may run: a script of the shell.
pub(crate) fn swap_in_program(path: &Path, script: &str) {
    let new = path.with_extension("new");
    fs::write(&new, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, path).unwrap();
}

/// How many of `lines` say this.
pub(crate) fn count(lines: &[String], part: &str) -> usize {
    lines.iter().filter(|line| line.contains(part)).count()
}

/// Where HAProxy lies: the first one of `PATH`, so that `make test-versions` can bring another one.
/// A missing HAProxy fails the tests: it is their judge.
pub(crate) fn haproxy() -> PathBuf {
    program::find(Path::new("haproxy"))
        .unwrap_or_else(|_| panic!("haproxy is not installed: run tests/needs"))
}

/// Its branch.
pub(crate) fn haproxy_version() -> Version {
    let banner = Command::new(haproxy()).arg("-v").output().unwrap();
    Version::from_banner(&String::from_utf8_lossy(&banner.stdout)).unwrap()
}
