//! The frontends that all apps share: by host name and by app id.

/// How they are laid out.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Frontends {
    /// `--no-maps` turns it off, marathon-lb's `--haproxy-map` on: host names and app ids are
    /// looked up in map files instead of rules.
    pub maps: bool,
    /// `--ssl-certs`: certificates of the frontend on port 443, as they are written. Native: none
    /// unless given.
    pub ssl_certs: Vec<String>,
    /// `--dont-bind-http-https` turns it off: whether there are frontends on ports 80 and 443 at
    /// all.
    pub bind_http_https: bool,
    /// `--no-service-ports` turns it off: whether HTTP services to which ports 80 and 443 lead also have a
    /// frontend on their service port.
    pub service_ports: bool,
    /// `--spare-backends`: how many backends of each profile wait for apps that come.
    pub spare_backends: usize,
    /// `--group-https-by-vhost`: a frontend for each host name behind the one on port 443.
    pub group_https_by_vhost: bool,
    /// `--accept-proxy`: clients of ports 80 and 443 are named by the PROXY protocol.
    pub accept_proxy: bool,
    /// `--default-backend`: who is served what nobody asked for. An app id, and a service port of it.
    pub default_backend: Option<(String, Option<u16>)>,
    /// `--server-slots`: so many lines of servers are free in a backend that HAProxy cannot add any to.
    pub server_slots: u32,
    /// `--slots-everywhere`: the same in all others.
    pub slots_everywhere: bool,
}

impl Frontends {
    /// Whether services to which ports 80 and 443 lead have no port of their own.
    #[must_use]
    pub const fn leads_by_name(&self) -> bool {
        self.bind_http_https && !self.service_ports
    }
}
