//! The names under which marathon-lb lets its text be replaced, and what each may use.
//!
//! A template is replaced by a label of one service (`HAPROXY_{n}_<NAME>`), by a variable of the
//! environment or by a file (`HAPROXY_<NAME>`); source: marathon-lb 1.15, "Templates". What a
//! template says when nobody replaces it lies in the template sets, not here.

use std::fmt;

/// How the text of a template is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As it stands; single braces are braces.
    Raw,
    /// With Python's `str.format`: `{name}` is replaced, `{{` is a brace.
    Formatted,
}

/// Who may replace a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The environment and files only: it stands for the whole file.
    Global,
    /// Each service with a label, too.
    Service,
    /// As [`Scope::Global`]; marathon-lb documents it as a label and never reads that, or never
    /// renders the template at all.
    Inert,
}

/// One template.
#[derive(Debug)]
pub struct Definition {
    /// As in `HAPROXY_<NAME>`.
    pub name: &'static str,
    /// Who may replace it.
    pub scope: Scope,
    /// How its text is read.
    pub reading: Reading,
    /// What it may use. In some places less is known: then that is an error of the service.
    pub placeholders: &'static [&'static str],
    /// When it is rendered.
    pub when: &'static str,
}

/// What every health check template may use.
const CHECK: &[&str] = &[
    "healthCheck",
    "healthCheckPortIndex",
    "healthCheckPort",
    "healthCheckProtocol",
    "healthCheckPath",
    "healthCheckTimeoutSeconds",
    "healthCheckIntervalSeconds",
    "healthCheckIgnoreHttp1xx",
    "healthCheckGracePeriodSeconds",
    "healthCheckMaxConsecutiveFailures",
    "healthCheckFalls",
    "healthCheckPortOptions",
];
const HOST: &[&str] = &["cleanedUpHostname", "hostname", "appId", "backend"];
const HOST_AUTH: &[&str] = &["cleanedUpHostname", "hostname", "appId", "realm", "backend"];
const HOST_PATH: &[&str] = &["cleanedUpHostname", "hostname", "path", "appId", "backend"];
const HOST_PATH_AUTH: &[&str] = &[
    "cleanedUpHostname",
    "hostname",
    "path",
    "appId",
    "realm",
    "backend",
];
const ROUTE: &[&str] = &["cleanedUpHostname", "backend"];
const ROUTE_AUTH: &[&str] = &["cleanedUpHostname", "realm", "backend"];
const MAP: &[&str] = &["haproxy_dir"];

macro_rules! templates {
    ($($variant:ident $name:literal $scope:ident $reading:ident $placeholders:expr, $when:literal;)*) => {
        /// The templates, in the order in which marathon-lb's manual lists them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the names are marathon-lb's; the table says the rest")]
        pub enum Template {
            $($variant,)*
        }

        impl Template {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// What is known of it.
            #[must_use]
            pub const fn definition(self) -> &'static Definition {
                match self {
                    $(Self::$variant => &Definition {
                        name: $name,
                        scope: Scope::$scope,
                        reading: Reading::$reading,
                        placeholders: $placeholders,
                        when: $when,
                    },)*
                }
            }
        }
    };
}

