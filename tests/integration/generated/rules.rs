//! Which rules a set of templates has: what may stand in sections of apps, and in those that they
//! share.

/// Rules: a word, `…` for the end of any word, `_` for any one word, `*` for any number of them, of
/// values that are lists.
pub(super) struct Rules(pub(super) Vec<String>);

/// Those of the set `marathon-lb`.
pub(super) fn marathon_lb() -> Rules {
    all(&[MARATHON_LB, COMMON])
}

/// Those of the native set.
pub(super) fn native() -> Rules {
    let mut rules = all(&[NATIVE, COMMON]);
    for host in [
        "",
        " { var(txn.host) -m str _ }",
        " { var(txn.host) -m end _ }",
    ] {
        for path in [
            "",
            " { var(txn.path) -m beg _ }",
            " { var(txn.path) -m beg -i _ }",
        ] {
            for header in [
                "",
                " { req.hdr(… -m found }",
                " { req.hdr(… -m str -- _ }",
                " { req.fhdr(… -m str -- _ }",
            ] {
                for methods in ["", " { method *"] {
                    if !(host.is_empty() && path.is_empty()) {
                        let rule = format!("use_backend app-… if{host}{path}{header}{methods}");
                        rules.0.push(rule);
                    }
                }
            }
        }
    }
    rules
}

fn all(tables: &[&[&str]]) -> Rules {
    let rules = tables.iter().copied().flatten();
    Rules(rules.map(ToString::to_string).collect())
}

const MARATHON_LB: &[&str] = &[
    "acl host_… hdr(host) -i _",
    "acl auth_… http_auth(user_app-…",
    "acl path_app-… path_beg *",
    "acl app_… hdr(x-marathon-app-id) -i _",
    "use_backend app-… if host_…",
    "use_backend app-… if host_… path_app-…",
    "use_backend app-… if app_…",
    "use_backend app-… if { ssl_fc_sni _ }",
    "use_backend app-… if { ssl_fc_sni _ } path_app-…",
    "use_backend _ if { req_ssl_sni -i _ }",
    "use_backend %[req.hdr(host),lower,regsub(:.*$,,),map(…",
    "use_backend %[req.hdr(x-marathon-app-id),lower,map(…",
    "use_backend %[ssl_fc_sni,lower,map(…",
    "http-request auth realm _ if host_… !auth_…",
    "http-request auth realm _ if host_… path_app-… !auth_…",
    "http-request auth realm _ if { ssl_fc_sni _ } !auth_…",
    "http-request auth realm _ if { ssl_fc_sni _ } path_app-… !auth_…",
    "redirect scheme https code 301 if !{ ssl_fc } host_…",
    "redirect scheme https code 301 if !{ ssl_fc } host_… path_app-…",
    "tcp-request content accept if { req_ssl_hello_type 1 }",
    "http-response add-header Strict-Transport-Security max-age=15768000",
    "http-request add-header X-Forwarded-Proto https if { ssl_fc }",
    "http-request set-header Host _",
    "acl is_root path -i /",
    "acl is_domain hdr(host) -i _",
    "redirect code 301 location _ if is_domain is_root",
    "http-request allow if network_allowed",
    "http-request deny",
    "tcp-request content accept if network_allowed",
    "tcp-request content reject",
    "server loopback-for-tls _ send-proxy-v2",
];

const NATIVE: &[&str] = &[
    // Of HAProxy 2.6 to 2.9.
    "cookie mesosphere_server_id insert indirect nocache dynamic",
    "dynamic-cookie-key marathon",
    "option idle-close-on-response",
    "http-request set-var(txn.host) req.hdr(host),regsub(:[0-9]*$,),regsub([.]$,),lower",
    "http-request set-var(txn.path) path",
    "http-request set-var(txn.backend) var(txn.…",
    "http-request set-var(txn.backend) var(txn.… if { var(txn.domain) -m found }",
    "http-request set-var(txn.backend) var(txn.… if !{ var(txn.backend) -m found }",
    "http-request set-var(txn.exact) var(txn.backend)",
    "http-request set-var(txn.below) var(txn.backend)",
    "use_backend %[var(txn.exact)] if { var(txn.exact) -m found }",
    "use_backend %[var(txn.below)] if { var(txn.below) -m found }",
    "http-request set-var(txn.domain) var(txn.host),map_end(… if !{ var(txn.backend) -m found }",
    "use_backend %[var(txn.backend)] if { var(txn.backend) -m found }",
    "use_backend %[req.hdr(x-marathon-app-id),lower,map(…",
    "use_backend app-… if { req.hdr(x-marathon-app-id) -i _ }",
    "use_backend app-… if { req.ssl_sni,lower -m str _ }",
    "use_backend app-… if { req.ssl_sni,lower -m end _ }",
    "use_backend marathon_https if { req.ssl_sni,lower -m str _ }",
    "use_backend marathon_https if { req.ssl_sni,lower -m end _ }",
    "tcp-request content accept if { req.ssl_hello_type 1 }",
    "default_backend marathon_https",
    "timeout connect _",
    "timeout server _",
    "timeout queue _",
    "timeout tunnel _",
    "compression algo gzip",
    "compression type text/html *",
    "http-request replace-header Host _ \\1 if { fe_name marathon_http_in } !{ ssl_fc }",
    "http-request redirect scheme https code 301 if { fe_name marathon_http_in } !{ ssl_fc }",
    "http-request auth realm _ unless { http_auth(user_app-… }",
    "http-response set-header Strict-Transport-Security max-age=15768000 if { ssl_fc }",
    "http-request set-header X-Forwarded-Proto https if { ssl_fc }",
    "http-request set-header X-Forwarded-Proto http unless { ssl_fc }",
    "http-request replace-path _ /\\2",
    "http-request disable-l7-retry unless { method GET HEAD OPTIONS TRACE PUT DELETE }",
    "http-request deny unless network_allowed",
    "tcp-request content reject unless network_allowed",
    "http-request redirect code 301 location _ if { path / }",
];

/// Of both.
const COMMON: &[&str] = &[
    "use_backend app-…",
    "tcp-request inspect-delay 5s",
    "user _ password _",
    "bind _ *",
    "mode http",
    "mode tcp",
    "balance *",
    "option forwardfor",
    "http-request set-header X-Forwarded-Port %[dst_port]",
    "http-request replace-path _ /\\1",
    "acl hdr_location res.hdr(Location) -m found",
    "http-response replace-header Location _ _ if hdr_location",
    "acl network_allowed src _",
    "cookie mesosphere_server_id insert indirect nocache",
    "option httpchk GET /health",
    "timeout check 1s",
    "server _ _ id *",
];
