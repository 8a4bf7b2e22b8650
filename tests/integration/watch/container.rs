//! The entry point of the container, as marathon-lb's image is called, in a folder in the place of the
//! container's own: with the real HAProxy, and ports of loopback that templates of a sandbox name.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Era};
use haproxy_marathon_bridge::haproxy::{Proc, Role};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::Watcher;
use crate::host::{SOON, Web, block_on, wait_until};
use crate::support::{Done, Test};

/// A certificate with its key.
const PEM: &str = include_str!("../../certificate.pem");

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/container")
}

/// A container that may be started.
struct Container {
    test: Test,
    web: Web,
    https: u16,
    variables: Vec<(String, String)>,
}

/// All that was started with it ends with the test.
struct Started {
    watcher: Watcher,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
    }
}

impl Started {
    fn pid(&self) -> Pid {
        Pid::from_raw(self.watcher.id().cast_signed())
    }
}

impl Container {
    fn new() -> Self {
        Self::of(Web::start())
    }

    fn of(web: Web) -> Self {
        let label = |app: App| {
            app.label("HAPROXY_0_BIND_ADDR", "127.0.0.1")
                .label("HAPROXY_GROUP", "external")
        };
        web.marathon.change_app("/web", label).unwrap();
        let ports = free_ports(4).unwrap();
        let [stats, http, https, ids] = ports[..] else {
            unreachable!("as many as were asked for");
        };
        let test = Test::new();
        let root = test.path().display().to_string();
        let head = format!(
            "global\n  log /dev/log local0\n  stats socket {root}/var/run/haproxy/socket expose-fd listeners\n\
             defaults\n  log global\n  timeout connect 3s\n  timeout client 30s\n  timeout server 30s\n\
             listen stats\n  bind 127.0.0.1:{stats}\n  mode http\n  monitor-uri /_haproxy_health_check\n"
        );
        let frontend = |name: &str, port: u16, tls: &str| {
            format!("\nfrontend {name}\n  bind 127.0.0.1:{port}{tls}\n  mode http\n")
        };
        let templates = [
            ("HEAD", head),
            ("HTTP_FRONTEND_HEAD", frontend("marathon_http_in", http, "")),
            (
                "HTTPS_FRONTEND_HEAD",
                frontend("marathon_https_in", https, " ssl {sslCerts}"),
            ),
            (
                "HTTP_FRONTEND_APPID_HEAD",
                frontend("marathon_http_appid_in", ids, ""),
            ),
        ];
        let test = templates.into_iter().fold(test, |test, (name, text)| {
            test.file(&format!("sandbox/templates/HAPROXY_{name}"), text)
        });
        let test = test.file("etc/ssl/.keep", "");
        let variables = [
            ("CONTAINER_ROOT", root.clone()),
            ("MESOS_SANDBOX", format!("{root}/sandbox")),
            ("PORTS", "80,443".to_owned()),
            ("HMB_STATE_DIR", format!("{root}/state")),
            ("HMB_ADMIN_SOCKET", format!("{root}/admin.sock")),
            ("HEALTH_CHECK", format!("127.0.0.1:{stats}")),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        Self {
            test,
            web,
            https,
            variables: variables.into(),
        }
    }

    fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.test.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("marathon-lb/haproxy.cfg")
    }

    fn installed(&self) -> String {
        fs::read_to_string(self.config()).unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let programs = Path::new(env!("CARGO_BIN_EXE_haproxy-marathon-bridge"));
        let programs = programs.parent().unwrap().display();
        let mut command = Command::new(packaging().join("run"));
        command
            .env_clear()
            .env("PATH", format!("{programs}:/usr/sbin:/usr/bin:/sbin:/bin"))
            .envs(self.variables.iter().cloned())
            .current_dir(self.test.path())
            .stdin(Stdio::null())
            .stdout(File::create(self.path("stdout")).unwrap())
            .args(words);
        command
    }

    /// As Marathon starts it.
    fn start(&self, call: &[&str], more: &[&str]) -> Started {
        let url = &self.web.url()[0];
        let words = [call, &["--group", "external", "--marathon", url], more].concat();
        let mut command = self.command(&words);
        command.process_group(0);
        Started {
            watcher: Watcher::start(command),
        }
    }

