//! Services for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::Owner;
use super::super::marathon_lb::{Server, Service};
use crate::cluster::AppId;
use crate::labels::ServiceOptions;

/// One of this name, with nobody in it.
pub(super) fn service(name: &str) -> Service {
    Service {
        owner: Owner {
            app: AppId::new(name),
            service_port: 10000,
        },
        index: 0,
        name: name.to_owned(),
        acl: String::new(),
        mode: "http".into(),
        check: None,
        servers: Vec::new(),
        free_slots: Vec::new(),
        options: Arc::default(),
        last_config_change_at: None,
        is_absent: false,
    }
}

/// One with this share and so many servers.
pub(super) fn weighted(weight: &str, servers: u16) -> Service {
    let server = |number: u16| Server {
        name: format!("{weight}-{servers}-{number}"),
        host: "10.0.0.1".into(),
        address: "10.0.0.1".to_owned(),
        port: number,
        id: 1,
        cookie: String::new(),
        check_port: None,
        draining: false,
        weight: None,
    };
    Service {
        servers: (1..=servers).map(server).collect(),
        options: Arc::new(ServiceOptions {
            own: BTreeMap::from([("WEIGHT", weight.into())]),
            ..ServiceOptions::default()
        }),
        ..service(weight)
    }
}
