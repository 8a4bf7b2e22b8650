//! A master, told by its socket and by a signal.

use super::*;

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
