//! Apps and tasks for tests: with nothing but what each test is about.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{App, AppId, CheckProtocol, CheckTarget, Field, HealthCheck, Network, Task, TaskState};

/// Without ports and tasks.
pub(crate) fn app(id: &str, network: Network) -> App {
    App {
        id: AppId::new(id),
        labels: BTreeMap::new(),
        env: BTreeMap::new(),
        network,
        network_names: Vec::new(),
        port_mappings: Vec::new(),
        port_definitions: None,
        ports: None,
        discovery_ports: Vec::new(),
        health_checks: Vec::new(),
        readiness: None,
        instances: 1,
        version: None,
        last_config_change_at: None,
        last_scaling_at: None,
        tasks: Vec::new(),
    }
}

/// Running on `agent`.
pub(crate) fn task(id: &str, ports: &[u16]) -> Task {
    Task {
        id: id.into(),
        host: Some("agent".into()),
        ports: ports.to_vec(),
        ip_addresses: Vec::new(),
        state: Some(TaskState::Running),
        started_at: Some("2026-01-01T00:00:00.000Z".into()),
        version: None,
        health: None,
        draining: false,
    }
}

/// By HTTP, every second.
pub(crate) fn check(target: CheckTarget) -> HealthCheck {
    HealthCheck {
        protocol: CheckProtocol::Http,
        path: None,
        target,
        grace_period_seconds: 0,
        interval_seconds: 1,
        timeout_seconds: 1,
        max_consecutive_failures: 1,
        fields: Arc::new(Field::Null),
    }
}
