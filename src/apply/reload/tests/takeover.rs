//! `-sf`.

use super::*;

#[tokio::test]
async fn sf_starts_haproxy_where_none_runs() {
    let host = Host::new();
    let Ok(Reloaded::Started { pid }) = host.reload(&Method::Sf).await else {
        panic!()
    };
    assert_eq!(host.serving().await, pid);
    assert!(host.answers());
}

/// The kernel's number of the socket that listens on `port`: a new one means that connections
/// which waited on the old one were reset.
fn listening_socket(port: u16) -> Vec<String> {
    let address = format!("0100007F:{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table
        .lines()
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let listens = rows.filter(|row| row[1] == address && row[3] == "0A");
    listens.map(|row| row[9].to_owned()).collect()
}

#[tokio::test]
async fn no_connection_is_refused_while_sf_takes_over() {
    let mut host = Host::new();
    let mut pid = host.new_pid(&Method::Sf).await;
    let listener = listening_socket(host.port);
    assert_eq!(listener.len(), 1);
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
    assert_eq!(
        listening_socket(host.port),
        listener,
        "the new process opened its own socket"
    );
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
    host.install("first", "");
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
        error.contains("whose description is `first`; expected `")
            && error.ends_with("whose description is `other`"),
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
    let Reloaded::TookOver { pid } = outcome else {
        panic!("{outcome:?}")
    };
    assert_ne!(first, pid);
    let deadline = Instant::now() + LIMIT;
    while host.context.proc.process(first).is_some() {
        assert!(Instant::now() < deadline, "the old process goes on");
        looks_again().await;
    }
    assert_eq!(host.serving().await, pid);
}

#[tokio::test]
async fn a_haproxy_of_another_file_is_neither_signalled_nor_robbed_of_its_pid_file() {
    let (foreign, mut host) = (Host::new(), Host::new());
    let theirs = foreign.new_pid(&Method::Sf).await;
    let ours = host.new_pid(&Method::Sf).await;
    host.context.pid_file.clone_from(&foreign.context.pid_file);
    let before = fs::read_to_string(&host.context.pid_file).unwrap();
    let error = host.reload(&Method::Sf).await.unwrap_err();
    let runs = foreign.context.config.display().to_string();
    assert!(
        matches!(error, ReloadError::ForeignPid { pid, .. } if pid == theirs),
        "{error}"
    );
    assert!(error.to_string().contains(&runs), "{error}");
    assert_eq!(fs::read_to_string(&host.context.pid_file).unwrap(), before);
    assert_eq!(foreign.serving().await, theirs);
    assert_eq!(host.serving().await, ours);
}

/// Whatever time a reload is given: killed, it would have been lost, and tried in vain for ever.
#[tokio::test]
async fn a_start_that_takes_longer_than_the_reload_is_given_is_not_killed() {
    let mut host = Host::new();
    let first = host.new_pid(&Method::Sf).await;
    let slow = format!(
        "#!/bin/sh\nsleep 1\nexec {} \"$@\"\n",
        host.context.program.display()
    );
    host.context.program = program_of(&host, "slow", &slow);
    host.context.limit = Duration::from_millis(100);
    let second = host.new_pid(&Method::Sf).await;
    assert_ne!(first, second);
    assert_eq!(host.serving().await, second);
}

/// In the place of HAProxy: it has this said to the processes that it is to take over from.
fn impostor(host: &mut Host, signal: &str, then: &str) {
    let script = format!(
        "#!/bin/sh\nwhile [ \"$1\" != -sf ]; do shift; done\nshift\nkill -{signal} \"$@\"\n{then}\n"
    );
    host.context.program = program_of(host, "impostor", &script);
}

/// A script of its own; `cp` writes it, so that no child of another test inherits the file while it is
/// open for writing, which would make it busy.
fn program_of(host: &Host, name: &str, script: &str) -> PathBuf {
    let (source, program) = (host.file("source"), host.file(name));
    fs::write(&source, script).unwrap();
    fs::set_permissions(&source, fs::Permissions::from_mode(0o755)).unwrap();
    let copied = Command::new("cp").args([&source, &program]).status();
    assert!(copied.unwrap().success());
    program
}

/// HAProxy has the old process pause while it waits for a port; who is killed then tells it no more.
#[tokio::test]
async fn who_was_told_to_pause_by_a_start_that_failed_listens_again() {
    for (then, failure) in [("exec sleep 1000", "was killed"), ("exit 1", "was refused")] {
        let mut host = Host::new();
        let pid = host.new_pid(&Method::Sf).await;
        impostor(&mut host, "TTOU", then);
        host.context.limit = Duration::from_secs(1);
        let error = host.reload(&Method::Sf).await.unwrap_err().to_string();
        assert!(error.contains(failure), "{error}");
        assert!(host.answers(), "{error}");
        assert_eq!(host.serving().await, pid);
    }
}

#[tokio::test]
async fn an_old_process_that_does_not_listen_any_more_is_told_of() {
    let mut host = Host::new();
    // A connection that lasts keeps it from ending at once.
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let through = free_port();
    let tunnel = format!(
        "listen t\n  mode tcp\n  bind 127.0.0.1:{through}\n  server b {}\n",
        backend.local_addr().unwrap()
    );
    host.install("first", &tunnel);
    let pid = host.new_pid(&Method::Sf).await;
    let _client = TcpStream::connect(("127.0.0.1", through)).unwrap();
    let _served = backend.accept().unwrap();
    // Whoever fails before the old one has heard it is refused, and nothing is amiss.
    let heard = format!(
        "while grep -q ':{:04X} 00000000:0000 0A' /proc/net/tcp; do sleep 0.01; done\nexit 1",
        host.port
    );
    impostor(&mut host, "USR1", &heard);
    let error = host.reload(&Method::Sf).await.unwrap_err();
    assert!(!error.is_refusal());
    let told = format!("the old HAProxy {pid} does not listen any more on ");
    let error = error.to_string();
    assert!(error.contains(&told), "{error}");
    assert!(error.contains(&host.port.to_string()), "{error}");
}
