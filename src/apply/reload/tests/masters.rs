//! A master, told by its socket and by a signal.

use super::*;
use crate::apply::{Balancer as _, FileSet, Installation, LocalHaproxy};
use crate::config;
use crate::disk::OsDisk;
use crate::haproxy::Version;

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

    host.master_waits().await;
    let error = host
        .reload(&Method::MasterSignal { pid })
        .await
        .unwrap_err();
    assert!(error.is_refusal(), "{error}");
    assert!(host.answers());

    host.master_waits().await;
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

/// Brings HAProxy to `cfg`, which lies at another place than the file that its master reads.
async fn reload_elsewhere(host: &Host, cfg: &str) -> Result<Reloaded, ReloadError> {
    let request = config::Request {
        policy: config::Policy::of(config::CommandLine::Native),
        needs_marathon: false,
        flags: config::Layer::default(),
    };
    let mut system = config::System::host();
    system.read = Box::new(|_| Err(std::io::ErrorKind::NotFound.into()));
    system.environment.clear();
    let mut config = config::build(&request, &system).unwrap().config;
    let file = host.file("elsewhere/haproxy.cfg");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, cfg).unwrap();
    config.haproxy.config.clone_from(&file);
    config.haproxy.pid_file = host.file("pid");
    config.haproxy.master_socket = Some(host.file("master.sock"));
    config.reload.method = ReloadMethod::Master;
    let (program, version) = (host.context.program.clone(), Version::new(2, 6));
    let local = LocalHaproxy::new(program, version, &config, &OsDisk);
    let files = FileSet {
        cfg: cfg.to_owned(),
        ..FileSet::default()
    };
    local
        .reload(&files, &Installation::new(&file, None), false)
        .await
}

#[tokio::test]
async fn a_master_that_runs_another_file_is_no_proof() {
    let mut host = Host::new();
    host.start_master().await;
    let there = fs::read_to_string(&host.context.config).unwrap();
    let ours = there.replace("description first", "description ours");
    let error = reload_elsewhere(&host, &ours)
        .await
        .unwrap_err()
        .to_string();
    let (runs, wanted) = (
        host.context.config.display(),
        host.file("elsewhere/haproxy.cfg"),
    );
    for part in [
        format!("runs `{runs}`, whose description is `first`"),
        format!(
            "expected `{}`, whose description is `ours`",
            wanted.display()
        ),
    ] {
        assert!(error.contains(&part), "{error}");
    }
    // A file that does not say what it is can prove nothing.
    for line in ["  description ours\n", "  stats socket "] {
        let start = ours.find(line).unwrap();
        let end = start + ours[start..].find('\n').unwrap() + 1;
        let silent = format!("{}{}", &ours[..start], &ours[end..]);
        host.master_waits().await;
        let done = reload_elsewhere(&host, &silent).await.unwrap();
        assert!(matches!(done, Reloaded::Done(_)), "{done:?}");
    }
}
