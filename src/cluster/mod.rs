//! Apps and tasks as this program sees them, independent of the Marathon version that told of them.
//!
//! In come values that `marathon` has already checked; out go questions answered about them:
//! which service ports an app has, and under which address a task serves each of them.
//! Nothing here knows JSON or HTTP.

mod app;
mod auto_ports;
mod deployment_group;
mod endpoints;
mod field;
#[cfg(test)]
pub(crate) mod fixtures;
mod snapshot;
mod warning;
mod zipped;

pub use app::{
    App, AppId, CheckProtocol, CheckTarget, DiscoveryPort, HealthCheck, HealthResult, Network,
    PortDefinition, PortMapping, Protocol, Readiness, ReadinessResult, Task, TaskState,
};
pub use deployment_group::{
    Members, Merged, merge as merge_deployments, shared_names as shared_deployment_names,
};
pub use endpoints::{Endpoint, Host, ServicePort, ServingTasks, service_ports};
pub use field::Field;
pub use snapshot::Snapshot;
pub use warning::{LONGEST_NAME, Shown, Warning, cut};
pub use zipped::{HealthMemory, Selection, needs_auto_ports, zipped_service_ports};