templates! {
    Head "HEAD" Global Raw &[],
        "first thing in the file";
    HttpFrontendHead "HTTP_FRONTEND_HEAD" Global Raw &[],
        "opens port 80, unless --dont-bind-http-https";
    HttpFrontendAppidHead "HTTP_FRONTEND_APPID_HEAD" Global Raw &[],
        "opens the frontend that routes by the header X-Marathon-App-Id";
    HttpsFrontendHead "HTTPS_FRONTEND_HEAD" Global Formatted &["sslCerts"],
        "opens port 443, unless --dont-bind-http-https or --group-https-by-vhost";
    HttpsGroupedFrontendHead "HTTPS_GROUPED_FRONTEND_HEAD" Global Raw &[],
        "opens port 443 with --group-https-by-vhost";
    HttpsGroupedVhostFrontendAcl "HTTPS_GROUPED_VHOST_FRONTEND_ACL" Global Formatted &["backend", "host"],
        "leads a vhost to its own TLS frontend, with --group-https-by-vhost";
    HttpsGroupedVhostBackendHead "HTTPS_GROUPED_VHOST_BACKEND_HEAD" Global Formatted &["name"],
        "the way from port 443 to the TLS frontend of a vhost, with --group-https-by-vhost";
    HttpsGroupedVhostFrontendHead "HTTPS_GROUPED_VHOST_FRONTEND_HEAD" Global Formatted &["name", "sslCerts", "bindOpts"],
        "opens the TLS frontend of a vhost, with --group-https-by-vhost";
    UserlistHead "USERLIST_HEAD" Service Formatted &["backend", "user", "passwd"],
        "a service with AUTH";
    FrontendHead "FRONTEND_HEAD" Service Formatted &["bindAddr", "backend", "servicePort", "mode", "sslCert", "sslCertOptions", "bindOptions"],
        "opens the frontend of a service";
    FrontendBackendGlue "FRONTEND_BACKEND_GLUE" Service Formatted &["backend"],
        "ends the frontend of a service";
    BackendRedirectHttpToHttps "BACKEND_REDIRECT_HTTP_TO_HTTPS" Service Formatted &["bindAddr", "cleanedUpHostname"],
        "REDIRECT_TO_HTTPS, on port 80";
    BackendRedirectHttpToHttpsWithPath "BACKEND_REDIRECT_HTTP_TO_HTTPS_WITH_PATH" Service Formatted &["bindAddr", "cleanedUpHostname", "backend"],
        "REDIRECT_TO_HTTPS with PATH, on port 80";
    BackendHead "BACKEND_HEAD" Service Formatted &["backend", "balance", "mode"],
        "opens the backend of a service";
    BackendHstsOptions "BACKEND_HSTS_OPTIONS" Service Raw &[],
        "mode http and USE_HSTS";
    BackendHttpOptions "BACKEND_HTTP_OPTIONS" Service Raw &[],
        "mode http";
    HttpBackendProxypassGlue "HTTP_BACKEND_PROXYPASS_GLUE" Service Formatted &["hostname", "proxypath"],
        "mode http and HTTP_BACKEND_PROXYPASS_PATH";
    HttpBackendRevproxyGlue "HTTP_BACKEND_REVPROXY_GLUE" Service Formatted &["hostname", "rootpath"],
        "mode http and HTTP_BACKEND_REVPROXY_PATH";
    HttpBackendRedir "HTTP_BACKEND_REDIR" Inert Formatted &["hostname", "redirpath"],
        "mode http and HTTP_BACKEND_REDIR, whose label is the path and thus no template";
    HttpBackendNetworkAllowedAcl "HTTP_BACKEND_NETWORK_ALLOWED_ACL" Service Formatted &["network_allowed"],
        "mode http, for each network of BACKEND_NETWORK_ALLOWED_ACL";
    HttpBackendAclAllowDeny "HTTP_BACKEND_ACL_ALLOW_DENY" Global Raw &[],
        "behind those";
    TcpBackendNetworkAllowedAcl "TCP_BACKEND_NETWORK_ALLOWED_ACL" Service Formatted &["network_allowed"],
        "mode tcp, for each network of BACKEND_NETWORK_ALLOWED_ACL";
    TcpBackendAclAllowDeny "TCP_BACKEND_ACL_ALLOW_DENY" Global Raw &[],
        "behind those";
    BackendStickyOptions "BACKEND_STICKY_OPTIONS" Service Raw &[],
        "STICKY";
    BackendHttpHealthcheckOptions "BACKEND_HTTP_HEALTHCHECK_OPTIONS" Service Formatted CHECK,
        "a service with a health check that is not tcp";
    BackendTcpHealthcheckOptions "BACKEND_TCP_HEALTHCHECK_OPTIONS" Service Formatted CHECK,
        "a service with a health check that is tcp";
    BackendServerHttpHealthcheckOptions "BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS" Service Formatted CHECK,
        "each server of a service with a health check that is not tcp";
    BackendServerTcpHealthcheckOptions "BACKEND_SERVER_TCP_HEALTHCHECK_OPTIONS" Service Formatted CHECK,
        "each server of a service with a health check that is tcp";
    BackendServerOptions "BACKEND_SERVER_OPTIONS" Service Formatted &["host", "host_ipv4", "port", "serverName", "serverId", "cookieOptions", "healthCheckOptions", "otherOptions"],
        "each server";
    HttpFrontendAcl "HTTP_FRONTEND_ACL" Service Formatted HOST,
        "one vhost, on port 80";
    HttpFrontendAclOnly "HTTP_FRONTEND_ACL_ONLY" Service Formatted &["cleanedUpHostname", "hostname"],
        "several vhosts, or a vhost with PATH and REDIRECT_TO_HTTPS, on port 80";
    HttpFrontendAclWithAuth "HTTP_FRONTEND_ACL_WITH_AUTH" Service Formatted HOST_AUTH,
        "one vhost with AUTH, on port 80";
    HttpFrontendAclWithPath "HTTP_FRONTEND_ACL_WITH_PATH" Service Formatted HOST_PATH,
        "one vhost with PATH, on port 80";
    HttpFrontendAclWithAuthAndPath "HTTP_FRONTEND_ACL_WITH_AUTH_AND_PATH" Service Formatted HOST_PATH_AUTH,
        "one vhost with AUTH and PATH, on port 80";
    HttpFrontendAclOnlyWithPath "HTTP_FRONTEND_ACL_ONLY_WITH_PATH" Service Formatted &["cleanedUpHostname", "hostname", "path", "backend"],
        "several vhosts with PATH, or one with PATH and REDIRECT_TO_HTTPS, on port 80";
    HttpFrontendAclOnlyWithPathAndAuth "HTTP_FRONTEND_ACL_ONLY_WITH_PATH_AND_AUTH" Service Formatted &["cleanedUpHostname", "hostname", "path", "realm", "backend"],
        "several vhosts with PATH and AUTH, on port 80";
    HttpFrontendRoutingOnly "HTTP_FRONTEND_ROUTING_ONLY" Service Formatted ROUTE,
        "several vhosts, on port 80";
    HttpFrontendRoutingOnlyWithAuth "HTTP_FRONTEND_ROUTING_ONLY_WITH_AUTH" Service Formatted ROUTE_AUTH,
        "several vhosts with AUTH, on port 80";
    HttpFrontendRoutingOnlyWithPath "HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH" Service Formatted ROUTE,
        "several vhosts with PATH, on port 80";
    HttpFrontendRoutingOnlyWithPathAndAuth "HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH_AND_AUTH" Service Formatted ROUTE_AUTH,
        "several vhosts with PATH and AUTH, on port 80";
    HttpFrontendAppidAcl "HTTP_FRONTEND_APPID_ACL" Service Formatted &["cleanedUpAppId", "hostname", "appId", "backend"],
        "the first http service of an app, without maps";
    HttpsFrontendAcl "HTTPS_FRONTEND_ACL" Service Formatted HOST,
        "each vhost, on port 443";
    HttpsFrontendAclWithAuth "HTTPS_FRONTEND_ACL_WITH_AUTH" Service Formatted HOST_AUTH,
        "each vhost with AUTH, on port 443";
    HttpsFrontendAclWithPath "HTTPS_FRONTEND_ACL_WITH_PATH" Service Formatted HOST,
        "each vhost with PATH, on port 443";
    HttpsFrontendAclWithAuthAndPath "HTTPS_FRONTEND_ACL_WITH_AUTH_AND_PATH" Service Formatted HOST_PATH_AUTH,
        "each vhost with AUTH and PATH, on port 443";
    HttpsFrontendAclOnlyWithPath "HTTPS_FRONTEND_ACL_ONLY_WITH_PATH" Service Formatted &["cleanedUpHostname", "hostname", "path", "realm", "backend"],
        "a service with PATH, on port 443";
    HttpsFrontendAuthAclOnly "HTTPS_FRONTEND_AUTH_ACL_ONLY" Inert Formatted HOST_AUTH,
        "never";
    HttpsFrontendAuthRequestOnly "HTTPS_FRONTEND_AUTH_REQUEST_ONLY" Inert Formatted HOST_AUTH,
        "never";
    HttpsFrontendRoutingOnlyWithPathAndAuth "HTTPS_FRONTEND_ROUTING_ONLY_WITH_PATH_AND_AUTH" Inert Formatted HOST_PATH_AUTH,
        "never";
    MapHttpFrontendAcl "MAP_HTTP_FRONTEND_ACL" Inert Formatted MAP,
        "--haproxy-map, once, on port 80; the label is HTTP_FRONTEND_ACL of the first service";
    MapHttpFrontendAclOnly "MAP_HTTP_FRONTEND_ACL_ONLY" Inert Formatted MAP,
        "the same where the first service has several vhosts; the label is HTTP_FRONTEND_ACL_ONLY";
    MapHttpFrontendAppidAcl "MAP_HTTP_FRONTEND_APPID_ACL" Inert Formatted MAP,
        "--haproxy-map, once, for X-Marathon-App-Id; the label is HTTP_FRONTEND_APPID_ACL";
    MapHttpsFrontendAcl "MAP_HTTPS_FRONTEND_ACL" Inert Formatted &["hostname", "haproxy_dir"],
        "--haproxy-map, once, on port 443; the label is HTTPS_FRONTEND_ACL";
}

impl Template {
    /// As in `HAPROXY_<NAME>`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.definition().name
    }

    /// The template whose label ends so: `FRONTEND_HEAD` of `HAPROXY_0_FRONTEND_HEAD`.
    #[must_use]
    pub fn of_label(name: &str) -> Option<Self> {
        let mut with_label = Self::ALL
            .iter()
            .filter(|template| template.definition().scope == Scope::Service);
        with_label.find(|template| template.name() == name).copied()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HAPROXY_{}", self.name())
    }
}