    /// The same, once it serves and follows.
    fn follow(&self) -> Started {
        let started = self.start(&["sse"], &[]);
        started.watcher.says("as it should be");
        block_on(self.web.marathon.wait_event_streams(1, SOON)).unwrap();
        started
    }

    fn refused(&self, words: &[&str], code: i32, says: &str) {
        let done = Done::of(self.command(words)).expect(code);
        let last = done.stderr.lines().last().unwrap_or_default();
        assert!(last.contains(says), "{says}: {done:#?}");
        assert!(!self.config().exists());
    }

    fn health(&self) -> bool {
        let output = self.command(&["health"]).output().unwrap();
        output.status.success()
    }

    fn haproxies(&self) -> Vec<u32> {
        let all = Proc::default().using(&self.config());
        all.iter().map(|process| process.pid).collect()
    }

    fn master(&self) -> Pid {
        let proc = Proc::default();
        let mut all = proc.using(&self.config()).into_iter();
        let master = all.find(|process| proc.role(process) == Role::Master);
        Pid::from_raw(master.unwrap().pid.cast_signed())
    }

    /// The program that follows Marathon.
    fn bridge(&self) -> Option<Pid> {
        let config = self.config().display().to_string();
        fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
            let words = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let words: Vec<&str> = words.split('\0').collect();
            let is_it = words.contains(&"--sse") && words.contains(&&*config);
            let pid = entry.file_name().to_str()?.parse().ok()?;
            is_it.then(|| Pid::from_raw(pid))
        })
    }

    /// Nothing that it started is left.
    fn is_gone(&self) {
        wait_until("the end of HAProxy and of the program", || {
            self.haproxies().is_empty() && self.bridge().is_none()
        });
    }

    /// The certificate that a client is shown, as PEM.
    fn shown_certificate(&self) -> String {
        let mut command = Command::new("openssl");
        command
            .args(["s_client", "-connect", &format!("127.0.0.1:{}", self.https)])
            .stdin(Stdio::null());
        let printed = Done::of(command).stdout;
        certificate(&printed)
    }
}

