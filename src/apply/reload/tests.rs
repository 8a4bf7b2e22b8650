//! Reloads of the real HAProxy, each in a folder of its own.

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
            Ok(Reloaded::Started { pid } | Reloaded::Done(Verified::NewProcess { pid })) => pid,
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

#[tokio::test]
async fn sf_starts_haproxy_where_none_runs() {
    let host = Host::new();
    let Ok(Reloaded::Started { pid }) = host.reload(&Method::Sf).await else {
        panic!()
    };
    assert_eq!(host.serving().await, pid);
    assert!(host.answers());
}

#[tokio::test]
async fn no_connection_is_refused_while_sf_takes_over() {
    let mut host = Host::new();
    let mut pid = host.new_pid(&Method::Sf).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (good, lost) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, good, lost) = (stop.clone(), good.clone(), lost.clone());
            let port = host.port;
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let counter = if request(port) { &good } else { &lost };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for description in ["second", "third", "fourth"] {
        let before = good.load(Ordering::Relaxed);
        host.install(description, "");
        host.context.description = Some(description.to_owned());
        let new = host.new_pid(&Method::Sf).await;
        assert_ne!(new, pid);
        pid = new;
        let deadline = Instant::now() + LIMIT;
        while good.load(Ordering::Relaxed) < before + 50 {
            assert!(Instant::now() < deadline, "clients starve");
            looks_again().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    assert_eq!(
        lost.load(Ordering::Relaxed),
        0,
        "of {}",
        good.load(Ordering::Relaxed)
    );
    assert_eq!(host.serving().await, pid);
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_and_the_old_process_serves_on() {
    let host = Host::new();
    let pid = host.new_pid(&Method::Sf).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    host.install("second", &format!("frontend g\n  bind 127.0.0.1:{port}\n"));
    let error = host.reload(&Method::Sf).await.unwrap_err();
    assert!(matches!(error, ReloadError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("cannot bind socket"), "{error}");
    assert_eq!(host.serving().await, pid);
    assert!(host.answers());
}

#[tokio::test]
async fn sf_works_without_a_socket_and_where_the_old_process_hands_nothing_over() {
    let mut host = Host::new();
    let socket = host.context.stats_socket.take();
    let first = host.new_pid(&Method::Sf).await;

    let text = fs::read_to_string(&host.context.config).unwrap();
    let socket_line =
        |more: &str| text.replace("unused.sock mode 600 level admin expose-fd listeners", more);
    fs::write(
        &host.context.config,
        socket_line("stats.sock mode 600 level admin"),
    )
    .unwrap();
    let second = host.new_pid(&Method::Sf).await;

    host.context.stats_socket = socket;
    let exposing = socket_line("stats.sock mode 600 level admin expose-fd listeners");
    fs::write(&host.context.config, exposing).unwrap();
    let third = host.new_pid(&Method::Sf).await;
    assert!(first != second && second != third && third != first);
    assert_eq!(host.serving().await, third);
}

#[tokio::test]
async fn the_runtime_file_gives_a_socket_to_a_file_that_has_none() {
    let mut host = Host::new();
    let text = fs::read_to_string(&host.context.config).unwrap();
    let (_, without) = text.split_once("defaults").unwrap();
    let without = format!("defaults{without}");
    fs::write(&host.context.config, &without).unwrap();
    let hash = crate::haproxy::structure_hash(&without);
    let version = crate::haproxy::Version::new(2, 6);
    let file = runtime_file(&without, host.folder.path(), version, Some(&hash))
        .unwrap()
        .unwrap();
    fs::write(&file.path, &file.text).unwrap();
    host.context.extra = vec![file.path];
    host.context.stats_socket = Some(file.socket.clone());
    host.context.description = Some(hash.clone());
    let first = host.new_pid(&Method::Sf).await;
    let second = host.new_pid(&Method::Sf).await;
    assert_ne!(first, second);
    let info = show_info(&file.socket, LIMIT).await.unwrap();
    assert_eq!((info.pid, info.description), (second, Some(hash)));
}

#[tokio::test]
async fn a_process_of_another_configuration_is_no_proof() {
    let mut host = Host::new();
    host.context.description = Some("other".to_owned());
    let error = host.reload(&Method::Sf).await.unwrap_err().to_string();
    assert!(
        error.contains("its description is `first`, expected `other`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_stale_pid_file_signals_nobody() {
    let host = Host::new();
    let mut bystander = Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(
        &host.context.pid_file,
        format!("{}\n999999999\n", bystander.id()),
    )
    .unwrap();
    let outcome = host.reload(&Method::Sf).await;
    let alive = bystander.try_wait().unwrap().is_none();
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    assert!(
        matches!(outcome, Ok(Reloaded::Started { .. })),
        "{outcome:?}"
    );
    assert!(alive, "a foreign process got a signal");
}

#[tokio::test]
async fn a_process_that_no_pid_file_names_is_taken_over_by_its_configuration() {
    let host = Host::new();
    let first = host.new_pid(&Method::Sf).await;
    fs::remove_file(&host.context.pid_file).unwrap();
    let outcome = host.reload(&Method::Sf).await.unwrap();
    let Reloaded::Done(Verified::NewProcess { pid }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_ne!(first, pid);
}

#[tokio::test]
async fn a_master_never_gets_sf() {
    let mut host = Host::new();
    let master = host.start_master().await;
    let worker = host.serving().await;
    let error = host.reload(&Method::Sf).await.unwrap_err();
    assert!(
        matches!(error, ReloadError::HasMaster { pid } if pid == master),
        "{error}"
    );
    assert_eq!(host.serving().await, worker);
}

#[tokio::test]
async fn a_master_is_reloaded_by_its_socket() {
    let mut host = Host::new();
    host.start_master().await;
    let old = host.serving().await;
    host.install("second", "");
    host.context.description = Some("second".to_owned());
    let new = host
        .new_pid(&Method::Master {
            socket: host.file("master.sock"),
        })
        .await;
    assert_ne!(new, old);
    assert_eq!(host.serving().await, new);
}

#[tokio::test]
async fn a_master_is_reloaded_by_a_signal() {
    let mut host = Host::new();
    let pid = host.start_master().await;
    let old = host.serving().await;
    let method = Method::MasterSignal { pid };
    let new = host.new_pid(&method).await;
    assert_ne!(new, old);
    assert_eq!(host.serving().await, new);

    host.master_waits().await;
    host.context.stats_socket = None;
    let newest = host.new_pid(&method).await;
    assert!(newest != new && newest != pid, "{newest}");
}

#[tokio::test]
async fn a_file_that_a_master_cannot_load_is_told_by_both_ways() {
    let mut host = Host::new();
    let pid = host.start_master().await;
    let worker = host.serving().await;
    host.install("second", "nonsense\n");
    let socket = host.file("master.sock");
    let error = host
        .reload(&Method::Master {
            socket: socket.clone(),
        })
        .await
        .unwrap_err();
    assert!(matches!(error, ReloadError::Refused { .. }), "{error}");

    host.context.limit = Duration::from_millis(500);
    let error = host
        .reload(&Method::MasterSignal { pid })
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("process {worker} still answers")),
        "{error}"
    );
    assert!(host.answers());

    host.context.limit = LIMIT;
    host.install("third", "");
    assert_ne!(host.new_pid(&Method::Master { socket }).await, worker);
}

#[tokio::test]
async fn a_master_that_is_gone_is_not_running() {
    let host = Host::new();
    let socket = host.file("master.sock");
    let outcome = host
        .reload(&Method::Master {
            socket: socket.clone(),
        })
        .await
        .unwrap();
    assert_eq!(outcome, Reloaded::NotRunning);
    let own = std::process::id();
    let outcome = host
        .reload(&Method::MasterSignal { pid: own })
        .await
        .unwrap();
    assert_eq!(
        outcome,
        Reloaded::NotRunning,
        "we are not HAProxy, and still alive"
    );
}

fn takeover_script(host: &Host) -> String {
    let Context {
        program,
        config,
        pid_file,
        ..
    } = &host.context;
    format!(
        "{0} -D -p {1} -f {2} -sf $(cat {1})",
        program.display(),
        pid_file.display(),
        config.display()
    )
}

#[tokio::test]
async fn a_command_is_proven_by_the_process_that_it_brings() {
    let mut host = Host::new();
    let first = host.new_pid(&Method::Sf).await;
    let command = Method::Command(takeover_script(&host));
    let second = host.new_pid(&command).await;
    assert_ne!(first, second);
    assert_eq!(host.serving().await, second);

    host.context.stats_socket = None;
    let third = host.new_pid(&command).await;
    assert_ne!(second, third);
}

#[tokio::test]
async fn a_command_that_brings_no_process_is_not_proven() {
    let mut host = Host::new();
    let pid = host.new_pid(&Method::Sf).await;
    host.context.limit = Duration::from_millis(500);
    let error = host
        .reload(&Method::Command("true".to_owned()))
        .await
        .unwrap_err()
        .to_string();
    let want = format!(
        "`true`: no new process of HAProxy serves after 500ms; process {pid} still answers"
    );
    assert_eq!(error, want);
}

#[tokio::test]
async fn without_a_known_process_the_exit_status_of_a_command_is_all() {
    let mut host = Host::new();
    let done = Reloaded::Done(Verified::ExitStatus);
    assert_eq!(
        host.reload(&Method::Command("true".to_owned()))
            .await
            .unwrap(),
        done
    );

    let failing = Method::Command("echo it is broken >&2; exit 7".to_owned());
    let error = host.reload(&failing).await.unwrap_err().to_string();
    assert!(
        error.ends_with("exit status: 7; it printed: it is broken"),
        "{error}"
    );

    host.context.limit = Duration::from_millis(100);
    let error = host
        .reload(&Method::Command("sleep 1000".to_owned()))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ReloadError::Run(RunError::TimedOut { .. })),
        "{error}"
    );
}

/// Puts a script in front of the search path; `cp` writes it, so that no child of another test
/// inherits the file while it is open for writing, which would make it busy.
fn fake(host: &mut Host, name: &str, script: &str) -> PathBuf {
    let (source, bin) = (host.file("source"), host.file("bin"));
    fs::write(&source, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&source, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(&bin).unwrap();
    let program = bin.join(name);
    assert!(
        Command::new("cp")
            .args([&source, &program])
            .status()
            .unwrap()
            .success()
    );
    let usual = search_path();
    let folders = [bin].into_iter().chain(std::env::split_paths(&usual));
    host.context.path = std::env::join_paths(folders).unwrap();
    program
}

#[tokio::test]
async fn systemd_reloads_and_the_main_process_proves_it() {
    let mut host = Host::new();
    let pid = host.start_master().await;
    let old = host.serving().await;
    let script = format!(
        "case $1 in\n\
         show) echo MainPID={pid}; echo ActiveState=active;;\n\
         reload) kill -USR2 {pid};;\nesac"
    );
    fake(&mut host, "systemctl", &script);
    let new = host
        .new_pid(&Method::Systemd {
            unit: "haproxy".to_owned(),
        })
        .await;
    assert_ne!(old, new);
}

#[tokio::test]
async fn a_unit_that_is_not_active_is_not_running_and_one_that_refuses_is_quoted() {
    let mut host = Host::new();
    let unit = Method::Systemd {
        unit: "haproxy".to_owned(),
    };
    fake(
        &mut host,
        "systemctl",
        "[ $1 = show ] && echo ActiveState=inactive",
    );
    assert_eq!(host.reload(&unit).await.unwrap(), Reloaded::NotRunning);

    let refuses = "[ $1 = show ] && echo ActiveState=active && exit 0\necho no >&2; exit 1";
    fake(&mut host, "systemctl", refuses);
    let error = host.reload(&unit).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "`systemctl reload haproxy` was refused: exit status: 1; it printed: no"
    );
}

#[tokio::test]
async fn an_init_script_is_run_only_where_haproxy_runs() {
    let mut host = Host::new();
    let script = takeover_script(&host);
    let script = fake(&mut host, "init", &format!("[ $1 = reload ] && {script}"));
    let method = Method::InitScript(script);
    assert_eq!(host.reload(&method).await.unwrap(), Reloaded::NotRunning);
    let first = host.new_pid(&Method::Sf).await;
    assert_ne!(host.new_pid(&method).await, first);
}

#[tokio::test]
async fn what_runs_on_this_host_is_observed() {
    let host = Host::new();
    let root = host.file("root");
    fs::create_dir_all(root.join("etc/init.d")).unwrap();
    fs::write(root.join("etc/init.d/haproxy"), "").unwrap();
    let observe = async |host: &Host| {
        let context = &host.context;
        Probe {
            context,
            master_socket: None,
            unit: "haproxy",
            root: &root,
        }
        .observe()
        .await
    };
    let script = root.join("etc/init.d/haproxy");
    let facts = observe(&host).await;
    assert_eq!(
        facts,
        Facts {
            init_script: Some(script),
            ..Facts::default()
        }
    );

    let pid = host.new_pid(&Method::Sf).await;
    let facts = observe(&host).await;
    assert_eq!(facts.process, Some((pid, Role::Single)));
    let choice = choose(ReloadMethod::Auto, None, "haproxy", &facts).unwrap();
    assert_eq!(choice.method, Method::Sf);

    let other = Context {
        config: host.file("other.cfg"),
        ..host.context.clone()
    };
    let probe = Probe {
        context: &other,
        master_socket: None,
        unit: "haproxy",
        root: &root,
    };
    assert_eq!(probe.observe().await.process, None, "it runs another file");

    let mut host = Host::new();
    let pid = host.start_master().await;
    let facts = observe(&host).await;
    assert_eq!(facts.process, Some((pid, Role::Master)));
    assert_eq!(facts.master_socket, Some(host.file("master.sock")));

    fs::create_dir_all(root.join("run/systemd/system")).unwrap();
    let active = format!("echo ActiveState=active; echo MainPID={pid}");
    fake(&mut host, "systemctl", &active);
    assert_eq!(observe(&host).await.unit.as_deref(), Some("haproxy"));
    host.context.config = host.file("other.cfg");
    assert_eq!(
        observe(&host).await.unit,
        None,
        "the unit runs another file"
    );
    host.context.config = host.file("haproxy.cfg");
}
