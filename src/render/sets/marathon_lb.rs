//! marathon-lb's set, and what `servicerouter.py` and our own set say otherwise.

macro_rules! template {
    ($set:literal, $name:literal) => {
        (
            concat!($name, ".cfg"),
            include_str!(concat!(
                "../../../templates/",
                $set,
                "/",
                $name,
                ".cfg.tera"
            )),
        )
    };
}

macro_rules! fragment {
    ($set:literal, $name:literal) => {
        (
            concat!("fragments/", $name, ".cfg"),
            include_str!(concat!(
                "../../../templates/",
                $set,
                "/fragments/",
                $name,
                ".cfg.tera"
            )),
        )
    };
    ($name:literal) => {
        fragment!("marathon-lb", $name)
    };
}

/// Shapes of the file and its sections, and a fragment for each of marathon-lb's template names.
pub(super) const MARATHON_LB: &[(&str, &str)] = &[
    template!("marathon-lb", "haproxy"),
    template!("marathon-lb", "frontend"),
    template!("marathon-lb", "backend"),
    fragment!("backend_head"),
    fragment!("backend_hsts_options"),
    fragment!("backend_http_healthcheck_options"),
    fragment!("backend_http_options"),
    fragment!("backend_redirect_http_to_https"),
    fragment!("backend_redirect_http_to_https_with_path"),
    fragment!("backend_server_http_healthcheck_options"),
    fragment!("backend_server_options"),
    fragment!("backend_server_tcp_healthcheck_options"),
    fragment!("backend_sticky_options"),
    fragment!("backend_tcp_healthcheck_options"),
    fragment!("frontend_backend_glue"),
    fragment!("frontend_head"),
    fragment!("head"),
    fragment!("http_backend_acl_allow_deny"),
    fragment!("http_backend_network_allowed_acl"),
    fragment!("http_backend_proxypass_glue"),
    fragment!("http_backend_redir"),
    fragment!("http_backend_revproxy_glue"),
    fragment!("http_frontend_acl"),
    fragment!("http_frontend_acl_only"),
    fragment!("http_frontend_acl_only_with_path"),
    fragment!("http_frontend_acl_only_with_path_and_auth"),
    fragment!("http_frontend_acl_with_auth"),
    fragment!("http_frontend_acl_with_auth_and_path"),
    fragment!("http_frontend_acl_with_path"),
    fragment!("http_frontend_appid_acl"),
    fragment!("http_frontend_appid_head"),
    fragment!("http_frontend_head"),
    fragment!("http_frontend_routing_only"),
    fragment!("http_frontend_routing_only_with_auth"),
    fragment!("http_frontend_routing_only_with_path"),
    fragment!("http_frontend_routing_only_with_path_and_auth"),
    fragment!("https_frontend_acl"),
    fragment!("https_frontend_acl_only_with_path"),
    fragment!("https_frontend_acl_with_auth"),
    fragment!("https_frontend_acl_with_auth_and_path"),
    fragment!("https_frontend_acl_with_path"),
    fragment!("https_frontend_auth_acl_only"),
    fragment!("https_frontend_auth_request_only"),
    fragment!("https_frontend_head"),
    fragment!("https_frontend_routing_only_with_path_and_auth"),
    fragment!("https_grouped_frontend_head"),
    fragment!("https_grouped_vhost_backend_head"),
    fragment!("https_grouped_vhost_frontend_acl"),
    fragment!("https_grouped_vhost_frontend_head"),
    fragment!("map_http_frontend_acl"),
    fragment!("map_http_frontend_acl_only"),
    fragment!("map_http_frontend_appid_acl"),
    fragment!("map_https_frontend_acl"),
    fragment!("tcp_backend_acl_allow_deny"),
    fragment!("tcp_backend_network_allowed_acl"),
    fragment!("userlist_head"),
];

/// Where ours differs, and its shared frontends.
pub(super) const NATIVE: &[(&str, &str)] = &[
    template!("native", "appid_in"),
    template!("native", "appid_rule"),
    template!("native", "auth"),
    template!("native", "backend"),
    template!("native", "frontend"),
    template!("native", "frontend_http"),
    template!("native", "http_in"),
    template!("native", "https_in"),
    template!("native", "https_redirect"),
    template!("native", "idle"),
    template!("native", "routing"),
    template!("native", "rule"),
    template!("native", "tls_in"),
    template!("native", "tls_rule"),
    template!("native", "tuning"),
    fragment!("native", "backend_hsts_options"),
    fragment!("native", "backend_http_options"),
    fragment!("native", "backend_sticky_options"),
    fragment!("native", "head"),
    fragment!("native", "http_backend_acl_allow_deny"),
    fragment!("native", "http_backend_proxypass_glue"),
    fragment!("native", "http_backend_redir"),
    fragment!("native", "tcp_backend_acl_allow_deny"),
];

/// Where `servicerouter.py` differs.
pub(super) const SERVICEROUTER: &[(&str, &str)] = &[
    fragment!("servicerouter", "backend_head"),
    fragment!("servicerouter", "backend_http_healthcheck_options"),
    fragment!("servicerouter", "backend_redirect_http_to_https"),
    fragment!("servicerouter", "backend_server_http_healthcheck_options"),
    fragment!("servicerouter", "backend_server_options"),
    fragment!("servicerouter", "backend_server_tcp_healthcheck_options"),
    fragment!("servicerouter", "frontend_head"),
    fragment!("servicerouter", "head"),
    fragment!("servicerouter", "http_frontend_appid_head"),
    fragment!("servicerouter", "https_frontend_head"),
];