/// The first certificate of a text.
fn certificate(text: &str) -> String {
    const END: &str = "-----END CERTIFICATE-----";
    let begin = text.find("-----BEGIN CERTIFICATE-----").unwrap();
    let length = text[begin..].find(END).unwrap() + END.len();
    text[begin..begin + length].to_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn it_serves_follows_and_ends_as_it_is_asked_to() {
    let mut container = Container::new();
    let mut started = container.follow();
    assert!(container.health());
    assert_eq!(container.web.connect().ask(), "web-0");
    let master = container.master();

    container.web.scale_up();
    started.watcher.says("installed `");
    assert!(
        container
            .installed()
            .contains(&container.web.newest_address())
    );
    assert_eq!(container.master(), master, "the master is told");

    started.watcher.send(Signal::SIGTERM);
    let (status, words) = started.watcher.ended();
    assert_eq!(status.code(), Some(0), "{words:#?}");
    container.is_gone();
    assert!(!container.health());
}

#[test]
fn it_fails_when_either_of_the_two_ends() {
    let container = Container::new();
    for says in ["HAProxy ended", "haproxy-marathon-bridge ended"] {
        let mut started = container.follow();
        let victim = match says {
            "HAProxy ended" => container.master(),
            _ => container.bridge().unwrap(),
        };
        kill(victim, Signal::SIGKILL).unwrap();
        let (status, words) = started.watcher.ended();
        assert_eq!(status.code(), Some(128 + 9), "{words:#?}");
        assert!(
            words.iter().any(|word| word.contains(says)),
            "{says}: {words:#?}"
        );
        container.is_gone();
    }
}

#[test]
fn it_takes_turns_where_no_events_are_to_be_had() {
    let mut container = Container::new().env("POLL_INTERVAL", "0.2");
    let mut started = container.start(&["poll"], &[]);
    started.watcher.says("as it should be");
    assert_eq!(container.web.marathon.event_streams(), 0);
    container.web.scale_up();
    started.watcher.says("installed `");
    let newest = container.web.newest_address();
    assert!(container.installed().contains(&newest));
    assert!(container.web.connect().ask().starts_with("web-"));
    started.watcher.send(Signal::SIGTERM);
    let (status, words) = started.watcher.ended();
    assert_eq!(status.code(), Some(0), "{words:#?}");
    container.is_gone();
}

#[test]
fn an_old_marathon_calls_back_at_the_first_port_of_the_task() {
    let port = free_ports(1).unwrap()[0];
    let mut container = Container::of(Web::of(Era::V0_10))
        .env("HOST", "127.0.0.1")
        .env("PORT0", port.to_string())
        // It would listen on all addresses.
        .env("HMB_CALLBACK_LISTEN", format!("127.0.0.1:{port}"));
    let started = container.start(&["event"], &[]);
    started.watcher.says("as it should be");
    wait_until("the callback", || {
        !container.web.marathon.callbacks().is_empty()
    });
    container.web.scale_up();
    started.watcher.says("installed `");
}

/// A health check would take a HAProxy without apps for one that serves.
#[test]
fn nothing_listens_before_marathon_has_answered() {
    let mut container = Container::new().env("FIRST_TURN_INTERVAL", "0.2");
    container.web.marathon.down();
    let mut started = container.start(&["sse"], &[]);
    for _ in 0..2 {
        started.watcher.says("no usable answer");
        assert!(!container.health());
    }
    container.web.marathon.up().unwrap();
    started.watcher.says("as it should be");
    assert!(container.health());

    // What was served is served again, whatever Marathon says.
    started.watcher.send(Signal::SIGTERM);
    assert_eq!(started.watcher.ended().0.code(), Some(0));
    container.web.marathon.down();
    let _started = container.start(&["sse"], &[]);
    wait_until("HAProxy", || container.health());
    assert_eq!(container.web.connect().ask(), "web-0");
}

#[test]
fn certificates_come_from_variables_and_only_their_owner_can_read_them() {
    let one_line = PEM.trim_end().replace('\n', "\\n");
    let container = Container::new()
        .env("HAPROXY_SSL_CERT", one_line)
        .env("HAPROXY_SSL_CERT3", PEM);
    // One of before, which others could read.
    let first = container.path("etc/ssl/cert.pem");
    fs::write(&first, "old").unwrap();
    fs::set_permissions(&first, fs::Permissions::from_mode(0o644)).unwrap();
    let _started = container.follow();
    for name in ["cert.pem", "cert3.pem"] {
        let path = container.path("etc/ssl").join(name);
        assert_eq!(mode(&path), 0o600, "{name}");
        assert_eq!(
            fs::read_to_string(&path).unwrap().trim_end(),
            PEM.trim_end()
        );
        let named = format!("crt {}", path.display());
        assert!(container.installed().contains(&named), "{named}");
    }
    assert_eq!(container.shown_certificate(), certificate(PEM));
    let pids = [container.master(), container.bridge().unwrap()];
    for pid in pids {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        let environment = String::from_utf8_lossy(&environment);
        assert!(!environment.contains("PRIVATE KEY"), "{environment}");
    }
}

#[test]
fn a_certificate_is_made_where_none_is_given_and_flags_win() {
    let container = Container::new();
    let started = container.follow();
    let made = container.path("etc/ssl/cert.pem");
    assert_eq!(mode(&made), 0o600);
    let text = fs::read_to_string(&made).unwrap();
    assert_eq!(container.shown_certificate(), certificate(&text));
    drop(started);
    container.is_gone();

    fs::remove_file(&made).unwrap();
    let own = container.path("own.pem");
    fs::write(&own, PEM).unwrap();
    let own = own.to_str().unwrap();
    let _started = container.start(&["--ssl-certs", own, "sse"], &[]);
    wait_until("HAProxy", || container.health());
    wait_until("the certificate", || {
        container.installed().contains(&format!("crt {own}"))
    });
    assert!(!made.exists());
    assert_eq!(container.shown_certificate(), certificate(PEM));
}

#[test]
fn haproxys_log_goes_to_standard_output_and_old_workers_are_bounded() {
    let container = Container::new()
        .env("HAPROXY_SYSLOGD", "true")
        .env("HAPROXY_RELOAD_SIGTERM_DELAY", "30");
    let _started = container.follow();
    container.web.connect();
    wait_until("a line of the log", || {
        let printed = fs::read_to_string(container.path("stdout")).unwrap();
        printed.contains("Connect from 127.0.0.1")
    });
    let beside = fs::read_to_string(container.path("marathon-lb/container.cfg")).unwrap();
    assert!(beside.contains("\n  hard-stop-after 30s\n"), "{beside}");
}

#[test]
fn credentials_reach_the_program_and_not_haproxy() {
    let container = Container::new()
        .env("MARATHON_USER", "joe")
        .env("MARATHON_PASSWORD", "s3:cret");
    // joe:s3:cret
    let header = "Basic am9lOnMzOmNyZXQ=";
    container.web.marathon.require_authorization(Some(header));
    let _started = container.follow();
    assert_eq!(container.web.connect().ask(), "web-0");
    let environment = fs::read(format!("/proc/{}/environ", container.master())).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("s3:cret"));
}

