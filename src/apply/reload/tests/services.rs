//! Commands, services, and what is observed of them.

use super::*;

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

/// What only a start can find: nobody else says so, and the old worker goes on to answer.
#[tokio::test]
async fn a_master_that_starts_no_worker_is_not_waited_for() {
    let mut host = Host::new();
    let pid = host.start_master().await;
    let (worker, there) = (host.serving().await, free_port());
    let held = TcpListener::bind(("127.0.0.1", there)).unwrap();
    host.install("second", &format!("frontend g\n  bind 127.0.0.1:{there}\n"));
    let script = format!(
        "case $1 in\n\
         show) echo MainPID={pid}; echo ActiveState=active;;\n\
         reload) kill -USR2 {pid};;\nesac"
    );
    let program = fake(&mut host, "systemctl", &script);
    // All of it would be waited for.
    host.context.limit = Duration::from_secs(3600);
    for method in [
        Method::Systemd {
            unit: "haproxy".to_owned(),
        },
        Method::Command(format!("{} reload", program.display())),
        Method::MasterSignal { pid },
    ] {
        host.master_waits().await;
        let error = host.reload(&method).await.unwrap_err();
        assert!(error.is_refusal(), "{error}");
        assert_eq!(host.serving().await, worker);
    }
    drop(held);
    host.master_waits().await;
    let unit = "haproxy".to_owned();
    assert_ne!(host.new_pid(&Method::Systemd { unit }).await, worker);
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
