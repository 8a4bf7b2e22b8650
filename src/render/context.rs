//! What templates see: a public interface, described in `docs/templates.md`.
//!
//! Types of its own, so that `proxy` can change without breaking a template that somebody wrote.

use serde::Serialize;

use crate::proxy::{Bind, Listen, Server};

/// Grows when a name that templates use changes its meaning or goes; not when names are added.
pub const CONTEXT_VERSION: u32 = 1;

/// The context of `listen.cfg`.
#[derive(Serialize)]
pub(super) struct Section<'a> {
    context_version: u32,
    listen: ListenContext<'a>,
}

#[derive(Serialize)]
struct ListenContext<'a> {
    name: &'a str,
    app: &'a str,
    service_port: u16,
    bind: BindContext,
    servers: Vec<ServerContext<'a>>,
}

#[derive(Serialize)]
struct BindContext {
    address: String,
    port: u16,
}

#[derive(Serialize)]
struct ServerContext<'a> {
    name: &'a str,
    host: String,
    port: u16,
    address: String,
}

impl<'a> Section<'a> {
    pub(super) fn new(listen: &'a Listen) -> Self {
        Self {
            context_version: CONTEXT_VERSION,
            listen: ListenContext {
                name: &listen.name,
                app: listen.owner.app.as_str(),
                service_port: listen.owner.service_port,
                bind: BindContext::new(listen.bind),
                servers: listen.servers.iter().map(ServerContext::new).collect(),
            },
        }
    }
}

impl BindContext {
    fn new(bind: Bind) -> Self {
        Self {
            address: bind.address.to_string(),
            port: bind.port,
        }
    }
}

impl<'a> ServerContext<'a> {
    fn new(server: &'a Server) -> Self {
        let host = server.host.to_string();
        Self {
            name: &server.name,
            address: format!("{host}:{}", server.port),
            port: server.port,
            host,
        }
    }
}