#[test]
fn parameters_of_the_kernel_are_set_or_refused() {
    let test = Container::new().env("HAPROXY_SYSCTL_PARAMS", "net.core.somaxconn=4096");
    test.refused(
        &["sse"],
        1,
        "HAPROXY_SYSCTL_PARAMS: `net.core.somaxconn=4096` cannot be set",
    );
    let place = test.path("proc/sys/net/core");
    fs::create_dir_all(&place).unwrap();
    let started = test.follow();
    let set = fs::read_to_string(place.join("somaxconn")).unwrap();
    assert_eq!(set, "4096");
    drop(started);
    test.is_gone();
    fs::remove_dir_all(&place).unwrap();
    let test = test.env("HAPROXY_SYSCTL_NONSTRICT", "true");
    let started = test.start(&["sse"], &[]);
    started.watcher.says("cannot be set, and is left");
    started.watcher.says("as it should be");
}

#[test]
fn what_is_missing_or_wrong_is_told_before_anything_is_started() {
    let container = Container::new();
    for (words, says) in [
        (&[][..], "unknown mode ``, expected sse, poll or event"),
        (&["--group", "external"], "unknown mode `--group`"),
        (&["event"], "HOST is not set"),
    ] {
        container.refused(words, 1, says);
    }
    let container = container.env("HAPROXY_RELOAD_SIGTERM_DELAY", "soon");
    container.refused(&["sse"], 1, "HAPROXY_RELOAD_SIGTERM_DELAY is `soon`");
    let container = container
        .env("HAPROXY_RELOAD_SIGTERM_DELAY", "")
        .env("PORTS", "");
    container.refused(&["sse"], 1, "PORTS is not set");
    // Options are for the program to judge.
    let container = container.env("PORTS", "80");
    let done = Done::of(container.command(&["sse", "--nonsense"])).expect(2);
    done.says(&["unrecognized arguments: --nonsense"]);
}

#[test]
fn what_the_image_is_made_of_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(packaging().join("Dockerfile")).unwrap();
    let copied: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--from"))
        .filter_map(|line| line.split_ascii_whitespace().next())
        .collect();
    assert_eq!(copied, [".", "packaging/container/run"]);
    assert!(copied.iter().all(|source| root.join(source).exists()));
    assert_eq!(mode(&packaging().join("run")) & 0o111, 0o111);
    // What compiles it is what the program wants.
    let wanted = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let wanted = wanted.lines().find_map(|line| {
        let version = line.strip_prefix("rust-version = \"")?;
        version.strip_suffix('"')
    });
    assert!(text.contains(&format!("FROM rust:{}-", wanted.unwrap())));

    let app = fs::read_to_string(packaging().join("marathon.json")).unwrap();
    let app: serde_json::Value = serde_json::from_str(&app).unwrap();
    let checked = &app["healthChecks"][0]["portIndex"];
    let checked = usize::try_from(checked.as_u64().unwrap()).unwrap();
    assert_eq!(app["portDefinitions"][checked]["port"], 9090);
    let compose = fs::read_to_string(packaging().join("compose.yaml")).unwrap();
    assert!(compose.contains("dockerfile: packaging/container/Dockerfile"));
}
